// Which steps of a program wait for which, by the memory that each reads and writes: before buffers have
// their places, and after.
#pragma once
#include <flame/plan/program.hpp>

#include <algorithm>
#include <cstddef>
#include <functional>
#include <map>
#include <vector>

namespace flame::planning {

// Bytes [low, high) of some memory; where there is a period, in each such stretch from low on the first
// `width` of it.
struct stretch {
  i64 low = 0, high = 0, period = 0, width = 0;
};

// The bytes of a tensor whose buffer begins at `base`.
[[nodiscard]] inline stretch stretch_of(const located& t, i64 base) {
  const located::reach r = t.bytes();
  int widest = -1;
  i64 width = 1;
  for (int i = 0; i < t.rank; ++i)
    if (t.extents[i] > 1 && (widest < 0 || t.strides[i] > t.strides[widest])) widest = i;
  for (int i = 0; i < t.rank; ++i)
    if (i != widest) width += (t.extents[i] - 1) * (t.strides[i] < 0 ? -t.strides[i] : t.strides[i]);
  const i64 size = size_of(t.element), period = widest < 0 ? 0 : t.strides[widest];
  return {base + r.low, base + r.high, width < period ? period * size : 0, width * size};
}

// Parts of one tensor that lie side by side, row by row, do not meet, nor does what lies in a gap. True where
// rows are of different lengths.
[[nodiscard]] inline bool meet(const stretch& a, const stretch& b) {
  if (a.low >= b.high || b.low >= a.high) return false;
  if (a.period == 0) return b.period == 0 || meet(b, a);
  if (b.period != 0 && a.period != b.period) return true;
  const i64 from_a = (b.low % a.period - a.low % a.period + a.period) % a.period;
  return from_a < a.width || from_a + (b.period == 0 ? b.high - b.low : b.width) > a.period;
}

// Steps are told in their order; a step waits for those that wrote what it reads, and for those that read or
// wrote what it writes. Memory is known by its addresses: once buffers are placed, those that share a place
// one after the other, operands that are given twice, and workspaces are all seen.
class step_order {
 public:
  // What the step that is being told reads and writes.
  void read(const stretch& s) { touch(s, false); }
  void write(const stretch& s) { touch(s, true); }

  // Ends the step. Returns those that it waits for, the latest first, without those that another of them
  // waits for already.
  std::vector<int> next() {
    std::sort(found_.begin(), found_.end(), std::greater<>());
    found_.erase(std::unique(found_.begin(), found_.end()), found_.end());
    std::vector<u64> behind(static_cast<std::size_t>(now_ / 64 + 1), 0);
    std::vector<int> waits;
    for (int s : found_) {
      if (has(behind, s)) continue;
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
  struct access {
    stretch at;
    int step;
    bool writes;
  };
  // Who touched memory from its key in the map to the next one's, since it was last written as a whole.
  using piece = std::vector<access>;

  static bool has(const std::vector<u64>& set, int step) {
    const auto word = static_cast<std::size_t>(step / 64);
    return word < set.size() && (set[word] >> (step % 64) & 1) != 0;
  }
  // The piece that begins at `address`, cut off where it did not.
  std::map<i64, piece>::iterator cut(i64 address) {
    const auto at = pieces_.lower_bound(address);
    if (at != pieces_.end() && at->first == address) return at;
    piece same;
    if (at != pieces_.begin()) same = std::prev(at)->second;
    return pieces_.emplace_hint(at, address, std::move(same));
  }
  void touch(const stretch& s, bool writes) {
    if (s.low >= s.high) return;
    const auto end = cut(s.high);
    for (auto at = cut(s.low); at != end; ++at) {
      piece& p = at->second;
      for (const access& a : p)
        if (a.step != now_ && (writes || a.writes) && meet(a.at, s)) found_.push_back(a.step);
      if (writes && s.period == 0) p.clear();
      p.push_back({s, now_, writes});
    }
  }

  int now_ = 0;
  std::vector<int> found_;
  std::vector<std::vector<u64>> behind_;  // by step: all that it waits for, a bit each
  std::map<i64, piece> pieces_;
};

}  // namespace flame::planning
