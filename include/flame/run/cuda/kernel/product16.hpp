// Products of matrices of bf16 or f16 on tensor cores, for many small ones at once: tiles in shared memory,
// sums in f32.
#pragma once
#include <flame/run/cuda/kernel/product.hpp>

namespace flame::kernel {

#if defined(__CUDACC__)

// sum += rows columns: 16 rows and 8 columns, 16 deep, a warp's (PTX ISA, mma.sync m16n8k16).
template <int Element>
FLAME_DEVICE void multiply_add(float (&sum)[4], const u32 (&rows)[4], const u32 (&columns)[2]) {
  if constexpr (Element == 2)
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
        "{%0,%1,%2,%3};"
        : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
        : "r"(rows[0]), "r"(rows[1]), "r"(rows[2]), "r"(rows[3]), "r"(columns[0]), "r"(columns[1]));
  else
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
        "{%0,%1,%2,%3};"
        : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
        : "r"(rows[0]), "r"(rows[1]), "r"(rows[2]), "r"(rows[3]), "r"(columns[0]), "r"(columns[1]));
}

// One operand's tile in shared memory: lines of the depth, one for each row, whichever way it lies in memory.
template <bool Deep, int Vector, int Rows, int Depth, int Threads> struct product16_tile {
  static constexpr int pitch = Depth + 8;  // from a line to the next: 8 rows' words lie in different banks
  static constexpr int size = Rows * pitch;
  static constexpr int across = (Deep ? Depth : Rows) / Vector;  // pieces of a line of memory
  static constexpr int pieces = Rows * Depth / Vector, each = (pieces + Threads - 1) / Threads;
  struct alignas(2 * Vector) pack {
    u16 at[Vector];
  };
  pack held[each];

  // Zeros beyond the matrix, of which so many rows and so much depth are left.
  FLAME_DEVICE void load(const u16* from, i32 ld, int rows, int depth) {
#pragma unroll
    for (int i = 0; i < each; ++i) {
      const int index = static_cast<int>(threadIdx.x) + i * Threads;
      const int line = index / across, along = index % across * Vector;
      held[i] = pack{};
      if ((pieces % Threads == 0 || index < pieces) && line < (Deep ? rows : depth) &&
          along < (Deep ? depth : rows))
        held[i] = *reinterpret_cast<const pack*>(from + static_cast<i64>(line) * ld + along);
    }
  }
  FLAME_DEVICE void put(u16* to) const {
#pragma unroll
    for (int i = 0; i < each; ++i) {
      const int index = static_cast<int>(threadIdx.x) + i * Threads;
      if (pieces % Threads != 0 && index >= pieces) break;
      const int line = index / across, along = index % across * Vector;
      if constexpr (Deep)
        *reinterpret_cast<pack*>(to + line * pitch + along) = held[i];
      else
#pragma unroll
        for (int v = 0; v < Vector; ++v) to[(along + v) * pitch + line] = held[i].at[v];
    }
  }
};

// As product, of 16-bit elements; no clusters. A warp makes WarpM rows of the result and WarpN columns.
template <int Element, bool FirstTurned, bool SecondTurned, int FirstVector, int SecondVector,
          int ResultVector, int TileM, int TileN, int TileK, int WarpM, int WarpN>
