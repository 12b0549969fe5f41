// Run-time extents: how long each axis of a graph is, derived from the axes of its leaves.
#pragma once
#include <flame/graph/names.hpp>
#include <flame/graph/words.hpp>

namespace flame {

// Who says how long an axis is: `flame::split`, `argument x`. The beginning of an error's text.
struct extent_source {
  text kind = "flame::";
  text name;
};

// Axes that are known. A static axis is known always; few others are, so they are searched one by one.
struct extents {
  struct binding {
    const axis_info* axis = nullptr;
    i64 extent = 0;
    friend constexpr bool operator==(const binding&, const binding&) = default;
  };
  list<binding> bindings;  // of dynamic axes, in the order in which they became known

  [[nodiscard]] bool known(const axis_info* a) const { return a->extent != dynamic || find(a) >= 0; }

  // Throws flame::error where it is not known.
  [[nodiscard]] i64 operator[](const axis_info* a) const {
    if (a->extent != dynamic) return a->extent;
    int i = find(a);
    if (i < 0) throw error("flame: the extent of axis " + string_of(a) + " is not known");
    return bindings[i].extent;
  }

  // Throws flame::error, naming the axis and both extents, if it is known to be another, and if it is
  // negative.
  void bind(const axis_info* a, i64 extent, extent_source by) {
    auto refuse = [&](const std::string& why) {
      throw error(string_of(by.kind) + string_of(by.name) + ": axis " + string_of(a) +
                  " cannot have extent " + std::to_string(extent) + why);
    };
    if (extent < 0) refuse(", which is negative");
    if (a->extent != dynamic) {
      if (a->extent != extent) refuse(": its type says " + std::to_string(a->extent));
      return;
    }
    int i = find(a);
    if (i < 0)
      bindings.push({a, extent});
    else if (bindings[i].extent != extent)
      refuse(": elsewhere it has extent " + std::to_string(bindings[i].extent));
  }

  // How many elements a tensor has, all instances together.
  [[nodiscard]] i64 elements(const tensor_type& t) const {
    i64 n = 1;
    for (int i = 0; i < t.rank; ++i) n *= (*this)[t.axes[i]];
    return n;
  }

 private:
  [[nodiscard]] int find(const axis_info* a) const {
    for (int i = 0; i < bindings.size(); ++i)
      if (bindings[i].axis == a) return i;
    return -1;
  }
};

void resolve(const graph& g, extents& e);

namespace rule {

// What one node says of extents. Each member uses what is known, checks it, and is true once nothing is left
// to say.
struct resolver {
  const graph& g;
  extents& e;
  int n;

  [[nodiscard]] extent_source source() const { return {"flame::", name_of(g[n].code)}; }
  [[nodiscard]] bool known(const axis_info* a) const { return e.known(a); }
  void bind(const axis_info* a, i64 extent) const { e.bind(a, extent, source()); }
  [[nodiscard]] i64 number(int i) const { return static_cast<i64>(g.number(n, i)); }
  [[noreturn]] void refuse(const std::string& why) const {
    throw error("flame::" + string_of(name_of(g[n].code)) + ": " + why);
  }
  [[nodiscard]] std::string named(const axis_info* a) const {
    return "axis " + string_of(a) + " of extent " + std::to_string(e[a]);
  }

  [[nodiscard]] bool equal(const axis_info* a, const axis_info* b) const {
    if (known(a)) bind(b, e[a]);
    if (known(b)) bind(a, e[b]);
    return known(a);
  }

  // total = product of the node's axes [first, first + count), of which one may be unknown.
  [[nodiscard]] bool product(const axis_info* total, int first, int count) const {
    const axis_info* unknown = nullptr;
    i64 rest = 1;
    for (int i = first; i < first + count; ++i) {
      const axis_info* a = g.axis(n, i);
      if (known(a)) {
        if (__builtin_mul_overflow(rest, e[a], &rest)) refuse("the extents' product is too large");
      } else if (unknown) {
        return false;
      } else {
        unknown = a;
      }
    }
    if (!unknown) {
      bind(total, rest);
      return true;
    }
    if (!known(total)) return false;
    if (rest == 0 && e[total] == 0) return false;
    if (rest == 0 || e[total] % rest)
      refuse(named(total) + " cannot have axis " + string_of(unknown) +
             " as a part: " + std::to_string(rest) + ", the extent of the other parts, does not divide " +
             std::to_string(e[total]));
    bind(unknown, e[total] / rest);
    return true;
  }

