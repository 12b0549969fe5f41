// The laws themselves: see laws.hpp.
#include <flame/graph/print.hpp>

#include <cstdlib>

#include "../host.hpp"
#include "subject.hpp"

namespace flame::laws {

namespace {

// ---- Extents and values -----------------------------------------------------------------------------------

enum class sizes : u8 { small, odd, large, one };

struct scenario {
  sizes size = sizes::small;
  const axis_info* empty = nullptr;  // this axis has no elements
  u64 seed = 0;                      // extents are drawn: up to the large one, often one
  bool mixed = false;                // drawn among the four sizes that the law has for each axis

  // -1 for an axis that follows from others.
  [[nodiscard]] i64 extent(const axis_info* a) const {
    if (a->extent != dynamic) return a->extent;
    if (a == empty) return 0;
    for (const extents_of_axis& e : axis_table()) {
      if (e.axis != a) continue;
      if (seed == 0)
        return size == sizes::small   ? e.small
               : size == sizes::odd   ? e.odd
               : size == sizes::large ? e.large
                                      : e.one;
      const u64 drawn = mix(seed, a->id);
      const i64 known[] = {e.small, e.odd, e.large, e.one};
      if (mixed) return known[drawn % 4];
      const auto [least, most] = std::minmax({e.small, e.odd, e.large, e.one});
      if (drawn % 4 == 0) return least;
      return least + static_cast<i64>(drawn / 4 % static_cast<u64>(most - least + 1));
    }
    return -1;
  }
  [[nodiscard]] std::string name() const {
    const char* names[] = {"small", "odd", "large", "one"};
    if (seed != 0) return "drawn by " + std::to_string(seed) + (mixed ? " among the law's sizes" : "");
    return empty ? "without " + string_of(empty) : names[static_cast<int>(size)];
  }
};

// The extents of all axes of a graph, from those of its leaves.
extents extents_in(const graph& g, const scenario& s) {
  extents e;
  for (int n = 0; n < g.size(); ++n)
    if (g.is(n, op::leaf))
      for (int i = 0; i < g.type(n).rank; ++i)
        if (i64 extent = s.extent(g.type(n).axes[i]); extent >= 0) e.bind(g.type(n).axes[i], extent, {});
  resolve(g, e);
  return e;
}

value draw(const leaf_info* l, const extents& e, std::mt19937_64& random) {
  const domain& from = leaf_at(l).from;
  value v;
  v.type = l->type;
  for (int i = 0; i < l->type.rank; ++i) v.shape.push_back(e[l->type.axes[i]]);
  v.resize();
  if (v.is_key()) {
    for (u64& k : v.keys) k = random();
  } else if (is_floating(l->type.element)) {
    v.data = spread(v.size(), from.low, from.high, random);
  } else {
    i64 low = l->type.element == dtype::boolean ? 0 : static_cast<i64>(from.low),
        count = l->type.element == dtype::boolean ? 2 : static_cast<i64>(from.high) - low + 1;
    if (from.below) low = 0, count = e[from.below];
    if (count == 0 && v.size() > 0) throw error("laws: no index into an empty axis");
    for (double& x : v.data)
      x = static_cast<double>(low + static_cast<i64>(random() % static_cast<u64>(count)));
  }
  return v;
}

leaf_values draw_all(const graph& g, const extents& e, u64 seed) {
  std::mt19937_64 random(seed);
  leaf_values given;
  for (int n = 0; n < g.size(); ++n)
    if (g.is(n, op::leaf)) given[g[n].leaf] = draw(g[n].leaf, e, random);
  return given;
}

// The first slice along the first axis, everywhere.
void repeat_first(value& v) {
  if (v.shape.empty() || v.data.empty()) return;
  std::size_t slice = v.data.size() / static_cast<std::size_t>(v.shape[0]);
  for (std::size_t i = slice; i < v.data.size(); ++i) v.data[i] = v.data[i % slice];
}

// ---- Gradients --------------------------------------------------------------------------------------------

void check_gradients(const subject& s, const options& o) {
  const extents e = extents_in(s.twice, {});
  leaf_values at = draw_all(s.twice, e, 1);
  // Leaves that no derivative reads: what they are is told to the formula alone.
  for (auto& [leaf, v] : draw_all(s.value, e, 1)) at.emplace(leaf, v);
  std::mt19937_64 random(7);
  if (!at.contains(s.cotangent)) at[s.cotangent] = draw(s.cotangent, e, random);
  for (const leaf_info* l : s.directions)
    if (!at.contains(l)) at[l] = draw(l, e, random);

  const values once = evaluate(s.once, at, rounding::none, e);
  auto first = [&] { return dot(evaluate(s.value, at, rounding::none, e)[0], at[s.cotangent]); };
  for (int i = 0; i < s.floating.size(); ++i) {
    INFO("gradient of " << string_of(s.floating[i]->name));
    CHECK(compare(once[static_cast<std::size_t>(1 + i)], differences(at[s.floating[i]], first)).error <=
          o.differences);
  }
  if (o.linear) {  // in each leaf: <f(x), y> = <x, f^T y>
    double whole = dot(once[0], at[s.cotangent]);
    for (int i = 0; i < s.floating.size(); ++i)
      CHECK(std::fabs(dot(at[s.floating[i]], once[static_cast<std::size_t>(1 + i)]) - whole) <=
            1e-12 * (norm(once[0]) * norm(at[s.cotangent]) + 1e-3));
  }

  // The derivative of <gradient, directions> by the cotangent is the directional derivative of the formula.
  const values twice = evaluate(s.twice, at, rounding::none, e);
  leaf_values moved = at;
  value along = once[0];
  auto step = [&](double d) {
    for (int i = 0; i < s.floating.size(); ++i)
      for (std::size_t k = 0; k < at[s.floating[i]].data.size(); ++k)
        moved[s.floating[i]].data[k] = at[s.floating[i]].data[k] + d * at[s.directions[i]].data[k];
    return evaluate(s.value, moved, rounding::none, e)[0];
  };
  const double h = 2e-3;
  value far = step(h), back = step(-h), near = step(h / 2), nearer = step(-h / 2);
  for (std::size_t k = 0; k < along.data.size(); ++k)
    along.data[k] = (8 * (near.data[k] - nearer.data[k]) - (far.data[k] - back.data[k])) / (6 * h);
  {
    INFO("directional derivative");
    CHECK(compare(twice.back(), along).error <= o.differences);
  }
  if (!o.twice) return;
  auto second = [&] {
    values g = evaluate(s.once, at, rounding::none, e);
    double sum = 0;
    for (int i = 0; i < s.directions.size(); ++i)
      sum += dot(g[static_cast<std::size_t>(1 + i)], at[s.directions[i]]);
    return sum;
  };
  for (int i = 0; i < s.floating.size(); ++i) {
    INFO("gradient of the gradient by " << string_of(s.floating[i]->name));
    std::size_t place = twice.size() - 1 - static_cast<std::size_t>(s.floating.size() - i);
    CHECK(compare(twice[place], differences(at[s.floating[i]], second)).error <= o.differences);
  }
}

// ---- Graphs as data ---------------------------------------------------------------------------------------

void check_graph(const graph& g) {
  finding f = flame::check(g);
  INFO("node " << f.node << ": " << string_of(f.what) << "\n" << dump(g));
  CHECK(f.ok());
  CHECK(print(g).size() > 0);
  encoded code = encode(g);
  graph back;
  back.outputs = decode(back, {code.words.items, code.axes.items, code.leaves.items, code.functions.items});
  REQUIRE(back.outputs.size() == g.outputs.size());
  for (int i = 0; i < g.outputs.size(); ++i) CHECK(back[back.outputs[i]].hash == g[g.outputs[i]].hash);
  CHECK(encode(back).words == code.words);
}

// Numbers that arithmetic treats apart, in some places of every floating leaf in turn.
void set_specials(value& v, u64 seed) {
  constexpr double inf = std::numeric_limits<double>::infinity();
  const double special[] = {std::numeric_limits<double>::quiet_NaN(), inf, -inf, 0.0, -0.0};
  for (std::size_t k = 0; k < v.data.size(); ++k)
    if (u64 r = mix(seed, k); r % 4 == 0) v.data[k] = special[r / 4 % 5];
}

void check_simplified(const graph& g, const options& o) {
  graph s = simplify(g);
  check_graph(s);
  const extents e = extents_in(g, {});
  leaf_values at = draw_all(g, e, 2);
  for (int specials = 0; specials < 2; ++specials) {
    if (specials)
      for (auto& [leaf, v] : at)
        if (is_floating(leaf->type.element)) set_specials(v, leaf->id);
    values a = evaluate(g, at, rounding::none, e), b = evaluate(s, at, rounding::none, e);
    for (std::size_t i = 0; i < a.size(); ++i) {
      INFO("simplified, output " << i << ", NaN and infinities: " << (specials > 0) << "\n" << dump(s));
      comparison c = compare(b[i], a[i]);
      CHECK(c.error <= o.f64);
      CHECK(c.lost == 0);
      CHECK(c.made == 0);
    }
  }
}

// ---- The host ---------------------------------------------------------------------------------------------

// The errors, against the same inputs in f64, of the host and of a plain evaluation that rounds every
// operation. In f64 and f32 the host may add 1e-12 and 1e-5 to the plain error (a sum that cancels is as
// wrong in any order); in half types it may be 1.5 times as wrong, and a rounding or two more where there are
// too few numbers for roundings to cancel. Elements far below 1 on average are what is left of a
// cancellation, and are not measured by their own size; drawn extents make them vanish altogether (a softmax
// over one key, the second derivative of a product of one), and then the plain evaluation may be right by
// luck: the host may then be 2.5 times as wrong.
void compare_outputs(const values& ours, const graph& g, const leaf_values& at, const extents& e, dtype d,
                     const options& o, bool drawn = false) {
  const values plain = evaluate(g, at, rounding::each_operation, e),
               exact = evaluate(g, at, rounding::none, e);
  const bool half = d == dtype::bf16 || d == dtype::f16;
  REQUIRE(ours.size() == exact.size());
  for (std::size_t i = 0; i < ours.size(); ++i) {
    INFO("output " << i);
    const double count = std::sqrt(std::max(1.0, static_cast<double>(exact[i].size())));
    const double floor = (half ? 0.5 : 0.1) * count;
    const double roundings = (drawn && norm(exact[i]) < floor ? 4 : 1) * (1.5 + 6 / count);
    double error = compare(ours[i], exact[i], floor).error,
           allowed = compare(plain[i], exact[i], floor).error;
    if (half && is_floating(exact[i].type.element)) {
      CHECK(error <= (drawn ? 2.5 : 1.5) * allowed + roundings * (d == dtype::bf16 ? 0x1p-9 : 0x1p-12));
      continue;
    }
    comparison c = compare(ours[i], plain[i], floor);
    if (d == dtype::f32)
      CHECK(error <= allowed + o.f32);
    else
      CHECK(c.error <= o.f64);
    CHECK(c.lost == 0);
    if (!o.padded) CHECK(c.made == 0);
  }
}

leaf_values rounded_values(leaf_values at) {
  for (auto& [leaf, v] : at)
    if (is_floating(leaf->type.element))
      for (double& x : v.data) x = reference::rounded(x, leaf->type.element);
  return at;
}

// FLAME_LAWS=few, for tools under which all takes hours (compute-sanitizer): programs alone, without what is
// checked on graphs, in f32 and bf16, at three sizes and layouts.
bool few() {
  const char* said = std::getenv("FLAME_LAWS");
  return said && std::string(said) == "few";
}

void check_host(const graph& formula, dtype d, const options& o) {
  const graph g = simplify(formula);
  compiled& c = compile_graph(g);
  auto run = [&](const scenario& s, layout how, int specials) {
    const std::string layouts[] = {"", ", strided", ", repeated", ", shifted", ", permuted"};
    const std::string what = name_of(d) + (", " + s.name()) + layouts[static_cast<int>(how)] +
                             (specials ? ", with NaN and infinities" : "");
    INFO(what);
    const extents e = extents_in(formula, s);
    leaf_values at = rounded_values(draw_all(g, e, 3));
    ++generated().runs;
    generated().cases += d == dtype::f64;
    for (auto& [leaf, v] : at) {
      if (!is_floating(leaf->type.element)) continue;
      if (how == layout::repeated) repeat_first(v);
      if (specials) set_specials(v, leaf->id + static_cast<u64>(specials));
    }
    compare_outputs(run_on_host(c, at, how), g, at, e, d, o, s.seed != 0);
  };
  // Extents drawn for each law and element type; where an operation refuses them, among the law's own.
  auto run_drawn = [&](u64 seed, layout how) {
    for (bool mixed : {false, true}) {
      const scenario s{.seed = seed, .mixed = mixed};
      try {
        const extents e = extents_in(formula, s);
        (void)evaluate(g, draw_all(g, e, 3), rounding::none, e);
      } catch (const error&) {
        ++generated().refused;
        continue;
      }
      return run(s, how, 0);
    }
  };
  run({sizes::odd}, layout::plain, 0);
  run({sizes::large}, layout::plain, 0);
  if (few()) return run({sizes::odd}, layout::strided, 0);
  run({}, layout::plain, 0);
  run({sizes::one}, layout::plain, 0);
  run({sizes::odd}, layout::strided, 0);
  const u64 seed = formula[formula.outputs[0]].hash | 1;
  run_drawn(seed, layout::shifted);
  run_drawn(seed + 1, layout::permuted);
  if (d == dtype::bf16 || d == dtype::f16) return;
  run({sizes::large}, layout::strided, 0);
  run({sizes::odd}, layout::repeated, 0);
  if (o.specials)
    for (int k = 1; k <= 2; ++k) run({k == 1 ? sizes::odd : sizes::large}, layout::plain, k);
}

// With each axis of the leaves empty in turn: the same as the reference, refusals too.
void check_empty(const graph& formula, const options& o) {
  const graph g = simplify(formula);
  list<const axis_info*> axes;
  for (int n = 0; n < g.size(); ++n)
    if (g.is(n, op::leaf))
      for (int i = 0; i < g.type(n).rank; ++i)
        if (const axis_info* a = g.type(n).axes[i];
            a->extent == dynamic && scenario{}.extent(a) >= 0 && !axes.has(a))
          axes.push(a);
  compiled& c = compile_graph(g);
  for (const axis_info* a : axes) {
    scenario s{sizes::small, a};
    INFO(s.name());
    leaf_values at;
    bool refused = false;
    extents e;
    try {
      e = extents_in(formula, s);
      at = draw_all(g, e, 4);
      (void)evaluate(g, at, rounding::none, e);
    } catch (const error& why) {
      refused = true;
      INFO(std::string(why.what()));
      CHECK_FALSE(o.empty);
    }
    if (at.empty()) continue;  // refused before there were values
    if (!o.host) continue;
    ++generated().runs, ++generated().cases, ++generated().empty;
    if (refused)
      CHECK_THROWS_AS((void)run_on_host(c, at), error);
    else
      compare_outputs(run_on_host(c, at), g, at, e, dtype::f64, o);
  }
}

}  // namespace

void enrol(int n, const options& o) {
  const subject s = make_subject(n);
  ++generated().laws;
  INFO(print(s.value));
  check_graph(s.value);
  auto run_in = [&](dtype d) {
    if (d == dtype::f64 || d == dtype::f32) {
      check_host(with_element(s.value, d).g, d, o);
      if (s.differentiable) check_host(with_element(s.twice, d).g, d, o);
      return;
    }
    // What has 16 bits is differentiated as such: its derivatives have parts in f32.
    const subject half = make_subject(with_element(s.value, d).g);
    check_host(half.value, d, o);
    if (half.differentiable) check_host(half.twice, d, o);
  };
  if (few()) {
    if (o.host) run_in(dtype::f32);
    if (o.host && o.half) run_in(dtype::bf16);
    return;
  }
  list<const graph*> all;
  all.push(&s.value);
  if (s.differentiable) {
    check_gradients(s, o);
    check_simplified(s.once, o);
    check_simplified(s.twice, o);
    all.push(&s.twice);
  }
  for (const graph* g : all) check_empty(*g, o);
  if (!o.host) return;
  for (dtype d : {dtype::f64, dtype::f32}) run_in(d);
  if (o.half)
    for (dtype d : {dtype::bf16, dtype::f16}) run_in(d);
}

}  // namespace flame::laws
