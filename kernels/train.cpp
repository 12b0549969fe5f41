// Training steps, compiled once for all users of flame::kernels.
#include <flame/train/engine_definitions.hpp>

template class flame::detail::step_engine<flame::host, flame::f32>;
template class flame::detail::step_engine<flame::host, flame::f64>;
