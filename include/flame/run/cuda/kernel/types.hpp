// Element types in a kernel: how a number lies in memory, and as what it is computed.
#pragma once
#include <flame/run/cuda/kernel/half.hpp>

// Kernel headers include only each other and a few of the floors base to graph that need no library: NVRTC
// compiles them from their text alone.
namespace flame::kernel {

// By the numbers of flame::dtype.
inline constexpr int f32_ = 0, f64_ = 1, bf16_ = 2, f16_ = 3, i32_ = 4, i64_ = 5, u8_ = 6, boolean_ = 7,
                     key_ = 8;

template <int D> struct element;
template <> struct element<f32_> {
  using stored = float;
  using computed = float;
  static __device__ float read(float x) { return x; }
  static __device__ float write(float x) { return x; }
};
template <> struct element<f64_> {
  using stored = double;
  using computed = double;
  static __device__ double read(double x) { return x; }
  static __device__ double write(double x) { return x; }
};
template <> struct element<bf16_> {
  using stored = half_word;
  using computed = float;
  static __device__ float read(half_word x) { return from_bf16(x); }
  static __device__ half_word write(float x) {
    half_word y;
    asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(y.bits) : "f"(x));
    return y;
  }
};
template <> struct element<f16_> {
  using stored = half_word;
  using computed = float;
  static __device__ float read(half_word x) { return from_f16(x); }
  static __device__ half_word write(float x) { return f16_of(x); }
};
template <> struct element<i32_> {
  using stored = i32;
  using computed = i32;
  static __device__ i32 read(i32 x) { return x; }
  static __device__ i32 write(i32 x) { return x; }
};
template <> struct element<i64_> {
  using stored = i64;
  using computed = i64;
  static __device__ i64 read(i64 x) { return x; }
  static __device__ i64 write(i64 x) { return x; }
};
template <> struct element<u8_> {
  using stored = u8;
  using computed = i32;
  static __device__ i32 read(u8 x) { return x; }
  static __device__ u8 write(i32 x) { return static_cast<u8>(x); }
};
template <> struct element<boolean_> {
  using stored = u8;
  using computed = bool;
  static __device__ bool read(u8 x) { return x != 0; }
  static __device__ u8 write(bool x) { return x ? u8{1} : u8{0}; }
};
template <> struct element<key_> {
  using stored = u64;
  using computed = u64;
  static __device__ u64 read(u64 x) { return x; }
  static __device__ u64 write(u64 x) { return x; }
};

consteval int size_of_element(int d) {
  return d == f64_ || d == i64_ || d == key_ ? 8
         : d == f32_ || d == i32_            ? 4
         : d == bf16_ || d == f16_           ? 2
                                             : 1;
}

template <int D> using stored = typename element<D>::stored;
template <int D> using computed = typename element<D>::computed;

// Numbers of 32 and 64 bits and their bits. (nvcc 13.0 crashes on __builtin_bit_cast of a dependent type.)
__device__ __forceinline__ void from_bits(u64 bits, float& x) { x = __uint_as_float(static_cast<u32>(bits)); }
__device__ __forceinline__ void from_bits(u64 bits, double& x) {
  x = __longlong_as_double(static_cast<i64>(bits));
}
template <class T> __device__ __forceinline__ void from_bits(u64 bits, T& x) { x = static_cast<T>(bits); }
__device__ __forceinline__ u64 to_bits(float x) { return __float_as_uint(x); }
__device__ __forceinline__ u64 to_bits(double x) { return static_cast<u64>(__double_as_longlong(x)); }
template <class T> __device__ __forceinline__ u64 to_bits(T x) { return static_cast<u64>(x); }

