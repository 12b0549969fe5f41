// Graphs as text: a formula as a user would write it, a listing of all nodes, and Graphviz.
#pragma once
#include <charconv>
#include <flame/graph/names.hpp>
#include <flame/graph/words.hpp>
#include <vector>

namespace flame {

namespace printing {

// The shortest text that reads back as this number of this element type.
[[nodiscard]] inline std::string number(double x, dtype d) {
  if (d == dtype::boolean) return x != 0 ? "true" : "false";
  char digits[32];
  float narrow = static_cast<float>(x);
  bool short_is_enough = d != dtype::f64 && static_cast<double>(narrow) == x;
  auto end = short_is_enough ? std::to_chars(digits, digits + sizeof digits, narrow)
                             : std::to_chars(digits, digits + sizeof digits, x);
  return std::string(digits, end.ptr);
}

[[nodiscard]] inline std::string constant(const graph& g, int n) {
  return number(__builtin_bit_cast(double, g.number(n, 0)), g.type(n).element);
}

// Axes [first, last) of a node.
[[nodiscard]] inline std::string axes(const graph& g, int n, int first, int last) {
  std::string s;
  for (int i = first; i < last; ++i) s += (i > first ? ", " : "") + string_of(g.axis(n, i));
  return s;
}

// ", stride 2", ", stride 2x1" for height and width; nothing where both have the default.
[[nodiscard]] inline std::string pair(const char* name, u64 height, u64 width, u64 otherwise) {
  if (height == otherwise && width == otherwise) return "";
  std::string s = std::string(", ") + name + " " + std::to_string(height);
  return height == width ? s : s + "x" + std::to_string(width);
}

// What stands in brackets behind the operation's name: what it says of axes, and its numbers.
[[nodiscard]] inline std::string attributes(const graph& g, int n) {
  const node& o = g[n];
  auto data = [&](int i) { return static_cast<i64>(g.number(n, i)); };
  auto to = [&](int from, int result) {
    return axes(g, n, from, from + 1) + " -> " + axes(g, n, result, result + 1);
  };
  auto before = [&](i64 at) {  // a start, to which axes' extents are added
    std::string s = at || o.axis_count == 2 ? std::to_string(at) : "";
    for (int i = 2; i < o.axis_count; ++i) s += (s.empty() ? "" : " + ") + string_of(g.axis(n, i));
    return s;
  };
  switch (o.code) {
    case op::sum:
    case op::prod:
    case op::max:
    case op::min: {  // a set, in the operand's order
      std::string s;
      const tensor_type& t = g.type(g.arg(n, 0));
      for (int i = 0; i < t.rank; ++i)
        if (g.axes_of(n).has(t.axes[i])) s += (s.empty() ? "" : ", ") + string_of(t.axes[i]);
      return s;
    }
    case op::rename: return to(0, 1);
    case op::split: return axes(g, n, 0, 1) + " -> " + axes(g, n, 1, o.axis_count);
    case op::merge:
    case op::concatenate:
      return axes(g, n, 0, o.axis_count - 1) + " -> " + axes(g, n, o.axis_count - 1, o.axis_count);
    case op::slice: {
      std::string s = to(0, 1) + ", begin " + before(data(0));
      if (data(1) != 1) s += ", step " + std::to_string(data(1));
      if (data(2) >= 0) s += ", count " + std::to_string(data(2));
      if (data(2) == as_result) s += ", count " + string_of(g.axis(n, 1));
      return s;
    }
    case op::pad: {
      std::string s = to(0, 1) + ", low " + before(data(0)) + ", high ";
      s += data(1) == as_result ? "rest" : std::to_string(data(1));
      double filler = __builtin_bit_cast(double, g.number(n, 2));
      if (filler != 0) s += ", value " + number(filler, g.type(n).element);
      if (data(3) != 1) s += ", step " + std::to_string(data(3));
      return s;
    }
    case op::conv:
    case op::conv_data:
    case op::conv_weight: {
      auto d = [&](int i) { return g.number(n, i); };
      std::string s = o.code == op::conv ? axes(g, n, 0, 2) + " -> " + axes(g, n, 6, 9)
                      : o.code == op::conv_data
                          ? axes(g, n, 6, 8) + " -> " + axes(g, n, 0, 2) + ", " + axes(g, n, 4, 5)
                          : axes(g, n, 8, 9) + ", " + axes(g, n, 2, 4) + ", " + axes(g, n, 5, 6);
      s += pair("stride", d(0), d(1), 1) + pair("padding", d(2), d(3), 0) + pair("dilation", d(4), d(5), 1);
      return s + pair("groups", d(6), d(6), 1);
    }
    case op::pool_take:
    case op::pool_put:
    case op::pool_mean:
    case op::pool_mean_put: {
      auto d = [&](int i) { return g.number(n, i); };
      bool grows = o.code == op::pool_put || o.code == op::pool_mean_put;
      std::string s =
          grows ? axes(g, n, 2, 4) + " -> " + axes(g, n, 0, 2) : axes(g, n, 0, 2) + " -> " + axes(g, n, 2, 4);
      return s + pair("kernel", d(0), d(1), 0) + pair("stride", d(2), d(3), 1) +
             pair("padding", d(4), d(5), 0);
    }
    case op::cumsum: return axes(g, n, 0, 1) + (g.number(n, 0) ? ", from the end" : "");
    case op::top: return axes(g, n, 0, 1) + " -> " + axes(g, n, 1, 2);
    case op::scatter_add: return axes(g, n, 0, 1) + " -> " + axes(g, n, 1, o.axis_count);
    case op::attend:
    case op::attend_statistics:
    case op::attend_query:
    case op::attend_key:
    case op::attend_value: {
      const double scale = __builtin_bit_cast(double, g.number(n, 1));
      return axes(g, n, 0, 2) + (data(0) ? ", causal " + axes(g, n, 2, 3) : "") +
             (scale == scale ? ", scale " + number(scale, dtype::f64) : "");
    }
    case op::call: return axes(g, n, 0, o.axis_count) + (g.call_of(n).reverse ? ", reverse" : "");
    default: return axes(g, n, 0, o.axis_count);
  }
}

// `sum[row]`, `cast<bf16>`, `uniform<3>[batch]` (3 is its site), `repeat<block>[layer]`.
[[nodiscard]] inline std::string head(const graph& g, int n) {
  const node& o = g[n];
  std::string s = string_of(name_of(o.code)), inside = attributes(g, n);
  if (o.code == op::cast) s += std::string("<") + name_of(static_cast<dtype>(g.number(n, 0))) + ">";
  if (o.code == op::uniform || o.code == op::normal) s += "<" + std::to_string(g.number(n, 0)) + ">";
  if (o.code == op::call) {
    s = o.function->name.size ? string_of(o.function->name) : "function";
    if (g.call_of(n).repeat) s = "repeat<" + s + ">";
  }
  // The axes of a contraction to a scalar are none, and that must be said.
  return inside.empty() && o.code != op::contract ? s : s + "[" + inside + "]";
}

// The operands of a node, each by its text, with what a repeat does with it.
template <class Text> [[nodiscard]] std::string operands(const graph& g, int n, Text text_of) {
  std::string s = "(";
  call_info call;
  bool repeat = g.is(n, op::call) && (call = g.call_of(n)).repeat;
  for (int i = 0; i < g[n].arg_count; ++i) {
    if (i) s += ", ";
    std::string x = text_of(g.arg(n, i));
    operand_mode mode = repeat ? call.operands[i].mode : operand_mode::plain;
    if (mode == operand_mode::each) x = "each(" + x + ")";
    if (mode == operand_mode::keyed) x = "keyed(" + x + ")";
    if (mode == operand_mode::carry)
      x = (call.outputs.size() > 1 ? "carry." + std::to_string(call.operands[i].index) : "carry") + "(" + x +
          ")";
    s += x;
  }
  return s + ")";
}

struct infix {
  const char* symbol = nullptr;
  int binds = 0;  // the tighter, the larger
};
inline constexpr int binds_unary = 7, binds_call = 8;

[[nodiscard]] inline infix infix_of(op code) {
  switch (code) {
    case op::logical_or: return {"||", 1};
    case op::logical_and: return {"&&", 2};
    case op::equal: return {"==", 3};
    case op::not_equal: return {"!=", 3};
    case op::less: return {"<", 4};
    case op::less_equal: return {"<=", 4};
    case op::add: return {"+", 5};
    case op::sub: return {"-", 5};
    case op::mul: return {"*", 6};
    case op::div: return {"/", 6};
    default: return {};
  }
}

struct formula {
  const graph& g;
  std::vector<int> order, number;  // number: of the line that a node has to itself, or 0

