// Every operation beside PyTorch: values and vector-Jacobian products of data/ops.safetensors,
// composites, attention and layers.safetensors (README.md), in f64 by the reference evaluator and the
// host, in f32 by the host; also where there is no derivative. In 16 bits: ops/halves.cpp.
#include "ops/case_graph.hpp"

namespace flame::parity {

namespace {

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

void check_case(const test_case& c) {
  INFO(c.name);
  const case_graph wide = make_case_graph(c);
  const std::vector<named_output> outputs = outputs_of(wide);
  auto compare_all = [&](const laws::values& ours, double tolerance) {
    value input;
    const std::vector<argument>& arguments = wide.from.arguments;
    if (!arguments.empty()) input = arranged(c.load(arguments[0].name), arguments[0].how);
    REQUIRE(ours.size() == outputs.size());
    for (std::size_t i = 0; i < outputs.size(); ++i)
      agree(c.name + "." + outputs[i].name, ours[i], arranged(c.load(outputs[i].name), outputs[i].how),
            &input, tolerance);
  };
  // Casts give numbers of another type, which the reference rounds only where it is told to.
  const leaf_values given = stored_values(c, wide);
  {
    INFO("reference");
    compare_all(evaluate(wide.g, given, c.op == "cast" ? rounding::each_operation : rounding::none), 1e-9);
  }
  {
    INFO("host, f64");
    compare_all(laws::run_on_host(laws::compile_graph(wide.g), given), 1e-9);
  }
  if (c.op == "cast" || c.name == "var.shifted") return;  // f32 has no digits left of 1000 +- 1
  {
    INFO("host, f32");
    const case_graph narrow = in_element(wide, dtype::f32);
    compare_all(laws::run_on_host(laws::compile_graph(narrow.g), stored_values(c, narrow)), 1e-5);
  }
}

TEST_CASE("every operation gives what PyTorch gives") { CHECK(each_case("ops", check_case) >= 200); }
TEST_CASE("every composite gives what PyTorch gives") { CHECK(each_case("composites", check_case) >= 300); }

TEST_CASE("attention gives what PyTorch gives") { CHECK(each_case("attention", check_case) >= 60); }

TEST_CASE("layers give what PyTorch gives") { CHECK(each_case("layers", check_case) >= 80); }

}  // namespace
}  // namespace flame::parity
