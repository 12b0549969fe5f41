// Kernels compiled and kept on disk, whatever happens to the disk and whoever else uses it. NVRTC needs no
// GPU.
//
// labels: cuda
// needs: flame::cuda
#include <doctest/doctest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <flame/run/cuda/kernel_images.hpp>

#include <csignal>

#include "../support.hpp"

namespace {

using namespace flame;
using namespace flame::cuda_kernels;
namespace fs = std::filesystem;

const std::vector<std::string> names{"flame::kernel::copy<4>", "flame::kernel::copy<8>",
                                     "flame::kernel::fill_zeros<2>", "flame::kernel::gather<4>"};

fs::path fresh_folder() {
  static int count = 0;
  return fs::temp_directory_path() / ("cache" + std::to_string(count++));
}
std::vector<fs::path> files_in(const fs::path& folder) {
  std::vector<fs::path> all;
  std::error_code failed;
  for (fs::directory_iterator at(folder, failed), end; !failed && at != end; at.increment(failed))
    all.push_back(at->path());
  return all;
}
std::string content(const fs::path& file) {
  std::ifstream from(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(from), {}};
}
void write(const fs::path& file, const std::string& text) {
  std::ofstream(file, std::ios::binary | std::ios::trunc) << text;
}
using flame::tests::refusal;
// Of the machine code for a GPU: an ELF file.
bool is_code(const machine_code& code) {
  return code.image.size() > 64 && code.image.compare(1, 3, "ELF") == 0 && !code.symbol.empty();
}
// What f returns, in another process.
template <class F> int in_child(F&& f) {
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) ::_exit(f());
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

// First, before this process has threads: processes are forked. A child that hangs ends by its alarm.
TEST_CASE("processes that compile the same kernels into one new folder at once all succeed") {
  const disk_cache cache(fresh_folder());
  std::vector<pid_t> children;
  for (int i = 0; i < 4; ++i) {
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      ::alarm(300);
      int good = 0;
      try {
        kernel_images images(90, cache);
        for (const machine_code& c : images.get(names)) good += is_code(c);
      } catch (...) {
      }
      ::_exit(good == static_cast<int>(names.size()) ? 0 : 1);
    }
    children.push_back(child);
  }
  for (pid_t child : children) {
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 0);
  }
  CHECK(files_in(cache.folder()).size() == names.size());  // and no drafts
  kernel_images images(90, cache);
  for (const machine_code& c : images.get(names)) CHECK(is_code(c));
  CHECK(images.from_disk() == static_cast<int>(names.size()));
  CHECK(images.compiled() == 0);
}

TEST_CASE("a process that dies while it writes leaves a draft, which hurts nobody and is removed later") {
  const fs::path folder = fresh_folder();
  fs::create_directories(folder);
  const fs::path old = folder / "0.kernel.1.2.3", young = folder / "0.kernel.4.5.6",
                 other = folder / "notes.txt";
  for (const fs::path& file : {old, young, other}) write(file, "half of an entry");
  for (const fs::path& file : {old, other})
    fs::last_write_time(file, fs::file_time_type::clock::now() - std::chrono::hours(2));
  kernel_images images(90, disk_cache(folder));
  CHECK(is_code(images.get({names[0]})[0]));
  CHECK_FALSE(fs::exists(old));
  CHECK(fs::exists(young));
  CHECK(fs::exists(other));
}

TEST_CASE("damaged entries are compiled again and made good") {
  const disk_cache cache(fresh_folder());
  kernel_images first(90, cache);
  const std::string symbol = first.get({names[0]})[0].symbol;
  const fs::path entry = cache.place_of(first.key_of(names[0]));
  const std::string good = content(entry);
  REQUIRE(good.size() > 1000);
  auto expect_compiled = [&] {
    kernel_images again(90, cache);
    const machine_code code = again.get({names[0]})[0];
    CHECK(code.symbol == symbol);
    CHECK(is_code(code));
    CHECK(again.compiled() == 1);
    CHECK(content(entry) == good);
    CHECK(files_in(cache.folder()).size() == 1);
  };
  for (std::size_t length : {std::size_t{0}, std::size_t{7}, std::size_t{40}, good.size() - 1}) {
    INFO("cut to " << length);
    write(entry, good.substr(0, length));
    expect_compiled();
  }
  for (std::size_t at : {std::size_t{0}, std::size_t{9}, std::size_t{20}, std::size_t{31}, good.size() / 2}) {
    INFO("another byte at " << at);
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 0x40);
    write(entry, bad);
    expect_compiled();
  }
  write(entry, good + "more");
  expect_compiled();
  // An entry of another key at this place, as two keys of one hash would be.
  fs::remove(entry);
  REQUIRE(cache.put("another key", std::string("symbol") + '\0' + "code"));
  fs::rename(cache.place_of("another key"), entry);
  expect_compiled();
}

