// Reading, mapping and writing files: errors say path and reason, a failed or killed write leaves the old
// file whole.
#include <sys/resource.h>
#include <sys/wait.h>
#include <flame/io/atomic_file.hpp>

#include <csignal>
#include <thread>

#include "scratch.hpp"

using namespace flame;

TEST_CASE("read_file reads what write_atomically wrote") {
  scratch here;
  for (std::size_t size : {0u, 1u, 65536u, 1000003u}) {
    std::string text(size, '\0');
    for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>(i * 7 + i / 256);
    write_atomically(here / "a", text);
    CHECK(text_of(read_file(here / "a")) == text);
    CHECK(text_of(mapped_file(here / "a").bytes()) == text);
    CHECK(here.count() == 1);
  }
}

TEST_CASE("read_file reads to the end of what has no size") {
  CHECK(read_file("/dev/null").empty());
  CHECK_REFUSED("larger than the limit of 1000 bytes", read_file("/dev/zero", 1000));
  if (::access("/proc/self/status", R_OK) == 0) CHECK(read_file("/proc/self/status").size() > 100);
}

TEST_CASE("reading says path and reason") {
  scratch here;
  const std::string missing = here / "missing";
  CHECK_REFUSED(missing + ": cannot open: No such file or directory", read_file(missing));
  CHECK_REFUSED(missing + ": cannot open: No such file or directory", mapped_file(missing));
  CHECK_REFUSED("Is a directory", read_file(here / ""));
  CHECK_REFUSED("Is a directory", mapped_file(here / ""));
  CHECK_REFUSED("not a regular file", mapped_file("/dev/null"));
  CHECK_REFUSED("zero byte", read_file(std::string("a\0b", 3)));
  write_atomically(here / "five", "12345");
  CHECK_REFUSED("larger than the limit of 4 bytes", read_file(here / "five", 4));
  CHECK(read_file(here / "five", 5).size() == 5);
}

TEST_CASE("a mapped file that changes is refused") {
  scratch here;
  write_atomically(here / "a", "0123456789");
  mapped_file map(here / "a");
  map.refuse_change();
  SUBCASE("shorter") {
    std::filesystem::resize_file(here / "a", 4);
    CHECK_REFUSED("changed its size while mapped, from 10 to 4 bytes", map.refuse_change());
  }
  SUBCASE("longer") {
    std::filesystem::resize_file(here / "a", 11);
    CHECK_REFUSED("changed its size while mapped, from 10 to 11 bytes", map.refuse_change());
  }
  SUBCASE("rewritten in place") {
    std::filesystem::last_write_time(here / "a",
                                     std::filesystem::file_time_type::clock::now() + std::chrono::hours(1));
    CHECK_REFUSED("was written while mapped", map.refuse_change());
  }
  SUBCASE("replaced: the map keeps the old one") {
    write_atomically(here / "a", "other");
    map.refuse_change();
    CHECK(text_of(map.bytes()) == "0123456789");
  }
  SUBCASE("moved objects keep the map") {
    mapped_file other(std::move(map));
    map = std::move(other);
    map.refuse_change();
    CHECK(text_of(map.bytes()) == "0123456789");
  }
}

TEST_CASE("without a commit nothing happens") {
  scratch here;
  write_atomically(here / "a", "old");
  {
    atomic_writer out(here / "a");
    out.write("new");
    CHECK(here.count() == 2);
  }
  CHECK(here.count() == 1);
  CHECK_THROWS_AS(write_atomically(here / "a",
                                   [](atomic_writer& out) {
                                     out.write("new");
                                     throw 5;
                                   }),
                  int);
  CHECK(here.count() == 1);
  CHECK(text_of(read_file(here / "a")) == "old");
  write_atomically(here / "a", {bytes_of("n"), bytes_of(""), bytes_of("ew")});
  CHECK(text_of(read_file(here / "a")) == "new");
  atomic_writer out(here / "a");
  out.commit();
  CHECK_REFUSED("already committed", out.commit());
  CHECK_REFUSED("already committed", out.write("x"));
}

TEST_CASE("writing keeps permissions and follows links") {
  scratch here;
  namespace fs = std::filesystem;
  write_atomically(here / "a", "old");
  fs::permissions(here / "a", fs::perms::owner_read | fs::perms::owner_write);
  fs::create_symlink("a", here / "link");
  write_atomically(here / "link", "new");
  CHECK(fs::is_symlink(here / "link"));
  CHECK(text_of(read_file(here / "a")) == "new");
  CHECK(fs::status(here / "a").permissions() == (fs::perms::owner_read | fs::perms::owner_write));
  CHECK(here.count() == 2);
}

TEST_CASE("writing says path and reason") {
  scratch here;
  CHECK_REFUSED("No such file or directory", write_atomically(here / "no/such/file", "x"));
  CHECK_REFUSED("Is a directory", write_atomically(here / "", "x"));
  CHECK_REFUSED("the path is empty", write_atomically("", "x"));
  write_atomically(here / "file", "x");
  CHECK_REFUSED("Not a directory", write_atomically(here / "file/below", "x"));
  CHECK(here.count() == 1);
  if (std::filesystem::exists("/dev/full")) {
    CHECK_REFUSED("write: /dev/full: cannot write: No space left on device",
                  write_atomically("/dev/full", "x"));
    CHECK(std::filesystem::is_character_file("/dev/full"));
  }
}

// The kernel's limit on a file's size stands for a full disk: the write fails in the middle.
TEST_CASE("a write that fails in the middle leaves the old file and no temporary") {
  scratch here;
  const std::string old(50000, 'o'), fresh(300000, 'n');
  write_atomically(here / "a", old);
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    std::signal(SIGXFSZ, SIG_IGN);
    const rlimit most{100000, 100000};
    ::setrlimit(RLIMIT_FSIZE, &most);
    const std::string said = refusal([&] { write_atomically(here / "a", fresh); });
    ::_exit(has(said, here / "a") && has(said, "File too large") ? 0 : 1);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  CHECK(status == 0);
  CHECK(text_of(read_file(here / "a")) == old);
  CHECK(here.count() == 1);
}

TEST_CASE("a writer killed at any point leaves one of the two files whole") {
  scratch here;
  const std::string one(200000, '1'), two(300000, '2');
  write_atomically(here / "a", one);
  for (int round = 0; round < 20; ++round) {
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      for (int i = 0;; ++i) write_atomically(here / "a", i % 2 ? one : two);
    }
    ::usleep(static_cast<useconds_t>(500 + 700 * round));
    ::kill(child, SIGKILL);
    int status = 0;
    ::waitpid(child, &status, 0);
    REQUIRE(WIFSIGNALED(status));
    const std::string now = text_of(read_file(here / "a"));
    CHECK((now == one || now == two));
  }
}

TEST_CASE("writers of one file do not disturb each other") {
  scratch here;
  std::vector<std::thread> writers;
  for (char c : {'a', 'b', 'c', 'd'})
    writers.emplace_back([&here, c] {
      for (int i = 0; i < 10; ++i) write_atomically(here / "shared", std::string(10000, c));
    });
  for (std::thread& writer : writers) writer.join();
  const std::string text = text_of(read_file(here / "shared"));
  CHECK(text == std::string(10000, text[0]));
  CHECK(here.count() == 1);
}
