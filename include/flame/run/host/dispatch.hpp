// From an element type that is known at run time to code for it.
#pragma once
#include <flame/base/error.hpp>
#include <flame/type/dtype.hpp>

namespace flame::host {

// Calls f with a value of the type. Throws flame::error, naming the operation, if it is not floating.
template <class F> void for_floating(const char* operation, dtype element, F f) {
  switch (element) {
    case dtype::f32: return f(float{});
    case dtype::f64: return f(double{});
    case dtype::bf16: return f(bf16{});
    case dtype::f16: return f(f16{});
    default:
      throw error(std::string(operation)
                      .append(": the operands are ")
                      .append(name_of(element))
                      .append(", expected f32, f64, bf16 or f16"));
  }
}

}  // namespace flame::host
