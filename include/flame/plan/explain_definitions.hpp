// How a program's table and graph are written.
#pragma once
#include <flame/graph/print.hpp>
#include <flame/plan/explain_interface.hpp>
#include <flame/plan/library_attention.hpp>
#include <flame/plan/offload.hpp>

#include <algorithm>
#include <deque>
#include <map>

namespace flame {

namespace explaining {

// 1536 -> "1.5 KiB", 2000000 -> "2.0 M".
[[nodiscard]] inline std::string scaled(double n, double base, std::initializer_list<const char*> units) {
  auto unit = units.begin();
  while (n >= base && unit + 1 != units.end()) n /= base, ++unit;
  char text[32];
  std::snprintf(text, sizeof text, unit == units.begin() ? "%.0f" : "%.1f", n);
  return std::string(text) + *unit;
}
[[nodiscard]] inline std::string bytes_text(i64 n) {
  return scaled(static_cast<double>(n), 1024, {" B", " KiB", " MiB", " GiB", " TiB"});
}
[[nodiscard]] inline std::string count_text(i64 n) {
  return scaled(static_cast<double>(n), 1000, {"", " k", " M", " G", " T"});
}

class reporter {
 public:
  explicit reporter(const program& p) : p_(p) {
    name_buffers();
    report_.arena = p.arena_bytes, report_.aside = bytes_aside(p);
    for (int b = 0; b < p.buffers.size(); ++b)
      if (p.buffers[b].kind == buffer_kind::external)
        (is_result(b) ? report_.results : report_.arguments) += p.buffers[b].bytes;
    for (int i = 0; i < p.steps.size(); ++i) add(i);
    report_.buffers = names_;
  }
  [[nodiscard]] const program_report& report() const { return report_; }

 private:
  static std::size_t index(int i) { return static_cast<std::size_t>(i); }

  // Arguments are called as the function calls them where that is known.
  void name_buffers() {
    names_.resize(index(p_.buffers.size()));
    written_.resize(names_.size());
    std::map<std::string, int> taken;
    auto unique = [&](std::string s) {
      const int n = taken[s]++;
      return n ? s + "#" + std::to_string(n + 1) : s;
    };
    for (const program_step& s : p_.steps)
      for (int k = 0; k < s.tensors.size(); ++k)
        if (s.writes[k] && s.tensors[k].buffer >= 0) written_[index(s.tensors[k].buffer)] = 1;
    int results = 0, temporaries = 0, waiting = 0;
    for (int b = 0; b < p_.buffers.size(); ++b)
      if (is_result(b)) names_[index(b)] = std::string("result").append(std::to_string(results++));
    for (std::string& name : names_)
      if (results == 1 && name == "result0") name = "result";
    for (const program_step& s : p_.steps)
      for (int k = 0; k < s.tensors.size(); ++k) {
        const int b = s.tensors[k].buffer;
        if (b < 0 || !names_[index(b)].empty()) continue;
        if (p_.buffers[b].kind == buffer_kind::arena) {
          names_[index(b)] = std::string("t").append(std::to_string(++temporaries));
        } else if (p_.buffers[b].kind == buffer_kind::aside) {
          names_[index(b)] = std::string("aside").append(std::to_string(++waiting));
        } else {
          const std::string name = leaf_name(s, k);
          names_[index(b)] = unique(name.empty() ? "argument" : name);
        }
      }
  }
  [[nodiscard]] bool is_result(int b) const {
    return p_.buffers[b].kind == buffer_kind::external && written_[index(b)];
  }
  // What the step's function calls its operand k, if that is a leaf with a name.
  std::string leaf_name(const program_step& s, int k) {
    const int n = node_of(s, k);
    if (n < 0) return "";
    const graph& g = graph_for(*s.function);
    int at = n;
    while (g[at].arg_count == 1 && kind_of(g[at].code) == op_kind::movement) at = g.arg(at, 0);
    return g.is(at, op::leaf) && !(g[at].leaf->name == "argument") ? string_of(g[at].leaf->name) : "";
  }
  // The node that operand k is, or -1.
  int node_of(const program_step& s, int k) {
    if (!s.function || s.node < 0) return -1;
    const graph& g = graph_for(*s.function);
    if (s.code)
      return k < s.code->slots.size() && s.code->slots[k].node < g.size() ? s.code->slots[k].node : -1;
    return s.node < g.size() && k < g[s.node].arg_count ? g.arg(s.node, k) : -1;
  }
  const graph& graph_for(const function_info& f) {
    auto [at, fresh] = graphs_.try_emplace(&f);
    if (fresh) at->second = graph_of(f);
    return at->second;
  }

