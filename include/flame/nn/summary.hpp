// A model as a table: what parameters it has, of what shape, how many, which are trained.
#pragma once
#include <flame/nn/weights.hpp>

namespace flame {

namespace detail {

// 1234567 as 1,234,567.
inline std::string grouped(i64 n) {
  std::string s = std::to_string(n);
  for (int i = static_cast<int>(s.size()) - 3; i > 0; i -= 3) s.insert(static_cast<std::size_t>(i), ",");
  return s;
}

// [out 96, in 16]
inline std::string shape_with_names(const weight& w) {
  std::string s = "[";
  for (std::size_t i = 0; i < w.extents.size(); ++i)
    s += (i ? ", " : "") + text_of(w.axis_names[i]) + " " + std::to_string(w.extents[i]);
  return s + "]";
}

// blocks.2.fc1.weight of instances 2 to 5 as blocks.2-5.fc1.weight: the innermost stack counts.
inline std::string path_of_instances(const weight& first, int last) {
  if (first.instance.empty() || first.instance.back() == last) return first.path;
  const std::size_t at = first.numbers.back(), size = first.path.find('.', at) - at;
  std::string s = first.path;
  return s.replace(at, size, std::to_string(first.instance.back()) + "-" + std::to_string(last));
}

struct summary_row {
  std::string path, shape, count, kind;
};

inline std::string summary_table(const std::vector<weight>& weights, bool (*trained)(const weight&),
                                 i64 element_size, const std::string& element) {
  std::vector<summary_row> rows = {{"parameter", "shape", "elements", "trained"}};
  std::vector<char> shown(weights.size(), 0);
  auto kind = [&](const weight& w) { return !w.is_parameter() ? "state" : trained(w) ? "yes" : "no"; };
  i64 parameters = 0, trainable = 0, states = 0;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    const weight& w = weights[i];
    if (w.is_idle()) continue;
    (w.is_parameter() ? parameters : states) += w.elements();
    if (w.is_parameter() && trained(w)) trainable += w.elements();
    if (shown[i]) continue;
    int last = w.instance.empty() ? 0 : w.instance.back();
    i64 instances = 1;
    for (std::size_t k = i + 1; k < weights.size() && !w.instance.empty();
         ++k) {  // alike in the next instances
      const weight& next = weights[k];
      if (next.leaf_name != w.leaf_name || next.instance.back() != last + 1 || next.extents != w.extents ||
          next.is_idle() || std::string(kind(next)) != kind(w) ||
          !std::equal(w.instance.begin(), w.instance.end() - 1, next.instance.begin(),
                      next.instance.end() - 1))
        continue;
      ++last, ++instances, shown[k] = 1;
    }
    rows.push_back({path_of_instances(w, last), shape_with_names(w),
                    (instances > 1 ? std::to_string(instances) + " x " : "") + grouped(w.elements()),
                    kind(w)});
  }
  std::size_t widths[3] = {};
  for (const summary_row& r : rows)
    widths[0] = std::max(widths[0], r.path.size()), widths[1] = std::max(widths[1], r.shape.size()),
    widths[2] = std::max(widths[2], r.count.size());
  std::string s;
  auto padded = [](const std::string& t, std::size_t n) { return std::string(n - t.size(), ' '); };
  for (const summary_row& r : rows)
    s += r.path + padded(r.path, widths[0]) + "  " + r.shape + padded(r.shape, widths[1]) + "  " +
         padded(r.count, widths[2]) + r.count + "  " + r.kind + "\n";
  s += std::string(widths[0] + widths[1] + widths[2] + 13, '-') + "\n";
  s += "parameters: " + grouped(parameters) + ", trained: " + grouped(trainable);
  if (states > 0) s += ", states: " + grouped(states);
  return s + ", " + grouped((parameters + states) * element_size) + " bytes in " + element + "\n";
}

}  // namespace detail

// What a model has, like PyTorch's summaries, equal instances of a stack on one line; print it. Select says
// what is trained, as in train_step<Select>.
template <class Select = all_parameters, class Backend, class Element>
[[nodiscard]] std::string summary(const model_weights<Backend, Element>& m) {
  return detail::summary_table(
      m.weights(), [](const weight& w) { return w.is_parameter() && chosen<Select>(w); },
      static_cast<i64>(sizeof(Element)), name_of(dtype_of<Element>));
}

}  // namespace flame
