// Attention on CUDA by FLAME's own kernels: on tensor cores where its layout allows, else by one that takes
// everything.
#pragma once
#include <flame/plan/library_attention.hpp>
#include <flame/run/cuda/kernel/attention_place.hpp>
#include <flame/run/cuda/launcher.hpp>

#include <algorithm>

namespace flame::cuda_kernels {

// The same bits at every run: gradients are made by tiles of keys and by tiles of queries, each in one order.
class tiled_attention {
 public:
  // alignments: of the step's tensors, in bytes. architecture: of the GPU, 90 for sm_90. Throws flame::error
  // for heads of more than 512 numbers, more axes than kernels walk, and extents and strides over 2^31.
  tiled_attention(const library::attention& c, const std::vector<i64>& alignments, int architecture)
      : made_(c.made), backward_(c.backward) {
    collect(c);
    attention read = c;
    read.attended = {};  // delta is there
    fill(read);
    const int vector = architecture >= 80 ? vector_of(c, alignments) : 0;
    const int dims = static_cast<int>((c.dims + 15) / 16 * 16), most = c.backward ? 128 : 192;
    if (vector >= 2 && dims <= most && dims > 0)
      choose_tensor_cores(c, dims, vector);
    else
      choose_direct(c);
  }

  // Kernels that it starts.
  [[nodiscard]] std::vector<std::string> names() const {
    std::vector<std::string> all;
    for (const start& s : starts_) all.push_back(s.name);
    return all;
  }
  // How it is done, in words.
  [[nodiscard]] const char* engine() const {
    return threads_ == 128 ? "kernel attention, tensor cores" : "kernel attention";
  }

  // tensors: the addresses of the step's.
  void run(launcher& to, const std::vector<void*>& tensors, cudaStream_t stream) const {
    for (const start& s : starts_) {
      if (s.tiles == 0 || batches_ == 0) continue;
      kernel::attention_arguments arguments = arguments_;
      arguments.tiles = kernel::divisor(static_cast<u32>(s.tiles));
      kernel::attention_addresses memory{};
      for (int i = 0; i < kernel::attention_tensors; ++i)
        memory.at[i] = tensor_[i] < 0 ? nullptr : tensors[static_cast<std::size_t>(tensor_[i])];
      void* pointers[] = {&arguments, &memory};
      to.launch(s.name.c_str(), dim3(static_cast<unsigned>(s.tiles * batches_)),
                dim3(static_cast<unsigned>(threads_)), 0, pointers, stream);
    }
  }

 private:
  using attention = library::attention;
  struct start {
    std::string name;
    i64 tiles;
  };

  void collect(const attention& c) {
    const int places[] = {0, 1, 2, 3, 4, 5, 6, c.backward ? 10 : 8, 11, 12, 9};  // in c.all()
    const auto all = c.all();
    for (int i = 0; i < kernel::attention_tensors; ++i) {
      place_[i] = places[i];
      operands_[i] = *all.at[places[i]], tensor_[i] = operands_[i].tensor;
    }
  }
  static i32 small(i64 n, const char* what) {
    if (n >= i64{1} << 31 || n <= -(i64{1} << 31))
      throw error("flame::attention: ", what, " of more than 2^31 elements, CUDA's kernels take less");
    return static_cast<i32>(n);
  }
  // Axes, joined where they lie one within the other in every tensor.
  void fill(const attention& c) {
    kernel::attention_arguments& a = arguments_;
    a.queries = small(c.queries(), "queries"), a.keys = small(c.keys, "keys"),
    a.dims = small(c.dims, "a head");
    a.position = 0, a.scale = c.scale;
    a.mask = !c.mask.there() ? 0 : c.mask_element == dtype::boolean ? 1 : 2;
    batches_ = c.batches();
    const library::attention_axes batch(c, false), query(c, true, !c.causal);
    a.batch_rank = batch.rank;
    check_rank(a.batch_rank, kernel::attention_batch_axes, "batches");
    for (int i = 0; i < a.batch_rank; ++i) {
      a.batch[i] = kernel::divisor(static_cast<u32>(std::max(small(batch.extents[i], "an axis"), 1)));
      for (int t = 0; t < kernel::attention_tensors; ++t) a.strides[t].batch[i] = batch.strides[i][place_[t]];
    }
    a.query_rank = query.rank;
    check_rank(a.query_rank, kernel::attention_query_axes, "queries");
    if (c.causal) a.position = c.position;
    kind_ = (c.mask.there() ? kernel::attention_masked : 0) | (c.causal ? kernel::attention_causal : 0) |
            (a.query_rank > 1 ? kernel::attention_several : 0);
    for (int i = 0; i < a.query_rank; ++i) {
      a.query[i] = kernel::divisor(static_cast<u32>(std::max(small(query.extents[i], "an axis"), 1)));
      for (int t = 0; t < kernel::attention_tensors; ++t)
        a.strides[t].query[i] = small(query.strides[i][place_[t]], "a stride");
    }
    for (int t = 0; t < kernel::attention_tensors; ++t) {
      a.strides[t].key = small(operands_[t].key, "a stride");
      a.strides[t].dim = small(operands_[t].dim, "a stride");
    }
  }
  static void check_rank(int rank, int most, const char* what) {
    if (rank > most)
      throw error(std::string("flame::attention: CUDA's kernels take ")
                      .append(std::to_string(most))
                      .append(" axes of ")
                      .append(what)
                      .append(" that do not lie one within the other, here are ")
                      .append(std::to_string(rank)));
  }