  [[nodiscard]] std::string name(const located& t) const {
    if (t.zero || t.buffer < 0) return t.zero ? "0" : "-";
    const std::string& of_buffer = names_[index(t.buffer)];
    return t.element == dtype::bf16 || t.element == dtype::f16 ? of_buffer + ":" + name_of(t.element)
                                                               : of_buffer;
  }

  void add(int i) {
    const program_step& s = p_.steps[i];
    step_report r;
    for (int k = 0; k < s.tensors.size(); ++k) {
      const located& t = s.tensors[k];
      if (t.buffer < 0) continue;
      (s.writes[k] ? r.written : r.read) += t.elements() * size_of(t.element);
      if (!s.writes[k]) continue;
      r.result += (r.result.empty() ? "" : ", ") + name(t);
      if (p_.buffers[t.buffer].kind == buffer_kind::arena)
        r.result += "@" + std::to_string(p_.buffers[t.buffer].offset + t.offset * size_of(t.element));
    }
    for (int k = 0; k < p_.buffers.size(); ++k) {
      const buffer& b = p_.buffers[k];
      const int own =
          b.home == k ? b.first : b.first + 1;  // memory taken over is counted as the operand's in that step
      if (b.kind == buffer_kind::arena && b.first >= 0 && own <= i && i <= b.last) r.live += b.bytes;
    }
    s.code ? describe_group(s, r) : describe_library(s, r);
    ++(s.code ? report_.kernels : report_.library_calls);
    report_.read += r.read, report_.written += r.written, report_.flops += r.flops;
    report_.live = std::max(report_.live, r.live);
    report_.steps.push_back(std::move(r));
  }

  // ---- Groups ----

  void describe_group(const program_step& s, step_report& r) {
    const bound_group& b = s.bound;
    auto product = [&](int from, int count) {
      i64 n = 1;
      for (int k = from; k < from + count; ++k) n *= b.extents[k];
      return n;
    };
    const i64 batch = product(0, b.batch_rank), outer = product(b.batch_rank, b.outer_rank);
    const i64 inner = product(b.batch_rank + b.outer_rank, b.inner_rank);
    bool row = false, column = false, total = false, computes = false;
    for (const instruction& i : s.code->body) {
      if (i.code >= code_load) continue;
      computes = true;
      row = row || i.reduce == reduce_mode::row;
      column = column || i.reduce == reduce_mode::column;
      total = total || i.reduce == reduce_mode::total;
      const level at = i.reduce == reduce_mode::none ? i.at : s.code->body[i.a].at;
      r.flops += at == level::full ? batch * outer * inner : at == level::row ? batch * outer : 1;
    }
    for (auto [is, word] : {std::pair{row, "row"}, {column, "column"}, {total, "total"}})
      if (is) r.kind += (r.kind.empty() ? "" : "+") + std::string(word);
    if (r.kind.empty())
      r.kind = computes                                           ? "map"
               : s.code->slots[0].kind != slot_kind::input        ? "fill"
               : s.tensors[0].element == s.tensors.back().element ? "copy"
                                                                  : "cast";
    if (row || column)
      r.sizes = (batch > 1 ? std::to_string(batch) + " x " : "") + std::to_string(outer) + " x " +
                std::to_string(inner);
    else
      r.sizes = std::to_string(batch * outer * inner);
    r.formula = group_formula(s);
  }

