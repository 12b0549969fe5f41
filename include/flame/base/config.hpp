// The compiler: every macro and every workaround for a compiler's bug, each named after it, in one file.
#pragma once

#if defined(__CUDACC__)
#define FLAME_HOST_DEVICE __host__ __device__
#else
#define FLAME_HOST_DEVICE
#endif

#define FLAME_INLINE inline __attribute__((always_inline))
#define FLAME_NOINLINE __attribute__((noinline))

// Functions that are no templates are compiled once, into flame::kernels, whose users see their declarations
// alone (x_interface.hpp); without it they are inline in every file (x_definitions.hpp). x.hpp includes what
// there must be.
#if defined(FLAME_HOST_COMPILED)
#define FLAME_FUNCTION
#else
#define FLAME_FUNCTION inline
#endif

namespace flame {

using u8 = unsigned char;
using u16 = unsigned short;
using u32 = unsigned int;
using u64 = unsigned long long;
using i8 = signed char;
using i16 = short;
using i32 = int;
using i64 = long long;

static_assert(sizeof(u32) == 4 && sizeof(u64) == 8 && sizeof(u16) == 2);

}  // namespace flame
