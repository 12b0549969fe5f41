// The reference evaluator: what a graph means, one element at a time, in doubles; slow, and as plain as it
// can be.
#pragma once
#include <flame/base/philox.hpp>
#include <flame/graph/reference.hpp>
#include <flame/graph/reference_attention.hpp>
#include <flame/graph/reference_order.hpp>
#include <map>

namespace flame {

using leaf_values = std::map<const leaf_info*, value>;

// The values of a graph's outputs. Leaves that the outputs need must be given; `known` holds extents of axes
// that no given leaf has. Everything is computed in double; random numbers are those of their element type
// (base/philox.hpp), of the key fold(key, site). NaN goes through all arithmetic, minimum, maximum, max, min
// and argmax (where it is the largest), its sign is 0, all as in PyTorch; comparisons with it are false. Over
// no elements sum is 0, prod 1, max the lowest number of the type and min the highest. Integers are computed
// modulo 2^bits. Throws flame::error: a missing or unfitting leaf, extents that clash, an index out of range,
// argmax over nothing, a window that lies in the padding alone.
[[nodiscard]] inline std::vector<value> evaluate(const graph& g, const leaf_values& leaves,
                                                 rounding mode = rounding::none, const extents& known = {});

namespace reference {

struct evaluator {
  const graph& g;
  const leaf_values& leaves;
  rounding mode;
  extents e;
  std::vector<value> values;
  std::map<int, std::vector<value>> called;  // a call's outputs

  [[nodiscard]] const value& in(int n, int i) const { return values[static_cast<std::size_t>(g.arg(n, i))]; }
  [[nodiscard]] i64 number(int n, int i) const { return static_cast<i64>(g.number(n, i)); }
  [[noreturn]] void refuse(int n, const std::string& why) const {
    throw error("flame::" + string_of(name_of(g[n].code)) + ": " + why);
  }
  [[nodiscard]] value blank(const tensor_type& t) const {
    value v;
    v.type = t;
    for (int i = 0; i < t.rank; ++i) v.shape.push_back(e[t.axes[i]]);
    v.resize();
    return v;
  }

  void bind_leaves() {
    for (int n = 0; n < g.size(); ++n) {
      if (!g.is(n, op::leaf)) continue;
      const leaf_info& l = *g[n].leaf;
      auto given = leaves.find(&l);
      if (given == leaves.end()) continue;
      value v = given->second;
      std::size_t rank = l.type.rank, count = v.is_key() ? v.keys.size() : v.data.size();
      if (v.type.element != l.type.element || v.shape.size() != rank)
        throw error("flame::evaluate: " + string_of(l.name) + " is " + string_of(l.type) +
                    ", its value is a " + name_of(v.type.element) + " with " +
                    std::to_string(v.shape.size()) + " axes");
      if (count != static_cast<std::size_t>(v.size()))
        throw error("flame::evaluate: the value of " + string_of(l.name) + " has " + std::to_string(count) +
                    " elements, its shape " + std::to_string(v.size()));
      v.type = l.type;
      for (std::size_t i = 0; i < rank; ++i) e.bind(l.type.axes[i], v.shape[i], {"argument ", l.name});
      values[static_cast<std::size_t>(n)] = v;
    }
  }

  void random(int n, value& out) const {
    if (in(n, 0).type.rank > 0) refuse(n, "the key must be a scalar");
    u64 key = flame::fold(in(n, 0).keys[0], g.number(n, 0));
    bool wide = out.type.element == dtype::f64, normal = g.is(n, op::normal);
    for (i64 i = 0; i < out.size(); ++i) {
      u64 at = static_cast<u64>(i);
      if (wide)
        out[i] = normal ? normal_element<double>(key, at) : uniform_element<double>(key, at);
      else
        out[i] =
            static_cast<double>(normal ? normal_element<float>(key, at) : uniform_element<float>(key, at));
    }
  }

