// The reader of checkpoints' headers, compiled once for all users of flame::kernels.
#include <flame/io/safetensors_header_definitions.hpp>
