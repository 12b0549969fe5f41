// Tables of kernels compiled beforehand, and the list of those that a program starts.
#include <flame/base/error.hpp>
#include <flame/run/cuda/ahead.hpp>

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <string>

namespace flame::cuda_kernels {

namespace {

// Made before any table, and never destroyed: tables are static objects of other files.
struct known_tables {
  std::mutex lock;
  ahead_table* first = nullptr;
};
known_tables& known() {
  static auto* all = new known_tables;
  return *all;
}

}  // namespace

void ahead_table::add() {
  const std::lock_guard hold(known().lock);
  next_ = known().first;
  known().first = this;
}

ahead_table::~ahead_table() {
  const std::lock_guard hold(known().lock);
  for (ahead_table** at = &known().first; *at; at = &(*at)->next_)
    if (*at == this) {
      *at = next_;
      return;
    }
}

const ahead_table* ahead_table::first() {
  const std::lock_guard hold(known().lock);
  return known().first;
}

bool runs_on(const char* architectures, int device) {
  for (const char* at = architectures; *at;) {
    char* end = nullptr;
    const long number = std::strtol(at, &end, 10);
    if (end == at) return false;
    const bool only = *end == 'a';
    if (*end == 'a' || *end == 'f') ++end;
    if (number == device || (!only && number / 10 == device / 10 && number < device)) return true;
    at = *end == ',' ? end + 1 : end;
  }
  return false;
}

const void* find_ahead(const char* name, int device) {
  const std::lock_guard hold(known().lock);
  for (const ahead_table* t = known().first; t; t = t->next()) {
    if (!runs_on(t->architectures(), device)) continue;
    for (const ahead_kernel& k : *t)
      if (std::strcmp(k.name, name) == 0) return k.function;
  }
  return nullptr;
}

void record_kernel(const char* name) {
  const char* path = std::getenv("FLAME_KERNEL_LIST");
  if (!path || !*path) return;
  const std::string line = std::string(name) + "\n";
  const int file = ::open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  // One write: lines of several processes stay whole.
  const bool written =
      file >= 0 && ::write(file, line.data(), line.size()) == static_cast<ssize_t>(line.size());
  const int failed = errno;
  if (file >= 0) ::close(file);
  if (!written)
    throw error(std::string("flame::cuda: FLAME_KERNEL_LIST names ")
                    .append(path)
                    .append(", which cannot be written: ")
                    .append(std::strerror(failed))
                    .c_str());
}

}  // namespace flame::cuda_kernels