  explicit formula(const graph& from) : g(from) {
    std::vector<int> uses(static_cast<std::size_t>(g.size())), nodes(uses.size());
    number.resize(uses.size());
    for (int n : canonical_order(g)) {
      order.push_back(n);
      for (int i = 0; i < g[n].arg_count; ++i) ++uses[index(g.arg(n, i))];
    }
    for (int n : g.outputs) ++uses[index(n)];
    int lines = 0;
    for (int n : order) {
      nodes[index(n)] = 1;
      for (int i = 0; i < g[n].arg_count; ++i)
        nodes[index(n)] += own_line(g.arg(n, i)) ? 1 : nodes[index(g.arg(n, i))];
      if (uses[index(n)] > 1 && nodes[index(n)] > 3) number[index(n)] = ++lines;
    }
  }
  static std::size_t index(int n) { return static_cast<std::size_t>(n); }
  [[nodiscard]] bool own_line(int n) const { return number[index(n)] != 0; }

  [[nodiscard]] int binds(int n) const {
    if (own_line(n)) return binds_call;
    op code = g[n].code;
    if (code == op::neg || code == op::logical_not || (code == op::constant && constant(g, n)[0] == '-'))
      return binds_unary;
    infix i = infix_of(code);
    return i.symbol ? i.binds : binds_call;
  }
  // Operands come in the order of their hashes. A reader's order: numbers behind sums and before products,
  // formulas before names, names by the alphabet.
  [[nodiscard]] bool turned(int n) const {
    if (!is_commutative(g[n].code)) return false;
    int a = g.arg(n, 0), b = g.arg(n, 1);
    auto rank = [&](int k) {
      if (g.is(k, op::constant)) return g.is(n, op::mul) ? 0 : 3;
      return g.is(k, op::leaf) ? 2 : 1;
    };
    if (rank(a) != rank(b)) return rank(a) > rank(b);
    return rank(a) == 2 && string_of(g[b].leaf->name) < string_of(g[a].leaf->name);
  }

