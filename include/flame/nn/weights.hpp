// The weights of a model: every parameter and state in one flat buffer of a backend, found by path.
#pragma once
#include <flame/nn/visit.hpp>
#include <flame/run/program_cache.hpp>
#include <flame/run/tensor.hpp>

#include <algorithm>
#include <map>
#include <memory>
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

// Which members are adapted, of those that the model's adapters<...> name: by full path, with the numbers of
// instances. The last that matches a member counts; a member that none matches has rank 0, which costs
// nothing.
struct lora {
  std::string path = "*";
  i64 rank = 8;
  double alpha = 8;
};

// One parameter or state of one instance.
struct weight {
  std::string path;                  // its key in a checkpoint
  std::string leaf_name;             // without the numbers of instances: how a traced function knows it
  const leaf_info* leaf;             // as the block that holds it is traced
  std::vector<int> instance;         // of each stack around it
  std::vector<std::size_t> numbers;  // where in the path their numbers stand
  std::vector<i64> extents;
  std::vector<text> axis_names;
  i64 offset = 0;  // elements, in the flat buffer
  initial::rule init;
  i64 rank = -1;  // of the adapter that it is a part of

  [[nodiscard]] i64 elements() const {
    i64 n = 1;
    for (i64 e : extents) n *= e;
    return n;
  }
  [[nodiscard]] bool is_parameter() const { return leaf->kind == leaf_kind::parameter; }
  // Part of an adapter that is not there.
  [[nodiscard]] bool is_idle() const { return rank == 0; }
};

// Whether a pattern of paths chooses a weight.
template <class Select> [[nodiscard]] bool chosen(const weight& w) {
  return Select::has(text(w.path.c_str()), text(w.leaf_name.c_str()));
}

// What a model was made from.
struct model_extents {
  std::vector<axis_extent> axes;
  std::vector<stack_count> stacks;
  std::vector<lora> adapted;
};

// One stack of a model, of each instance of the stacks around it.
struct stack_place {
  std::string leaf_name;
  std::vector<int> instance;
  int count;
  bool operator==(const stack_place&) const = default;
};

// The weights and where they lie.
struct model_layout {
  model_extents given;
  std::vector<stack_place> stacks;  // outer ones first
  std::vector<weight> weights;
  i64 size = 0;
};

namespace detail {

struct layout_visitor {
  model_layout& layout;
  std::vector<int> instance = {};
  struct prefix {
    std::string path, leaf_name;
  };
  std::vector<prefix> prefixes = {{}};
  std::map<std::string, std::size_t> places = {};  // of paths in layout.weights
  std::vector<char> used = std::vector<char>(layout.given.adapted.size(), 0);
  std::vector<char> asked = std::vector<char>(layout.given.axes.size(), 0);

