// Rows on their way: what a thread will read of the rows to come, copied to shared memory while it computes
// with another; and what the blocks of a cluster tell each other of the row that they share.
#pragma once
#include <flame/run/cuda/kernel/scalar.hpp>

// From sm_90 on. Such kernels are chosen for no older GPU, but nvcc may compile them for one.
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 900
#define FLAME_SM90(...) asm volatile(__VA_ARGS__)
#else
#define FLAME_SM90(...)
#endif

namespace flame::kernel {

// ---- Copies that a thread does not wait for ----

// A thread copies what it reads itself: nobody waits for another thread.
template <int Bytes> __device__ __forceinline__ void copy_later(u32 to, const void* from) {
  if constexpr (Bytes == 16)
    FLAME_SM90("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(to), "l"(from) : "memory");
  else
    FLAME_SM90("cp.async.ca.shared.global [%0], [%1], %2;" ::"r"(to), "l"(from), "n"(Bytes) : "memory");
}
// Ends a set of copies.
__device__ __forceinline__ void end_copies() { FLAME_SM90("cp.async.commit_group;" ::: "memory"); }
// Waits for all sets but the last N.
template <int N> __device__ __forceinline__ void wait_for_copies() {
  FLAME_SM90("cp.async.wait_group %0;" ::"n"(N) : "memory");
}

// ---- Clusters ----

__device__ __forceinline__ void begin_cluster_barrier() {
  FLAME_SM90("barrier.cluster.arrive.release.aligned;" ::: "memory");
}
__device__ __forceinline__ void end_cluster_barrier() {
  FLAME_SM90("barrier.cluster.wait.acquire.aligned;" ::: "memory");
}
// Where this block's `at` lies in block `rank` of the cluster.
__device__ __forceinline__ u32 place_in_block(u32 at, u32 rank) {
  u32 there = 0;
  FLAME_SM90("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(there) : "r"(at), "r"(rank));
  return there;
}
// ---- Meetings ----

// Where the blocks of a cluster meet: each tells all what it has found, and goes on when it was told all
// bytes. Two barriers take turns, since a block may be one meeting ahead of another. (A barrier of the
// cluster that orders memory would also wait until the results of the row before have reached their memory.)
struct meeting_place {
  u32 barriers;    // of this block: two
  u32 number = 0;  // of meetings so far

  __device__ __forceinline__ void open() const {
    if (threadIdx.x != 0) return;
    FLAME_SM90("mbarrier.init.shared::cta.b64 [%0], 1;" ::"r"(barriers) : "memory");
    FLAME_SM90("mbarrier.init.shared::cta.b64 [%0], 1;" ::"r"(barriers + 8) : "memory");
    FLAME_SM90("fence.mbarrier_init.release.cluster;" ::: "memory");
  }
  [[nodiscard]] __device__ __forceinline__ u32 barrier() const { return barriers + 8 * (number & 1); }
  // x to the place of this block's `at` in block `rank`.
  template <class T> __device__ __forceinline__ void tell(u32 at, u32 rank, const T& x) const {
    const u32 there = place_in_block(at, rank), then = place_in_block(barrier(), rank);
    if constexpr (sizeof(T) == 4)
      FLAME_SM90("st.async.shared::cluster.mbarrier::complete_tx::bytes.u32 [%0], %1, [%2];" ::"r"(there),
                 "r"(static_cast<u32>(to_bits(x))), "r"(then)
                 : "memory");
    else
      FLAME_SM90("st.async.shared::cluster.mbarrier::complete_tx::bytes.u64 [%0], %1, [%2];" ::"r"(there),
                 "l"(to_bits(x)), "r"(then)
                 : "memory");
  }
  template <class T> __device__ __forceinline__ void tell(u32 at, u32 rank, const place_of<T>& x) const {
    tell(at, rank, x.value), tell(at + 8, rank, x.index);
  }
  __device__ __forceinline__ void meet(u32 bytes) {
    if (threadIdx.x == 0)
      FLAME_SM90("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(barrier()), "r"(bytes)
                 : "memory");
    FLAME_SM90(
        "{\n.reg .pred done;\nagain: mbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n"
        "@!done bra again; }" ::"r"(barrier()),
        "r"(number >> 1 & 1)
        : "memory");
    ++number;
  }
};
// What tell sends of a state.
template <class T> inline constexpr int told_bytes = static_cast<int>(sizeof(T));
template <class T> inline constexpr int told_bytes<place_of<T>> = static_cast<int>(sizeof(T)) + 8;

// What stands there.
template <class T> __device__ __forceinline__ void ask(u32 at, u32 rank, T& x) {
  const u32 there = place_in_block(at, rank);
  if constexpr (sizeof(T) == 8) {
    u64 bits = 0;
    FLAME_SM90("ld.shared::cluster.u64 %0, [%1];" : "=l"(bits) : "r"(there) : "memory");
    from_bits(bits, x);
  } else {
    u32 bits = 0;
    if constexpr (sizeof(T) == 1)
      FLAME_SM90("ld.shared::cluster.u8 %0, [%1];" : "=r"(bits) : "r"(there) : "memory");
    else
      FLAME_SM90("ld.shared::cluster.u32 %0, [%1];" : "=r"(bits) : "r"(there) : "memory");
    from_bits(bits, x);
  }
}
template <class T> __device__ __forceinline__ void ask(u32 at, u32 rank, place_of<T>& x) {
  ask(at, rank, x.value), ask(at + 8, rank, x.index);
}

}  // namespace flame::kernel

#undef FLAME_SM90
