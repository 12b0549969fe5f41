"""Row groups, forward and backward: softmax, log_softmax, layer norm (no weights, eps 1e-6), cross entropy (mean).

Each case prints three lines: `.forward` (y from x, saving what the backward needs), `.backward` (dx from a random dy
and what was saved), `.both` (one after the other: dx from x and dy). Rows are the last axis.
"""

import torch
import torch._functorch.config
import torch.nn.functional as F

from common import compiled, line, median_ms, options

SHAPES = [(6272, 96), (25088, 49), (4096, 1024)]


def softmax(x, label):
    return torch.softmax(x, -1)


def log_softmax(x, label):
    return torch.log_softmax(x, -1)


def layer_norm(x, label):
    return F.layer_norm(x, x.shape[-1:], eps=1e-6)


def cross_entropy(x, label):
    return F.cross_entropy(x, label)


def measure(f, x, label, seconds):
    y = f(x, label)
    dy = torch.randn_like(y)

    def both():
        x.grad = None
        f(x, label).backward(dy)

    # the same graph is walked again and again, so that the backward is timed without a forward
    return {
        "forward": median_ms(lambda: f(x, label), seconds),
        "backward": median_ms(lambda: torch.autograd.grad(y, x, dy, retain_graph=True), seconds),
        "both": median_ms(both, seconds),
    }


def main():
    given = options(__doc__)
    # a compiled backward may otherwise write into what the forward saved, and then cannot run twice
    torch._functorch.config.donated_buffer = False
    for f in (softmax, log_softmax, layer_norm, cross_entropy):
        for rows, columns in SHAPES:
            name = f"row.{f.__name__}.{rows}x{columns}"
            if given.only not in name:
                continue
            x = torch.randn(rows, columns, requires_grad=True)
            label = torch.randint(columns, (rows,))
            eager = measure(f, x, label, given.seconds / 2)
            fused = {} if given.no_compile else measure(compiled(f), x, label, given.seconds / 2)
            for part, ms in eager.items():
                line(f"{name}.{part}", ms, fused.get(part))


if __name__ == "__main__":
    main()