  // The group's part of the function's graph, cut where it reads memory.
  std::string group_formula(const program_step& s) {
    list<int> outputs;
    for (int k = 0; k < s.code->slots.size(); ++k) {
      if (node_of(s, k) < 0) return instructions(s);
      if (s.writes[k] && s.tensors[k].buffer >= 0) outputs.push(node_of(s, k));
    }
    const graph& g = graph_for(*s.function);
    std::deque<leaf_info> leaves;
    graph part;
    list<int> place;
    place.resize(g.size(), -1);
    for (int k = 0; k < s.code->slots.size(); ++k) {
      const int n = node_of(s, k);
      if (s.writes[k] || place[n] >= 0 ||
          (s.tensors[k].buffer < 0 && !s.tensors[k].zero && !g.is(n, op::leaf)))
        continue;
      std::string& text = texts_.emplace_back(
          s.tensors[k].zero || s.tensors[k].buffer >= 0 ? name(s.tensors[k]) : string_of(g[n].leaf->name));
      const flame::text view{text.data(), static_cast<int>(text.size())};
      leaves.push_back({mix(hash_of(view), static_cast<u64>(k)), leaf_kind::input, g.type(n), view});
      place[n] = part.leaf(&leaves.back());
    }
    list<u8> needed;
    needed.resize(g.size(), 0);
    for (int o : outputs) needed[o] = 1;
    for (int n = g.size() - 1; n >= 0; --n)
      for (int i = 0; needed[n] && place[n] < 0 && i < g[n].arg_count; ++i) needed[g.arg(n, i)] = 1;
    list<int> in;
    for (int n = 0; n < g.size(); ++n) {
      if (!needed[n] || place[n] >= 0) continue;
      if (g.is(n, op::call) || g.is(n, op::result)) return instructions(s);
      in.clear();
      for (int i = 0; i < g[n].arg_count; ++i) in.push(place[g.arg(n, i)]);
      place[n] = part.copy(g, n, in);
    }
    for (int o : outputs) part.outputs.push(place[o]);
    std::string text = print(part);
    for (std::size_t at; (at = text.find('\n')) != text.npos;) text.replace(at, 1, "; ");
    return text;
  }
  // A group that is no part of a function: the planner's own copies, sums and keys.
  std::string instructions(const program_step& s) const {
    auto text = [&](auto& self, int n) -> std::string {
      const instruction& i = s.code->body[n];
      if (i.code == code_load) {
        const bound_slot& b = s.bound.slots[i.a];
        if (s.tensors[i.a].buffer >= 0 || s.tensors[i.a].zero) return name(s.tensors[i.a]);
        return b.bits ? std::to_string(b.bits) : printing::number(b.number, s.tensors[i.a].element);
      }
      std::string t = string_of(flame::name_of(static_cast<op>(i.code))) + "(";
      for (int k : {i.a, i.b, i.c})
        if (k >= 0) t += (t.back() == '(' ? "" : ", ") + self(self, k);
      return t + ")";
    };
    std::string all;
    for (const instruction& i : s.code->body)
      if (i.code == code_store) all += (all.empty() ? "" : ", ") + text(text, i.b);
    return all;
  }

  // ---- Library operations ----

