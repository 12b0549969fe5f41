// Row groups, beside bench/peer/rows.py: softmax, log_softmax, layer norm with weight and bias, cross
// entropy, f32, and their gradients, each one kernel. Bytes are those that must be read and written once; the
// bound is a copy of as many.
#include <flame/flame.hpp>

#include "measure.hpp"

using namespace flame;

namespace {

inline constexpr struct row : dim<> {
} row;
inline constexpr struct column : dim<> {
} column;
inline constexpr struct x : input<f32, row, column> {
} x;
inline constexpr struct dy : input<f32, row, column> {
} dy;
inline constexpr struct scale : input<f32, column> {
} scale;
inline constexpr struct shift : input<f32, column> {
} shift;
inline constexpr struct label : input<i32, row> {
} label;

auto normed() { return layer_norm(x, 1e-6, column) * scale + shift; }

// `passes`: how many times the matrix is read or written.
template <class F, class... T>
void report(const std::string& name, double elements, int passes, F& f, const T&... inputs) {
  const double bytes = 4 * elements * passes, ms = bench::median_ms([&] { f(inputs...); });
  std::printf("{\"name\": \"%s\", \"ms\": %.5g, \"bytes\": %.0f, \"bound_ms\": %.5g}\n", name.c_str(), ms,
              bytes, bench::copy_ms(bytes));
}

}  // namespace

int main(int argc, char** argv) {
  auto softmax_forward = compile<host>(softmax(x, column), x);
  auto softmax_gradient = compile<host>(grad(sum(softmax(x, column) * dy), x), x, dy);
  auto log_softmax_forward = compile<host>(log_softmax(x, column), x);
  auto log_softmax_gradient = compile<host>(grad(sum(log_softmax(x, column) * dy), x), x, dy);
  auto layer_norm_forward = compile<host>(normed(), x, scale, shift);
  auto layer_norm_gradient = compile<host>(grad(sum(normed() * dy), x, scale, shift), x, scale, shift, dy);
  auto entropy_forward = compile<host>(cross_entropy(x, label), x, label);
  auto entropy_gradient = compile<host>(grad(cross_entropy(x, label), x), x, label);

  bench::cases all;
  for (const auto& [rows, columns] : {std::pair{6272, 96}, {25088, 49}, {16384, 640}, {4096, 4096}}) {
    const i64 m = rows, n = columns;
    const std::string shape = std::to_string(m) + "x" + std::to_string(n);
    auto add = [&](const std::string& operation, const std::string& part, int passes, auto f) {
      const std::string name = "row." + operation + "." + shape + "." + part;
      all.add(name, [=] { f(name, static_cast<double>(m * n), passes); });
    };
    auto matrix_of = [=](u64 seed) { return normal<f32>(key(seed), row == m, column == n); };
    auto vector_of = [=](u64 seed) { return normal<f32>(key(seed), column == n); };
    auto labels = [=] {
      auto t = empty<i32>(row == m);
      for (i64 i = 0; i < m; ++i) t.data()[i] = static_cast<i32>((i * 7919) % n);
      return t;
    };
    add("softmax", "forward", 2,
        [&, matrix_of](auto... of) { report(of..., softmax_forward, matrix_of(1)); });
    add("softmax", "gradient", 3,
        [&, matrix_of](auto... of) { report(of..., softmax_gradient, matrix_of(1), matrix_of(2)); });
    add("log_softmax", "forward", 2,
        [&, matrix_of](auto... of) { report(of..., log_softmax_forward, matrix_of(1)); });
    add("log_softmax", "gradient", 3,
        [&, matrix_of](auto... of) { report(of..., log_softmax_gradient, matrix_of(1), matrix_of(2)); });
    add("layer_norm", "forward", 2, [&, matrix_of, vector_of](auto... of) {
      report(of..., layer_norm_forward, matrix_of(1), vector_of(3), vector_of(4));
    });
    add("layer_norm", "gradient", 3, [&, matrix_of, vector_of](auto... of) {
      report(of..., layer_norm_gradient, matrix_of(1), vector_of(3), vector_of(4), matrix_of(2));
    });
    add("cross_entropy", "forward", 1,
        [&, matrix_of, labels](auto... of) { report(of..., entropy_forward, matrix_of(1), labels()); });
    add("cross_entropy", "gradient", 2,
        [&, matrix_of, labels](auto... of) { report(of..., entropy_gradient, matrix_of(1), labels()); });
  }
  // For what has no bound of its own: GB/s of a copy that no cache holds.
  all.add("machine.copy", [] {
    const double bytes = 1 << 28, ms = bench::copy_ms(bytes);
    std::printf("{\"name\": \"machine.copy\", \"ms\": %.5g, \"bytes\": %.0f, \"bound_ms\": %.5g}\n", ms,
                bytes, ms);
  });
  return all.main(argc, argv);
}