  void elementwise(int n, value& out) const {
    op code = g[n].code;
    space s;
    s.add(out);
    std::vector<std::vector<i64>> strides;
    for (int k = 0; k < g[n].arg_count; ++k) strides.push_back(s.strides(in(n, k)));
    dtype element = in(n, 0).type.element;
    i64 i = 0;
    s.each([&](const std::vector<i64>& at) {
      auto place = [&](int k) { return offset(at, strides[static_cast<std::size_t>(k)]); };
      auto x = [&](int k) { return in(n, k)[place(k)]; };
      if (code == op::fold)
        out.keys[static_cast<std::size_t>(i)] =
            flame::fold(in(n, 0).keys[static_cast<std::size_t>(place(0))], static_cast<u64>(integer(x(1))));
      else if (code == op::stop_gradient)
        out.take(i, in(n, 0), place(0));
      else if (code == op::cast)
        out[i] = converted(x(0), element, out.type.element);
      else if (code == op::where)
        out[i] = x(0) != 0 ? x(1) : x(2);
      else
        out[i] = g[n].arg_count == 1 ? unary(code, element, x(0)) : binary(code, element, x(0), x(1));
      ++i;
    });
  }

  void reduction(int n, value& out) const {
    const value& x = in(n, 0);
    op code = g[n].code;
    dtype element = x.type.element;
    space s;
    s.add(x);
    std::vector<i64> to = s.strides(out);
    std::vector<double> best(out.data.size(), 0);  // argmax: the largest so far
    if (code == op::argmax) {
      if (out.size() > 0 && e[g.axis(n, 0)] == 0)
        refuse(n, "axis " + string_of(g.axis(n, 0)) + " has no elements");
      out.data.assign(out.data.size(), -1);
    }
    double first = code == op::sum    ? 0
                   : code == op::prod ? 1
                   : code == op::max  ? lowest(element)
                                      : highest(element);
    if (code != op::argmax) out.data.assign(out.data.size(), first);
    i64 i = 0;
    s.each([&](const std::vector<i64>& at) {
      double item = x[i++];
      i64 o = offset(at, to);
      if (code != op::argmax) {
        out[o] = binary(code, element, out[o], item);
      } else if (double& largest = best[static_cast<std::size_t>(o)]; out[o] < 0 || beats(item, largest)) {
        largest = item;
        out[o] = static_cast<double>(at[static_cast<std::size_t>(s.axes.find(g.axis(n, 0)))]);
      }
    });
  }

  // Elements of x move to `out`: `s` walks over x or over out, under the names of the other.
  void movement(int n, value& out) const {
    const value& x = in(n, 0);
    space s;
    i64 i = 0;
    switch (g[n].code) {
      case op::permute:
      case op::broadcast: {
        s.add(out);
        std::vector<i64> from = s.strides(x);
        s.each([&](const std::vector<i64>& at) { out.take(i++, x, offset(at, from)); });
        return;
      }
      case op::slice: {
        s.add(out);
        int axis = s.axes.find(g.axis(n, 1));
        s.axes[axis] = g.axis(n, 0);
        std::vector<i64> from = s.strides(x);
        i64& stride = from[static_cast<std::size_t>(axis)];
        i64 begin = start(n) * stride;
        stride *= number(n, 1);
        s.each([&](const std::vector<i64>& at) { out.take(i++, x, begin + offset(at, from)); });
        return;
      }
      case op::pad: {
        out.data.assign(out.data.size(), __builtin_bit_cast(double, g.number(n, 2)));
        return insert(x, g.axis(n, 0), g.axis(n, 1), start(n), number(n, 3), out);
      }
      case op::concatenate: {
        const axis_info* to = g.axis(n, g[n].axis_count - 1);
        for (int k = 0; k < g[n].arg_count; ++k) {
          insert(in(n, k), g.axis(n, k), to, i, 1, out);
          i += e[g.axis(n, k)];
        }
        return;
      }
      default:  // rename, split, merge: other names for the same memory
        out.data = x.data;
        out.keys = x.keys;
    }
  }

  // Where a slice begins, or how much a pad puts below.
  [[nodiscard]] i64 start(int n) const {
    i64 at = number(n, 0);
    for (int i = 2; i < g[n].axis_count; ++i) at += e[g.axis(n, i)];
    return at;
  }

  // x, its axis `from` under the name `to`, stands in `out` from index `begin` of that axis on, every `step`.
  static void insert(const value& x, const axis_info* from, const axis_info* to, i64 begin, i64 step,
                     value& out) {
    space s;
    s.add(x);
    int axis = s.axes.find(from);
    s.axes[axis] = to;
    std::vector<i64> strides = s.strides(out);
    i64& stride = strides[static_cast<std::size_t>(axis)];
    begin *= stride;
    stride *= step;
    i64 i = 0;
    s.each([&](const std::vector<i64>& at) { out.take(begin + offset(at, strides), x, i++); });
  }

