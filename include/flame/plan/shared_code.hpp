// What all plans of a process share, whichever thread makes them: functions made ready to plan, and the
// planner's own groups (copies, fills, sums, keys).
#pragma once
#include <flame/graph/words.hpp>
#include <flame/plan/fuse.hpp>

#include <map>
#include <memory>
#include <mutex>

namespace flame::planning {

// A function as the planner takes it: its graph and its steps.
struct planned_function {
  const function_info* info = nullptr;
  graph g;
  fusion f;
};

// Made once for all threads. Programs point into what is returned, and a program may live as long as the
// process (in a static object of the user's): so it is never destroyed, and stays reachable. The lock is held
// while a function is made ready: whoever waits for it wants the same function more often than another.
[[nodiscard]] inline const planned_function& planned(const function_info& f) {
  struct cache {
    std::mutex mutex;
    std::map<const function_info*, std::unique_ptr<const planned_function>> functions;
  };
  static cache& all = *new cache;
  std::lock_guard lock(all.mutex);
  std::unique_ptr<const planned_function>& one = all.functions[&f];
  if (!one) {
    auto made = std::make_unique<planned_function>();
    made->info = &f;
    made->g = graph_of(f);
    made->f = fuse(made->g);
    one = std::move(made);
  }
  return *one;
}

// The planner's own groups, by element type.
struct planner_groups {
  static constexpr int types = static_cast<int>(dtype::key) + 1;
  group copies[types], fills[types], sums[types], fold;

  planner_groups() {
    for (int i = 0; i < types; ++i) {
      const dtype d = static_cast<dtype>(i);
      copies[i] = copy(d, slot_kind::input);
      fills[i] = copy(d, slot_kind::uniform);
      sums[i] = sum(d);
    }
    fold = key_of_instance();
  }

 private:
  static group copy(dtype d, slot_kind from) {
    group g;
    g.slots.push({from, d, 0});
    g.slots.push({slot_kind::output, d, 0});
    instruction load, store;
    load.code = code_load, load.a = 0;
    store.code = code_store, store.a = 1, store.b = 0;
    load.element = store.element = compute_type(d);
    if (from == slot_kind::uniform) load.at = level::uniform;
    g.body.push(load), g.body.push(store);
    return g;
  }
  static group sum(dtype d) {
    group g;
    g.slots.push({slot_kind::input, d, 0});
    g.slots.push({slot_kind::input, d, 1});
    g.slots.push({slot_kind::output, d, 2});
    instruction x, y, add, store;
    x.code = y.code = code_load;
    x.a = 0, y.a = 1;
    add.code = static_cast<u8>(op::add), add.a = 0, add.b = 1;
    store.code = code_store, store.a = 2, store.b = 2;
    x.element = y.element = add.element = store.element = compute_type(d);
    g.body.push(x), g.body.push(y), g.body.push(add), g.body.push(store);
    return g;
  }
  static group key_of_instance() {
    group g;
    g.slots.push({slot_kind::uniform, dtype::key, 0});
    g.slots.push({slot_kind::uniform, dtype::int64, 1});
    g.slots.push({slot_kind::output, dtype::key, 2});
    instruction key, number, folded, store;
    key.code = number.code = code_load;
    key.a = 0, number.a = 1;
    key.element = dtype::key, number.element = dtype::int64;
    folded.code = static_cast<u8>(op::fold), folded.a = 0, folded.b = 1, folded.element = dtype::key;
    store.code = code_store, store.a = 2, store.b = 2, store.element = dtype::key;
    key.at = number.at = folded.at = store.at = level::uniform;
    g.body.push(key), g.body.push(number), g.body.push(folded), g.body.push(store);
    return g;
  }
};

[[nodiscard]] inline const planner_groups& groups() {
  static const planner_groups& all = *new planner_groups;  // never destroyed, as the functions
  return all;
}
// to = from; to = a number; to = a + b; to = fold(key, instance).
[[nodiscard]] inline const group& copy_code(dtype d) { return groups().copies[static_cast<int>(d)]; }
[[nodiscard]] inline const group& fill_code(dtype d) { return groups().fills[static_cast<int>(d)]; }
[[nodiscard]] inline const group& add_code(dtype d) { return groups().sums[static_cast<int>(d)]; }
[[nodiscard]] inline const group& fold_code() { return groups().fold; }

}  // namespace flame::planning
