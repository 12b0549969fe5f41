// Compiled kernels on disk, shared by processes: an entry is whole or it is not there.
#pragma once
#include <flame/base/text.hpp>

#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>

namespace flame::cuda_kernels {

// Entries by a key of any length. A folder that cannot be written, a full disk or a damaged entry makes a
// kernel be compiled again, and nothing else: `put` says whether it could keep the entry.
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
    std::ifstream file(place_of(key), std::ios::binary);
    if (!file) return std::nullopt;
    header h;
    if (!file.read(reinterpret_cast<char*>(&h), sizeof h) || std::memcmp(h.magic, magic, sizeof magic) != 0 ||
        h.key_size != key.size() || h.value_size > most_bytes)
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
    static std::atomic<unsigned> count{0};
    const std::filesystem::path place = place_of(key);
    std::filesystem::path draft = place;
    draft += "." + std::to_string(::getpid()) + "." + std::to_string(count++);
    const std::string text = key + value;
    header h;
    std::memcpy(h.magic, magic, sizeof magic);
    h.sum = sum_of(text), h.key_size = key.size(), h.value_size = value.size();
    bool written = false;
    {
      std::ofstream file(draft, std::ios::binary | std::ios::trunc);
      file.write(reinterpret_cast<const char*>(&h), sizeof h);
      file.write(text.data(), static_cast<std::streamsize>(text.size()));
      file.close();
      written = file.good();
    }
    if (written) std::filesystem::rename(draft, place, failed);
    if (!written || failed) {
      std::error_code ignored;
      std::filesystem::remove(draft, ignored);
      return false;
    }
    return true;
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

  std::filesystem::path folder_;
};

}  // namespace flame::cuda_kernels