  void contraction(int n, value& out) const {
    const value &a = in(n, 0), &b = in(n, 1);
    space s;
    s.add(out);
    s.add(a);
    s.add(b);
    std::vector<i64> from_a = s.strides(a), from_b = s.strides(b), to = s.strides(out);
    s.each([&](const std::vector<i64>& at) {
      out[offset(at, to)] += a[offset(at, from_a)] * b[offset(at, from_b)];
    });
  }

  void image(int n, value& out) const {
    const value& a = in(n, 0);
    const value& b = in(n, g[n].arg_count - 1);
    const u64* data = &g.data[g[n].data];
    auto largest = [&](const std::vector<i64>& window) {
      if (window.empty()) refuse(n, "a window lies in the padding alone");
      i64 best = window[0];
      for (i64 i : window)
        if (std::isnan(a[i]) || a[i] > a[best]) best = i;
      return best;
    };
    double cells = static_cast<double>(data[0] * data[1]);
    switch (g[n].code) {
      case op::conv:
        return convolution_terms(a, out, b, data, [&](i64 x, i64 y, i64 w) { out[y] += a[x] * b[w]; });
      case op::conv_data:
        return convolution_terms(out, a, b, data, [&](i64 x, i64 y, i64 w) { out[x] += a[y] * b[w]; });
      case op::conv_weight:
        return convolution_terms(a, b, out, data, [&](i64 x, i64 y, i64 w) { out[w] += a[x] * b[y]; });
      case op::pool_take:
        return pooling_windows(a, out, data, [&](const auto& window, i64 y) { out[y] = b[largest(window)]; });
      case op::pool_put:
        return pooling_windows(a, b, data, [&](const auto& window, i64 y) { out[largest(window)] += b[y]; });
      case op::pool_mean:
        return pooling_windows(a, out, data, [&](const auto& window, i64 y) {
          for (i64 i : window) out[y] += a[i];
          out[y] /= cells;
        });
      default:
        return pooling_windows(out, a, data, [&](const auto& window, i64 y) {
          for (i64 i : window) out[i] += a[y] / cells;
        });
    }
  }

  void indexing(int n, value& out) const {
    bool gather = g.is(n, op::gather);
    const value &index = in(n, gather ? 1 : 0), &other = in(n, gather ? 0 : 1);
    const axis_info* axis = g.axis(n, 0);
    space along, s;
    along.add(axis, e[axis]);
    i64 stride = along.strides(gather ? other : out)[0];
    if (!gather) s.add(other), s.add(index);
    for (int k = 0; k < out.type.rank; ++k)
      if (gather || out.type.axes[k] != axis) s.add(out.type.axes[k], out.shape[static_cast<std::size_t>(k)]);
    std::vector<i64> at_index = s.strides(index), at_other = s.strides(other), at_out = s.strides(out);
    s.each([&](const std::vector<i64>& at) {
      i64 i = integer(index[offset(at, at_index)]), from = offset(at, at_other), to = offset(at, at_out);
      if (i < 0 || i >= e[axis])
        refuse(n, "index " + std::to_string(i) + " is out of range: axis " + string_of(axis) +
                      " has extent " + std::to_string(e[axis]));
      if (gather)
        out.take(to, other, from + i * stride);
      else
        out[to + i * stride] = binary(op::add, out.type.element, out[to + i * stride], other[from]);
    });
  }

