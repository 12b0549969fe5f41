// A tensor's run-time axes need their extents.
// error: flame: the extent of a run-time axis must be given, as in axis == n
// names: row
#include <flame/flame.hpp>

using namespace flame;

inline constexpr struct row : dim<> {
} row;
inline constexpr struct three : dim<3> {
} three;

#ifdef MUST_FAIL
auto made = zeros<f32>(row, three);
#else
auto made = zeros<f32>(row == 2, three);
#endif

int main() {}
