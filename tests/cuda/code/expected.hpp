// What the code of a fused group's kernel should be, worked out from its name alone: which accesses to memory
// a thread makes for a row.
#pragma once
#include <flame/graph/op.hpp>
#include <flame/plan/group.hpp>

#include <algorithm>
#include <sstream>

#include "ptx.hpp"

namespace flame::code_tests {

// The template arguments of flame::kernel::group<...>, staged<...>, columns<...> or map<...>.
struct group_name {
  int vector = 1, packs = 1, lanes = 1, teams = 1, axes = 1;
  bool map = false, square = false, wide = false, tail = false, simple = false;
  bool holds_loads = false;  // but for what all rows have in common
  int stages = 0;            // of rows in shared memory
  bool finishes = false;     // its sums over rows
  std::vector<u64> words;

  enum access : u8 { none, side_by_side, one, strided, general, pack, repeated, turned };
  struct slot {
    slot_kind kind;
    dtype element;
    access reached;
    bool repeats = false;
    [[nodiscard]] bool by_packs() const {
      return reached == side_by_side || reached == pack || reached == turned;
    }
  };
  std::vector<slot> slots;
  std::vector<instruction> body;

  [[nodiscard]] static bool is_map(const std::string& name) {
    return name.rfind("flame::kernel::map<", 0) == 0;
  }
  [[nodiscard]] static bool is_of(const std::string& name, const char* family) {
    return name.rfind(std::string("flame::kernel::") + family + "<", 0) == 0;
  }
  [[nodiscard]] static bool is(const std::string& name) {
    return is_map(name) || is_of(name, "group") || is_of(name, "staged") || is_of(name, "columns");
  }

  explicit group_name(const std::string& name) {
    std::string text = name.substr(name.find('<') + 1);
    for (char& c : text)
      if (c == ',' || c == '>') c = ' ';
    std::istringstream in(text);
    std::string index, word;
    map = is_map(name);
    int held = 0, across = 0, cut = 0, ends = 0;
    bool few = false;  // by the numbers of flame::kernel::held, cut and ends
    in >> std::boolalpha;
    if (map)
      in >> vector >> packs >> lanes >> across >> axes >> cut >> ends >> few >> index, square = cut == 3,
                                                                                       tail = ends == 2;
    else if (is_of(name, "staged"))
      in >> vector >> packs >> lanes >> teams >> held >> stages >> word >> simple >> index;
    else if (is_of(name, "columns"))
      in >> vector >> packs >> lanes >> teams >> word >> stages >> tail >> simple >> index;
    else
      in >> vector >> packs >> lanes >> teams >> held >> tail >> simple >> index;
    finishes = is_of(name, "columns");
    wide = held == 2, holds_loads = held == 1;
    if (square) packs = vector;
    while (in >> word) words.push_back(std::stoull(word));
    const std::size_t slot_count = words.at(0);
    for (std::size_t i = 1; i <= slot_count; ++i) {
      const u64 w = words.at(i);
      slots.push_back({static_cast<slot_kind>(w & 0xff), static_cast<dtype>(w >> 8 & 0xff),
                       static_cast<access>(w >> 16 & 0xff), (w >> 24 & 1) != 0});
    }
    for (std::size_t i = 1 + slot_count; i < words.size(); ++i) {
      const u64 w = words[i];
      instruction x;
      x.code = static_cast<u8>(w & 0xff), x.element = static_cast<dtype>(w >> 8 & 0xf);
      x.at = static_cast<level>(w >> 12 & 0x3), x.reduce = static_cast<reduce_mode>(w >> 14 & 0x3);
      x.a = static_cast<int>(w >> 16 & 0xfff) - 1, x.b = static_cast<int>(w >> 28 & 0xfff) - 1,
      x.c = static_cast<int>(w >> 40 & 0xfff) - 1;
      body.push_back(x);
    }
  }