FLAME_KERNEL void __launch_bounds__(TileM / WarpM * (TileN / WarpN) * 32)
    product16(product_arguments p, const void* first_, const void* second_, const void* bias_,
              void* result_) {
  using type = number<Element>;
  constexpr int warps_m = TileM / WarpM, threads = warps_m * (TileN / WarpN) * 32;
  using first_tile = product16_tile<FirstTurned, FirstVector, TileM, TileK, threads>;
  using second_tile = product16_tile<!SecondTurned, SecondVector, TileN, TileK, threads>;
  __shared__ alignas(16) u16 firsts[first_tile::size];
  __shared__ alignas(16) u16 seconds[second_tile::size];
  begin_kernel();

  const u16* first = static_cast<const u16*>(first_);
  const u16* second = static_cast<const u16*>(second_);
  half_word* result = static_cast<half_word*>(result_);
  const half_word* bias = static_cast<const half_word*>(bias_);
  const int tile = static_cast<int>(blockIdx.x);
  const int row = tile % p.tiles_m * TileM, column = tile / p.tiles_m * TileN;
  const product_batch batch(p);
  auto far = [](int lines, i32 ld) { return static_cast<i64>(lines) * ld; };
  first += batch.first + (FirstTurned ? far(row, p.first_ld) : i64{row});
  second += batch.second + (SecondTurned ? i64{column} : far(column, p.second_ld));
  const i64 first_step = FirstTurned ? 1 : p.first_ld, second_step = SecondTurned ? p.second_ld : 1;

  const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
  const int from_m = warp % warps_m * WarpM, from_n = warp / warps_m * WarpN;
  // The instruction's rows are the result's columns, so that a thread's two neighbours are neighbours in
  // memory.
  constexpr int each_m = WarpM / 8, each_n = WarpN / 16;
  float sum[each_n][each_m][4] = {};
  first_tile a;
  second_tile b;
  a.load(first, p.first_ld, p.m - row, p.k);
  b.load(second, p.second_ld, p.n - column, p.k);
  for (int k = 0; k < p.k; k += TileK) {
    if (k > 0) __syncthreads();
    a.put(firsts), b.put(seconds);
    __syncthreads();
    if (k + TileK < p.k) {
      a.load(first + (k + TileK) * first_step, p.first_ld, p.m - row, p.k - k - TileK);
      b.load(second + (k + TileK) * second_step, p.second_ld, p.n - column, p.k - k - TileK);
    }
#pragma unroll
    for (int d = 0; d < TileK; d += 16) {
      u32 rows[each_n][4], columns[each_m][2];
      const int line = lane / 4, along = d + lane % 4 * 2;
#pragma unroll
      for (int j = 0; j < each_n; ++j) {
        const u16* at = seconds + (from_n + j * 16 + line) * second_tile::pitch + along;
        rows[j][0] = *reinterpret_cast<const u32*>(at);
        rows[j][1] = *reinterpret_cast<const u32*>(at + 8 * second_tile::pitch);
        rows[j][2] = *reinterpret_cast<const u32*>(at + 8);
        rows[j][3] = *reinterpret_cast<const u32*>(at + 8 * second_tile::pitch + 8);
      }
#pragma unroll
      for (int i = 0; i < each_m; ++i) {
        const u16* at = firsts + (from_m + i * 8 + line) * first_tile::pitch + along;
        columns[i][0] = *reinterpret_cast<const u32*>(at);
        columns[i][1] = *reinterpret_cast<const u32*>(at + 8);
      }
#pragma unroll
      for (int j = 0; j < each_n; ++j)
#pragma unroll
        for (int i = 0; i < each_m; ++i) multiply_add<Element>(sum[j][i], rows[j], columns[i]);
    }
  }

  struct alignas(2 * ResultVector) pack {
    half_word at[ResultVector];
  };
  const int first_n = column + from_n + lane / 4, first_m = row + from_m + lane % 4 * 2;
  half_word* corner = result + batch.result + far(first_n, p.result_ld) + first_m;
  if (bias || p.scale != 1) {
#pragma unroll
    for (int i = 0; i < each_m; ++i)
#pragma unroll
      for (int v = 0; v < 2; ++v) {
        const int m = first_m + i * 8 + v;
        const float more = bias && m < p.m ? type::widen(bias[m]) : 0;
#pragma unroll
        for (int j = 0; j < each_n; ++j)
#pragma unroll
          for (int h = 0; h < 2; ++h) sum[j][i][2 * h + v] = fmaf(sum[j][i][2 * h + v], p.scale, more);
      }
  }
  auto store = [&](auto accumulate) {
#pragma unroll
    for (int j = 0; j < each_n; ++j)
#pragma unroll
      for (int h = 0; h < 2; ++h) {
        if (first_n + j * 16 + h * 8 >= p.n) continue;
        half_word* line = corner + far(j * 16 + h * 8, p.result_ld);
#pragma unroll
        for (int i = 0; i < each_m; ++i)
#pragma unroll
          for (int v = 0; v < 2; v += ResultVector) {
            if (first_m + i * 8 + v >= p.m) continue;
            pack* to = reinterpret_cast<pack*>(line + i * 8 + v);
            pack numbers{};
            if constexpr (accumulate.value) numbers = *to;
#pragma unroll
            for (int r = 0; r < ResultVector; ++r) {
              float x = sum[j][i][2 * h + v + r];
              if constexpr (accumulate.value) x += type::widen(numbers.at[r]);
              numbers.at[r] = type::narrow(x);
            }
            *to = numbers;
          }
      }
  };
  if (p.accumulate)
    store(yes{});
  else
    store(no{});
}

#endif

}  // namespace flame::kernel
