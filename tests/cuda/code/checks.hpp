// The rules that the code of every kernel keeps, and kernels checked by them, several at once.
#pragma once
#include <flame/run/cuda/names.hpp>

#include <atomic>
#include <mutex>
#include <set>
#include <thread>

#include "expected.hpp"

namespace flame::code_tests {

inline constexpr int architecture = 90;

inline std::string words_of(const accesses& all) {
  std::string text;
  for (const auto& [bytes, count] : all)
    text += " " + std::to_string(count) + " of " + std::to_string(bytes) + " bytes;";
  return text;
}

// What is wrong with the code of a kernel, whichever it is. words: of its template arguments. In f64 what
// CUDA puts into a kernel (quotients, erf) may keep a number on the stack.
[[nodiscard]] inline std::vector<std::string> problems_of(const code_facts& code, std::size_t words,
                                                          bool f64 = false) {
  std::vector<std::string> found;
  auto none = [&](int count, const char* what) {
    if (count != 0) found.push_back(std::to_string(count) + what);
  };
  none(f64 && code.stack <= 8 ? 0 : code.stack, " bytes of stack");
  none(f64 && code.spilled <= 16 ? 0 : code.spilled, " bytes spilled");
  none(code.local, " instructions on local memory");
  none(code.generic, " accesses to memory of a space that the compiler does not know");
  none(code.calls, " calls");
  if (code.symbol.size() > 64 + 23 * words)
    found.push_back("a symbol of " + std::to_string(code.symbol.size()) + " characters for " +
                    std::to_string(words) + " words");
  return found;
}

// The most copies of a loop over rows in a kernel: the compiler unrolls loops without barriers and shuffles.
inline constexpr int most_copies = 8;

// The same for the kernel of a fused group, whose accesses are known from its name.
[[nodiscard]] inline std::vector<std::string> problems_of(const code_facts& code, const group_name& g) {
  const bool f64 =
      std::any_of(g.body.begin(), g.body.end(), [](const instruction& i) { return i.element == dtype::f64; });
  std::vector<std::string> found = problems_of(code, g.words.size(), f64);
  if (code.divisions > 0 && !g.divides_integers())
    found.push_back(std::to_string(code.divisions) + " divisions of integers");
  if (code.registers * g.lanes * g.teams > 65536)
    found.push_back(std::to_string(code.registers) + " registers in " + std::to_string(g.lanes * g.teams) +
                    " threads");
  const expected_code e = expected_of(g);
  const bool loops = !g.map && std::none_of(g.body.begin(), g.body.end(), group_name::reduces_row);
  bool holds = false;
  for (int copies = 1; copies <= (loops ? most_copies : 1) && !holds; ++copies)
    holds = e.loads.holds(code.loads, copies) && e.stores.holds(code.stores, copies);
  if (!holds)
    found.push_back("loads" + words_of(code.loads) + " where" + e.loads.words() + " are due, stores" +
                    words_of(code.stores) + " where" + e.stores.words() + " are");
  return found;
}

// The same for any kernel, by its name.
[[nodiscard]] inline std::vector<std::string> problems_of(const code_facts& code, const std::string& name) {
  if (group_name::is(name)) return problems_of(code, group_name(name));
  std::vector<std::string> found = problems_of(code, 12);
  if (name.rfind("flame::kernel::finish<", 0) == 0 && code.divisions > 0)
    found.push_back(std::to_string(code.divisions) + " divisions of integers");
  return found;
}

struct checked_kernels {
  int count = 0, most_registers = 0;
  std::vector<std::string> problems;  // with the kernel's name
};

// Compiles them on all processors.
[[nodiscard]] inline checked_kernels check_kernels(const std::set<std::string>& names) {
  const std::vector<std::string> all(names.begin(), names.end());
  checked_kernels result;
  std::mutex lock;
  std::atomic<std::size_t> next{0};
  auto work = [&] {
    for (std::size_t i; (i = next++) < all.size();) {
      code_facts code;
      std::vector<std::string> found;
      try {
        cuda_kernels::compiler_report report;
        const auto made = cuda_kernels::compile_kernel(all[i], architecture, &report);
        code = read_code(made, report);
        found = problems_of(code, all[i]);
      } catch (const std::exception& e) {
        found = {e.what()};
      }
      const std::lock_guard guard(lock);
      ++result.count;
      result.most_registers = std::max(result.most_registers, code.registers);
      for (const std::string& p : found) result.problems.push_back(p + ": " + all[i]);
    }
  };
  std::vector<std::thread> threads;
  for (unsigned t = 1; t < std::thread::hardware_concurrency(); ++t) threads.emplace_back(work);
  work();
  for (std::thread& t : threads) t.join();
  return result;
}

// Pairs of a step's operands that are one and the same: a leaf that a kernel would load twice.
[[nodiscard]] inline int doubled_operands(const program_step& s) {
  if (!s.code) return 0;
  int count = 0;
  auto same = [&](int i, int j) {
    const located &a = s.tensors[i], &b = s.tensors[j];
    const bound_slot &x = s.bound.slots[i], &y = s.bound.slots[j];
    return a.buffer >= 0 && a.buffer == b.buffer && a.offset == b.offset && a.element == b.element &&
           std::equal(x.strides, x.strides + max_rank, y.strides);
  };
  for (int i = 0; i < s.code->slots.size(); ++i)
    for (int j = 0; j < i; ++j)
      count += s.code->slots[i].kind == slot_kind::input && s.code->slots[j].kind == slot_kind::input &&
               same(i, j);
  return count;
}

}  // namespace flame::code_tests
