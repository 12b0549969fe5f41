// The executors of the host backend, compiled once for all users of flame::kernels.
#include <flame/run/host/lower.hpp>
