// What the tests of watched programs share, on the host and on a GPU: leaves, a formula with its gradients,
// and programs that are watched for a while.
#pragma once
#include <flame/expr/composite.hpp>
#include <flame/expr/gradient.hpp>
#include <flame/run/watch.hpp>

namespace flame::tests {

inline constexpr struct row : dim<> {
} row;
inline constexpr struct col : dim<> {
} col;
inline constexpr struct inner : dim<> {
} inner;
inline constexpr struct x : input<f32, row, col> {
} x;
inline constexpr struct left : input<f32, row, inner> {
} left;
inline constexpr struct right : input<f32, inner, col> {
} right;
inline constexpr struct which : input<i32, inner> {
} which;

struct watched_for_now {
  explicit watched_for_now(watch w) { set_watch(w); }
  ~watched_for_now() { set_watch(watch::nothing); }
};

// NaN in row 0 of {{1, 2}, {3, 4}, {5, 6}} and {{1, -1}, {1, 1}}, made by the second of two steps.
inline constexpr auto roots = sum(sqrt(matmul(left, right, inner) - 2) * 2, col);

// A formula of several steps and its gradients.
inline constexpr auto with_gradients =
    value_and_grad(mean(softmax(x * matmul(left, right, inner), col) * tanh(x)), x, left, right);

}  // namespace flame::tests
