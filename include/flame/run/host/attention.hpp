// Attention on the host, in blocks: scores of some batches and some queries at a time, by products of
// matrices and rows of exponentials.
#pragma once
#include <flame/plan/library_attention.hpp>
#include <flame/run/host/attention_row.hpp>
#include <flame/run/host/contract.hpp>
#include <flame/run/host/convert.hpp>

#include <algorithm>
#include <cmath>

namespace flame::host_kernels {
inline namespace FLAME_HOST_ISA {

// T: what is computed with, f32 or f64. How the work is cut depends on extents alone, so that neither the
// number of threads nor the machine's caches change a bit; memory is one block of scores (two of gradients),
// linear in lengths.
template <class T> class attention_blocks {
 public:
  // at: the addresses of the step's tensors.
  attention_blocks(const library::attention& c, void* const* at)
      : c_(c), at_(at), copies_(c.element != dtype::f32 && c.element != dtype::f64) {
    constexpr i64 most = (i64{1} << 20) / static_cast<i64>(sizeof(T));
    for (int i = 0; i < c.batch_rank; ++i) batch_[i] = c.batch[i];
    for (int i = 0; i < c.query_rank; ++i) query_[i] = c.query[i];
    // Axes from the first on are walked through one index at a time, the last such axis some at a time.
    auto shrink = [&](i64* extents, int rank) {
      for (int i = 0; i < rank && scores() > most; ++i) {
        const i64 each = scores() / extents[i];
        extents[i] = each >= most ? 1 : most / each;
      }
    };
    if (c.keys > 0) shrink(batch_, c.batch_rank), shrink(query_, c.query_rank);
  }

  void run() {
    if (c_.batches() == 0) return;
    reserve();
    clear_results();
    if (c_.queries() == 0 || c_.dims == 0) return finish_empty();
    place first;
    walk(first, 0);
  }

 private:
  using operand = library::attention::operand;
  using row = attention_row<T>;
  static constexpr int room = library::attention::room;
  // Where a block begins, and how much of each axis it has.
  struct place {
    i64 batch[room] = {}, query[room] = {};
    i64 batches[room] = {}, queries[room] = {};
  };
  // A matrix of each batch, its rows queries or keys: as it lies, or a copy as T.
  struct view {
    T* memory = nullptr;
    i64 batch[room] = {}, query[room] = {}, key = 0, dim = 0;
  };

  [[nodiscard]] i64 scores() const {
    i64 n = c_.keys;
    for (int i = 0; i < c_.batch_rank; ++i) n *= batch_[i];
    for (int i = 0; i < c_.query_rank; ++i) n *= query_[i];
    return n;
  }
  template <class E> [[nodiscard]] E* memory(const operand& o) const {
    return static_cast<E*>(at_[o.tensor]);
  }

  // ---- The walk over blocks ----

  void walk(place& p, int level) {
    const bool batch = level < c_.batch_rank;
    if (level == c_.batch_rank) start_batches(p);
    if (level == c_.batch_rank + c_.query_rank) return c_.backward ? gradients(p) : results(p);
    const int axis = batch ? level : level - c_.batch_rank;
    const i64 extent = batch ? c_.batch[axis] : c_.query[axis], step = batch ? batch_[axis] : query_[axis];
    for (i64 begin = 0; begin < extent; begin += step) {
      (batch ? p.batch : p.query)[axis] = begin;
      (batch ? p.batches : p.queries)[axis] = begin + step < extent ? step : extent - begin;
      walk(p, level + 1);
    }
    if (level == c_.batch_rank) end_batches(p);
  }

  static i64 product(const i64* extents, int rank) {
    i64 n = 1;
    for (int i = 0; i < rank; ++i) n *= extents[i];
    return n;
  }
  [[nodiscard]] i64 batches(const place& p) const { return product(p.batches, c_.batch_rank); }
  [[nodiscard]] i64 queries(const place& p) const { return product(p.queries, c_.query_rank); }

  // ---- Operands ----

  // An operand whose rows are queries (else keys), from the block on.
  [[nodiscard]] view lie(const operand& o, const place& p, bool queries) const {
    view v;
    v.memory = memory<T>(o);
    for (int i = 0; i < c_.batch_rank; ++i) v.memory += p.batch[i] * o.batch[i], v.batch[i] = o.batch[i];
    if (queries)
      for (int i = 0; i < c_.query_rank; ++i) v.memory += p.query[i] * o.query[i], v.query[i] = o.query[i];
    v.key = o.key, v.dim = o.dim;
    return v;
  }
  // The place of copy number `which` of one operand, row-major: [batches, queries or keys, dim].
  [[nodiscard]] view copy_at(int which, const place& p, bool of_queries) const {
    view v;
    v.memory = copy_[which];
    i64 stride = c_.dims;
    v.dim = 1;
    if (of_queries)
      for (int i = c_.query_rank - 1; i >= 0; --i) v.query[i] = stride, stride *= p.queries[i];
    else
      v.key = stride, stride *= c_.keys;
    for (int i = c_.batch_rank - 1; i >= 0; --i) v.batch[i] = stride, stride *= p.batches[i];
    return v;
  }
  // f(offset in the operand, offset of the row in its copy) for each row of the block.
  template <class F> void each_row(const operand& o, const place& p, bool of_queries, const F& f) const {
    const i64 rows = of_queries ? queries(p) : c_.keys, all = batches(p) * rows;
    in_chunks(all, 16, [&](i64 begin, i64 end) {
      for (i64 r = begin; r < end; ++r) f(offset(o, p, r, of_queries), r * c_.dims);
    });
  }
  // Of row r of the block's rows, batch by batch.
  [[nodiscard]] i64 offset(const operand& o, const place& p, i64 r, bool of_queries) const {
    i64 at = 0;
    if (of_queries) {
      for (int i = c_.query_rank - 1; i >= 0; --i) {
        at += (p.query[i] + r % p.queries[i]) * o.query[i];
        r /= p.queries[i];
      }
    } else {
      at += r % c_.keys * o.key;
      r /= c_.keys;
    }
    for (int i = c_.batch_rank - 1; i >= 0; --i) {
      at += (p.batch[i] + r % p.batches[i]) * o.batch[i];
      r /= p.batches[i];
    }
    return at;
  }
  template <class F> void with_element(F f) const {
    if constexpr (sizeof(T) == 4) {
      if (c_.element == dtype::bf16) return f(bf16{});
      if (c_.element == dtype::f16) return f(f16{});
    }
    f(T{});
  }
  view read(const operand& o, int which, const place& p, bool of_queries) {
    if (!copies_) return lie(o, p, of_queries);
    const view v = copy_at(which, p, of_queries);
    with_element([&]<class E>(E) {
      const E* from = memory<E>(o);
      each_row(o, p, of_queries, [&](i64 at, i64 to) {
        for (i64 i = 0; i < c_.dims; ++i) v.memory[to + i] = static_cast<T>(from[at + i * o.dim]);
      });
    });
    return v;
  }
  void write(const operand& o, const view& v, const place& p, bool of_queries) {
    with_element([&]<class E>(E) {
      E* to = memory<E>(o);
      each_row(o, p, of_queries, [&](i64 at, i64 from) {
        for (i64 i = 0; i < c_.dims; ++i) to[at + i * o.dim] = static_cast<E>(v.memory[from + i]);
      });
    });
  }

  // Working memory: blocks of scores, and of what is copied.
  enum copy { q_copy, k_copy, v_copy, d_copy, out_copy, dk_copy, dv_copy, copies };
  void reserve() {
    const i64 block = scores() > 0 ? scores() : 1;
    score_ = scratch<T>(scratch_use::attention_scores, c_.backward ? 2 * block : block);
    slope_ = score_ + block;
    if (!copies_) return;
    const i64 b = product(batch_, c_.batch_rank), of_queries = b * product(query_, c_.query_rank) * c_.dims,
              of_keys = b * c_.keys * c_.dims;
    T* next = scratch<T>(scratch_use::attention_operands, 3 * of_queries + 4 * of_keys);
    for (int i = 0; i < copies; ++i) {
      copy_[i] = next;
      next += i == q_copy || i == d_copy || i == out_copy ? of_queries : of_keys;
    }
  }
  // Keys and values, once for all queries of some batches.
  void start_batches(const place& p) {
    k_ = read(c_.k, k_copy, p, false);
    if (c_.v.there()) v_ = read(c_.v, v_copy, p, false);
    fresh_ = true;
  }
  void end_batches(const place& p) {
    if (!copies_) return;
    if (c_.dk.there()) write(c_.dk, copy_at(dk_copy, p, false), p, false);
    if (c_.dv.there()) write(c_.dv, copy_at(dv_copy, p, false), p, false);
  }

  // ---- Products ----

  enum class over : u8 { query, key, dim };
  // out (+)= sum over k of a b, for each batch: m is a's and n b's, each of m, n and k being queries, keys or
  // dim.
  void multiply(const place& p, over m, over n, over k, const view& a, const view& b, const view& out,
                bool accumulate) const {
    library::contraction x;
    x.element = sizeof(T) == 8 ? dtype::f64 : dtype::f32;
    x.a = a.memory, x.b = b.memory, x.out = out.memory, x.accumulate = accumulate;
    int rank = 0;
    auto add = [&](i64 extent, i64 in_a, i64 in_b, i64 in_out) {
      x.extents[rank] = extent, x.a_strides[rank] = in_a, x.b_strides[rank] = in_b,
      x.out_strides[rank++] = in_out;
    };
    for (int i = 0; i < c_.batch_rank; ++i) add(p.batches[i], a.batch[i], b.batch[i], out.batch[i]);
    x.batch_rank = c_.batch_rank;
    auto along = [&](over axis, int& count, bool in_a, bool in_b, bool in_out) {
      const int before = rank;
      if (axis == over::query)
        for (int i = 0; i < c_.query_rank; ++i)
          add(p.queries[i], in_a ? a.query[i] : 0, in_b ? b.query[i] : 0, in_out ? out.query[i] : 0);
      else if (axis == over::key)
        add(c_.keys, in_a ? a.key : 0, in_b ? b.key : 0, in_out ? out.key : 0);
      else
        add(c_.dims, in_a ? a.dim : 0, in_b ? b.dim : 0, in_out ? out.dim : 0);
      count = rank - before;
    };
    along(m, x.m_rank, true, false, true);
    along(n, x.n_rank, false, true, true);
    along(k, x.k_rank, true, true, false);
    contract(x);
  }
  // A block of scores: [batches, queries, keys], row-major.
  [[nodiscard]] view scores_at(T* memory, const place& p) const {
    view v;
    v.memory = memory, v.key = 1;
    i64 stride = c_.keys;
    for (int i = c_.query_rank - 1; i >= 0; --i) v.query[i] = stride, stride *= p.queries[i];
    for (int i = c_.batch_rank - 1; i >= 0; --i) v.batch[i] = stride, stride *= p.batches[i];
    return v;
  }

  // ---- Rows of scores ----

  // Scales a row of scores, adds the mask, hides what may not be looked at. r: the row in the block.
  void mask_row(const row& scores, const place& p, i64 r) const {
    scores.scale(static_cast<T>(c_.scale));
    if (c_.mask.there()) {
      const i64 at = offset(c_.mask, p, r, true);
      if (c_.mask_element == dtype::boolean)
        scores.mask(memory<bool>(c_.mask) + at, c_.mask.key);
      else
        with_element([&]<class E>(E) { scores.mask(memory<E>(c_.mask) + at, c_.mask.key); });
    }
    if (c_.causal) scores.hide_from(position(p, r) + 1);
  }
  [[nodiscard]] i64 position(const place& p, i64 r) const {
    for (int i = c_.query_rank - 1; i > c_.position; --i) r /= p.queries[i];
    return p.query[c_.position] + r % p.queries[c_.position];
  }
  template <class F> void each_score_row(const place& p, T* scores, const F& f) const {
    const i64 rows = batches(p) * queries(p), grain = std::max<i64>(1, 4096 / std::max<i64>(1, c_.keys));
    in_chunks(rows, grain, [&](i64 begin, i64 end) {
      for (i64 r = begin; r < end; ++r) f(row{scores + r * c_.keys, c_.keys}, r);
    });
  }

  // ---- Forwards ----

  void results(const place& p) {
    const view scores = scores_at(score_, p);
    const view q = read(c_.q, q_copy, p, true);
    multiply(p, over::query, over::key, over::dim, q, k_, scores, false);
    each_score_row(p, score_, [&](const row& weights, i64 r) {
      mask_row(weights, p, r);
      const T top = weights.largest(), total = top == row::hidden ? T(0) : weights.exponentials(top);
      if (c_.out_sums.there())
        memory<T>(c_.out_sums)[offset(c_.out_sums, p, r, true)] = total == 0 ? top : top + std::log(total);
      if (!c_.out.there()) return;
      if (total == 0)
        weights.clear();
      else
        weights.scale(T(1) / total);
    });
    if (!c_.out.there()) return;
    const view out = copies_ ? copy_at(out_copy, p, true) : lie(c_.out, p, true);
    multiply(p, over::query, over::dim, over::key, scores, v_, out, false);
    if (copies_) write(c_.out, out, p, true);
  }

  // ---- Backwards ----

  void gradients(const place& p) {
    const view scores = scores_at(score_, p), slopes = scores_at(slope_, p);
    const view q = read(c_.q, q_copy, p, true), d = read(c_.d, d_copy, p, true);
    multiply(p, over::query, over::key, over::dim, q, k_, scores, false);
    each_score_row(p, score_, [&](const row& weights, i64 r) {
      mask_row(weights, p, r);
      const T sums = memory<T>(c_.sums)[offset(c_.sums, p, r, true)];
      if (sums == row::hidden)
        weights.clear();
      else
        weights.exponential(sums);
    });
    if (c_.dv.there())
      multiply(p, over::key, over::dim, over::query, scores, d, result(c_.dv, dv_copy, p, false), !fresh_);
    if (c_.dq.there() || c_.dk.there()) {
      // Where delta is what its formula says it is the sum of P dP too, without the result's rounding.
      const bool own_delta = copies_ && c_.attended.there();
      multiply(p, over::query, over::key, over::dim, d, v_, slopes, false);
      each_score_row(p, slope_, [&](const row& slope, i64 r) {
        const T* weights = score_ + r * c_.keys;
        const T delta =
            own_delta ? slope.product(weights) : memory<T>(c_.delta)[offset(c_.delta, p, r, true)];
        slope.take_slopes(weights, delta, static_cast<T>(c_.scale));
      });
      if (c_.dq.there()) {
        const view dq = result(c_.dq, out_copy, p, true);
        multiply(p, over::query, over::dim, over::key, slopes, k_, dq, false);
        if (copies_) write(c_.dq, dq, p, true);
      }
      if (c_.dk.there())
        multiply(p, over::key, over::dim, over::query, slopes, q, result(c_.dk, dk_copy, p, false), !fresh_);
    }
    fresh_ = false;
  }
  [[nodiscard]] view result(const operand& o, int which, const place& p, bool of_queries) const {
    return copies_ ? copy_at(which, p, of_queries) : lie(o, p, of_queries);
  }

  // Results without queries or keys are zeros; a row that sees no key has statistics of -infinity.
  void clear_results() {
    if (c_.keys > 0 && c_.queries() > 0 && c_.dims > 0) return;
    with_element([&]<class E>(E) {
      auto clear = [&](const operand& o, bool of_queries) {
        if (!o.there()) return;
        place p;
        for (int i = 0; i < c_.batch_rank; ++i) p.batches[i] = c_.batch[i];
        for (int i = 0; i < c_.query_rank; ++i) p.queries[i] = c_.query[i];
        const i64 rows = batches(p) * (of_queries ? queries(p) : c_.keys);
        for (i64 r = 0; r < rows; ++r)
          for (i64 i = 0; i < c_.dims; ++i) memory<E>(o)[offset(o, p, r, of_queries) + i * o.dim] = E{};
      };
      clear(c_.out, true), clear(c_.dq, true), clear(c_.dk, false), clear(c_.dv, false);
    });
  }
  void finish_empty() {
    if (!c_.out_sums.there()) return;
    const i64 rows = c_.batches() * c_.queries();
    const T value = c_.keys == 0 ? row::hidden : std::log(static_cast<T>(c_.keys));
    for (i64 r = 0; r < rows; ++r) memory<T>(c_.out_sums)[r] = value;
  }

  const library::attention& c_;
  void* const* at_;
  const bool copies_;
  i64 batch_[room] = {}, query_[room] = {};  // of a block
  T *score_ = nullptr, *slope_ = nullptr, *copy_[copies] = {};
  view k_, v_;
  bool fresh_ = true;
};

// at: the addresses of the step's tensors, in their order.
inline void attention(const library::attention& c, void* const* at) {
  if (c.element == dtype::f64)
    attention_blocks<double>(c, at).run();
  else
    attention_blocks<float>(c, at).run();
}

}  // namespace FLAME_HOST_ISA
}  // namespace flame::host_kernels
