// Choices between ways of doing a library step: timed once, kept in a file, read from it, pinned. No GPU is
// needed: the times are made up.
//
// labels: cuda
// needs: flame::cuda
#include <doctest/doctest.h>

#include <flame/run/cuda/choices.hpp>

#include <sys/wait.h>

#include <fstream>

namespace {

using flame::cuda_code::choices;

// An environment of its own for each test case.
struct surroundings {
  std::filesystem::path folder = std::filesystem::temp_directory_path() / "choices";
  surroundings() {
    std::filesystem::remove_all(folder);
    setenv("FLAME_CACHE", folder.c_str(), 1);
    unsetenv("FLAME_CHOICES"), unsetenv("FLAME_TIMING");
  }
  ~surroundings() { unsetenv("FLAME_CACHE"), unsetenv("FLAME_CHOICES"), unsetenv("FLAME_TIMING"); }
};

// Chooses by these times; counts how many were asked for.
int choose(choices& from, const std::string& text, const std::vector<double>& times, int* asked = nullptr) {
  return from.choose(text, static_cast<int>(times.size()), [&](int way) {
    if (asked) ++*asked;
    return times[static_cast<std::size_t>(way)];
  });
}

TEST_CASE("the quickest way is taken, timed once, and known to the next process") {
  const surroundings here;
  int asked = 0;
  {
    choices first("GPU 1 cublas 2");
    CHECK(first.undecided("product", 3));
    CHECK(choose(first, "product", {5, 3, 4}, &asked) == 1);
    CHECK(asked == 3);
    CHECK_FALSE(first.undecided("product", 3));
    CHECK(choose(first, "product", {1, 9, 9}, &asked) == 1);
    CHECK(first.kept("product", 3) == 1);
    CHECK(first.kept("other", 3) == 0);
    CHECK(first.file().filename() == "choices-GPU-1-cublas-2.txt");
  }
  choices second("GPU 1 cublas 2"), other("GPU 2 cublas 2");
  CHECK(choose(second, "product", {1, 9, 9}, &asked) == 1);
  CHECK(asked == 3);
  CHECK(other.undecided("product", 3));
}

TEST_CASE("the first way stays where another is hardly quicker; ways that cannot be timed are not taken") {
  const surroundings here;
  choices c("gpu");
  CHECK(choose(c, "near", {5, 4.95}) == 0);
  CHECK(choose(c, "refused", {-1, 7, -1}) == 1);
  CHECK(choose(c, "none", {-1, -1}) == 0);
  CHECK(c.undecided("none", 2));  // memory was short, say: another time
  CHECK(choose(c, "one", {3}) == 0);
  CHECK_FALSE(c.undecided("one", 1));
}

TEST_CASE("another number of ways is another choice") {
  const surroundings here;
  {
    choices c("gpu");
    CHECK(choose(c, "product", {5, 3}) == 1);
  }
  choices c("gpu");
  CHECK(c.undecided("product", 3));
  CHECK(c.kept("product", 3) == 0);
  CHECK(choose(c, "product", {5, 6, 1}) == 2);
  choices again("gpu");
  CHECK(again.kept("product", 3) == 2);
}

TEST_CASE("a pinned file is read and nothing is timed; what it lacks is done the first way") {
  const surroundings here;
  std::filesystem::create_directories(here.folder);
  const std::filesystem::path file = here.folder / "pinned.txt";
  std::ofstream(file) << "2\t4\tproduct\t1.0 2.0\n";
  setenv("FLAME_CHOICES", file.c_str(), 1);
  choices c("gpu");
  int asked = 0;
  CHECK(choose(c, "product", {1, 2, 3, 4}, &asked) == 2);
  CHECK(choose(c, "other", {2, 1}, &asked) == 0);
  CHECK(asked == 0);
  CHECK(std::filesystem::file_size(file) == 20);
  setenv("FLAME_CHOICES", "/nowhere/at/all", 1);
  CHECK_THROWS_WITH(choices("gpu"), "flame::cuda: FLAME_CHOICES: cannot read /nowhere/at/all");
}

TEST_CASE("without timing it is the first way, whatever a file says") {
  const surroundings here;
  {
    choices c("gpu");
    CHECK(choose(c, "product", {5, 3}) == 1);
  }
  setenv("FLAME_TIMING", "0", 1);
  choices c("gpu");
  CHECK(choose(c, "product", {5, 3}) == 0);
}

TEST_CASE("lines that are damaged are passed over, and so is a folder that cannot be") {
  const surroundings here;
  std::filesystem::create_directories(here.folder);
  std::ofstream(here.folder / "choices-gpu.txt") << "\n1\n1\t2\n\t\t\t\n-1\t2\tnegative\t1\n5\t2\tbeyond\t1\n"
                                                 << "x\ty\twords\t\n1\t2\tproduct\t3.0 2.0\n1\t2\thalf";
  choices c("gpu");
  CHECK(c.kept("product", 2) == 1);
  for (const char* text : {"negative", "beyond", "words", "half", ""}) CHECK(c.undecided(text, 2));

  setenv("FLAME_CACHE", "/dev/null/nowhere", 1);
  choices none("gpu");
  CHECK(choose(none, "product", {5, 3}) == 1);
  CHECK(none.kept("product", 2) == 1);
}

TEST_CASE("processes that keep choices at once lose none") {
  const surroundings here;
  std::vector<pid_t> children;
  for (int p = 0; p < 4; ++p) {
    const pid_t child = fork();
    if (child == 0) {
      choices c("gpu");
      for (int i = 0; i < 100; ++i)
        static_cast<void>(
            choose(c, "product " + std::to_string(100 * p + i) + std::string(500, '.'), {5, 3}));
      _exit(0);
    }
    children.push_back(child);
  }
  for (pid_t child : children) {
    int status = -1;
    waitpid(child, &status, 0);
    CHECK(status == 0);
  }
  choices c("gpu");
  int found = 0;
  for (int i = 0; i < 400; ++i)
    found += c.kept("product " + std::to_string(i) + std::string(500, '.'), 2) == 1;
  CHECK(found == 400);
}

}  // namespace
