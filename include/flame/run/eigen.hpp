// Tensors of the host as Eigen's maps, and Eigen's matrices as tensors. No header of FLAME includes this one,
// and only it needs Eigen.
#pragma once
#include <flame/run/tensor.hpp>

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push  // Eigen's use of AVX-512 intrinsics (GCC bug 105593)
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <Eigen/Core>
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif

namespace flame {

namespace detail {

template <class Element>
inline constexpr bool is_eigen_number =
    std::is_same_v<Element, f32> || std::is_same_v<Element, f64> || std::is_same_v<Element, i32> ||
    std::is_same_v<Element, i64> || std::is_same_v<Element, bool>;

constexpr int eigen_extent(int extent) { return extent == dynamic ? Eigen::Dynamic : extent; }

// Extents that the axes fix are fixed in Eigen's type too. Eigen takes a matrix of one column for
// column-major only, which is the same there.
template <class Element, class... Axes> struct eigen_of;
template <class Element, class Axis> struct eigen_of<Element, Axis> {
  using type = Eigen::Matrix<Element, eigen_extent(Axis::extent), 1>;
};
template <class Element, class Row, class Column> struct eigen_of<Element, Row, Column> {
  using type = Eigen::Matrix<Element, eigen_extent(Row::extent), eigen_extent(Column::extent),
                             Column::extent == 1 && Row::extent != 1 ? Eigen::ColMajor : Eigen::RowMajor>;
};
template <class Element, class... Axes> using eigen_matrix = typename eigen_of<Element, Axes...>::type;

template <class Matrix, class Element, class... Axes>
auto eigen_map(const basic_tensor<host, Element, Axes...>& t) {
  static_assert(
      is_eigen_number<Element>,
      "flame::map(t): Eigen computes with f32, f64, i32, i64 and bool; cast<f32>() the tensor first");
  if (!t.is_contiguous())
    throw error(
        "flame::map(t): t is a view with strides, expected a tensor without gaps; take contiguous() first");
  if constexpr (sizeof...(Axes) == 1)
    return Eigen::Map<Matrix>(t.data(), static_cast<Eigen::Index>(t.extent(0)));
  else
    return Eigen::Map<Matrix>(t.data(), static_cast<Eigen::Index>(t.extent(0)),
                              static_cast<Eigen::Index>(t.extent(1)));
}

}  // namespace detail

// The memory of a tensor as Eigen sees it, nothing copied: a column vector of a tensor with one axis, a
// row-major matrix of one with two; read-only if the handle is const. It is valid while some handle keeps the
// memory, so a temporary tensor is refused. Throws flame::error if the tensor is a view with gaps.
template <class Element, class... Axes>
requires(sizeof...(Axes) == 1 || sizeof...(Axes) == 2)
    [[nodiscard]] auto map(basic_tensor<host, Element, Axes...>& t) {
  return detail::eigen_map<detail::eigen_matrix<Element, Axes...>>(t);
}
template <class Element, class... Axes>
requires(sizeof...(Axes) == 1 || sizeof...(Axes) == 2)
    [[nodiscard]] auto map(const basic_tensor<host, Element, Axes...>& t) {
  return detail::eigen_map<const detail::eigen_matrix<Element, Axes...>>(t);
}
template <class Element, class... Axes> void map(const basic_tensor<host, Element, Axes...>&&) = delete;

// A tensor of any dense expression of Eigen, evaluated and copied: tensor_from<row, col>(a * b), or of a
// vector, row or column, tensor_from<row>(v); without axes a matrix<E>. Throws flame::error if the extents
// are not those that the axes fix, or if one axis is given for a matrix that has rows and columns.
template <const auto&... Axes, class Expression>
requires(sizeof...(Axes) <= 2)
    [[nodiscard]] auto tensor_from(const Eigen::DenseBase<Expression>& expression) {
  using Element = typename Expression::Scalar;
  using result = typename std::conditional_t<sizeof...(Axes) == 0, std::type_identity<matrix<Element>>,
                                             std::type_identity<tensor<Element, Axes...>>>::type;
  static_assert(detail::is_eigen_number<Element>,
                "flame::tensor_from(matrix): the numbers are f32, f64, i32, i64 or bool");
  const i64 rows = expression.rows(), columns = expression.cols();
  if (sizeof...(Axes) == 1 && rows != 1 && columns != 1)
    throw error("flame::tensor_from<axis>(matrix): the matrix has " + std::to_string(rows) + " rows and " +
                std::to_string(columns) + " columns, expected a vector");
  result t(sizeof...(Axes) == 1 ? std::vector<i64>{rows * columns} : std::vector<i64>{rows, columns});
  // The memory is new, so that nothing that the expression reads is written.
  Eigen::Map<Eigen::Matrix<Element, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>> to(t.data(), rows,
                                                                                         columns);
  if constexpr (std::is_base_of_v<Eigen::ArrayBase<Expression>, Expression>)
    to.noalias() = expression.derived().matrix();
  else
    to.noalias() = expression.derived();
  return t;
}

}  // namespace flame
