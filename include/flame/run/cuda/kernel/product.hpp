// Products of matrices without tensor cores: tiles that come to shared memory while others are summed, sums
// in registers, and, for few and deep sums, clusters of blocks that share one tile's depth.
#pragma once
#include <flame/run/cuda/kernel/arguments.hpp>
#include <flame/run/cuda/kernel/half.hpp>

namespace flame::kernel {

inline constexpr int product_axes = 4;

// result[m, n] = scale * first[m, k] second[k, n] + bias[m], or += it, column-major: element (i, j) at i + j
// ld, or at j + i ld where the operand is turned; again for each element of `axes`.
struct product_arguments {
  i32 m, n, k;
  i32 tiles_m;  // how many tiles m makes
  i32 parts;    // blocks of a cluster, among which k is cut
  i32 depth;    // of k that each of them sums, a multiple of the tile's
  i32 accumulate;
  float scale;
  i32 first_ld, second_ld, result_ld;
  i32 axes;
  divisor extents[product_axes];
  i64 first[product_axes], second[product_axes], result[product_axes];
};

#if defined(__CUDACC__)

// As a template's argument, for lambdas.
struct yes {
  static constexpr bool value = true;
};
struct no {
  static constexpr bool value = false;
};

// Where a block's matrices begin.
struct product_batch {
  i64 first = 0, second = 0, result = 0;

  FLAME_DEVICE explicit product_batch(const product_arguments& p) {
    u32 rest = blockIdx.y;
    for (int i = p.axes - 1; i >= 0; --i) {
      const u32 above = quotient(rest, p.extents[i]);
      const i64 at = rest - above * p.extents[i].number;
      rest = above;
      first += at * p.first[i], second += at * p.second[i], result += at * p.result[i];
    }
  }
};

FLAME_DEVICE u32 shared_address(const void* p) { return static_cast<u32>(__cvta_generic_to_shared(p)); }

// Bytes from memory to shared memory, in the background; zeros where `inside` is not.
template <int Bytes> FLAME_DEVICE void fetch(u32 to, const void* from, bool inside) {
  const int read = inside ? Bytes : 0;
  if constexpr (Bytes == 16)
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(from), "r"(read) : "memory");
  else
    asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;" ::"r"(to), "l"(from), "n"(Bytes), "r"(read)
                 : "memory");
}
FLAME_DEVICE void end_fetches() { asm volatile("cp.async.commit_group;" ::: "memory"); }
template <int Later> FLAME_DEVICE void wait_for_fetches() {
  asm volatile("cp.async.wait_group %0;" ::"n"(Later) : "memory");
}
FLAME_DEVICE void wait_for_cluster() {
  asm volatile("barrier.cluster.arrive.release.aligned;\n barrier.cluster.wait.acquire.aligned;" ::
                   : "memory");
}
// A number at the same place in the shared memory of another block of the cluster.
FLAME_DEVICE float from_block(u32 address, u32 block) {
  float x;
  asm volatile("{ .reg .b32 a;\n mapa.shared::cluster.u32 a, %1, %2;\n ld.shared::cluster.f32 %0, [a]; }"
               : "=f"(x)
               : "r"(address), "r"(block)
               : "memory");
  return x;
}

