// The tests of offload.cpp on a twin of the device: no GPU and no CUDA.
//
// labels: cuda
#include "twin.hpp"  // first: it says FLAME_CUDA

#include "offload.cpp"