  // Tied members, whose path is one, are one weight; it begins as the first of them says.
  template <class Symbol> void leaf(const std::string& path) {
    weight w;
    w.path = path;
    w.leaf_name = leaf_name(path);
    w.leaf = &leaf_of<Symbol>::info;
    w.instance = instance;
    for (std::size_t i = 1; i < prefixes.size(); ++i) w.numbers.push_back(prefixes[i].path.rfind('.') + 1);
    const text last = last_part(text(path.c_str()));
    const lora* choice = nullptr;
    if (last == text("lora_A") || last == text("lora_B") || last == text("lora_scale")) {
      choice = find_choice(path.substr(0, path.size() - static_cast<std::size_t>(last.size) - 1));
      w.rank = choice ? choice->rank : 0;
    }
    auto extent = [&](const axis_info* a) { return extent_of(a, w); };
    const tensor_type& t = w.leaf->type;
    [&]<class E, class... Axes>(std::type_identity<shape<E, Axes...>>) {
      (w.extents.push_back(initial::extent_along<Axes>(extent)), ...);
    }(std::type_identity<shape_of<Symbol>>{});
    for (int i = 0; i < t.rank; ++i) w.axis_names.push_back(t.axes[i]->name);
    w.init = Symbol::init::value(extent);
    if (last == text("lora_scale"))
      w.init = {initial::kind::constant, w.rank > 0 ? choice->alpha / static_cast<double>(w.rank) : 0};
    if (const auto [first, fresh] = places.try_emplace(path, layout.weights.size()); !fresh) {
      const weight& tied = layout.weights[first->second];
      if (tied.extents != w.extents || tied.axis_names != w.axis_names || tied.leaf->kind != w.leaf->kind)
        throw error("flame::init: two members of the model stand in the Place of " + path +
                    ", with different axes");
      return;
    }
    layout.weights.push_back(std::move(w));
  }
  int instances(const std::string& path) {
    for (const stack_count& c : layout.given.stacks)
      if (c.path == path || c.path == leaf_name(path)) {
        if (c.count < 0)
          throw error("flame::init: the stack " + path + " cannot have " + std::to_string(c.count) +
                      " instances");
        const stack_place s{leaf_name(path), instance, static_cast<int>(c.count)};
        if (std::ranges::find(layout.stacks, s) == layout.stacks.end()) layout.stacks.push_back(s);
        return static_cast<int>(c.count);
      }
    throw error("flame::init: the number of instances of the stack " + path +
                " is not given; add instances_of(\"" + path + "\", n)");
  }
  void enter(const std::string& path, int i) {
    prefixes.push_back({path + "." + std::to_string(i), leaf_name(path)});
    instance.push_back(i);
  }
  void leave() {
    prefixes.pop_back();
    instance.pop_back();
  }

  // Parameters first, adapters behind them, states last: what is trained together stands together.
  void place() {
    auto part = [](const weight& w) { return !w.is_parameter() ? 2 : w.rank >= 0 ? 1 : 0; };
    for (int p = 0; p < 3; ++p)
      for (weight& w : layout.weights)
        if (part(w) == p)
          w.offset = layout.size, layout.size += (w.elements() + 15) / 16 * 16;  // 64 bytes in f32
    for (std::size_t i = 0; i < used.size(); ++i)
      if (!used[i])
        throw error("flame::init: lora{.path = \"" + layout.given.adapted[i].path +
                    "\"} matches no member that the model's adapters<...> name");
    // What a stack without instances has is not known here.
    const bool all_known =
        std::ranges::none_of(layout.stacks, [](const stack_place& s) { return s.count == 0; });
    for (std::size_t i = 0; i < asked.size() && all_known; ++i)
      if (const axis_extent& e = layout.given.axes[i]; !asked[i])
        throw error("flame::init: " + text_of(e.axis->name) + " == " + std::to_string(e.extent) +
                    " is given, and no parameter has the axis " + text_of(e.axis->name));
  }

 private:
  std::string leaf_name(const std::string& path) const {
    return prefixes.back().leaf_name + path.substr(prefixes.back().path.size());
  }
  const lora* find_choice(const std::string& member) {
    const lora* found = nullptr;
    for (std::size_t i = 0; i < used.size(); ++i) {
      const lora& l = layout.given.adapted[i];
      if (!matches(text(l.path.c_str()), text(member.c_str()))) continue;
      if (l.rank < 0)
        throw error("flame::init: lora{.path = \"" + l.path + "\"}: rank is " + std::to_string(l.rank) +
                    ", expected 0 or more");
      found = &l, used[i] = 1;
    }
    return found;
  }
  i64 extent_of(const axis_info* a, const weight& w) {
    for (std::size_t i = 0; i < asked.size(); ++i)
      if (layout.given.axes[i].axis == a) {
        const i64 extent = layout.given.axes[i].extent;
        if (a->extent != dynamic && a->extent != extent)
          throw error("flame::init: " + text_of(a->name) + " == " + std::to_string(extent) +
                      " is given, its type says " + std::to_string(a->extent));
        return asked[i] = 1, extent;
      }
    if (a->extent != dynamic) return a->extent;
    if (w.rank >= 0 && a->name == text("lora_rank")) return w.rank;
    throw error("flame::init: the extent of axis " + text_of(a->name) + " of " + w.path +
                " is known only at run time; give it, as in init<net>(key, " + text_of(a->name) + " == 256)");
  }
};

}  // namespace detail

