"""AdamW of bench/gpu_adamw.cpp by PyTorch, foreach and fused, eager and in a CUDA graph: a line of JSON."""
import json
import statistics

import torch

TENSORS, EACH = 722, 1990


def microseconds(call, runs=50):
    times = []
    for i in range(runs + 10):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        call()
        end.record()
        end.synchronize()
        if i >= 10:
            times.append(begin.elapsed_time(end) * 1e3)
    return statistics.median(times)


found = {}
for way in ("foreach", "fused"):
    parameters = [torch.randn(EACH, 16, device="cuda", requires_grad=True) for _ in range(TENSORS)]
    for p in parameters:
        p.grad = torch.randn_like(p)
    step = torch.optim.AdamW(parameters, lr=1e-4, capturable=True, **{way: True}).step
    found[way] = microseconds(step)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    found[f"{way}, graph"] = microseconds(graph.replay)
print(json.dumps({"name": f"adamw.{TENSORS}_tensors", "us": round(min(found.values()), 2),
                  **{k: round(v, 2) for k, v in found.items()}}), flush=True)
