// A contraction as products of matrices that a BLAS knows, with the copies that make its operands such
// matrices.
#pragma once
#include <flame/run/cuda/copying.hpp>
#include <flame/run/cuda/matrix_product.hpp>

namespace flame::cuda_kernels {

// How to make out[batch, m, n] += a[batch, m, k] b[batch, k, n] from such products. The axes of each of the
// four kinds are joined; those of m and n that stay apart are batches too, but for one each. A matrix needs a
// stride of 1 and another that is no less than the extent of the first; all of k must be one axis. One batch
// axis goes into the product, the longest; the others make it a call each. An operand is copied first (and
// out copied back) where it must be, or where that spares so many calls that it is the faster way, a call
// costing what 5 MB cost to move.
class contraction_plan {
 public:
  contraction_plan() = default;

  // alignment: bytes to which a, b and out will be aligned. Throws flame::error for other element types and
  // more than 16 axes.
  // takes_bias: the products add a bias along m by themselves, where they can. at_once: all of them are one
  // call, so that copies spare nothing.
  explicit contraction_plan(const library::contraction& x, const operand_alignment& alignment = {},
                            bool takes_bias = true, bool at_once = false)
      : element_(x.element), accumulate_(x.accumulate), at_once_(at_once), scale_(x.scale) {
    require_floating("contract", x.element);
    if (x.biased) {
      plan_biased(x, alignment, takes_bias, at_once);
      return;
    }
    if (x.batch_rank + x.m_rank + x.n_rank + x.k_rank > library::contraction::room)
      throw error("contract: more than 16 axes, expected at most 8 of each operand");
    lists given = lists_of(x);
    i64 sums = given.batch.size() * given.m.size() * given.n.size();
    depth_ = given.k.size();
    if (sums == 0 || (depth_ == 0 && x.accumulate)) return;
    if (depth_ == 0) {
      axis_list<2> all;
      for (const auto* list : {&given.batch, &given.m, &given.n})
        for (int i = 0; i < list->rank; ++i)
          all.push(list->items[i].extent, i64{0}, list->items[i].strides[0]);
      zeros_ = prepared_copy(all, x.element, prepared_copy::source::zeros);
      does_ = work::zeros;
      return;
    }
    does_ = work::products;
    double best = -1;
    for (int copied = 0; copied < 8; ++copied) {
      contraction_plan one = *this;
      if (!one.try_copying(given, copied)) continue;
      if (best < 0 || one.microseconds_ < best) best = one.microseconds_, *this = one;
    }
    prepare_copies(given);
    if (copied_ != 0 || repeats_.size() > 1) note_axes(given);
    settle_alignment(alignment);
    direct_ = direct_of(x);
    names_direct_ = kernel_name("contract_direct", {static_cast<int>(x.element)});
  }

  enum class work { nothing, zeros, products };
  [[nodiscard]] work does() const { return does_; }
  [[nodiscard]] const matrix_product& product() const { return product_; }
  [[nodiscard]] i64 calls() const { return does_ == work::products ? repeats_.size() : 0; }
  [[nodiscard]] bool copies_a() const { return (copied_ & 1) != 0; }
  [[nodiscard]] bool copies_b() const { return (copied_ & 2) != 0; }
  [[nodiscard]] bool copies_out() const { return (copied_ & 4) != 0; }
  [[nodiscard]] double scale() const { return scale_; }
  // The products add the bias; else it is copied to where the result will be, and they add to it.
  [[nodiscard]] bool adds_bias() const { return adds_bias_; }
  // Whether a kernel of FLAME's own runs before the first product.
  [[nodiscard]] bool copies_first() const {
    return does_ != work::products || fill_.count() > 0 || copies_a() || copies_b() ||
           (copies_out() && accumulate_);
  }
  // Bytes for the copies.
  [[nodiscard]] i64 workspace() const { return copy_offsets_[3]; }
  // Kernels that run, or run_direct, may start.
  [[nodiscard]] std::vector<std::string> names() const {
    std::vector<std::string> all = zeros_.names();
    for (const prepared_copy* copy : {&fill_, &pack_[0], &pack_[1], &pack_[2], &back_})
      all.insert(all.end(), copy->names().begin(), copy->names().end());
    return all;
  }
  [[nodiscard]] const std::string& direct_name() const { return names_direct_; }

