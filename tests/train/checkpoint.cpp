// Checkpoints: the same bytes again, PyTorch's layout and predictions, refusals that change nothing,
// resuming.
#include <doctest/doctest.h>

#include "../../examples/digits.hpp"

#include <flame/run/create.hpp>
#include <flame/train/resume.hpp>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "../support.hpp"

using namespace digits;
using flame::tests::copy;
using flame::tests::same_bits;

namespace {

std::string file(const std::string& name) { return (std::filesystem::temp_directory_path() / name).string(); }
std::string content(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

auto make(u64 seed = 0) {
  return init<cnn, host>(key(seed), narrow == 4, wide == 8, flat == 49 * 8, hidden == 16);
}
auto loss = [](auto m, auto x, auto label, auto k) { return cross_entropy(m(dropout(x, 0.1, k)), label); };

images draw(i64 n, u64 seed) {
  return uniform<f32>(key(seed), digits::batch == n, digits::height, digits::width, grey);
}
labels numbered(i64 n) {
  labels l(std::vector<i64>{n});
  for (i64 i = 0; i < n; ++i) l.data()[i] = static_cast<i32>(i % 10);
  return l;
}

// Writes tensors by hand, as no model would.
struct parts {
  std::vector<std::vector<float>> values;
  std::vector<safetensors::tensor_entry> entries;
  explicit parts(const std::string& from) {
    safetensors::reader r(from);
    for (const safetensors::tensor_entry& e : r.entries()) {
      values.emplace_back(e.bytes / 4);
      std::memcpy(values.back().data(), e.data, e.bytes);
      entries.push_back(e);
      entries.back().data = reinterpret_cast<const std::byte*>(values.back().data());
    }
  }
  safetensors::tensor_entry& at(const std::string& name) {
    for (safetensors::tensor_entry& e : entries)
      if (e.name == name) return e;
    throw error("no " + name);
  }
};

}  // namespace

TEST_CASE("save, load, save gives the same bytes") {
  auto m = make(1), n = make(2);
  save(file("a"), m, {{"note", "first"}});
  load(file("a"), n);
  CHECK(same_bits(m.flat().values(), n.flat().values()));
  save(file("b"), n, {{"note", "first"}});
  CHECK(content(file("a")) == content(file("b")));
  safetensors::reader r(file("a"));
  CHECK(r.metadata().at("note") == "first");
  CHECK(r.metadata().at("format") == "pt");
  CHECK(r.at("conv2.weight").shape == std::vector<i64>{8, 4, 3, 3});  // [out, in, row, column] in files
  float v;
  std::memcpy(&v, r.at("conv2.weight").data + 4 * (((2 * 4 + 3) * 3 + 1) * 3 + 2), 4);
  CHECK(v == m.values("conv2.weight")[static_cast<std::size_t>(((2 * 3 + 1) * 3 + 2) * 4 + 3)]);
}

TEST_CASE("a file that does not fit is refused by name, and the model is unchanged") {
  auto m = make(1), n = make(2);
  const std::vector<float> before = copy(n.flat().values());
  save(file("whole"), m);
  parts p(file("whole"));
  auto refused = [&](const std::string& words) {
    safetensors::write(file("broken"), p.entries);
    CHECK_THROWS_WITH_AS(load(file("broken"), n), doctest::Contains(words.c_str()), error);
    CHECK(same_bits(n.flat().values(), before));
  };
  SUBCASE("missing") {
    std::erase_if(p.entries, [](auto& e) { return e.name == "fc2.bias"; });
    refused("has no tensor fc2.bias");
  }
  SUBCASE("left over") {
    p.entries.push_back(p.entries[0]);
    p.entries.back().name = "fc3.bias";
    refused("has a tensor fc3.bias that the model does not have");
  }
  SUBCASE("another shape of as many elements") {
    p.at("conv2.weight").shape = {8, 3, 3, 4};
    refused("tensor conv2.weight has shape [8, 3, 3, 4], the model's is [8, 4, 3, 3]");
  }
  SUBCASE("integers") {
    p.at("fc2.bias").dtype = safetensors::dtype::int32;
    refused("tensor fc2.bias has element type I32, expected a floating one");
  }
  SUBCASE("cut short") {
    const std::string all = content(file("whole"));
    std::ofstream(file("broken"), std::ios::binary) << all.substr(0, all.size() - 1);
    CHECK_THROWS_AS(load(file("broken"), n), error);
    CHECK(same_bits(n.flat().values(), before));
  }
  SUBCASE("not there") { CHECK_THROWS_AS(load(file("nowhere"), n), error); }
}

TEST_CASE("other floating types are converted; a prefix is passed by") {
  auto m = make(1), n = make(2);
  save(file("whole"), m);
  parts p(file("whole"));
  std::vector<bf16> half(10);
  std::vector<double> twice(16);
  for (std::size_t i = 0; i < 10; ++i) half[i] = bf16(m.values("fc2.bias")[i]);
  for (std::size_t i = 0; i < 16; ++i) twice[i] = static_cast<double>(m.values("fc1.bias")[i]);
  p.at("fc2.bias").dtype = safetensors::dtype::bf16, p.at("fc2.bias").bytes = 20;
  p.at("fc2.bias").data = reinterpret_cast<const std::byte*>(half.data());
  p.at("fc1.bias").dtype = safetensors::dtype::f64, p.at("fc1.bias").bytes = 128;
  p.at("fc1.bias").data = reinterpret_cast<const std::byte*>(twice.data());
  for (safetensors::tensor_entry& e : p.entries) e.name = "net." + e.name;
  p.entries.push_back(p.entries[0]);
  p.entries.back().name = "other";
  safetensors::write(file("mixed"), p.entries);
  load(file("mixed"), n, "net.");
  CHECK(same_bits(n.values("fc1.bias"), m.values("fc1.bias")));
  CHECK(same_bits(n.values("fc1.weight"), m.values("fc1.weight")));
  for (std::size_t i = 0; i < 10; ++i) CHECK(n.values("fc2.bias")[i] == static_cast<float>(half[i]));
}

TEST_CASE("a training that is resumed gives the bits of one that never stopped") {
  auto m = make(), n = make(5);
  const step_options options{.seed = 7, .ema = 0.9, .clip_norm = 0.5};
  auto one = train_step(m, loss, adamw{.lr = 1e-2}, options);
  auto run = [](auto& step, int steps) {
    for (int i = 0; i < steps; ++i) step(draw(4, static_cast<u64>(step.steps())), numbered(4));
  };
  run(one, 3);
  save_training(file("training"), one);
  run(one, 3);
  auto two = train_step(n, loss, adamw{.lr = 1e-2}, options);
  load_training(file("training"), two);
  CHECK(two.steps() == 3);
  run(two, 3);
  CHECK(same_bits(m.flat().values(), n.flat().values()));
  CHECK(same_bits(one.averaged().flat().values(), two.averaged().flat().values()));
  save_training(file("one"), one), save_training(file("two"), two);
  CHECK(content(file("one")) == content(file("two")));

  const std::vector<float> before = copy(n.flat().values());
  save(file("weights"), m);
  CHECK_THROWS_WITH_AS(load_training(file("weights"), two),
                       doctest::Contains("has no tensor moment.0.conv1.weight"), error);
  CHECK_THROWS_WITH_AS(load(file("training"), n), doctest::Contains("has a tensor average."), error);
  CHECK(same_bits(n.flat().values(), before));
}

// Python's safetensors reads the file, and PyTorch predicts the same from it.
TEST_CASE("the twin in PyTorch") {
  if (std::system("python3 -c 'import torch, safetensors, numpy' > /dev/null 2>&1") != 0) {
    MESSAGE("skipped: no Python with torch, safetensors and numpy");
    return;
  }
  auto m = make(3);
  const images x = draw(20, 9);
  auto logits = forward(m, [](auto n, auto a) { return n(a); })(x);
  save(file("cnn"), m);
  auto entry = [](const char* name, const auto& t) {
    return safetensors::tensor_entry{name, safetensors::dtype::f32, t.shape(),
                                     reinterpret_cast<const std::byte*>(t.data()), t.values().size_bytes()};
  };
  auto twin = [&] {
    safetensors::write(file("batch"), std::vector{entry("image", x), entry("prediction", logits)});
    return std::system(("OMP_NUM_THREADS=1 python3 -B '" + std::string(std::getenv("FLAME_TESTS")) +
                        "/parity/twin.py' cnn '" + file("cnn") + "' '" + file("batch") + "' > /dev/null")
                           .c_str());
  };
  CHECK(twin() == 0);
  logits(3, 1) += 0.1f;
  CHECK(twin() != 0);
}
