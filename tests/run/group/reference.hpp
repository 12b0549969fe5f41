// What a bound group means: one element, one instruction at a time, in scalars. Slow, and as plain as it can
// be.
//
// Elementary functions are the host's own, of one element (tests/run/math.cpp tests them), so that everything
// but the order of sums and the functions inside of normal random numbers must agree in every bit.
#pragma once
#include <cmath>
#include <cstring>
#include <flame/base/philox.hpp>
#include <flame/plan/group.hpp>
#include <flame/run/host/math.hpp>
#include <limits>
#include <vector>

namespace reference {

using namespace flame;

// A number of any compute type: floating types in f (f32 rounded), others in i (booleans 0 and 1).
struct number {
  double f = 0;
  i64 i = 0;
};

enum class type : u8 { f32, f64, i32, i64, boolean };
inline type type_of(dtype d) {
  switch (compute_type(d)) {
    case dtype::f64: return type::f64;
    case dtype::int32: return type::i32;
    case dtype::int64:
    case dtype::key: return type::i64;
    case dtype::boolean: return type::boolean;
    default: return type::f32;
  }
}
inline bool floating(type t) { return t == type::f32 || t == type::f64; }
inline number of(type t, double f) { return {t == type::f32 ? static_cast<float>(f) : f, 0}; }
inline number of(type t, u64 i) {
  return {0, t == type::i32 ? static_cast<i32>(static_cast<u32>(i)) : static_cast<i64>(i)};
}

inline number read(dtype d, const void* memory, i64 at) {
  auto get = [&]<class T>(T) {
    T x;
    std::memcpy(&x, static_cast<const char*>(memory) + at * static_cast<i64>(sizeof(T)), sizeof(T));
    return x;
  };
  switch (d) {
    case dtype::f32: return {get(0.0f), 0};
    case dtype::f64: return {get(0.0), 0};
    case dtype::bf16: return {static_cast<float>(get(bf16{})), 0};
    case dtype::f16: return {static_cast<float>(get(f16{})), 0};
    case dtype::int32: return {0, get(i32{})};
    case dtype::int64:
    case dtype::key: return {0, get(i64{})};
    case dtype::uint8: return {0, get(u8{})};
    case dtype::boolean: return {0, get(u8{}) != 0};
  }
  return {};
}
inline void write(dtype d, void* memory, i64 at, number x) {
  auto put = [&](auto y) {
    std::memcpy(static_cast<char*>(memory) + at * static_cast<i64>(sizeof(y)), &y, sizeof(y));
  };
  switch (d) {
    case dtype::f32: return put(static_cast<float>(x.f));
    case dtype::f64: return put(x.f);
    case dtype::bf16: return put(bf16(static_cast<float>(x.f)));
    case dtype::f16: return put(f16(static_cast<float>(x.f)));
    case dtype::int32: return put(static_cast<i32>(x.i));
    case dtype::int64:
    case dtype::key: return put(x.i);
    case dtype::uint8:
    case dtype::boolean: return put(static_cast<u8>(x.i));
  }
}

// ---- One element ----

inline double elementary(op o, type t, double x) {
  auto call = [&](auto f) {
    if (t == type::f64) {
      double y;
      f(&x, &y);
      return y;
    }
    float a = static_cast<float>(x), y;
    f(&a, &y);
    return static_cast<double>(y);
  };
  namespace array = host_kernels::array;
  switch (o) {
    case op::exp: return call([](const auto* a, auto* y) { array::exp(a, y, 1); });
    case op::expm1: return call([](const auto* a, auto* y) { array::expm1(a, y, 1); });
    case op::log: return call([](const auto* a, auto* y) { array::log(a, y, 1); });
    case op::log1p: return call([](const auto* a, auto* y) { array::log1p(a, y, 1); });
    case op::sin: return call([](const auto* a, auto* y) { array::sin(a, y, 1); });
    case op::cos: return call([](const auto* a, auto* y) { array::cos(a, y, 1); });
    case op::tanh: return call([](const auto* a, auto* y) { array::tanh(a, y, 1); });
    case op::sigmoid: return call([](const auto* a, auto* y) { array::sigmoid(a, y, 1); });
    case op::erf: return call([](const auto* a, auto* y) { array::erf(a, y, 1); });
    default: return call([](const auto* a, auto* y) { array::rsqrt(a, y, 1); });
  }
}

inline number unary(op o, type t, number x) {
  if (!floating(t)) {
    u64 u = static_cast<u64>(x.i);
    switch (o) {
      case op::neg: return of(t, u64{0} - u);
      case op::abs: return of(t, x.i < 0 ? u64{0} - u : u);
      case op::sign: return {0, (x.i > 0) - (x.i < 0)};
      default: return {0, !x.i};  // logical_not
    }
  }
  switch (o) {
    case op::neg: return {-x.f, 0};
    case op::abs: return {std::fabs(x.f), 0};
    case op::sign: return {static_cast<double>((x.f > 0) - (x.f < 0)), 0};
    case op::floor: return {std::floor(x.f), 0};
    case op::sqrt: return of(t, t == type::f32 ? std::sqrt(static_cast<float>(x.f)) : std::sqrt(x.f));
    case op::reciprocal: return of(t, t == type::f32 ? 1 / static_cast<float>(x.f) : 1 / x.f);
    case op::is_finite: return {0, std::isfinite(x.f)};
    case op::is_nan: return {0, std::isnan(x.f)};
    default: return {elementary(o, t, x.f), 0};
  }
}

inline number binary(op o, type t, number a, number b) {
  if (floating(t)) {
    auto both = [&](auto f) {  // f32 is computed in f32
      if (t == type::f32) return number{f(static_cast<float>(a.f), static_cast<float>(b.f)), 0};
      return number{f(a.f, b.f), 0};
    };
    switch (o) {
      case op::add: return both([](auto x, auto y) { return x + y; });
      case op::sub: return both([](auto x, auto y) { return x - y; });
      case op::mul: return both([](auto x, auto y) { return x * y; });
      case op::div: return both([](auto x, auto y) { return x / y; });
      case op::pow:
        return both([](auto x, auto y) {
          host_kernels::array::pow(&x, &y, &x, 1);
          return x;
        });
      case op::minimum: return {std::isnan(a.f) || a.f < b.f ? a.f : b.f, 0};
      case op::maximum: return {std::isnan(a.f) || a.f > b.f ? a.f : b.f, 0};
      case op::less: return {0, a.f < b.f};
      case op::less_equal: return {0, a.f <= b.f};
      case op::equal: return {0, a.f == b.f};
      default: return {0, a.f != b.f};
    }
  }
  u64 x = static_cast<u64>(a.i), y = static_cast<u64>(b.i);
  switch (o) {
    case op::add: return of(t, x + y);
    case op::sub: return of(t, x - y);
    case op::mul: return of(t, x * y);
    case op::minimum: return {0, a.i < b.i ? a.i : b.i};
    case op::maximum: return {0, a.i > b.i ? a.i : b.i};
    case op::less: return {0, a.i < b.i};
    case op::less_equal: return {0, a.i <= b.i};
    case op::equal: return {0, a.i == b.i};
    case op::not_equal: return {0, a.i != b.i};
    case op::logical_and: return {0, a.i && b.i};
    default: return {0, a.i || b.i};
  }
}

inline number cast(type from, dtype to, number x) {
  type t = type_of(to);
  if (floating(t)) {
    const number y = floating(from)
                         ? of(t, x.f)
                         : number{t == type::f32 ? static_cast<float>(x.i) : static_cast<double>(x.i), 0};
    const float narrow = static_cast<float>(y.f);
    if (to == dtype::bf16) return {static_cast<float>(bf16(narrow)), 0};
    return to == dtype::f16 ? number{static_cast<float>(f16(narrow)), 0} : y;
  }
  if (t == type::boolean) return {0, floating(from) ? x.f != 0 : x.i != 0};
  if (!floating(from)) return to == dtype::uint8 ? number{0, x.i & 255} : of(t, static_cast<u64>(x.i));
  double low = t == type::i64 ? -0x1p63 : -0x1p31, high = t == type::i64 ? 0x1p63 : 0x1p31;
  if (std::isnan(x.f)) return {};
  i64 i = x.f >= high ? (t == type::i64 ? std::numeric_limits<i64>::max() : std::numeric_limits<i32>::max())
          : x.f < low ? (t == type::i64 ? std::numeric_limits<i64>::min() : std::numeric_limits<i32>::min())
                      : static_cast<i64>(x.f);
  if (to == dtype::uint8) i = i < 0 ? 0 : i > 255 ? 255 : i;
  return {0, i};
}

// ---- Tensors ----

// A value: of the part of the space over which it differs.
struct tensor {
  type t = type::f32;
  bool over[3] = {};  // batch, outer, inner
  std::vector<number> data;
  i64 index = -1;  // the slot of an index
};

struct machine {
  const bound_group& g;
  i64 extents[3] = {1, 1, 1};
  std::vector<tensor> values;

