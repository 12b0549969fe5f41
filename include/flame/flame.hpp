// FLAME in one header: the language, tensors and both backends' functions, models, training, checkpoints. By
// themselves stand the readers of data sets and pictures (<flame/data/...>, <flame/io/png.hpp>), Eigen's maps
// (<flame/run/eigen.hpp>) and CUDA's streams and handles (<flame/run/cuda/...>).
#pragma once

// g++ looks for shadowed names when it instantiates a template, in all of the file by then: a local `x` in
// here would be said to shadow a user's input `x`.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow"

#include <flame/language.hpp>
#include <flame/version.hpp>

#include <flame/diffusion/flow.hpp>
#include <flame/expr/custom.hpp>
#include <flame/io/tensor.hpp>
#include <flame/plan/explain.hpp>
#include <flame/plan/kernels.hpp>
#include <flame/run/compare.hpp>
#include <flame/run/create.hpp>
#include <flame/run/function.hpp>
#include <flame/run/matrix.hpp>
#include <flame/run/print.hpp>
#include <flame/run/watch.hpp>

// nvcc 13.0 breaks off with an internal error at optim/optimizer.hpp: in a .cu file there are tensors and
// formulas.
#if !defined(__CUDACC__)
#include <flame/io/checkpoint.hpp>
#include <flame/nn/attention.hpp>
#include <flame/nn/forward.hpp>
#include <flame/nn/layers.hpp>
#include <flame/nn/lora.hpp>
#include <flame/nn/norm.hpp>
#include <flame/nn/sequential.hpp>
#include <flame/nn/summary.hpp>
#include <flame/nn/transposed.hpp>
#include <flame/optim/schedule.hpp>
#include <flame/train/resume.hpp>
#include <flame/train/step.hpp>
#endif

#pragma GCC diagnostic pop
