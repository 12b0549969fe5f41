// Twelve unlike blocks in 36 stacks, with the gradient with respect to all their parameters.
#include "blocks.hpp"

using namespace cost;

template <int I>
struct stack_name {
  static constexpr fixed_string<3> make() {
    fixed_string<3> s;
    s.chars[0] = static_cast<char>('a' + I / 10);
    s.chars[1] = static_cast<char>('0' + I % 10);
    return s;
  }
};

struct net {
  template <int I>
  static constexpr auto after(auto x, auto time) {
    if constexpr (I == 0)
      return x;
    else
      return repeat<path<stack_name<I>::make()>>(block<root<symbols<>>, I % 12>{}, carry(after<I - 1>(x, time)), time);
  }
  constexpr auto operator()(auto x, auto time) const {
    auto y = after<36>(x, time);
    return mean(y * y);
  }
};

int main() { return trained<net>::gradient->word_count; }
