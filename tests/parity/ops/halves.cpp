// Every operation in bf16 and f16 beside PyTorch in the same type: how far values and gradients are from
// those in f64 of the same rounded numbers (halves.py).
#include <flame/graph/evaluate.hpp>
#include <nlohmann/json.hpp>

#include <cstdlib>
#include <fstream>
#include <map>

#include "case_graph.hpp"

namespace flame::parity {

namespace {

using json = nlohmann::json;

// Squares of errors, of elements and not of tensors: FLAME's, PyTorch's, of the exact numbers rounded once.
struct errors_of_operation {
  double ours = 0, theirs = 0, once = 0;
};
struct tally {
  int tensors = 0, equal = 0, lacking = 0;
  std::map<std::string, errors_of_operation> operations;  // "softmax gradient.x"
};

// How many times PyTorch's error FLAME may have.
constexpr double factor = 1.5;
// The same in one tensor. The gradient of a bias of queries has few numbers, sums that cancel: what is left
// of roundings in one of them is luck, on both sides.
[[nodiscard]] double factor_of_one(const std::string& kind) {
  return kind.ends_with("gradient.q.bias") ? 1.6 : factor;
}

[[nodiscard]] std::string name_of_half(dtype d) { return d == dtype::bf16 ? "bf16" : "f16"; }

[[nodiscard]] value rounded(value v, dtype d) {
  for (double& x : v.data) x = reference::rounded(x, d);
  return v;
}
[[nodiscard]] leaf_values rounded(leaf_values at, dtype d) {
  for (auto& [leaf, v] : at)
    if (is_floating(leaf->type.element)) v = rounded(std::move(v), d);
  return at;
}

void compare_half(const test_case& c, const case_graph& wide, dtype d, const json& kept, tally& t) {
  const double rounding_error = d == dtype::bf16 ? 0x1p-8 : 0x1p-11;  // at most, of one number
  const case_graph narrow = in_element(wide, d);
  const laws::values exact = evaluate(wide.g, rounded(stored_values(c, wide), d), rounding::none);
  const laws::values ours =
      laws::run_on_host(laws::compile_graph(narrow.g), rounded(stored_values(c, narrow), d));
  const std::vector<named_output> outputs = outputs_of(wide);
  REQUIRE(ours.size() == outputs.size());
  if (!is_floating(wide.g.type(wide.g.outputs[0]).element)) {
    CHECK(ours[0].data == exact[0].data);
    ++t.equal;
    return;
  }
  if (kept["lacking"].contains(c.name)) {
    ++t.lacking;
    return;
  }
  if (wide.differentiable.empty() && !kept["errors"].contains(c.name)) return;  // what runs in a batch norm
  const json& errors = kept["errors"].at(c.name);
  // The file has a gradient for each floating argument, the graph for each that PyTorch gives one.
  std::vector<std::string> names = {"output"};
  for (const std::string& name : c.floating()) names.push_back("gradient." + name);
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    const auto place = std::find(names.begin(), names.end(), outputs[i].name) - names.begin();
    const json& at = errors.at(static_cast<std::size_t>(place));
    double theirs = at.is_array() ? at[0].get<double>() : at.get<double>();
    if (const auto fused = kept["fused"].find(c.name); fused != kept["fused"].end())
      if (const json& other = (*fused)[static_cast<std::size_t>(place)]; other.is_number())
        theirs = std::max(theirs, other.get<double>());
    const i64 made = at.is_array() ? at[1].get<i64>() : 0;
    const laws::comparison r = laws::compare(ours[i], exact[i]);
    INFO(c.name << " " << outputs[i].name << " in " << name_of_half(d) << ": " << r.error << ", PyTorch "
                << theirs << "; NaN and infinities made: " << r.made << ", PyTorch " << made);
    const std::string kind = c.op + " " + outputs[i].name;
    CHECK(r.error <= factor_of_one(kind) * std::max(theirs, rounding_error));
    CHECK(r.made <= made);
    const double size = static_cast<double>(exact[i].size());
    const double once = laws::compare(rounded(exact[i], d), exact[i]).error;
    errors_of_operation& all = t.operations[kind];
    all.ours += r.error * r.error * size;
    all.theirs += theirs * theirs * size;
    all.once += once * once * size;
    ++t.tensors;
  }
}

// Each tensor: at most 1.5 times PyTorch's error, or 1.5 roundings of its largest size where PyTorch had
// luck. Each operation, all its cases together, where luck evens out: at most 1.5 times PyTorch's error, or
// 1.5 times that of the exact result rounded once.
void check_halves(const std::string& file_name, int least) {
  std::ifstream file(std::string(std::getenv("FLAME_TESTS")) + "/parity/data/halves.json");
  const json kept = json::parse(file).at(file_name);
  for (dtype d : {dtype::bf16, dtype::f16}) {
    tally t;
    each_case(file_name, [&](const test_case& c) {
      INFO(c.name);
      const case_graph wide = make_case_graph(c);
      bool varies = false;  // in the type of anything: those of a cast are the case
      for (const argument& a : wide.from.arguments) varies |= a.leaf->type.element == dtype::f64;
      if (varies) compare_half(c, wide, d, kept.at(name_of_half(d)), t);
    });
    double worst = 0;
    std::string of;
    for (const auto& kind : t.operations) {
      const std::string& name = kind.first;
      const errors_of_operation& e = kind.second;
      const double allowed = std::max(e.theirs, e.once),
                   ratio = allowed > 0 ? std::sqrt(e.ours / allowed) : 0;
      INFO(name << " in " << name_of_half(d) << ": " << std::sqrt(e.ours) << ", PyTorch "
                << std::sqrt(e.theirs) << ", rounded once " << std::sqrt(e.once));
      CHECK(std::sqrt(e.ours) <= factor * std::sqrt(allowed));
      if (ratio > worst) worst = ratio, of = name;
    }
    MESSAGE(file_name << " in " << name_of_half(d) << ": " << t.tensors << " tensors of "
                      << t.operations.size() << " kinds, the worst kind (" << of << ") has " << worst
                      << " times PyTorch's error; PyTorch has no kernel for " << t.lacking << " cases; "
                      << t.equal << " cases round nothing and are equal");
    CHECK(t.tensors >= least);
  }
}

TEST_CASE("operations in 16 bits are as near as PyTorch's") { check_halves("ops", 500); }
TEST_CASE("composites in 16 bits are as near as PyTorch's") { check_halves("composites", 900); }
TEST_CASE("attention in 16 bits is as near as PyTorch's") { check_halves("attention", 250); }
TEST_CASE("layers in 16 bits are as near as PyTorch's") { check_halves("layers", 250); }

}  // namespace
}  // namespace flame::parity
