// Attention by cuDNN's fused kernels, which keep scores out of memory.
#pragma once
#include <flame/plan/library_attention.hpp>
#include <flame/run/cuda/dnn_graph.hpp>

#include <cmath>
#include <limits>

namespace flame::cuda_kernels {

struct dnn_attention_options {
  dnn_options engine;
  // Gradients of queries are sums over tiles of keys. Summed by atomics they need no memory and differ from
  // run to run in their last bits. Else the scores' cotangents lie in a workspace, for as many heads at a
  // time as engine.most_workspace holds. The graph says which: engines for both have the same notes.
  bool deterministic = true;
};

// A step of attention, forwards or backwards, as the graph that cuDNN's engines know (its documentation,
// "Attention"; patterns are matched, so that the order of operations counts). cuDNN makes all three
// gradients; what the step does not ask for goes to the workspace.
class dnn_attention {
 public:
  // There is no plan where cudnn_refusal (plan/library_attention.hpp) has a text, cuDNN is older than 9.15.1,
  // a tensor is not aligned to 16 bytes, or cuDNN has no such engine.
  dnn_attention(dnn_engines& on, const library::attention& c, const dnn_attention_options& options)
      : on_(&on), c_(c), options_(options) {
    refusal_ = cudnn_refusal(c);
    if (refusal_.empty() && cudnnGetVersion() < 91501)
      refusal_ = "cuDNN " + dnn_version() + " is older than 9.15.1";
    if (refusal_.empty() && options.engine.alignment < 16) refusal_ = "a tensor is not aligned to 16 bytes";
    if (!refusal_.empty()) return;
    const library::attention_axes batch(c, false);
    batch_ = batch.rank == 2 ? batch.extents[0] : 1;
    heads_ = batch.rank > 0 ? batch.extents[batch.rank - 1] : 1;
    share_batches();
    plan_ = on.once(text(), [&]() -> std::shared_ptr<const dnn_plan> {
      try {
        return build();
      } catch (const error&) {
        return nullptr;  // extents or strides that cuDNN has no tensors of
      }
    });
    if (!plan_) refusal_ = "cuDNN has no engine for it";
  }

  [[nodiscard]] bool possible() const { return plan_ != nullptr; }
  // Why there is no plan.
  [[nodiscard]] const std::string& refusal() const { return refusal_; }
  // "cuDNN engine 6".
  [[nodiscard]] std::string engine() const { return plan_ ? plan_->engine() : refusal_; }
  // Bytes that run needs, aligned to 256.
  [[nodiscard]] i64 workspace() const {
    i64 bytes = 0;
    if (plan_) parts_of(nullptr, bytes);
    return bytes;
  }
  // How often the plan is executed.
  [[nodiscard]] i64 executions() const { return batch_ / some_batches_ * (heads_ / some_heads_); }

  // tensors: the addresses of the step's. Allocates nothing, does not synchronise, can be captured.
  void run(const std::vector<void*>& tensors, std::byte* workspace, cudaStream_t stream) const {
    if (!plan_) throw error("flame::attention: ", refusal_.c_str());
    i64 bytes = 0;
    const scratch own = parts_of(workspace, bytes);
    const float scale = static_cast<float>(c_.scale), one = 1,
                lowest = -std::numeric_limits<float>::infinity();
    for (i64 b = 0; b < batch_; b += some_batches_)
      for (i64 h = 0; h < heads_; h += some_heads_) {
        std::vector<dnn_operand> all = {{id_scale, &scale}};
        auto add = [&](std::int64_t id, const operand& o, std::byte* instead = nullptr) {
          const axes strides = strides_of(o);
          std::byte* at = instead;
          if (o.there())
            at = static_cast<std::byte*>(tensors[static_cast<std::size_t>(o.tensor)]) +
                 (b * strides[0] + h * strides[1]) * (is_sum(o) ? 4 : 2);
          all.push_back({id, at});
        };
        add(id_q, c_.q), add(id_k, c_.k), add(id_v, c_.v);
        if (c_.causal) all.push_back({id_lowest, &lowest});
        if (c_.backward) {
          add(id_result, c_.attended), add(id_sums, c_.sums), add(id_d, c_.d);
          add(id_dq, c_.dq, own.dq), add(id_dk, c_.dk, own.dk), add(id_dv, c_.dv, own.dv);
          all.push_back({id_one, &one}), all.push_back({id_delta, own.delta});
          if (!options_.deterministic) all.push_back({id_total, own.total});
        } else {
          add(id_result, c_.out);
          if (c_.out_sums.there()) add(id_sums, c_.out_sums);
        }
        on_->run(*plan_, "flame::attention", all, own.engine, stream);
      }
  }

