// The primitives of attention: which operand is what.
//
//   S[..., query, key] = scale sum over dim of q k       + mask, or -infinity where it is false, and where
//   causal statistics[..., query] = log sum over key of exp S     says so: where the key stands behind the
//   query P = exp(S - statistics)                              0 where S is -infinity attend = sum over key
//   of P v
//
// A query that may look at no key gets zeros. Gradients, from the cotangent d of the result and
// delta = sum over dim of d attend (Dao 2023, FlashAttention-2, section 3.1), never with S in memory:
//
//   dS = P (sum over dim of d v - delta)
//   attend_query = scale sum over key of dS k, attend_key = scale sum over queries of dS q, attend_value =
//   sum of P d
//
// q: any axes, dim among them; k, v: key, dim and axes of q, the same in both. Axes of q that k lacks are
// queries, the others batches. statistics and delta are f32, of f64 operands f64. The mask is boolean (true:
// may be looked at) or of q's type (added), over any axes of S.
#pragma once
#include <flame/graph/op.hpp>
#include <flame/type/dtype.hpp>

namespace flame {

[[nodiscard]] constexpr bool is_attention(op code) { return code >= op::attend && code <= op::attend_value; }

// Of statistics and delta.
[[nodiscard]] constexpr dtype attention_sums(dtype element) {
  return element == dtype::f64 ? dtype::f64 : dtype::f32;
}

// The places of an attention's operands behind q and k, -1 for those that it has not.
struct attention_operands {
  int value = -1, cotangent = -1, statistics = -1, delta = -1, mask = -1;
  bool fit = true;

  constexpr attention_operands(op code, int count) {
    int next = 2;
    if (code != op::attend_statistics) value = next++;
    if (code != op::attend && code != op::attend_statistics)
      cotangent = next, statistics = next + 1, delta = next + 2, next += 3;
    if (count == next + 1)
      mask = next;
    else
      fit = count == next;
  }
};

}  // namespace flame
