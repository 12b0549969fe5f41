// A function at run time, without the planner that makes its programs: see run/program_cache.hpp.
#pragma once
#include <flame/base/error.hpp>
#include <flame/plan/program.hpp>
#include <flame/run/executable_interface.hpp>
#include <flame/run/storage.hpp>

#include <memory>
#include <string>
#include <vector>

namespace flame {

// An operand or result as a program takes it: one tensor, or one for each instance of a stack.
struct bound_value {
  tensor_view one;
  std::vector<bound_value> instances;
  bool stacked = false;

  bound_value() = default;
  bound_value(const tensor_view& v) : one(v) {}
};

namespace detail {

inline std::string text_of(text t) { return std::string(t.data, static_cast<std::size_t>(t.size)); }

// Registers the tensors of a value as external buffers of a program.
placed place_external(program& p, const bound_value& v, const tensor_type& t, int skipped, text name);

// Adds the external buffers of a placed value whose memory holds numbers of the host's.
void find_numbers(const bound_value& v, const placed& p, std::vector<int>& numbers);

}  // namespace detail

// Runs one function on a backend for any extents: one planned program for each set of them and each device,
// made at the first call with them. For one thread at a time.
class program_cache {
 public:
  explicit program_cache(const function_info& f, const backend_functions& backend = functions_of<host>());
  program_cache(program_cache&&) noexcept;
  program_cache& operator=(program_cache&&) noexcept;
  ~program_cache();

  [[nodiscard]] const function_info& function() const { return *function_; }

  // The extents of each output for these operands.
  [[nodiscard]] const std::vector<std::vector<i64>>& output_extents(const std::vector<bound_value>& operands);

  // Runs. results: one for each output, contiguous, with the extents that output_extents gives.
  void run(const std::vector<bound_value>& operands, const std::vector<bound_value>& results);

  // The program for these operands.
  [[nodiscard]] const program& plan(const std::vector<bound_value>& operands);

 private:
  struct cached;
  cached& entry(const std::vector<bound_value>& operands);

  const function_info* function_;
  const backend_functions* backend_;
  std::vector<std::unique_ptr<cached>> cached_;
  std::vector<i64> key_;
  std::vector<void*> externals_;
};

}  // namespace flame
