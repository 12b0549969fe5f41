# find_package(flame): dependencies first, then the target flame::flame.
include(${CMAKE_CURRENT_LIST_DIR}/flame-dependencies.cmake)
if(flame_missing)
  list(JOIN flame_missing ", " missing)
  set(flame_FOUND FALSE)
  set(flame_NOT_FOUND_MESSAGE "flame needs, and CMake did not find: ${missing}")
  return()
endif()
# flame::cuda links CUDA's libraries, by the names that they have on this machine.
include(${CMAKE_CURRENT_LIST_DIR}/flame-cuda.cmake)
include(${CMAKE_CURRENT_LIST_DIR}/flame-targets.cmake)
# flame_kernels_ahead, for kernels that are compiled when a program is built.
include(${CMAKE_CURRENT_LIST_DIR}/flame-kernels.cmake)