  // total = sum of the node's axes [0, count), of which one may be unknown.
  [[nodiscard]] bool sum(const axis_info* total, int count) const {
    const axis_info* unknown = nullptr;
    i64 rest = 0;
    for (int i = 0; i < count; ++i) {
      const axis_info* a = g.axis(n, i);
      if (known(a))
        rest += e[a];
      else if (unknown)
        return false;
      else
        unknown = a;
    }
    if (!unknown)
      bind(total, rest);
    else if (known(total))
      bind(unknown, e[total] - rest);
    return known(total);
  }

  // Begin or low of a node with axes after the first two: those axes' extents are added. False where one is
  // not known.
  [[nodiscard]] bool start(i64& at) const {
    at = number(0);
    for (int i = 2; i < g[n].axis_count; ++i) {
      if (!known(g.axis(n, i))) return false;
      at += e[g.axis(n, i)];
    }
    return true;
  }

  [[nodiscard]] bool slice(const axis_info* from, const axis_info* to) const {
    i64 begin = 0, step = number(1), count = number(2);
    if (number(0) < 0 || step < 1 || count < as_result)
      refuse("begin " + std::to_string(number(0)) + ", step " + std::to_string(step) + ", count " +
             std::to_string(count) + ": begin and count must not be negative, step must be positive");
    if (count >= 0) bind(to, count);
    if (!start(begin) || !known(from) || (count == as_result && !known(to))) return false;
    if (count == as_result) count = e[to];
    i64 end = count > 0 ? begin + (count - 1) * step + 1 : begin;
    if (end > e[from])
      refuse(named(from) + " is too short: axis " + string_of(to) + " needs " + std::to_string(end));
    if (count < 0) bind(to, (e[from] - begin + step - 1) / step);
    return true;
  }

  [[nodiscard]] bool pad(const axis_info* from, const axis_info* to) const {
    i64 low = 0, high = number(1), step = number(3);
    if (number(0) < 0 || high < as_result || high == -1 || step < 1)
      refuse("low " + std::to_string(number(0)) + ", high " + std::to_string(high) + ", step " +
             std::to_string(step) + ": padding must not be negative, step must be positive");
    if (!start(low)) return false;
    auto span = [&] { return e[from] > 0 ? (e[from] - 1) * step + 1 : 0; };
    if (high == as_result) {
      if (!known(from) || !known(to)) return false;
      if (low + span() > e[to])
        refuse(named(to) + " is too short: axis " + string_of(from) + " needs " +
               std::to_string(low + span()));
      return true;
    }
    if (known(from)) bind(to, low + span() + high);
    if (known(to) && step == 1) bind(from, e[to] - low - high);
    return known(from);
  }

  // out = floor((in + 2 padding - dilation (kernel - 1) - 1) / stride) + 1. in from out only where stride
  // is 1, or what the quotient leaves is given.
  [[nodiscard]] bool windows(const axis_info* in, const axis_info* out, i64 kernel, i64 stride, i64 padding,
                             i64 dilation, i64 left = -1) const {
    if (kernel < 1 || stride < 1 || padding < 0 || dilation < 1)
      refuse("kernel " + std::to_string(kernel) + ", stride " + std::to_string(stride) + ", padding " +
             std::to_string(padding) + ", dilation " + std::to_string(dilation) +
             ": padding must not be negative, the others must be positive");
    i64 reach = dilation * (kernel - 1) + 1;
    if (known(in)) {
      i64 room = e[in] + 2 * padding - reach;
      if (room < 0)
        refuse("a window of " + std::to_string(reach) + " does not fit into " + named(in) + ", padded by " +
               std::to_string(padding));
      bind(out, room / stride + 1);
    } else if (known(out) && (stride == 1 || left >= 0)) {
      if (left >= 0 && e[out] == 0) refuse(named(out) + " has no elements, a window needs one");
      bind(in, (e[out] - 1) * stride + reach - 2 * padding + (left < 0 ? 0 : left));
    }
    return known(in);
  }

  [[nodiscard]] bool convolution() const {
    bool done = true;
    for (int i = 0; i < 2; ++i) {
      const axis_info* kernel = g.axis(n, 2 + i);
      done = known(kernel) &&
             windows(g.axis(n, i), g.axis(n, 6 + i), e[kernel], number(i), number(2 + i), number(4 + i),
                     g[n].data_count > 7 ? number(7 + i) : -1) &&
             done;
    }
    const axis_info *in = g.axis(n, 4), *part = g.axis(n, 5), *out = g.axis(n, 8);
    i64 groups = number(6);
    for (const axis_info* a : {in, out})
      if (groups < 1 || (known(a) && e[a] % groups))
        refuse(std::to_string(groups) + " groups do not divide " +
               (known(a) ? named(a) : "axis " + string_of(a)));
    if (known(part)) bind(in, e[part] * groups);
    if (known(in)) bind(part, e[in] / groups);
    return done && known(in) && known(out);
  }

