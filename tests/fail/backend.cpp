// A backend that lacks an operation, or has it for some element types alone, says so when it is compiled for.
// error 1: flame: the backend lacks an operation of what is compiled for it
// names 1: flame::op::erf
// error 2: flame: the backend lacks an operation of what is compiled for it
// names 2: flame::dtype::f64
// error 3: flame: the backend lacks an operation of what is compiled for it
// names 3: flame::op::erf
// error 4: flame: the backend lacks an operation of what is compiled for it
// names 4: flame::op::erf
// error 5: flame: the backend lacks an operation of what is compiled for it
// names 5: flame::op::sin
// error 6: flame: the backend lacks an operation of what is compiled for it
// names 6: flame::op::sqrt
#include <flame/expr/custom.hpp>
#include <flame/flame.hpp>
#include <flame/nn/layers.hpp>
#include <flame/train/step.hpp>

using namespace flame;

// Everything but erf, and sine in f32 alone.
struct small_device {
  static constexpr const char* name = "small";
  static constexpr bool supports(op code, dtype element) {
    return code != op::erf && (code != op::sin || element == dtype::f32);
  }
};
// Everything but square roots, which Adam takes.
struct rootless_device {
  static constexpr const char* name = "rootless";
  static constexpr bool supports(op code, dtype) { return code != op::sqrt; }
};
// Their memory is the host's.
template <> class flame::storage<small_device> : public storage<host> {
 public:
  using storage<host>::storage;
};
template <> class flame::storage<rootless_device> : public storage<host> {
 public:
  using storage<host>::storage;
};

inline constexpr struct row : dim<> {
} row;
inline constexpr struct x : input<f32, row> {
} x;
inline constexpr struct wide : input<f64, row> {
} wide;
struct inner {
  constexpr auto operator()(auto u) const { return erf(u); }
};
struct slope {
  constexpr auto operator()(auto, auto d) const { return d; }
};
inline constexpr auto called = custom(inner{}, slope{});

// What compile<small_device> asks; nothing runs.
template <class E> constexpr bool takes(const E&) {
  detail::require_operations<small_device, detail::expr_function<E>::info>();
  return true;
}

// A model in f64, whose cosine has a sine for its derivative.
template <class Place> struct net {
  BOOST_HANA_DEFINE_STRUCT(net, (param<Place, "scale", initial::ones, row>, scale));
  constexpr auto operator()(const auto& u) const { return cos(u * scale); }
};
auto loss = [](auto m, auto u) { return sum(m(u)); };
template <class Backend> using made = model<net, Backend, f64>;
template <class Backend> using rows = basic_tensor<Backend, f64, struct row>;
template <class Backend> void run(const made<Backend>& m, const rows<Backend>& u) {
  auto values = [](auto n, auto v) { return n(v); };
  forward(m, values)(u);
}
template <class Backend, class Optimizer>
void train(const made<Backend>& m, const rows<Backend>& u, const Optimizer& by) {
  train_step(m, loss, by)(u);
}

#if MUST_FAIL == 1
auto refused = compile<small_device>(gelu(x), x);
#elif MUST_FAIL == 2
auto refused = compile<small_device>(sin(wide), wide);
#elif MUST_FAIL == 3
auto refused = compile<small_device>(called(x) + 1, x);
#elif MUST_FAIL == 4
void refused(const made<small_device>& m, const rows<small_device>& u) {
  forward(m, [](auto n, auto v) { return erf(n(v)); })(u);
}
#elif MUST_FAIL == 5
void refused(const made<small_device>& m, const rows<small_device>& u) { train(m, u, sgd{}); }
#elif MUST_FAIL == 6
void refused(const made<rootless_device>& m, const rows<rootless_device>& u) { train(m, u, adam{}); }
#else
static_assert(takes(tanh(x) * sin(x)) && takes(cos(wide)));
auto taken = compile<host>(gelu(x) + called(x), x);
void also_taken(const made<host>& m, const rows<host>& u) {
  run(m, u), train(m, u, sgd{}), train(m, u, adam{});
}
#endif

int main() {}
