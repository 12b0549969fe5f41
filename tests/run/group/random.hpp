// Random bound groups: programs of every operation over spaces of odd sizes, through permuted, repeated and
// gapped strides.
#pragma once
#include <flame/plan/group.hpp>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <memory>
#include <vector>

namespace random_groups {

using namespace flame;

struct dice {
  u64 state;
  u64 next() { return state = mix(state, 1); }
  int below(int n) { return static_cast<int>(next() % static_cast<u64>(n)); }
  bool one_in(int n) { return below(n) == 0; }
  template <class T> const T& of(const std::vector<T>& from) {
    return from[static_cast<std::size_t>(below(static_cast<int>(from.size())))];
  }
};

// A group with its memory. Outputs can be copied and compared.
struct sample {
  group code;
  bound_group bound;
  std::vector<std::vector<char>> memory;  // of each slot
  std::vector<double> tolerance;          // of each output: how far from the reference it may be
  std::vector<i64> first;                 // of each slot: bytes from its memory's begin to its first element
  std::vector<std::size_t> home;          // of each slot: whose memory it is

  void attach() {
    bound.code = &code;
    for (std::size_t i = 0; i < memory.size(); ++i)
      bound.slots[static_cast<int>(i)].memory =
          memory[home[i]].empty() ? nullptr : memory[home[i]].data() + first[i];
  }

  // Outputs take the place of inputs, wherever they can. Returns whether any did.
  bool overwrite_inputs() {
    bool any = false;
    int rank = bound.batch_rank + bound.outer_rank + bound.inner_rank;
    std::vector<bool> taken(memory.size(), false);
    for (const instruction& i : code.body) {
      if (i.code != code_store || i.at == level::uniform || code.body[i.b].reduce == reduce_mode::column ||
          code.body[i.b].reduce == reduce_mode::total)
        continue;
      for (int n = 0; n < code.slots.size(); ++n) {
        std::size_t k = static_cast<std::size_t>(n), out = static_cast<std::size_t>(i.a);
        if (code.slots[n].kind != slot_kind::input || code.slots[n].element != code.slots[i.a].element ||
            taken[k])
          continue;
        bool each = true;  // an element for each place of the space, or of its rows
        for (int a = 0; a < (i.at == level::full ? rank : bound.batch_rank + bound.outer_rank); ++a)
          each = each && (bound.extents[a] == 1 || bound.slots[n].strides[a] != 0);
        for (const instruction& l : code.body)
          each = each && (l.code != code_load || l.a != n || l.at == i.at);
        if (!each || home[out] != out) continue;
        bound.slots[i.a] = bound.slots[n];
        first[out] = first[k];
        home[out] = k;
        taken[k] = any = true;
      }
    }
    attach();
    return any;
  }
};

enum class shape_of_group { map, rows, columns };

struct writer {
  dice d;
  sample s;
  shape_of_group shape;
  i64 most = 3000;  // elements

  // What is known of a value.
  struct known {
    dtype element;  // as computed: f32, f64, int32, int64, boolean
    level at;
    bool whole = false;  // a whole number of at most `bound`
    double bound = std::numeric_limits<double>::infinity();
    double error = 0;       // how far it may be from the reference's
    bool signless = false;  // which zero it is, is not known
    bool final = false;     // can only be stored
  };
  std::vector<known> values;  // of each instruction
  i64 extents[3] = {1, 1, 1};

  void axes() {
    const std::vector<int> sizes{0, 1, 2, 3, 7, 17, 96, 100, 1000, 2, 3, 7, 17, 33, 64};
    int* ranks[] = {&s.bound.batch_rank, &s.bound.outer_rank, &s.bound.inner_rank};
    for (;;) {
      i64 total = 1;  // of zeros too, as if they were ones: memory must not grow
      int n = 0;
      bool zero = false;
      for (int k = 0; k < 3; ++k) {
        *ranks[k] = k == 0 ? (shape == shape_of_group::columns ? d.below(3) : 0) : d.below(4);
        extents[k] = 1;
        for (int r = 0; r < *ranks[k]; ++r) {
          int e = d.of(sizes);
          s.bound.extents[n++] = e;
          extents[k] *= e;
          zero = zero || e == 0;
          total *= std::max(e, 1);
        }
      }
      if (total <= most && n <= max_rank && (!zero || d.one_in(5))) return;
    }
  }

