// What everybody who uses the language compiles: its header, floors base to plan.
#include <flame/language.hpp>
