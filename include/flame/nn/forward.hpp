// forward(model, fn): a function of a model and some tensors, run as it is.
#pragma once
#include <flame/nn/model.hpp>
#include <flame/run/argument.hpp>

namespace flame {

namespace detail {

// A function of a model's symbols and more.
template <class Net, class Fn> struct on_model {
  constexpr auto operator()(const auto&... a) const { return Fn{}(Net{}, a...); }
};

// A lambda that takes any number of arguments is asked for a key too, and its body then has to take one.
template <class Net, class Fn, class... Shapes>
inline constexpr bool takes_key =
    std::is_invocable_v<const Fn&, const Net&, typename sym_for<Shapes>::type..., sym<key>>;

template <class Backend, class... S>
auto run_cached(program_cache& cache, const std::vector<bound_value>& in, types<S...>) {
  const std::vector<std::vector<i64>>& extents = cache.output_extents(in);
  auto make = [&]<std::size_t... I>(std::index_sequence<I...>) {
    return std::tuple{typename tensor_for<Backend, S>::type(extents[I])...};
  };
  auto out = make(std::make_index_sequence<sizeof...(S)>{});
  std::vector<bound_value> results;
  std::apply([&](const auto&... t) { (results.push_back(t.view()), ...); }, out);
  cache.run(in, results);
  if constexpr (sizeof...(S) == 1)
    return std::get<0>(out);
  else
    return out;
}

}  // namespace detail

// A function of the model and some tensors, run without training: forward(model, [](auto m, auto x) { return
// m(x); }).
template <class Model, class Fn, bool Training = false> class model_function {
 public:
  using backend = typename Model::backend;
  explicit model_function(const Model& m) : model_(m) {}

  template <class... T> auto operator()(const T&... a) {
    program_cache& cache = bind(a...);
    return detail::run_cached<backend>(cache, in_, typename traced<T...>::results{});
  }
  // The program for these arguments: see explain.
  template <class... T> const program& plan(const T&... a) { return bind(a...).plan(in_); }

 private:
  template <class... T>
  using traced = detail::trace<detail::on_model<typename Model::template traced<Training>, Fn>,
                               typename T::held_shape...>;

  template <class... T> program_cache& bind(const T&... a) {
    constexpr const function_info* f = &frozen<traced<T...>>::info;
    static_assert(f->state_count == 0,
                  "flame::forward<true>(model, fn): states are renewed by train_step alone");
    detail::require_operations<backend, *f>();
    static_assert(
        (detail::lies_on<T, backend> && ...),
        "flame::forward(model, fn): an argument lies on another backend than the model; move it with "
        "to<Backend>(t)");
    detail::require_here(model_.flat());
    static thread_local program_cache cache(*f, functions_of<backend>());
    if (bound_ != f) {  // parameters stay where they are
      bound_ = f;
      in_.resize(sizeof...(T));
      for (int i = static_cast<int>(sizeof...(T)); i < f->leaf_count; ++i)
        in_.push_back(model_.bind(f->leaves[i], model_.flat().data()));
    }
    std::size_t i = 0;
    ((in_[i++].one = detail::argument_view(a)), ...);
    return cache;
  }

  Model model_;
  const function_info* bound_ = nullptr;
  std::vector<bound_value> in_;
};
// forward<true>: as in training, dropout drops and norms use the batch; nothing is renewed.
template <bool Training = false, class Model, class Fn>
model_function<Model, Fn, Training> forward(const Model& m, Fn) {
  return model_function<Model, Fn, Training>(m);
}

}  // namespace flame