  // Strides of a tensor that lacks some axes, its others lying in memory in some order, with gaps. Sets the
  // bytes.
  void lay_out(bound_slot& b, bool lacks_inner, bool output, dtype element, bool lacks_outer = false) {
    int rank = s.bound.batch_rank + s.bound.outer_rank + s.bound.inner_rank;
    std::vector<int> order;
    bool plain = d.one_in(2);
    for (int i = rank - 1; i >= 0; --i) {
      bool inner = i >= s.bound.batch_rank + s.bound.outer_rank, outer = !inner && i >= s.bound.batch_rank;
      bool lacks = (inner && lacks_inner) || (outer && lacks_outer) || (!output && !plain && d.one_in(4));
      if (!lacks) order.push_back(i);
    }
    if (!plain && d.one_in(2))
      for (std::size_t i = order.size(); i > 1; --i)
        std::swap(order[i - 1], order[static_cast<std::size_t>(d.below(static_cast<int>(i)))]);
    i64 stride = !plain && d.one_in(6) ? 2 : 1, low = 0, high = 0;
    for (int i : order) {
      i64 e = s.bound.extents[i];
      b.strides[i] = !plain && d.one_in(12) ? -stride : stride;
      if (e > 1) (b.strides[i] < 0 ? low : high) += (e - 1) * b.strides[i];
      stride *= std::max<i64>(e, 1);
      if (!plain && d.one_in(8)) stride += d.below(5);
    }
    i64 size = size_of(element);
    s.memory.emplace_back(static_cast<std::size_t>((high - low + 1) * size));
    s.first.push_back(-low * size);
  }

  int slot(slot_kind kind, dtype element) {
    s.bound.slots.push({});
    return s.code.slots.push({kind, element, -1});
  }
  int push(u8 code, known k, int a = -1, int b = -1, int c = -1, reduce_mode reduce = reduce_mode::none) {
    instruction i;
    i.code = code;
    i.element = k.element;
    i.at = k.at;
    i.reduce = reduce;
    i.a = a, i.b = b, i.c = c;
    values.push_back(k);
    return s.code.body.push(i);
  }
  int push(op o, known k, int a = -1, int b = -1, int c = -1, reduce_mode reduce = reduce_mode::none) {
    return push(static_cast<u8>(o), k, a, b, c, reduce);
  }

  template <class F> void fill(int slot, dtype element, F next) {
    std::vector<char>& m = s.memory[static_cast<std::size_t>(slot)];
    i64 n = static_cast<i64>(m.size()) / size_of(element);
    for (i64 i = 0; i < n; ++i) {
      double x = next();
      auto put = [&](auto y) { std::memcpy(m.data() + i * static_cast<i64>(sizeof(y)), &y, sizeof(y)); };
      switch (element) {
        case dtype::f32: put(static_cast<float>(x)); break;
        case dtype::f64: put(x); break;
        case dtype::bf16: put(bf16(static_cast<float>(x))); break;
        case dtype::f16: put(f16(static_cast<float>(x))); break;
        case dtype::int32: put(static_cast<i32>(x)); break;
        case dtype::int64:
        case dtype::key: put(static_cast<i64>(x)); break;
        case dtype::uint8: put(static_cast<u8>(x)); break;
        case dtype::boolean: put(static_cast<u8>(x != 0)); break;
      }
    }
  }

  void input() {
    const std::vector<dtype> kinds{dtype::f32, dtype::f32,   dtype::f32,   dtype::f64,   dtype::bf16,
                                   dtype::f16, dtype::int32, dtype::int64, dtype::uint8, dtype::boolean};
    dtype element = d.of(kinds);
    int n = slot(slot_kind::input, element);
    bool row = shape != shape_of_group::columns && d.one_in(4);
    lay_out(s.bound.slots[n], row, false, element);
    known k{compute_type(element), row ? level::row : level::full};
    if (element == dtype::boolean) {
      fill(n, element, [&] { return d.below(2); });
    } else if (element == dtype::uint8) {
      fill(n, element, [&] { return d.below(4); });
      k.whole = true, k.bound = 3;
    } else if (!is_floating(element) || d.one_in(2)) {
      fill(n, element, [&] { return d.below(7) - 3; });
      k.whole = true, k.bound = 3;
    } else {
      bool special = d.one_in(6);
      fill(n, element, [&]() -> double {
        if (special && d.one_in(9))
          return std::vector<double>{NAN, INFINITY, -INFINITY, -0.0,
                                     1e30}[static_cast<std::size_t>(d.below(5))];
        return (d.below(2001) - 1000) / 256.0;
      });
    }
    push(code_load, k, n);
  }

