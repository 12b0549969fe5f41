// A run that is watched: see run/watch.hpp.
#pragma once
#include <flame/plan/explain_interface.hpp>
#include <flame/run/watch.hpp>
#include <flame/run/watch_values.hpp>

#if !defined(FLAME_HOST_COMPILED)
#include <flame/plan/explain_definitions.hpp>
#endif

namespace flame::watched {

// "step 3 of 7, map 8192: t2@0 = log(t1) (in block)", for errors.
[[nodiscard]] inline std::string step_text(const program& p, int step) {
  const step_report r = report(p).steps[static_cast<std::size_t>(step)];
  std::string text = "step " + std::to_string(step + 1) + " of " + std::to_string(p.steps.size()) + ", " +
                     r.kind + " " + r.sizes + ": " + r.result + " = " + r.formula;
  if (const function_info* f = p.steps[step].function)
    text += " (in " + std::string(f->name.data, static_cast<std::size_t>(f->name.size)) + ")";
  return text;
}

// An error of a step, with what the step is.
[[nodiscard]] inline error with_step(const error& e, const program& p, int step) {
  return error(std::string(e.what()) + "; in " + step_text(p, step));
}

// What the kernel of that name is for: the first step that starts it. names(i): those of step i.
template <class Names>
[[nodiscard]] std::string purpose_text(const program& p, const std::string& kernel, Names&& names) {
  for (int i = 0; i < p.steps.size(); ++i)
    for (const std::string& name : names(i))
      if (name == kernel) return step_text(p, i);
  return "";
}

// Ranges of bytes [first, second), in order, apart.
using ranges = std::vector<std::pair<i64, i64>>;

// The arena's buffers that are live in step i; with those that die in it, or without.
[[nodiscard]] inline ranges live_ranges(const program& p, int step, bool with_dying) {
  ranges all, joined;
  for (const buffer& b : p.buffers)
    if (b.kind == buffer_kind::arena && b.bytes > 0 && b.first >= 0 && b.first <= step &&
        (with_dying ? b.last >= step : b.last > step))
      all.push_back({b.offset, b.offset + b.bytes});
  std::sort(all.begin(), all.end());
  for (const auto& r : all)
    if (!joined.empty() && r.first <= joined.back().second)
      joined.back().second = std::max(joined.back().second, r.second);
    else
      joined.push_back(r);
  return joined;
}
// What of [0, size) is in none of them.
[[nodiscard]] inline ranges gaps_between(const ranges& live, i64 size) {
  ranges gaps;
  i64 at = 0;
  for (const auto& [low, high] : live) {
    if (low > at) gaps.push_back({at, low});
    at = std::max(at, high);
  }
  if (at < size) gaps.push_back({at, size});
  return gaps;
}

// One run of a program: made before the first step; step(...) runs each in order; finish() last.
class run {
 public:
  static constexpr int poison = 0xff;  // bytes of a NaN of every floating type

  // arena: where the program's own buffers lie. For watch::nothing, nothing is looked at but failures.
  run(const program& p, std::byte* arena, memory& m, watch w = watched_for())
      : p_(p), arena_(arena), memory_(m), watch_(w) {
    tainted_.resize(static_cast<std::size_t>(p.buffers.size()), 0);
    if (p.arena_bytes > 0) memory_.fill(arena, poison, p.arena_bytes);
  }

