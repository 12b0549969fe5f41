// What the kernels of library steps share: numbers of every element type, vectors of them, and who a thread
// is.
#pragma once
#include <flame/base/config.hpp>

// The text of these kernels is CUDA C++ for nvcc and NVRTC, and plain C++ for any other compiler: there a
// kernel is a function that runs one thread, whose number is set beforehand. So they are tested where there
// is no GPU. Threads of one kernel never wait for each other.
#if defined(__CUDACC__)
#define FLAME_KERNEL __global__
#define FLAME_DEVICE __device__ __forceinline__
#else
#define FLAME_KERNEL inline
#define FLAME_DEVICE inline
#endif

namespace flame::kernel {

#if !defined(__CUDACC__)
inline thread_local i64 emulated_thread = 0;
#endif

// What every kernel does before it reads or writes memory. In a graph, a kernel may be started while those
// that it waits for still run (run/cuda/step_graph.hpp): it lets those that wait for it start, and waits.
//
// To let them start costs 0.6 ns a block on an H200 and gains something where all blocks run at once; blocks
// that do not say so do when they end.
inline constexpr u32 blocks_at_once = 160;
FLAME_DEVICE void let_others_start() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;");
#endif
}
FLAME_DEVICE void wait_for_others() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}
FLAME_DEVICE void begin_kernel() {
  let_others_start();
  wait_for_others();
}

// The number of this thread in the grid; what kernels with a thread for each element begin with.
FLAME_DEVICE i64 thread_number() {
#if defined(__CUDA_ARCH__)
  if (blockIdx.x < blocks_at_once) let_others_start();
  wait_for_others();
  return static_cast<i64>(blockIdx.x) * blockDim.x + threadIdx.x;
#elif defined(__CUDACC__)
  return 0;  // nvcc's pass over the host's code
#else
  return emulated_thread;
#endif
}

// n % by, and n becomes n / by. Divisions of 64 bits are some eight times as slow.
FLAME_DEVICE i64 split(i64& n, i64 by) {
  if (((n | by) >> 32) == 0) {
    const u32 a = static_cast<u32>(n), b = static_cast<u32>(by);
    n = a / b;
    return a % b;
  }
  const i64 rest = n % by;
  n /= by;
  return rest;
}

FLAME_DEVICE i64 smaller_of(i64 a, i64 b) { return a < b ? a : b; }
FLAME_DEVICE i64 larger_of(i64 a, i64 b) { return a > b ? a : b; }
// The quotient rounded up, for b > 0; 0 where a < 0.
FLAME_DEVICE i64 quotient_up(i64 a, i64 b) { return a <= 0 ? 0 : (a + b - 1) / b; }

struct half_word {
  u16 bits;
};

FLAME_DEVICE float float_of(u32 bits) { return __builtin_bit_cast(float, bits); }
FLAME_DEVICE u32 bits_of(float x) { return __builtin_bit_cast(u32, x); }

FLAME_DEVICE half_word bf16_of(float x) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  half_word y;
  asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(y.bits) : "f"(x));
  return y;
#else
  const u32 b = bits_of(x);
  if ((b & 0x7fffffffu) > 0x7f800000u) return {static_cast<u16>((b >> 16) | 0x40u)};
  return {static_cast<u16>((b + 0x7fffu + ((b >> 16) & 1u)) >> 16)};
#endif
}
FLAME_DEVICE float from_bf16(half_word x) { return float_of(static_cast<u32>(x.bits) << 16); }

FLAME_DEVICE half_word f16_of(float x) {
#if defined(__CUDA_ARCH__)
  half_word y;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(y.bits) : "f"(x));
  return y;
#else
  const u32 b = bits_of(x), sign = (b >> 16) & 0x8000u, magnitude = b & 0x7fffffffu;
  if (magnitude > 0x7f800000u) return {static_cast<u16>(sign | 0x7e00u)};
  if (magnitude >= 0x477ff000u) return {static_cast<u16>(sign | 0x7c00u)};
  if (magnitude >= 0x38800000u)
    return {static_cast<u16>(sign | ((magnitude + 0xfffu + ((magnitude >> 13) & 1u) - 0x38000000u) >> 13))};
  // Adding 1/2 leaves the multiples of 2^-24 in the last bits, rounded to nearest even.
  const u32 shifted = bits_of(float_of(magnitude) + 0.5f) - 0x3f000000u;
  return {static_cast<u16>(sign | shifted)};