  void constant() {
    const std::vector<dtype> kinds{dtype::f32,   dtype::f32,   dtype::f64,
                                   dtype::int32, dtype::int64, dtype::boolean};
    dtype element = d.of(kinds);
    int n = slot(slot_kind::uniform, element), x = d.below(7) - 3;
    s.memory.emplace_back();
    s.first.push_back(0);
    known k{element, level::uniform, true, 3};
    if (d.one_in(3)) {
      s.memory.back().resize(static_cast<std::size_t>(size_of(element)));
      fill(n, element, [&] { return x; });
    }
    s.bound.slots[n].number = element == dtype::boolean ? x != 0 : x;
    s.bound.slots[n].bits = static_cast<u64>(static_cast<i64>(x));
    push(code_load, k, n);
  }

  int index(bool for_random) {
    dtype element =
        for_random ? dtype::int64 : d.of(std::vector<dtype>{dtype::int32, dtype::int64, dtype::f32});
    int n = slot(slot_kind::index, element);
    bool row = shape != shape_of_group::columns && d.one_in(5);
    lay_out(s.bound.slots[n], row, false, element);
    s.memory.back().clear();
    bound_slot& b = s.bound.slots[n];
    i64 reach = 0;
    b.offset = d.below(50);
    for (int i = 0; i < max_rank; ++i) {
      if (for_random && b.strides[i] < 0) b.strides[i] = -b.strides[i];
      reach += std::max<i64>(s.bound.extents[i] - 1, 0) * std::abs(b.strides[i]);
    }
    if (for_random && d.one_in(4)) b.offset += i64{1} << 33;
    known k{element, row ? level::row : level::full, true, static_cast<double>(reach + b.offset)};
    return push(code_load, k, n);
  }

  void random() {
    int n = slot(slot_kind::uniform, dtype::key);
    s.memory.emplace_back();
    s.first.push_back(0);
    s.bound.slots[n].bits = d.next();
    int key = push(code_load, {dtype::key, level::uniform}, n);
    if (d.one_in(2)) {
      int site = slot(slot_kind::uniform, dtype::int64);
      s.memory.emplace_back();
      s.first.push_back(0);
      s.bound.slots[site].bits = static_cast<u64>(d.below(1000));
      int data = push(code_load, {dtype::int64, level::uniform, true, 1000}, site);
      key = push(op::fold, {dtype::key, level::uniform}, key, data);
    }
    int at = index(true);
    dtype element = d.one_in(4) ? dtype::f64 : dtype::f32;
    known k{element, values[static_cast<std::size_t>(at)].at};
    k.bound = 10;
    bool normal = d.one_in(2);
    k.error = normal ? (element == dtype::f64 ? 1e-13 : 1e-5) : 0;
    if (normal) k.signless = true;
    push(normal ? op::normal : op::uniform, k, key, at);
  }

  int pick(dtype element, bool exact = true) {
    std::vector<int> found;
    for (std::size_t i = 0; i < values.size(); ++i)
      if (values[i].element == element && !values[i].final && (!exact || values[i].error == 0))
        found.push_back(static_cast<int>(i));
    return found.empty() ? -1 : d.of(found);
  }
  const known& of(int v) const { return values[static_cast<std::size_t>(v)]; }

