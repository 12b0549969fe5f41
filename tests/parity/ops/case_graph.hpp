// A case as a graph: its output and gradients, in any element type, and the values that are given to it.
#pragma once
#include <functional>

#include "../../laws/host.hpp"
#include "cases.hpp"

namespace flame::parity {

struct case_graph {
  formula from;
  graph value;  // the output alone
  graph g;      // the output, then the gradient of each argument that has one, simplified
  const leaf_info* cotangent = nullptr;
  std::vector<std::string> differentiable;
};

// In f64; then with another type for f64, differentiated in that type.
[[nodiscard]] case_graph make_case_graph(const test_case& c);
[[nodiscard]] case_graph in_element(const case_graph& from, dtype d);

// The arguments and the cotangent as the file has them.
[[nodiscard]] leaf_values stored_values(const test_case& c, const case_graph& of);

// What the outputs of the graph are called ("output", "gradient.x"), and how they lie in the file.
struct named_output {
  std::string name;
  arrangement how;
};
[[nodiscard]] std::vector<named_output> outputs_of(const case_graph& of);
[[nodiscard]] value arranged(const value& stored, const arrangement& how);

// Every case of data/<file_name>.safetensors; how many there were.
std::size_t each_case(const std::string& file_name, const std::function<void(const test_case&)>& body);

}  // namespace flame::parity