  // at: where the first element of each of the step's tensors lies; start() begins the step.
  template <class Start> void step(int i, const std::vector<void*>& at, Start&& start) {
    const program_step& s = p_.steps[i];
    memory_.wait();  // what is not this step's fails here
    std::vector<values> seen(static_cast<std::size_t>(s.tensors.size()));
    bool nan = false, infinite = false;
    for (int k = 0; k < s.tensors.size(); ++k) {
      if (s.writes[k] || s.tensors[k].zero || s.tensors[k].buffer < 0) continue;
      values& v = seen[static_cast<std::size_t>(k)];
      v = values_of(memory_, s.tensors[k], at[static_cast<std::size_t>(k)]);
      nan = nan || v.nan, infinite = infinite || v.infinite;
      const int b = s.tensors[k].buffer;
      if (v.nan && p_.buffers[b].kind == buffer_kind::arena && !tainted_[static_cast<std::size_t>(b)])
        throw error("flame: " + step_text(p_, i) + " reads " + name(b) + " where no step has written, at " +
                    place(s.tensors[k], v.first_nan));
    }
    try {
      start();
      memory_.wait();
    } catch (const std::exception& e) {
      throw error("flame: " + step_text(p_, i) + " failed: " + e.what());
    }
    check_gaps(i);
    for (int k = 0; k < s.tensors.size(); ++k) {
      const located& t = s.tensors[k];
      if (!s.writes[k] || t.zero || t.buffer < 0) continue;
      const values v = values_of(memory_, t, at[static_cast<std::size_t>(k)]);
      if (v.nan && !nan) refuse(i, "a NaN", t, v.first_nan, seen);
      if (v.infinite && !nan && !infinite && watch_ == watch::infinities)
        refuse(i, "an infinity", t, v.first_infinite, seen);
      // Bytes that are copied aside and back (plan/offload.hpp) are NaNs if they were.
      bool copied = false;
      for (int n = 0; n < s.tensors.size() && t.element == dtype::uint8; ++n)
        copied = copied || (!s.writes[n] && s.tensors[n].buffer >= 0 &&
                            tainted_[static_cast<std::size_t>(s.tensors[n].buffer)]);
      if (v.nan || copied) tainted_[static_cast<std::size_t>(t.buffer)] = 1;
    }
    // What died in this step is nobody's from here on.
    const ranges before = live_ranges(p_, i, true);
    for (const auto& [low, high] : gaps_between(live_ranges(p_, i, false), p_.arena_bytes))
      for (const auto& [from, to] : before)
        if (const i64 a = std::max(low, from), b = std::min(high, to); a < b)
          memory_.fill(arena_ + a, poison, b - a);
  }
  // All that is nobody's is as it was.
  void finish() {
    memory_.wait();
    if (p_.steps.size() > 0) check(p_.steps.size() - 1, {{0, p_.arena_bytes}}, false);
  }

 private:
  [[nodiscard]] std::string name(int b) const { return report(p_).buffers[static_cast<std::size_t>(b)]; }
  [[nodiscard]] static std::string place(const located& t, const std::vector<i64>& at) {
    std::string text;
    for (int i = 0; i < t.rank; ++i) {
      const auto axis = t.axes[i] ? t.axes[i]->name : flame::text{};
      text += (i ? ", " : "(") + std::string(axis.data, static_cast<std::size_t>(axis.size)) +
              (axis.size ? " " : "") + std::to_string(at[static_cast<std::size_t>(i)]);
    }
    return text.empty() ? "its only element" : text + ")";
  }
  [[noreturn]] void refuse(int i, const char* what, const located& t, const std::vector<i64>& at,
                           const std::vector<values>& operands) const {
    const program_step& s = p_.steps[i];
    std::string text = "flame: " + step_text(p_, i) + " made " + what +
                       " where none of its operands has one, in " + name(t.buffer) + " first at " +
                       place(t, at);
    std::string ranges_text;
    for (int k = 0; k < s.tensors.size(); ++k) {
      const values& v = operands[static_cast<std::size_t>(k)];
      if (s.writes[k] || v.most < v.least) continue;
      char range[80];
      std::snprintf(range, sizeof range, " from %.6g to %.6g", v.least, v.most);
      ranges_text += (ranges_text.empty() ? "; " : ", ") + name(s.tensors[k].buffer) + range;
      if (v.infinite) ranges_text += " and infinite";
    }
    throw error(text + ranges_text);
  }

  // What lies around the buffers that step i wrote.
  void check_gaps(int i) {
    constexpr i64 near = 4096;
    const program_step& s = p_.steps[i];
    for (int k = 0; k < s.tensors.size(); ++k) {
      const int b = s.tensors[k].buffer;
      if (!s.writes[k] || b < 0 || p_.buffers[b].kind != buffer_kind::arena) continue;
      const i64 low = p_.buffers[b].offset, high = low + p_.buffers[b].bytes;
      check(i, {{low - near, low}, {high, high + near}}, true);
    }
  }
  // Throws where a byte of these ranges that is nobody's in step i is not as it was.
  void check(int i, const ranges& of, bool with_dying) {
    constexpr i64 most = i64{64} << 20;
    for (const auto& [low, high] : gaps_between(live_ranges(p_, i, with_dying), p_.arena_bytes))
      for (const auto& [from, to] : of)
        for (i64 a = std::max(low, from), end = std::min(high, to); a < end; a += most) {
          const i64 bytes = std::min(most, end - a);
          const std::byte* seen = memory_.see(arena_ + a, bytes);
          for (i64 k = 0; k < bytes; ++k)
            if (seen[k] != std::byte{poison})
              throw error("flame: " + (with_dying ? step_text(p_, i) : std::string("a step of the program")) +
                          " wrote at byte " + std::to_string(a + k) +
                          " of the program's memory, where no buffer lies");
        }
  }

  const program& p_;
  std::byte* arena_;
  memory& memory_;
  watch watch_;
  std::vector<char> tainted_;  // by buffer: a step wrote a NaN there, having read one
};

}  // namespace flame::watched
