// Small blocks of device memory, kept for the next tensor: taking and giving them back asks nothing of CUDA.
#pragma once
#include <flame/base/config.hpp>

#include <bit>
#include <vector>

namespace flame::cuda_code {

// Of one stream: a block is taken again in the order in which it was given back. For one thread at a time.
class small_blocks {
 public:
  static constexpr i64 least = 256, largest = i64{1} << 20;  // bytes of a block
  static constexpr i64 room = i64{64} << 20;                 // bytes kept at most

  // The size of the block that holds so many bytes; they are no more than `largest`.
  [[nodiscard]] static i64 size_for(i64 bytes) {
    return bytes <= least ? least : static_cast<i64>(std::bit_ceil(static_cast<u64>(bytes)));
  }
  // Null where none of this size is kept.
  [[nodiscard]] void* take(i64 size) {
    std::vector<void*>& same = of(size);
    if (same.empty()) return nullptr;
    void* block = same.back();
    same.pop_back();
    kept_ -= size;
    return block;
  }
  // False where there is no room.
  bool keep(void* block, i64 size) {
    if (kept_ + size > room) return false;
    of(size).push_back(block);
    kept_ += size;
    return true;
  }
  // All of them, no longer kept.
  [[nodiscard]] std::vector<void*> release() {
    std::vector<void*> all;
    for (std::vector<void*>& same : blocks_) {
      all.insert(all.end(), same.begin(), same.end());
      same.clear();
    }
    kept_ = 0;
    return all;
  }

 private:
  [[nodiscard]] std::vector<void*>& of(i64 size) {
    return blocks_[std::bit_width(static_cast<u64>(size / least)) - 1];
  }

  std::vector<void*> blocks_[13];  // of 256 bytes, 512, ... 1 MiB
  i64 kept_ = 0;
};

}  // namespace flame::cuda_code
