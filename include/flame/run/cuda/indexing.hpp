// Elements read where an index says, and values summed up there, on CUDA.
#pragma once
#include <flame/plan/library.hpp>
#include <flame/run/cuda/copying.hpp>

namespace flame::cuda_kernels {

// When scatter_add sorts.
struct indexing_options {
  i64 most_looks = i64{1} << 26;  // indices that all threads together may look at before values are sorted
  i64 least_sorted = 33;          // values that may meet in one place, below which they are not sorted
};

// gather and scatter_add as the host's: indices i32, i64 or u8; gather moves elements of any type;
// scatter_add takes floating numbers, half types summed in f32, and integers, which wrap around. The same
// bits at every run.
//
// An index outside of its axis writes nothing where it leads: it sets the fault word (kernel::fault, memory
// of the device that holds zeros) to this step's number, and fault_text says it in words once the host has
// read the word.
//
// scatter_add makes every element of the result in one thread (or, `parts`, in as many as make the GPU busy,
// added up in their order). Where that would look at too many indices, the values are sorted by their place
// first, equals staying in their order, and summed up by tiles of them.
class prepared_indexing {
 public:
  // step: what a fault is reported as, from 1 on. Throws flame::error for other element types.
  prepared_indexing(op operation, const library::indexing& x, u32 step, const indexing_options& options = {})
      : gather_(operation == op::gather) {
    if (!gather_ && operation != op::scatter_add)
      throw error("prepared_indexing: the operation is neither gather nor scatter_add");
    if (x.index_element != dtype::int32 && x.index_element != dtype::int64 && x.index_element != dtype::uint8)
      throw error(std::string(name())
                      .append(": the index is ")
                      .append(name_of(x.index_element))
                      .append(", expected i32, i64 or u8"));
    if (!gather_ && !is_floating(x.element) && !is_integer(x.element))
      throw error(std::string(name())
                      .append(": the values are ")
                      .append(name_of(x.element))
                      .append(", expected numbers"));
    shape_.extent = x.extent, shape_.stride = x.stride;
    shape_.index_element = static_cast<i32>(x.index_element), shape_.step = step;
    axis_list<3> outer, kept;
    axis_list<2> inner, summed;
    for (int i = 0; i < x.rank; ++i) {
      if (x.index_strides[i] == 0 && x.out_strides[i] != 0) {
        inner.push(x.extents[i], x.from_strides[i], x.out_strides[i]);
        continue;
      }
      outer.push(x.extents[i], x.from_strides[i], x.index_strides[i], x.out_strides[i]);
      if (x.out_strides[i] != 0)
        kept.push(x.extents[i], x.from_strides[i], x.index_strides[i], x.out_strides[i]);
      else
        summed.push(x.extents[i], x.from_strides[i], x.index_strides[i]);
    }
    inner.sort_by(1), inner.join();
    if (gather_)
      prepare_gather(x.element, outer, inner);
    else
      prepare_scatter(x.element, kept, summed, inner, options);
  }

  [[nodiscard]] const char* name() const { return gather_ ? "gather" : "scatter_add"; }
  // What it may start.
  [[nodiscard]] const std::vector<std::string>& names() const { return names_; }
  // How it is done, in words.
  [[nodiscard]] const char* engine() const {
    return gather_      ? "gather"
           : sorts_     ? "scatter, sorted"
           : parts_ > 1 ? "scatter, walked in parts"
                        : "scatter, walked";
  }
  // Bytes that run needs.
  [[nodiscard]] i64 workspace() const { return workspace_; }

  [[nodiscard]] std::string fault_text(const kernel::fault& found) const {
    return std::string(name())
        .append(": index ")
        .append(std::to_string(found.value))
        .append(" is out of range, the axis has extent ")
        .append(std::to_string(shape_.extent));
  }

