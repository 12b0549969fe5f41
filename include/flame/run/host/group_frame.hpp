// One run of a prepared group, worked out before its first tile: which steps run, where each value stands.
#pragma once
#include <flame/run/host/group_grid.hpp>

namespace flame::host_kernels::inline FLAME_HOST_ISA::tiles {

// Hands out parts of one allocation. Without a base it only counts.
struct bump {
  char* base = nullptr;
  i64 used = 0;

  template <class T> T* take(i64 count) {
    i64 at = used;
    used += (count * static_cast<i64>(sizeof(T)) + 63) / 64 * 64;
    return base ? reinterpret_cast<T*>(base + at) : nullptr;
  }
};

// A step of the tile. Where the tile is whole vectors, a bound one does nothing: its value is the memory
// itself.
struct entry {
  const step* code;
  bool bound;
  bool once_a_row;  // a store of row values: by the first tile of a row
  int lines;        // of the next tile's memory, that are fetched meanwhile
};
struct binding {
  int value, slot;
};
// A slot whose elements under a tile are one run.
struct stream {
  int slot;
  bool written;
};

struct frame {
  const prepared_group& p;
  const program* code = nullptr;
  space extents;
  grid cut;

  access* slots = nullptr;
  bool* aliased = nullptr;  // of each slot: an input that an output overlaps
  bool* needed = nullptr;   // of each value
  bool* reduction_needed = nullptr;
  void** uniform = nullptr;  // of each value: where it stands, if it is uniform
  i64* places = nullptr;     // of each value: where it stands in a thread's memory, if it is not
  char* numbers = nullptr;   // the uniform values
  entry* each = nullptr;
  const step** once = nullptr;  // loads of what all rows share, for each column of tiles
  const step** last = nullptr;  // stores of uniform values, after all tiles
  binding* bindings = nullptr;
  stream* streams = nullptr;
  char** partials = nullptr;  // of each reduction: its partial results, chunks then columns, for each batch
  int each_count = 0, once_count = 0, last_count = 0, binding_count = 0, stream_count = 0;
  i64 thread_bytes = 0;  // registers

  explicit frame(const prepared_group& prepared) : p(prepared) {}

  void lay_out(bump& b) {
    i64 values = p.values.size(), s = p.slots.size(),
        steps = p.immediate.steps.size() + p.deferred.steps.size();
    slots = b.take<access>(s);
    aliased = b.take<bool>(s);
    needed = b.take<bool>(values);
    reduction_needed = b.take<bool>(p.reductions.size());
    uniform = b.take<void*>(values);
    places = b.take<i64>(values);
    numbers = b.take<char>(values * uniform_bytes);
    each = b.take<entry>(steps);
    once = b.take<const step*>(steps);
    last = b.take<const step*>(steps);
    bindings = b.take<binding>(steps);
    streams = b.take<stream>(steps);
    partials = b.take<char*>(p.reductions.size());
  }

  [[nodiscard]] const value& of(int v) const { return p.values[v]; }
  [[nodiscard]] bool written(const step& store) const { return slots[store.slot].memory != nullptr; }

  // ---- The call ----

  void bind(const bound_group& g) {
    auto product = [&](int first, int count) {
      i64 n = 1;
      for (int i = first; i < first + count; ++i) n *= g.extents[i];
      return n;
    };
    extents.batches = product(0, g.batch_rank);
    extents.outer = product(g.batch_rank, g.outer_rank);
    extents.inner = product(g.batch_rank + g.outer_rank, g.inner_rank);
    extents.whole_rows = p.whole_rows;
    extents.cost = p.cost;
    for (const reduction& r : p.reductions)
      (r.mode == reduce_mode::column ? extents.reduces_columns : extents.reduces_totals) = true;
    for (int i = 0; i < p.slots.size(); ++i) {
      slots[i] = {};
      if (p.slots[i].kind != slot_kind::uniform)
        slots[i].set(g, i, p.slots[i].element);
      else
        slots[i].memory = static_cast<char*>(g.slots[i].memory);
      aliased[i] = false;
    }
    for (int v = 0; v < p.values.size(); ++v) {
      uniform[v] = of(v).at == level::uniform ? numbers + static_cast<i64>(v) * uniform_bytes : nullptr;
      if (uniform[v]) __builtin_memset(uniform[v], 0, uniform_bytes);
      places[v] = -1;
    }
  }

