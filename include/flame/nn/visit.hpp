// Visiting a model's parameters: every member, in order, with its path; a stack's block once for each
// instance.
#pragma once
#include <flame/graph/names.hpp>
#include <flame/nn/linear.hpp>
#include <flame/nn/stack.hpp>

#include <boost/hana/accessors.hpp>
#include <boost/hana/concept/struct.hpp>
#include <boost/hana/core/is_a.hpp>
#include <boost/hana/first.hpp>
#include <boost/hana/for_each.hpp>
#include <boost/hana/second.hpp>
#include <boost/hana/string.hpp>

#include <string>

namespace flame {

namespace detail {

template <class T>
concept stack_type = requires {
  T::is_stack;
};
template <class T>
concept function_member = requires {
  T::is_function;
};

inline std::string joined_text(const std::string& prefix, text name) {
  return prefix.empty() ? string_of(name) : prefix + "." + string_of(name);
}

// The last part of a path.
constexpr text last_part(text t) {
  int from = 0;
  for (int i = 0; i < t.size; ++i)
    if (t[i] == '.') from = i + 1;
  return t.from(from);
}

template <class Name> constexpr bool ends_with(text path, Name name) {
  return last_part(path) == text(boost::hana::to<char const*>(name));
}

}  // namespace detail

// Calls f.leaf<Symbol>(path) for every parameter and state of Model, and f.instances(path) for how many
// instances a stack has; f.enter(path, instance) and f.leave() around each. Paths are those of the Places, as
// in a traced function: members in one Place are tied, and their path is visited more than once. `block` is
// the path of the instance that holds them all.
template <class Model, class F> void visit(F& f, const std::string& block = "") {
  boost::hana::for_each(boost::hana::accessors<Model>(), [&](auto pair) {
    using name = std::remove_cvref_t<decltype(boost::hana::first(pair))>;
    using member = std::remove_cvref_t<decltype(boost::hana::second(pair)(std::declval<const Model&>()))>;
    if constexpr (std::is_same_v<member, absent>) {
    } else if constexpr (leaf_type<member>) {
      static_assert(
          detail::ends_with(leaf_of<member>::name(), name{}),
          "flame: a member's name and the name in its param<Place, \"name\", ...> must be the same");
      f.template leaf<member>(detail::joined_text(block, leaf_of<member>::name()));
    } else if constexpr (detail::stack_type<member>) {
      static_assert(
          detail::ends_with(member::path_type::name, name{}),
          "flame: a member's name and the name in its stack<in<Place, \"name\">, ...> must be the same");
      const std::string path = detail::joined_text(block, member::path_type::name);
      int n = f.instances(path);
      for (int i = 0; i < n; ++i) {
        f.enter(path, i);
        flame::visit<typename member::block>(f, path + "." + std::to_string(i));
        f.leave();
      }
    } else if constexpr (detail::function_member<member>) {
      flame::visit<typename member::block>(f, detail::joined_text(block, member::path_type::name));
    } else if constexpr (boost::hana::Struct<member>::value) {
      flame::visit<member>(f, block);  // not std::visit, which newer standard libraries bring along
    }
  });
}

}  // namespace flame
