// safetensors: named tensors in one file (huggingface/safetensors), read and written.
#pragma once
#include <flame/io/safetensors_reader.hpp>
#include <flame/io/safetensors_writer.hpp>