  // All that the choice of a way depends on.
  [[nodiscard]] std::string problem() const {
    const matrix_product& p = product_;
    std::string text = std::string("contract ").append(name_of(p.element));
    for (i64 n : {p.m, p.n, p.k, p.batch, p.first_ld, p.second_ld, p.result_ld, p.first_batch, p.second_batch,
                  p.result_batch, p.first_alignment, p.second_alignment, p.result_alignment, calls()})
      text.append(" ").append(std::to_string(n));
    return text.append(p.first_transposed ? " T" : " N")
        .append(p.second_transposed ? "T" : "N")
        .append(p.accumulate ? " +=" : " =")
        .append(adds_bias() ? " bias" : "")
        .append(axes_);
  }

  // All axes of batches, those of the product and those of calls, with their strides in its result, first and
  // second.
  [[nodiscard]] axis_list<3> batches() const {
    axis_list<3> all = repeats_;
    if (swapped_)
      for (int i = 0; i < all.rank; ++i) std::swap(all.items[i].strides[1], all.items[i].strides[2]);
    if (product_.batch > 1)
      all.items[all.rank++] = {product_.batch,
                               {product_.result_batch, product_.first_batch, product_.second_batch}};
    all.sort_by(0), all.join();
    return all;
  }

  // multiply(product, first, second, result) for each call, or once for all of them, between the copies.
  template <class Multiply>
  void run(launcher& start, const void* a, const void* b, void* out, void* workspace, cudaStream_t stream,
           Multiply&& multiply, bool at_once = false, const void* bias = nullptr) const {
    if (fill_.count() > 0) fill_.run(start, bias, out, stream);
    if (does_ == work::nothing) return;
    if (does_ == work::zeros) return zeros_.run(start, nullptr, out, stream);
    void* to = out;
    if (copies_a()) pack_[0].run(start, a, further(workspace, copy_offsets_[0]), stream);
    if (copies_b()) pack_[1].run(start, b, further(workspace, copy_offsets_[1]), stream);
    if (copies_a()) a = further(workspace, copy_offsets_[0]);
    if (copies_b()) b = further(workspace, copy_offsets_[1]);
    if (copies_out()) {
      to = further(workspace, copy_offsets_[2]);
      if (accumulate_) pack_[2].run(start, out, to, stream);
    }
    const i64 size = size_of(element_), calls = at_once ? 1 : repeats_.size();
    for (i64 call = 0; call < calls; ++call) {
      i64 at[3] = {}, n = call;
      for (int i = repeats_.rank - 1; i >= 0; --i) {
        const auto& axis = repeats_.items[i];
        for (int o = 0; o < 3; ++o) at[o] += n % axis.extent * axis.strides[o] * size;
        n /= axis.extent;
      }
      const void *first = further(a, at[1]), *second = further(b, at[2]);
      if (swapped_) {
        const void* other = first;
        first = second, second = other;
      }
      multiply(product_, first, second, further(to, at[0]));
    }
    if (copies_out()) back_.run(start, to, out, stream);
  }

  // The same by a kernel of FLAME's own, one thread an element: any strides, no copies, at no great speed.
  void run_direct(launcher& start, const void* a, const void* b, void* out, cudaStream_t stream,
                  const void* bias = nullptr) const {
    if (fill_.count() > 0) fill_.run(start, bias, out, stream);
    if (does_ == work::nothing) return;
    if (does_ == work::zeros) return zeros_.run(start, nullptr, out, stream);
    launch_each(start, names_direct_, direct_.count, stream, direct_, a, b, adds_bias_ ? bias : nullptr, out);
  }

