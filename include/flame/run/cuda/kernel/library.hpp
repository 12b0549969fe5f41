// Every kernel of library steps: pooling, indexing, and what runs where cuBLASLt and cuDNN have nothing.
#pragma once
#include <flame/run/cuda/kernel/conv.hpp>
#include <flame/run/cuda/kernel/copy.hpp>
#include <flame/run/cuda/kernel/half.hpp>
#include <flame/run/cuda/kernel/index.hpp>
#include <flame/run/cuda/kernel/numbers.hpp>
#include <flame/run/cuda/kernel/order.hpp>
#include <flame/run/cuda/kernel/pool.hpp>
#include <flame/run/cuda/kernel/range.hpp>
