// What runs a program on each backend: with run/storage.hpp, the file outside of their folders that knows
// them.
#pragma once
#include <flame/run/executable_interface.hpp>
#include <flame/run/host/execute.hpp>

#if !defined(FLAME_HOST_COMPILED)
#include <flame/run/host/lower.hpp>
#endif
