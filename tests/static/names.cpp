// The user's globals may have any name: no warning that the library's own variables shadow them.
#include <flame/language.hpp>
#include <flame/nn/place.hpp>
#include <flame/plan/kernels.hpp>

#define GLOBAL(name)                            \
  inline constexpr struct name : flame::dim<> { \
  } name;
GLOBAL(a)
GLOBAL(b) GLOBAL(c) GLOBAL(d) GLOBAL(e) GLOBAL(f) GLOBAL(g) GLOBAL(h) GLOBAL(i) GLOBAL(j) GLOBAL(k) GLOBAL(l)
    GLOBAL(m) GLOBAL(n) GLOBAL(o) GLOBAL(p) GLOBAL(q) GLOBAL(r) GLOBAL(s) GLOBAL(t) GLOBAL(u) GLOBAL(v)
        GLOBAL(w) GLOBAL(x) GLOBAL(y) GLOBAL(z) GLOBAL(from) GLOBAL(to) GLOBAL(other) GLOBAL(first)
            GLOBAL(last) GLOBAL(count) GLOBAL(size) GLOBAL(item) GLOBAL(items) GLOBAL(node) GLOBAL(nodes)
                GLOBAL(code) GLOBAL(type) GLOBAL(value) GLOBAL(values) GLOBAL(number) GLOBAL(numbers)
                    GLOBAL(name) GLOBAL(names) GLOBAL(in) GLOBAL(out) GLOBAL(at) GLOBAL(add) GLOBAL(find)
                        GLOBAL(make) GLOBAL(put) GLOBAL(place) GLOBAL(leaf) GLOBAL(leaves) GLOBAL(word)
                            GLOBAL(words) GLOBAL(data) GLOBAL(args) GLOBAL(operand) GLOBAL(operands)
                                GLOBAL(output) GLOBAL(outputs) GLOBAL(index) GLOBAL(begin) GLOBAL(end)
                                    GLOBAL(text) GLOBAL(id) GLOBAL(rank) GLOBAL(extent) GLOBAL(step)
                                        GLOBAL(low) GLOBAL(high) GLOBAL(inner) GLOBAL(outer) GLOBAL(whole)
                                            GLOBAL(part) GLOBAL(parts) GLOBAL(one) GLOBAL(two) GLOBAL(top)
                                                GLOBAL(level) GLOBAL(group) GLOBAL(state)
#undef GLOBAL

                                                    namespace program {

  using namespace flame;
  using namespace flame::literals;

  struct no_init {};
  inline constexpr struct input_ : input<f32, a, b> {
  } input_;
  inline constexpr struct index_ : input<i32, a> {
  } index_;
  inline constexpr struct key_ : input<flame::key> {
  } key_;

  template <class Place> struct block {
    param<Place, "weight", no_init, ::c, ::b> weight;
    constexpr auto operator()(auto x_, auto key) const {
      auto hidden = gelu(matmul(layer_norm(x_, 1e-5, ::b), weight, ::b));
      return x_ + dropout(matmul(softmax(hidden, ::c), weight, ::c), 0.5, key);
    }
  };
  struct network {
    constexpr auto operator()(auto x_, auto key) const {
      return mean(square(repeat<path<"blocks">>(block<root<symbols<>>>{}, carry(x_), keyed(key))));
    }
    static constexpr auto square(auto x_) { return x_ * x_; }
  };
  constexpr const function_info* traced =
      function_of<network, shape<f32, struct a, struct b>, shape<flame::key>>;
  constexpr mask parameter() {
    mask one_;
    one_.add(2);
    return one_;
  }
  using derived = derive<traced, parameter(), mask{1}, mask{}, keep::cut>;
  static_assert(derived::call.backward->output_count == 1);

  constexpr auto loss = cross_entropy(sin(input_) * 0.5_c + 1e-3_c * normal_like(input_, key_), index_);
  static_assert(kernels(value_and_grad(loss, input_)) >= 1);
  static_assert(same<decltype(jvp(sin(input_), input_, input_)), decltype(cos(input_) * input_)>);

}  // namespace program

int main() {}
