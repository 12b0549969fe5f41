// What the machine code of a kernel does, as far as its text says: its accesses to memory, its divisions, its
// registers and its stack.
#pragma once
#include <flame/run/cuda/compiler.hpp>

#include <map>
#include <string>
#include <string_view>

namespace flame::code_tests {

// Instructions by how many bytes each moves.
using accesses = std::map<int, int>;

struct code_facts {
  std::string symbol;
  accesses loads, stores;                     // of global memory
  int local = 0;                              // instructions that address local memory
  int generic = 0;                            // accesses whose space the compiler does not know
  int divisions = 0;                          // quotients and remainders of integers
  int calls = 0;                              // but of CUDA's own function for powers in f64
  int registers = 0, stack = 0, spilled = 0;  // as ptxas counts: stack and spills in bytes
};

namespace reading {

inline bool has(std::string_view text, std::string_view part) { return text.find(part) != text.npos; }

// Bytes that ld.global.nc.v4.f32 moves: 16.
inline int bytes_of(std::string_view mnemonic) {
  const std::size_t type = mnemonic.rfind('.');
  const int bits = std::stoi(std::string(mnemonic.substr(type + 2)));
  const int count = has(mnemonic, ".v2.") ? 2 : has(mnemonic, ".v4.") ? 4 : has(mnemonic, ".v8.") ? 8 : 1;
  return count * bits / 8;
}

// after: what follows the line.
inline void read_instruction(std::string_view line, std::string_view after, code_facts& facts) {
  std::size_t at = line.find_first_not_of(" \t");
  if (at == line.npos) return;
  if (line[at] == '@') at = line.find_first_not_of(" \t", line.find_first_of(" \t", at));
  const std::string_view rest = line.substr(at);
  const std::string_view mnemonic = rest.substr(0, rest.find_first_of(" \t;"));
  auto is = [&](std::string_view start) { return mnemonic.substr(0, start.size()) == start; };
  if (has(mnemonic, ".local") || has(rest, "__local_depot")) ++facts.local;
  if (is("call") && !has(after.substr(0, after.find(';')), "__internal_accurate_pow")) ++facts.calls;
  if ((is("div.") || is("rem.")) && (has(mnemonic, ".s") || has(mnemonic, ".u"))) ++facts.divisions;
  if (is("cp.async.c") && has(mnemonic, ".global"))
    ++facts.loads[std::stoi(std::string(rest.substr(rest.rfind("], ") + 3)))];
  if (!is("ld.") && !is("st.")) return;
  if (has(mnemonic, ".global"))
    ++(is("ld.") ? facts.loads : facts.stores)[bytes_of(mnemonic)];
  else if (!has(mnemonic, ".param") && !has(mnemonic, ".shared") && !has(mnemonic, ".local") &&
           !has(mnemonic, ".const"))
    ++facts.generic;
}

// The number before the words, 0 where they are not there.
inline int number_before(const std::string& log, const std::string& words) {
  const std::size_t end = log.find(words);
  if (end == std::string::npos) return 0;
  std::size_t begin = end;
  while (begin > 0 && log[begin - 1] >= '0' && log[begin - 1] <= '9') --begin;
  return std::stoi(log.substr(begin, end - begin));
}

}  // namespace reading

// PTX has each instruction of a kernel once, and no loop of these kernels over their rows is unrolled: so a
// count is what a thread executes for one row. ptxas merges no accesses and adds none but to its stack, which
// its own count tells.
[[nodiscard]] inline code_facts read_code(const cuda_kernels::machine_code& code,
                                          const cuda_kernels::compiler_report& report) {
  code_facts facts;
  facts.symbol = code.symbol;
  const std::string_view text = report.ptx;
  std::size_t at = text.find(".entry " + code.symbol);
  if (at == text.npos) throw error("code: the PTX has no entry of the kernel's name");
  at = text.find("\n{", at) + 2;
  for (const std::size_t end = text.find("\n}", at); at < end;) {
    const std::size_t next = std::min(text.find('\n', at), end);
    reading::read_instruction(text.substr(at, next - at), text.substr(next, end - next), facts);
    at = next + 1;
  }
  if (!reading::has(report.log, " bytes stack frame"))
    throw error("code: ptxas says nothing of the stack: ", report.log.c_str());
  facts.stack = reading::number_before(report.log, " bytes stack frame");
  facts.spilled = reading::number_before(report.log, " bytes spill stores") +
                  reading::number_before(report.log, " bytes spill loads");
  facts.registers = reading::number_before(report.log, " registers");
  return facts;
}

}  // namespace flame::code_tests