  void describe_library(const program_step& s, step_report& r) {
    r.kind = string_of(flame::name_of(s.library));
    const located& out = s.tensors.back();
    r.flops = out.elements();
    if (s.library == op::contract) {
      i64 sizes[4] = {1, 1, 1, 1};  // m, n, k, batch
      const located &a = s.tensors[0], &b = s.tensors[1];
      for (int i = 0; i < out.rank; ++i)
        sizes[a.find(out.axes[i]) < 0 ? 1 : b.find(out.axes[i]) < 0 ? 0 : 3] *= out.extents[i];
      for (int i = 0; i < a.rank; ++i)
        if (out.find(a.axes[i]) < 0) sizes[2] *= a.extents[i];
      r.flops = 2 * sizes[0] * sizes[1] * sizes[2] * sizes[3];
      for (int i = 0; i < 4; ++i)
        if (i < 3 || sizes[3] > 1)
          r.sizes += std::string(i ? " " : "") + "mnkb"[i] + " " + std::to_string(sizes[i]);
    } else if (kind_of(s.library) == op_kind::library) {
      for (int i = 0; i < s.tensors.size(); ++i)
        r.sizes += (i + 1 == s.tensors.size() ? " -> " : i ? ", " : "") + shape(s.tensors[i]);
      if (s.library >= op::conv && s.library <= op::conv_weight) {
        const located& weight = s.library == op::conv_weight ? out : s.tensors[1];
        const located& image = s.library == op::conv_data ? s.tensors[0]
                               : s.library == op::conv    ? out
                                                          : s.tensors[1];
        r.flops = 2 * image.elements() * weight.extents[1] * weight.extents[2] * weight.extents[3];
      } else if (s.library >= op::pool_take && s.library <= op::pool_mean_put && s.data.size() >= 2) {
        const bool puts = s.library == op::pool_put || s.library == op::pool_mean_put;
        r.flops = (puts ? s.tensors[s.tensors.size() - 2] : out).elements() *
                  static_cast<i64>(s.data[0] * s.data[1]);
      } else if (s.library == op::gather || s.library == op::in_range) {
        r.flops = 0;
      } else if (s.library == op::scatter_add) {
        r.flops = s.tensors[1].elements();
      }
    }
    int results = 1;
    if (is_attention(s.library)) {
      const library::attention c = library::attention_of(s);
      r.flops = c.flops();
      r.sizes = "b " + std::to_string(c.batches()) + " q " + std::to_string(c.queries()) + " k " +
                std::to_string(c.keys) + " d " + std::to_string(c.dims);
      // Which of CUDA's ways there are (run/cuda/attention.hpp); of 32 bits it is always the tiles.
      if (const std::string refused = library::cudnn_refusal(c); size_of(c.element) == 2)
        r.sizes += refused.empty() ? ", tiles or cuDNN" : ", tiles, not cuDNN: " + refused;
      results = __builtin_popcount(static_cast<unsigned>(c.made));
    }
    r.formula = s.function && s.node >= 0 ? printing::head(graph_for(*s.function), s.node) : r.kind;
    r.formula += "(";
    const bool folds = s.library == op::contract || s.library == op::conv || s.library == op::conv_data;
    const bool adds = s.library == op::contract && library::contraction_of(s).accumulate;
    const bool biased = folds && s.tensors.size() == (adds ? 5 : 4);
    for (int i = 0; i + results + biased + adds < s.tensors.size(); ++i)
      r.formula += (i ? ", " : "") + name(s.tensors[i]);
    r.formula += ")";
    if (s.library == op::contract && !s.data.empty() && __builtin_bit_cast(double, s.data[0]) != 1)
      r.formula += " * " + printing::number(__builtin_bit_cast(double, s.data[0]), out.element);
    if (biased) r.formula += " + " + name(s.tensors[2]);
    if (adds) r.formula += " + " + name(s.tensors[s.tensors.size() - 2]);
  }
  static std::string shape(const located& t) {
    std::string s;
    for (int i = 0; i < t.rank; ++i)
      s.append(i ? "x" : "").append(std::to_string(t.extents[i]));  // g++ 12 misjudges "x" + s
    return s.empty() ? "1" : s;
  }

