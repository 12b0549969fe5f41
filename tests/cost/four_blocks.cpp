// Four times the size of block.cpp in one function: four unlike blocks, one after another.
#include "blocks.hpp"

using namespace cost;

struct net {
  constexpr auto operator()(auto x, auto time) const {
    using place = root<symbols<>>;
    auto a = block<in<place, "a">, 0>{}(x, time);
    auto b = block<in<place, "b">, 1>{}(a, time);
    auto c = block<in<place, "c">, 2>{}(b, time);
    auto d = block<in<place, "d">, 3>{}(c, time);
    return mean(d * d);
  }
};

static_assert(node_count(trained<net>::loss->words) >= 320);

int main() { return trained<net>::gradient->word_count; }