  [[nodiscard]] const slot& slot_of(const instruction& i) const {
    return slots[static_cast<std::size_t>(i.a)];
  }
  [[nodiscard]] static bool loads(const instruction& i) { return i.code == code_load; }
  [[nodiscard]] static bool stores(const instruction& i) { return i.code == code_store; }
  [[nodiscard]] static bool reduces_row(const instruction& i) {
    return !stores(i) && i.reduce == reduce_mode::row;
  }
  [[nodiscard]] static bool accumulates(const instruction& i) {
    return !stores(i) && (i.reduce == reduce_mode::column || i.reduce == reduce_mode::total);
  }
  // The values that an instruction reads.
  [[nodiscard]] static std::vector<std::size_t> reads(const instruction& i) {
    std::vector<std::size_t> all;
    if (loads(i)) return all;
    for (int k : {stores(i) ? -1 : i.a, i.b, stores(i) ? -1 : i.c})
      if (k >= 0) all.push_back(static_cast<std::size_t>(k));
    return all;
  }
  // How many rounds over the row end before each value is known.
  [[nodiscard]] std::vector<int> rounds() const {
    std::vector<int> at(body.size());
    for (std::size_t i = 0; i < body.size(); ++i)
      for (std::size_t k : reads(body[i])) at[i] = std::max(at[i], at[k] + (reduces_row(body[k]) ? 1 : 0));
    return at;
  }
  // Integers are divided because the formula says so.
  [[nodiscard]] bool divides_integers() const {
    return std::any_of(body.begin(), body.end(), [](const instruction& i) {
      return !is_floating(i.element) &&
             (static_cast<op>(i.code) == op::div || static_cast<op>(i.code) == op::reciprocal);
    });
  }
  // It comes through shared memory.
  [[nodiscard]] bool is_staged(const slot& s) const {
    return stages > 0 && s.kind == slot_kind::input && s.reached == side_by_side && !s.repeats &&
           vector * size_of(s.element) % 4 == 0;
  }
  // No slot is reached by a stride.
  [[nodiscard]] bool contiguous() const {
    return std::all_of(slots.begin(), slots.end(),
                       [](const slot& s) { return s.reached != strided && s.reached != general; });
  }
};

// At least and at most so many accesses of each width: of a block, and of each copy of the loop over rows.
struct expected_accesses {
  struct range {
    int least = 0, most = 0;
  };
  std::map<int, range> block, row;