  void unary() {
    dtype element = d.of(
        std::vector<dtype>{dtype::f32, dtype::f32, dtype::f64, dtype::int32, dtype::int64, dtype::boolean});
    bool smooth = d.one_in(4);
    int x = pick(element, !smooth);
    if (x < 0) return;
    known k = of(x);
    if (k.error > 0) {
      op o = d.of(std::vector<op>{op::neg, op::abs, op::tanh, op::sigmoid});
      if (o == op::tanh || o == op::sigmoid) k.bound = 1;
      k.whole = false;
      push(o, k, x);
      return;
    }
    if (element == dtype::boolean) {
      if (d.one_in(2)) {
        push(op::logical_not, k, x);
      } else {
        k = {d.of(std::vector<dtype>{dtype::f32, dtype::f64, dtype::int32, dtype::int64}), k.at, true, 1};
        push(op::cast, k, x);
      }
      return;
    }
    if (d.one_in(5)) {
      dtype to = d.of(std::vector<dtype>{dtype::f32, dtype::f64, dtype::int32, dtype::int64, dtype::boolean,
                                         dtype::uint8, dtype::bf16, dtype::f16});
      bool integer = is_integer(to);
      known y{to, k.at, k.whole || integer, k.bound, 0, k.signless};
      if (to == dtype::boolean) y = {to, k.at};
      if (integer && !k.whole) y.bound = to == dtype::uint8 ? 255 : 0x1p63;
      if (to == dtype::int32 && y.bound > 0x1p31) y.bound = 0x1p31;
      if (to == dtype::uint8) y.bound = 255;
      int n = push(op::cast, y, x);
      values[static_cast<std::size_t>(n)].element = compute_type(to);
      return;
    }
    if (!is_floating(element)) {
      op o = d.of(std::vector<op>{op::neg, op::abs, op::sign, op::stop_gradient});
      if (o == op::sign) k.bound = 1;
      push(o, k, x);
      return;
    }
    op o = d.of(std::vector<op>{op::neg, op::abs, op::sign, op::floor, op::exp, op::expm1, op::log, op::log1p,
                                op::sqrt, op::rsqrt, op::reciprocal, op::sin, op::cos, op::tanh, op::sigmoid,
                                op::erf, op::is_finite, op::is_nan, op::stop_gradient});
    if (k.signless && (o == op::rsqrt || o == op::reciprocal)) return;
    if (o == op::is_finite || o == op::is_nan) {
      push(o, {dtype::f32, k.at}, x);
      values.back().element = dtype::boolean;
      s.code.body.back().element = element;
      return;
    }
    if (o == op::sign) k.bound = 1;
    if (o != op::neg && o != op::abs && o != op::stop_gradient && o != op::sign && o != op::floor) {
      k.whole = false;
      k.bound = o == op::tanh || o == op::sigmoid || o == op::erf || o == op::sin || o == op::cos
                    ? 1
                    : std::numeric_limits<double>::infinity();
    }
    push(o, k, x);
  }

  static level higher(level a, level b) { return a > b ? a : b; }

  void binary() {
    dtype element = d.of(
        std::vector<dtype>{dtype::f32, dtype::f32, dtype::f64, dtype::int32, dtype::int64, dtype::boolean});
    int a = pick(element, !d.one_in(4)), b = pick(element);
    if (a < 0) return;
    if (b < 0) b = a;
    if (of(b).error > 0) return;
    bool rough = of(a).error > 0;
    if (d.one_in(2) && !rough) std::swap(a, b);
    known x = of(a), y = of(b), k{element, higher(x.at, y.at)};
    k.signless = x.signless || y.signless;
    std::vector<op> all{op::add,  op::sub,        op::mul,   op::minimum,  op::maximum,
                        op::less, op::less_equal, op::equal, op::not_equal};
    if (element == dtype::boolean) all = {op::equal, op::not_equal, op::logical_and, op::logical_or};
    if (is_floating(element)) all.push_back(op::div), all.push_back(op::pow);
    if (rough) all = {op::add, op::sub, op::mul};
    op o = d.of(all);
    if (k.signless && (o == op::div || o == op::pow)) return;
    k.whole = x.whole && y.whole && o != op::div && o != op::pow;
    k.bound = o == op::mul                           ? x.bound * y.bound
              : o == op::minimum || o == op::maximum ? std::max(x.bound, y.bound)
                                                     : x.bound + y.bound;
    if (o == op::div || o == op::pow) k.bound = std::numeric_limits<double>::infinity();
    if (std::isnan(k.bound)) k.bound = std::numeric_limits<double>::infinity();
    double exact = element == dtype::f32 ? 0x1p24 : 0x1p53;
    if (is_floating(element) && k.bound > exact) k.whole = false;
    if (rough) {
      if (!(k.bound < 1e6)) return;
      k.error = o == op::mul ? x.error * y.bound : x.error;
      k.error += k.bound * 1e-6;
    }
    bool compares = o == op::less || o == op::less_equal || o == op::equal || o == op::not_equal;
    if (compares) k = {element, k.at};
    push(o, k, a, b);
    if (compares) values.back().element = dtype::boolean;
  }

  void where() {
    dtype element = d.of(
        std::vector<dtype>{dtype::f32, dtype::f32, dtype::f64, dtype::int32, dtype::int64, dtype::boolean});
    int c = pick(dtype::boolean), a = pick(element), b = pick(element);
    if (c < 0 || a < 0) return;
    known x = of(a), y = of(b);
    push(op::where,
         {element, higher(of(c).at, higher(x.at, y.at)), x.whole && y.whole, std::max(x.bound, y.bound), 0,
          x.signless || y.signless},
         c, a, b);
  }

