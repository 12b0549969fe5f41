// Where a model's parameters live: the one template argument that turns a model into symbols, weights or
// gradients.
#pragma once
#include <flame/expr/function.hpp>
#include <flame/nn/pattern.hpp>

namespace flame {

// A model is a template over Place; a member of it stands in in<Place, "name">. Its path is its key in a
// checkpoint. Mode says what a parameter is there: `template <fixed_string Path, class Init, class... Axes>
// using parameter`.
template <class Mode, fixed_string Path> struct place {
  using mode = Mode;
  using path_type = path<Path>;
  static constexpr fixed_string value = Path;
};

template <class Place, fixed_string Name>
using in = place<typename Place::mode, detail::joined_path<Place::value, Name>()>;

// A parameter: its path is Place's and Name; Init says how it begins (nn/init.hpp). Two members in one Place
// are tied: one weight, which begins as the first of them says, and whose gradient is the sum over its uses.
template <class Place, fixed_string Name, class Init, const auto&... Axes>
using param = typename Place::mode::template parameter<detail::joined_path<Place::value, Name>(), Init,
                                                       tag_of<Axes>...>;

// A tensor of the model that the program renews itself, as running statistics: it gets no gradient.
template <class Place, fixed_string Name, class Init, const auto&... Axes>
using state =
    typename Place::mode::template state<detail::joined_path<Place::value, Name>(), Init, tag_of<Axes>...>;

namespace detail {
template <leaf_kind Kind, class Element, fixed_string Path, class Init, class... Axes>
struct symbol : operand {
  using leaf_shape = shape<Element, Axes...>;
  using init = Init;
  static constexpr leaf_kind kind = Kind;
  static constexpr text leaf_name() { return path<Path>::name; }
};
}  // namespace detail

// Parameters as leaves: how a model is traced. Training says whether dropout drops and norms use the batch,
// Adapters which members can be adapted.
template <class Element = f32, bool Training = true, class Adapters = no_adapters> struct symbols {
  using element_type = Element;
  static constexpr bool training = Training;
  static constexpr bool adapts(text path) { return Adapters::has(path); }
  template <fixed_string Path, class Init, class... Axes>
  using parameter = detail::symbol<leaf_kind::parameter, Element, Path, Init, Axes...>;
  template <fixed_string Path, class Init, class... Axes>
  using state = detail::symbol<leaf_kind::state, Element, Path, Init, Axes...>;
};

// The place of a whole model, or of a block that is a function of its own.
template <class Mode> using root = place<Mode, "">;

}  // namespace flame
