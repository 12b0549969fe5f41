// Derivatives of derivatives: a small network learns to solve the differential equation u'' = -u with u(0) =
// 0 and u'(0) = 1, which is the sine. The loss holds the network's second derivative in t, and training takes
// its gradient in the weights. Nothing is special about that: a gradient is an expression like any other.
// test:
#include <flame/flame.hpp>

#include <cmath>
#include <cstdio>

using namespace flame;

inline constexpr struct point : dim<> {} point;
inline constexpr struct hidden : dim<> {} hidden;

inline constexpr struct t : input<f32, point> {} t;
inline constexpr struct w : input<f32, hidden> {} w;
inline constexpr struct b : input<f32, hidden> {} b;
inline constexpr struct v : input<f32, hidden> {} v;

int main() {
  // u = t + t^2 n(t) meets both conditions at 0, whatever the network n is.
  constexpr auto network = sum(v * tanh(broadcast(t, point, hidden) * w + b), hidden);
  constexpr auto u = t + t * t * network;
  constexpr auto slope = grad(sum(u), t);
  constexpr auto curvature = grad(sum(slope), t);
  constexpr auto defect = mean(pow(curvature + u, 2));

  auto solution = compile<host>(u, t, w, b, v);
  auto step = compile<host>(value_and_grad(defect, w, b, v), t, w, b, v);

  const auto times = linspace<f32>(0, 3.5, point == 64);
  const auto none = zeros<f32>(hidden == 24);
  struct trained {  // by Adam, a kernel a line
    tensor<f32, hidden> value, mean, square;
    void operator()(const tensor<f32, hidden>& g, double rate) {
      mean = eval(0.9 * mean + 0.1 * g);
      square = eval(0.99 * square + 0.01 * g * g);
      value = eval(value - rate * mean / (sqrt(square) + 1e-8));
    }
  };
  trained weight{normal(key(1), hidden == 24), none, none}, bias{normal(key(2), hidden == 24), none, none};
  trained out{eval(0.1 * normal(key(3), hidden == 24)), none, none};

  for (int i = 0; i <= 3000; ++i) {
    const auto [loss, dw, db, dv] = step(times, weight.value, bias.value, out.value);
    const double rate = 5e-3 * std::exp(-i / 1000.0);
    weight(dw, rate), bias(db, rate), out(dv, rate);
    if (i % 500 == 0) std::printf("step %4d, mean square of u'' + u %.1e\n", i, double(loss.item()));
  }

  const auto found = solution(times, weight.value, bias.value, out.value);
  for (i64 i = 0; i < times.size(); i += 9)
    std::printf("t %.2f  network %7.4f  sine %7.4f\n", double(times(i)), double(found(i)),
                std::sin(double(times(i))));
  const f32 worst = eval(max(abs(found - sin(times)))).item();
  std::printf("largest error %.1e\n", double(worst));
  return worst < 0.02f ? 0 : 1;
}
