"""Attention of bench/gpu_attention.cpp by PyTorch's scaled_dot_product_attention, cuDNN's and flash's kernels, each
alone in a CUDA graph: a line of JSON for each shape and backend."""
import json
import statistics
import sys

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

SHAPES = [(4, 10, 4096, 4096, 64), (4, 20, 1024, 1024, 64), (4, 10, 4096, 77, 64), (4, 20, 1024, 77, 64),
          (4, 24, 4096, 4096, 128), (128, 4, 49, 49, 24)]
BACKENDS = {"cudnn": SDPBackend.CUDNN_ATTENTION, "flash": SDPBackend.FLASH_ATTENTION}


def microseconds(call):
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            call()
    torch.cuda.current_stream().wait_stream(side)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, stream=side):
        for _ in range(8):
            call()
    graph.replay()
    times = []
    for _ in range(15):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        graph.replay()
        end.record()
        end.synchronize()
        times.append(begin.elapsed_time(end) * 1e3 / 8)
    return statistics.median(times)


for b, h, q, k, d in SHAPES:
    name = f"bf16.{b}x{h}x{q}x{k}x{d}"
    if not all(word in name for word in sys.argv[1:]):
        continue
    def drawn(tokens):
        return torch.randn(b, tokens, h, d, device="cuda", dtype=torch.bfloat16).transpose(1, 2)
    torch.cuda.empty_cache()
    Q, K, V = (drawn(n).requires_grad_() for n in (q, k, k))
    D = drawn(q)
    for backend, kind in BACKENDS.items():
        try:
            with sdpa_kernel(kind):
                def forward():
                    return torch.nn.functional.scaled_dot_product_attention(Q, K, V)
                def both():
                    return torch.autograd.grad(forward(), (Q, K, V), D)
                us = {"attention": microseconds(forward)}
                us["attention_backward"] = microseconds(both) - us["attention"]
        except RuntimeError as error:
            print(json.dumps({"name": name, "backend": backend, "refused": str(error)[:100]}), flush=True)
            continue
        for what, t in us.items():
            flops = (10 if "backward" in what else 4) * b * h * q * k * d
            print(json.dumps({"name": f"{what}.{name}", "backend": backend, "us": round(t, 2),
                              "tflops": round(flops / t / 1e6, 1)}), flush=True)
