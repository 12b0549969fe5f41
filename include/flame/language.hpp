// The language: floors base to plan. No backend, no Eigen, no CUDA, no Hana.
#pragma once
#include <flame/expr/attention.hpp>
#include <flame/expr/drop.hpp>
#include <flame/expr/gradient.hpp>
#include <flame/expr/image.hpp>
#include <flame/expr/loss.hpp>
#include <flame/expr/mask.hpp>
#include <flame/expr/norm.hpp>
#include <flame/expr/order.hpp>
#include <flame/expr/patch.hpp>
#include <flame/expr/random.hpp>
#include <flame/expr/rotary.hpp>
#include <flame/expr/transposed.hpp>