// One operand's tile in shared memory, as it lies in memory: lines of the depth, one for each row, where Deep
// (the depth lies side by side), else lines of rows, one for each of the depth. Vector: elements that are
// fetched at once.
template <bool Deep, int Vector, int Rows, int Depth, int Threads> struct product_tile {
  static constexpr int across = Deep ? Depth : Rows;  // of a line
  static constexpr int pitch = across + 4;            // from a line to the next: no two of 8 in one bank
  static constexpr int lines = Deep ? Rows : Depth, size = lines * pitch;
  static constexpr int pieces = lines * across / Vector, each = (pieces + Threads - 1) / Threads;

  const float* from[each];
  bool inside[each];
  i64 step;  // to the next tile

  // matrix: the tile's first element; rows: of the matrix, from the tile's first on.
  FLAME_DEVICE product_tile(const float* matrix, i32 ld, int rows)
      : step(Deep ? Depth : static_cast<i64>(Depth) * ld) {
#pragma unroll
    for (int i = 0; i < each; ++i) {
      const int line = line_of(i), along = along_of(i);
      inside[i] = (Deep ? line : along) < rows && (pieces % Threads == 0 || line < lines);
      from[i] = matrix + (inside[i] ? static_cast<i64>(line) * ld + along : 0);
    }
  }
  static FLAME_DEVICE int line_of(int i) {
    return (static_cast<int>(threadIdx.x) + i * Threads) / (across / Vector);
  }
  static FLAME_DEVICE int along_of(int i) {
    return (static_cast<int>(threadIdx.x) + i * Threads) % (across / Vector) * Vector;
  }
  // Begins to fetch the tile, of which so much of the depth is left, and goes on to the next.
  FLAME_DEVICE void fetch_next(u32 to, int left) {
#pragma unroll
    for (int i = 0; i < each; ++i) {
      const int line = line_of(i), along = along_of(i);
      if (pieces % Threads == 0 || line < lines)
        fetch<4 * Vector>(to + 4 * static_cast<u32>(line * pitch + along), from[i],
                          inside[i] && (Deep ? along : line) < left);
      from[i] += step;
    }
  }
  // Of four in the depth from d on.
  static FLAME_DEVICE void read(const float* tile, int row, int d, float (&to)[4]) {
    if constexpr (Deep) {
      const float4 x = *reinterpret_cast<const float4*>(tile + row * pitch + d);
      to[0] = x.x, to[1] = x.y, to[2] = x.z, to[3] = x.w;
    } else {
#pragma unroll
      for (int i = 0; i < 4; ++i) to[i] = tile[(d + i) * pitch + row];
    }
  }
};

// Blocks of a multiprocessor that a kernel must leave registers for; 0: compilers choose, who give 256
// threads so few that some spill.
constexpr int product_blocks(int threads) { return threads >= 256 ? 1 : 0; }

// Vectors: elements of f32 that are fetched at once; Run: neighbours in m that are one thread's, 4 where the
// result and the first operand lie so that this is quick.
template <bool FirstTurned, bool SecondTurned, int FirstVector, int SecondVector, int Run, int TileM,
          int TileN, int TileK, int EachM, int EachN, int Stages>
