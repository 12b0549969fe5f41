// A model's weights: every parameter in one flat buffer of a backend, found by path.
#pragma once
#include <flame/base/philox.hpp>
#include <flame/nn/visit.hpp>
#include <flame/run/program_cache.hpp>

#include <algorithm>
#include <cmath>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace flame {

// How many instances a stack has: instances_of("blocks", 4).
struct stack_count {
  std::string path;
  i64 count;
};
inline stack_count instances_of(std::string path, i64 count) { return {std::move(path), count}; }

// One parameter or state of one instance.
struct weight {
  std::string path;              // its key in a checkpoint
  const leaf_info* leaf;         // as the block that holds it is traced
  std::vector<int> instance;     // of each stack around it
  std::vector<i64> extents;
  std::vector<text> axis_names;
  i64 offset = 0;                // elements, in the flat buffer
  initial::rule init;

  [[nodiscard]] i64 elements() const {
    i64 n = 1;
    for (i64 e : extents) n *= e;
    return n;
  }
};

namespace detail {

// Lays out the weights of a model.
struct layout_visitor {
  std::vector<weight>& weights;
  const std::vector<axis_extent>& extents;
  const std::vector<stack_count>& counts;
  std::vector<int> instance = {};

  i64 extent_of(const axis_info* a, const std::string& path) const {
    if (a->extent != dynamic) return a->extent;
    for (const axis_extent& e : extents)
      if (e.axis == a) return e.extent;
    for (const axis_extent& e : extents)  // input_of<channel> is as long as channel
      if (derived_from(a, e.axis)) return e.extent;
    if (a->name == text("lora_rank")) return 0;  // not adapted until it is asked for
    throw error("flame::init: the extent of axis " + text_of(a->name) + " of " + path +
                " is known only at run time; give it, as in init<net>(key, " + text_of(a->name) + "(256))");
  }
  static bool derived_from(const axis_info* a, const axis_info* base) { return a->id == mix(0x1F0F, base->id); }

  template <class Symbol>
  void leaf(const std::string& path) {
    weight w;
    w.path = path;
    w.leaf = &leaf_of<Symbol>::info;
    w.instance = instance;
    const tensor_type& t = w.leaf->type;
    for (int i = 0; i < t.rank; ++i) {
      w.extents.push_back(extent_of(t.axes[i], path));
      w.axis_names.push_back(t.axes[i]->name);
    }
    w.init = Symbol::init::value([&](const axis_info* a) { return extent_of(a, path); });
    weights.push_back(std::move(w));
  }
  // Parameters first, adapters behind them, states last: what is trained together stands together.
  i64 place() {
    auto part = [](const weight& w) {
      return w.leaf->kind == leaf_kind::state ? 2 : w.path.find("lora_") != std::string::npos ? 1 : 0;
    };
    i64 offset = 0;
    for (int p = 0; p < 3; ++p)
      for (weight& w : weights)
        if (part(w) == p) w.offset = offset, offset += (w.elements() + 15) / 16 * 16;  // multiples of 64 bytes in f32
    return offset;
  }
  int instances(const std::string& path) const {
    for (const stack_count& c : counts)
      if (c.path == path) return static_cast<int>(c.count);
    throw error("flame::init: the number of instances of the stack " + path + " is not given; add instances_of(\"" + path +
                "\", n)");
  }
  void enter(const std::string&, int i) { instance.push_back(i); }
  void leave() { instance.pop_back(); }
};

}  // namespace detail

// The weights of Net<...> in Element on a backend. Copies share them.
template <template <class> class Net, class Backend, class Element>
class model {
 public:
  using backend = Backend;
  using element_type = Element;
  using symbolic = Net<root<symbols<Element>>>;
  template <bool Training>
  using traced = Net<root<symbols<Element, Training>>>;

  model(const std::vector<axis_extent>& extents, const std::vector<stack_count>& counts) {
    detail::layout_visitor v{weights_, extents, counts};
    visit<symbolic>(v);
    flat_ = basic_tensor<Backend, Element, anonymous<0>>({v.place()});
    std::fill(flat_.values().begin(), flat_.values().end(), Element(0));
  }

