"""f32 torch.matmul at the products of the diffusion step (batch 128, 49 tokens, width 96, 4 heads), and at 1024^3.

Operands lie in memory as autograd leaves them: `forward` is x [m, k] by a weight [n, k] transposed, `plain` (of a
linear layer the gradient with respect to its input) is dy [m, k] by a weight [k, n], `weight` is dy [k, m] transposed
by x [k, n]. The line holds the faster of a result in memory that is already there and one in fresh memory.
"""

import torch

from common import each, line, median_ms, options

# (name, rows, outputs, inputs, whether anybody wants the gradient with respect to the input)
LINEARS = [
    ("patch", 6272, 96, 16, False),
    ("time_fc1", 128, 96, 96, False),
    ("time_fc2", 128, 96, 96, True),
    ("modulation", 128, 576, 96, True),
    ("projection", 6272, 96, 96, True),
    ("fc1", 6272, 384, 96, True),
    ("fc2", 6272, 96, 384, True),
    ("final_modulation", 128, 192, 96, True),
    ("final", 6272, 16, 96, True),
]

# (name, batch, m, n, k, how operands lie)
OTHERS = [
    ("scores", (512,), 49, 49, 24, "forward"),            # q k^T, and dy v^T
    ("values", (512,), 49, 24, 49, "plain"),              # p v, and ds k
    ("values_transposed", (512,), 49, 24, 49, "weight"),  # p^T dy, and ds^T q
    ("cube", (), 1024, 1024, 1024, "plain"),
    ("vector", (), 1, 1024, 1024, "plain"),
]


def products():
    for name, rows, out, of, of_data in LINEARS:
        yield f"{name}.forward", (), rows, out, of, "forward"
        if of_data:
            yield f"{name}.input", (), rows, of, out, "plain"
        yield f"{name}.weight", (), out, of, rows, "weight"
    yield from OTHERS


def main():
    given = options(__doc__)

    def measure(label, lead, m, n, k, how):
        a = torch.randn(*lead, k, m).mT if how == "weight" else torch.randn(*lead, m, k)
        b = torch.randn(*lead, n, k).mT if how == "forward" else torch.randn(*lead, k, n)
        out = torch.empty(*lead, m, n)
        ms = min(median_ms(lambda: torch.matmul(a, b, out=out), given.seconds / 4),
                 median_ms(lambda: torch.matmul(a, b), given.seconds / 4))
        flops = 2.0 * m * n * k * (lead[0] if lead else 1)
        line(label, ms, None, gflops=round(flops / ms / 1e6, 1), layout=how)

    cases = {}
    for name, lead, m, n, k, how in products():
        label = f"matmul.{name}.{'x'.join(map(str, (*lead, m, n, k)))}"
        cases[label] = lambda case=(label, lead, m, n, k, how): measure(*case)
    with torch.no_grad():
        each(cases, given)


if __name__ == "__main__":
    main()