  void run(launcher& start, const void* from, const void* index, void* out, void* workspace,
           kernel::fault* wrong, cudaStream_t stream) const {
    if (count_ == 0) return;
    const bool wide = names_wide_ && aligned(from, alignment_) && aligned(out, alignment_);
    const kernel::indexing& x = wide ? wide_shape_ : shape_;
    if (gather_) {
      const i64 count = wide ? count_ / width_ : count_;
      launch_each(start, names_[wide], count, stream, x, wide ? wide_outer_ : outer_, count, from, index, out,
                  wrong);
    } else if (sorts_) {
      run_sorted(start, from, index, out, workspace, wrong, wide, stream);
    } else {
      launch_each(start, names_[wide], parts_ * (wide ? count_ / width_ : count_), stream, x, axes_, parts_,
                  some_, from, index, out, workspace, wrong);
      if (parts_ > 1)
        launch_each(start, names_.back(), count_, stream, x, axes_, parts_,
                    static_cast<const void*>(workspace), out);
    }
  }

 private:
  void prepare_gather(dtype element, axis_list<3> outer, const axis_list<2>& inner) {
    const i64 size = size_of(element);
    outer.sort_by(2), outer.join();
    count_ = outer.size() * inner.size();
    shape_.inner = for_kernel(inner), shape_.inner_count = inner.size();
    outer_ = for_kernel(outer);
    names_.push_back(kernel_name("gather", {static_cast<int>(size)}));
    width_ = unit_elements(inner, size);
    auto fits = [&] {
      if (shape_.stride % width_ != 0) return false;
      for (int i = 0; i < outer.rank; ++i)
        if (outer.items[i].strides[0] % width_ != 0 || outer.items[i].strides[2] % width_ != 0) return false;
      return true;
    };
    while (width_ > 1 && !fits()) width_ /= 2;
    if (width_ == 1) return;
    names_wide_ = true, alignment_ = size * width_;
    names_.push_back(kernel_name("gather", {static_cast<int>(alignment_)}));
    wide_shape_ = shape_;
    wide_shape_.stride /= width_, wide_shape_.inner_count /= width_;
    wide_shape_.inner = for_kernel(in_units(inner, width_));
    for (int i = 0; i < outer.rank; ++i)
      outer.items[i].strides[0] /= width_, outer.items[i].strides[2] /= width_;
    wide_outer_ = for_kernel(outer);
  }

  void prepare_scatter(dtype element, axis_list<3> kept, axis_list<2> summed, const axis_list<2>& inner,
                       const indexing_options& options) {
    const i64 size = size_of(element), sum_size = size == 8 ? 8 : 4;
    const int number = static_cast<int>(element);
    kept.sort_by(2), kept.join(), summed.join();
    shape_.inner = for_kernel(inner), shape_.inner_count = inner.size();
    axes_ = {for_kernel(kept), for_kernel(summed), kept.size(), summed.size()};
    const i64 keys = kept.size() * shape_.extent, tokens = kept.size() * summed.size();
    count_ = keys * inner.size();
    if (count_ == 0) return;
    width_ = unit_elements(inner, size);
    auto fits = [&] {
      if (shape_.stride % width_ != 0) return false;
      for (int i = 0; i < kept.rank; ++i)
        if (kept.items[i].strides[0] % width_ != 0 || kept.items[i].strides[2] % width_ != 0) return false;
      for (int i = 0; i < summed.rank; ++i)
        if (summed.items[i].strides[0] % width_ != 0) return false;
      return true;
    };
    while (width_ > 1 && !fits()) width_ /= 2;
    names_wide_ = width_ > 1, alignment_ = size * width_, wide_shape_ = shape_;
    const i64 vectors = keys * (inner.size() / width_), each = summed.size();
    sorts_ = each >= options.least_sorted && each > options.most_looks / vectors && keys < 0x7fffffff &&
             tokens < 0x7fffffff;
    auto add = [&](const char* kernel) {
      names_.push_back(kernel_name(kernel, {number, 1}));
      if (names_wide_) names_.push_back(kernel_name(kernel, {number, static_cast<int>(width_)}));
    };
    if (sorts_) {
      add("scatter_sorted");
      sort_names_ = static_cast<int>(names_.size());
      for (const char* kernel :
           {"scatter_keys", "radix_count", "scan_ranges_of", "scan_counts", "radix_place"})
        names_.push_back(kernel_name(kernel, {0}));
      names_.push_back(kernel_name("scatter_join", {number}));
      axis_list<2> all;
      for (int i = 0; i < kept.rank; ++i) all.push(kept.items[i].extent, i64{0}, kept.items[i].strides[2]);
      all.push(shape_.extent, i64{0}, shape_.stride);
      for (int i = 0; i < inner.rank; ++i) all.push(inner.items[i].extent, i64{0}, inner.items[i].strides[1]);
      zeros_ = prepared_copy(all, element, prepared_copy::source::zeros);
      names_.insert(names_.end(), zeros_.names().begin(), zeros_.names().end());
      part_bytes_ = padded(tiles() * inner.size() * sum_size);
      workspace_ = 2 * token_bytes() + counts_bytes() + padded(kernel::scan_ranges * 4) + 2 * part_bytes_;
    } else {
      add("scatter_walk");
      parts_ = (i64{1} << 17) / vectors;
      parts_ = parts_ < each / 16 ? parts_ : each / 16;
      if (parts_ < 1) parts_ = 1;
      some_ = (each + parts_ - 1) / parts_;
      if (some_ > 0) parts_ = (each + some_ - 1) / some_;
      if (parts_ > 1) {
        names_.push_back(kernel_name("scatter_finish", {number}));
        workspace_ = parts_ * count_ * sum_size;
      }
    }
  }