TEST_CASE("what is no file at an entry's place is left alone and not waited for") {
  const disk_cache cache(fresh_folder());
  kernel_images images(90, cache);
  const fs::path entry = cache.place_of(images.key_of(names[0]));
  fs::create_directories(entry / "inside");
  CHECK(is_code(images.get({names[0]})[0]));
  CHECK(fs::exists(entry / "inside"));
  fs::remove_all(entry);
  REQUIRE(::mkfifo(entry.c_str(), 0600) == 0);
  CHECK(is_code(images.get({names[0]})[0]));
  CHECK(images.compiled() == 2);
}

TEST_CASE("a folder that cannot be made, read or written costs the entries and nothing else") {
  const fs::path folder = fresh_folder();
  write(folder, "a file where the folder should be");
  for (const fs::path& place : {folder, folder / "below", fs::path("/proc/flame"), fs::path()}) {
    const disk_cache cache(place);
    CHECK_FALSE(cache.put("key", "value"));
    CHECK_FALSE(cache.get("key"));
    kernel_images images(90, cache);
    CHECK(is_code(images.get({names[0]})[0]));
    CHECK(images.compiled() == 1);
  }
  CHECK(content(folder) == "a file where the folder should be");
  const fs::path closed = fresh_folder();
  fs::create_directories(closed);
  CHECK(in_child([&] {
          // As somebody whom permissions bind, whoever runs this test.
          if (::chmod(closed.c_str(), 0555) != 0 || (::getuid() == 0 && ::setuid(65534) != 0)) return 2;
          return disk_cache(closed).put("key", "value") ? 1 : 0;
        }) == 0);
  CHECK(files_in(closed).empty());
}

TEST_CASE("a full disk keeps no half entry") {
  const disk_cache cache(fresh_folder());
  REQUIRE(cache.put("key", "old"));
  CHECK(in_child([&] {
          const rlimit most{100, 100};
          ::signal(SIGXFSZ, SIG_IGN);
          ::setrlimit(RLIMIT_FSIZE, &most);
          return cache.put("key", std::string(5000, 'x')) ? 1 : 0;
        }) == 0);
  CHECK(cache.get("key") == "old");
  CHECK(files_in(cache.folder()).size() == 1);
}

TEST_CASE("another architecture is another entry") {
  const disk_cache cache(fresh_folder());
  kernel_images hopper(90, cache), ampere(80, cache);
  const machine_code a = hopper.get({names[0]})[0], b = ampere.get({names[0]})[0];
  CHECK(ampere.compiled() == 1);
  CHECK(a.image != b.image);
  CHECK(files_in(cache.folder()).size() == 2);
  CHECK(hopper.key_of(names[0]) != hopper.key_of(names[1]));
}

TEST_CASE("a kernel that cannot be compiled says what it is for, and the others are kept") {
  const disk_cache cache(fresh_folder());
  kernel_images images(90, cache);
  const std::string bad = "flame::kernel::copy<3>";
  const std::string text = refusal([&] {
    static_cast<void>(images.get({names[0], bad, names[1]}, [&](const std::string& name) {
      return name == bad ? std::string("step 2 of 5, result = exp(x) * y (in block),") : "";
    }));
  });
  CHECK(
      text.starts_with("flame::compile<cuda>: step 2 of 5, result = exp(x) * y (in block), has no kernel: "
                       "flame::cuda: the kernel flame::kernel::copy<3> does not compile for sm_90"));
  CHECK(text.find("error") != std::string::npos);
  CHECK(files_in(cache.folder()).size() == 2);
  CHECK(refusal([&] {
          static_cast<void>(images.get({bad}));
        }).starts_with("flame::cuda: the kernel flame::kernel::copy<3> does not compile for sm_90"));
  CHECK(refusal([&] {
          static_cast<void>(kernel_images(1, cache).get({names[0]}));
        }).find("does not compile for sm_1 ") != std::string::npos);
  CHECK(refusal([&] { static_cast<void>(images.get({"flame::kernel::group<"})); }) != "");
}

}  // namespace