FLAME_KERNEL void __launch_bounds__(TileM / EachM * (TileN / EachN),
                                    product_blocks(TileM / EachM * (TileN / EachN)))
    product(product_arguments p, const float* first, const float* second, const float* bias, float* result) {
  constexpr int threads = TileM / EachM * (TileN / EachN), warps_m = TileM / EachM / 8;
  constexpr int run_m = EachM % Run == 0 ? Run : 1, run_n = SecondTurned && EachN % 4 == 0 ? 4 : 1;
  using first_tile = product_tile<FirstTurned, FirstVector, TileM, TileK, threads>;
  using second_tile = product_tile<!SecondTurned, SecondVector, TileN, TileK, threads>;
  constexpr int stage = first_tile::size + second_tile::size, parts_size = TileM * TileN;
  __shared__ alignas(16) float memory[Stages * stage > parts_size ? Stages * stage : parts_size];

  begin_kernel();
  const int parts = p.parts, part = static_cast<int>(blockIdx.x) % parts;
  const int tile = static_cast<int>(blockIdx.x) / parts;
  const int row = tile % p.tiles_m * TileM, column = tile / p.tiles_m * TileN;
  const product_batch batch(p);
  first += batch.first, second += batch.second, result += batch.result;
  const int begin = part * p.depth, end = begin + p.depth < p.k ? begin + p.depth : p.k;
  auto far = [](int lines, i32 ld) { return static_cast<i64>(lines) * ld; };
  first_tile a(first + (FirstTurned ? far(row, p.first_ld) + begin : row + far(begin, p.first_ld)),
               p.first_ld, p.m - row);
  second_tile b(second + (SecondTurned ? column + far(begin, p.second_ld) : far(column, p.second_ld) + begin),
                p.second_ld, p.n - column);
  const u32 shared = shared_address(memory);
  int fetched = begin, to = 0;
  auto fetch_tile = [&] {
    if (fetched < end) {
      a.fetch_next(shared + 4 * static_cast<u32>(to * stage), end - fetched);
      b.fetch_next(shared + 4 * static_cast<u32>(to * stage + first_tile::size), end - fetched);
    }
    end_fetches();
    fetched += TileK;
    to = to + 1 == Stages ? 0 : to + 1;
  };

  const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
  const int tm = warp % warps_m * 8 + lane % 8, tn = warp / warps_m * 4 + lane / 8;
  // Number i of a thread's is this one of the tile's.
  auto place_m = [&](int i) { return i / run_m * (TileM / EachM * run_m) + tm * run_m + i % run_m; };
  auto place_n = [&](int j) { return j / run_n * (TileN / EachN * run_n) + tn * run_n + j % run_n; };

  float sum[EachN][EachM] = {};
#pragma unroll
  for (int s = 0; s + 1 < Stages; ++s) fetch_tile();
  int now = 0;
  for (int k = begin; k < end; k += TileK) {
    wait_for_fetches<Stages - 2>();
    __syncthreads();
    fetch_tile();
    const float *firsts = memory + now * stage, *seconds = firsts + first_tile::size;
#pragma unroll
    for (int d = 0; d < TileK; d += 4) {
      float x[EachM][4], y[EachN][4];
#pragma unroll
      for (int i = 0; i < EachM; ++i) first_tile::read(firsts, place_m(i), d, x[i]);
#pragma unroll
      for (int j = 0; j < EachN; ++j) second_tile::read(seconds, place_n(j), d, y[j]);
#pragma unroll
      for (int e = 0; e < 4; ++e)
#pragma unroll
        for (int j = 0; j < EachN; ++j)
#pragma unroll
          for (int i = 0; i < EachM; ++i) sum[j][i] = fmaf(x[i][e], y[j][e], sum[j][i]);
    }
    now = now + 1 == Stages ? 0 : now + 1;
  }

  result += row + far(column, p.result_ld);
  if (bias || p.scale != 1) {
#pragma unroll
    for (int i = 0; i < EachM; ++i) {
      const float more = bias && part == 0 && row + place_m(i) < p.m ? bias[row + place_m(i)] : 0;
#pragma unroll
      for (int j = 0; j < EachN; ++j) sum[j][i] = bias ? fmaf(sum[j][i], p.scale, more) : sum[j][i] * p.scale;
    }
  }
  auto store = [&](auto accumulate) {
#pragma unroll
    for (int j = 0; j < EachN; ++j) {
      if (column + place_n(j) >= p.n) continue;
      float* line = result + far(place_n(j), p.result_ld) + tm * run_m;
#pragma unroll
      for (int i = 0; i < EachM; i += run_m) {
        if (row + place_m(i) >= p.m) continue;
        float* at = line + (place_m(i) - tm * run_m);
        if constexpr (run_m == 4) {
          float4 x = {sum[j][i], sum[j][i + 1], sum[j][i + 2], sum[j][i + 3]};
          if constexpr (accumulate.value) {
            const float4 before = *reinterpret_cast<float4*>(at);
            x.x += before.x, x.y += before.y, x.z += before.z, x.w += before.w;
          }
          *reinterpret_cast<float4*>(at) = x;
        } else {
          *at = accumulate.value ? *at + sum[j][i] : sum[j][i];
        }
      }
    }
  };
  if (parts == 1) {
    if (p.accumulate)
      store(yes{});
    else
      store(no{});
    return;
  }
#if __CUDA_ARCH__ >= 900
  // Each block adds up its share of the tile over all blocks of the cluster, in their order.
  wait_for_fetches<0>();
  __syncthreads();
#pragma unroll
  for (int j = 0; j < EachN; ++j)
#pragma unroll
    for (int i = 0; i < EachM; ++i) memory[place_n(j) * TileM + place_m(i)] = sum[j][i];
  wait_for_cluster();
  const int share = parts_size / parts;
  for (int e = static_cast<int>(threadIdx.x); e < share; e += threads) {
    const int at = part * share + e, i = at % TileM, j = at / TileM;
    const u32 address = shared_address(memory + at);
    float x = 0;
    for (int q = 0; q < parts; q += 2) {
      const float one = from_block(address, static_cast<u32>(q)),
                  other = from_block(address, static_cast<u32>(q + 1));
      x += one, x += other;
    }
    if (row + i >= p.m || column + j >= p.n) continue;
    float* to_result = result + i + far(j, p.result_ld);
    *to_result = p.accumulate ? *to_result + x : x;
  }
  wait_for_cluster();  // the others read this block's memory
#endif
}

#endif

}  // namespace flame::kernel