 private:
  void plan_biased(const library::contraction& x, const operand_alignment& alignment, bool takes_bias,
                   bool at_once) {
    library::contraction y = x;
    y.biased = false;
    i64 extent = 1;
    axis_list<2> all;
    for (int i = 0; i < x.batch_rank + x.m_rank + x.n_rank; ++i) {
      if (x.bias_strides[i]) extent = x.extents[i];
      all.push(x.extents[i], x.bias_strides[i], x.out_strides[i]);
    }
    if (takes_bias) {
      *this = contraction_plan(y, alignment, true, at_once);
      // The rows of the result lie side by side: of so many, they are the last axis.
      adds_bias_ = does_ == work::products && !copies_out() && extent > 1 && product_.m == extent;
      int found = 0;
      for (int i = 0; i < direct_.rank; ++i) {
        const bool last = direct_.extents[i] == extent && direct_.out[i] == 1;
        direct_.bias[i] = last, found += last;
      }
      adds_bias_ = adds_bias_ && found == 1;
      if (adds_bias_) return;
    }
    y.accumulate = true;
    *this = contraction_plan(y, alignment, true, at_once);
    fill_ = prepared_copy(all, x.element);
  }

  // Strides of batch, m and n: in out, a, b; of k: in a, b.
  struct lists {
    axis_list<3> batch, m, n;
    axis_list<2> k;
  };

  static lists lists_of(const library::contraction& x) {
    lists to;
    int i = 0;
    auto add = [&](axis_list<3>& list, int count, bool in_a, bool in_b) {
      for (int past = i + count; i < past; ++i)
        list.push(x.extents[i], x.out_strides[i], in_a ? x.a_strides[i] : i64{0},
                  in_b ? x.b_strides[i] : i64{0});
    };
    add(to.batch, x.batch_rank, true, true), add(to.m, x.m_rank, true, false),
        add(to.n, x.n_rank, false, true);
    for (int past = i + x.k_rank; i < past; ++i) to.k.push(x.extents[i], x.a_strides[i], x.b_strides[i]);
    return to;
  }

  // The lists in the order in which copies will lie.
  static void order(lists& given, int copied) {
    const bool a = copied & 1, b = copied & 2, out = copied & 4;
    if (!out)
      given.batch.sort_by(0), given.m.sort_by(0), given.n.sort_by(0);
    else {
      if (!a || !b) given.batch.sort_by(a ? 2 : 1);
      if (!a) given.m.sort_by(1);
      if (!b) given.n.sort_by(2);
    }
    if (!a || !b) given.k.sort_by(a ? 1 : 0);
  }

  template <int Operands> static void set_contiguous(axis_list<Operands>& list, int operand, i64& stride) {
    for (int i = list.rank - 1; i >= 0; --i)
      list.items[i].strides[operand] = stride, stride *= list.items[i].extent;
  }

  // Copies lie as [batch, m, k], [batch, n, k] and [batch, m, n].
  static void set_copied(lists& given, int copied) {
    i64 stride = 1;
    if (copied & 1)
      set_contiguous(given.k, 0, stride), set_contiguous(given.m, 1, stride),
          set_contiguous(given.batch, 1, stride);
    stride = 1;
    if (copied & 2)
      set_contiguous(given.k, 1, stride), set_contiguous(given.n, 2, stride),
          set_contiguous(given.batch, 2, stride);
    stride = 1;
    if (copied & 4)
      set_contiguous(given.n, 0, stride), set_contiguous(given.m, 0, stride),
          set_contiguous(given.batch, 0, stride);
  }

  struct leading {
    bool legal, transposed;
    i64 ld;
  };
  // A matrix of rows by columns, column-major or, transposed, row-major.
  static leading lead(i64 rows, i64 row_stride, i64 columns, i64 column_stride) {
    const bool plain = (row_stride == 1 || rows == 1) && (columns == 1 || column_stride >= rows),
               turned = (column_stride == 1 || columns == 1) && (rows == 1 || row_stride >= columns);
    if (plain && (!turned || rows > 1)) return {true, false, columns == 1 ? rows : column_stride};
    return {turned, true, rows == 1 ? columns : row_stride};
  }

