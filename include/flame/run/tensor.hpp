// Tensors: memory with an element type and named axes, shared by copies of the handle and by views; and how
// they move between backends.
#pragma once
#include <flame/run/tensor_layout.hpp>
#include <flame/run/tensor_types.hpp>

#include <span>

namespace flame {

// A tensor of a backend. The axes are part of the type, their extents are known at run time at the latest. A
// copy of the handle shares the memory and so does a view; clone() does not. A default-made tensor has no
// memory. Nothing moves between backends but by to<cuda>(t) and to<host>(t), by values given to a tensor that
// is made or filled, and by what returns elements: item(), to_vector(). Elements of a tensor that is not on
// the host are not reached one by one.
template <class Backend, class Element, class... Axes> class basic_tensor : public operand {
 public:
  using backend = Backend;
  using element_type = Element;
  using held_shape = flame::shape<Element, Axes...>;
  using type = held_shape;
  static constexpr int rank = sizeof...(Axes);
  static constexpr flame::dtype dtype = dtype_of<Element>;
  static constexpr i64 to_end = detail::slice_along::to_end;
  static constexpr bool on_host = storage<Backend>::on_host;

  // ---- Making: see also run/create.hpp ----

  basic_tensor() = default;
  // Uninitialised and row-major, with these extents in the order of the axes.
  explicit basic_tensor(const std::vector<i64>& extents) {
    if (static_cast<int>(extents.size()) != rank)
      refuse("", std::to_string(extents.size()) + " extents are given, expected " + std::to_string(rank));
    i64 bytes = sizeof(Element);
    for (int i = 0; i < rank; ++i) {
      extents_[i] = extents[static_cast<std::size_t>(i)];
      check_extent(i);
      if (__builtin_mul_overflow(bytes, extents_[i], &bytes))
        refuse("", "the product of its extents overflows");
    }
    row_major();
    memory_ = storage<Backend>(bytes);
    data_ = reinterpret_cast<Element*>(memory_.data());
  }
  // A copy of row-major values.
  basic_tensor(const std::vector<i64>& extents, std::span<const Element> values) : basic_tensor(extents) {
    copy_from(values);
  }
  // tensor<f32, row, col> a{{1, 2}, {3, 4}}: as deep as it has axes.
  basic_tensor(typename detail::literals_of<Element, rank>::type values) requires(rank > 0) {
    std::vector<i64> extents;
    detail::measure_literals<Element>(extents, values, &name);
    extents.resize(static_cast<std::size_t>(rank), 0);  // below an axis of no extent
    if constexpr (on_host) {
      *this = basic_tensor(extents);
      Element* next = data_;
      detail::write_literals(next, values);
    } else {
      *this = from_host(basic_tensor<host, Element, Axes...>(values));
    }
  }
  explicit basic_tensor(literal<Element> value) requires(rank == 0) : basic_tensor(std::vector<i64>{}) {
    fill(value);
  }
  // A view of memory that `owner` keeps; row-major where no strides are given.
  basic_tensor(storage<Backend> owner, Element* data, const i64* extents, const i64* strides = nullptr)
      : memory_(std::move(owner)), data_(data) {
    for (int i = 0; i < rank; ++i) extents_[i] = extents[i], check_extent(i);
    row_major();
    for (int i = 0; strides && i < rank; ++i) strides_[i] = strides[i];
  }

  // An expression is computed by eval alone: refused in words.
  template <class E>
  requires is_expr<E> basic_tensor(const E&) {
    static_assert(!is_expr<E>,
                  "flame::tensor t = e: e is an expression, which nothing has computed yet; write "
                  "tensor t = eval(e), or auto t = eval(e)");
  }
  template <class E>
  requires is_expr<E> basic_tensor& operator=(const E&) {
    static_assert(!is_expr<E>,
                  "flame::tensor t = e: e is an expression, which nothing has computed yet; write "
                  "t = eval(e), or t.copy_from(eval(e)) for the same memory");
    return *this;
  }

  // ---- What it is ----

  [[nodiscard]] i64 size() const { return view().size(); }
  [[nodiscard]] i64 extent(int i) const { return extents_[place(i, "extent")]; }
  [[nodiscard]] i64 stride(int i) const { return strides_[place(i, "stride")]; }
  template <axis Axis> [[nodiscard]] i64 extent(const Axis&) const { return extents_[index_of<Axis>()]; }
  template <axis Axis> [[nodiscard]] i64 stride(const Axis&) const { return strides_[index_of<Axis>()]; }
  [[nodiscard]] std::vector<i64> shape() const { return std::vector<i64>(extents_, extents_ + rank); }
  [[nodiscard]] bool is_contiguous() const { return view().is_contiguous(); }
  [[nodiscard]] const storage<Backend>& memory() const { return memory_; }
  [[nodiscard]] Element* data() const { return data_; }  // the first element, whatever the strides
  [[nodiscard]] tensor_view view() const {
    tensor_view v;
    v.element = dtype;
    v.data = data_;
    v.rank = rank;
    for (int i = 0; i < rank; ++i) v.extents[i] = extents_[i], v.strides[i] = strides_[i];
    return v;
  }

  // ---- Elements ----

  // Row-major, of a tensor without gaps.
  [[nodiscard]] std::span<Element> values() const {
    static_assert(
        on_host,
        "flame::tensor::values(): the tensor is not on the host; read to<host>(t).values(), write by "
        "t.copy_from(values)");
    if (!is_contiguous())
      refuse("values()", "the tensor is a view with strides; take contiguous() or to_vector() first");
    return {data_, static_cast<std::size_t>(size())};
  }
  // Waits where the tensor is not on the host, as item() does.
  [[nodiscard]] std::vector<Element> to_vector() const {
    if constexpr (!on_host) return to_host().to_vector();
    std::vector<Element> all;
    all.reserve(static_cast<std::size_t>(size()));
    each([&](Element& x) { all.push_back(x); });
    return all;
  }
  // The one element of a tensor that has one.
  [[nodiscard]] Element item() const {
    if (size() != 1 || !data_)
      refuse("item()", "the tensor has " + std::to_string(data_ ? size() : 0) + " elements, expected 1");
    if constexpr (on_host) {
      return *data_;
    } else {
      Element value{};
      memory_.read(&value, data_, static_cast<i64>(sizeof(Element)));
      return value;
    }
  }
  // One element; -1 is the last along an axis.
  template <std::integral... I> [[nodiscard]] Element& operator()(I... i) const {
    static_assert(
        on_host,
        "flame::tensor(i, j, ...): the tensor is not on the host, and its elements are not reached one by "
        "one; move it with to<host>(t), or take item() of a tensor of one element");
    static_assert(sizeof...(I) == sizeof...(Axes), "flame::tensor(i, j, ...): one index for each axis");
    const i64 at[] = {static_cast<i64>(i)..., 0};
    if (rank == 0) static_cast<void>(item());
    Element* p = data_;
    for (int k = 0; k < rank; ++k) p += checked(at[k], k, "operator()") * strides_[k];
    return *p;
  }
  const basic_tensor& fill(literal<Element> value) const {
    if constexpr (on_host)
      each([&](Element& x) { x = value.value; });
    else
      memory_.fill(view(), &value.value);
    return *this;
  }
  // Values of a tensor of equal extents, or in row-major order. Views of one memory may overlap: x is read
  // as it was before.
  const basic_tensor& copy_from(const basic_tensor& from) const {
    if (!detail::same_extents(view(), from.view()))
      refuse("copy_from(x)", "x has the extents " + detail::extents_text(from.extents_, rank) +
                                 ", expected " + detail::extents_text(extents_, rank));
    if (detail::overlap(view(), from.view())) return copy_from(from.clone());
    if constexpr (on_host)
      walk(rank, extents_, strides_, from.strides_, [&](i64 i, i64 j) { data_[i] = from.data_[j]; });
    else
      from.memory_.require_here(), memory_.copy(view(), from.view());
    return *this;
  }
  const basic_tensor& copy_from(std::span<const Element> from) const {
    if (static_cast<i64>(from.size()) != size())
      refuse("copy_from(values)",
             std::to_string(from.size()) + " values are given, expected " + std::to_string(size()));
    if constexpr (on_host) {
      const Element* next = from.data();
      each([&](Element& x) { x = *next++; });
    } else if (is_contiguous()) {
      memory_.write(data_, from.data(), size() * static_cast<i64>(sizeof(Element)));
    } else {
      basic_tensor dense(shape());
      copy_from(dense.copy_from(from));
    }
    return *this;
  }

  // ---- Views: they share the memory ----

  // One index of an axis, which the result lacks; -1 is the last.
  template <axis Axis> [[nodiscard]] auto select(const Axis&, i64 index) const {
    constexpr int at = index_of<Axis>();
    using result = result_for<typename detail::replaced_axis<held_shape, std::remove_cvref_t<Axis>>::type>;
    return dropped<result>(at, index, "select(axis, i)");
  }
  // One index of the first axis.
  [[nodiscard]] auto operator[](i64 index) const requires(rank > 0) {
    return dropped<result_for<typename detail::without_first<held_shape>::type>>(0, index, "operator[]");
  }
  // Elements begin, begin + step, ... before end, as NumPy counts: negative ones from the end.
  template <axis Axis>
  [[nodiscard]] basic_tensor slice(const Axis& a, i64 begin, i64 end = to_end, i64 step = 1) const {
    static_assert(Axis::extent == dynamic,
                  "flame::tensor::slice(axis, begin, end): the extent of this axis is part of its "
                  "type; name the result's, as in slice(axis, to, begin, end)");
    return slice(a, a, begin, end, step);
  }
  [[nodiscard]] basic_tensor slice(int position, i64 begin, i64 end = to_end, i64 step = 1) const {
    return sliced<basic_tensor>(place(position, "slice"), begin, end, step);
  }
  // The same, the axis under another name.
  template <axis From, axis To>
  [[nodiscard]] auto slice(const From&, const To&, i64 begin, i64 end = to_end, i64 step = 1) const {
    return sliced<renamed<From, To>>(index_of<From>(), begin, end, step);
  }
  // All axes in another order.
  template <axis... Order> [[nodiscard]] auto permute(const Order&...) const {
    static_assert(sizeof...(Order) == sizeof...(Axes),
                  "flame::tensor::permute(axes...): all axes must be named");
    static_assert(
        ((axis_ptr<Axes>->from_last < 0) && ...),
        "flame::tensor::permute(axes...): anonymous axes have no names; transpose() turns a matrix");
    const int from[] = {index_of<Order>()..., 0};
    return arranged<basic_tensor<Backend, Element, Order...>>(from);
  }
  // Rows as columns. Anonymous axes change places, named ones keep their names.
  [[nodiscard]] auto transpose() const requires(rank == 2) {
    const int from[] = {1, 0};
    return arranged<result_for<typename detail::turned<held_shape>::type>>(from);
  }
  // An axis under another name.
  template <axis From, axis To> [[nodiscard]] auto rename(const From&, const To&) const {
    return renamed<From, To>(memory_, data_, extents_, strides_);
  }
  // The elements in row-major order under other axes, of which one may be -1; a copy where the strides do not
  // allow a view: a.reshape(row == 2, col == -1), a.reshape(2, 3).
  template <class... Given> [[nodiscard]] auto reshape(const Given&... given) const {
    using target = detail::tensor_of<Backend, Element, Given...>;
    std::vector<i64> extents = target::extents(given...);
    detail::settle_extents(extents, size());
    basic_tensor dense = contiguous();
    return typename target::type(dense.memory_, dense.data_, extents.data());
  }

  // ---- Copies ----

  // Itself if it has no gaps, else a copy.
  [[nodiscard]] basic_tensor contiguous() const { return is_contiguous() ? *this : clone(); }
  [[nodiscard]] basic_tensor clone() const {
    basic_tensor copy(shape());
    return copy.copy_from(*this);
  }
  // A copy in another element type, converted as the language's cast does.
  template <element To> [[nodiscard]] auto cast() const {
    static_assert(
        on_host,
        "flame::tensor::cast<To>(): the tensor is not on the host; write eval(cast<To>(t)), which runs where "
        "t lies");
    basic_tensor<Backend, To, Axes...> copy(shape());
    To* to = copy.data();
    each([&](Element& x) { *to++ = element_cast<To>(x); });
    return copy;
  }

  // See to<Backend>(t).
  [[nodiscard]] basic_tensor<host, Element, Axes...> to_host() const {
    if constexpr (std::is_same_v<Backend, host>) {
      return *this;
    } else {
      if (!data_) return {};
      const basic_tensor dense = contiguous();
      basic_tensor<host, Element, Axes...> t(shape());
      memory_.read(t.data(), dense.data_, size() * static_cast<i64>(sizeof(Element)));
      return t;
    }
  }
  [[nodiscard]] static basic_tensor from_host(const basic_tensor<host, Element, Axes...>& t) {
    if constexpr (std::is_same_v<Backend, host>) {
      return t;
    } else {
      if (!t.data()) return {};
      basic_tensor moved(t.shape());
      const auto dense = t.contiguous();
      moved.memory_.write(moved.data_, dense.data(), t.size() * static_cast<i64>(sizeof(Element)));
      return moved;
    }
  }
  // Whether it lies on this thread's device, as what lies on the host does; else here() is a copy there.
  [[nodiscard]] bool is_here() const {
    if constexpr (on_host)
      return true;
    else
      return memory_.is_here();
  }
  [[nodiscard]] basic_tensor here() const {
    if constexpr (on_host) {
      return *this;
    } else {
      if (is_here()) return *this;
      const basic_tensor dense = [&] {
        const typename storage<Backend>::elsewhere there(memory_.device());
        return contiguous();
      }();
      basic_tensor moved(shape());
      moved.memory_.fetch(moved.data_, dense.memory_, dense.data_,
                          size() * static_cast<i64>(sizeof(Element)));
      return moved;
    }
  }

 private:
  template <class Shape> using result_for = typename detail::tensor_for<Backend, Shape>::type;
  template <class From, class To>
  using renamed = result_for<
      typename detail::replaced_axis<held_shape, std::remove_cvref_t<From>, std::remove_cvref_t<To>>::type>;

  template <class Axis> static constexpr int index_of() {
    constexpr int at = held_shape::value().find(axis_ptr<std::remove_cvref_t<Axis>>);
    static_assert(at >= 0, "flame::tensor: the tensor has no such axis");
    return at < 0 ? 0 : at;
  }
  [[noreturn]] static void refuse(const std::string& operation, const std::string& why) {
    detail::refuse_tensor(operation, why);
  }
  static int place(int i, const char* operation) {
    if (i < -rank || i >= rank)
      refuse(operation, "axis " + std::to_string(i) + " is given, the tensor has " + std::to_string(rank));
    return i < 0 ? i + rank : i;
  }
  static const axis_info* axis_at(int i) {
    static constexpr tensor_type t = held_shape::value();
    return t.axes[i];
  }
  static std::string name(int i) { return detail::axis_text(axis_at(i), i); }
  void check_extent(int i) const {
    const i64 fixed[] = {Axes::extent..., 0};
    if (extents_[i] < 0 || (fixed[i] != dynamic && fixed[i] != extents_[i]))
      refuse("", "axis " + name(i) + " is given extent " + std::to_string(extents_[i]) +
                     (fixed[i] != dynamic ? ", its type says " + std::to_string(fixed[i])
                                          : ", expected 0 or more"));
  }
  i64 checked(i64 index, int axis, const char* operation) const {
    return detail::place_along(axis_at(axis), axis, extents_[axis], index, operation);
  }
  void row_major() { detail::set_row_major(rank, extents_, strides_); }
  template <class F> void each(F&& f) const {
    if (!data_) return;
    walk(rank, extents_, strides_, strides_, [&](i64 i, i64) { f(data_[i]); });
  }

  template <class Result> Result dropped(int axis, i64 index, const char* operation) const {
    i64 extents[max_rank + 1] = {}, strides[max_rank + 1] = {};
    for (int i = 0, k = 0; i < rank; ++i)
      if (i != axis) extents[k] = extents_[i], strides[k++] = strides_[i];
    return Result(memory_, data_ + checked(index, axis, operation) * strides_[axis], extents, strides);
  }
  template <class Result> Result sliced(int axis, i64 begin, i64 end, i64 step) const {
    const detail::slice_along part(axis_at(axis), axis, extents_[axis], begin, end, step);
    i64 extents[max_rank + 1] = {}, strides[max_rank + 1] = {};
    for (int i = 0; i < rank; ++i) extents[i] = extents_[i], strides[i] = strides_[i];
    extents[axis] = part.count;
    strides[axis] *= step;
    return Result(memory_, data_ + part.first * strides_[axis], extents, strides);
  }
  template <class Result> Result arranged(const int* from) const {
    i64 extents[max_rank + 1] = {}, strides[max_rank + 1] = {};
    for (int i = 0; i < rank; ++i) extents[i] = extents_[from[i]], strides[i] = strides_[from[i]];
    return Result(memory_, data_, extents, strides);
  }

  storage<Backend> memory_;
  Element* data_ = nullptr;
  i64 extents_[static_cast<unsigned>(rank) + 1] = {};
  i64 strides_[static_cast<unsigned>(rank) + 1] = {};
};

// A tensor on a backend: to<cuda>(t), to<host>(t). A copy, which waits for what computes t; t itself where it
// is there already. Of a tensor on another GPU than this thread's, to<cuda>(t) is a copy here: neither device
// waits for the host, and what a stream of the user's own computes there must have ended.
template <class To, class Backend, class Element, class... Axes>
[[nodiscard]] basic_tensor<To, Element, Axes...> to(const basic_tensor<Backend, Element, Axes...>& t) {
  if constexpr (std::is_same_v<To, Backend>)
    return t.here();
  else
    return basic_tensor<To, Element, Axes...>::from_host(t.to_host());
}

// tensor<f32, batch, channel>: on the host.
template <class Element, const auto&... Axes> using tensor = basic_tensor<host, Element, tag_of<Axes>...>;

// For quick work, without names: array<f32, 3>, matrix<f32>.
template <class Element, int Rank>
using array = typename detail::anonymous_tensor<host, Element, std::make_integer_sequence<int, Rank>>::type;
template <class Element> using matrix = array<Element, 2>;

}  // namespace flame
