// How cases are read, and made graphs.
#include "case_graph.hpp"

#include <flame/io/safetensors_reader.hpp>
#include <nlohmann/json.hpp>

#include <cstdlib>
#include <cstring>

#include "../../laws/operations/subject.hpp"

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
std::vector<std::string> test_case::floating() const {
  std::vector<std::string> names;
  for (const auto& a : json_of(attributes_)["arguments"])
    if (const std::string of = a.get<std::string>();
        file_of(file_).at(name + "." + of).dtype == safetensors::dtype::f32)
      names.push_back(of);
  return names;
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

value arranged(const value& stored, const arrangement& how) {
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

namespace {
void differentiate(case_graph& r) {
  r.g = r.value;
  if (r.differentiable.empty()) return;
  r.cotangent = laws::new_leaf(r.value.type(r.value.outputs[0]), "cotangent", {});
  list<const leaf_info*> cotangents;
  cotangents.push(r.cotangent);
  list<int> wrt;
  graph g = r.value;
  for (const std::string& name : r.differentiable)
    for (const argument& a : r.from.arguments)
      if (a.name == name) wrt.push(g.leaf(a.leaf));
  if (wrt.size() != static_cast<int>(r.differentiable.size()))
    throw error("parity: a formula lacks an argument with a gradient");
  r.g = simplify(laws::with_gradients(g, g.outputs, cotangents, wrt));
}
}  // namespace

case_graph make_case_graph(const test_case& c) {
  case_graph r;
  for (auto make : {elementwise, reductions, others, activations, norms, losses, pictures, positions,
                    arrangements, attentions, layers})
    if (r.from = make(c); r.from.n >= 0) break;
  if (r.from.n < 0) throw error("parity: no formula for " + c.name);
  r.value = laws::alone(laws::tape(), r.from.n);
  r.differentiable = c.differentiable();
  differentiate(r);
  return r;
}

case_graph in_element(const case_graph& from, dtype d) {
  laws::retyped typed = laws::with_element(from.value, d);
  case_graph r = from;
  r.value = simplify(typed.g);
  for (argument& a : r.from.arguments)
    if (auto found = typed.leaves.find(a.leaf); found != typed.leaves.end()) a.leaf = found->second;
  differentiate(r);
  return r;
}

leaf_values stored_values(const test_case& c, const case_graph& of) {
  leaf_values given;
  auto give = [&](const leaf_info* leaf, const std::string& name, const arrangement& how) {
    value v = arranged(c.load(name), how);
    v.type.element = leaf->type.element;
    given[leaf] = v;
  };
  for (const argument& a : of.from.arguments) give(a.leaf, a.name, a.how);
  if (of.cotangent) give(of.cotangent, "cotangent", of.from.output);
  return given;
}

std::vector<named_output> outputs_of(const case_graph& of) {
  std::vector<named_output> all = {{"output", of.from.output}};
  for (const std::string& name : of.differentiable)
    for (const argument& a : of.from.arguments)
      if (a.name == name) all.push_back({"gradient." + name, a.how});
  return all;
}

std::size_t each_case(const std::string& file_name, const std::function<void(const test_case&)>& body) {
  const char* tests = std::getenv("FLAME_TESTS");
  if (!tests) throw error("parity: FLAME_TESTS is not set");
  const safetensors::reader file(std::string(tests) + "/parity/data/" + file_name + ".safetensors");
  std::size_t count = 0;
  for (const auto& [name, text] : file.metadata()) {
    nlohmann::json attributes = nlohmann::json::parse(text, nullptr, false);
    if (!attributes.is_object() || !attributes.contains("arguments")) continue;
    ++count;
    body({name, &attributes, &file});
  }
  return count;
}

}  // namespace flame::parity
