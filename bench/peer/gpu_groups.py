"""The groups of bench/gpu_groups.cpp in PyTorch on one GPU: torch.compile (max-autotune), replayed as a CUDA graph so that
kernels are compared and not launches. One line of JSON each.

    gpu_groups.py [--jobs N] [text...]   of the cases whose names contain a text

Compiling takes seconds a case, so N processes share the cases; whatever one of them measures, Inductor's own choices too, it
measures while the others leave the GPU alone."""

import argparse
import contextlib
import fcntl
import json
import subprocess
import sys
import tempfile
import time

import torch
import torch.nn.functional as F

torch._dynamo.config.cache_size_limit = 100000
torch._dynamo.config.automatic_dynamic_shapes = False
torch._inductor.config.autotune_local_cache = False
lock = None  # a file


@contextlib.contextmanager
def alone():
    """While no other process measures."""
    if lock is None:
        yield
        return
    with open(lock) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        try:
            yield
            torch.cuda.synchronize()
        finally:
            fcntl.flock(file, fcntl.LOCK_UN)


def measure_alone():
    """Inductor's measurements too: of the kernels that it chooses from."""
    from torch._inductor.runtime import benchmarking

    kind = benchmarking.InductorBenchmarker
    plain = kind.benchmark_gpu

    def benchmark_gpu(self, *x, **options):
        with alone():
            return plain(self, *x, **{"memory_warmup_iters": 20, "max_benchmark_duration": 5, **options})

    kind.benchmark_gpu = benchmark_gpu



