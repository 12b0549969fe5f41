// An example beside the whole standard library, of which newer ones include more (libstdc++ 13's <chrono> has
// <variant>): no function of std is taken for one of FLAME's by its arguments.
#include <algorithm>
#include <any>
#include <bit>
#include <chrono>
#include <complex>
#include <filesystem>
#include <functional>
#include <iterator>
#include <memory>
#include <numeric>
#include <optional>
#include <random>
#include <ranges>
#include <string>
#include <thread>
#include <tuple>
#include <valarray>
#include <variant>

#include "../../examples/diffusion.cpp"