 private:
  // Statistics of some of the heads begin at any number.
  static constexpr i64 aligned_sums = 4;
  using operand = library::attention::operand;
  using axes = dnn_graph::axes;
  using value = dnn_graph::tensor;
  enum : std::int64_t {
    id_q = 1,
    id_k,
    id_v,
    id_result,
    id_sums,
    id_d,
    id_dq,
    id_dk,
    id_dv,
    id_delta,
    id_total,
    id_scale,
    id_one,
    id_lowest
  };
  struct scratch {
    std::byte *engine = nullptr, *delta = nullptr, *total = nullptr, *dq = nullptr, *dk = nullptr,
              *dv = nullptr;
  };

  [[nodiscard]] bool is_sum(const operand& o) const { return &o == &c_.sums || &o == &c_.out_sums; }
  [[nodiscard]] i64 queries() const { return c_.queries(); }

  // The largest share of the batches, then of the heads of one, whose workspace is small enough.
  void share_batches() {
    some_batches_ = batch_, some_heads_ = heads_;
    if (!c_.backward || !options_.deterministic) return;
    auto padded = [](i64 n) { return (n + 63) / 64 * 64; };
    const i64 head = 2 * padded(queries()) * padded(c_.keys) + 4 * padded(queries()) + 1024;
    auto largest = [&](i64 of, i64 each) {
      i64 n = of;
      while (n > 1 && (of % n || n * each > options_.engine.most_workspace)) --n;
      return n;
    };
    some_batches_ = largest(batch_, heads_ * head);
    if (some_batches_ == 1) some_heads_ = largest(heads_, head);
  }

  // Where a workspace's parts lie, and how many bytes they are.
  scratch parts_of(std::byte* from, i64& bytes) const {
    scratch s;
    auto take = [&](i64 size) {
      std::byte* at = from ? from + bytes : nullptr;
      bytes += (size + 255) / 256 * 256;
      return at;
    };
    s.engine = take(plan_->workspace());
    if (!c_.backward) return s;
    const i64 rows = some_batches_ * some_heads_ * queries(), row = c_.dims * 2,
              keys = some_batches_ * some_heads_ * c_.keys;
    s.delta = take(rows * 4);
    if (!options_.deterministic) s.total = take(rows * c_.dims * 4);
    if (!c_.dq.there()) s.dq = take(rows * row);
    if (!c_.dk.there()) s.dk = take(keys * row);
    if (!c_.dv.there()) s.dv = take(keys * row);
    return s;
  }

  // [batch, head, token, dim] of an operand, dense where the step has it not.
  [[nodiscard]] axes strides_of(const operand& o) const {
    const bool of_keys = &o == &c_.k || &o == &c_.v || &o == &c_.dk || &o == &c_.dv;
    const i64 tokens = of_keys ? c_.keys : queries();
    if (!o.there()) return {some_heads_ * tokens * c_.dims, tokens * c_.dims, c_.dims, 1};
    const library::attention_axes batch(c_, false), query(c_, true, !c_.causal);
    const auto all = c_.all();
    std::size_t t = 0;
    while (all.at[t] != &o) ++t;
    axes s = {0, 0, of_keys ? o.key : query.rank ? query.strides[0][t] : c_.dims, is_sum(o) ? 1 : o.dim};
    if (batch.rank > 0) s[1] = batch.strides[batch.rank - 1][t];
    if (batch.rank > 1) s[0] = batch.strides[0][t];
    // An axis of one element may have any stride: cuDNN wants none of 0.
    if (s[1] == 0) s[1] = s[2] * tokens;
    if (s[0] == 0) s[0] = s[1] * heads_;
    return s;
  }
  static axes transposed(axes a) {
    std::swap(a[2], a[3]);
    return a;
  }

