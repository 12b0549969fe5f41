// A consumer's program of two files: says with which version it was built.
#include <flame/language.hpp>
#include <flame/version.hpp>

#include <cstdio>

int other();

int main() {
  std::printf("flame %d.%d.%d\n", flame::version.major, flame::version.minor, flame::version.patch);
  return other();
}