  // Outputs that overlap an input which is still read after they are written need the deferred program.
  void choose_program() {
    code = &p.immediate;
    bool late = false;
    for (int n = 0; n < code->steps.size(); ++n) {
      const step& s = code->steps[n];
      if (code->roles[n] != step_role::store || !written(s)) continue;
      const char *low, *high;
      slots[s.slot].span(low, high);
      int made = code->made[s.a], at = made >= 0 && code->roles[made] == step_role::compute ? made : n;
      for (int m = 0; m < code->steps.size(); ++m) {
        const step& l = code->steps[m];
        if (code->roles[m] != step_role::load || p.slots[l.slot].kind != slot_kind::input) continue;
        const char *from, *to;
        slots[l.slot].span(from, to);
        if (from >= high || to <= low) continue;
        aliased[l.slot] = true;
        if (s.at == level::row) extents.whole_rows = true;  // else other columns' tiles would read it again
        late = late || code->last_used[l.result] > at;
      }
    }
    if (late) code = &p.deferred;
  }

  // ---- The steps ----

  void find_needed() {
    for (int v = 0; v < p.values.size(); ++v) needed[v] = false;
    for (int r = 0; r < p.reductions.size(); ++r) {
      reduction_needed[r] = false;
      for (const step& s : p.reductions[r].stores) reduction_needed[r] = reduction_needed[r] || written(s);
    }
    for (int n = code->steps.size() - 1; n >= 0; --n) {
      const step& s = code->steps[n];
      if (code->roles[n] == step_role::store) {
        if (written(s) && !stored_once(s)) needed[s.a] = true;
        continue;
      }
      if (s.reduction >= 0 ? !reduction_needed[s.reduction] : !needed[s.result]) continue;
      if (s.a >= 0) needed[s.a] = true;
      if (s.b >= 0) needed[s.b] = true;
      if (s.c >= 0) needed[s.c] = true;
    }
  }

  // A number that fills one element of memory is not stored by every tile.
  [[nodiscard]] bool stored_once(const step& s) const {
    return of(s.b).at == level::uniform && slots[s.slot].repeats();
  }

  // Whether the slot's elements under any tile are one run, and what a register would hold.
  [[nodiscard]] bool in_place(const step& s, int v) const {
    dtype d = slots[s.slot].element;
    return size_of(d) == bytes_of(of(v).type) && is_run(s);
  }
  [[nodiscard]] bool is_run(const step& s) const {
    const access& a = slots[s.slot];
    if (s.at != level::full) return false;
    if (a.inner.rank > 1 || (a.inner.runs[0].extent > 1 && a.inner.runs[0].stride != 1)) return false;
    return cut.rows == 1 ||
           (cut.columns == extents.inner && a.outer.rank == 1 && a.outer.runs[0].stride == extents.inner);
  }

  // The lines of the next tile are dealt out to this tile's steps by their cost, so that memory and
  // arithmetic work at the same time. Asking costs time as well: it pays where there is much arithmetic for
  // each line, and memory that the caches do not hold.
  void spread_lines() {
    constexpr i64 cached = 8 << 20, worth = 2;
    i64 tile = cut.rows * cut.columns, lines = 0, bytes = 0, cost = 0;
    for (int i = 0; i < stream_count; ++i) {
      i64 size = size_of(slots[streams[i].slot].element);
      lines += tile * size / 64 + 1;
      bytes += extents.outer * extents.inner * size;
    }
    auto cost_of = [](const entry& e) { return e.bound || e.code->at != level::full ? 0 : e.code->cost; };
    for (int i = 0; i < each_count; ++i) cost += cost_of(each[i]);
    if (bytes < cached || cost < worth * stream_count) return;
    for (int i = 0; i < each_count; ++i)
      each[i].lines = static_cast<int>((lines * cost_of(each[i]) + cost - 1) / cost);
  }

