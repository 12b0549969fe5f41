// How many cases the laws have generated; the last file of the program, in whose order doctest runs.
#include "../laws.hpp"

namespace flame::laws {
namespace {

TEST_CASE("at least 2,000 cases were generated, by varying extents and layouts and not types") {
  const tally& t = generated();
  if (t.laws < static_cast<int>(formulas().size())) return;  // some laws alone
  MESSAGE(t.laws << " laws: " << t.cases << " cases that differ in more than the element type, " << t.empty
                 << " of them with an empty axis; " << t.runs << " runs in all element types; " << t.refused
                 << " drawn sets of extents were refused");
  CHECK((t.cases >= 2000 || t.cases == 0));  // 0: in f32 and bf16 alone (FLAME_LAWS=few)
}

}  // namespace
}  // namespace flame::laws
