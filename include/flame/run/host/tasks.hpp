// Loops shared out to the threads, compiled once for all loops: their bodies are called through a pointer.
#pragma once
#include <flame/run/host/simd_native.hpp>
#include <flame/run/host/threads.hpp>

namespace flame::host_kernels {
inline namespace FLAME_HOST_ISA {

// What f(begin, end) is, whatever f: it has to outlive the call.
struct range_function {
  void* context;
  void (*call)(void* context, i64 begin, i64 end);
  void operator()(i64 begin, i64 end) const { call(context, begin, end); }
};

FLAME_NOINLINE inline void share_out(i64 count, i64 grain, range_function f) {
  parallel_for(count, grain, f);
}

// f(begin, end) for the chunks [0, grain), [grain, 2 grain), ... of [0, count): see parallel_for.
template <class F> void in_chunks(i64 count, i64 grain, F f) {
  share_out(count, grain,
            {&f, [](void* context, i64 begin, i64 end) { (*static_cast<F*>(context))(begin, end); }});
}

// f(task) for each task of [0, count).
template <class F> void each_task(i64 count, F f) {
  in_chunks(count, 1, [&](i64 task, i64) { f(task); });
}

}  // namespace FLAME_HOST_ISA
}  // namespace flame::host_kernels
