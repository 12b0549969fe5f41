// All of FLAME: one header.
#pragma once

// g++ looks for shadowed names when it instantiates a template, in all of the file by then: a local `x` in here would
// be said to shadow a user's input `x`.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow"

#include <flame/language.hpp>
#include <flame/version.hpp>

#include <flame/expr/custom.hpp>
#include <flame/io/tensor.hpp>
#include <flame/plan/explain.hpp>
#include <flame/plan/kernels.hpp>
#include <flame/run/compare.hpp>
#include <flame/run/create.hpp>
#include <flame/run/function.hpp>
#include <flame/run/matrix.hpp>
#include <flame/run/print.hpp>

#pragma GCC diagnostic pop
