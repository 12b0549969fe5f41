// Planning, compiled once for all users of flame::kernels.
#include <flame/run/program_cache_definitions.hpp>
