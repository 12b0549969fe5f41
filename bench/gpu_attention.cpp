// Attention on a GPU, forwards and backwards, each alone in a graph: a line of JSON for each shape with the
// quickest way that gives the same bits at every run, and one named "any order" where atomics are quicker;
// microseconds and TFLOP/s (of 4 b h q k d operations forwards and 10 backwards, as others count).
// bench/peer/gpu_attention.py is its peer. Arguments: f32, and words that a line's name must hold.
#include <flame/run/create.hpp>
#include <flame/run/cuda/steps.hpp>
#include <flame/run/function.hpp>

#include <cstdio>
#include <cstring>

using namespace flame;

namespace {

struct lengths {
  i64 batch, heads, queries, keys, dims;
};
constexpr lengths cases[] = {{4, 10, 4096, 4096, 64}, {4, 20, 1024, 1024, 64},  {4, 10, 4096, 77, 64},
                             {4, 20, 1024, 77, 64},   {4, 24, 4096, 4096, 128}, {128, 4, 49, 49, 24}};

inline constexpr struct element_count : dim<> {
} element_count;

// [batch, token, head, dim]
library::attention::operand rows(int tensor, i64 tokens, const lengths& s, bool queries) {
  library::attention::operand o;
  o.tensor = tensor;
  o.batch[0] = tokens * s.heads * s.dims, o.batch[1] = s.dims, o.dim = 1;
  (queries ? o.query[0] : o.key) = s.heads * s.dims;
  return o;
}
library::attention::operand sums(int tensor, const lengths& s) {  // [batch, token, head]
  library::attention::operand o;
  o.tensor = tensor, o.batch[0] = s.queries * s.heads, o.batch[1] = 1, o.query[0] = s.heads;
  return o;
}

}  // namespace

int main(int count, char** arguments) {
  cuda_code::context& c = cuda_code::context::current();
  cuda_code::trial on(c);
  cuda_kernels::dnn_engines cudnn;
  dtype element = dtype::bf16;
  for (int i = 1; i < count; ++i)
    if (std::strcmp(arguments[i], "f32") == 0) element = dtype::f32;
  for (const lengths& s : cases) {
    const std::string name = std::string(name_of(element)) + "." + std::to_string(s.batch) + "x" +
                             std::to_string(s.heads) + "x" + std::to_string(s.queries) + "x" +
                             std::to_string(s.keys) + "x" + std::to_string(s.dims);
    bool asked = true;
    for (int i = 1; i < count; ++i)
      asked =
          asked && (std::strcmp(arguments[i], "f32") == 0 || name.find(arguments[i]) != std::string::npos);
    if (!asked) continue;
    library::attention f;
    f.element = element, f.scale = 1 / std::sqrt(static_cast<double>(s.dims));
    f.batch_rank = 2, f.query_rank = 1;
    f.batch[0] = s.batch, f.batch[1] = s.heads, f.query[0] = s.queries, f.keys = s.keys, f.dims = s.dims;
    f.q = rows(0, s.queries, s, true), f.k = rows(1, s.keys, s, false), f.v = rows(2, s.keys, s, false);
    library::attention b = f;
    f.made = library::attention::result | library::attention::statistics;
    f.out = rows(3, s.queries, s, true), f.out_sums = sums(4, s);
    b.backward = true, b.made = 7;
    b.d = rows(3, s.queries, s, true), b.sums = sums(4, s), b.delta = sums(5, s);
    b.dq = rows(6, s.queries, s, true), b.dk = rows(7, s.keys, s, false), b.dv = rows(8, s.keys, s, false);
    b.attended = rows(9, s.queries, s, true);

    const i64 size = size_of(element), q = s.batch * s.queries * s.heads * s.dims * size,
              k = s.batch * s.keys * s.heads * s.dims * size, rows_bytes = s.batch * s.queries * s.heads * 4;
    const std::vector<void*> at = on.parts({q, k, k, q, rows_bytes, rows_bytes, q, k, k, q, i64{1} << 30});
    if (at.empty()) continue;
    const i64 bytes[] = {q, k, k, q};
    for (std::size_t i = 0; i < 4; ++i) {
      const auto numbers = normal(key(i + 1), element_count == bytes[i] / size);
      auto put = [&](const auto& t) {
        cuda_code::check(cudaMemcpy(at[i], t.data(), static_cast<std::size_t>(bytes[i]), cudaMemcpyDefault),
                         "bench", "cudaMemcpy");
      };
      if (element == dtype::f32)
        put(to<cuda>(numbers));
      else
        put(to<cuda>(eval(cast<bf16>(numbers))));
    }
    cuda_code::check(cudaMemset(at[5], 0, static_cast<std::size_t>(rows_bytes)), "bench", "cudaMemset");
    const std::vector<i64> alignments(10, 256);
    const int architecture = c.kernels().architecture();
    for (const library::attention* x : {&f, &b}) {
      const double flops =
          (x->backward ? 10.0 : 4.0) * static_cast<double>(s.batch * s.heads * s.queries * s.keys * s.dims);
      double before = 0;
      for (bool deterministic : {true, false}) {
        double best = 0;
        std::string way, all;
        for (int i = 0; i < cuda_kernels::prepared_attention::ways(*x, alignments, deterministic); ++i) try {
            const cuda_kernels::prepared_attention one(&cudnn, *x, alignments, architecture, deterministic,
                                                       i);
            c.kernels().prepare(one.names());
            if (one.workspace() > i64{1} << 30) continue;
            const double us = on.microseconds([&](cudaStream_t stream) {
              one.run(c.kernels(), at, static_cast<std::byte*>(at.back()), stream);
            });
            all += (all.empty() ? "" : ", ") + one.engine() + " " + std::to_string(static_cast<int>(us));
            if (best == 0 || us < best) best = us, way = one.engine();
          } catch (const error& e) {
            std::fprintf(stderr, "%s, way %d: %s\n", name.c_str(), i, e.what());
          }
        if (!deterministic && (!x->backward || best >= before)) continue;
        before = best;
        std::printf(
            "{\"name\": \"attention%s.%s%s\", \"us\": %.2f, \"tflops\": %.1f, \"way\": \"%s\", \"all\": "
            "\"%s\"}\n",
            x->backward ? "_backward" : "", name.c_str(), deterministic ? "" : ".any_order", best,
            flops / best / 1e6, way.c_str(), all.c_str());
        std::fflush(stdout);
      }
    }
  }
}
