// Paths of parameters, and the caller's leaves for the parameters of a function that it calls.
#pragma once
#include <flame/expr/emit.hpp>
#include <flame/pass/freeze.hpp>

namespace flame {

// The path of a parameter, as a type: path<"blocks.*.fc1.weight">.
template <fixed_string Text> struct path {
  static constexpr text name{Text.chars, length(Text)};
  static constexpr bool empty = length(Text) == 0;
};

namespace detail {

template <fixed_string A, fixed_string B> constexpr auto joined_path() {
  constexpr int a = length(A), b = length(B);
  if constexpr (a == 0) {
    return B;
  } else {
    fixed_string<a + b + 2> r;
    for (int i = 0; i < a; ++i) r.chars[i] = A.chars[i];
    r.chars[a] = '.';
    for (int i = 0; i < b; ++i) r.chars[a + 1 + i] = B.chars[i];
    return r;
  }
}

}  // namespace detail

// The axis that counts the instances of a stack.
template <class Path> struct instances : dim<> {
  static constexpr u64 id = hash_of(Path::name, 0x57AC4);
  static constexpr bool own = true;
};

namespace detail {

// An axis of the parameters of a function, one for each place that it is called from.
template <class Path, const axis_info* Inner>
inline constexpr axis_info own_axis{hash_of(Path::name, Inner->id), Inner->extent, Inner->name, -1, true};

// The caller's leaves for the parameters of a function, which stand behind its arguments: each one's path
// behind the caller's; stacked, one tensor for each instance.
template <class Path, const function_info* F, int Arguments, bool Stacked> struct outer_leaves {
  static constexpr int count = F->leaf_count - Arguments;
  static constexpr int prefix = Path::empty ? 0 : Path::name.size + 1;
  static constexpr const leaf_info& inner(int i) { return *F->leaves[Arguments + i]; }

  static constexpr int count_chars() {
    int n = 0;
    for (int i = 0; i < count; ++i) n += prefix + inner(i).name.size;
    return n;
  }
  struct name_storage {
    char chars[static_cast<unsigned>(count_chars()) + 1] = {};
  };
  static constexpr name_storage write_names() {
    name_storage s;
    int n = 0;
    for (int i = 0; i < count; ++i) {
      const text name = inner(i).name;
      for (int k = 0; k + 1 < prefix; ++k) s.chars[n++] = Path::name.data[k];
      if (prefix) s.chars[n++] = '.';
      for (int k = 0; k < name.size; ++k) s.chars[n++] = name.data[k];
    }
    return s;
  }
  static constexpr name_storage names = write_names();

  struct leaf_storage {
    leaf_info at[static_cast<unsigned>(count) + 1] = {};
  };

  // The function's axes that every place has for its own, and which they are here.
  static constexpr int most_own = 512;
  struct own_axes {
    const axis_info* at[most_own] = {};
    int count = 0;
  };
  static constexpr own_axes find_own() {
    own_axes found;
    for (int i = 0; i < count; ++i)
      for (int k = 0; k < inner(i).type.rank; ++k) {
        const axis_info* a = inner(i).type.axes[k];
        bool known = !a->own;
        for (int j = 0; j < found.count; ++j) known = known || found.at[j] == a;
        if (known) continue;
        if (found.count == most_own) refuse_size("more than 512 ranks and stacks in a block");
        found.at[found.count++] = a;
      }
    return found;
  }
  static constexpr own_axes own_inner = find_own();
  template <int... I> static constexpr own_axes name_own(std::integer_sequence<int, I...>) {
    return {{&own_axis<Path, own_inner.at[I]>...}, sizeof...(I)};
  }
  static constexpr own_axes own_outer = name_own(std::make_integer_sequence<int, own_inner.count>{});
  static constexpr const axis_info* outer_axis(const axis_info* a) {
    for (int i = 0; i < own_inner.count && a->own && !Path::empty; ++i)
      if (own_inner.at[i] == a) return own_outer.at[i];
    return a;
  }

  static constexpr leaf_storage write_leaves() {
    leaf_storage s;
    const u64 prefix_hash = prefix ? hash_of(".", hash_of(Path::name)) : hash_of("");
    int n = 0;
    for (int i = 0; i < count; ++i) {
      leaf_info& l = s.at[i];
      l = inner(i);
      l.id = mix(hash_of(l.name, prefix_hash), static_cast<u64>(l.kind));
      l.name = {names.chars + n, prefix + l.name.size};
      n += l.name.size;
      const tensor_type one = l.type;
      l.type.rank = 0;
      if (Stacked) {
        l.type.stack = static_cast<u8>(one.stack + 1);
        l.type.push(axis_ptr<instances<Path>>);
      }
      for (int k = 0; k < one.rank; ++k) l.type.push(outer_axis(one.axes[k]));
    }
    return s;
  }
  static constexpr leaf_storage leaves = write_leaves();

  static constexpr void push(graph& g, list<int>& in) {
    for (int i = 0; i < count; ++i) in.push(g.leaf(&leaves.at[i]));
  }
  // The states that a call renews are the caller's states.
  static constexpr void push_states(graph& g, int node) {
    for (int k = 0; k < F->state_count; ++k)
      for (int i = 0; i < count; ++i)
        if (F->states[k] == &inner(i)) g.assigned.push({&leaves.at[i], g.result(node, F->first_state + k)});
  }
};

}  // namespace detail

}  // namespace flame
