// CALLS calls of the block of block.cpp, each with parameters of its own, with their gradient.
#include "blocks.hpp"

using namespace cost;

#ifndef CALLS
#define CALLS 16
#endif

// "0", "1", ..., "15"
template <int I>
struct number_text {
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
      return call<path<number_text<I>::make()>>(block<root<symbols<>>>{}, after<I - 1>(x, time), time);
  }
  constexpr auto operator()(auto x, auto time) const {
    auto y = after<CALLS>(x, time);
    return mean(y * y);
  }
};

int main() { return trained<net>::gradient->word_count; }
