// Every operation beside PyTorch: values and vector-Jacobian products of data/ops.safetensors and
// data/composites.safetensors (README.md), in f64 by the reference evaluator and the host, in f32 by the
// host; also where there is no derivative.
#include <flame/io/safetensors_reader.hpp>
#include <nlohmann/json.hpp>

#include <cstdlib>
#include <set>

#include "../laws/host.hpp"
#include "ops/cases.hpp"

namespace flame::parity {

namespace {

[[nodiscard]] const nlohmann::json& json_of(const void* p) { return *static_cast<const nlohmann::json*>(p); }
[[nodiscard]] const safetensors::reader& file_of(const void* p) {
  return *static_cast<const safetensors::reader*>(p);
}

}  // namespace

test_case::test_case(std::string name_, const void* attributes, const void* file)
    : name(std::move(name_)), op(name.substr(0, name.find('.'))), attributes_(attributes), file_(file) {}
std::vector<i64> test_case::shape(const std::string& what) const {
  return file_of(file_).at(name + "." + what).shape;
}
bool test_case::has_argument(const std::string& what) const {
  for (const auto& a : json_of(attributes_)["arguments"])
    if (a == what) return true;
  return false;
}
bool test_case::has(const char* key) const { return json_of(attributes_).contains(key); }
double test_case::number(const char* key) const { return json_of(attributes_)[key].get<double>(); }
bool test_case::flag(const char* key) const { return json_of(attributes_)[key].get<bool>(); }
std::string test_case::text(const char* key) const { return json_of(attributes_)[key].get<std::string>(); }
std::vector<int> test_case::numbers(const char* key) const {
  return json_of(attributes_)[key].get<std::vector<int>>();
}
std::vector<std::string> test_case::differentiable() const {
  return json_of(attributes_)["differentiable"].get<std::vector<std::string>>();
}
value test_case::load(const std::string& what) const {
  const safetensors::tensor_entry& entry = file_of(file_).at(name + "." + what);
  value v;
  v.shape = entry.shape;
  v.resize();
  const std::byte* at = entry.data;
  auto number = [&](auto zero) {
    std::memcpy(&zero, at, sizeof zero);
    at += sizeof zero;
    return zero;
  };
  for (double& x : v.data) switch (entry.dtype) {
      case safetensors::dtype::f32: x = static_cast<double>(number(0.0f)); break;
      case safetensors::dtype::f64: x = number(0.0); break;
      case safetensors::dtype::bf16: x = static_cast<double>(static_cast<float>(number(bf16()))); break;
      case safetensors::dtype::f16: x = static_cast<double>(static_cast<float>(number(f16()))); break;
      case safetensors::dtype::int32: x = number(i32{0}); break;
      case safetensors::dtype::boolean: x = number(u8{0}); break;
      default: throw error("parity: an element type that no case should have");
    }
  return v;
}

namespace {

[[nodiscard]] value arranged(const value& stored, const arrangement& how) {
  value v;
  v.shape = how.shape;
  v.resize();
  std::size_t rank = how.order.size();
  std::vector<i64> stride(rank, 1), extents, steps;
  for (std::size_t i = rank; i-- > 1;) stride[i - 1] = stride[i] * stored.shape[i];
  for (int o : how.order)
    extents.push_back(stored.shape[static_cast<std::size_t>(o)]),
        steps.push_back(stride[static_cast<std::size_t>(o)]);
  for (i64 i = 0; i < v.size(); ++i) {
    i64 rest = i, at = 0;
    for (std::size_t k = rank; k-- > 0;) at += rest % extents[k] * steps[k], rest /= extents[k];
    v[i] = stored[at];
  }
  return v;
}

[[nodiscard]] formula formula_of(const test_case& c) {
  for (auto make :
       {elementwise, reductions, others, activations, norms, losses, pictures, positions, arrangements})
    if (formula f = make(c); f.n >= 0) return f;
  throw error("parity: no formula for " + c.name);
}

// Where FLAME gives something else than PyTorch on purpose (README.md): the elements that are left out.
[[nodiscard]] bool on_purpose(const std::string& what, double input, double theirs) {
  // The limits exist where x sigmoid(x) and its like are inf * 0.
  if (what.starts_with("silu.edge") || what.starts_with("gelu.edge") || what.starts_with("gelu_tanh.edge"))
    return std::isinf(input) && std::isnan(theirs);
  return false;
}

void agree(const std::string& what, value ours, value theirs, const value* input, double tolerance) {
  // The mean over all axes of no elements: one kernel, a sum of nothing.
  if (what == "mean.total_empty.output" || what == "mse.empty.output" ||
      what == "cross_entropy.empty.output") {
    CHECK(ours.data == std::vector<double>{0});
    CHECK(std::isnan(theirs.data[0]));
    return;
  }
  for (std::size_t i = 0; input && input->data.size() == ours.data.size() && i < ours.data.size(); ++i)
    if (on_purpose(what, input->data[i], theirs.data[i])) ours.data[i] = theirs.data[i] = 0;
  laws::comparison c = laws::compare(ours, theirs);
  INFO(what);
  auto listed = [](const value& v) {
    std::string s;
    for (std::size_t i = 0; i < v.data.size() && i < 24; ++i) s += std::to_string(v.data[i]) + " ";
    return s;
  };
  INFO("ours " << listed(ours) << "\ntheirs " << listed(theirs));
  CHECK(c.error <= tolerance);
  CHECK(c.lost + c.made == 0);
}

// The graph with f32 for f64.
graph in_f32(const graph& from, std::vector<argument>& arguments, const leaf_info*& cotangent) {
  graph g;
  list<int> place, in;
  for (int n = 0; n < from.size(); ++n) {
    if (from.is(n, op::leaf)) {
      tensor_type t = from.type(n);
      const leaf_info* l = from[n].leaf;
      if (t.element == dtype::f64) {
        t.element = dtype::f32;
        l = laws::new_leaf(t, "narrow", {});
        for (argument& a : arguments)
          if (a.leaf == from[n].leaf) a.leaf = l;
        if (cotangent == from[n].leaf) cotangent = l;
      }
      place.push(g.leaf(l));
      continue;
    }
    in.clear();
    for (int i = 0; i < from[n].arg_count; ++i) in.push(place[from.arg(n, i)]);
    list<u64> numbers(from[n].data_count ? &from.data[from[n].data] : nullptr, from[n].data_count);
    op code = from[n].code;
    int at = code == op::constant ? 1 : code == op::extent || code == op::iota || code == op::cast ? 0 : -1;
    if (at >= 0 && numbers[at] == static_cast<u64>(dtype::f64)) numbers[at] = static_cast<u64>(dtype::f32);
    list<const axis_info*> axes(from[n].axis_count ? &from.axes[from[n].axes] : nullptr, from[n].axis_count);
    place.push(g.put(code, in, axes, numbers));
  }
  for (int n : from.outputs) g.outputs.push(place[n]);
  return simplify(g);
}

void check_case(const test_case& c) {
  INFO(c.name);
  formula f = formula_of(c);
  graph from = laws::tape();
  from.outputs.clear();
  from.outputs.push(f.n);
  from = simplify(from);
  const leaf_info* cotangent = nullptr;
  std::vector<std::string> differentiable = c.differentiable();
  graph g = from;
  if (!differentiable.empty()) {
    cotangent = laws::new_leaf(from.type(from.outputs[0]), "cotangent", {});
    list<const leaf_info*> cotangents;
    cotangents.push(cotangent);
    list<int> wrt;
    for (const std::string& name : differentiable)
      for (const argument& a : f.arguments)
        if (a.name == name) wrt.push(from.leaf(a.leaf));
    REQUIRE(wrt.size() == static_cast<int>(differentiable.size()));
    g = simplify(laws::with_gradients(from, from.outputs, cotangents, wrt));
  }
  auto give = [&](const std::vector<argument>& arguments, const leaf_info* seed) {
    leaf_values given;
    for (const argument& a : arguments) {
      value v = arranged(c.load(a.name), a.how);
      v.type.element = a.leaf->type.element;
      given[a.leaf] = v;
    }
    if (seed) {
      given[seed] = arranged(c.load("cotangent"), f.output);
      given[seed].type.element = seed->type.element;
    }
    return given;
  };
  auto compare_all = [&](const laws::values& ours, double tolerance) {
    value input;
    if (!f.arguments.empty()) input = arranged(c.load(f.arguments[0].name), f.arguments[0].how);
    agree(c.name + ".output", ours[0], arranged(c.load("output"), f.output), &input, tolerance);
    for (std::size_t i = 0; i < differentiable.size(); ++i) {
      const std::string what = "gradient." + differentiable[i];
      for (const argument& a : f.arguments)
        if (a.name == differentiable[i])
          agree(c.name + "." + what, ours[1 + i], arranged(c.load(what), a.how), &input, tolerance);
    }
  };
  // Casts give numbers of another type, which the reference rounds only where it is told to.
  const leaf_values given = give(f.arguments, cotangent);
  {
    INFO("reference");
    compare_all(evaluate(g, given, c.op == "cast" ? rounding::each_operation : rounding::none), 1e-9);
  }
  {
    INFO("host, f64");
    compare_all(laws::run_on_host(laws::compile_graph(g), given), 1e-9);
  }
  if (c.op == "cast" || c.name == "var.shifted") return;  // f32 has no digits left of 1000 +- 1
  {
    INFO("host, f32");
    std::vector<argument> narrow = f.arguments;
    const leaf_info* seed = cotangent;
    graph h = in_f32(g, narrow, seed);
    compare_all(laws::run_on_host(laws::compile_graph(h), give(narrow, seed)), 1e-5);
  }
}

void check_file(const std::string& file_name, std::size_t least) {
  const char* tests = std::getenv("FLAME_TESTS");
  REQUIRE(tests != nullptr);
  const safetensors::reader file(std::string(tests) + "/parity/data/" + file_name + ".safetensors");
  std::set<std::string> seen;
  for (const auto& [name, text] : file.metadata()) {
    nlohmann::json attributes = nlohmann::json::parse(text, nullptr, false);
    if (!attributes.is_object() || !attributes.contains("arguments")) continue;
    seen.insert(name);
    check_case({name, &attributes, &file});
  }
  CHECK(seen.size() >= least);
}

TEST_CASE("every operation gives what PyTorch gives") { check_file("ops", 200); }
TEST_CASE("every composite gives what PyTorch gives") { check_file("composites", 300); }

}  // namespace
}  // namespace flame::parity
