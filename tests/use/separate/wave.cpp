// Defines wave, by a call of a function of a third file.
#include "wave.hpp"

FLAME_DEFINE(waves::wave, [](auto h, auto w) {
  return flame::outputs(h * sin(waves::mixer(h, w)), sum(h, waves::channel));
})
