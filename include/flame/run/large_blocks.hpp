// Large blocks of host memory: kept after their last tensor, for the next tensor that fits.
//
// The system hands out fresh memory page by page, as it is touched: the first writing of 64 MiB takes as long
// as computing it. So blocks of a mebibyte and more are kept when they are released, the youngest first to be
// used again, and what goes beyond a limit is given back to the system, the oldest first. Fresh blocks of
// several mebibytes ask for huge pages where the system has them.
#pragma once
#include <flame/base/config.hpp>

#include <atomic>
#include <cstddef>
#include <new>

#if defined(__linux__)
#include <sys/mman.h>
#endif

#if defined(__SANITIZE_ADDRESS__)
#define FLAME_CHECKS_ADDRESSES
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FLAME_CHECKS_ADDRESSES
#endif
#endif

namespace flame {

namespace detail {

class large_blocks {
 public:
  static constexpr i64 least = i64{1} << 20;  // smaller blocks are operator new's affair

  // Lives as long as the process: tensors may be static.
  static large_blocks& instance() {
    static large_blocks* all = new large_blocks;
    return *all;
  }

  // How much is asked of the system for so many bytes. Tensors of almost one size may then take each other's
  // place.
  [[nodiscard]] static constexpr i64 rounded(i64 bytes) { return (bytes + granule - 1) / granule * granule; }

  // From the system and back to it, without keeping anything.
  static std::byte* fresh(i64 size) {
    void* memory = ::operator new(static_cast<std::size_t>(size), alignment(size));
#if defined(__linux__) && defined(MADV_HUGEPAGE)
    if (size >= asks_huge_pages)  // whole pages of the block; where the system refuses, it has small ones
      static_cast<void>(
          madvise(memory, static_cast<std::size_t>(size / huge_page * huge_page), MADV_HUGEPAGE));
#endif
    return static_cast<std::byte*>(memory);
  }
  static void free(std::byte* memory, i64 size) noexcept { ::operator delete(memory, alignment(size)); }

  // A block of rounded(bytes) or somewhat more; `size` becomes its size.
  std::byte* take(i64 bytes, i64& size) {
    size = rounded(bytes);
    {
      locked own(*this);
      int fits = -1;
      for (int i = 0; i < count_; ++i)
        if (kept_[i].size >= size && kept_[i].size - size <= size / 8 &&
            (fits < 0 || kept_[i].size <= kept_[fits].size))
          fits = i;
      if (fits >= 0) {
        const block b = remove(fits);
        size = b.size;
        return b.memory;
      }
    }
    try {
      return fresh(size);
    } catch (const std::bad_alloc&) {
      shrink(0);
      return fresh(size);
    }
  }
  void give(std::byte* memory, i64 size) noexcept {
    i64 room = 0;
    {
      locked own(*this);
      room = limit_ - size;
    }
    if (room < 0) return free(memory, size);
    shrink(room, most - 1);
    {
      locked own(*this);
      if (count_ < most && bytes_ + size <= limit_) {
        kept_[count_++] = {memory, size};
        bytes_ += size;
        return;
      }
    }
    free(memory, size);  // another thread was faster
  }
  // Gives blocks back to the system until at most so many bytes, and so many blocks, are kept.
  void shrink(i64 bytes, int blocks = most) noexcept {
    for (;;) {
      block oldest;
      {
        locked own(*this);
        if (count_ == 0 || (bytes_ <= bytes && count_ <= blocks)) return;
        oldest = remove(0);
      }
      free(oldest.memory, oldest.size);
    }
  }
  void set_limit(i64 bytes) noexcept {
    {
      locked own(*this);
      limit_ = bytes < 0 ? 0 : bytes;
    }
    shrink(bytes);
  }
  [[nodiscard]] i64 bytes() noexcept {
    locked own(*this);
    return bytes_;
  }

 private:
  static constexpr i64 granule = i64{1} << 16, huge_page = i64{1} << 21, asks_huge_pages = 2 * huge_page;
  static constexpr int most = 64;
#if defined(FLAME_CHECKS_ADDRESSES)
  static constexpr i64 first_limit = 0;  // so that a use after release is seen
#else
  static constexpr i64 first_limit = i64{256} << 20;
#endif

  struct block {
    std::byte* memory = nullptr;
    i64 size = 0;
  };
  struct locked {
    large_blocks& all;
    explicit locked(large_blocks& b) : all(b) {
      while (all.busy_.test_and_set(std::memory_order_acquire))
        all.busy_.wait(true, std::memory_order_relaxed);
    }
    locked(const locked&) = delete;
    locked& operator=(const locked&) = delete;
    ~locked() {
      all.busy_.clear(std::memory_order_release);
      all.busy_.notify_one();
    }
  };

  static constexpr std::align_val_t alignment(i64 size) {
    return std::align_val_t{static_cast<std::size_t>(size >= asks_huge_pages ? huge_page : 4096)};
  }
  block remove(int at) {
    const block b = kept_[at];
    for (int i = at + 1; i < count_; ++i) kept_[i - 1] = kept_[i];
    --count_;
    bytes_ -= b.size;
    return b;
  }

  std::atomic_flag busy_;
  block kept_[most];  // the oldest first
  int count_ = 0;
  i64 bytes_ = 0, limit_ = first_limit;
};

}  // namespace detail

// How many bytes of released tensors' memory are kept for new tensors: at most the limit, 256 MiB unless set
// (0 under AddressSanitizer). Any thread may call these.
[[nodiscard]] inline i64 kept_memory() { return detail::large_blocks::instance().bytes(); }
inline void set_kept_memory_limit(i64 bytes) { detail::large_blocks::instance().set_limit(bytes); }
// Gives all of it back to the system.
inline void release_kept_memory() { detail::large_blocks::instance().shrink(0); }

}  // namespace flame
