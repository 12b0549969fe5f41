// The CUDA backend, compiled once for all users of flame::cuda.
#include <flame/run/cuda/program.hpp>