  // All that the plan depends on.
  [[nodiscard]] std::string text() const {
    std::string s = std::string("attention ").append(name_of(c_.element));
    auto add = [&](i64 n) { s.append(" ").append(std::to_string(n)); };
    add(c_.backward), add(c_.made & library::attention::statistics), add(c_.causal);
    add(options_.deterministic), add(options_.engine.candidate), add(options_.engine.most_workspace);
    add(some_batches_), add(some_heads_), add(queries()), add(c_.keys), add(c_.dims);
    const auto all = c_.all();
    for (const operand* o : all.at) {
      if (o == &c_.mask || o == &c_.delta) continue;
      for (i64 stride : strides_of(*o)) add(stride);
    }
    return s;
  }

  std::shared_ptr<const dnn_plan> build() const {
    const cudnnDataType_t half = c_.element == dtype::bf16 ? CUDNN_DATA_BFLOAT16 : CUDNN_DATA_HALF,
                          single = CUDNN_DATA_FLOAT;
    const i64 b = some_batches_, h = some_heads_, q = queries(), k = c_.keys, d = c_.dims;
    const axes of_query = {b, h, q, d}, of_key = {b, h, k, d};
    const axes scores = {b, h, q, k}, scores_strides = {h * q * k, q * k, k, 1};
    const axes rows = {b, h, q, 1}, rows_strides = {h * q, q, 1, 1};
    dnn_graph g("flame::attention");
    auto here = [&](std::int64_t id, const operand& o, const axes& extents) {
      return g.in_memory(id, half, extents, strides_of(o));
    };
    auto score = [&](cudnnDataType_t type) { return g.between(type, scores, scores_strides); };
    auto row = [&] { return g.between(single, rows, rows_strides); };
    const value Q = here(id_q, c_.q, of_query),
                K = g.in_memory(id_k, half, transposed(of_key), transposed(strides_of(c_.k))),
                scale = g.number(id_scale);
    auto masked = [&](value x) {  // row >= column ? x : -infinity
      if (!c_.causal) return x;
      const value line = score(CUDNN_DATA_INT32), column = score(CUDNN_DATA_INT32),
                  seen = score(CUDNN_DATA_BOOLEAN), y = score(single), lowest = g.number(id_lowest);
      g.pointwise(CUDNN_POINTWISE_GEN_INDEX, x, line, {nullptr}, {nullptr}, 2);
      g.pointwise(CUDNN_POINTWISE_GEN_INDEX, x, column, {nullptr}, {nullptr}, 3);
      g.pointwise(CUDNN_POINTWISE_CMP_GE, line, seen, column);
      g.pointwise(CUDNN_POINTWISE_BINARY_SELECT, x, y, lowest, seen);
      return y;
    };
    auto allowed = [&](const dnn_descriptor& engine) { return deterministic_and_exact(engine, c_.element); };

    if (!c_.backward) {
      const value V = here(id_v, c_.v, of_key), O = here(id_result, c_.out, of_query);
      const value dot = score(single), scaled = score(single);
      g.product(Q, K, dot);
      g.pointwise(CUDNN_POINTWISE_MUL, dot, scaled, scale);
      const value s = masked(scaled), most = row(), below = score(single), weight = score(single),
                  sum = row(), p = score(half);
      g.reduce(CUDNN_REDUCE_TENSOR_MAX, s, most);
      g.pointwise(CUDNN_POINTWISE_SUB, s, below, most);
      g.pointwise(CUDNN_POINTWISE_EXP, below, weight);
      g.reduce(CUDNN_REDUCE_TENSOR_ADD, weight, sum);
      // Engines want to make the statistics, also where nobody reads them.
      const value log = row(), sums = c_.out_sums.there() ? g.in_memory(id_sums, single, rows,
                                                                        strides_of(c_.out_sums), aligned_sums)
                                                          : row();
      g.pointwise(CUDNN_POINTWISE_LOG, sum, log);
      g.pointwise(CUDNN_POINTWISE_ADD, most, sums, log);
      g.pointwise(CUDNN_POINTWISE_DIV, weight, p, sum);
      g.product(p, V, O);
      return g.plan(*on_, options_.engine, allowed);
    }

    const value V = g.in_memory(id_v, half, transposed(of_key), transposed(strides_of(c_.v))),
                O = here(id_result, c_.attended, of_query), D = here(id_d, c_.d, of_query),
                sums = g.in_memory(id_sums, single, rows, strides_of(c_.sums), aligned_sums),
                delta = g.in_memory(id_delta, single, rows, rows_strides);
    // delta = sum over dim of d times the result: engines want to make it themselves.
    const value products = g.between(single, of_query, {h * q * d, q * d, h * d, 1}), total = row();
    g.pointwise(CUDNN_POINTWISE_MUL, D, products, O);
    g.reduce(CUDNN_REDUCE_TENSOR_ADD, products, total);
    g.pointwise(CUDNN_POINTWISE_MUL, total, delta, g.number(id_one));
    // p = exp(scale q k - sums), dv = p^T d
    const value dot = score(single), scaled = score(single), below = score(single), p = score(single);
    g.product(Q, K, dot);
    g.pointwise(CUDNN_POINTWISE_MUL, dot, scaled, scale);
    g.pointwise(CUDNN_POINTWISE_SUB, scaled, below, sums);
    g.pointwise(CUDNN_POINTWISE_EXP, masked(below), p);
    const axes scores_back = {b, h, k, q}, back_strides = {h * q * k, q * k, 1, k};
    const value p_back = g.between(half, scores_back, back_strides);
    g.reshape(p, p_back);
    g.product(p_back, D, here(id_dv, c_.dv, of_key));
    // ds = scale p (d v^T - delta), dk = ds^T q, dq = ds k
    const value dp = score(single), apart = score(single), weighted = score(single), ds = score(single);
    g.product(D, V, dp);
    g.pointwise(CUDNN_POINTWISE_SUB, dp, apart, delta);
    g.pointwise(CUDNN_POINTWISE_MUL, apart, weighted, p);
    g.pointwise(CUDNN_POINTWISE_MUL, weighted, ds, scale);
    const value ds_back = g.between(half, scores_back, back_strides);
    g.reshape(ds, ds_back);
    g.product(ds_back, Q, here(id_dk, c_.dk, of_key));
    const value keys = g.between(half, of_key, strides_of(c_.k)), dq = here(id_dq, c_.dq, of_query);
    g.reshape(K, keys);
    if (options_.deterministic) {
      g.product(ds, keys, dq);
    } else {
      const value sum = g.in_memory(id_total, single, of_query, {h * q * d, q * d, d, 1});
      g.product(ds, keys, sum);
      g.pointwise(CUDNN_POINTWISE_IDENTITY, sum, dq);
    }
    return g.plan(*on_, options_.engine, allowed);
  }

  dnn_engines* on_;
  library::attention c_;
  dnn_attention_options options_;
  i64 batch_ = 1, heads_ = 1, some_batches_ = 1, some_heads_ = 1;
  std::string refusal_;
  std::shared_ptr<const dnn_plan> plan_;
};

}  // namespace flame::cuda_kernels
