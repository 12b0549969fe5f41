// The values of a group's instructions in a thread's registers, and elementwise instructions on them.
#pragma once
#include <flame/run/cuda/kernel/arguments.hpp>
#include <flame/run/cuda/kernel/code.hpp>

namespace flame::kernel {

template <int I, class T, int N> struct cell { T item[N]; };
template <int I, class T, int N> __device__ __forceinline__ cell<I, T, N>& get(cell<I, T, N>& c) { return c; }

// N numbers of a full value, R of a row's, one of a uniform one.
template <class Code, int I, int N, int R>
inline constexpr int items_of = Code::at(I) == width::full  ? N
                                : Code::at(I) == width::row ? R
                                                            : 1;
template <class Code, int N, int R, class I> struct bank_of;
template <class Code, int N, int R, int... I>
struct bank_of<Code, N, R, indices<I...>> : cell<I, computed<Code::stores(I) ? i32_ : Code::value(I)>,
                                                 Code::stores(I) ? 1 : items_of<Code, I, N, R>>... {
  static constexpr int full = N, of_row = R;
};
template <class Code, int N, int R = 1>
using bank = bank_of<Code, N, R, typename make_indices<Code::size>::type>;

// A uniform number of the arguments, or of memory.
template <class Code, int S> __device__ __forceinline__ auto uniform_number(u64 word) {
  constexpr int D = Code::slot_element(S);
  if constexpr (Code::reached(S) != access::none)
    return element<D>::read(*reinterpret_cast<const stored<D>*>(word));
  else if constexpr (!is_float<computed<D>>)
    return static_cast<computed<D>>(word);
  else if constexpr (sizeof(computed<D>) == 4)
    return __uint_as_float(static_cast<u32>(word));
  else
    return __longlong_as_double(static_cast<i64>(word));
}

// Element e of operand K.
template <class Code, int K, class Bank> __device__ __forceinline__ auto operand(Bank& values, int e) {
  return get<K>(values).item[items_of<Code, K, Bank::full, Bank::of_row> == 1 ? 0 : e];
}

template <class Code, int I, class Bank> __device__ __forceinline__ void compute(Bank& values) {
  constexpr op O = Code::operation(I);
  constexpr bool quick = Code::only_halves();
  constexpr int A = Code::a(I), B = Code::b(I), C = Code::c(I);
  using T = computed<Code::element(I)>;
  constexpr int items = items_of<Code, I, Bank::full, Bank::of_row>;
  auto& to = get<I>(values).item;
  if constexpr (O == op::sin || O == op::cos) {
    T from[items];
#pragma unroll
    for (int e = 0; e < items; ++e) from[e] = operand<Code, A>(values, e);
    sines<O == op::cos ? 1 : 0>(from, to);
    return;
  }
#pragma unroll
  for (int e = 0; e < items; ++e) {
    if constexpr (O == op::uniform) {
      to[e] = uniform_element<T>(operand<Code, A>(values, e), static_cast<u64>(operand<Code, B>(values, e)));
    } else if constexpr (O == op::normal) {
      to[e] = normal_element<T>(operand<Code, A>(values, e), static_cast<u64>(operand<Code, B>(values, e)));
    } else if constexpr (O == op::fold) {
      to[e] =
          fold(operand<Code, A>(values, e), static_cast<u64>(static_cast<i64>(operand<Code, B>(values, e))));
    } else if constexpr (O == op::cast) {
      to[e] = convert<T>(operand<Code, A>(values, e));
      if constexpr (Code::element(I) == bf16_ || Code::element(I) == f16_)
        to[e] = element<Code::element(I)>::read(element<Code::element(I)>::write(to[e]));
    } else if constexpr (O == op::where) {
      to[e] = operand<Code, A>(values, e) ? operand<Code, B>(values, e) : operand<Code, C>(values, e);
    } else if constexpr (B >= 0) {
      to[e] = binary<O, quick>(operand<Code, A>(values, e), operand<Code, B>(values, e));
    } else {
      to[e] = unary<O, quick>(operand<Code, A>(values, e));
    }
  }
}

}  // namespace flame::kernel
