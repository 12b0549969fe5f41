// The headers that kernels are compiled from, which the program carries with it: their definition is made by
// cmake/flame-texts.cmake and compiled into flame::cuda.
#pragma once

namespace flame::cuda_kernels {

struct embedded_text {
  const char* name;  // as #include names it
  const char* text;
};

// The last has no name.
extern const embedded_text embedded_texts[];

}  // namespace flame::cuda_kernels
