// The block of block.cpp in a stack of N, with its gradient.
#include "blocks.hpp"

using namespace cost;

struct net {
  constexpr auto operator()(auto x, auto time) const {
    auto y = repeat<path<"blocks">>(block<root<symbols<>>>{}, carry(x), time);
    return mean(y * y);
  }
};

int main() { return trained<net>::gradient->word_count; }
