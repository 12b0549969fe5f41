// What numbers a tensor of a running program holds: the first that is not finite, and the range of the
// others.
#pragma once
#include <flame/plan/program.hpp>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

namespace flame::watched {

// How the memory of a backend is reached, in the order of what runs there.
struct memory {
  virtual ~memory() = default;
  // `bytes` from there, to be read on the host until the next call.
  virtual const std::byte* see(const std::byte* from, i64 bytes) = 0;
  virtual void fill(std::byte* to, int byte, i64 bytes) = 0;
  // Until all that was begun is done; throws what went wrong with it.
  virtual void wait() = 0;
};

struct values {
  bool nan = false, infinite = false;
  double least = std::numeric_limits<double>::infinity(), most = -least;  // of the finite ones
  std::vector<i64> first_nan, first_infinite;                             // by axis
};

namespace scanning {

struct dimension {
  int axis;
  i64 extent, stride;
};

inline double number_at(dtype element, const std::byte* at) {
  auto load = [&](auto x) {
    std::memcpy(&x, at, sizeof x);
    return x;
  };
  switch (element) {
    case dtype::f32: return static_cast<double>(load(float{}));
    case dtype::f64: return load(double{});
    case dtype::bf16: {
      const u32 bits = static_cast<u32>(load(u16{})) << 16;
      float x;
      std::memcpy(&x, &bits, 4);
      return static_cast<double>(x);
    }
    case dtype::f16: {
      const u32 bits = load(u16{}), e = bits >> 10 & 31, m = bits & 1023;
      const double sign = bits & 0x8000 ? -1 : 1;
      if (e == 31) return m ? std::numeric_limits<double>::quiet_NaN() : sign / 0.0;
      return sign * (e ? std::ldexp(1024.0 + m, static_cast<int>(e) - 25) : std::ldexp(m, -24));
    }
    default: return 0;
  }
}

class scan {
 public:
  scan(memory& m, const located& t) : memory_(m), element_(t.element), size_(size_of(t.element)) {
    at_.resize(static_cast<std::size_t>(t.rank), 0);
    for (int i = 0; i < t.rank; ++i)
      if (t.extents[i] > 1 && t.strides[i] != 0) all_.push_back({i, t.extents[i], t.strides[i]});
    std::stable_sort(all_.begin(), all_.end(), [](const dimension& a, const dimension& b) {
      return std::abs(a.stride) > std::abs(b.stride);
    });
  }
  [[nodiscard]] values run(const std::byte* from) {
    piece(from, 0);
    return found_;
  }

 private:
  static constexpr i64 most_bytes = i64{64} << 20;  // seen at once

  // Bytes [low, high) from the first element on.
  void reach(std::size_t first, i64& low, i64& high) const {
    low = 0, high = size_;
    for (std::size_t i = first; i < all_.size(); ++i) {
      const i64 far = (all_[i].extent - 1) * all_[i].stride * size_;
      (far < 0 ? low : high) += far;
    }
  }
  // The dimensions from `first` on, of the others the place at_.
  void piece(const std::byte* from, std::size_t first) {
    i64 low, high;
    reach(first, low, high);
    if (high - low <= most_bytes || first == all_.size()) {
      const std::byte* seen = memory_.see(from + low, high - low);
      walk(seen - low, first);
      return;
    }
    dimension& d = all_[first];
    const i64 step = std::abs(d.stride) * size_, whole = d.extent, rows = std::max<i64>(1, most_bytes / step);
    i64& place = at_[static_cast<std::size_t>(d.axis)];
    for (i64 i = 0; i < whole; i += rows) {
      place = i;
      const std::byte* part = from + i * d.stride * size_;
      if (rows == 1) {
        piece(part, first + 1);
      } else {
        d.extent = std::min(rows, whole - i);
        reach(first, low, high);
        walk(memory_.see(part + low, high - low) - low, first);
      }
    }
    d.extent = whole, place = 0;
  }
  void walk(const std::byte* from, std::size_t k) {
    if (k == all_.size()) return look(from);
    const dimension& d = all_[k];
    i64& place = at_[static_cast<std::size_t>(d.axis)];
    const i64 begin = place;
    for (i64 i = 0; i < d.extent; ++i, ++place) walk(from + i * d.stride * size_, k + 1);
    place = begin;
  }
  void look(const std::byte* at) {
    const double x = number_at(element_, at);
    if (std::isfinite(x)) {
      found_.least = std::min(found_.least, x), found_.most = std::max(found_.most, x);
    } else if (std::isnan(x)) {
      if (!found_.nan) found_.nan = true, found_.first_nan = at_;
    } else if (!found_.infinite) {
      found_.infinite = true, found_.first_infinite = at_;
    }
  }

  memory& memory_;
  dtype element_;
  i64 size_;
  std::vector<dimension> all_;
  std::vector<i64> at_;
  values found_;
};

}  // namespace scanning

// The values of a tensor whose first element lies at `first`; nothing of one that is not floating.
[[nodiscard]] inline values values_of(memory& m, const located& t, const void* first) {
  if (!is_floating(t.element) || t.elements() == 0 || !first) return {};
  return scanning::scan(m, t).run(static_cast<const std::byte*>(first));
}

}  // namespace flame::watched