  bool try_copying(lists given, int copied) {
    order(given, copied);
    set_copied(given, copied);
    given.batch.join(), given.m.join(), given.n.join(), given.k.join();
    if (given.k.rank > 1) return false;
    const auto k = given.k.rank ? given.k.items[0] : axis_list<2>::axis{};
    double best = -1;
    for (int i = 0; i < given.m.rank || i == 0; ++i)
      for (int j = 0; j < given.n.rank || j == 0; ++j) {
        const auto m = given.m.rank ? given.m.items[i] : axis_list<3>::axis{};
        const auto n = given.n.rank ? given.n.items[j] : axis_list<3>::axis{};
        // The result is column-major as it is, or as its transpose, which is the product of the transposes.
        const leading out = lead(m.extent, m.strides[0], n.extent, n.strides[0]);
        const leading a = lead(m.extent, m.strides[1], k.extent, k.strides[0]),
                      b = lead(k.extent, k.strides[1], n.extent, n.strides[2]);
        if (!out.legal || !a.legal || !b.legal) continue;
        axis_list<3> apart = given.batch;
        for (int other = 0; other < given.m.rank; ++other)
          if (other != i) apart.items[apart.rank++] = given.m.items[other];
        for (int other = 0; other < given.n.rank; ++other)
          if (other != j) apart.items[apart.rank++] = given.n.items[other];
        apart.sort_by(0), apart.join();
        int longest = 0;
        for (int at = 1; at < apart.rank; ++at)
          if (apart.items[at].extent > apart.items[longest].extent) longest = at;
        const double calls = static_cast<double>(apart.size()) /
                             static_cast<double>(apart.rank ? apart.items[longest].extent : 1);
        if (best >= 0 && calls >= best) continue;
        best = calls;
        const auto batch = apart.rank ? apart.items[longest] : axis_list<3>::axis{};
        repeats_ = axis_list<3>{};
        for (int at = 0; at < apart.rank; ++at)
          if (at != longest) repeats_.items[repeats_.rank++] = apart.items[at];
        copied_ = copied, swapped_ = out.transposed;
        product_ = {element_,         m.extent,        n.extent, k.extent, batch.extent, a.transposed,
                    b.transposed,     accumulate_,     a.ld,     b.ld,     out.ld,       batch.strides[1],
                    batch.strides[2], batch.strides[0]};
        if (!swapped_) continue;
        product_.m = n.extent, product_.n = m.extent;
        product_.first_transposed = !b.transposed, product_.second_transposed = !a.transposed;
        product_.first_ld = b.ld, product_.second_ld = a.ld;
        product_.first_batch = batch.strides[2], product_.second_batch = batch.strides[1];
      }
    if (best < 0) return false;
    constexpr double call = 2.5, bytes_each = 2e6;
    const double size = static_cast<double>(size_of(element_)),
                 batches = static_cast<double>(given.batch.size()),
                 rows = static_cast<double>(given.m.size()), columns = static_cast<double>(given.n.size());
    const double depth = static_cast<double>(depth_);
    microseconds_ = (at_once_ ? 1 : best) * call;
    auto copy = [&](double elements) { microseconds_ += call + 2 * elements * size / bytes_each; };
    if (copied & 1) copy(batches * rows * depth);
    if (copied & 2) copy(batches * columns * depth);
    if (copied & 4) copy(batches * rows * columns);
    if ((copied & 4) && accumulate_) copy(batches * rows * columns);
    return true;
  }

