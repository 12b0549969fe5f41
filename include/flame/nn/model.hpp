// A model: a template over Place together with weights, made by init.
#pragma once
#include <flame/base/philox.hpp>
#include <flame/nn/weights.hpp>
#include <flame/run/element.hpp>

namespace flame {

// Net<...> with weights in Element on a backend; Adapters names the members that can be adapted. Copies share
// the values.
template <template <class> class Net, class Backend, class Element = f32, class Adapters = no_adapters>
class model : public model_weights<Backend, Element> {
 public:
  using base = model_weights<Backend, Element>;
  template <bool Training> using traced = Net<root<symbols<Element, Training, Adapters>>>;

  explicit model(const model_extents& given) : base(lay_out(given)) {}

  // The same model over other values: a flat buffer of the same layout.
  [[nodiscard]] model with(const typename base::flat_tensor& flat) const {
    model m = *this;
    m.flat_ = flat;
    return m;
  }
  [[nodiscard]] model clone() const { return with(this->flat_.clone()); }

 private:
  static std::shared_ptr<const model_layout> lay_out(const model_extents& given) {
    auto layout = std::make_shared<model_layout>();
    layout->given = given;
    detail::layout_visitor v{*layout};
    flame::visit<traced<true>>(v);
    v.place();
    check_adapters(*layout);
    return layout;
  }
  // A misspelt pattern would adapt less than was meant.
  static void check_adapters(const model_layout& layout) {
    if (std::ranges::any_of(layout.stacks, [](const stack_place& s) { return s.count == 0; })) return;
    for (int i = 0; i < Adapters::count; ++i) {
      const text pattern = Adapters::patterns[i];
      const bool found = std::ranges::any_of(layout.weights, [&](const weight& w) {
        const std::string path = detail::text_of(w.leaf->name), end = ".lora_A";
        return path.ends_with(end) &&
               matches(pattern, text(path.c_str(), static_cast<int>(path.size() - end.size())));
      });
      if (!found)
        throw error("flame::init: adapters<\"" + detail::text_of(pattern) +
                    "\"> matches no linear layer or convolution of the model; paths inside of a stack or an "
                    "as_function begin there");
    }
  }
};

// Writes a parameter's first values.
template <class Element> void initialise(std::span<Element> values, const initial::rule& rule, key k) {
  for (std::size_t i = 0; i < values.size(); ++i) {
    double v = 0;
    switch (rule.kind) {
      case initial::kind::zeros: break;
      case initial::kind::ones: v = 1; break;
      case initial::kind::uniform: v = rule.scale * (2 * uniform_element<double>(k.bits, i) - 1); break;
      case initial::kind::normal: v = rule.scale * normal_element<double>(k.bits, i); break;
      case initial::kind::constant: v = rule.scale; break;
    }
    values[i] = element_cast<Element>(v);
  }
}
// Each parameter has a key of its own, by path, so that its values do not depend on what else the model has.
template <class Element> void initialise(std::span<Element> values, const weight& w, key k) {
  initialise(values, w.init, key(fold(k.bits, hash_of(text(w.path.c_str())))));
}

// A copy of a model on a backend: to<cuda>(model), to<host>(model).
template <class To, template <class> class Net, class Backend, class Element, class Adapters>
[[nodiscard]] model<Net, To, Element, Adapters> to(const model<Net, Backend, Element, Adapters>& m) {
  if constexpr (std::is_same_v<To, Backend>)
    if (m.flat().is_here()) return m;
  return model<Net, To, Element, Adapters>(m.layout().given).with(to<To>(m.flat()));
}

// A model with fresh weights, from all that its extents say (model/sdxl.hpp has those of a known model).
template <template <class> class Net, class Backend, class Element = f32, class Adapters = no_adapters>
model<Net, Backend, Element, Adapters> init(key k, const model_extents& given) {
  model<Net, Backend, Element, Adapters> m(given);
  edit_on_host(m.flat(), [&](std::span<Element> flat) {
    for (const weight& w : m.weights()) initialise(detail::values_at(flat, w, w.offset), w, k);
  });
  return m;
}

// A model with fresh weights: init<net, host>(key(0), channel == 96, instances_of("blocks", 4)). The extents
// of run-time axes are given by axis, the number of a stack's instances by its path. With adapters<...>,
// lora{...} says which members are adapted.
template <template <class> class Net, class Backend, class Element = f32, class Adapters = no_adapters,
          class... Given>
model<Net, Backend, Element, Adapters> init(key k, const Given&... given) {
  model_extents e;
  [[maybe_unused]] auto take = [&]<class G>(const G& g) {
    if constexpr (std::is_same_v<G, stack_count>)
      e.stacks.push_back(g);
    else if constexpr (std::is_same_v<G, lora>)
      e.adapted.push_back(g);
    else
      e.axes.push_back(g);
  };
  (take(given), ...);
  return init<Net, Backend, Element, Adapters>(k, e);
}

}  // namespace flame
