// Files to read: whole into memory, or as a read-only memory map.
#pragma once
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <flame/base/config.hpp>
#include <flame/base/error.hpp>

#include <cerrno>
#include <cstddef>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace flame {

// Foreign text (a tensor's name, a header's word) for an error message: one line, printable, at most 120
// bytes.
[[nodiscard]] inline std::string quote_text(std::string_view text) {
  constexpr std::size_t limit = 120;
  std::string out = "\"";
  for (char c : text.substr(0, limit)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) {
      const char* digit = "0123456789abcdef";
      out += {'\\', 'x', digit[byte >> 4], digit[byte & 15]};
    } else {
      out += c;
    }
  }
  out += text.size() > limit ? "...\"" : "\"";
  return out;
}

namespace detail {

// Throws "<operation>: <path>: <what>: <text of errno>".
[[noreturn]] inline void throw_errno(const char* operation, const std::string& path, const char* what,
                                     int code) {
  throw error(std::string(operation) + ": " + path + ": " + what + ": " +
              std::generic_category().message(code));
}

// Owner of a POSIX file descriptor.
class descriptor {
 public:
  descriptor() = default;
  explicit descriptor(int number) : number_(number) {}
  descriptor(descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  descriptor& operator=(descriptor&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }
  ~descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  [[nodiscard]] int get() const { return number_; }
  // Closes now; returns errno, 0 when it went well. EINTR counts as closed, as Linux has it.
  [[nodiscard]] int close() {
    const int number = std::exchange(number_, -1);
    return number >= 0 && ::close(number) != 0 && errno != EINTR ? errno : 0;
  }

 private:
  int number_ = -1;
};

[[nodiscard]] inline int open_retrying(const char* path, int flags, mode_t mode = 0) {
  int number;
  do number = ::open(path, flags | O_CLOEXEC, mode);
  while (number < 0 && errno == EINTR);
  return number;
}

[[nodiscard]] inline descriptor open_to_read(const char* operation, const std::string& path,
                                             struct stat& status) {
  if (path.find('\0') != path.npos) throw error(std::string(operation) + ": the path contains a zero byte");
  descriptor file(open_retrying(path.c_str(), O_RDONLY));
  if (file.get() < 0) throw_errno(operation, path, "cannot open", errno);
  if (::fstat(file.get(), &status) != 0) throw_errno(operation, path, "cannot stat", errno);
  if (S_ISDIR(status.st_mode)) throw_errno(operation, path, "cannot read", EISDIR);
  return file;
}

}  // namespace detail

// The whole content of a file, pipe or device, read up to its end.
// Throws flame::error with path and reason: missing, a directory, more than `limit` bytes, a failed read.
[[nodiscard]] inline std::vector<std::byte> read_file(const std::string& path,
                                                      u64 limit = std::numeric_limits<u64>::max()) {
  struct stat status {};
  detail::descriptor file = detail::open_to_read("read_file", path, status);
  const auto refuse_size = [&] {
    throw error("read_file: " + path + ": larger than the limit of " + std::to_string(limit) + " bytes");
  };
  const u64 expected = S_ISREG(status.st_mode) ? static_cast<u64>(status.st_size) : 0;
  if (expected > limit) refuse_size();
  // One byte more than expected, so that the read that meets the end needs no larger buffer.
  std::vector<std::byte> bytes(static_cast<std::size_t>(expected) + 1);
  std::size_t used = 0;
  while (true) {
    if (used == bytes.size()) bytes.resize(bytes.size() + bytes.size() / 2 + 65536);
    const std::size_t room = bytes.size() - used, most = std::size_t{1} << 30;
    const ssize_t got = ::read(file.get(), bytes.data() + used, room < most ? room : most);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) detail::throw_errno("read_file", path, "cannot read", errno);
    if (got == 0) break;
    used += static_cast<std::size_t>(got);
    if (used > limit) refuse_size();
  }
  bytes.resize(used);
  return bytes;
}

// A regular file as read-only memory. Pages are read when touched; an empty file is an empty span.
// The map shows the file as it is, not as it was: a file shortened by someone else faults when touched. Call
// refuse_change() before (and, for a guarantee, after) reading through it.
class mapped_file {
 public:
  mapped_file() = default;
  // Throws flame::error with path and reason: missing, a directory, not a regular file, cannot be mapped.
  explicit mapped_file(const std::string& path) : path_(path) {
    file_ = detail::open_to_read("mapped_file", path_, status_);
    if (!S_ISREG(status_.st_mode)) throw error("mapped_file: " + path_ + ": not a regular file");
    size_ = static_cast<std::size_t>(status_.st_size);
    if (size_ == 0) return;
    void* address = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, file_.get(), 0);
    if (address == MAP_FAILED) detail::throw_errno("mapped_file", path_, "cannot map", errno);
    data_ = static_cast<const std::byte*>(address);
  }
  mapped_file(mapped_file&& other) noexcept { swap(other); }
  mapped_file& operator=(mapped_file&& other) noexcept {
    swap(other);
    return *this;
  }
  ~mapped_file() {
    if (data_) ::munmap(const_cast<std::byte*>(data_), size_);
  }

  [[nodiscard]] std::span<const std::byte> bytes() const { return {data_, size_}; }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] const std::string& path() const { return path_; }

  // Throws flame::error when the file's size or time of modification is no longer what it was when mapped.
  void refuse_change() const {
    if (file_.get() < 0) return;
    struct stat now {};
    if (::fstat(file_.get(), &now) != 0) detail::throw_errno("mapped_file", path_, "cannot stat", errno);
    if (now.st_size != status_.st_size)
      throw error("mapped_file: " + path_ + ": changed its size while mapped, from " +
                  std::to_string(status_.st_size) + " to " + std::to_string(now.st_size) + " bytes");
    if (now.st_mtim.tv_sec != status_.st_mtim.tv_sec || now.st_mtim.tv_nsec != status_.st_mtim.tv_nsec)
      throw error("mapped_file: " + path_ + ": was written while mapped");
  }

 private:
  void swap(mapped_file& other) noexcept {
    std::swap(path_, other.path_);
    std::swap(file_, other.file_);
    std::swap(status_, other.status_);
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
  }

  std::string path_;
  detail::descriptor file_;
  struct stat status_ {};
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace flame
