// What limits.tsv was calibrated with: standard headers and some template work, nothing of FLAME.
#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

template <int N> struct step {
  template <class... T> static constexpr int value(T... values) {
    return (0 + ... + static_cast<int>(sizeof(values))) + step<N - 1>::template value<T*...>(&values...);
  }
};
template <> struct step<0> {
  template <class... T> static constexpr int value(T...) { return 0; }
};

int main() {
  std::map<std::string, std::unique_ptr<int>> map;
  std::vector<std::string> words{"b", "a"};
  std::sort(words.begin(), words.end());
  return step<200>::value(1, 2.0, 'c') > 0 ? static_cast<int>(map.size()) : 1;
}