  const program& p_;
  program_report report_;
  std::vector<std::string> names_;
  std::vector<char> written_;
  std::map<const function_info*, graph> graphs_;
  std::deque<std::string> texts_;
};

}  // namespace explaining

FLAME_FUNCTION program_report report(const program& p) { return explaining::reporter(p).report(); }

FLAME_FUNCTION std::string explain(const program& p, std::size_t width) {
  using explaining::bytes_text, explaining::count_text;
  const program_report r = report(p);
  auto plural = [](int n, const char* what) { return std::to_string(n) + " " + what + (n == 1 ? "" : "s"); };
  std::string s = plural(static_cast<int>(r.steps.size()), "step") + " (" + plural(r.kernels, "kernel") +
                  ", " + plural(r.library_calls, "library call") + "), " + count_text(r.flops) +
                  " operations, reads " + bytes_text(r.read) + ", writes " + bytes_text(r.written) +
                  "\narguments " + bytes_text(r.arguments) + ", results " + bytes_text(r.results) +
                  ", arena " + bytes_text(r.arena) + " (most live at once " + bytes_text(r.live) + ")" +
                  (r.aside > 0 ? ", aside in the host's memory " + bytes_text(r.aside) : "") + "\n";
  std::vector<std::vector<std::string>> rows{
      {"#", "step", "size", "reads", "writes", "operations", "live", "formula"}};
  for (std::size_t i = 0; i < r.steps.size(); ++i) {
    const step_report& t = r.steps[i];
    std::string formula = t.result + " = " + t.formula;
    if (formula.size() > width) formula = formula.substr(0, width - 3) + "...";
    rows.push_back({std::to_string(i), t.kind, t.sizes, bytes_text(t.read), bytes_text(t.written),
                    count_text(t.flops), bytes_text(t.live), formula});
  }
  std::vector<std::size_t> widest(rows[0].size());
  for (const auto& row : rows)
    for (std::size_t k = 0; k < row.size(); ++k) widest[k] = std::max(widest[k], row[k].size());
  for (const auto& row : rows) {
    for (std::size_t k = 0; k < row.size(); ++k) {
      const std::string gap(widest[k] - row[k].size(), ' ');
      const bool number = k == 0 || (k >= 3 && k <= 6);
      s += (k ? "  " : "") + (number ? gap + row[k] : k + 1 == row.size() ? row[k] : row[k] + gap);
    }
    s += "\n";
  }
  return s;
}

FLAME_FUNCTION std::string to_graphviz(const program& p) {
  const program_report r = report(p);
  auto quoted = [](const std::string& t) {
    std::string s = "\"";
    for (char c : t)
      s += c == '"' || c == '\\' ? std::string("\\") + c : c == '\n' ? "\\n" : std::string(1, c);
    return s + "\"";
  };
  auto name = [&](int b) { return r.buffers[static_cast<std::size_t>(b)]; };
  std::string nodes, edges;
  list<list<int>> writers;  // by buffer
  writers.resize(p.buffers.size());
  list<u8> arguments;
  arguments.resize(p.buffers.size(), 0);
  for (int i = 0; i < p.steps.size(); ++i) {
    const program_step& s = p.steps[i];
    const step_report& t = r.steps[static_cast<std::size_t>(i)];
    const std::string step = "s" + std::to_string(i);
    nodes += "  " + step + " [label=" + quoted(t.kind + " " + t.sizes + "\n" + t.formula) + "];\n";
    list<int> read;
    for (int k = 0; k < s.tensors.size(); ++k) {
      const int b = s.tensors[k].buffer;
      if (b < 0 || s.writes[k] || read.has(b)) continue;
      read.push(b);
      const std::string label =
          " [label=" + quoted(name(b) + " " + explaining::bytes_text(p.buffers[b].bytes)) + "];\n";
      for (int w : writers[b]) edges += "  s" + std::to_string(w) + " -> " + step + label;
      if (writers[b].empty()) arguments[b] = 1, edges += "  b" + std::to_string(b) + " -> " + step + ";\n";
    }
    for (int k = 0; k < s.tensors.size(); ++k)
      if (s.writes[k] && s.tensors[k].buffer >= 0) writers[s.tensors[k].buffer].push(i);
  }
  for (int b = 0; b < p.buffers.size(); ++b) {
    if (p.buffers[b].kind != buffer_kind::external) continue;
    const std::string label = " [label=" + quoted(name(b)) + ", shape=";
    if (arguments[b]) nodes += "  b" + std::to_string(b) + label + "ellipse];\n";
    if (writers[b].empty()) continue;
    nodes += "  r" + std::to_string(b) + label + "plaintext];\n";
    for (int w : writers[b]) edges += "  s" + std::to_string(w) + " -> r" + std::to_string(b) + ";\n";
  }
  return "digraph flame {\n  node [shape=box];\n" + nodes + edges + "}\n";
}

namespace explaining {

[[nodiscard]] inline graph decoded(const word_view& words) {
  graph g;
  g.outputs = decode(g, words);
  return g;
}
FLAME_FUNCTION std::string formula_of(const word_view& words) { return print(decoded(words)); }
FLAME_FUNCTION std::string graphviz_of(const word_view& words) { return to_graphviz(decoded(words)); }

}  // namespace explaining

}  // namespace flame