#endif
}
FLAME_DEVICE float from_f16(half_word x) {
#if defined(__CUDA_ARCH__)
  float y;
  asm("cvt.f32.f16 %0, %1;" : "=f"(y) : "h"(x.bits));
  return y;
#else
  const u32 sign = (x.bits & 0x8000u) << 16, e = (x.bits >> 10) & 0x1fu, m = x.bits & 0x3ffu;
  if (e == 31) return float_of(sign | 0x7f800000u | (m << 13));
  if (e != 0) return float_of(sign | ((e + 112u) << 23) | (m << 13));
  const float f = static_cast<float>(m) * 0x1p-24f;
  return sign ? -f : f;
#endif
}

// Numbers by the numbers of flame::dtype: how they lie in memory, and as what they are added up.
template <int Element> struct number;
template <> struct number<0> {
  using stored = float;
  using sum = float;
  static FLAME_DEVICE float widen(float x) { return x; }
  static FLAME_DEVICE float narrow(float x) { return x; }
};
template <> struct number<1> {
  using stored = double;
  using sum = double;
  static FLAME_DEVICE double widen(double x) { return x; }
  static FLAME_DEVICE double narrow(double x) { return x; }
};
template <> struct number<2> {
  using stored = half_word;
  using sum = float;
  static FLAME_DEVICE float widen(half_word x) { return from_bf16(x); }
  static FLAME_DEVICE half_word narrow(float x) { return bf16_of(x); }
};
template <> struct number<3> {
  using stored = half_word;
  using sum = float;
  static FLAME_DEVICE float widen(half_word x) { return from_f16(x); }
  static FLAME_DEVICE half_word narrow(float x) { return f16_of(x); }
};
// Integers are added up without a sign: they wrap around.
template <> struct number<4> {
  using stored = i32;
  using sum = u32;
  static FLAME_DEVICE u32 widen(i32 x) { return static_cast<u32>(x); }
  static FLAME_DEVICE i32 narrow(u32 x) { return static_cast<i32>(x); }
};
template <> struct number<5> {
  using stored = i64;
  using sum = u64;
  static FLAME_DEVICE u64 widen(i64 x) { return static_cast<u64>(x); }
  static FLAME_DEVICE i64 narrow(u64 x) { return static_cast<i64>(x); }
};
template <> struct number<6> {
  using stored = u8;
  using sum = u32;
  static FLAME_DEVICE u32 widen(u8 x) { return x; }
  static FLAME_DEVICE u8 narrow(u32 x) { return static_cast<u8>(x); }
};

// Width numbers side by side, read and written at once: memory is aligned to all of them.
template <int Element, int Width> struct numbers {
  using stored = typename number<Element>::stored;
  using sum = typename number<Element>::sum;
  struct alignas(sizeof(stored) * Width) memory {
    stored at[Width];
  };
  sum at[Width];

  static FLAME_DEVICE numbers read(const void* from, i64 offset) {
    const memory m = *reinterpret_cast<const memory*>(static_cast<const stored*>(from) + offset);
    numbers x;
    for (int i = 0; i < Width; ++i) x.at[i] = number<Element>::widen(m.at[i]);
    return x;
  }
  FLAME_DEVICE void write(void* to, i64 offset) const {
    memory m;
    for (int i = 0; i < Width; ++i) m.at[i] = number<Element>::narrow(at[i]);
    *reinterpret_cast<memory*>(static_cast<stored*>(to) + offset) = m;
  }
  static FLAME_DEVICE numbers all(sum value) {
    numbers x;
    for (int i = 0; i < Width; ++i) x.at[i] = value;
    return x;
  }
};

// What a kernel found wrong, in memory of the device: the first finder writes. step 0: nothing.
struct fault {
  u32 step;  // the number by which the host knows the step
  u32 unused;
  i64 value;
};

FLAME_DEVICE void report(fault* to, u32 step, i64 value) {
#if defined(__CUDA_ARCH__)
  if (atomicCAS(&to->step, 0u, step) == 0) to->value = value;
#else
  if (to->step == 0) to->step = step, to->value = value;
#endif
}

}  // namespace flame::kernel
