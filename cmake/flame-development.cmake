# What only this tree's own tests, examples and benchmarks need: compilers, flags, and one program a source file.

if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "How to build" FORCE)
endif()
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

option(FLAME_NATIVE "Build examples and benchmarks for this machine's processor (-march=native)" ON)
option(FLAME_WERROR "Treat warnings as errors" OFF)
set(FLAME_SANITIZE "" CACHE STRING "Sanitizers for everything that is built: 'address,undefined' or 'thread'")

# CUDA is optional: an nvcc (flame-kernels.cmake) lets the tests check that it takes the headers, and compiles kernels.
if(flame_nvcc)
  message(STATUS "CUDA: ${flame_nvcc_found}")
else()
  message(STATUS "CUDA: ${flame_nvcc_found}; kernels are compiled when they are first used, and what tests nvcc is left out")
endif()

if(FLAME_CUDA)
  include(flame-cuda)
endif()

# Eigen is the reference of the host's contractions in tests, and stands beside them in a benchmark.
find_package(Eigen3 QUIET CONFIG)  # no version: 3.4 and 5 both serve, but neither's package answers to the other
if(NOT TARGET Eigen3::Eigen)
  message(STATUS "Eigen: not found (libeigen3-dev); what compares with it is left out")
endif()

# All warnings that the headers promise not to give.
set(flame_warnings -Wall -Wextra -Wconversion -Wshadow)

add_library(flame_development INTERFACE)
target_link_libraries(flame_development INTERFACE flame::flame)
if(FLAME_KERNELS)
  target_link_libraries(flame_development INTERFACE flame::kernels)
endif()
target_compile_options(flame_development INTERFACE ${flame_warnings} $<$<BOOL:${FLAME_WERROR}>:-Werror>)
if(FLAME_SANITIZE)
  # g++ 12 with -fsanitize=null takes no comparison of addresses for constant, and types are made of such comparisons.
  set(flame_sanitize_options -fsanitize=${FLAME_SANITIZE} -fno-omit-frame-pointer -g1 -fno-sanitize-recover=all)
  if(FLAME_SANITIZE MATCHES "undefined")
    list(APPEND flame_sanitize_options -fno-sanitize=null,nonnull-attribute,returns-nonnull-attribute)
  endif()
  target_compile_options(flame_development INTERFACE ${flame_sanitize_options})
  target_link_options(flame_development INTERFACE -fsanitize=${FLAME_SANITIZE})
endif()

# Examples and benchmarks: what a user of speed would say.
add_library(flame_fast INTERFACE)
target_link_libraries(flame_fast INTERFACE flame_development)
set(flame_fast_options "")
if(FLAME_NATIVE)
  include(CheckCXXCompilerFlag)
  check_cxx_compiler_flag(-march=native flame_has_march_native)
  if(flame_has_march_native)
    set(flame_fast_options -march=native)
  endif()
endif()
target_compile_options(flame_fast INTERFACE ${flame_fast_options})
if(FLAME_KERNELS)
  target_compile_options(flame_kernels PRIVATE ${flame_fast_options} ${flame_warnings})
  if(FLAME_SANITIZE)
    target_compile_options(flame_kernels PRIVATE ${flame_sanitize_options})
  endif()
endif()

# flame_program(<target> <folder/name.cpp> <libraries>...): one program of that file, and of every .cpp in a folder
# beside it that bears its name (a program of several files).
function(flame_program target source)
  cmake_path(GET source STEM name)
  cmake_path(GET source PARENT_PATH folder)
  file(GLOB more CONFIGURE_DEPENDS ${folder}/${name}/*.cpp)
  add_executable(${target} ${source} ${more})
  set_target_properties(${target} PROPERTIES OUTPUT_NAME ${name})
  target_link_libraries(${target} PRIVATE ${ARGN})
endfunction()

# flame_line(<variable> <source> <key>): the words after the first "// key:" in a source, "" where there is none.
function(flame_line variable source key)
  file(STRINGS ${source} lines REGEX "^// ${key}:" LIMIT_COUNT 1)
  string(REGEX REPLACE "^// ${key}: *" "" words "${lines}")
  set(${variable} "${words}" PARENT_SCOPE)
endfunction()

# flame_has_line(<variable> <source> <key>): whether a source has such a line at all.
function(flame_has_line variable source key)
  file(STRINGS ${source} lines REGEX "^// ${key}:" LIMIT_COUNT 1)
  if(lines)
    set(${variable} TRUE PARENT_SCOPE)
  else()
    set(${variable} FALSE PARENT_SCOPE)
  endif()
endfunction()
