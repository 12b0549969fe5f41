"""The groups of bench/gpu_groups.cpp in PyTorch on one GPU: torch.compile (max-autotune), replayed as a CUDA graph so that
kernels are compared and not launches. One line of JSON each."""

import json
import sys

import torch
import torch.nn.functional as F

torch._dynamo.config.cache_size_limit = 1000
torch._dynamo.config.automatic_dynamic_shapes = False


def time_us(f, repetitions):
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        for _ in range(3):
            f()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for _ in range(10):
            f()
    times = []
    for _ in range(repetitions):
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        graph.replay()
        end.record()
        torch.cuda.synchronize()
        times.append(begin.elapsed_time(end) * 100)
    return sorted(times)[len(times) // 2]


def polynomial(a, b, c):
    x = 0.1 * a - 0.2
    for k in (0.3, -0.4, 0.5, -0.6, 0.7, -0.8, 0.9, -1.0, 1.1):
        x = x * a + k
    return x * b + c


def geglu_backward(a, b, c):
    g = F.gelu(b)
    cdf = 0.5 * (1 + torch.erf(b * 0.7071067811865476))
    return c * g, c * a * (cdf + b * torch.exp(-0.5 * b * b) * 0.3989422804014327)


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


def main():
    def report(name, f, *x):
        g = torch.compile(f, mode="max-autotune-no-cudagraphs")
        with torch.no_grad():
            us = time_us(lambda: g(*x), 20)
        print(json.dumps({"name": name, "us": round(us, 2)}), flush=True)

    def maps(kind, dtype, rows, columns):
        a, b, c, d = (torch.randn(rows, columns, device="cuda", dtype=dtype) for _ in range(4))
        v = torch.randn(columns, device="cuda", dtype=dtype)
        end = f".{kind}.{rows}x{columns}"
        report("relu" + end, lambda a: F.relu(a), a)
        report("add" + end, lambda a, b: a + b, a, b)
        report("bias_gelu" + end, lambda a, v: F.gelu(a + v), a, v)
        report("geglu_backward" + end, geglu_backward, a, b, c)
        report("polynomial" + end, polynomial, a, b, c)
        report("adam" + end,
               lambda a, b, c, d: a - 0.001 * (0.9 * b + 0.1 * d) / (torch.sqrt(0.999 * (c * c) + 0.001 * (d * d)) + 1e-8),
               a, b, c, d)

    def rows_of(kind, dtype, rows, columns):
        a, b = (torch.randn(rows, columns, device="cuda", dtype=dtype) for _ in range(2))
        v, w = (torch.randn(columns, device="cuda", dtype=dtype) for _ in range(2))
        end = f".{kind}.{rows}x{columns}"
        report("softmax" + end, lambda a: torch.softmax(a, -1), a)
        report("softmax_backward" + end, softmax_backward, a, b)
        report("layer_norm" + end, lambda a, v, w: F.layer_norm(a, (columns,), v, w), a, v, w)
        report("layer_norm_backward" + end, layer_norm_backward, a, b, v)
        report("column_sum" + end, lambda a: a.sum(0), a)

    for n in (1 << 20, 1 << 24, 1 << 27):
        maps("bf16", torch.bfloat16, n // 4096, 4096)
        maps("f32", torch.float32, n // 4096, 4096)
    rows_of("bf16", torch.bfloat16, 65536, 640)
    rows_of("f32", torch.float32, 65536, 640)
    rows_of("bf16", torch.bfloat16, 16384, 1280)
    rows_of("bf16", torch.bfloat16, 4096, 4096)
    rows_of("bf16", torch.bfloat16, 1024, 32768)


if __name__ == "__main__":
    sys.exit(main())