  void prepare_copies(lists given) {
    order(given, copied_);
    lists to = given;
    set_copied(to, copied_);
    i64 at = 0;
    for (int operand = 0; operand < 3; ++operand) {
      copy_offsets_[operand] = at;
      if (!(copied_ & (1 << operand))) continue;
      axis_list<2> axes, back;
      auto add = [&](const auto& from, const auto& copy, int stride) {
        for (int i = 0; i < from.rank; ++i)
          axes.push(from.items[i].extent, from.items[i].strides[stride], copy.items[i].strides[stride]),
              back.push(from.items[i].extent, copy.items[i].strides[stride], from.items[i].strides[stride]);
      };
      const int stride = operand == 2 ? 0 : operand + 1;
      add(given.batch, to.batch, stride);
      if (operand != 1) add(given.m, to.m, stride);
      if (operand != 0) add(given.n, to.n, stride);
      if (operand != 2) add(given.k, to.k, operand);
      if (operand != 2 || accumulate_) pack_[operand] = prepared_copy(axes, element_);
      if (operand == 2) back_ = prepared_copy(back, element_);
      at += padded(axes.size() * size_of(element_));
    }
    copy_offsets_[3] = at;
  }

  // Axes as they are: beside several calls or copies, the product does not say all.
  void note_axes(lists given) {
    auto note = [&](const char* kind, auto& list) {
      list.join();
      axes_.append(kind);
      for (int i = 0; i < list.rank; ++i) {
        axes_.append(" ").append(std::to_string(list.items[i].extent));
        for (i64 stride : list.items[i].strides) axes_.append(":").append(std::to_string(stride));
      }
    };
    order(given, 0);
    note(" batch", given.batch), note(" m", given.m), note(" n", given.n), note(" k", given.k);
  }

  void settle_alignment(const operand_alignment& given) {
    auto of = [&](bool copied, int operand, i64 batch_stride, i64 alignment) {
      i64 bytes = copied ? 256 : alignment;
      const i64 size = size_of(element_);
      while (product_.batch > 1 && batch_stride * size % bytes != 0) bytes /= 2;
      for (int i = 0; i < repeats_.rank; ++i)
        while (repeats_.items[i].strides[operand] * size % bytes != 0) bytes /= 2;
      return bytes;
    };
    const i64 a = of(copies_a(), 1, swapped_ ? product_.second_batch : product_.first_batch, given.a),
              b = of(copies_b(), 2, swapped_ ? product_.first_batch : product_.second_batch, given.b);
    product_.first_alignment = swapped_ ? b : a, product_.second_alignment = swapped_ ? a : b;
    product_.result_alignment = of(copies_out(), 0, product_.result_batch, given.out);
  }

  kernel::direct_contraction direct_of(const library::contraction& x) const {
    lists given = lists_of(x);
    order(given, 0);
    kernel::direct_contraction to{};
    given.k.join();
    to.summed = for_kernel(given.k);
    to.count = given.batch.size() * given.m.size() * given.n.size(), to.depth = depth_;
    to.accumulate = accumulate_, to.scale = scale_;
    axis_list<3> all;
    for (const auto* list : {&given.batch, &given.m, &given.n})
      for (int i = 0; i < list->rank; ++i) all.items[all.rank++] = list->items[i];
    all.join();
    to.rank = all.rank;
    for (int i = 0; i < all.rank; ++i) {
      to.extents[i] = all.items[i].extent, to.out[i] = all.items[i].strides[0];
      to.a[i] = all.items[i].strides[1], to.b[i] = all.items[i].strides[2];
    }
    return to;
  }

  dtype element_ = dtype::f32;
  bool accumulate_ = false, swapped_ = false, adds_bias_ = false, at_once_ = false;
  double scale_ = 1;
  work does_ = work::nothing;
  int copied_ = 0;  // bits: a, b, out
  i64 depth_ = 1;
  double microseconds_ = 0;
  matrix_product product_;
  axis_list<3> repeats_;  // in out, a, b
  prepared_copy fill_, pack_[3], back_, zeros_;
  i64 copy_offsets_[4] = {};
  kernel::direct_contraction direct_{};
  std::string names_direct_, axes_;
};

}  // namespace flame::cuda_kernels
