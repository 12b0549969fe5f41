// A graph with calls and stacks, run on the host.
#pragma once
#include "network.hpp"

namespace flame::laws {

using given_values = std::map<const leaf_info*, nested>;

// The outputs of g for values of its operands. like: their shapes.
[[nodiscard]] std::vector<nested> run_nested(const graph& g, const given_values& given,
                                             const std::vector<nested>& like,
                                             step_counts_of_network* counts = nullptr);

}  // namespace flame::laws
