// Training steps on CUDA, compiled once for all users of flame::cuda.
#include <flame/train/engine_definitions.hpp>

template class flame::detail::step_engine<flame::cuda, flame::f32>;
template class flame::detail::step_engine<flame::cuda, flame::f64>;
