// Products of matrices without names.
#pragma once
#include <flame/expr/contract.hpp>
#include <flame/run/tensor.hpp>

namespace flame {

namespace detail {
struct matrix_row : dim<> {};
struct matrix_inner : dim<> {};
struct matrix_col : dim<> {};
}  // namespace detail

// matmul(a, b) of two matrices: rows of a by columns of b. In one expression an axis has one extent, and
// anonymous axes are known by their place: for a product of products, eval the first; the products of one
// expression sum over equally many elements.
template <class Backend, class Element>
auto matmul(const basic_tensor<Backend, Element, anonymous<1>, anonymous<0>>& a,
            const basic_tensor<Backend, Element, anonymous<1>, anonymous<0>>& b) {
  using detail::matrix_col, detail::matrix_inner, detail::matrix_row;
  const auto left = a.rename(anonymous<1>{}, matrix_row{}).rename(anonymous<0>{}, matrix_inner{});
  const auto right = b.rename(anonymous<1>{}, matrix_inner{}).rename(anonymous<0>{}, matrix_col{});
  return rename(rename(matmul(left, right, matrix_inner{}), matrix_row{}, anonymous<1>{}), matrix_col{},
                anonymous<0>{});
}

}  // namespace flame