  void call(int n) {
    const function_info& f = *g[n].function;
    call_info info = g.call_of(n);
    rule::axis_map map;
    if (rule::call(g.operation_of(n), map) != fault::none) refuse(n, "its operands do not fit");
    const axis_info* counter = info.repeat ? g.axis(n, 0) : nullptr;
    i64 count = counter ? e[counter] : 1;
    graph body = graph_of(f);
    std::vector<value> outputs;
    for (int j = 0; j < f.output_count; ++j) {
      const tensor_type& inner = f.outputs[j];
      tensor_type t;
      t.element = inner.element;
      if (info.outputs[j] == output_mode::each) t.push(counter);
      for (int k = 0; k < inner.rank; ++k) t.push(map(inner.axes[k]));
      outputs.push_back(blank(t));
    }
    list<int> carried;
    for (int i = 0; i < f.leaf_count; ++i)
      if (info.operands[i].mode == operand_mode::carry) {
        carried.push(info.operands[i].index);
        outputs[static_cast<std::size_t>(info.operands[i].index)] = in(n, i);
      }
    for (int j = 0; count == 0 && j < f.output_count; ++j)
      if (info.outputs[j] == output_mode::carry && !carried.has(j))
        refuse(n, string_of(f.name) + " over no instances has no output " + std::to_string(j));
    leaf_values given;
    for (i64 k = 0; k < count; ++k) {
      i64 instance = info.reverse ? count - 1 - k : k;
      for (int i = 0; i < f.leaf_count; ++i) {
        const value& operand = in(n, i);
        value& v = given[f.leaves[i]];
        switch (info.operands[i].mode) {
          case operand_mode::plain: v = operand; break;
          case operand_mode::carry: v = outputs[static_cast<std::size_t>(info.operands[i].index)]; break;
          case operand_mode::keyed:
            v = operand;
            for (u64& key : v.keys) key = flame::fold(key, static_cast<u64>(instance));
            break;
          case operand_mode::each:
            v.type = f.leaves[i]->type;
            v.shape.assign(operand.shape.begin() + 1, operand.shape.end());
            v.resize();
            for (i64 c = 0; c < v.size(); ++c) v.take(c, operand, instance * v.size() + c);
        }
      }
      std::vector<value> results = evaluate(body, given, mode);
      for (int j = 0; j < f.output_count; ++j) {
        value &out = outputs[static_cast<std::size_t>(j)], &one = results[static_cast<std::size_t>(j)];
        for (i64 c = 0; c < one.size(); ++c) switch (info.outputs[j]) {
            case output_mode::carry: out.take(c, one, c); break;
            case output_mode::each: out.take(instance * one.size() + c, one, c); break;
            case output_mode::sum: out[c] = binary(op::add, one.type.element, out[c], one[c]); break;
          }
      }
    }
    called[n] = outputs;
  }

  void compute(int n) {
    value& out = values[static_cast<std::size_t>(n)];
    if (g.is(n, op::call)) return call(n);
    if (g.is(n, op::leaf)) {
      if (!leaves.contains(g[n].leaf))
        throw error("flame::evaluate: " + string_of(g[n].leaf->name) + " is not given");
    } else if (g.is(n, op::result)) {
      out = called[g.arg(n, 0)][static_cast<std::size_t>(number(n, 0))];
      out.type = g.type(n);
    } else {
      out = blank(g.type(n));
      operate(n, out);
    }
    if (mode == rounding::each_operation)
      for (double& x : out.data) x = rounded(x, out.type.element);
  }

  void operate(int n, value& out) const {
    switch (g[n].code) {
      case op::constant:
        if (out.is_key())
          out.keys[0] = static_cast<u64>(integer(__builtin_bit_cast(double, g.number(n, 0))));
        else
          out[0] = converted(__builtin_bit_cast(double, g.number(n, 0)), dtype::f64, out.type.element);
        return;
      case op::extent:
        out[0] = converted(static_cast<double>(e[g.axis(n, 0)]), dtype::int64, out.type.element);
        return;
      case op::iota:
        for (i64 i = 0; i < out.size(); ++i)
          out[i] = converted(static_cast<double>(i), dtype::int64, out.type.element);
        return;
      case op::uniform:
      case op::normal: return random(n, out);
      case op::contract: return contraction(n, out);
      case op::gather:
      case op::scatter_add: return indexing(n, out);
      case op::cumsum:
      case op::top: return ordering(g, n, in(n, 0), out);
      case op::in_range:
        return in_range(g, n, e[g.axis(n, 0)], in(n, 0), g[n].arg_count > 1 ? &in(n, 1) : nullptr, out);
      default: break;
    }
    if (is_attention(g[n].code)) return attention(g, n, values, out);
    switch (kind_of(g[n].code)) {
      case op_kind::reduction: return reduction(n, out);
      case op_kind::movement: return movement(n, out);
      case op_kind::library: return image(n, out);
      default: return elementwise(n, out);
    }
  }
};

}  // namespace reference

inline std::vector<value> evaluate(const graph& g, const leaf_values& leaves, rounding mode,
                                   const extents& known) {
  reference::evaluator run{g, leaves, mode, known, {}, {}};
  run.values.resize(static_cast<std::size_t>(g.size()));
  run.bind_leaves();
  resolve(g, run.e);
  for (int n : canonical_order(g)) run.compute(n);
  std::vector<value> outputs;
  for (int n : g.outputs) outputs.push_back(run.values[static_cast<std::size_t>(n)]);
  return outputs;
}

}  // namespace flame
