# What flame::flame links, looked for in one way by this tree and by an installed package.
# Eigen is none of it: who includes <flame/run/eigen.hpp> links Eigen3::Eigen too.
# Sets flame_dependencies (targets) and flame_missing (what was not found, in words); stops nothing itself.
set(flame_dependencies)
set(flame_missing)

macro(flame_dependency target words)
  if(TARGET ${target})
    list(APPEND flame_dependencies ${target})
  else()
    list(APPEND flame_missing "${words}")
  endif()
endmacro()

if(POLICY CMP0167)  # CMake 3.30 dropped FindBoost; Boost's own package is the same to us
  cmake_policy(PUSH)
  cmake_policy(SET CMP0167 NEW)
endif()

# A consumer may have made any of these targets itself (a vendored copy, say): then nothing is looked for.
if(NOT TARGET Boost::headers)
  find_package(Boost 1.74 QUIET)
endif()
if(NOT TARGET nlohmann_json::nlohmann_json)
  find_package(nlohmann_json 3.9 QUIET CONFIG)
endif()
if(NOT TARGET ZLIB::ZLIB)
  find_package(ZLIB QUIET)
endif()
if(NOT TARGET PNG::PNG)
  find_package(PNG QUIET)
endif()
if(NOT TARGET Threads::Threads)
  find_package(Threads QUIET)
endif()

if(POLICY CMP0167)
  cmake_policy(POP)
endif()

flame_dependency(Boost::headers "Boost 1.74 or newer, headers only, for Hana (libboost-dev)")
flame_dependency(nlohmann_json::nlohmann_json "nlohmann/json 3.9 or newer (nlohmann-json3-dev)")
flame_dependency(ZLIB::ZLIB "zlib (zlib1g-dev)")
flame_dependency(PNG::PNG "libpng (libpng-dev)")
flame_dependency(Threads::Threads "threads (a C++ compiler's own)")