  explicit machine(const bound_group& bound) : g(bound) {
    int first[] = {0, g.batch_rank, g.batch_rank + g.outer_rank, g.batch_rank + g.outer_rank + g.inner_rank};
    for (int k = 0; k < 3; ++k)
      for (int i = first[k]; i < first[k + 1]; ++i) extents[k] *= g.extents[i];
  }

  // f(batch, outer, inner) wherever a tensor over these differs.
  template <class F> void each(const bool (&over)[3], F f) const {
    for (i64 b = 0; b < (over[0] ? extents[0] : 1); ++b)
      for (i64 o = 0; o < (over[1] ? extents[1] : 1); ++o)
        for (i64 i = 0; i < (over[2] ? extents[2] : 1); ++i) f(b, o, i);
  }
  [[nodiscard]] i64 place(const tensor& x, i64 b, i64 o, i64 i) const {
    i64 at = 0;
    if (x.over[0]) at = b;
    if (x.over[1]) at = at * extents[1] + o;
    if (x.over[2]) at = at * extents[2] + i;
    return at;
  }
  [[nodiscard]] number at(const tensor& x, i64 b, i64 o, i64 i) const {
    return x.data[static_cast<std::size_t>(place(x, b, o, i))];
  }
  // Elements from the first of a slot's memory.
  [[nodiscard]] i64 offset(const bound_slot& s, i64 b, i64 o, i64 i) const {
    i64 linear[] = {b, o, i}, sum = 0;
    int last = g.batch_rank + g.outer_rank + g.inner_rank - 1;
    for (int k = 2; k >= 0; --k) {
      int rank = k == 0 ? g.batch_rank : k == 1 ? g.outer_rank : g.inner_rank;
      for (int r = 0; r < rank; ++r, --last) {
        if (g.extents[last] == 0) continue;
        sum += linear[k] % g.extents[last] * s.strides[last];
        linear[k] /= g.extents[last];
      }
    }
    return sum;
  }

