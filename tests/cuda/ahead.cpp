// Kernels compiled beforehand: the tables that flame::cuda brings hold what kernels/cuda/ lists, fit the
// devices that they are for and no others, and train to the same bits as kernels compiled now.
//
// labels: cuda
// needs: flame::cuda
#include "../../examples/digits.hpp"

#include <doctest/doctest.h>
#include <flame/run/cuda/ahead.hpp>
#include <flame/run/cuda/kernel_store.hpp>

#include <sys/wait.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <set>
#include <thread>

namespace {

using namespace flame;
using namespace flame::cuda_kernels;

const char* lists_folder() {
  static const std::string folder = std::string(std::getenv("FLAME_TESTS")) + "/../kernels/cuda";
  return folder.c_str();
}
std::set<std::string> lines_of(const std::filesystem::path& file) {
  std::set<std::string> all;
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);)
    if (!line.empty() && line[0] != '#') all.insert(line);
  return all;
}
std::set<std::string> listed() {
  std::set<std::string> all;
  for (const auto& file : std::filesystem::directory_iterator(lists_folder()))
    if (file.path().extension() == ".txt") all.merge(lines_of(file.path()));
  return all;
}
// FLAME_TEST_AHEAD: CMake had nvcc compile the lists.
bool is_built() {
#if defined(FLAME_TEST_AHEAD)
  return true;
#else
  MESSAGE("the lists are not compiled in this build");
  return false;
#endif
}

TEST_CASE("the tables of flame::cuda hold the kernels that its lists name, and nothing else") {
  if (!is_built()) return;
  std::set<std::string> known;
  for (const ahead_table* t = ahead_table::first(); t; t = t->next())
    for (const ahead_kernel& k : *t) {
      CHECK(k.function != nullptr);
      CHECK_MESSAGE(known.insert(k.name).second, k.name, " is there twice");
    }
  const std::set<std::string> expected = listed();
  CHECK(expected.size() > 100);
  CHECK(known == expected);
}

TEST_CASE("kernels are found for devices that their machine code runs on") {
  if (!is_built()) return;
  const ahead_table* first = ahead_table::first();
  REQUIRE(first);
  for (int device : {75, 80, 86, 89, 90, 100, 103, 120})
    CHECK((find_ahead("flame::kernel::copy<4>", device) != nullptr) ==
          runs_on(first->architectures(), device));
  CHECK(find_ahead("flame::kernel::copy<3>", 90) == nullptr);
  CHECK(find_ahead("", 90) == nullptr);
}

TEST_CASE("which architectures run on which devices") {
  CHECK(runs_on("90", 90));
  CHECK_FALSE(runs_on("90", 89));
  CHECK_FALSE(runs_on("90", 100));
  CHECK(runs_on("80", 86));  // of one major number, and not newer
  CHECK_FALSE(runs_on("86", 80));
  CHECK(runs_on("90a", 90));
  CHECK_FALSE(runs_on("100a", 103));
  CHECK(runs_on("100f", 103));
  CHECK(runs_on("80,90a", 86));
  CHECK(runs_on("80,90a", 90));
  CHECK_FALSE(runs_on("80,90a", 100));
  CHECK(runs_on("120", 121));
  CHECK_FALSE(runs_on("", 90));
  CHECK_FALSE(runs_on("native", 90));
}

TEST_CASE("tables come and go with the libraries that hold them") {
  const int kernel = 0;
  static const ahead_kernel kernels[] = {{"flame::kernel::of_a_test<1>", &kernel}, {"", nullptr}};
  {
    const ahead_table for_80("80", kernels);
    CHECK(find_ahead("flame::kernel::of_a_test<1>", 90) == nullptr);
    {
      const ahead_table for_90("90", kernels);
      CHECK(find_ahead("flame::kernel::of_a_test<1>", 90) == &kernel);
    }
    CHECK(find_ahead("flame::kernel::of_a_test<1>", 90) == nullptr);
    CHECK(find_ahead("flame::kernel::of_a_test<1>", 89) == &kernel);
  }
  CHECK(find_ahead("flame::kernel::of_a_test<1>", 80) == nullptr);
}