  [[nodiscard]] const std::vector<weight>& weights() const { return weights_; }
  [[nodiscard]] std::vector<weight>& weights() { return weights_; }
  [[nodiscard]] const basic_tensor<Backend, Element, anonymous<0>>& flat() const { return flat_; }
  [[nodiscard]] std::span<Element> values(const weight& w) const {
    return flat_.values().subspan(static_cast<std::size_t>(w.offset), static_cast<std::size_t>(w.elements()));
  }
  [[nodiscard]] const weight& find(const std::string& path) const {
    for (const weight& w : weights_)
      if (w.path == path) return w;
    throw error("flame::model: it has no parameter " + path);
  }
  // The number of parameters, states not counted.
  [[nodiscard]] i64 parameter_count() const {
    i64 n = 0;
    for (const weight& w : weights_)
      if (w.leaf->kind == leaf_kind::parameter) n += w.elements();
    return n;
  }
  // The same model over other values: a flat buffer of the same layout.
  [[nodiscard]] model with(const basic_tensor<Backend, Element, anonymous<0>>& flat) const {
    model m = *this;
    m.flat_ = flat;
    return m;
  }
  [[nodiscard]] model clone() const {
    model m = *this;
    m.flat_ = flat_.clone();
    return m;
  }

  // The tensors of a leaf of a traced function, from a flat buffer laid out as the weights are.
  [[nodiscard]] bound_value bind(const leaf_info* leaf, Element* flat) const {
    std::string name = detail::text_of(leaf->name);
    bound_value v;
    bool found = false;
    for (const weight& w : weights_) {
      if (stacked_name(w) != name) continue;
      bound_value* at = &v;
      for (int i : w.instance) {
        at->stacked = true;
        if (static_cast<int>(at->instances.size()) <= i) at->instances.resize(static_cast<std::size_t>(i) + 1);
        at = &at->instances[static_cast<std::size_t>(i)];
      }
      at->one = view(w, flat);
      found = true;
    }
    if (!found) {
      if (leaf->type.stack) {
        v.stacked = true;  // a stack of no instances
        return v;
      }
      throw error("flame::model: the function takes a parameter " + name + " that the model does not have");
    }
    return v;
  }
  [[nodiscard]] tensor_view view(const weight& w, Element* flat) const {
    tensor_view t;
    t.element = dtype_of<Element>;
    t.data = flat + w.offset;
    t.rank = static_cast<int>(w.extents.size());
    i64 stride = 1;
    for (int i = t.rank - 1; i >= 0; --i) {
      t.extents[i] = w.extents[static_cast<std::size_t>(i)], t.strides[i] = stride;
      stride *= t.extents[i];
    }
    return t;
  }

 private:
  // blocks.3.fc1.weight is an instance of the leaf blocks.fc1.weight.
  static std::string stacked_name(const weight& w) {
    if (w.instance.empty()) return w.path;
    std::string r, part;
    std::size_t next = 0;
    auto flush = [&] {
      if (next < w.instance.size() && part == std::to_string(w.instance[next]))
        ++next;
      else
        r += (r.empty() ? "" : ".") + part;
      part.clear();
    };
    for (char c : w.path) {
      if (c == '.')
        flush();
      else
        part += c;
    }
    flush();
    return r;
  }

  std::vector<weight> weights_;
  basic_tensor<Backend, Element, anonymous<0>> flat_;
};

// Writes a parameter's first values. Each has its own key, so that values do not depend on what stands before it.
template <class Element>
void initialise(std::span<Element> values, const initial::rule& rule, key k) {
  for (std::size_t i = 0; i < values.size(); ++i) {
    double v = 0;
    switch (rule.kind) {
      case initial::kind::zeros: break;
      case initial::kind::ones: v = 1; break;
      case initial::kind::uniform: v = rule.scale * (2 * uniform_element<double>(k.bits, static_cast<u64>(i)) - 1); break;
      case initial::kind::normal: v = rule.scale * normal_element<double>(k.bits, static_cast<u64>(i)); break;
    }
    if constexpr (std::is_same_v<Element, bf16> || std::is_same_v<Element, f16>)
      values[i] = Element(static_cast<float>(v));
    else
      values[i] = static_cast<Element>(v);
  }
}

// A model with fresh weights: init<net, host, f32>(key(0), channel(96), instances_of("blocks", 4)). The extents of run-time
// axes are given by axis, the number of a stack's instances by its path.
template <template <class> class Net, class Backend, class Element = f32, class... Given>
model<Net, Backend, Element> init(key k, const Given&... given) {
  std::vector<axis_extent> extents;
  std::vector<stack_count> counts;
  auto take = [&](const auto& g) {
    if constexpr (std::is_same_v<std::remove_cvref_t<decltype(g)>, stack_count>)
      counts.push_back(g);
    else
      extents.push_back(g);
  };
  (take(given), ...);
  model<Net, Backend, Element> m(extents, counts);
  for (const weight& w : m.weights()) initialise(m.values(w), w.init, key(fold(k.bits, hash_of(text(w.path.c_str())))));
  return m;
}

}  // namespace flame
