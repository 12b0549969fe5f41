// Steps as a CUDA graph in which a step waits for those alone whose memory it needs.
#pragma once
#include <flame/run/cuda/check.hpp>

#include <algorithm>
#include <vector>

namespace flame::cuda_code {

using cuda_kernels::check;

// A stream of its own that is being captured: on one that threads share, the work of others would be captured
// too.
class capture {
 public:
  capture() {
    check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "flame::cuda",
          "cudaStreamCreateWithFlags");
    const cudaError_t begun = cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal);
    if (begun != cudaSuccess) cudaStreamDestroy(stream_);
    check(begun, "flame::cuda", "cudaStreamBeginCapture");
  }
  capture(const capture&) = delete;
  capture& operator=(const capture&) = delete;
  ~capture() {
    cudaGraph_t captured = nullptr;
    if (!ended_ && cudaStreamEndCapture(stream_, &captured) == cudaSuccess && captured)
      cudaGraphDestroy(captured);
    cudaStreamDestroy(stream_);
  }

  [[nodiscard]] cudaStream_t stream() const { return stream_; }

  // What is put on the stream next waits for these nodes and no others. early: it is a kernel that waits by
  // itself, and may be started when all blocks of kernels that it waits for have begun or ended.
  void wait_for(std::vector<cudaGraphNode_t> nodes, bool early = false) {
    std::vector<cudaGraphEdgeData> edges(nodes.size());
    for (std::size_t i = 0; early && i < nodes.size(); ++i) {
      cudaGraphNodeType type = cudaGraphNodeTypeEmpty;
      check(cudaGraphNodeGetType(nodes[i], &type), "flame::cuda", "cudaGraphNodeGetType");
      if (type != cudaGraphNodeTypeKernel) continue;
      edges[i].from_port = cudaGraphKernelNodePortProgrammatic;
      edges[i].type = cudaGraphDependencyTypeProgrammatic;
    }
    check(update(nodes, edges), "flame::cuda", "cudaStreamUpdateCaptureDependencies");
  }
  // What the next thing on the stream would wait for.
  [[nodiscard]] std::vector<cudaGraphNode_t> ends() const {
    cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
    const cudaGraphNode_t* nodes = nullptr;
    std::size_t count = 0;
    check(info(&status, &nodes, &count), "flame::cuda", "cudaStreamGetCaptureInfo");
    return {nodes, nodes + count};
  }

  // What was captured, ready to start.
  [[nodiscard]] cudaGraphExec_t end() {
    cudaGraph_t captured = nullptr;
    ended_ = true;
    check(cudaStreamEndCapture(stream_, &captured), "flame::cuda", "cudaStreamEndCapture");
    cudaGraphExec_t graph = nullptr;
    const cudaError_t made = cudaGraphInstantiate(&graph, captured, 0);
    cudaGraphDestroy(captured);
    check(made, "flame::cuda", "cudaGraphInstantiate");
    return graph;
  }

 private:
#if CUDART_VERSION >= 13000
  cudaError_t update(std::vector<cudaGraphNode_t>& nodes, const std::vector<cudaGraphEdgeData>& edges) const {
    return cudaStreamUpdateCaptureDependencies(stream_, nodes.data(), edges.data(), nodes.size(),
                                               cudaStreamSetCaptureDependencies);
  }
  cudaError_t info(cudaStreamCaptureStatus* status, const cudaGraphNode_t** nodes, std::size_t* count) const {
    const cudaGraphEdgeData* edges = nullptr;
    return cudaStreamGetCaptureInfo(stream_, status, nullptr, nullptr, nodes, &edges, count);
  }
