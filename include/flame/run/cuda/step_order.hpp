// Which steps of a program wait for which, by the memory that each reads and writes.
#pragma once
#include <flame/base/config.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <vector>

namespace flame::cuda_code {

// Steps are told in their order; a step waits for the last that wrote what it reads, and for all that read or
// wrote last what it writes. Memory is known by its addresses, so that buffers that share a place in the
// arena one after the other, operands that are given twice, and workspaces are all seen.
class step_order {
 public:
  // Bytes [low, low + bytes) are read, or written, by the step that is being told.
  void read(const void* low, i64 bytes) { touch(low, bytes, false); }
  void write(const void* low, i64 bytes) { touch(low, bytes, true); }

  // Ends the step. Returns those that it waits for, the latest first, without those that another of them
  // waits for already.
  std::vector<int> next() {
    std::sort(found_.begin(), found_.end(), std::greater<>());
    found_.erase(std::unique(found_.begin(), found_.end()), found_.end());
    std::vector<u64> behind(static_cast<std::size_t>(now_ / 64 + 1), 0);
    std::vector<int> waits;
    for (int s : found_) {
      if (s == now_ || has(behind, s)) continue;
      waits.push_back(s);
      const std::vector<u64>& of = behind_[static_cast<std::size_t>(s)];
      for (std::size_t i = 0; i < of.size(); ++i) behind[i] |= of[i];
      behind[static_cast<std::size_t>(s / 64)] |= u64{1} << (s % 64);
    }
    behind_.push_back(std::move(behind));
    found_.clear();
    ++now_;
    return waits;
  }

 private:
  // Memory from its key in the map to the next one's.
  struct piece {
    int writer = -1;
    std::vector<int> readers;  // since then
  };

  static bool has(const std::vector<u64>& set, int step) {
    const auto word = static_cast<std::size_t>(step / 64);
    return word < set.size() && (set[word] >> (step % 64) & 1) != 0;
  }
  // The piece that begins at `address`, cut off where it did not.
  std::map<std::uintptr_t, piece>::iterator cut(std::uintptr_t address) {
    auto at = pieces_.lower_bound(address);
    if (at != pieces_.end() && at->first == address) return at;
    piece same;
    if (at != pieces_.begin()) same = std::prev(at)->second;
    return pieces_.emplace_hint(at, address, std::move(same));
  }
  void touch(const void* low, i64 bytes, bool writes) {
    if (!low || bytes <= 0) return;
    const auto begin = reinterpret_cast<std::uintptr_t>(low);
    const auto end = cut(begin + static_cast<std::uintptr_t>(bytes));
    for (auto at = cut(begin); at != end; ++at) {
      piece& p = at->second;
      if (p.writer >= 0) found_.push_back(p.writer);
      if (!writes) {
        if (p.readers.empty() || p.readers.back() != now_) p.readers.push_back(now_);
        continue;
      }
      found_.insert(found_.end(), p.readers.begin(), p.readers.end());
      p.writer = now_, p.readers.clear();
    }
  }

  int now_ = 0;
  std::vector<int> found_;
  std::vector<std::vector<u64>> behind_;  // by step: all that it waits for, a bit each
  std::map<std::uintptr_t, piece> pieces_;
};

}  // namespace flame::cuda_code