  // Neighbours along dim that can be fetched at once from every tensor: 8, 4 or 2; 0 where there are none.
  [[nodiscard]] int vector_of(const attention& c, const std::vector<i64>& alignments) const {
    if (c.element != dtype::bf16 && c.element != dtype::f16) return 0;
    static constexpr int rows[] = {kernel::attention_q, kernel::attention_k,   kernel::attention_v,
                                   kernel::attention_d, kernel::attention_out, kernel::attention_dk,
                                   kernel::attention_dv};
    int vector = 8;
    auto fits = [&](i64 stride) { return stride % vector == 0; };
    for (; vector >= 2; vector /= 2) {
      bool all = fits(c.dims);
      for (int t : rows) {
        if (tensor_[t] < 0) continue;
        const attention::operand& o = operands_[t];
        all = all && (o.dim == 1 || c.dims == 1) && fits(o.key) &&
              alignments[static_cast<std::size_t>(tensor_[t])] % (2 * vector) == 0;
        for (int i = 0; i < attention::room; ++i) all = all && fits(o.batch[i]) && fits(o.query[i]);
      }
      if (all) return vector;
    }
    return 0;
  }

  static i64 tiles(i64 rows, i64 each) { return (rows + each - 1) / each; }
  void add(const char* kernel, std::initializer_list<int> numbers, i64 count) {
    if (count * std::max<i64>(batches_, 1) >= i64{1} << 31)
      throw error("flame::attention: more than 2^31 blocks of threads are needed, CUDA starts no more");
    starts_.push_back({kernel_name(kernel, numbers), count});
  }

  void choose_tensor_cores(const attention& c, int dims, int vector) {
    threads_ = 128;
    const int element = static_cast<int>(c.element), keys = dims <= 80 ? 64 : dims <= 160 ? 32 : 16;
    if (!backward_) return add("attend16", {element, dims, vector, keys, kind_}, tiles(c.queries(), 64));
    const int queries = dims <= 64 ? 64 : dims <= 96 ? 32 : 16;
    const bool one = c.keys <= 64 && c.keys > 0 && c.queries() > 0 && dims <= 96;
    const int made = one ? made_ : made_ & ~attention::of_query;
    if (made) add("attend_keys16", {element, dims, vector, queries, kind_, made}, tiles(c.keys, 64));
    if (made != made_)
      add("attend_queries16", {element, dims, vector, dims <= 80 ? 64 : 32, kind_}, tiles(c.queries(), 64));
  }

  void choose_direct(const attention& c) {
    threads_ = 256;
    int dims = 32;
    while (dims < c.dims) dims *= 2;
    if (dims > 512)
      throw error(std::string("flame::attention: dim has ")
                      .append(std::to_string(c.dims))
                      .append(" elements, CUDA's kernels take up to 512"));
    const int element = static_cast<int>(c.element);
    const bool wide = c.element == dtype::f64;
    int rows = wide ? 32 : dims <= 256 ? 64 : 32;
    if (!backward_) return add("attend", {element, dims, rows, kind_}, tiles(c.queries(), rows));
    rows = wide || dims > 64 ? 32 : 64;
    const bool one = c.keys <= rows && c.keys > 0 && c.queries() > 0 && dims <= 64;
    const int made = one ? made_ : made_ & ~attention::of_query;
    auto keys = [&](int bits) {
      if (bits) add("attend_keys", {element, dims, rows, kind_, bits}, tiles(c.keys, rows));
    };
    if (dims <= 128)
      keys(made);
    else
      keys(made & attention::of_key), keys(made & attention::of_value);
    if (made != made_) add("attend_queries", {element, dims, rows, kind_}, tiles(c.queries(), rows));
  }

  int made_, threads_ = 0, kind_ = 0;
  bool backward_;
  i64 batches_ = 0;
  attention::operand operands_[kernel::attention_tensors];
  int tensor_[kernel::attention_tensors] = {}, place_[kernel::attention_tensors] = {};
  kernel::attention_arguments arguments_{};
  std::vector<start> starts_;
};

}  // namespace flame::cuda_kernels