  [[nodiscard]] bool top(const axis_info* from, const axis_info* to) const {
    if (known(from) && known(to) && e[to] > e[from])
      refuse(named(from) + " has fewer elements than " + named(to));
    return known(from) && known(to);
  }

  [[nodiscard]] bool pooling() const {
    bool height = windows(g.axis(n, 0), g.axis(n, 2), number(0), number(2), number(4), 1);
    bool width = windows(g.axis(n, 1), g.axis(n, 3), number(1), number(3), number(5), 1);
    return height && width;
  }

  // The function's own axes, bound anew from the operands by position; then those of its outputs, back by
  // position.
  [[nodiscard]] bool call() const {
    const function_info& f = *g[n].function;
    call_info info = g.call_of(n);
    axis_map map;
    extents inner;
    for (int i = 0; i < f.leaf_count; ++i) {
      const tensor_type &given = g.type(g.arg(n, i)), &wanted = f.leaves[i]->type;
      int skipped = info.operands[i].mode == operand_mode::each ? 1 : 0;
      if (skipped && !equal(g.axis(n, 0), given.axes[0])) return false;
      if (info.repeat && known(g.axis(n, 0)) && e[g.axis(n, 0)] == 0) return true;  // no instance says anything
      for (int k = 0; k < wanted.rank; ++k) {
        const axis_info* a = given.axes[k + skipped];
        if (!known(a)) return false;
        map.bind(wanted.axes[k], a);
        inner.bind(wanted.axes[k], e[a], {"operand ", f.leaves[i]->name});
      }
    }
    try {
      resolve(graph_of(f), inner);
    } catch (const error& inside) {
      refuse("in " + string_of(f.name) + ": " + inside.what());
    }
    for (int i = 0; i < f.output_count; ++i)
      for (int k = 0; k < f.outputs[i].rank; ++k)
        bind(map(f.outputs[i].axes[k]), inner[f.outputs[i].axes[k]]);
    return true;
  }

  [[nodiscard]] bool says() const {
    const node& o = g[n];
    auto axis = [&](int i) { return g.axis(n, i < 0 ? o.axis_count + i : i); };
    switch (o.code) {
      case op::rename: return equal(axis(0), axis(1));
      case op::split: return product(axis(0), 1, o.axis_count - 1);
      case op::merge: return product(axis(-1), 0, o.axis_count - 1);
      case op::slice: return slice(axis(0), axis(1));
      case op::pad: return pad(axis(0), axis(1));
      case op::concatenate: return sum(axis(-1), o.axis_count - 1);
      case op::conv:
      case op::conv_data:
      case op::conv_weight: return convolution();
      case op::pool_take:
      case op::pool_put:
      case op::pool_mean:
      case op::pool_mean_put: return pooling();
      case op::top: return top(axis(0), axis(1));
      case op::call: return call();
      default: return true;
    }
  }

  // An axis of the node that is not known, or null.
  [[nodiscard]] const axis_info* unknown() const {
    const tensor_type& t = g.type(n);
    for (int i = 0; i < (t.stack ? t.stack : t.rank); ++i)  // instances have axes of their own
      if (!known(t.axes[i])) return t.axes[i];
    for (int i = 0; i < g[n].axis_count; ++i)
      if (!known(g.axis(n, i))) return g.axis(n, i);
    return nullptr;
  }
};

}  // namespace rule

// Derives the extents of all axes that the outputs of a graph need, from those that the caller has bound (the
// axes of the leaves) and static ones: rename, split, merge, slice, pad, concatenate, windows and calls say
// how axes hang together, and a node is asked again until nothing new comes. Throws flame::error, naming
// operation and axis, where two extents clash, where a split is not exact, and where an axis cannot be
// determined (the larger axes of a gradient of a strided window, say: they must be those of a leaf).
inline void resolve(const graph& g, extents& e) {
  list<int> open = canonical_order(g), rest;
  for (;;) {
    rest.clear();
    int before = e.bindings.size();
    for (int n : open) {
      rule::resolver r{g, e, n};
      if (!r.says() || r.unknown()) rest.push(n);
    }
    if (rest.empty()) return;
    if (e.bindings.size() == before) break;
    open = rest;
  }
  for (int n : rest) {
    rule::resolver r{g, e, n};
    if (const axis_info* a = r.unknown())
      r.refuse("the extent of axis " + string_of(a) + " cannot be determined: no leaf has it");
  }
  rule::resolver{g, e, rest[0]}.refuse("an extent that it needs cannot be determined: no leaf has it");
}

}  // namespace flame
