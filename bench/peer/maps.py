"""Fused elementwise chains on 2^24 f32: ten formulas of ten operations and more.

Inputs a, b, c, d are standard normal, in that order. `text` is the formula for the reader and for the C++
side, `at` its value in f64 at (a, b, c, d) = (0.3, -0.7, 1.1, 0.4), so that both sides can see that they
compute the same.
"""

import torch

from common import compiled, line, median_ms, options

POINT = (0.3, -0.7, 1.1, 0.4)

# (name, inputs, operations, formula). The formulas are Python over `t` = torch and read as C++ but for the prefix.
FORMULAS = [
    ("five_transcendental", 3, 13, "t.exp(-(a * a)) * t.sin(b) + t.tanh(c) * t.cos(a) + t.log(b * b + 1)"),
    ("gelu_tanh_bias", 2, 10,
     "0.5 * x * (1 + t.tanh(0.7978845608 * (x + 0.044715 * x * x * x))) where x = a + b"),
    ("swiglu_backward", 3, 10, "c * a * (s * (1 + b * (1 - s))) + c * (b * s) where s = t.sigmoid(b)"),
    ("adam", 4, 13, "a - 0.001 * (0.9 * b + 0.1 * d) / (t.sqrt(0.999 * (c * c) + 0.001 * (d * d)) + 1e-8)"),
    ("polynomial", 1, 20,
     "((((((((((0.1 * a - 0.2) * a + 0.3) * a - 0.4) * a + 0.5) * a - 0.6) * a + 0.7) * a - 0.8) * a + 0.9)"
     " * a - 1.0) * a + 1.1)"),
    ("mish_residual", 2, 12, "b + 0.5 * (a * t.tanh(t.log1p(t.exp(-t.abs(a))) + t.relu(a))) - 0.25 * b"),
    ("select", 3, 11, "t.where(a > b, t.clamp(a * c + b, -1, 1), a - b * c) * 0.5 + t.abs(c) * 0.25"),
    ("normalise", 3, 13, "t.rsqrt(a * a + b * b + c * c + 1e-6) * (a * b + b * c + c * a)"),
    ("gelu_erf_backward", 2, 11,
     "b * (0.5 * (1 + t.erf(0.7071067812 * a)) + 0.3989422804 * a * t.exp(-0.5 * (a * a)))"),
    ("waves", 3, 11, "t.sin(a) * t.cos(b) - t.cos(a) * t.sin(b) + 0.5 * t.sin(c * a)"),
]


def function(inputs, formula):
    names = ", ".join("abcd"[:inputs])
    body, _, where = formula.partition(" where ")
    scope = {"t": torch}
    exec(f"def f({names}):\n  {where or 'pass'}\n  return {body}\n", scope)
    return scope["f"]


def main():
    given = options(__doc__)
    size = 1 << 24
    inputs = [torch.randn(size) for _ in range(4)]
    for name, count, operations, formula in FORMULAS:
        if given.only not in name:
            continue
        f, x = function(count, formula), inputs[:count]
        with torch.no_grad():
            eager = median_ms(lambda: f(*x), given.seconds)
            fused = None
            if not given.no_compile:
                g = compiled(f)
                difference = (g(*x) - f(*x)).abs().max().item()
                if difference > 1e-2:
                    raise SystemExit(f"{name}: eager and compiled differ by {difference}")
                fused = median_ms(lambda: g(*x), given.seconds, least=9)
            at = f(*(torch.tensor(p, dtype=torch.float64) for p in POINT[:count])).item()
        line(f"map.{name}", eager, fused, inputs=count, operations=operations, elements=size,
             text=formula.replace("t.", ""), at=at)


if __name__ == "__main__":
    main()