  [[nodiscard]] i64 tokens() const { return axes_.kept_count * axes_.summed_count; }
  [[nodiscard]] i64 tiles() const { return (tokens() + kernel::radix_tile - 1) / kernel::radix_tile; }
  [[nodiscard]] i64 token_bytes() const {
    return padded(tokens() * static_cast<i64>(sizeof(kernel::scatter_token)));
  }
  [[nodiscard]] i64 counts_bytes() const { return padded(kernel::radix_digits * tiles() * 4); }

  void run_sorted(launcher& start, const void* from, const void* index, void* out, void* workspace,
                  kernel::fault* wrong, bool wide, cudaStream_t stream) const {
    auto* given = static_cast<kernel::scatter_token*>(workspace);
    auto* sorted = static_cast<kernel::scatter_token*>(further(workspace, token_bytes()));
    auto* counts = static_cast<u32*>(further(workspace, 2 * token_bytes()));
    auto* ranges = static_cast<u32*>(further(counts, counts_bytes()));
    void *heads = further(ranges, padded(kernel::scan_ranges * 4)), *tails = further(heads, part_bytes_);
    const i64 keys = axes_.kept_count * shape_.extent, count = tokens(),
              numbers = kernel::radix_digits * tiles();
    const std::string* names = names_.data() + sort_names_;
    launch_each(start, names[0], count, stream, shape_, axes_, static_cast<const void*>(index), given, wrong);
    for (int shift = 0; shift < 32 && keys >> shift != 0; shift += 4) {
      const kernel::scatter_token* tokens_given = given;
      launch_each(start, names[1], tiles(), stream, count, shift, tokens_given, counts);
      launch_each(start, names[2], kernel::scan_ranges, stream, numbers, static_cast<const u32*>(counts),
                  ranges);
      launch_each(start, names[3], kernel::scan_ranges, stream, numbers, static_cast<const u32*>(ranges),
                  counts);
      launch_each(start, names[4], tiles(), stream, count, shift, tokens_given, counts, sorted);
      kernel::scatter_token* other = given;
      given = sorted, sorted = other;
    }
    const kernel::scatter_runs runs = {count, keys, given};
    const i64 inner = shape_.inner_count;
    zeros_.run(start, nullptr, out, stream);
    launch_each(start, names_[wide], tiles() * (wide ? inner / width_ : inner), stream, shape_, axes_, runs,
                from, out, heads, tails);
    launch_each(start, names[5], tiles() * inner, stream, shape_, axes_, runs,
                static_cast<const void*>(heads), static_cast<const void*>(tails), out);
  }

  bool gather_, sorts_ = false, names_wide_ = false;
  int sort_names_ = 0;
  i64 count_ = 0, width_ = 1, alignment_ = 1, workspace_ = 0, parts_ = 1, some_ = 0, part_bytes_ = 0;
  prepared_copy zeros_;
  kernel::indexing shape_{}, wide_shape_{};
  kernel::three_strides outer_{}, wide_outer_{};
  kernel::scatter_axes axes_{};
  std::vector<std::string> names_;
};

}  // namespace flame::cuda_kernels
