// The debug switch: programs that are watched while they run, step by step.
#pragma once
#include <flame/base/error.hpp>

#include <atomic>
#include <cstdlib>
#include <string>
#include <string_view>

namespace flame {

// What a watched program is watched for. Each step is waited for. flame::error names the step that failed, or
// that first made a NaN, or an infinity too, where none of its operands had one: its formula, its function,
// the first such element, and between what numbers its operands lie. Memory that is nobody's is filled with
// NaN, so that what is read before it is written shows, and what is written there is found. Programs so run
// many times as long; results are the same.
enum class watch { nothing, nans, infinities };

namespace detail {

inline std::atomic<int> watched_for{-1};  // -1: as the environment says

inline watch watch_of_environment() {
  const char* said = std::getenv("FLAME_WATCH");
  const std::string_view text = said ? said : "";
  if (text.empty() || text == "0") return watch::nothing;
  if (text == "1" || text == "nan") return watch::nans;
  if (text == "inf") return watch::infinities;
  throw error("FLAME_WATCH is '" + std::string(text) +
              "', expected 0, 1 (for NaN) or inf (for infinities too)");
}

}  // namespace detail

// Programs that run from here on, on all threads and backends, are watched for this, whatever FLAME_WATCH
// says.
inline void set_watch(watch w) { detail::watched_for = static_cast<int>(w); }

// What set_watch said last; else the environment variable FLAME_WATCH: 1 (or nan) for NaNs, inf for
// infinities too, unset or 0 for nothing. Throws flame::error where it says something else.
[[nodiscard]] inline watch watched_for() {
  if (const int said = detail::watched_for.load(std::memory_order_relaxed); said >= 0)
    return static_cast<watch>(said);
  const watch w = detail::watch_of_environment();
  int unsaid = -1;
  detail::watched_for.compare_exchange_strong(unsaid, static_cast<int>(w));
  return watched_for();
}
[[nodiscard]] inline bool watching() { return watched_for() != watch::nothing; }

}  // namespace flame
