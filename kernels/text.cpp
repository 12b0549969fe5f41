// Programs, expressions and tensors as text, compiled once for all users of flame::kernels.
#include <flame/plan/explain_definitions.hpp>
#include <flame/run/print_definitions.hpp>
