// Where the elements of tensors lie, without types: extents, strides, places along an axis, and how they are
// refused.
#pragma once
#include <flame/base/error.hpp>
#include <flame/run/storage.hpp>

#include <functional>
#include <limits>
#include <string>

namespace flame::detail {

// "flame::tensor::operation: why".
[[noreturn]] inline void refuse_tensor(const std::string& operation, const std::string& why) {
  throw error("flame::tensor" + (operation.empty() ? "" : "::" + operation) + ": " + why);
}

[[nodiscard]] inline std::string extents_text(const i64* extents, int rank) {
  std::string s = "(";
  for (int i = 0; i < rank; ++i) s += (i ? ", " : "") + std::to_string(extents[i]);
  return s + ")";
}
// What errors call an axis: its name, or its place where it has none.
[[nodiscard]] inline std::string axis_text(const axis_info* a, int place) {
  return a->from_last >= 0 ? std::to_string(place)
                           : std::string(a->name.data, static_cast<std::size_t>(a->name.size));
}

inline void set_row_major(int rank, const i64* extents, i64* strides) {
  i64 stride = 1;
  for (int i = rank - 1; i >= 0; --i) strides[i] = stride, stride *= extents[i];
}

[[nodiscard]] inline bool same_extents(const tensor_view& a, const tensor_view& b) {
  for (int i = 0; i < a.rank; ++i)
    if (a.extents[i] != b.extents[i]) return false;
  return a.rank == b.rank;
}

// Whether b is another view of bytes that a may touch, judged by the first and the last of each. Of equal
// extents.
[[nodiscard]] inline bool overlap(const tensor_view& a, const tensor_view& b) {
  if (a.size() == 0 || !a.data || !b.data) return false;
  const i64 size = size_of(a.element);
  bool same = a.data == b.data;
  const char *first_a = static_cast<const char*>(a.data), *first_b = static_cast<const char*>(b.data);
  const char *last_a = first_a, *last_b = first_b;
  for (int i = 0; i < a.rank; ++i) {
    last_a += (a.extents[i] - 1) * a.strides[i] * size, last_b += (a.extents[i] - 1) * b.strides[i] * size;
    same = same && (a.extents[i] == 1 || a.strides[i] == b.strides[i]);
  }
  const std::less_equal<const char*> before;
  return !same && before(first_a, last_b) && before(first_b, last_a);
}

// One index of an axis, as a place from 0 on; -1 is the last.
[[nodiscard]] inline i64 place_along(const axis_info* a, int place, i64 extent, i64 index,
                                     const char* operation) {
  const i64 at = index < 0 ? index + extent : index;
  if (at < 0 || at >= extent)
    refuse_tensor(operation, "index " + std::to_string(index) + " is outside axis " + axis_text(a, place) +
                                 " of extent " + std::to_string(extent));
  return at;
}

// Elements begin, begin + step, ... before end, as NumPy counts: negative ones from the end.
struct slice_along {
  static constexpr i64 to_end = std::numeric_limits<i64>::max();
  i64 first = 0, count = 0;

  slice_along(const axis_info* a, int place, i64 extent, i64 begin, i64 end, i64 step) {
    first = begin < 0 ? begin + extent : begin;
    const i64 past = end == to_end ? extent : end < 0 ? end + extent : end;
    if (first < 0 || past > extent || first > past || step < 1)
      refuse_tensor("slice(axis, begin, end, step)", "begin " + std::to_string(begin) + ", end " +
                                                         (end == to_end ? "left out" : std::to_string(end)) +
                                                         ", step " + std::to_string(step) +
                                                         " do not lie in axis " + axis_text(a, place) +
                                                         " of extent " + std::to_string(extent));
    count = (past - first + step - 1) / step;
  }
};

// The extents of so many elements, of which one may be given as -1.
inline void settle_extents(std::vector<i64>& extents, i64 size) {
  i64 known = 1;
  i64* open = nullptr;
  for (i64& e : extents) {
    if (e == -1 && !open)
      open = &e;
    else
      known *= e;
  }
  if (open && known > 0) *open = size / known;
  if (known * (open ? *open : 1) != size)
    refuse_tensor("reshape(extents...)", extents_text(extents.data(), static_cast<int>(extents.size())) +
                                             " are not the extents of " + std::to_string(size) + " elements");
}

}  // namespace flame::detail