// N elements that are read and written in accesses of up to 16 bytes; memory is aligned to that. `words` are
// how they lie in memory: registers have 32 bits.
template <int D, int N> struct pack {
  static constexpr int bytes = N * static_cast<int>(sizeof(stored<D>));
  static constexpr int alignment = bytes >= 16 ? 16 : bytes;
  struct alignas(alignment) array {
    stored<D> item[N];
  };
  struct alignas(alignment < 4 ? 4 : alignment) words {
    static constexpr int count = (bytes + 3) / 4;
    u32 word[count];

    __device__ __forceinline__ computed<D> get(int i) const {
      if constexpr (sizeof(stored<D>) >= 4) {
        stored<D> x;
        if constexpr (sizeof(x) == 8)
          from_bits(u64{word[2 * i]} | u64{word[2 * i + 1]} << 32, x);
        else
          from_bits(word[i], x);
        return element<D>::read(x);
      } else if constexpr (sizeof(stored<D>) == 2) {
        return element<D>::read(stored<D>{static_cast<u16>(word[i / 2] >> (16 * (i % 2)))});
      } else {
        return element<D>::read(static_cast<stored<D>>(word[i / 4] >> (8 * (i % 4)) & 0xff));
      }
    }
    __device__ __forceinline__ void set(int i, stored<D> x) {
      if constexpr (sizeof(stored<D>) == 8) {
        const u64 bits = to_bits(x);
        word[2 * i] = static_cast<u32>(bits), word[2 * i + 1] = static_cast<u32>(bits >> 32);
      } else if constexpr (sizeof(stored<D>) == 4) {
        word[i] = static_cast<u32>(to_bits(x));
      } else if constexpr (sizeof(stored<D>) == 2) {
        word[i / 2] |= u32{x.bits} << (16 * (i % 2));
      } else {
        word[i / 4] |= static_cast<u32>(x) << (8 * (i % 4));
      }
    }
  };

  // Whole words, where there are any.
  static __device__ __forceinline__ words read(const void* memory, i64 at) {
    const stored<D>* from = static_cast<const stored<D>*>(memory) + at;
    if constexpr (bytes % 4 == 0) {
      return *reinterpret_cast<const words*>(from);
    } else if constexpr (bytes == 2) {
      return {{*reinterpret_cast<const u16*>(from)}};
    } else {
      words w{};
#pragma unroll
      for (int i = 0; i < N; ++i) w.set(i, from[i]);
      return w;
    }
  }
  // The same of memory that neither this warp nor its neighbours read in a row: whole lines of 128 bytes are
  // fetched into the L2 cache.
  static __device__ __forceinline__ words read_line(const void* memory, i64 at) {
    const stored<D>* from = static_cast<const stored<D>*>(memory) + at;
    if constexpr (bytes == 4 || bytes == 8 || bytes == 16) {
      words w;
      if constexpr (bytes == 4)
        asm volatile("ld.global.L2::128B.u32 %0, [%1];" : "=r"(w.word[0]) : "l"(from));
      else if constexpr (bytes == 8)
        asm volatile("ld.global.L2::128B.v2.u32 {%0, %1}, [%2];"
                     : "=r"(w.word[0]), "=r"(w.word[1])
                     : "l"(from));
      else
        asm volatile("ld.global.L2::128B.v4.u32 {%0, %1, %2, %3}, [%4];"
                     : "=r"(w.word[0]), "=r"(w.word[1]), "=r"(w.word[2]), "=r"(w.word[3])
                     : "l"(from));
      return w;
    } else {
      return read(memory, at);
    }
  }
  static __device__ __forceinline__ void read(const void* memory, i64 at, computed<D>* to) {
    const words w = read(memory, at);
#pragma unroll
    for (int i = 0; i < N; ++i) to[i] = w.get(i);
  }
  static __device__ __forceinline__ void write(void* memory, i64 at, const computed<D>* from) {
    array a;
    if constexpr ((D == bf16_ || D == f16_) && N % 2 == 0) {
      u32* two = reinterpret_cast<u32*>(a.item);
#pragma unroll
      for (int i = 0; i < N; i += 2)
        if constexpr (D == bf16_)
          asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(two[i / 2]) : "f"(from[i + 1]), "f"(from[i]));
        else
          asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(two[i / 2]) : "f"(from[i + 1]), "f"(from[i]));
    } else {
#pragma unroll
      for (int i = 0; i < N; ++i) a.item[i] = element<D>::write(from[i]);
    }
    *reinterpret_cast<array*>(static_cast<stored<D>*>(memory) + at) = a;
  }
};

}  // namespace flame::kernel
