// Attention on a GPU against scores in memory on the host, and each way of doing it against the others.
//
// labels: cuda
// needs: flame::cuda
#include <flame/run/cuda/steps.hpp>

#include "../run/attention_cases.hpp"
#include "attention_steps.hpp"
#include "gpu.hpp"

using namespace flame;
using namespace flame::cuda_tests;

TEST_CASE("attention on a GPU: every length, head and mask") { attention_tests::check_all<cuda>(); }

namespace {

inline constexpr struct element_count : dim<> {
} element_count;
template <class E> using numbers = device_tensor<E, element_count>;

numbers<bf16> drawn(u64 seed, i64 count) {
  return to<cuda>(eval(cast<bf16>(normal(key(seed), element_count == count))));
}
template <class E> numbers<E> empty(i64 count) { return to<cuda>(zeros<E>(element_count == count)); }

// sum over dim of d times the result, a query.
numbers<float> deltas(const numbers<bf16>& d, const numbers<bf16>& result, i64 dims) {
  const auto x = d.to_vector(), y = result.to_vector();
  auto delta = zeros<f32>(element_count == static_cast<i64>(x.size()) / dims);
  for (std::size_t i = 0; i < x.size(); ++i)
    delta.data()[i / static_cast<std::size_t>(dims)] += static_cast<float>(x[i]) * static_cast<float>(y[i]);
  return to<cuda>(delta);
}

}  // namespace

TEST_CASE("attention on a GPU: cuDNN's ways give what the tiles give, also in a CUDA graph") {
  if (cudnnGetVersion() < 91501) {
    MESSAGE("skipped: cuDNN " << cuda_kernels::dnn_version() << " is older than 9.15.1");
    return;
  }
  cuda_code::context& c = cuda_code::context::current();
  const cuda_code::trial on(c);
  cuda_kernels::dnn_engines cudnn;
  const std::vector<i64> alignments(10, 256);
  const lengths shapes[] = {{2, 3, 128, 128, 64},   {2, 3, 200, 77, 64},  {2, 2, 77, 200, 64},
                            {1, 2, 1, 77, 64},      {2, 2, 130, 130, 40}, {2, 2, 96, 96, 80},
                            {1, 2, 100, 100, 128},  {1, 2, 64, 64, 160},  {1, 1, 64, 64, 256},
                            {2, 20, 1024, 1024, 64}};
  for (const lengths& s : shapes)
    for (bool causal : {false, true}) {
      CAPTURE(s.queries);
      CAPTURE(s.keys);
      CAPTURE(s.dims);
      CAPTURE(causal);
      const i64 rows = s.batch * s.heads * s.queries, keys = s.batch * s.heads * s.keys;
      const auto q = drawn(1, rows * s.dims), k = drawn(2, keys * s.dims), v = drawn(3, keys * s.dims),
                 d = drawn(4, rows * s.dims);
      auto all_ways = [&](const library::attention& x, bool deterministic, const std::vector<void*>& at,
                          auto&& look) {
        for (int way = 0; way < cuda_kernels::prepared_attention::ways(x, alignments, deterministic); ++way) {
          CAPTURE(way);
          const cuda_kernels::prepared_attention one(&cudnn, x, alignments, c.kernels().architecture(),
                                                     deterministic, way);
          if (way > 1 && one.engine().find("no engine") != std::string::npos) continue;  // no second one
          c.kernels().prepare(one.names());
          const auto workspace = empty<float>(one.workspace() / 4 + 64);
          auto run = [&](cudaStream_t stream) {
            one.run(c.kernels(), at, reinterpret_cast<std::byte*>(const_cast<float*>(workspace.data())),
                    stream);
          };
          run(c.stream());
          look(way, true);
          CHECK(on.microseconds(run) > 0);
          look(way, false);
        }
      };
      auto address = [](const auto& t) { return const_cast<void*>(static_cast<const void*>(t.data())); };

      library::attention f = forwards(s), b = backwards(s);
      f.causal = b.causal = causal;
      const auto result = empty<bf16>(rows * s.dims);
      const auto sums = empty<float>(rows);
      auto first_result = result.to_vector();
      auto first_sums = sums.to_vector();
      all_ways(f, true, {address(q), address(k), address(v), address(result), address(sums)},
               [&](int way, bool once) {
                 if (way == 0 && once) first_result = result.to_vector(), first_sums = sums.to_vector();
                 double apart = 0, size = 0, most = 0;
                 const auto now = result.to_vector();
                 const auto now_sums = sums.to_vector();
                 for (std::size_t i = 0; i < now.size(); ++i) {
                   const double x = static_cast<float>(now[i]), y = static_cast<float>(first_result[i]);
                   apart += (x - y) * (x - y), size += y * y;
                 }
                 for (std::size_t i = 0; i < now_sums.size(); ++i)
                   most = std::max(most, std::fabs(static_cast<double>(now_sums[i] - first_sums[i])));
                 CHECK(std::sqrt(apart / size) < 0.01);
                 CHECK(most < 0.01);
               });

      const auto delta = deltas(d, result, s.dims);
      const auto dq = empty<bf16>(rows * s.dims), dk = empty<bf16>(keys * s.dims),
                 dv = empty<bf16>(keys * s.dims);
      std::vector<std::vector<bf16>> first, before;
      auto gradients = [&]() -> std::vector<std::vector<bf16>> {
        return {dq.to_vector(), dk.to_vector(), dv.to_vector()};
      };
      auto expect_first = [&](const std::vector<std::vector<bf16>>& now) {
        // Of one key the weight is 1, and the gradients of q and k are rounding alone.
        if (s.keys == 1 || (s.queries == 1 && causal)) return;
        for (std::size_t t = 0; t < 3; ++t) {
          CAPTURE(t);
          double apart = 0, size = 0;
          for (std::size_t i = 0; i < now[t].size(); ++i) {
            const double x = static_cast<float>(now[t][i]), y = static_cast<float>(first[t][i]);
            apart += (x - y) * (x - y), size += y * y;
          }
          CHECK(std::sqrt(apart / size) < 0.02);
        }
      };
      const std::vector<void*> at = {address(q),     address(k),      address(v),  address(d),  address(sums),
                                     address(delta), address(result), address(dq), address(dk), address(dv)};
      for (bool deterministic : {true, false})
        all_ways(b, deterministic, at, [&](int way, bool once) {
          const auto now = gradients();
          if (way == 0 && once) first = now;
          expect_first(now);
          if (deterministic && !once) CHECK(now == before);
          before = now;
        });

      if (s.queries != 200) continue;  // a head at a time
      cuda_kernels::dnn_attention_options few;
      few.engine.most_workspace = i64{128} << 10;
      const cuda_kernels::dnn_attention parts(cudnn, b, few);
      REQUIRE(parts.possible());
      CHECK(parts.executions() == s.batch * s.heads);
      const auto workspace = empty<float>(parts.workspace() / 4 + 64);
      parts.run(at, static_cast<std::byte*>(address(workspace)), c.stream());
      expect_first(gradients());
    }
}
