// How a fused group is launched: the kernels' names, their grids and their arguments. Nothing here needs a
// GPU.
#pragma once
#include <flame/run/cuda/group_choice.hpp>
#include <flame/run/cuda/map.hpp>

namespace flame::cuda_kernels {

// The kernels that run one step. alignment: of each tensor's address in bytes, where it is known to be given
// at least so.
[[nodiscard]] inline prepared_group prepare(const program_step& s, const std::vector<int>& alignment,
                                            gpu_shape gpu) {
  using namespace group_launch;
  const group& code = *s.code;
  if (std::optional<prepared_kernel> map = prepare_map(s, alignment, gpu)) return {{std::move(*map)}, 0};
  chooser c{{s, code, s.bound, alignment, gpu}};
  c.read_space();
  c.choose_vectors();
  c.choose_block();

  prepared_group result;
  prepared_kernel k;
  kernel::group_head head;
  head.inner = c.over.inner, head.outer = c.over.outer;
  head.rows_a_block = static_cast<u32>(c.rows_a_block);
  head.tiles = kernel::divisor(static_cast<u32>(c.tiles));
  head.row_blocks = kernel::divisor(static_cast<u32>(c.row_blocks));
  const i64 batches = c.over.batch,
            chunk_count = c.over.outer > 0 && (c.over.inner > 0 || c.has_rows) ? c.row_blocks : 0;

  i64 shared = 0;
  if (c.has_rows && c.lanes > 32) {
    i64 reductions = 0;
    for (const instruction& i : code.body) reductions += i.code != code_store && i.reduce == reduce_mode::row;
    shared = 2 * reductions * 16 * (c.lanes / 32) * c.teams * c.cluster;
  }
  struct sum {
    i64 at, chunks, columns;
  };
  const std::size_t partials =
      sizeof head + static_cast<std::size_t>((1 + kernel::most_axes) * code.slots.size()) * sizeof(i64);
  std::vector<sum> sums(static_cast<std::size_t>(code.body.size()));
  int count = 0;
  for (int i = 0; i < code.body.size(); ++i) {
    const instruction& r = code.body[i];
    if (r.code == code_store || (r.reduce != reduce_mode::column && r.reduce != reduce_mode::total)) continue;
    if (count == kernel::most_sums)
      throw error("flame::cuda: a fused kernel with more than 8 sums over rows");
    const bool total = r.reduce == reduce_mode::total;
    const i64 bytes = state_bytes(r), columns = total ? 1 : c.over.inner;
    const i64 chunks = total ? c.row_blocks * c.tiles : c.row_blocks;
    if (c.together > 0) {
      shared = std::max(shared,
                        bytes * (total          ? c.lanes * c.teams / 32
                                 : c.lanes < 32 ? c.lanes * c.teams / 32 * c.lanes * c.vector_size * c.packs
                                                : c.lanes * c.teams * c.vector_size * c.packs));
      continue;
    }
    sums[static_cast<std::size_t>(i)] = {result.workspace_bytes, chunk_count ? chunks : 0, columns};
    k.places.push_back(
        {-1, result.workspace_bytes, partials + static_cast<std::size_t>(count) * sizeof(void*)});
    result.workspace_bytes += rounded_up(batches * chunks * columns * bytes, 256);
    shared = std::max(shared, total         ? c.lanes * c.teams / 32 * bytes
                              : c.teams > 1 ? c.lanes * c.teams * c.vector_size * c.packs * bytes
                                            : 0);
    ++count;
  }
  shared += c.stages * c.stage_bytes() + (c.cluster > 1 ? 16 : 0);
  append(k.arguments, head);
  append_slots(k, s, s.bound, kernel::most_axes, [](int i) { return i; });
  k.arguments.resize(partials + kernel::most_sums * sizeof(void*));
  append(k.arguments, c.over);
  k.name = c.name();
  k.blocks = static_cast<u32>(c.tiles * c.row_blocks * std::max<i64>(batches, 1));
  k.threads = static_cast<u32>(c.lanes * c.teams);
  k.shared_bytes = static_cast<u32>(shared);
  k.cluster = static_cast<u32>(std::max(c.cluster, c.together));
  if (shared > (c.stages > 0 ? gpu.shared_bytes : 48 * 1024))
    throw error("flame::cuda: a fused kernel needs more shared memory than a block has");
  result.kernels.push_back(std::move(k));

  for (const instruction& i : code.body) {
    if (c.together > 0 || i.code != code_store || s.tensors[i.a].buffer < 0) continue;
    const instruction& r = code.body[i.b];
    if (r.reduce != reduce_mode::column && r.reduce != reduce_mode::total) continue;
    const sum& from = sums[static_cast<std::size_t>(i.b)];
    if (batches * from.columns == 0) continue;
    const int teams = from.chunks > 64 ? 32 : from.chunks > 8 ? 8 : 1;
    const std::string name = "flame::kernel::finish<" + std::to_string(static_cast<int>(r.code)) + "," +
                             std::to_string(static_cast<int>(r.element)) + "," +
                             std::to_string(static_cast<int>(code.slots[i.a].element)) + "," +
                             std::to_string(teams) + ">";
    kernel::finish_arguments::result out;
    std::copy(s.bound.slots[i.a].strides, s.bound.slots[i.a].strides + kernel::most_axes, out.strides);
    // The output has no outer axes: its inner ones follow the batch.
    for (int n = 0; n < c.over.inner_rank; ++n)
      out.strides[c.over.batch_rank + n] = s.bound.slots[i.a].strides[c.first_inner() + n];
    // With sums before it that are like it, or alone.
    const bool total = r.reduce == reduce_mode::total;
    auto like = [&](const prepared_kernel& other) {
      kernel::finish_arguments a;
      if (other.name != name || other.jobs == kernel::most_sums) return false;
      std::memcpy(&a, other.arguments.data(), sizeof a);
      return a.columns == from.columns && a.chunks == from.chunks &&
             (a.over.inner_rank == 0) == (total || c.over.inner_rank == 0);
    };
    auto found = std::find_if(result.kernels.begin() + 1, result.kernels.end(), like);
    if (found == result.kernels.end()) {
      prepared_kernel f;
      kernel::finish_arguments a;
      a.chunks = from.chunks, a.columns = from.columns;
      a.blocks = kernel::divisor(static_cast<u32>((from.columns + 31) / 32));
      a.over = c.over;
      for (int n = 0; n < c.over.inner_rank; ++n)
        a.over.axes[c.over.batch_rank + n] = c.over.axes[c.first_inner() + n];
      if (total) a.over.inner_rank = 0;
      append(f.arguments, a);
      f.name = name;
      f.blocks = static_cast<u32>((from.columns + 31) / 32 * batches);
      f.threads = static_cast<u32>(32 * teams);
      f.jobs = 0;
      found = result.kernels.insert(result.kernels.end(), std::move(f));
    }
    const std::size_t job = found->jobs++;
    const std::size_t at =
        offsetof(kernel::finish_arguments, out) + job * sizeof(kernel::finish_arguments::result);
    std::memcpy(found->arguments.data() + at, &out, sizeof out);
    found->places.push_back({-1, from.at, offsetof(kernel::finish_arguments, partial) + job * sizeof(void*)});
    found->places.push_back({i.a, 0, at + offsetof(kernel::finish_arguments::result, memory)});
  }
  return result;
}

}  // namespace flame::cuda_kernels
