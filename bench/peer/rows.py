"""Row groups: softmax, log_softmax, layer norm (weight and bias, eps 1e-6), cross entropy (mean), and their gradients.

`.forward` is y from x, with what the backward needs. `.gradient` is forward and backward, one after the other: dx from x and a random dy, of layer
norm the gradients of weight and bias too. Rows are the last axis.
"""

import torch
import torch.nn.functional as F

from common import compiled, each, line, median_ms, options

SHAPES = [(6272, 96), (25088, 49), (16384, 640), (4096, 4096)]


def softmax(x, weight, bias, label):
    return torch.softmax(x, -1)


def log_softmax(x, weight, bias, label):
    return torch.log_softmax(x, -1)


def layer_norm(x, weight, bias, label):
    return F.layer_norm(x, x.shape[-1:], weight, bias, eps=1e-6)


def cross_entropy(x, weight, bias, label):
    return F.cross_entropy(x, label)


def main():
    given = options(__doc__)
    seconds = given.seconds / 3

    fused = {}  # the latest: its forward serves both cases, since compiling takes most of the time

    def measure(f, part, rows, columns):
        x, weight, bias = torch.randn(rows, columns), torch.randn(columns), torch.randn(columns)
        label = torch.randint(columns, (rows,))
        wanted = [x, weight, bias] if f is layer_norm else [x]
        for t in wanted:
            t.requires_grad_()
        dy = torch.ones(()) if f is cross_entropy else torch.randn(rows, columns)

        def forward(g):
            return lambda: g(x, weight, bias, label)

        def gradient(g):
            return lambda: torch.autograd.grad(g(x, weight, bias, label), wanted, dy)

        def time(g):
            return median_ms((forward if part == "forward" else gradient)(g), seconds)

        if not given.no_compile and (f, rows) not in fused:
            fused.clear()
            fused[f, rows] = compiled(f)
        line(f"row.{f.__name__}.{rows}x{columns}.{part}", time(f), None if given.no_compile else time(fused[f, rows]))

    cases = {}
    for rows, columns in SHAPES:
        for f in (softmax, log_softmax, layer_norm, cross_entropy):
            for part in ("forward", "gradient"):
                name = f"row.{f.__name__}.{rows}x{columns}.{part}"
                cases[name] = lambda case=(f, part, rows, columns): measure(*case)
    each(cases, given)


if __name__ == "__main__":
    main()
