// FLAME's maps and cub::DeviceTransform (gpu_transform/cub.cu) for the same functors, sizes and memory in one
// program. One line of JSON each: microseconds of both, each the median of graphs that run it many times.
//   gpu_transform [--prepare] [text...]
#include <flame/flame.hpp>
#include <flame/run/cuda/check.hpp>
#include <flame/run/cuda/execute.hpp>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <random>
#include <string>
#include <vector>

using namespace flame;

cudaError_t cub_transform(const char* name, bool halves, const void* a, const void* b, void* out, long long n,
                          cudaStream_t stream);

inline constexpr struct item : dim<> {
} item;

template <class T> struct leaves {
  static constexpr struct a_ : input<T, item> {
  } a{};
  static constexpr struct b_ : input<T, item> { } b{}; };

bool prepare = false;
std::vector<std::string> texts;

double median(std::vector<double> x) {
  std::sort(x.begin(), x.end());
  return x[x.size() / 2];
}

// Of one run among so many in a graph.
template <class F> double milliseconds(F&& start, int repetitions) {
  using cuda_kernels::check;
  cudaStream_t stream{};
  cudaGraph_t graph{};
  cudaGraphExec_t made{};
  cudaEvent_t begin{}, end{};
  check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "bench", "cudaStreamCreateWithFlags");
  check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "bench", "cudaStreamBeginCapture");
  for (int i = 0; i < repetitions; ++i) check(start(stream), "bench", "cub::DeviceTransform::Transform");
  check(cudaStreamEndCapture(stream, &graph), "bench", "cudaStreamEndCapture");
  check(cudaGraphInstantiate(&made, graph, 0), "bench", "cudaGraphInstantiate");
  check(cudaEventCreate(&begin), "bench", "cudaEventCreate");
  check(cudaEventCreate(&end), "bench", "cudaEventCreate");
  check(cudaGraphLaunch(made, stream), "bench", "cudaGraphLaunch");
  check(cudaEventRecord(begin, stream), "bench", "cudaEventRecord");
  check(cudaGraphLaunch(made, stream), "bench", "cudaGraphLaunch");
  check(cudaEventRecord(end, stream), "bench", "cudaEventRecord");
  check(cudaEventSynchronize(end), "bench", "cudaEventSynchronize");
  float taken = 0;
  check(cudaEventElapsedTime(&taken, begin, end), "bench", "cudaEventElapsedTime");
  cudaEventDestroy(begin), cudaEventDestroy(end), cudaGraphExecDestroy(made), cudaGraphDestroy(graph);
  cudaStreamDestroy(stream);
  return static_cast<double>(taken) / repetitions;
}

struct memory {
  std::shared_ptr<std::byte> a, b, out;
  explicit memory(i64 bytes)
      : a(cuda_code::allocate(bytes)), b(cuda_code::allocate(bytes)), out(cuda_code::allocate(bytes)) {
    std::mt19937 random(1);
    std::normal_distribution<float> normal;
    for (std::byte* to : {a.get(), b.get()}) {
      std::vector<u16> numbers(1 << 20);
      for (u16& x : numbers) x = bf16(normal(random)).bits;
      i64 done = std::min<i64>(bytes, static_cast<i64>(numbers.size() * 2));
      cuda_code::copy_to_device(to, numbers.data(), done);
      cuda_code::synchronize();
      for (; done < bytes; done += std::min(done, bytes - done))
        cuda_code::copy_on_device(to + done, to, std::min(done, bytes - done));
    }
    cuda_code::synchronize();
  }
};

template <class T, class F, class... Given>
void measure(const char* name, i64 n, const memory* m, F f, const Given&... given) {
  const bool halves = sizeof(T) == 2;
  const std::string full = std::string(name) + (halves ? ".bf16." : ".f32.") + std::to_string(n);
  if (!texts.empty() && std::none_of(texts.begin(), texts.end(),
                                     [&](const std::string& t) { return full.find(t) != full.npos; }))
    return;
  const program& p = f.plan(given...);
  cuda_code::executable run(p);
  if (prepare) return;
  std::vector<void*> externals;
  i64 bytes = 0;
  for (int b = 0, inputs = 0; b < p.buffers.size(); ++b) {
    bytes += p.buffers[b].bytes;
    externals.push_back(b + 1 == p.buffers.size() ? m->out.get() : inputs++ == 0 ? m->a.get() : m->b.get());
  }
  const int repetitions = bytes > (i64{1} << 29) ? 10 : bytes > (i64{1} << 26) ? 30 : 200;
  std::vector<double> ours, theirs;
  auto cub = [&](cudaStream_t stream) {
    return cub_transform(name, halves, m->a.get(), m->b.get(), m->out.get(), n, stream);
  };
  cuda_kernels::check(cub(nullptr), "bench", "cub::DeviceTransform::Transform");
  for (int i = 0; i < 5; ++i) {
    ours.push_back(run.time(externals, repetitions)[0] * 1e3);
    theirs.push_back(milliseconds(cub, repetitions) * 1e3);
  }
  std::printf(
      "{\"name\": \"transform.%s\", \"us\": %.2f, \"cub_us\": %.2f, \"bytes\": %lld, \"gbs\": %.0f}\n",
      full.c_str(), median(ours), median(theirs), bytes, static_cast<double>(bytes) / median(ours) / 1e3);
  std::fflush(stdout);
}

template <class T> void all(i64 n, const memory* m) {
  constexpr auto& a = leaves<T>::a;
  constexpr auto& b = leaves<T>::b;
  const tensor<T, item> t(std::vector<i64>{n});
  measure<T>("relu", n, m, compile<host>(relu(a), a), t);
  measure<T>("sigmoid", n, m, compile<host>(sigmoid(a), a), t);
  measure<T>("tanh", n, m, compile<host>(tanh(a), a), t);
  measure<T>("gelu", n, m, compile<host>(gelu(a), a), t);
  measure<T>("sin", n, m, compile<host>(sin(a), a), t);
  measure<T>("exp", n, m, compile<host>(exp(a), a), t);
  measure<T>("add", n, m, compile<host>(a + b, a, b), t, t);
  measure<T>("sub", n, m, compile<host>(a - b, a, b), t, t);
  measure<T>("mul", n, m, compile<host>(a * b, a, b), t, t);
  measure<T>("div", n, m, compile<host>(a / b, a, b), t, t);
  measure<T>("le", n, m, compile<host>(a <= b, a, b), t, t);
  measure<T>("ge", n, m, compile<host>(a >= b, a, b), t, t);
  measure<T>("fmin", n, m, compile<host>(minimum(a, b), a, b), t, t);
  measure<T>("fmax", n, m, compile<host>(maximum(a, b), a, b), t, t);
}

int main(int count, char** arguments) {
  for (int i = 1; i < count; ++i)
    if (std::strcmp(arguments[i], "--prepare") == 0)
      prepare = true;
    else
      texts.emplace_back(arguments[i]);
  std::optional<memory> m;
  if (!prepare) m.emplace(i64{4} << 28);
  for (int bits : {20, 24, 28}) {
    all<bf16>(i64{1} << bits, m ? &*m : nullptr);
    all<f32>(i64{1} << bits, m ? &*m : nullptr);
  }
}
