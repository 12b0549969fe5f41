"""f32 torch.matmul at the products of the diffusion step (batch 128, 49 tokens, width 96, 4 heads), and at 1024^3.

Operands lie in memory as autograd leaves them: `forward` is x [m, k] by a weight [n, k] transposed, `input` is
dy [m, k] by a weight [k, n], `weight` is dy [k, m] transposed by x [k, n]. Results go into memory that is already
there. `count` is how often the step makes this product (4 blocks).
"""

import torch

from common import line, median_ms, options

# (name, m, n, k, how operands lie, count)
PRODUCTS = [
    ("projection.forward", 6272, 96, 96, "forward", 16),
    ("projection.input", 6272, 96, 96, "input", 16),
    ("projection.weight", 96, 96, 6272, "weight", 16),
    ("qkv_fused.forward", 6272, 288, 96, "forward", 0),
    ("fc1.forward", 6272, 384, 96, "forward", 4),
    ("fc1.input", 6272, 96, 384, "input", 4),
    ("fc1.weight", 384, 96, 6272, "weight", 4),
    ("fc2.forward", 6272, 96, 384, "forward", 4),
    ("fc2.input", 6272, 384, 96, "input", 4),
    ("fc2.weight", 96, 384, 6272, "weight", 4),
    ("modulation.forward", 128, 576, 96, "forward", 4),
    ("modulation.input", 128, 96, 576, "input", 4),
    ("modulation.weight", 576, 96, 128, "weight", 4),
    ("patch.forward", 6272, 96, 16, "forward", 1),
    ("patch.weight", 96, 16, 6272, "weight", 1),
    ("final.forward", 6272, 16, 96, "forward", 1),
    ("cube", 1024, 1024, 1024, "plain", 0),
]

# (name, batch, m, n, k, how operands lie)
BATCHED = [
    ("scores", 512, 49, 49, 24, "forward"),           # q k^T
    ("values", 512, 49, 24, 49, "plain"),             # p v
    ("values_transposed", 512, 49, 24, 49, "weight"),  # p^T dy, ds^T q
]


def operands(lead, m, n, k, how):
    a = torch.randn(*lead, k, m).mT if how == "weight" else torch.randn(*lead, m, k)
    b = torch.randn(*lead, n, k).mT if how == "forward" else torch.randn(*lead, k, n)
    return a, b, torch.empty(*lead, m, n)


def main():
    given = options(__doc__)
    cases = [(name, (), m, n, k, how, count) for name, m, n, k, how, count in PRODUCTS]
    cases += [(name, (batch,), m, n, k, how, 8) for name, batch, m, n, k, how in BATCHED]
    for name, lead, m, n, k, how, count in cases:
        label = f"matmul.{name}.{'x'.join(map(str, (*lead, m, n, k)))}"
        if given.only not in label:
            continue
        a, b, out = operands(lead, m, n, k, how)
        ms = median_ms(lambda: torch.matmul(a, b, out=out), given.seconds / 2)
        flops = 2.0 * m * n * k * (lead[0] if lead else 1)
        line(label, ms, None, gflops=round(flops / ms / 1e6, 1), layout=how, count=count)


if __name__ == "__main__":
    main()