  template <class F> tensor make(type t, const bool (&over)[3], F f) const {
    tensor y;
    y.t = t;
    for (int k = 0; k < 3; ++k) y.over[k] = over[k];
    each(y.over, [&](i64 b, i64 o, i64 i) { y.data.push_back(f(b, o, i)); });
    return y;
  }

  tensor load(const instruction& in) const {
    const group_slot& slot = g.code->slots[in.a];
    const bound_slot& s = g.slots[in.a];
    type t = type_of(slot.element);
    bool over[3] = {in.at != level::uniform, in.at != level::uniform, in.at == level::full};
    if (slot.kind == slot_kind::uniform) {
      const bool none[3] = {};
      return make(t, none, [&](i64, i64, i64) {
        if (s.memory) return read(slot.element, s.memory, 0);
        if (t == type::i64) return number{0, static_cast<i64>(s.bits)};
        return floating(t) ? of(t, s.number) : number{0, static_cast<i64>(s.number)};
      });
    }
    return make(t, over, [&](i64 b, i64 o, i64 i) {
      i64 at = offset(s, b, o, i);
      if (slot.kind != slot_kind::index) return read(slot.element, s.memory, at);
      at += s.offset;
      return floating(t) ? of(t, static_cast<double>(at)) : number{0, at};
    });
  }

