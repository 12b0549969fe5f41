// Which attention cuDNN takes, forwards and backwards: its plans for an H200, made without one, by the driver
// of tests/cuda/driver. What the kernels compute is tested on a GPU (tests/cuda/attention.cpp).
//
// labels: cuda
// needs: flame::cuda_libraries
#include <dlfcn.h>
#include <doctest/doctest.h>

#include <flame/flame.hpp>
#include <flame/run/cuda/attention.hpp>

#include "attention_steps.hpp"
#include "h200.hpp"

namespace {

using namespace flame;
using namespace flame::cuda_kernels;

using cuda_tests::backwards, cuda_tests::forwards, cuda_tests::lengths, cuda_tests::rows;

dnn_engines& described() {
  static void* driver = dlopen(FLAME_DRIVER_STAND_IN, RTLD_NOW | RTLD_GLOBAL);
  REQUIRE(driver);
  static dnn_engines all{std::string(cuda_tests::h200)};
  return all;
}
dnn_attention planned(const library::attention& c, bool deterministic = true) {
  dnn_attention_options options;
  options.deterministic = deterministic;
  return {described(), c, options};
}

#define FLAME_NEEDS_CUDNN                                                   \
  if (cudnnGetVersion() < 91501) {                                          \
    MESSAGE("skipped: cuDNN " << dnn_version() << " is older than 9.15.1"); \
    return;                                                                 \
  }

}  // namespace

TEST_CASE("cuDNN takes the attention of diffusion models") {
  FLAME_NEEDS_CUDNN
  const lengths shapes[] = {{4, 10, 4096, 4096, 64}, {4, 20, 1024, 1024, 64}, {4, 10, 4096, 77, 64},
                            {4, 20, 1024, 77, 64},   {2, 24, 4608, 4608, 64}, {1, 24, 4608, 4608, 128},
                            {2, 8, 256, 256, 40},    {2, 8, 256, 256, 80},    {2, 8, 256, 256, 160},
                            {1, 1, 1024, 1024, 256}, {2, 12, 77, 77, 64},     {2, 3, 1, 77, 64},
                            {2, 3, 77, 1, 64},       {2, 3, 50, 133, 64},     {1, 2, 16384, 16384, 64}};
  for (const lengths& s : shapes)
    for (bool causal : {false, true}) {
      CAPTURE(s.queries);
      CAPTURE(s.dims);
      if (causal && s.queries > 200) continue;  // a plan takes cuDNN 0.2 s
      library::attention f = forwards(s), b = backwards(s);
      f.causal = b.causal = causal;
      const dnn_attention forward = planned(f), atomic = planned(b, false);
      CHECK_MESSAGE(forward.possible(), forward.refusal());
      CHECK(forward.workspace() <= 1 << 20);
      CHECK_MESSAGE(atomic.possible(), atomic.refusal());
      if (s.queries > 10000) continue;  // scores of one head are larger than the workspace may be
      const dnn_attention backward = planned(b);
      CHECK_MESSAGE(backward.possible(), backward.refusal());
      CHECK(backward.workspace() <= i64{300} << 20);
    }
  CHECK(planned(forwards({1, 1, 4096, 4096, 512})).possible());  // the VAE's
  CHECK(planned(forwards({2, 4, 100, 100, 64}, dtype::f16)).possible());
  CHECK(planned(backwards({2, 4, 100, 100, 64}, dtype::f16)).possible());
  library::attention inference = forwards({2, 4, 100, 100, 64});
  inference.made = library::attention::result, inference.out_sums = {};
  CHECK(planned(inference).possible());
  library::attention one = backwards({2, 4, 100, 100, 64});
  one.made = library::attention::of_query, one.dk = {}, one.dv = {};
  CHECK(planned(one).possible());
  CHECK(planned(one).workspace() > planned(backwards({2, 4, 100, 100, 64})).workspace());
}

TEST_CASE("gradients without atomics take as many heads at a time as the workspace holds") {
  FLAME_NEEDS_CUDNN
  CHECK(planned(backwards({4, 20, 1024, 1024, 64})).executions() == 1);
  CHECK(planned(backwards({8, 20, 1024, 1024, 64})).executions() == 2);  // four batches of 40 MiB each
  CHECK(planned(backwards({4, 10, 4096, 4096, 64})).executions() == 8);  // five heads of 32 MiB
  CHECK(planned(backwards({4, 10, 4096, 4096, 64}), false).executions() == 1);
  CHECK(planned(backwards({4, 10, 4096, 4096, 64}), false).workspace() < i64{64} << 20);
  CHECK_FALSE(planned(backwards({1, 1, 16384, 16384, 64})).possible());
}

TEST_CASE("what cuDNN is not asked for") {
  const lengths s{2, 4, 100, 100, 64};
  auto refusal = [](const library::attention& c) { return std::string(cudnn_refusal(c)); };
  CHECK(refusal(forwards(s)).empty());
  CHECK(refusal(backwards(s)).empty());
  CHECK(refusal(forwards(s, dtype::f32)) == "not of 16 bits");
  CHECK(refusal(forwards({2, 4, 100, 100, 60})) == "heads of other than 8, 16, ... 512 numbers");
  CHECK(refusal(backwards({2, 4, 100, 100, 264})) == "heads of other than 8, 16, ... 256 numbers");
  CHECK(refusal(forwards({2, 4, 100, 0, 64})) == "an extent is 0");
  library::attention c = forwards(s);
  c.mask = rows(5, 100, s, true);
  CHECK(refusal(c) == "a mask");
  c = backwards(s), c.attended = {};
  CHECK(refusal(c) == "the result is not in memory");
  c = forwards(s), c.k.dim = 100;
  CHECK(refusal(c) == "heads that do not lie side by side");
  c = forwards(s), c.batch_rank = 3, c.batch[2] = 5;
  c.q.batch[2] = c.k.batch[2] = c.v.batch[2] = c.out.batch[2] = c.out_sums.batch[2] = 1 << 20;
  CHECK(refusal(c) == "too many axes");
}

namespace {
inline constexpr struct batch : dim<> {
} batch;
inline constexpr struct head : dim<> {
} head;
inline constexpr struct query : dim<> {
} query;
inline constexpr struct token : dim<> {
} token;
inline constexpr struct feature : dim<> {
} feature;
struct q : input<bf16, batch, query, head, feature> {
} q;
struct k : input<bf16, batch, token, head, feature> {
} k;
struct v : input<bf16, batch, token, head, feature> {
} v;
}  // namespace

TEST_CASE("a program's gradients of attention have its result, so that cuDNN takes them") {
  const auto a = attention(q, k, v, token, feature);
  auto step = compile<host>(grad(sum(cast<f32>(a * a)), q, k, v), q, k, v);
  const program& p = step.plan(ones<bf16>(batch == 2, query == 24, head == 3, feature == 16),
                               ones<bf16>(batch == 2, token == 40, head == 3, feature == 16),
                               ones<bf16>(batch == 2, token == 40, head == 3, feature == 16));
  int found = 0;
  for (const program_step& s : p.steps) {
    if (s.code || !is_attention(s.library)) continue;
    const library::attention c = library::attention_of(s);
    CHECK(std::string(cudnn_refusal(c)).empty());
    found += c.backward ? 10 : 1;
  }
  CHECK(found == 11);
}
