// Masks by position: triangles of matrices, and values put where a mask says.
#pragma once
#include <flame/expr/composite.hpp>

namespace flame {

namespace detail {

template <class Shape, class Row, class Column>
inline constexpr bool has_plane = Shape::value().has(axis_ptr<Row>) && Shape::value().has(axis_ptr<Column>) &&
                                  !std::is_same_v<Row, Column>;

// Whether row + shift < column, with the row's axis first; and the same with the column's first.
template <class Row, class Column, operand_type Like> constexpr auto right_of(const Like& like, i64 shift) {
  return emit<op::less>(iota<i32>(Row{}, like) + shift, iota<i32>(Column{}, like));
}
template <class Row, class Column, operand_type Like> constexpr auto left_of(const Like& like, i64 shift) {
  return emit<op::less>(iota<i32>(Column{}, like), iota<i32>(Row{}, like) + shift);
}

// x where column <= row + Diagonal (or row + Diagonal <= column), in x's order of axes.
template <i64 Diagonal, bool Lower, class Row, class Column, operand_type A>
constexpr auto triangle(const A& x) {
  constexpr tensor_type t = shape_of<A>::value();
  constexpr bool rows_first = t.find(axis_ptr<Row>) < t.find(axis_ptr<Column>);
  using zero = structural_of<element_of<shape_of<A>>, 0>;
  if constexpr (Lower && rows_first)
    return where(right_of<Row, Column>(x, Diagonal), zero{}, x);
  else if constexpr (Lower)
    return where(left_of<Row, Column>(x, Diagonal + 1), x, zero{});
  else if constexpr (rows_first)
    return where(right_of<Row, Column>(x, Diagonal - 1), x, zero{});
  else
    return where(left_of<Row, Column>(x, Diagonal), zero{}, x);
}

}  // namespace detail

// True where column <= row + Diagonal: the lower triangle of the plane of two axes, [row, column]. `like`
// says in which function.
template <i64 Diagonal = 0, axis Row, axis Column, operand_type Like>
constexpr auto lower_triangle(const Row&, const Column&, const Like& like) {
  return !detail::right_of<std::remove_cvref_t<Row>, std::remove_cvref_t<Column>>(like, Diagonal);
}
// True where row + Diagonal <= column: the upper triangle.
template <i64 Diagonal = 0, axis Row, axis Column, operand_type Like>
constexpr auto upper_triangle(const Row&, const Column&, const Like& like) {
  return detail::right_of<std::remove_cvref_t<Row>, std::remove_cvref_t<Column>>(like, Diagonal - 1);
}

// x in the lower (upper) triangle of the plane of two of its axes, 0 elsewhere, as PyTorch's tril (triu): a
// positive Diagonal is one above the main one.
template <i64 Diagonal = 0, operand_type A, axis Row, axis Column>
constexpr auto tril(const A& x, const Row&, const Column&) {
  using R = std::remove_cvref_t<Row>;
  using C = std::remove_cvref_t<Column>;
  static_assert(detail::has_plane<shape_of<A>, R, C>,
                "flame::tril<diagonal>(x, row, column): row and column must be two axes of the operand");
  if constexpr (detail::has_plane<shape_of<A>, R, C>) return detail::triangle<Diagonal, true, R, C>(x);
}
template <i64 Diagonal = 0, operand_type A, axis Row, axis Column>
constexpr auto triu(const A& x, const Row&, const Column&) {
  using R = std::remove_cvref_t<Row>;
  using C = std::remove_cvref_t<Column>;
  static_assert(detail::has_plane<shape_of<A>, R, C>,
                "flame::triu<diagonal>(x, row, column): row and column must be two axes of the operand");
  if constexpr (detail::has_plane<shape_of<A>, R, C>) return detail::triangle<Diagonal, false, R, C>(x);
}

// value where the mask is true, else x (torch.Tensor.masked_fill).
template <operand_type A, operand_type Mask, class Value>
constexpr auto masked_fill(const A& x, const Mask& mask, const Value& value) {
  static_assert(std::is_same_v<element_of<shape_of<Mask>>, bool>,
                "flame::masked_fill(x, mask, value): the mask must be boolean");
  if constexpr (std::is_same_v<element_of<shape_of<Mask>>, bool>) return where(mask, value, x);
}

}  // namespace flame