  tensor reduce(const instruction& in, op o) const {
    const tensor& x = values[static_cast<std::size_t>(in.a)];
    bool over[3] = {true, in.reduce == reduce_mode::row, in.reduce == reduce_mode::column};
    type t = x.t;
    return make(o == op::argmax ? type::i32 : t, over, [&](i64 b, i64 outer, i64 inner) {
      number y;
      double top = t == type::f32 || t == type::f64 ? std::numeric_limits<double>::infinity() : 0;
      i64 highest = t == type::boolean ? 1
                    : t == type::i32   ? std::numeric_limits<i32>::max()
                                       : std::numeric_limits<i64>::max();
      i64 lowest = t == type::boolean ? 0 : -highest - 1;
      if (o == op::prod) y = {1, 1};
      if (o == op::max || o == op::argmax) y = {-top, lowest};
      if (o == op::min) y = {top, highest};
      i64 best = 0, linear = -1;
      // The total of a row value is over its rows alone.
      bool of_rows = in.reduce == reduce_mode::total && g.code->body[in.a].at == level::row;
      for (i64 r = 0; r < (over[1] ? 1 : extents[1]); ++r)
        for (i64 c = 0; c < (over[2] || of_rows ? 1 : extents[2]); ++c) {
          number v = at(x, b, over[1] ? outer : r, over[2] ? inner : c);
          ++linear;
          // Sums in f64: what the executor's order gives differs from it.
          if (o == op::sum)
            y = floating(t) ? number{y.f + v.f, 0} : of(t, static_cast<u64>(y.i) + static_cast<u64>(v.i));
          if (o == op::prod)
            y = floating(t) ? number{y.f * v.f, 0} : of(t, static_cast<u64>(y.i) * static_cast<u64>(v.i));
          if (o == op::max || o == op::min) y = binary(o == op::max ? op::maximum : op::minimum, t, y, v);
          if (o == op::argmax) {
            bool more = floating(t) ? v.f > y.f || (std::isnan(v.f) && !std::isnan(y.f)) : v.i > y.i;
            if (more) y = v, best = linear;
          }
        }
      return o == op::argmax ? number{0, best} : floating(t) ? of(t, y.f) : y;
    });
  }

  tensor compute(const instruction& in) const {
    if (in.code == code_load) {
      tensor y = load(in);
      y.index = in.a;
      return y;
    }
    op o = static_cast<op>(in.code);
    if (kind_of(o) == op_kind::reduction) return reduce(in, o);
    const tensor* x[3] = {};
    bool over[3] = {};
    int operands[3] = {in.a, in.b, in.c};
    for (int k = 0; k < 3; ++k) {
      if (operands[k] < 0) continue;
      x[k] = &values[static_cast<std::size_t>(operands[k])];
      for (int d = 0; d < 3; ++d) over[d] = over[d] || x[k]->over[d];
    }
    type t = x[0]->t, result = t;
    switch (o) {
      case op::less:
      case op::less_equal:
      case op::equal:
      case op::not_equal:
      case op::is_finite:
      case op::is_nan: result = type::boolean; break;
      case op::where: result = x[1]->t; break;
      case op::cast:
      case op::uniform:
      case op::normal: result = type_of(in.element); break;
      case op::fold: result = type::i64; break;
      default: break;
    }
    return make(result, over, [&](i64 b, i64 r, i64 c) {
      number a = at(*x[0], b, r, c);
      switch (o) {
        case op::stop_gradient: return a;
        case op::cast: return cast(t, in.element, a);
        case op::where: return at(*x[a.i ? 1 : 2], b, r, c);
        case op::fold:
          return number{0, static_cast<i64>(
                               flame::fold(static_cast<u64>(a.i), static_cast<u64>(at(*x[1], b, r, c).i)))};
        case op::uniform:
        case op::normal: {
          u64 k = static_cast<u64>(a.i), i = static_cast<u64>(at(*x[1], b, r, c).i);
          if (result == type::f64)
            return number{o == op::uniform ? uniform_element<double>(k, i) : normal_element<double>(k, i), 0};
          return number{o == op::uniform ? uniform_element<float>(k, i) : normal_element<float>(k, i), 0};
        }
        default: return kind_of(o) == op_kind::unary ? unary(o, t, a) : binary(o, t, a, at(*x[1], b, r, c));
      }
    });
  }

  void run() {
    for (const instruction& in : g.code->body)
      values.push_back(in.code == code_store ? tensor{} : compute(in));
    for (const instruction& in : g.code->body) {
      const bound_slot& s = g.slots[in.code == code_store ? in.a : 0];
      if (in.code != code_store || !s.memory) continue;
      const tensor& x = values[static_cast<std::size_t>(in.b)];
      const instruction& from = g.code->body[in.b];
      bool reduced = from.reduce == reduce_mode::column || from.reduce == reduce_mode::total;
      bool over[3] = {x.over[0], x.over[1], x.over[2]};
      if (!reduced) over[0] = over[1] = in.at != level::uniform, over[2] = in.at == level::full;
      each(over, [&](i64 b, i64 o, i64 i) {
        write(g.code->slots[in.a].element, s.memory, offset(s, b, o, i), at(x, b, o, i));
      });
    }
  }
};

// Inputs are read before any output is written.
inline void run(const bound_group& g) { machine(g).run(); }

}  // namespace reference