def time_us(f, calls):
    """Of one call among so many in a graph, the median of several replays."""
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        for _ in range(3):
            f()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for _ in range(calls):
            f()
    warm = time.monotonic()
    while time.monotonic() - warm < 0.02:
        graph.replay()
        torch.cuda.synchronize()
    times = []
    for _ in range(5):
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        graph.replay()
        end.record()
        torch.cuda.synchronize()
        times.append(begin.elapsed_time(end) * 1000 / calls)
    return sorted(times)[len(times) // 2]


# ---- Maps, of a, b, c, d: all contiguous, or with a row vector added to a, or with b permuted ----


def polynomial(a, b, c, d):
    x = 0.1 * a - 0.2
    for k in (0.3, -0.4, 0.5, -0.6, 0.7, -0.8, 0.9, -1.0, 1.1):
        x = x * a + k
    return x * b + c


def geglu_backward(a, b, c, d):
    cdf = 0.5 * (1 + torch.erf(b * 0.7071067811865476))
    return c * b * cdf, c * a * (cdf + b * torch.exp(-0.5 * b * b) * 0.3989422804014327)


def adam(a, b, c, d):
    return a - 0.001 * (0.9 * b + 0.1 * d) / (torch.sqrt(0.999 * (c * c) + 0.001 * (d * d)) + 1e-8)


def adamw(p, g, m, c):
    first, second = 0.9 * m + 0.1 * g, 0.999 * (c * c) + 0.001 * (g * g)
    return p * 0.99999 - 0.001 * (first * 1.1) / (torch.sqrt(second * 1.2) + 1e-8), first, second


def chain(p, q, r, d):
    first = torch.exp(p * q) + torch.sin(r) * torch.cos(p) - torch.tanh(q)
    second = torch.sigmoid(first) * r + torch.sqrt(torch.abs(first) + 1) / (q * q + 2)
    third = torch.where(first < second, torch.log1p(torch.exp(second)), torch.maximum(first, r))
    fourth = third * third + torch.erf(third) - torch.rsqrt(torch.abs(p) + 1) * second
    return fourth + first * q, -third / (1 + third * third)


MAPS = {
    "relu": lambda a, b, c, d: F.relu(a + b),
    "add": lambda a, b, c, d: a + b,
    "bias_gelu": lambda a, b, c, d: F.gelu(a + b),
    "swiglu": lambda a, b, c, d: F.silu(a) * b,
    "tanh_backward": lambda a, b, c, d: b * (1 - a * a),
    "geglu_backward": geglu_backward,
    "polynomial": polynomial,
    "adam": adam,
    "adamw": adamw,
    "chain": chain,
}


# ---- Rows ----


def softmax_backward(a, b):
    y = torch.softmax(a, -1)
    return y * (b - (y * b).sum(-1, keepdim=True))


def layer_norm_backward(a, b, v):
    x = a.float()
    mean = x.mean(-1, keepdim=True)
    centred = x - mean
    rstd = torch.rsqrt((centred * centred).mean(-1, keepdim=True) + 1e-5)
    h = centred * rstd
    d = b.float()
    g = d * v.float()
    dx = rstd * (g - g.mean(-1, keepdim=True) - h * (g * h).mean(-1, keepdim=True))
    return dx.to(a.dtype), (d * h).sum(0).to(a.dtype), d.sum(0).to(a.dtype)


def cross_entropy_backward(a, label):
    p = torch.softmax(a.float(), -1)
    hit = torch.arange(a.shape[1], device=a.device)[None, :] == label[:, None]
    return ((p - hit.float()) * (1 / a.shape[0])).to(a.dtype)


def main():
    words = argparse.ArgumentParser()
    words.add_argument("--jobs", type=int, default=1)
    words.add_argument("--part", default="0/1", help=argparse.SUPPRESS)
    words.add_argument("--lock", help=argparse.SUPPRESS)
    words.add_argument("texts", nargs="*")
    asked = words.parse_args()
    if asked.jobs > 1:
        with tempfile.NamedTemporaryFile() as file:
            each = [subprocess.Popen([sys.executable, *sys.argv[:1], "--part", f"{i}/{asked.jobs}", "--lock", file.name, *asked.texts])
                    for i in range(asked.jobs)]
            return max(p.wait() for p in each)
    global lock
    lock = asked.lock
    measure_alone()
    part, parts = (int(x) for x in asked.part.split("/"))
    seen = 0

    def report(name, f, make):
        nonlocal seen
        if asked.texts and not any(t in name for t in asked.texts):
            return
        seen += 1
        if (seen - 1) % parts != part:
            return
        with alone():
            x = make()
        g = torch.compile(f, mode="max-autotune-no-cudagraphs")
        with torch.no_grad():
            g(*x)
            size = sum(t.numel() * t.element_size() for t in x)
            with alone():
                us = time_us(lambda: g(*x), 10 if size > 1 << 30 else 20 if size > 1 << 27 else 100)
        print(json.dumps({"name": name, "us": round(us, 2)}), flush=True)
        del x, g
        torch._dynamo.reset()
        torch.cuda.empty_cache()

    def maps(kind, dtype, n):
        def normal(*shape):
            return torch.randn(*shape, device="cuda", dtype=dtype)

        end = f".{kind}.{n}x{n}"
        for name, f in MAPS.items():
            plain = (lambda a, b, c, d: F.relu(a)) if name == "relu" else f
            report(name + end, plain, lambda: [normal(n, n) for _ in range(4)])
            report(name + "_row" + end, lambda a, v, b, c, d: plain(a + v, b, c, d),
                   lambda: [normal(n, n), normal(n), normal(n, n), normal(n, n), normal(n, n)])
            report(name + "_permuted" + end, f, lambda: [normal(n, n), normal(n, n).t(), normal(n, n), normal(n, n)])

    def rows_of(kind, dtype, rows, columns):
        def whole(count):
            return [torch.randn(rows, columns, device="cuda", dtype=dtype) for _ in range(count)]

        def vectors(count):
            return [torch.randn(columns, device="cuda", dtype=dtype) for _ in range(count)]

        end = f".{kind}.{rows}x{columns}"
        report("softmax" + end, lambda a: torch.softmax(a, -1), lambda: whole(1))
        report("softmax_backward" + end, softmax_backward, lambda: whole(2))
        report("layer_norm" + end, lambda a, v, w: F.layer_norm(a, (columns,), v, w), lambda: whole(1) + vectors(2))
        report("layer_norm_backward" + end, layer_norm_backward, lambda: whole(2) + vectors(1))
        report("column_sum" + end, lambda a: a.sum(0), lambda: whole(1))

    def losses(kind, dtype, rows, classes):
        def make():
            return [torch.randn(rows, classes, device="cuda", dtype=dtype), torch.randint(1000, (rows,), device="cuda")]

        end = f".{kind}.{rows}x{classes}"
        report("cross_entropy" + end, lambda a, label: F.cross_entropy(a, label), make)
        report("cross_entropy_backward" + end, cross_entropy_backward, make)

    kinds = {"bf16": torch.bfloat16, "f32": torch.float32}
    for n in (256, 1024, 4096, 16384):
        for kind, dtype in kinds.items():
            maps(kind, dtype, n)
    for rows, columns in ((65536, 640), (16384, 1280), (4096, 4096), (1024, 32768), (6272, 96), (25088, 49)):
        for kind, dtype in kinds.items():
            rows_of(kind, dtype, rows, columns)
    for kind, dtype in kinds.items():
        report(f"column_sum.{kind}.128x49x96", lambda a: a.sum(1),
               lambda dtype=dtype: [torch.randn(128, 49, 96, device="cuda", dtype=dtype)])
    for rows, classes in ((4096, 1000), (8192, 32000)):
        for kind, dtype in kinds.items():
            losses(kind, dtype, rows, classes)


if __name__ == "__main__":
    sys.exit(main())
