// Runs a fused group on all cores: tile by tile, each instruction a loop over registers that stay in the
// cache.
#pragma once
#include <flame/run/host/group_frame.hpp>
#include <flame/run/host/group_prepare.hpp>
#include <flame/run/host/scratch.hpp>
#include <flame/run/host/threads.hpp>

namespace flame::host_kernels::inline FLAME_HOST_ISA {

namespace tiles {

// One thread's tile, over its own memory.
struct worker {
  const frame& f;
  tile t;
  i64* origins = nullptr;
  void** sums = nullptr;
  i64* periods = nullptr;
  char* registers = nullptr;
  char* partial = nullptr;  // of one column of tiles, where nothing else must be combined with it
  char* result = nullptr;

  static constexpr i64 result_columns = 1024;  // finished at a time

  explicit worker(const frame& of) : f(of) {
    bump size;
    lay_out(size);
    bump b{scratch<char>(scratch_use::group_tile, size.used)};
    lay_out(b);
    for (int v = 0; v < f.p.values.size(); ++v) t.values[v] = f.uniform[v] ? f.uniform[v] : home(v);
    t.slots = f.slots;
    t.origins = origins;
    t.sums = sums;
    t.periods = periods;
    t.inner = f.extents.inner;
  }

  void lay_out(bump& b) {
    i64 reductions = f.p.reductions.size(), columns = f.cut.columns;
    t.values = b.take<void*>(f.p.values.size());
    origins = b.take<i64>(f.p.slots.size());
    sums = b.take<void*>(reductions);
    periods = b.take<i64>(reductions);
    registers = b.take<char>(f.thread_bytes);
    i64 width = 0;
    for (int i = 0; i < f.p.reductions.size(); ++i) {
      const reduction& r = f.p.reductions[i];
      i64 n = r.mode == reduce_mode::total ? 1 : columns;
      if (r.code.folds) n = (n > longest_period ? n : longest_period) + register_pad;
      char* at = b.take<char>(n * r.code.partial_bytes);
      if (b.base) sums[i] = at;
      if (r.code.partial_bytes > width) width = r.code.partial_bytes;
    }
    i64 wide = columns > result_columns ? columns : result_columns;
    partial = b.take<char>(reductions ? wide * width : 0);
    result = b.take<char>(reductions ? wide * 8 : 0);
  }

  [[nodiscard]] void* home(int v) const { return f.places[v] < 0 ? nullptr : registers + f.places[v]; }

  void set_batch(i64 batch) {
    for (int i = 0; i < f.p.slots.size(); ++i) origins[i] = f.slots[i].base + f.slots[i].batch.locate(batch);
  }

  // Rows [first, end) of outer and columns [left, right) of inner, of one batch.
  void item(i64 index) {
    const grid& g = f.cut;
    i64 column_chunk = index % g.column_chunks, row_chunk = index / g.column_chunks % g.row_chunks;
    i64 batch = index / g.column_chunks / g.row_chunks;
    i64 first = row_chunk * g.chunk_rows, end = first + g.chunk_rows, left = column_chunk * g.chunk_columns;
    i64 right = left + g.chunk_columns;
    if (end > f.extents.outer) end = f.extents.outer;
    if (right > f.extents.inner) right = f.extents.inner;
    set_batch(batch);
    begin(reduce_mode::total, 1);
    t.column = left;
    do {  // once for an inner of no extent: its rows still have values
      t.columns = right - t.column < g.columns ? right - t.column : g.columns;
      t.row = first;
      t.rows = end - first < g.rows ? end - first : g.rows;
      t.count = t.rows * t.columns;
      for (int i = 0; i < f.once_count; ++i) f.once[i]->loop(*f.once[i], t);
      begin(reduce_mode::column, t.columns);
      for (; t.row < end; t.row += g.rows) {
        t.rows = end - t.row < g.rows ? end - t.row : g.rows;
        t.count = t.rows * t.columns;
        tile next = t;
        next.row += g.rows;
        if (next.row >= end) next.row = first, next.column += g.columns;
        next.rows = end - next.row < g.rows ? end - next.row : g.rows;
        next.columns = right - next.column < g.columns ? right - next.column : g.columns;
        next.count = next.column < right ? next.rows * next.columns : 0;
        run_tile(next);
      }
      fold(reduce_mode::column, batch, row_chunk, t.column, t.columns);
      t.column += g.columns;
    } while (t.column < right);
    fold(reduce_mode::total, batch, row_chunk * g.column_chunks + column_chunk, 0, 1);
  }

  // The lines of one tile, stream by stream.
  struct lines {
    const worker& w;
    const tile& of;
    int stream = 0;
    const char *at = nullptr, *end = nullptr;
    bool written = false;

    void fetch(int count) {
      while (count > 0 && stream <= w.f.stream_count) {
        for (; count > 0 && at < end; --count, at += 64)
          if (written)
            __builtin_prefetch(at, 1);
          else
            __builtin_prefetch(at, 0);
        if (at < end) return;
        if (stream++ == w.f.stream_count) return;
        const access& a = w.f.slots[w.f.streams[stream - 1].slot];
        i64 first = w.origins[w.f.streams[stream - 1].slot] + a.outer.locate(of.row) + of.column;
        written = w.f.streams[stream - 1].written;
        at = a.memory + first * size_of(a.element);
        end = at + of.count * size_of(a.element);
      }
    }
  };

