// Kernels from their text: NVRTC compiles what a kernel's name says, from headers that the program carries
// with it.
#pragma once
#include <flame/base/error.hpp>
#include <flame/base/text.hpp>
#include <flame/run/cuda/texts.hpp>

#include <nvrtc.h>

#include <iterator>
#include <string>
#include <vector>

namespace flame::cuda_kernels {

// Machine code of one kernel, and the name that it has there.
struct machine_code {
  std::string symbol;
  std::string image;
};

namespace compiling {

inline constexpr const char* options[] = {"--std=c++20", "--device-as-default-execution-space",
                                          "--no-source-include"};

inline void check(nvrtcResult r, const char* call) {
  if (r != NVRTC_SUCCESS)
    throw error((std::string("flame::cuda: ") + call + " failed: " + nvrtcGetErrorString(r)).c_str());
}

// The first lines of a compiler's log that say "error".
inline std::string errors_of(const std::string& log) {
  std::string found;
  std::size_t at = 0;
  for (int lines = 0; at < log.size() && lines < 6;) {
    std::size_t end = log.find('\n', at);
    if (end == std::string::npos) end = log.size();
    const std::string line = log.substr(at, end - at);
    if (line.find("error") != std::string::npos) found += "\n  " + line, ++lines;
    at = end + 1;
  }
  return found.empty() ? "\n  " + log : found;
}

}  // namespace compiling

// A number that changes with the headers, the compiler and the options: part of the name of what a cache
// keeps.
[[nodiscard]] inline u64 compiler_version() {
  static const u64 version = [] {
    int major = 0, minor = 0;
    compiling::check(nvrtcVersion(&major, &minor), "nvrtcVersion");
    u64 h = mix(static_cast<u64>(major), static_cast<u64>(minor));
    auto add = [&](const char* text) {
      for (const char* c = text; *c; ++c) h = combine(h, static_cast<u64>(*c));
    };
    for (const embedded_text* t = embedded_texts; t->name; ++t) add(t->name), add(t->text);
    for (const char* option : compiling::options) add(option);
    return h;
  }();
  return version;
}

// What the compiler says of a kernel: its PTX, and ptxas's count of registers, stack and spills.
struct compiler_report {
  std::string ptx, log;
};

// Compiles one kernel of a text that may include the headers of kernels; see compile_kernel.
[[nodiscard]] inline machine_code compile_text(const char* source, const std::string& name, int architecture,
                                               compiler_report* report = nullptr) {
  struct program_handle {
    nvrtcProgram p = nullptr;
    ~program_handle() {
      if (p) nvrtcDestroyProgram(&p);
    }
  } program;
  std::vector<const char*> texts, names;
  for (const embedded_text* t = embedded_texts; t->name; ++t)
    texts.push_back(t->text), names.push_back(t->name);
  compiling::check(nvrtcCreateProgram(&program.p, source, "kernel.cu", static_cast<int>(texts.size()),
                                      texts.data(), names.data()),
                   "nvrtcCreateProgram");
  compiling::check(nvrtcAddNameExpression(program.p, name.c_str()), "nvrtcAddNameExpression");
  const std::string target = "--gpu-architecture=sm_" + std::to_string(architecture);
  std::vector<const char*> options(std::begin(compiling::options), std::end(compiling::options));
  options.push_back(target.c_str());
  if (report) options.push_back("--ptxas-options=-v");
  const nvrtcResult compiled =
      nvrtcCompileProgram(program.p, static_cast<int>(options.size()), options.data());
  std::size_t size = 0;
  std::string log;
  if ((report || compiled != NVRTC_SUCCESS) && nvrtcGetProgramLogSize(program.p, &size) == NVRTC_SUCCESS &&
      size > 1) {
    log.resize(size);
    nvrtcGetProgramLog(program.p, log.data());
    log.pop_back();
  }
  if (compiled != NVRTC_SUCCESS)
    throw error(("flame::cuda: the kernel " + name + " does not compile for sm_" +
                 std::to_string(architecture) + " (" + nvrtcGetErrorString(compiled) +
                 "):" + compiling::errors_of(log))
                    .c_str());
  machine_code result;
  const char* symbol = nullptr;
  compiling::check(nvrtcGetLoweredName(program.p, name.c_str(), &symbol), "nvrtcGetLoweredName");
  result.symbol = symbol;
  compiling::check(nvrtcGetCUBINSize(program.p, &size), "nvrtcGetCUBINSize");
  result.image.resize(size);
  compiling::check(nvrtcGetCUBIN(program.p, result.image.data()), "nvrtcGetCUBIN");
  if (!report) return result;
  report->log = log;
  compiling::check(nvrtcGetPTXSize(program.p, &size), "nvrtcGetPTXSize");
  report->ptx.resize(size);
  compiling::check(nvrtcGetPTX(program.p, report->ptx.data()), "nvrtcGetPTX");
  report->ptx.pop_back();  // the zero
  return result;
}

// Compiles the kernel that a C++ expression names, flame::kernel::group<...>, for one architecture (90 for
// sm_90). Several threads may compile at once. Throws flame::error with the compiler's words.
[[nodiscard]] inline machine_code compile_kernel(const std::string& name, int architecture,
                                                 compiler_report* report = nullptr) {
  auto is = [&](const char* family) {
    return name.rfind(std::string("flame::kernel::") + family + "<", 0) == 0;
  };
  const char* source = is("group") || is("staged") || is("columns")
                           ? "#include <flame/run/cuda/kernel/group.hpp>\n"
                       : is("map")                        ? "#include <flame/run/cuda/kernel/map.hpp>\n"
                       : is("finish")                     ? "#include <flame/run/cuda/kernel/finish.hpp>\n"
                       : is("product") || is("product16") ? "#include <flame/run/cuda/kernel/product16.hpp>\n"
                       : is("attend") || is("attend_keys") || is("attend_queries")
                           ? "#include <flame/run/cuda/kernel/attention.hpp>\n"
                       : is("attend16") || is("attend_keys16") || is("attend_queries16")
                           ? "#include <flame/run/cuda/kernel/attention16.hpp>\n"
                           : "#include <flame/run/cuda/kernel/library.hpp>\n";
  return compile_text(source, name, architecture, report);
}

}  // namespace flame::cuda_kernels
