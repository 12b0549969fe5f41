// The language: floors base to plan. No backend, no Eigen, no CUDA, no Hana.
#pragma once
#include <flame/expr/attention.hpp>
#include <flame/expr/gradient.hpp>
#include <flame/expr/image.hpp>
#include <flame/expr/random.hpp>