  static void add(std::map<int, range>& to, int bytes, int least, int most) {
    if (most > 0) to[bytes].least += least, to[bytes].most += most;
  }
  [[nodiscard]] bool holds(const accesses& found, int copies) const {
    std::map<int, range> all = block;
    for (const auto& [bytes, r] : row) add(all, bytes, copies * r.least, copies * r.most);
    for (const auto& [bytes, count] : found)
      if (auto a = all.find(bytes); a == all.end() || count > a->second.most) return false;
    return std::all_of(all.begin(), all.end(), [&](const auto& a) {
      const auto f = found.find(a.first);
      return (f == found.end() ? 0 : f->second) >= a.second.least;
    });
  }
  [[nodiscard]] std::string words() const {
    std::string text;
    for (const auto* part : {&row, &block})
      for (const auto& [bytes, r] : *part)
        text += " " + std::to_string(r.least) + (r.most > r.least ? " to " + std::to_string(r.most) : "") +
                " of " + std::to_string(bytes) + " bytes" + (part == &row ? " a row;" : " a block;");
    return text;
  }
};

struct expected_code {
  expected_accesses loads, stores;
};

// Each value that is needed is loaded once, each result stored once. What lies side by side and aligned moves
// in packs of V elements, 16 bytes or all V at a time; in the kernel of one row that V does not divide (Tail)
// a pack at the row's end has a path of its own, element by element and without the last. What is the same
// for a whole row is one access a pack, which the compiler may make one for all packs. Rows that registers do
// not hold (Wide) are read once for each round over them that needs the value. Sums over rows leave partial
// sums: a store for each column of a thread, or a loop over them.
[[nodiscard]] inline expected_code expected_of(const group_name& g) {
  expected_code e;
  const std::vector<int> round = g.rounds();
  const int last = round.empty() ? 0 : *std::max_element(round.begin(), round.end());

  auto full = [&](expected_accesses& to, const group_name::slot& s) {
    const int size = size_of(s.element), n = g.vector * g.packs;
    const int packs = g.square && s.repeats ? 1 : g.packs;
    if (s.by_packs()) {
      const int bytes = g.vector * size, each = std::min(bytes, 16), count = packs * (bytes / each);
      to.add(to.row, each, count, count);
      // Of a long integer that is made a short one a half may be read.
      const bool halved = size == 8 && !is_floating(s.element);
      if (g.tail) to.add(to.row, size, halved ? 0 : n - g.packs, n - g.packs);
      if (g.tail && halved) to.add(to.row, 4, 0, n - g.packs);
    } else if (s.reached == group_name::repeated) {
      to.add(to.row, size, packs, packs);
    } else {
      to.add(to.row, size, s.reached == group_name::one ? 1 : n, s.reached == group_name::one ? g.packs : n);
    }
  };
  auto leaves = [&](const instruction& i) {
    return group_name::accumulates(i) || (group_name::stores(i) && g.slot_of(i).reached != group_name::none &&
                                          !group_name::accumulates(g.body[static_cast<std::size_t>(i.b)]));
  };
  // What the wanted are made of; with `rows_known`, reductions of rows that are not wanted themselves are
  // known.
  auto needed = [&](auto&& wanted, bool rows_known) {
    std::vector<bool> need(g.body.size());
    for (std::size_t i = g.body.size(); i-- > 0;) {
      need[i] = need[i] || wanted(i);
      if (!need[i] || (rows_known && !wanted(i) && group_name::reduces_row(g.body[i]))) continue;
      for (std::size_t k : group_name::reads(g.body[i])) need[k] = true;
    }
    return need;
  };
  const std::vector<bool> alive = needed([&](std::size_t i) { return leaves(g.body[i]); }, false);

  for (std::size_t i = 0; i < g.body.size(); ++i) {
    const instruction& x = g.body[i];
    if (!group_name::loads(x) || !alive[i]) continue;
    const group_name::slot& s = g.slot_of(x);
    if (s.kind == slot_kind::index || s.reached == group_name::none) continue;
    if (x.at == level::uniform || (x.at == level::row && !g.map)) {
      e.loads.add(x.at == level::row ? e.loads.row : e.loads.block, size_of(s.element), 1, 1);
    } else if (g.is_staged(s)) {
      // Of the first rows before the loop, of one later row in it.
      for (int r = 0; r <= g.stages; ++r) full(e.loads, s);
    } else if (!g.wide && !(g.holds_loads && s.repeats)) {
      full(e.loads, s);
    } else {
      for (int r = 0; r <= last; ++r) {
        const auto wanted = [&](std::size_t k) {
          return group_name::reduces_row(g.body[k]) ? alive[k] && round[k] == r
                                                    : r == last && leaves(g.body[k]);
        };
        if (needed(wanted, true)[i]) full(e.loads, s);
      }
    }
  }
  for (const instruction& x : g.body) {
    const bool ends = g.finishes && group_name::stores(x) && g.slot_of(x).reached != group_name::none &&
                      group_name::accumulates(g.body[static_cast<std::size_t>(x.b)]);
    if (ends) {
      // A loop over the columns that a block or a cluster finishes.
      e.stores.add(e.stores.block, size_of(g.slot_of(x).element), 1, 8);
    } else if (g.finishes && group_name::accumulates(x)) {
      continue;
    } else if (g.wide && group_name::accumulates(x) && x.reduce == reduce_mode::column) {
      const group_name::slot sum{slot_kind::output, x.element, group_name::side_by_side};
      full(e.loads, sum), full(e.stores, sum);
      // The first row's may have a store of their own.
      for (auto& [bytes, range] : e.stores.row)
        if (bytes == std::min(16, g.vector * size_of(x.element)))
          range.most += g.packs * g.vector * size_of(x.element) / bytes;
    } else if (group_name::accumulates(x)) {
      const int size = x.element == dtype::boolean ? 1 : size_of(x.element);
      const bool loop = x.reduce == reduce_mode::column && g.teams > 1;
      const int columns = x.reduce == reduce_mode::total || loop ? 1 : g.vector * g.packs;
      e.stores.add(e.stores.block, size, columns, loop ? 8 : columns);
      if (static_cast<op>(x.code) == op::argmax) e.stores.add(e.stores.block, 8, columns, loop ? 8 : columns);
    } else if (group_name::stores(x) && leaves(x)) {
      const group_name::slot& s = g.slot_of(x);
      if (x.at == level::full || (x.at == level::row && g.map))
        full(e.stores, s);
      else
        e.stores.add(x.at == level::row ? e.stores.row : e.stores.block, size_of(s.element), 1, 1);
    }
  }
  return e;
}

}  // namespace flame::code_tests
