// The version of FLAME: the one place where it is written; CMake reads it from here.
#pragma once

#define FLAME_VERSION_MAJOR 0
#define FLAME_VERSION_MINOR 1
#define FLAME_VERSION_PATCH 0

namespace flame {

inline constexpr struct version_number {
  int major, minor, patch;
} version{FLAME_VERSION_MAJOR, FLAME_VERSION_MINOR, FLAME_VERSION_PATCH};

}  // namespace flame