namespace detail {

// A weight's own among the values of a flat buffer.
template <class Element> std::span<Element> values_at(std::span<Element> flat, const weight& w, i64 offset) {
  return flat.subspan(static_cast<std::size_t>(offset), static_cast<std::size_t>(w.elements()));
}

}  // namespace detail

// f(values) with the values of a tensor on the host, to be read and written: where they lie, or a copy that
// is moved back.
template <class Tensor, class F> void edit_on_host(const Tensor& t, F&& f) {
  const auto here = to<host>(t);
  f(here.values());
  if constexpr (!Tensor::on_host) t.copy_from(here.values());
}

// The weights of some model in Element on a backend, whatever the model: what training and files work on.
// Copies share the values.
template <class Backend, class Element> class model_weights {
 public:
  using backend = Backend;
  using element_type = Element;
  using flat_tensor = basic_tensor<Backend, Element, anonymous<0>>;

  explicit model_weights(std::shared_ptr<const model_layout> layout)
      : layout_(std::move(layout)), flat_({layout_->size}) {
    flat_.fill(Element(0));
  }

  [[nodiscard]] const model_layout& layout() const { return *layout_; }
  [[nodiscard]] const std::vector<weight>& weights() const { return layout_->weights; }
  [[nodiscard]] const flat_tensor& flat() const { return flat_; }
  // The values of one weight, row-major: to be read and written on the host, and as a tensor where the model
  // is.
  [[nodiscard]] std::span<Element> values(const weight& w) const {
    return detail::values_at(flat_.values(), w, w.offset);
  }
  [[nodiscard]] std::span<Element> values(const std::string& path) const { return values(find(path)); }
  [[nodiscard]] flat_tensor part(const weight& w) const {
    return flat_.slice(0, w.offset, w.offset + w.elements());
  }
  [[nodiscard]] flat_tensor part(const std::string& path) const { return part(find(path)); }
  [[nodiscard]] const weight& find(const std::string& path) const {
    for (const weight& w : weights())
      if (w.path == path) return w;
    throw error("flame::model: it has no parameter " + path);
  }
  [[nodiscard]] bool has(const std::string& path) const {
    for (const weight& w : weights())
      if (w.path == path) return true;
    return false;
  }
  // The number of parameters, states not counted.
  template <class Select = all_parameters> [[nodiscard]] i64 parameter_count() const {
    i64 n = 0;
    for (const weight& w : weights())
      if (w.is_parameter() && chosen<Select>(w)) n += w.elements();
    return n;
  }

  // The tensors of a leaf of a traced function, from a flat buffer laid out as the weights are.
  [[nodiscard]] bound_value bind(const leaf_info* leaf, Element* flat) const {
    const std::string name = detail::text_of(leaf->name);
    bound_value v;
    bool found = false;
    auto at = [&](const std::vector<int>& instance) {
      bound_value* one = &v;
      for (int i : instance) one = &one->instances[static_cast<std::size_t>(i)];
      return one;
    };
    for (const stack_place& s : layout_->stacks) {  // a stack may have no instances
      if (!name.starts_with(s.leaf_name + ".")) continue;
      at(s.instance)->stacked = true;
      at(s.instance)->instances.resize(static_cast<std::size_t>(s.count));
      found = true;
    }
    for (const weight& w : weights())
      if (w.leaf_name == name) at(w.instance)->one = view(w, flat), found = true;
    if (!found)
      throw error("flame::model: the function takes a parameter " + name + " that the model does not have");
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

 protected:
  std::shared_ptr<const model_layout> layout_;
  flat_tensor flat_;
};

}  // namespace flame
