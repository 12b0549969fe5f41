// Compiled kernels on disk, shared by processes: an entry is whole or it is not there.
#pragma once
#include <flame/base/text.hpp>

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>

namespace flame::cuda_kernels {

// Entries by a key of any length. A folder that cannot be written, a full disk or a damaged entry makes a
// kernel be compiled again, and nothing else: `put` says whether it could keep the entry. Thread-safe, and
// processes may share a folder, also over a network: of two that write one entry at once, the later stays.
class disk_cache {
 public:
  explicit disk_cache(std::filesystem::path folder) : folder_(std::move(folder)) {}

  // FLAME_CACHE (empty: none), else flame/ in XDG_CACHE_HOME, else in .cache of HOME, else none.
  [[nodiscard]] static std::filesystem::path default_folder() {
    if (const char* own = std::getenv("FLAME_CACHE")) return own;
    if (const char* user = std::getenv("XDG_CACHE_HOME"); user && *user)
      return std::filesystem::path(user) / "flame";
    if (const char* home = std::getenv("HOME"); home && *home)
      return std::filesystem::path(home) / ".cache" / "flame";
    return {};
  }
  [[nodiscard]] const std::filesystem::path& folder() const { return folder_; }

  [[nodiscard]] std::optional<std::string> get(const std::string& key) const {
    if (folder_.empty()) return std::nullopt;
    const std::filesystem::path place = place_of(key);
    std::error_code failed;
    // Of what is no file the size is an error; nothing is opened that may never answer.
    const std::uintmax_t size = std::filesystem::file_size(place, failed);
    if (failed) return std::nullopt;
    std::ifstream file(place, std::ios::binary);
    header h;
    if (!file || !file.read(reinterpret_cast<char*>(&h), sizeof h) ||
        std::memcmp(h.magic, magic, sizeof magic) != 0 || h.key_size != key.size() ||
        h.value_size > most_bytes || size != sizeof h + h.key_size + h.value_size)
      return std::nullopt;
    std::string text(h.key_size + h.value_size, '\0');
    if (!file.read(text.data(), static_cast<std::streamsize>(text.size())) || sum_of(text) != h.sum ||
        text.compare(0, key.size(), key) != 0)
      return std::nullopt;
    return text.substr(key.size());
  }

  // Written beside its place and moved there: other processes see all of it or nothing.
  bool put(const std::string& key, const std::string& value) const {
    if (folder_.empty() || value.size() > most_bytes) return false;
    std::error_code failed;
    std::filesystem::create_directories(folder_, failed);
    const std::filesystem::path place = place_of(key), draft = draft_of(place);
    const std::string text = key + value;
    header h;
    std::memcpy(h.magic, magic, sizeof magic);
    h.sum = sum_of(text), h.key_size = key.size(), h.value_size = value.size();
    const int file = ::open(draft.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (file < 0) return false;
    bool written = write_all(file, reinterpret_cast<const char*>(&h), sizeof h) &&
                   write_all(file, text.data(), text.size());
    written = ::close(file) == 0 && written;  // some disks say only now that they are full
    if (written) std::filesystem::rename(draft, place, failed);
    if (!written || failed) {
      std::error_code ignored;
      std::filesystem::remove(draft, ignored);
      return false;
    }
    return true;
  }

  // Removes what processes that died while they wrote have left: drafts of an hour ago and older.
  void remove_old_drafts() const {
    if (folder_.empty()) return;
    std::error_code failed;
    const auto before = std::filesystem::file_time_type::clock::now() - std::chrono::hours(1);
    for (std::filesystem::directory_iterator at(folder_, failed), end; !failed && at != end;
         at.increment(failed)) {
      if (at->path().filename().string().find(".kernel.") == std::string::npos) continue;
      std::error_code ignored;
      const auto changed = std::filesystem::last_write_time(at->path(), ignored);
      if (!ignored && changed < before) std::filesystem::remove(at->path(), ignored);
    }
  }

  // Where an entry of this key lies: its name is a hash, since names of files are short.
  [[nodiscard]] std::filesystem::path place_of(const std::string& key) const {
    u64 a = 0x243f6a8885a308d3ull, b = 0x13198a2e03707344ull;
    for (char c : key)
      a = mix(a, static_cast<unsigned char>(c)), b = combine(b, static_cast<unsigned char>(c));
    char name[40];
    std::snprintf(name, sizeof name, "%016llx%016llx.kernel", a, b);
    return folder_ / name;
  }

 private:
  static constexpr char magic[8] = {'F', 'L', 'A', 'M', 'E', 'K', '0', '1'};
  static constexpr u64 most_bytes = u64{1} << 30;
  struct header {
    char magic[8] = {};
    u64 sum = 0, key_size = 0, value_size = 0;
  };
  static u64 sum_of(const std::string& text) {
    u64 h = text.size();
    for (char c : text) h = combine(h, static_cast<unsigned char>(c));
    return h;
  }
  // A name that no other process takes, even one of the same number on another machine or in a container.
  static std::filesystem::path draft_of(std::filesystem::path place) {
    static std::atomic<unsigned> count{0};
    const auto now = std::chrono::system_clock::now().time_since_epoch().count();
    place += "." + std::to_string(::getpid()) + "." + std::to_string(now) + "." + std::to_string(count++);
    return place;
  }
  static bool write_all(int file, const char* from, std::size_t bytes) {
    while (bytes > 0) {
      const ssize_t done = ::write(file, from, bytes);
      if (done < 0 && errno == EINTR) continue;
      if (done <= 0) return false;
      from += done, bytes -= static_cast<std::size_t>(done);
    }
    return true;
  }

  std::filesystem::path folder_;
};

}  // namespace flame::cuda_kernels
