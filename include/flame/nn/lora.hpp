// Low-rank adapters (Hu et al. 2021): a model adapted, and adapters merged into its weights.
#pragma once
#include <flame/nn/model.hpp>

#include <algorithm>

namespace flame {

// The model with adapters on members that Adapters names, those that `chosen` matches:
// adapt<adapters<"*attention.q">>( model, key(1), lora{.rank = 8, .alpha = 16}). The weights are copied; B is
// zero, so that nothing changes at first.
template <class Adapters, template <class> class Net, class Backend, class Element, class Old,
          class... Chosen>
model<Net, Backend, Element, Adapters> adapt(const model<Net, Backend, Element, Old>& m, key k,
                                             const Chosen&... chosen) {
  model_extents e = m.layout().given;
  e.adapted = {chosen...};
  model<Net, Backend, Element, Adapters> adapted(e);
  for (const weight& w : adapted.weights()) {
    if (w.rank < 0)
      std::ranges::copy(m.values(w.path), adapted.values(w).begin());
    else
      initialise(adapted.values(w), w, k);
  }
  return adapted;
}

// The model without adapters: weight + scale B A wherever there is one.
template <template <class> class Net, class Backend, class Element, class Adapters>
model<Net, Backend, Element> merged(const model<Net, Backend, Element, Adapters>& m) {
  model_extents e = m.layout().given;
  e.adapted.clear();
  model<Net, Backend, Element> plain(e);
  for (const weight& w : plain.weights()) std::ranges::copy(m.values(w.path), plain.values(w).begin());
  const std::string suffix = ".lora_A";
  for (const weight& a : m.weights()) {
    if (a.rank <= 0 || !a.path.ends_with(suffix)) continue;
    const std::string member = a.path.substr(0, a.path.size() - suffix.size());
    std::span<Element> to = plain.values(member + ".weight"), down = m.values(a),
                       up = m.values(member + ".lora_B");
    const double scale = element_cast<double>(m.values(member + ".lora_scale")[0]);
    const std::size_t rank = static_cast<std::size_t>(a.rank), in = down.size() / rank,
                      out = up.size() / rank;
    for (std::size_t o = 0; o < out; ++o)
      for (std::size_t i = 0; i < in; ++i) {
        double sum = 0;
        for (std::size_t r = 0; r < rank; ++r)
          sum += element_cast<double>(up[o * rank + r]) * element_cast<double>(down[r * in + i]);
        to[o * in + i] = element_cast<Element>(element_cast<double>(to[o * in + i]) + scale * sum);
      }
  }
  return plain;
}

// On another backend the same, by way of the host.
template <class Adapters, template <class> class Net, class Backend, class Element, class Old,
          class... Chosen>
requires(!std::is_same_v<Backend, host>) model<Net, Backend, Element, Adapters> adapt(
    const model<Net, Backend, Element, Old>& m, key k, const Chosen&... chosen) {
  return to<Backend>(adapt<Adapters>(to<host>(m), k, chosen...));
}
template <template <class> class Net, class Backend, class Element, class Adapters>
requires(!std::is_same_v<Backend, host>) model<Net, Backend, Element> merged(
    const model<Net, Backend, Element, Adapters>& m) {
  return to<Backend>(merged(to<host>(m)));
}

}  // namespace flame
