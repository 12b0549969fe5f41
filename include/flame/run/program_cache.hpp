// A function at run time: one planned program for each set of extents, made at the first call with them.
#pragma once
#include <flame/run/executable.hpp>
#include <flame/run/program_cache_interface.hpp>

#if !defined(FLAME_HOST_COMPILED)
#include <flame/run/program_cache_definitions.hpp>
#endif