TEST_CASE("a list is written line by line, by several at once") {
  const std::filesystem::path file = std::filesystem::temp_directory_path() / "list.txt";
  setenv("FLAME_KERNEL_LIST", file.c_str(), 1);
  std::set<std::string> expected;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    const std::string name = "flame::kernel::of_thread<" +
                             std::string(static_cast<std::size_t>(1000 * t), '0') + std::to_string(t) + ">";
    expected.insert(name);
    threads.emplace_back([name] {
      for (int i = 0; i < 100; ++i) record_kernel(name.c_str());
    });
  }
  for (std::thread& t : threads) t.join();
  CHECK(lines_of(file) == expected);

  setenv("FLAME_KERNEL_LIST", "/nowhere/list.txt", 1);
  CHECK_THROWS_WITH(record_kernel("x"),
                    "flame::cuda: FLAME_KERNEL_LIST names /nowhere/list.txt, which cannot be written: "
                    "No such file or directory");
  unsetenv("FLAME_KERNEL_LIST");
  CHECK_NOTHROW(record_kernel("x"));
}

// ---- On a GPU ----

// Losses and a sum of the weights' bits after three steps of the example mlp.
std::string trained() {
  auto model = init<digits::mlp, cuda>(key(0), digits::hidden == 256);
  auto step = train_step(
      model, [](auto m, auto x, auto y) { return cross_entropy(m(x), y); }, adam{});
  digits::images image(std::vector<i64>{128, 28, 28, 1});
  digits::labels label(std::vector<i64>{128});
  for (i64 i = 0; i < image.size(); ++i) image.data()[i] = uniform_element<float>(1, static_cast<u64>(i));
  for (i64 i = 0; i < 128; ++i) label.data()[i] = static_cast<i32>(i % 10);
  const auto x = to<cuda>(image);
  const auto y = to<cuda>(label);
  std::string text;
  for (int i = 0; i < 3; ++i) text += std::to_string(__builtin_bit_cast(u32, step(x, y).item())) + " ";
  u64 bits = 0;
  for (float v : model.flat().to_vector()) bits = combine(bits, __builtin_bit_cast(u32, v));
  return text + std::to_string(bits);
}

TEST_CASE("trained with kernels that are compiled now" * doctest::skip(!std::getenv("FLAME_TEST_CHILD"))) {
  const std::string bits = trained();
  const kernel_counts& from = kernel_store::of(0).counts();
  std::printf("child: %d %d %d %s\n", from.ahead, from.from_disk, from.compiled, bits.c_str());
}

TEST_CASE("kernels compiled beforehand and now train to the same bits") {
  if (!is_built()) return;
  if (cuda::device_count() == 0) {
    MESSAGE("left out: there is no GPU here");
    return;
  }
  if (!runs_on(ahead_table::first()->architectures(), kernel_store::of(0).architecture())) {
    MESSAGE("left out: the kernels are compiled for sm_", ahead_table::first()->architectures());
    return;
  }
  setenv("FLAME_TIMING", "0", 1);  // the same ways in both processes
  const std::string bits = trained();
  const kernel_counts& from = kernel_store::of(0).counts();
  CHECK(from.ahead > 5);
  CHECK(from.from_disk == 0);
  CHECK(from.compiled == 0);

  // Another process, since a kernel store looks once.
  const std::string command = "FLAME_TEST_CHILD=1 FLAME_KERNELS_AHEAD=0 FLAME_CACHE= '" +
                              std::filesystem::read_symlink("/proc/self/exe").string() +
                              "' --test-case='trained with*' --no-skip";
  std::FILE* child = popen(command.c_str(), "r");
  REQUIRE(child);
  std::string said;
  for (char line[512]; std::fgets(line, sizeof line, child);)
    if (std::string(line).rfind("child: ", 0) == 0) said = line;
  CHECK(WEXITSTATUS(pclose(child)) == 0);
  CHECK(said == "child: 0 0 " + std::to_string(from.ahead) + " " + bits + "\n");
}

}  // namespace