#else
  cudaError_t update(std::vector<cudaGraphNode_t>& nodes, const std::vector<cudaGraphEdgeData>& edges) const {
    return cudaStreamUpdateCaptureDependencies_v2(stream_, nodes.data(), edges.data(), nodes.size(),
                                                  cudaStreamSetCaptureDependencies);
  }
  cudaError_t info(cudaStreamCaptureStatus* status, const cudaGraphNode_t** nodes, std::size_t* count) const {
    const cudaGraphEdgeData* edges = nullptr;
    return cudaStreamGetCaptureInfo_v3(stream_, status, nullptr, nullptr, nodes, &edges, count);
  }
#endif

  cudaStream_t stream_ = nullptr;
  bool ended_ = false;
};

// Milliseconds of what start(stream) puts on a stream, in a graph that repeats it, on this stream: the least
// of so many rounds.
template <class Start>
[[nodiscard]] double graph_milliseconds(cudaStream_t stream, int repetitions, int rounds, Start&& start) {
  struct {
    cudaGraphExec_t graph = nullptr;
    cudaEvent_t begin = nullptr, end = nullptr;
  } made;
  struct release {
    decltype(made)& of;
    ~release() {
      if (of.graph) cudaGraphExecDestroy(of.graph);
      if (of.begin) cudaEventDestroy(of.begin);
      if (of.end) cudaEventDestroy(of.end);
    }
  } const at_end{made};
  capture captured;
  for (int i = 0; i < repetitions; ++i) start(captured.stream());
  made.graph = captured.end();
  check(cudaEventCreate(&made.begin), "flame::cuda", "cudaEventCreate");
  check(cudaEventCreate(&made.end), "flame::cuda", "cudaEventCreate");
  double least = -1;
  for (int round = 0; round < rounds; ++round) {
    // The first warms up and keeps the GPU busy until the rest is on the stream.
    check(cudaGraphLaunch(made.graph, stream), "flame::cuda", "cudaGraphLaunch");
    check(cudaEventRecord(made.begin, stream), "flame::cuda", "cudaEventRecord");
    check(cudaGraphLaunch(made.graph, stream), "flame::cuda", "cudaGraphLaunch");
    check(cudaEventRecord(made.end, stream), "flame::cuda", "cudaEventRecord");
    check(cudaEventSynchronize(made.end), "flame::cuda", "cudaEventSynchronize");
    float taken = 0;
    check(cudaEventElapsedTime(&taken, made.begin, made.end), "flame::cuda", "cudaEventElapsedTime");
    const double each = static_cast<double>(taken) / repetitions;
    if (least < 0 || each < least) least = each;
  }
  return least;
}

// start(step, stream) puts a step on the stream; waits[step]: the steps that it waits for; early(step): it
// begins with a kernel that waits by itself.
template <class Early, class Start>
cudaGraphExec_t graph_of(const std::vector<std::vector<int>>& waits, Early&& early, Start&& start) {
  capture captured;
  const std::vector<cudaGraphNode_t> none = captured.ends();
  std::vector<std::vector<cudaGraphNode_t>> ends;  // of each step
  std::vector<char> last(waits.size(), 1);         // nobody waits for it
  for (std::size_t i = 0; i < waits.size(); ++i) {
    std::vector<cudaGraphNode_t> before;
    for (int s : waits[i]) {
      const std::vector<cudaGraphNode_t>& of = ends[static_cast<std::size_t>(s)];
      before.insert(before.end(), of.begin(), of.end());
      last[static_cast<std::size_t>(s)] = 0;
    }
    std::sort(before.begin(), before.end());
    before.erase(std::unique(before.begin(), before.end()), before.end());
    captured.wait_for(before, early(static_cast<int>(i)));
    start(static_cast<int>(i), captured.stream());
    ends.push_back(captured.ends());
  }
  std::vector<cudaGraphNode_t> all = none;
  for (std::size_t i = 0; i < ends.size(); ++i)
    if (last[i]) all.insert(all.end(), ends[i].begin(), ends[i].end());
  std::sort(all.begin(), all.end());
  all.erase(std::unique(all.begin(), all.end()), all.end());
  captured.wait_for(all);
  return captured.end();
}

}  // namespace flame::cuda_code