  void run_tile(const tile& next) {
    lines ahead{*this, next};
    bool whole = t.count % register_pad == 0;
    for (int i = 0; i < f.binding_count; ++i) {
      const binding& b = f.bindings[i];
      const access& a = f.slots[b.slot];
      i64 at = origins[b.slot] + a.outer.locate(t.row) + t.column;
      t.values[b.value] = whole ? a.memory + at * size_of(a.element) : home(b.value);
    }
    for (const entry *e = f.each, *end = e + f.each_count; e < end; ++e)
      if (!(e->bound && whole) && !(e->once_a_row && t.column > 0)) {
        if (next.count > 0) ahead.fetch(e->lines);
        e->code->loop(*e->code, t);
      }
  }

  void begin(reduce_mode mode, i64 columns) {
    for (int i = 0; i < f.p.reductions.size(); ++i) {
      const reduction& r = f.p.reductions[i];
      if (r.mode != mode || !f.reduction_needed[i]) continue;
      periods[i] = period_for(mode, columns);
      r.code.begin(sums[i], r.code.folds ? periods[i] : columns);
    }
  }

  void fold(reduce_mode mode, i64 batch, i64 chunk, i64 column, i64 columns) {
    for (int i = 0; i < f.p.reductions.size(); ++i) {
      const reduction& r = f.p.reductions[i];
      if (r.mode != mode || !f.reduction_needed[i]) continue;
      char* to = partial;
      if (f.chunks(r) > 1)
        to = f.partials[i] +
             ((batch * f.chunks(r) + chunk) * f.partial_columns(r) + column) * r.code.partial_bytes;
      r.code.fold(sums[i], periods[i], columns, to);
      if (f.chunks(r) == 1) finish(r, partial, 0, 1, column, columns);
    }
  }

  // The results of `chunks` partial ones, stored: of columns [column, column + columns) of the batch that is
  // set.
  void finish(const reduction& r, const char* from, i64 stride, i64 chunks, i64 column, i64 columns) {
    r.code.finish(from, stride, chunks, columns, result);
    tile out = t;
    out.values[r.result] = result;
    out.row = 0, out.rows = 1;
    out.column = column, out.columns = out.count = columns;
    for (const step& s : r.stores)
      if (f.written(s)) s.loop(s, out);
  }
};

inline void finish_partials(const frame& f, const reduction& r, const char* partials) {
  i64 columns = f.partial_columns(r), chunks = f.chunks(r);
  i64 blocks = (columns + worker::result_columns - 1) / worker::result_columns;
  parallel_for(f.extents.batches * blocks, 1, [&](i64 index, i64) {
    i64 batch = index / blocks, column = index % blocks * worker::result_columns;
    i64 n = columns - column < worker::result_columns ? columns - column : worker::result_columns;
    worker w(f);
    w.set_batch(batch);
    w.finish(r, partials + (batch * chunks * columns + column) * r.code.partial_bytes, columns, chunks,
             column, n);
  });
}

// A uniform value's number, in its register.
inline void set_number(const frame& f, const known_number& k, const bound_slot& from, tile& t) {
  dtype d = f.p.slots[k.slot].element;
  void* to = t.values[k.value];
  if (from.memory) {
    step s;
    s.loop = load_for(d);
    s.at = level::uniform;
    s.result = k.value;
    s.slot = k.slot;
    s.loop(s, t);
    return;
  }
  switch (lane_for(d)) {
    case lane::f32: *static_cast<float*>(to) = static_cast<float>(from.number); break;
    case lane::f64: *static_cast<double*>(to) = from.number; break;
    case lane::i32: *static_cast<i32*>(to) = static_cast<i32>(from.number); break;
    case lane::i64: *static_cast<i64*>(to) = static_cast<i64>(from.bits); break;
    case lane::mask: *static_cast<i32*>(to) = from.number != 0 ? -1 : 0; break;
  }
}

}  // namespace tiles

// Computes every output of the group whose memory is given. Outputs may be inputs' memory with the same
// strides. What a sum's bits are depends on extents, strides and dtypes, not on threads. Nothing is allocated
// once the threads' working memory has grown to the group's need (reserve_for_all_threads). Over no elements
// sum is 0, prod 1, max the lowest and min the highest number, argmax 0.
inline void run(const prepared_group& p, const bound_group& g) {
  using namespace tiles;
  frame f(p);
  bump size;
  f.lay_out(size);
  bump b{scratch<char>(scratch_use::group_frame, size.used)};
  f.lay_out(b);
  f.bind(g);
  f.choose_program();
  f.find_needed();
  f.measure();
  f.list_steps();
  f.place_values();
  bump partial_size;
  f.lay_out_partials(partial_size);
  bump partials{scratch<char>(scratch_use::group_partials, partial_size.used + 1)};
  f.lay_out_partials(partials);

  {
    worker w(f);
    w.set_batch(0);
    for (const known_number& k : p.numbers) set_number(f, k, g.slots[k.slot], w.t);
    for (const step& s : p.uniform_steps) s.loop(s, w.t);
  }
  parallel_for(f.cut.items, 1, [&](i64 index, i64) { worker(f).item(index); });
  for (int i = 0; i < p.reductions.size(); ++i)
    if (f.reduction_needed[i] && f.chunks(p.reductions[i]) > 1)
      finish_partials(f, p.reductions[i], f.partials[i]);
  worker w(f);
  w.set_batch(0);
  for (const step& s : p.uniform_stores)
    if (f.written(s)) s.loop(s, w.t);
  for (int i = 0; i < f.last_count && f.extents.batches * f.extents.outer * f.extents.inner > 0; ++i) {
    step s = *f.last[i];
    s.a = s.b;
    s.at = level::uniform;
    s.loop(s, w.t);
  }
}

// The same without preparation: for groups that run once.
inline void run(const bound_group& g) { run(prepare(*g.code), g); }

}  // namespace flame::host_kernels::inline FLAME_HOST_ISA