  [[nodiscard]] std::string operator()(int n) const {
    return own_line(n) ? "%" + std::to_string(number[index(n)]) : spelled(n);
  }
  [[nodiscard]] std::string tight(int n, int least) const {
    return binds(n) < least ? "(" + (*this)(n) + ")" : (*this)(n);
  }
  [[nodiscard]] std::string spelled(int n) const {
    const node& o = g[n];
    switch (o.code) {
      case op::leaf: return string_of(o.leaf->name);
      case op::constant: return constant(g, n);
      case op::extent: return "extent(" + attributes(g, n) + ")";
      case op::iota: return "iota(" + attributes(g, n) + ")";
      case op::neg: return "-" + tight(g.arg(n, 0), binds_call);
      case op::logical_not: return "!" + tight(g.arg(n, 0), binds_call);
      case op::result:
        return (*this)(g.arg(n, 0)) +
               (g[g.arg(n, 0)].function->output_count > 1 ? "." + std::to_string(g.number(n, 0)) : "");
      default: break;
    }
    bool turn = turned(n);
    if (infix sign = infix_of(o.code); sign.symbol) {
      // Comparisons do not chain.
      std::string left =
          tight(g.arg(n, turn ? 1 : 0), sign.binds + (sign.binds <= 4 && sign.binds >= 3 ? 1 : 0));
      std::string right = tight(g.arg(n, turn ? 0 : 1), sign.binds + 1);
      if (right[0] == '-') right = "(" + right + ")";
      return left + " " + sign.symbol + " " + right;
    }
    if (turn) return head(g, n) + "(" + (*this)(g.arg(n, 1)) + ", " + (*this)(g.arg(n, 0)) + ")";
    return head(g, n) + operands(g, n, *this);
  }
};

}  // namespace printing

// The formula, as short as it can be without changing it: `sum[row](sin(x) * y + 2)`; several outputs as `(a,
// b)`. What is used more than once and has more than three nodes stands in a line of its own before, `%1 =
// ...`. Equal formulas give equal texts.
[[nodiscard]] inline std::string print(const graph& g) {
  printing::formula f(g);
  std::string s;
  for (int n : f.order)
    if (f.own_line(n)) s += f(n) + " = " + f.spelled(n) + "\n";
  if (g.outputs.size() != 1) s += "(";
  for (int i = 0; i < g.outputs.size(); ++i) s += (i ? ", " : "") + f(g.outputs[i]);
  return g.outputs.size() != 1 ? s + ")" : s;
}

// All nodes in their order, a line each, then the outputs: `%3: f32[batch, channel] = add(%1, %2)`.
[[nodiscard]] inline std::string dump(const graph& g) {
  auto reference = [](int n) { return "%" + std::to_string(n); };
  std::string s;
  for (int n = 0; n < g.size(); ++n) {
    const node& o = g[n];
    s += reference(n);
    if (o.code != op::call) s += ": " + string_of(g.type(n));
    s += " = ";
    constexpr const char* kinds[] = {"input ", "parameter ", "state ", "argument "};
    if (o.code == op::leaf)
      s += kinds[static_cast<int>(o.leaf->kind)] + string_of(o.leaf->name);
    else if (o.code == op::constant)
      s += "constant " + printing::constant(g, n);
    else if (o.code == op::result)
      s += reference(g.arg(n, 0)) + "." + std::to_string(g.number(n, 0));
    else
      s += printing::head(g, n) + (o.arg_count ? printing::operands(g, n, reference) : "");
    if (o.code == op::call) {
      constexpr const char* modes[] = {"carry", "each", "sum"};
      const list<output_mode> outputs = g.call_of(n).outputs;
      for (int i = 0; i < outputs.size(); ++i)
        s += (i ? ", " : " -> ") + std::string(modes[static_cast<int>(outputs[i])]);
    }
    s += "\n";
  }
  s += "outputs";
  for (int i = 0; i < g.outputs.size(); ++i) s += (i ? ", " : " ") + reference(g.outputs[i]);
  return s + "\n";
}

// The graph in Graphviz's language: a box for each node, an ellipse for each leaf; operands numbered where
// their order means something.
[[nodiscard]] inline std::string to_graphviz(const graph& g) {
  auto quoted = [](const std::string& t) {
    std::string s = "\"";
    for (char c : t)
      s += c == '"' || c == '\\' ? std::string("\\") + c : c == '\n' ? "\\n" : std::string(1, c);
    return s + "\"";
  };
  std::string s = "digraph flame {\n  node [shape=box];\n";
  for (int n = 0; n < g.size(); ++n) {
    const node& o = g[n];
    std::string name = "n" + std::to_string(n), label = printing::head(g, n);
    if (o.code == op::leaf) label = string_of(o.leaf->name);
    if (o.code == op::constant) label = printing::constant(g, n);
    if (o.code == op::result) label += " " + std::to_string(g.number(n, 0));
    if (o.code != op::call) label += "\n" + string_of(g.type(n));
    s += "  " + name + " [label=" + quoted(label) + (o.code == op::leaf ? ", shape=ellipse" : "") + "];\n";
    for (int i = 0; i < o.arg_count; ++i) {
      s += "  n" + std::to_string(g.arg(n, i)) + " -> " + name;
      s += o.arg_count > 1 && !is_commutative(o.code) ? " [label=\"" + std::to_string(i) + "\"];\n" : ";\n";
    }
  }
  for (int i = 0; i < g.outputs.size(); ++i) {
    std::string name = "output" + std::to_string(i);
    s += "  " + name + " [shape=plaintext];\n  n" + std::to_string(g.outputs[i]) + " -> " + name + ";\n";
  }
  return s + "}\n";
}

}  // namespace flame