  void measure() {
    const i64 sizes[register_kinds] = {4, 8, 4, 8};
    extents.bytes = 1;
    for (int k = 0; k < 2; ++k) extents.bytes += p.immediate.register_count[k] * sizes[k];
    for (int n = 0; n < code->steps.size(); ++n) {
      const step& s = code->steps[n];
      if (s.at != level::full || s.slot < 0 || p.slots[s.slot].kind == slot_kind::uniform) continue;
      const access& a = slots[s.slot];
      if (p.slots[s.slot].kind != slot_kind::index) extents.bytes += size_of(a.element);
      if (code->roles[n] == step_role::load && extents.outer > 1 && a.outer.repeats())
        extents.bytes += bytes_of(of(s.result).type);
      i64 down = a.outer.last().stride, along = a.inner.last().stride;
      if (p.slots[s.slot].kind != slot_kind::index && a.outer.last().extent > 1 &&
          a.inner.last().extent > 1 && (along < 0 ? -along : along) > (down < 0 ? -down : down) && down != 0)
        extents.turned = true;
    }
    cut = tiles::cut(extents);
  }

  void list_steps() {
    each_count = once_count = last_count = binding_count = stream_count = 0;
    auto bind = [&](int v, int slot) { bindings[binding_count++] = {v, slot}; };
    auto bound = [&](int v) {
      for (int i = 0; i < binding_count; ++i)
        if (bindings[i].value == v) return true;
      return false;
    };
    bool late = code == &p.deferred;
    for (int n = 0; n < code->steps.size(); ++n) {
      const step& s = code->steps[n];
      if (code->roles[n] == step_role::store) {
        if (!written(s)) continue;
        if (stored_once(s)) {
          last[last_count++] = &s;
          continue;
        }
        int made = code->made[s.a];
        bool home =
            !late && made >= 0 && code->roles[made] == step_role::compute && !bound(s.a) && in_place(s, s.a);
        if (home) bind(s.a, s.slot);
        each[each_count++] = {&s, home, s.at == level::row, 0};
        if (is_run(s)) streams[stream_count++] = {s.slot, true};
        continue;
      }
      if (s.reduction >= 0 ? !reduction_needed[s.reduction] : !needed[s.result]) continue;
      if (code->roles[n] != step_role::load) {
        each[each_count++] = {&s, false, false, 0};
        continue;
      }
      bool memory =
          p.slots[s.slot].kind == slot_kind::input && !(late && aliased[s.slot]) && in_place(s, s.result);
      if (memory) bind(s.result, s.slot);
      if (!memory && s.at == level::full && extents.outer > 1 && slots[s.slot].outer.repeats())
        once[once_count++] = &s;
      else
        each[each_count++] = {&s, memory, false, 0};
      if (p.slots[s.slot].kind == slot_kind::input && is_run(s)) streams[stream_count++] = {s.slot, false};
    }
    spread_lines();
  }

  // Registers of the program, then those of the loads that last for all rows.
  void place_values() {
    // One line more than the numbers and their pad: registers then begin in different sets of the cache.
    auto bytes = [](i64 count, int size) { return ((count + register_pad) * size + 63) / 64 * 64 + 64; };
    i64 tile = cut.rows * cut.columns, starts[register_kinds], end = 0;
    i64 stride[register_kinds] = {bytes(tile, 4), bytes(tile, 8), bytes(cut.rows, 4), bytes(cut.rows, 8)};
    for (int k = 0; k < register_kinds; ++k) {
      starts[k] = end;
      end += stride[k] * code->register_count[k];
    }
    for (int v = 0; v < p.values.size(); ++v) {
      if (code->registers[v] < 0) continue;
      int kind = register_kind(of(v).at, of(v).type);
      places[v] = starts[kind] + stride[kind] * code->registers[v];
    }
    for (int i = 0; i < once_count; ++i) {
      int v = once[i]->result;
      places[v] = end;
      end += stride[register_kind(level::full, of(v).type)];
    }
    thread_bytes = end;
  }

  // ---- Reductions ----

  [[nodiscard]] i64 partial_columns(const reduction& r) const {
    return r.mode == reduce_mode::column ? extents.inner : 1;
  }
  [[nodiscard]] i64 chunks(const reduction& r) const {
    return r.mode == reduce_mode::column ? cut.row_chunks : cut.row_chunks * cut.column_chunks;
  }
  void lay_out_partials(bump& b) {
    for (int i = 0; i < p.reductions.size(); ++i) {
      const reduction& r = p.reductions[i];
      bool kept = chunks(r) > 1 && reduction_needed[i];
      char* at =
          b.take<char>(kept ? extents.batches * chunks(r) * partial_columns(r) * r.code.partial_bytes : 0);
      if (b.base) partials[i] = at;
    }
  }
};

}  // namespace flame::host_kernels::inline FLAME_HOST_ISA::tiles
