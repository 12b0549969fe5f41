// Files to write, whole or not at all: a sibling temporary, fsync, rename, fsync of the directory.
#pragma once
#include <flame/io/file.hpp>

#include <atomic>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <initializer_list>
#include <memory>

namespace flame {

// Writes `<path>.tmp-<pid>-<n>` beside `path` and moves it there on commit(); without a commit the temporary
// is removed and whatever was at `path` stays. A symbolic link is followed: its target is replaced, the link
// stays. An existing file keeps its permissions. A path that names a device or a pipe (/dev/stdout,
// /dev/full) cannot be replaced: it is written directly, and only there bytes may arrive before a failure.
// Every failure throws flame::error with the path and errno's text. A killed process leaves its temporary
// behind.
class atomic_writer {
 public:
  explicit atomic_writer(const std::string& path) : path_(path), target_(path) {
    if (path.empty()) throw error("write: the path is empty");
    if (path.find('\0') != path.npos) throw error("write: the path contains a zero byte");
    struct stat status {};
    const bool exists = ::stat(path.c_str(), &status) == 0;
    if (exists && S_ISDIR(status.st_mode)) fail("cannot write", EISDIR);
    if (exists && !S_ISREG(status.st_mode)) {
      file_ = detail::descriptor(detail::open_retrying(path.c_str(), O_WRONLY));
      if (file_.get() < 0) fail("cannot open", errno);
      return;
    }
    if (exists) {
      const std::unique_ptr<char, decltype(&std::free)> real(::realpath(path.c_str(), nullptr), &std::free);
      if (!real) fail("cannot resolve", errno);
      target_ = real.get();
    }
    static std::atomic<unsigned> counter{0};
    int code = EEXIST;
    for (int attempt = 0; attempt < 1000 && code == EEXIST; ++attempt) {
      temporary_ = target_ + ".tmp-" + std::to_string(::getpid()) + "-" + std::to_string(counter++);
      file_ =
          detail::descriptor(detail::open_retrying(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL, 0666));
      code = file_.get() >= 0 ? 0 : errno;
    }
    if (code != 0) {
      temporary_.clear();
      fail("cannot create a temporary file beside it", code);
    }
    if (exists) (void)::fchmod(file_.get(), status.st_mode & 07777);  // not every file system has permissions
  }
  atomic_writer(const atomic_writer&) = delete;
  atomic_writer& operator=(const atomic_writer&) = delete;
  ~atomic_writer() { discard(); }

  void write(std::span<const std::byte> bytes) {
    if (file_.get() < 0) throw error("write: " + path_ + ": already committed");
    while (!bytes.empty()) {
      const std::size_t most = std::size_t{1} << 30;
      const ssize_t done = ::write(file_.get(), bytes.data(), bytes.size() < most ? bytes.size() : most);
      if (done < 0 && errno == EINTR) continue;
      if (done <= 0) fail("cannot write", done < 0 ? errno : EIO);
      bytes = bytes.subspan(static_cast<std::size_t>(done));
    }
  }
  void write(std::string_view text) { write(std::as_bytes(std::span(text.data(), text.size()))); }

  // After it returns, the file at `path` is the new one, also after a loss of power.
  void commit() {
    if (file_.get() < 0) throw error("write: " + path_ + ": already committed");
    if (temporary_.empty()) {
      if (const int code = file_.close()) fail("cannot close", code);
      return;
    }
    if (::fsync(file_.get()) != 0) fail("cannot fsync", errno);
    if (const int code = file_.close()) fail("cannot close", code);
    if (std::rename(temporary_.c_str(), target_.c_str()) != 0) fail("cannot rename onto it", errno);
    temporary_.clear();
    sync_directory();
  }

 private:
  void discard() noexcept {
    (void)file_.close();
    if (!temporary_.empty()) ::unlink(temporary_.c_str());
    temporary_.clear();
  }
  [[noreturn]] void fail(const char* what, int code) {
    discard();
    detail::throw_errno("write", path_, what, code);
  }
  void sync_directory() {
    const std::size_t slash = target_.rfind('/');
    const std::string directory = slash == target_.npos ? "." : slash == 0 ? "/" : target_.substr(0, slash);
    detail::descriptor file(detail::open_retrying(directory.c_str(), O_RDONLY | O_DIRECTORY));
    // EINVAL: a file system without fsync of directories. EACCES: one may write there but not list it.
    if (file.get() < 0 ? errno != EACCES : ::fsync(file.get()) != 0 && errno != EINVAL)
      fail("is written whole, but its directory cannot be synchronised", errno);
  }

  std::string path_, target_, temporary_;  // temporary_ is empty where the target is written directly
  detail::descriptor file_;
};

// Calls `fill(atomic_writer&)` and commits; if it throws, the old file stays and the temporary is removed.
template <class Fill>
requires requires(Fill& fill, atomic_writer& out) { fill(out); }
void write_atomically(const std::string& path, Fill&& fill) {
  atomic_writer out(path);
  fill(out);
  out.commit();
}

// Writes the concatenation of `parts`.
inline void write_atomically(const std::string& path,
                             std::initializer_list<std::span<const std::byte>> parts) {
  atomic_writer out(path);
  for (std::span<const std::byte> part : parts) out.write(part);
  out.commit();
}

inline void write_atomically(const std::string& path, std::span<const std::byte> bytes) {
  write_atomically(path, {bytes});
}

inline void write_atomically(const std::string& path, std::string_view text) {
  write_atomically(path, {std::as_bytes(std::span(text.data(), text.size()))});
}

}  // namespace flame
