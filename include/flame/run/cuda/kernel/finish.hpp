// What blocks have summed, combined in the order of the blocks and stored.
#pragma once
#include <flame/run/cuda/kernel/group.hpp>

namespace flame::kernel {

// A block has 32 columns and Teams teams; team t takes the chunks t, t + Teams, ...
template <int Op, int D, int Stored, int Teams>
__global__ void __launch_bounds__(32 * Teams) finish(const __grid_constant__ finish_arguments args) {
  using R = reduction<static_cast<op>(Op), computed<D>>;
  using state = typename R::state;
  begin_kernel();
  __shared__ __align__(16) char memory[sizeof(state) * 32 * Teams];
  state* shared = reinterpret_cast<state*>(memory);
  const int lane = static_cast<int>(threadIdx.x) % 32, team = static_cast<int>(threadIdx.x) / 32;
  const u32 batch = quotient(blockIdx.x, args.blocks);
  const i64 column = i64{blockIdx.x - batch * args.blocks.number} * 32 + lane;
  const int job = static_cast<int>(blockIdx.y);
  state x = R::none();
  if (column < args.columns) {
    const state* from =
        static_cast<const state*>(args.partial[job]) + i64{batch} * args.chunks * args.columns + column;
#pragma unroll 8
    for (i64 k = team; k < args.chunks; k += Teams) x = R::both(x, from[k * args.columns]);
  }
  shared[team * 32 + lane] = x;
  __syncthreads();
  if (team != 0 || column >= args.columns) return;
  for (int t = 1; t < Teams; ++t) x = R::both(x, shared[t * 32 + lane]);
  i64 at = 0;
  u32 rest = static_cast<u32>(column);
  int axis = args.over.batch_rank + args.over.inner_rank - 1;
  for (int k = 0; k < args.over.inner_rank; ++k, --axis) {
    const u32 q = quotient(rest, args.over.axes[axis]);
    at += static_cast<i64>(rest - q * args.over.axes[axis].number) * args.out[job].strides[axis];
    rest = q;
  }
  rest = batch;
  for (int k = 0; k < args.over.batch_rank; ++k, --axis) {
    const u32 q = quotient(rest, args.over.axes[axis]);
    at += static_cast<i64>(rest - q * args.over.axes[axis].number) * args.out[job].strides[axis];
    rest = q;
  }
  static_cast<stored<Stored>*>(args.out[job].memory)[at] =
      element<Stored>::write(static_cast<computed<Stored>>(R::result(x)));
}

}  // namespace flame::kernel
