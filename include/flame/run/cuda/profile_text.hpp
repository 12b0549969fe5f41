// The times of a program's steps beside what their bytes and operations need, as a table and as a picture of
// bars. Needs no GPU: the times are given.
#pragma once
#include <flame/base/error.hpp>
#include <flame/plan/explain.hpp>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <limits>
#include <string>
#include <vector>

namespace flame {

// What a GPU can do at most: bytes a second, read and written together, and operations a second by type.
struct gpu_limits {
  double bytes = 0, f32 = 0, f64 = 0, half = 0;
};

struct step_profile {
  int step = 0;  // in the program's order
  double microseconds = 0;
  double bound = 0;      // microseconds that the bytes or the operations need, whichever need more
  bool by_bytes = true;  // which of the two
  step_report what;

  [[nodiscard]] i64 bytes() const { return what.read + what.written; }
  // How much of the bound is reached: 1 where the step could not be faster.
  [[nodiscard]] double reached() const { return microseconds > 0 ? bound / microseconds : 0; }
};

struct program_profile {
  gpu_limits most;
  std::vector<step_profile> steps;  // the slowest first
  [[nodiscard]] double microseconds() const {
    double sum = 0;
    for (const step_profile& s : steps) sum += s.microseconds;
    return sum;
  }
  [[nodiscard]] double bound() const {
    double sum = 0;
    for (const step_profile& s : steps) sum += s.bound;
    return sum;
  }
};

// microseconds: of each step, in the program's order.
[[nodiscard]] inline program_profile profile_of(const program& p, const std::vector<double>& microseconds,
                                                const gpu_limits& most) {
  if (microseconds.size() != static_cast<std::size_t>(p.steps.size()))
    throw error("flame::profile_of(program, microseconds, limits): " + std::to_string(microseconds.size()) +
                " times are given, the program has " + std::to_string(p.steps.size()) + " steps");
  program_report all = report(p);
  program_profile r;
  r.most = most;
  for (int i = 0; i < p.steps.size(); ++i) {
    step_profile s;
    s.step = i;
    s.what = std::move(all.steps[static_cast<std::size_t>(i)]);
    s.microseconds = microseconds[static_cast<std::size_t>(i)];
    const dtype element = p.steps[i].tensors.back().element;
    const double rate = element == dtype::f64                             ? most.f64
                        : element == dtype::bf16 || element == dtype::f16 ? most.half
                                                                          : most.f32;
    auto time = [](i64 amount, double in_a_second) {
      return amount > 0 && in_a_second > 0 ? static_cast<double>(amount) / in_a_second * 1e6 : 0;
    };
    const double by_bytes = time(s.bytes(), most.bytes), by_operations = time(s.what.flops, rate);
    s.by_bytes = by_bytes >= by_operations;
    s.bound = std::max(by_bytes, by_operations);
    r.steps.push_back(std::move(s));
  }
  std::stable_sort(r.steps.begin(), r.steps.end(), [](const step_profile& a, const step_profile& b) {
    return a.microseconds > b.microseconds;
  });
  return r;
}

// A line for all, then one for each step, the slowest first, `lines` of them at most: microseconds and their
// share; bytes and operations, and how many of them a second; the microseconds that the one or the other
// needs at least (B: bytes, O: operations) and how much of that is reached; a bar as long as the time, of
// which # is needed; the step's number, kind, sizes and formula, cut at `width`.
[[nodiscard]] inline std::string profile_text(const program_profile& p,
                                              std::size_t lines = std::numeric_limits<std::size_t>::max(),
                                              std::size_t width = 60) {
  constexpr double bar = 20;
  const double total = p.microseconds(), bound = p.bound();
  char line[320];
  std::snprintf(line, sizeof line,
                "%zu steps, %.1f us one by one; their bytes and operations need %.1f us, %.0f%% of it (%.0f "
                "GB/s)\n",
                p.steps.size(), total, bound, total > 0 ? 100 * bound / total : 0, p.most.bytes / 1e9);
  std::string text = line;
  text +=
      "      us  share        MB    GB/s    GFLOP  TFLOP/s    bound   of it  bar                   step\n";
  const double longest = p.steps.empty() ? 0 : p.steps[0].microseconds;
  for (std::size_t i = 0; i < p.steps.size() && i < lines; ++i) {
    const step_profile& s = p.steps[i];
    const double scale = longest > 0 ? bar / longest : 0, seconds = s.microseconds * 1e-6;
    const auto length = static_cast<std::size_t>(std::max(1.0, scale * s.microseconds + 0.5));
    const auto needed = std::min(length, static_cast<std::size_t>(scale * s.bound + 0.5));
    const std::string drawn = std::string(needed, '#') + std::string(length - needed, '.');
    const double bytes = static_cast<double>(s.bytes()), operations = static_cast<double>(s.what.flops);
    std::snprintf(line, sizeof line,
                  "%8.2f  %4.1f%%  %8.2f  %6.0f  %7.2f  %7.2f  %7.2f %c  %3.0f%%  %-20s  %3d ",
                  s.microseconds, total > 0 ? 100 * s.microseconds / total : 0, bytes / 1e6,
                  seconds > 0 ? bytes / seconds / 1e9 : 0, operations / 1e9,
                  seconds > 0 ? operations / seconds / 1e12 : 0, s.bound, s.by_bytes ? 'B' : 'O',
                  100 * s.reached(), drawn.c_str(), s.step);
    text += line + s.what.kind + " " + s.what.sizes + "  " + s.what.formula.substr(0, width) + "\n";
  }
  return text;
}

namespace profiling {

[[nodiscard]] inline std::string escaped(const std::string& text) {
  std::string s;
  for (char c : text) {
    if (c == '&')
      s += "&amp;";
    else if (c == '<')
      s += "&lt;";
    else if (c == '>')
      s += "&gt;";
    else if (c == '"')
      s += "&quot;";
    else
      s += c;
  }
  return s;
}

}  // namespace profiling

// A picture in SVG: a bar for each of the slowest steps, its dark part the time that its bytes (blue) or its
// operations (orange) need.
[[nodiscard]] inline std::string profile_svg(const program_profile& p, const std::string& title,
                                             std::size_t lines = 40) {
  constexpr int row = 20, left = 280, bars = 420, right = 500, top = 64;
  using profiling::escaped;
  const std::size_t count = std::min(lines, p.steps.size());
  const int height = top + row * static_cast<int>(count) + 16;
  const double longest = p.steps.empty() ? 0 : p.steps[0].microseconds;
  char text[512];
  auto rest = [&]() -> std::string { return text; };
  std::snprintf(
      text, sizeof text,
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" font-family=\"sans-serif\" "
      "font-size=\"12\">\n<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n",
      left + bars + right, height);
  std::string s = rest();
  s += "<text x=\"16\" y=\"24\" font-size=\"16\">" + escaped(title) + "</text>\n";
  std::snprintf(
      text, sizeof text,
      "<text x=\"16\" y=\"46\" fill=\"#555\">%zu steps, %.1f us one by one; their bytes and operations "
      "need %.1f us (dark: blue bytes, orange operations)</text>\n",
      p.steps.size(), p.microseconds(), p.bound());
  s += rest();
  for (std::size_t i = 0; i < count; ++i) {
    const step_profile& step = p.steps[i];
    const int y = top + row * static_cast<int>(i);
    const double scale = longest > 0 ? bars / longest : 0;
    const std::string name = std::to_string(step.step) + " " + step.what.kind + " " + step.what.sizes;
    std::snprintf(text, sizeof text, "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">", left - 8, y + 13);
    s += rest() + escaped(name.substr(0, 42)) + "</text>\n<g><title>" + escaped(step.what.formula) +
         "</title>";
    std::snprintf(text, sizeof text,
                  "<rect x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"%d\" fill=\"%s\"/>"
                  "<rect x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"%d\" fill=\"%s\"/></g>\n",
                  left, y + 2, scale * step.microseconds, row - 4, step.by_bytes ? "#b5cfe8" : "#f6cfa6",
                  left, y + 2, scale * std::min(step.bound, step.microseconds), row - 4,
                  step.by_bytes ? "#2b6cb0" : "#c8660c");
    s += rest();
    std::snprintf(text, sizeof text, "<text x=\"%.1f\" y=\"%d\">%.2f us, %.0f%% <tspan fill=\"#555\">",
                  left + scale * step.microseconds + 6, y + 13, step.microseconds, 100 * step.reached());
    s += rest() + escaped(step.what.formula.substr(0, 60)) + "</tspan></text>\n";
  }
  return s + "</svg>\n";
}

// The same in a file. Throws flame::error where it cannot be written.
inline void write_profile_svg(const std::string& path, const program_profile& p, const std::string& title,
                              std::size_t lines = 40) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << profile_svg(p, title, lines);
  file.close();
  if (!file) throw error("flame::write_profile_svg(path, ...): " + path + " cannot be written");
}

}  // namespace flame
