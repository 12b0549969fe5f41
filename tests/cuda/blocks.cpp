// Small blocks of device memory: sizes, the order in which they are taken again, how many are kept. Needs no
// GPU.
//
// labels: cuda
#include <doctest/doctest.h>
#include <flame/run/cuda/blocks.hpp>

using namespace flame;
using cuda_code::small_blocks;

TEST_CASE("sizes are powers of 2 from 256 bytes on") {
  CHECK(small_blocks::size_for(0) == 256);
  CHECK(small_blocks::size_for(256) == 256);
  CHECK(small_blocks::size_for(257) == 512);
  CHECK(small_blocks::size_for((i64{1} << 20) - 1) == i64{1} << 20);
  CHECK(small_blocks::size_for(small_blocks::largest) == small_blocks::largest);
}

TEST_CASE("a block is taken again by what needs its size, the last one first") {
  small_blocks kept;
  char a, b, c;
  CHECK(kept.take(256) == nullptr);
  CHECK(kept.keep(&a, 256));
  CHECK(kept.keep(&b, 256));
  CHECK(kept.keep(&c, small_blocks::largest));
  CHECK(kept.take(512) == nullptr);
  CHECK(kept.take(256) == &b);
  CHECK(kept.take(256) == &a);
  CHECK(kept.take(256) == nullptr);
  CHECK(kept.release() == std::vector<void*>{&c});
  CHECK(kept.take(small_blocks::largest) == nullptr);
}

TEST_CASE("no more is kept than there is room for") {
  small_blocks kept;
  char a;
  i64 count = 0;
  while (kept.keep(&a, small_blocks::largest)) ++count;
  CHECK(count == small_blocks::room / small_blocks::largest);
  CHECK_FALSE(kept.keep(&a, 256));
  CHECK(kept.take(small_blocks::largest) == &a);
  CHECK(kept.keep(&a, 256));
}
