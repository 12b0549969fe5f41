// The engine of training steps: loss, gradients, clipping, optimizer and moving average planned as one
// program. It knows neither the model nor the loss but as functions and tables, so that a program with many
// losses compiles it once.
#pragma once
#include <flame/train/engine_interface.hpp>

#if !defined(FLAME_HOST_COMPILED)
#include <flame/train/engine_definitions.hpp>
#endif
