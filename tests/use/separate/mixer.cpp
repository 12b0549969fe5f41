// Defines mixer.
#include "wave.hpp"

FLAME_DEFINE(waves::mixer, [](auto h, auto w) { return waves::mixed(h, w); })
