// safetensors, the JSON header of a file to read.
#pragma once
#include <flame/io/safetensors_header_interface.hpp>

#if !defined(FLAME_HOST_COMPILED)
#include <flame/io/safetensors_header_definitions.hpp>
#endif