  void reduce() {
    if (shape == shape_of_group::map) return;
    dtype element = d.of(std::vector<dtype>{dtype::f32, dtype::f32, dtype::f32, dtype::f64, dtype::int32,
                                            dtype::int64, dtype::boolean});
    int x = pick(element);
    if (x < 0) return;
    known k = of(x);
    op o = d.of(std::vector<op>{op::sum, op::sum, op::sum, op::prod, op::max, op::min, op::argmax});
    if (element == dtype::boolean && o != op::max && o != op::min) return;
    reduce_mode mode = shape == shape_of_group::rows && !d.one_in(4)
                           ? reduce_mode::row
                           : (d.one_in(2) ? reduce_mode::column : reduce_mode::total);
    double count = static_cast<double>((mode == reduce_mode::row ? 1 : extents[1]) *
                                       (mode == reduce_mode::column ? 1 : extents[2]));
    k.at = mode == reduce_mode::row ? level::row : level::full;
    k.final = mode != reduce_mode::row;
    if (o == op::sum) {
      double exact = element == dtype::f32 ? 0x1p24 : 0x1p53;
      bool small = k.whole && k.bound * count <= exact;
      if (is_floating(element) && !small) {
        if (!(k.bound < 1e6)) return;
        k.error = k.bound * (count + 1) * 3e-7;
        k.whole = false;
      }
      k.bound *= count + 1;
    } else if (o == op::prod) {
      if (is_floating(element) && !(k.whole && k.bound <= 1)) return;
    } else if (o == op::argmax) {
      k = {dtype::int32, k.at, true, std::max(count, 1.0), 0, false, k.final};
    } else {
      k.signless = true;
      if (count == 0) k.whole = false, k.bound = std::numeric_limits<double>::infinity();
    }
    if (o == op::max || o == op::min) k.whole = k.whole && count > 0;
    push(o, k, x, -1, -1, mode);
    if (o == op::argmax) s.code.body.back().element = element;
  }

  void store(int v) {
    known k = of(v);
    const instruction& from = s.code.body[v];
    dtype element = k.element;
    if (element == dtype::key) return;
    if (element == dtype::f32)
      element = d.of(std::vector<dtype>{dtype::f32, dtype::f32, dtype::bf16, dtype::f16});
    if (element == dtype::int32 && d.one_in(4)) element = dtype::uint8;
    int n = slot(slot_kind::output, element);
    level at = k.at;
    if (!k.final && d.one_in(8)) at = level::full;
    bool column = from.reduce == reduce_mode::column, total = from.reduce == reduce_mode::total;
    bool uniform = at == level::uniform;
    lay_out(s.bound.slots[n], k.final ? total : at != level::full, true, element, column || total || uniform);
    if (uniform)
      for (i64& stride : s.bound.slots[n].strides) stride = 0;
    fill(n, element, [&] { return 77; });
    s.tolerance.resize(static_cast<std::size_t>(n) + 1, 0);
    s.tolerance.back() = k.error;
    push(code_store, {k.element, at, false, 0, 0, false, true}, n, v);
  }

  void write() {
    axes();
    for (int i = 1 + d.below(4); i > 0; --i) input();
    for (int i = d.below(3); i > 0; --i) constant();
    if (d.one_in(4)) index(false);
    if (d.one_in(4)) random();
    for (int i = 2 + d.below(14); i > 0; --i) switch (d.below(8)) {
        case 0:
        case 1: unary(); break;
        case 2:
        case 3:
        case 4: binary(); break;
        case 5: where(); break;
        default: reduce();
      }
    int stored = 0, instructions = s.code.body.size();
    for (int v = 0; v < instructions; ++v)
      if (of(v).final || d.one_in(3) || (stored == 0 && v == instructions - 1)) store(v), ++stored;
    s.tolerance.resize(s.memory.size(), 0);
  }
};

inline std::unique_ptr<sample> make(u64 seed, i64 most) {
  writer w{{seed}, {}, {}, most, {}, {}};
  w.d.next();
  w.shape = static_cast<shape_of_group>(w.d.below(3));
  w.write();
  auto s = std::make_unique<sample>(std::move(w.s));
  for (std::size_t i = 0; i < s->memory.size(); ++i) s->home.push_back(i);
  s->attach();
  return s;
}

}  // namespace random_groups
