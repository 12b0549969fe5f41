// All ways of the products of the diffusion step on a GPU: microseconds of cuBLASLt's algorithms and of
// FLAME's own kernels, beside what f32 sums need at 67 TFLOP/s. Arguments: bf16, and words that a line's name
// must hold.
#include <flame/run/cuda/steps.hpp>

#include <cstdio>
#include <cstring>

using namespace flame;

namespace {

struct product {
  const char* name;
  i64 batch, m, n, k;      // out[batch, m, n] = sum over k of a[batch, m, k] b[batch, k, n]
  i64 a[3], b[3], out[3];  // strides: a of batch, m, k; b of batch, k, n; out of batch, m, n
  i64 heads = 1, in = 0;   // one more axis of batches, with one stride in all operands but the scores
  i64 in_a = 0, in_b = 0, in_out = 0;
};

constexpr i64 rows = 6272;
const product products[] = {
    {"forward 96 -> 96", 1, rows, 96, 96, {0, 96, 1}, {0, 1, 96}, {0, 96, 1}},
    {"forward 96 -> 384", 1, rows, 384, 96, {0, 96, 1}, {0, 1, 96}, {0, 384, 1}},
    {"forward 384 -> 96", 1, rows, 96, 384, {0, 384, 1}, {0, 1, 384}, {0, 96, 1}},
    {"data 96 -> 96", 1, rows, 96, 96, {0, 96, 1}, {0, 96, 1}, {0, 96, 1}},
    {"data 384 -> 96", 1, rows, 96, 384, {0, 384, 1}, {0, 96, 1}, {0, 96, 1}},
    {"weights 96, 96", 1, 96, 96, rows, {0, 1, 96}, {0, 96, 1}, {0, 96, 1}},
    {"weights 384, 96", 1, 384, 96, rows, {0, 1, 384}, {0, 96, 1}, {0, 96, 1}},
    {"scores", 128, 49, 49, 24, {4704, 96, 1}, {4704, 1, 96}, {9604, 49, 1}, 4, 0, 24, 24, 2401},
    {"mixed", 128, 49, 24, 49, {9604, 49, 1}, {4704, 96, 1}, {4704, 96, 1}, 4, 0, 2401, 24, 24},
    {"keys", 128, 49, 24, 49, {9604, 1, 49}, {4704, 96, 1}, {4704, 96, 1}, 4, 0, 2401, 24, 24},
    {"mlp 784 -> 256", 1, 128, 256, 784, {0, 784, 1}, {0, 1, 784}, {0, 256, 1}},
};

library::contraction contraction_of(const product& p, dtype element) {
  library::contraction c;
  c.element = element;
  int i = 0;
  auto add = [&](i64 extent, i64 a, i64 b, i64 out) {
    c.extents[i] = extent, c.a_strides[i] = a, c.b_strides[i] = b, c.out_strides[i++] = out;
  };
  if (p.batch > 1) add(p.batch, p.a[0], p.b[0], p.out[0]), ++c.batch_rank;
  if (p.heads > 1) add(p.heads, p.in_a, p.in_b, p.in_out), ++c.batch_rank;
  add(p.m, p.a[1], 0, p.out[1]), add(p.n, 0, p.b[2], p.out[2]), add(p.k, p.a[2], p.b[1], 0);
  c.m_rank = c.n_rank = c.k_rank = 1;
  return c;
}

}  // namespace

int main(int count, char** arguments) {
  cuda_code::context& c = cuda_code::context::current();
  cuda_kernels::blas by(c.kernels());
  cuda_code::trial on(c);
  dtype element = dtype::f32;
  for (int i = 1; i < count; ++i)
    if (std::strcmp(arguments[i], "bf16") == 0) element = dtype::bf16;
  for (const product& p : products) {
    bool asked = true;
    for (int i = 1; i < count; ++i)
      asked = asked && (std::strcmp(arguments[i], "bf16") == 0 || std::strstr(p.name, arguments[i]));
    if (!asked) continue;
    const library::contraction what = contraction_of(p, element);
    cuda_kernels::contraction_options options;
    options.most_candidates = 16;
    options.architecture = c.kernels().architecture(), options.multiprocessors = c.multiprocessors();
    if (p.m % 4 || p.n % 4)
      options.alignment = {p.in_a == 2401 ? size_of(element) : 16, 16,
                           p.in_out == 2401 ? size_of(element) : 16};
    const cuda_kernels::prepared_contraction first = by.prepare(what, options);
    c.kernels().prepare(first.names_of_all());
    std::printf("%s: %lld products of %lldx%lldx%lld, %.2f us of sums\n", p.name, p.batch * p.heads, p.m, p.n,
                p.k, 2 * static_cast<double>(p.batch * p.heads * p.m * p.n * p.k) / 67e6);
    const std::vector<void*> at = on.parts({i64{64} << 20, i64{64} << 20, i64{64} << 20, i64{64} << 20});
    for (int way = 0; way < first.candidates(); ++way) try {
        options.candidate = way;
        const cuda_kernels::prepared_contraction one = by.prepare(what, options);
        const double us =
            on.microseconds([&](cudaStream_t stream) { by.run(one, at[0], at[1], at[2], stream, at[3]); });
        std::printf("  %7.2f  %s\n", us, one.engine().c_str());
      } catch (const std::exception& e) {
        std::printf("     none  %s\n", e.what());
      }
  }
}
