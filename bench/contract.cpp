// Products of matrices in f32 at the diffusion step's shapes, beside bench/peer/matmul.py: forward, with
// respect to the input and to the weight, of every linear layer of examples/transformer.hpp at batch 128, and
// attention's. The bound is the processor's multiplications and additions, measured in registers.
#include <flame/flame.hpp>

#include "measure.hpp"

using namespace flame;

namespace {

inline constexpr struct lead : dim<> {
} lead;
inline constexpr struct row : dim<> {
} row;
inline constexpr struct inner : dim<> {
} inner;
inline constexpr struct col : dim<> {
} col;

inline constexpr struct a : input<f32, row, inner> {
} a;
inline constexpr struct a_turned : input<f32, inner, row> {
} a_turned;
inline constexpr struct b : input<f32, inner, col> {
} b;
inline constexpr struct b_turned : input<f32, col, inner> {
} b_turned;
inline constexpr struct as : input<f32, lead, row, inner> {
} as;
inline constexpr struct as_turned : input<f32, lead, inner, row> {
} as_turned;
inline constexpr struct bs : input<f32, lead, inner, col> {
} bs;
inline constexpr struct bs_turned : input<f32, lead, col, inner> {
} bs_turned;

template <class F, class X, class Y>
void report(const std::string& name, double flops, F& f, const X& p, const Y& q) {
  const double ms = bench::median_ms([&] { f(p, q); });
  std::printf("{\"name\": \"%s\", \"ms\": %.5g, \"flops\": %.0f, \"bound_ms\": %.5g}\n", name.c_str(), ms,
              flops, flops / bench::peak_gflops() / 1e6);
}

}  // namespace

int main(int argc, char** argv) {
  auto plain = compile<host>(matmul(a, b, inner), a, b);
  auto forward = compile<host>(matmul(a, b_turned, inner), a, b_turned);
  auto weight = compile<host>(matmul(a_turned, b, inner), a_turned, b);
  auto plain_each = compile<host>(contract(as, bs, lead, row, col), as, bs);
  auto forward_each = compile<host>(contract(as, bs_turned, lead, row, col), as, bs_turned);
  auto weight_each = compile<host>(contract(as_turned, bs, lead, row, col), as_turned, bs);

  bench::cases all;
  auto add = [&](const std::string& of, const std::string& how, i64 count, i64 m, i64 n, i64 k) {
    const std::string name = "matmul." + of + "." + (count > 1 ? std::to_string(count) + "x" : "") +
                             std::to_string(m) + "x" + std::to_string(n) + "x" + std::to_string(k);
    const double flops = 2.0 * static_cast<double>(count * m * n * k);
    all.add(name, [=, &plain, &forward, &weight, &plain_each, &forward_each, &weight_each] {
      const key one = key(1), two = key(2);
      if (count > 1) {
        if (how == "forward")
          report(name, flops, forward_each, normal<f32>(one, lead == count, row == m, inner == k),
                 normal<f32>(two, lead == count, col == n, inner == k));
        else if (how == "weight")
          report(name, flops, weight_each, normal<f32>(one, lead == count, inner == k, row == m),
                 normal<f32>(two, lead == count, inner == k, col == n));
        else
          report(name, flops, plain_each, normal<f32>(one, lead == count, row == m, inner == k),
                 normal<f32>(two, lead == count, inner == k, col == n));
      } else if (how == "forward") {
        report(name, flops, forward, normal<f32>(one, row == m, inner == k),
               normal<f32>(two, col == n, inner == k));
      } else if (how == "weight") {
        report(name, flops, weight, normal<f32>(one, inner == k, row == m),
               normal<f32>(two, inner == k, col == n));
      } else {
        report(name, flops, plain, normal<f32>(one, row == m, inner == k),
               normal<f32>(two, inner == k, col == n));
      }
    });
  };
  // y = x w^T, dx = dy w, dw = dy^T x: where the input is the batch itself, nobody asks for dx.
  auto linear = [&](const std::string& of, i64 rows, i64 out, i64 in, bool of_data = true) {
    add(of + ".forward", "forward", 1, rows, out, in);
    if (of_data) add(of + ".input", "plain", 1, rows, in, out);
    add(of + ".weight", "weight", 1, out, in, rows);
  };
  linear("patch", 6272, 96, 16, false);
  linear("time_fc1", 128, 96, 96, false);
  linear("time_fc2", 128, 96, 96);
  linear("modulation", 128, 576, 96);
  linear("projection", 6272, 96, 96);
  linear("fc1", 6272, 384, 96);
  linear("fc2", 6272, 96, 384);
  linear("final_modulation", 128, 192, 96);
  linear("final", 6272, 16, 96);
  add("scores", "forward", 512, 49, 49, 24);            // q k^T, and dy v^T
  add("values", "plain", 512, 49, 24, 49);              // p v, and ds k
  add("values_transposed", "weight", 512, 49, 24, 49);  // p^T dy, and ds^T q
  add("cube", "plain", 1, 1024, 1024, 1024);
  add("vector", "plain", 1, 1, 1024, 1024);
  return all.main(argc, argv);
}
