// Fused groups on the host: random ones against the plain meaning of their instructions, and what must hold
// of each. labels: threads
#include "group/random.hpp"
#include "group/reference.hpp"

#include <doctest/doctest.h>

#include <flame/run/host/group.hpp>
#include <string>

namespace {

using namespace flame;
using random_groups::sample;

// The first element of an output that differs from what the reference says, or nothing.
std::string difference(const sample& got, const sample& wanted) {
  for (int n = 0; n < got.code.slots.size(); ++n) {
    const group_slot& slot = got.code.slots[n];
    std::size_t k = static_cast<std::size_t>(n);
    if (slot.kind != slot_kind::output || got.memory[k].empty()) continue;
    i64 count = static_cast<i64>(got.memory[k].size()) / size_of(slot.element);
    for (i64 i = 0; i < count; ++i) {
      reference::number a = reference::read(slot.element, got.memory[k].data(), i);
      reference::number b = reference::read(slot.element, wanted.memory[k].data(), i);
      double tolerance = got.tolerance[k];
      if (tolerance > 0 && slot.element == dtype::bf16) tolerance += std::fabs(b.f) / 64;
      if (tolerance > 0 && slot.element == dtype::f16) tolerance += std::fabs(b.f) / 512;
      bool same = a.i == b.i &&
                  (a.f == b.f || (std::isnan(a.f) && std::isnan(b.f)) || std::fabs(a.f - b.f) <= tolerance);
      if (!same)
        return "slot " + std::to_string(n) + " (" + name_of(slot.element) + ") element " + std::to_string(i) +
               ": " + std::to_string(a.f) + " " + std::to_string(a.i) + ", wanted " + std::to_string(b.f) +
               " " + std::to_string(b.i) + " within " + std::to_string(tolerance);
    }
  }
  return "";
}

bool same_bits(const sample& a, const sample& b) { return a.memory == b.memory; }

std::string text_of(const sample& s) {
  std::string t = "extents";
  for (int i = 0; i < s.bound.batch_rank + s.bound.outer_rank + s.bound.inner_rank; ++i) {
    if (i == s.bound.batch_rank || i == s.bound.batch_rank + s.bound.outer_rank) t += " |";
    t += " " + std::to_string(s.bound.extents[i]);
  }
  for (int i = 0; i < s.code.slots.size(); ++i) {
    const group_slot& slot = s.code.slots[i];
    t += "\nslot " + std::to_string(i) + " kind " + std::to_string(static_cast<int>(slot.kind)) + " " +
         name_of(slot.element);
    for (int k = 0; k < max_rank; ++k) t += " " + std::to_string(s.bound.slots[i].strides[k]);
  }
  for (int n = 0; n < s.code.body.size(); ++n) {
    const instruction& i = s.code.body[n];
    t += "\n" + std::to_string(n) + ": ";
    t += i.code == code_load    ? "load"
         : i.code == code_store ? "store"
                                : string_of(name_of(static_cast<op>(i.code)));
    t += " " + std::to_string(i.a) + " " + std::to_string(i.b) + " " + std::to_string(i.c) + " " +
         name_of(i.element) + " level " + std::to_string(static_cast<int>(i.at)) + " reduce " +
         std::to_string(static_cast<int>(i.reduce));
  }
  return t;
}

void copy(const sample& from, sample& to) {
  to = from;
  to.attach();
}

void check_random(u64 seed, i64 most) {
  auto s = random_groups::make(seed, most);
  sample wanted, first;
  copy(*s, wanted), copy(*s, first);
  reference::run(wanted.bound);
  host::prepared_group p = host::prepare(s->code);
  host::run(p, first.bound);
  std::string d = difference(first, wanted);
  INFO("seed " << seed << "\n" << text_of(*s));
  REQUIRE(d == "");
  host::run(p, s->bound);  // again: not a bit differs
  REQUIRE(same_bits(*s, first));
}

TEST_CASE("random groups mean what their instructions say") {
  for (u64 seed = 0; seed < 4000; ++seed) check_random(seed, 2000);
}

TEST_CASE("so do larger ones, of many tiles and items") {
  for (u64 seed = 10000; seed < 10120; ++seed) check_random(seed, 60000);
}

}  // namespace
