// Profiles of made-up times: bounds, the order, the table and the picture. Needs no GPU.
//
// labels: cuda
#include <doctest/doctest.h>
#include <flame/language.hpp>
#include <flame/run/create.hpp>
#include <flame/run/cuda/profile_text.hpp>
#include <flame/run/function.hpp>

#include <filesystem>

namespace {

using namespace flame;

inline constexpr struct row : dim<> {
} row;
inline constexpr struct inner : dim<> {
} inner;
inline constexpr struct col : dim<> {
} col;
inline constexpr struct left : input<f32, row, inner> {
} left;
inline constexpr struct right : input<f32, inner, col> {
} right;

// A product of 1000 x 500 x 2000 and a map of 2 million numbers, on a GPU of 1 TB/s and 10 TFLOP/s.
struct profiled {
  program p;
  program_profile of;
  explicit profiled(std::vector<double> times = {400, 20}) {
    auto f = compile<host>(max(tanh(matmul(left, right, inner)), col), left, right);
    p = f.plan(zeros<f32>(row == 1000, inner == 500), zeros<f32>(inner == 500, col == 2000));
    of = profile_of(p, times, {1e12, 10e12, 5e12, 100e12});
  }
};
bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

TEST_CASE("the bound is what bytes or operations need, whichever need more") {
  const profiled both;
  REQUIRE(both.of.steps.size() == 2);
  const step_profile &product = both.of.steps[0], &map = both.of.steps[1];
  CHECK(product.what.kind == "contract");
  CHECK_FALSE(product.by_bytes);
  CHECK(product.bound == doctest::Approx(2e9 / 10e12 * 1e6));
  CHECK(product.reached() == doctest::Approx(0.5));
  CHECK(map.by_bytes);
  CHECK(map.bytes() == 4 * (2000000 + 1000));
  CHECK(map.bound == doctest::Approx(8.004));
  CHECK(both.of.microseconds() == doctest::Approx(420));
  CHECK(both.of.bound() == doctest::Approx(208.004));
  CHECK_THROWS_AS(static_cast<void>(profile_of(both.p, {1}, {})), error);
}

TEST_CASE("the table has the slowest step first, and every step") {
  const profiled slow_map({10, 30});
  CHECK(slow_map.of.steps[0].step == 1);
  const std::string text = profile_text(profiled().of);
  CHECK(has(text,
            "2 steps, 420.0 us one by one; their bytes and operations need 208.0 us, 50% of it (1000 GB/s)"));
  CHECK(has(text,
            "  400.00  95.2%     14.00      35     2.00     5.00   200.00 O   50%  ##########..........    0 "
            "contract m 1000 n 2000 k 500  contract[row, col](left, right)"));
  CHECK(has(text,
            "   20.00   4.8%      8.00     400     0.00     0.20     8.00 B   40%  .                       1 "
            "row 1000 x 2000  max[col](tanh("));
  CHECK(std::count(text.begin(), text.end(), '\n') == 4);
  CHECK(std::count_if(text.begin(), text.end(), [](char c) { return c == '#'; }) == 10);
  const std::string one = profile_text(profiled().of, 1, 5);
  CHECK(std::count(one.begin(), one.end(), '\n') == 3);
  CHECK(profile_text({}).starts_with("0 steps, 0.0 us"));
  CHECK(has(profile_text(profiled({0, 0}).of), "    0.00   0.0%"));
}

TEST_CASE("the picture has a bar for each step, whole and well formed") {
  const profiled both;
  const std::string svg = profile_svg(both.of, "a <title> & more");
  CHECK(svg.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\""));
  CHECK(svg.ends_with("</svg>\n"));
  CHECK(has(svg, "a &lt;title&gt; &amp; more"));
  CHECK(has(svg, "width=\"420.0\" height=\"16\" fill=\"#f6cfa6\""));  // the longest
  CHECK(has(svg, "width=\"210.0\" height=\"16\" fill=\"#c8660c\""));  // half of it needed
  CHECK(has(svg, "width=\"21.0\" height=\"16\" fill=\"#b5cfe8\""));
  CHECK(has(svg, ">400.00 us, 50% "));
  auto count = [&](const char* what) {
    int n = 0;
    for (std::size_t at = svg.find(what); at != std::string::npos; at = svg.find(what, at + 1)) ++n;
    return n;
  };
  CHECK(count("<g>") == 2);
  CHECK(count("<text") == count("</text>"));
  const std::string path = (std::filesystem::temp_directory_path() / "profile.svg").string();
  write_profile_svg(path, both.of, "a");
  CHECK(std::filesystem::file_size(path) == profile_svg(both.of, "a").size());
  CHECK_THROWS_AS(
      write_profile_svg((std::filesystem::temp_directory_path() / "no" / "p.svg").string(), both.of, ""),
      error);
  CHECK(profile_svg({}, "none").ends_with("</svg>\n"));
}

}  // namespace
