"""SDXL's blocks of bench/sdxl_blocks.hpp in PyTorch on one GPU, in bf16: eager and torch.compile (max-autotune), forward and backward as
one CUDA graph each, channels last. A line of JSON each: block.NAME with the milliseconds of either, block.NAME.memory with the bytes that
a step needs above weights, inputs and results. --cpu runs each block once at a small size, to see that it runs."""
import argparse
import json
import statistics

import torch
import torch.nn.functional as F
from torch import nn

HALF = torch.bfloat16


class Adapted(nn.Linear):
    """A frozen linear layer with an adapter of rank 16, alpha 16."""

    def __init__(self, wide, out, bias=True, rank=16):
        super().__init__(wide, out, bias)
        self.lora_a = nn.Parameter(torch.randn(rank, wide) / wide**0.5)
        self.lora_b = nn.Parameter(torch.zeros(out, rank))
        self.weight.requires_grad_(False)
        if bias:
            self.bias.requires_grad_(False)

    def forward(self, x):
        return super().forward(x) + F.linear(F.linear(x, self.lora_a), self.lora_b)


class Attention(nn.Module):
    def __init__(self, wide, context):
        super().__init__()
        self.q, self.k, self.v = Adapted(wide, wide, False), Adapted(context, wide, False), Adapted(context, wide, False)
        self.out = Adapted(wide, wide)

    def forward(self, x, context):
        q, k, v = (layer(of).unflatten(-1, (-1, 64)).transpose(1, 2) for layer, of in ((self.q, x), (self.k, context), (self.v, context)))
        return self.out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


class Transformer(nn.Module):
    def __init__(self, wide, context=2048):
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(wide) for _ in range(3))
        for p in self.norms.parameters():
            p.requires_grad_(False)
        self.self_attention, self.cross_attention = Attention(wide, wide), Attention(wide, context)
        self.proj, self.out = Adapted(wide, 8 * wide), Adapted(4 * wide, wide)

    def forward(self, x, text):
        h = self.norms[0](x)
        x = x + self.self_attention(h, h)
        x = x + self.cross_attention(self.norms[1](x), text)
        a, gate = self.proj(self.norms[2](x)).chunk(2, -1)
        return x + self.out(a * F.gelu(gate))


class Residual(nn.Module):
    def __init__(self, channels, condition=1280):
        super().__init__()
        self.norm1, self.norm2 = nn.GroupNorm(32, channels), nn.GroupNorm(32, channels)
        self.conv1, self.conv2 = (nn.Conv2d(channels, channels, 3, padding=1) for _ in range(2))
        self.time = nn.Linear(condition, channels)
        for p in self.parameters():
            p.requires_grad_(False)

    def forward(self, x, emb):
        h = self.conv1(F.silu(self.norm1(x))) + self.time(F.silu(emb))[:, :, None, None]
        return x + self.conv2(F.silu(self.norm2(h)))


def graphed(step):
    """(milliseconds, bytes that replays need) of one step, a CUDA graph."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            step()
    torch.cuda.synchronize()
    torch.cuda.empty_cache()
    before = torch.cuda.memory_reserved()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, stream=side):
        kept = step()
    needed = torch.cuda.memory_reserved() - before
    times = []
    for _ in range(21):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        for _ in range(20):
            graph.replay()
        end.record()
        end.synchronize()
        times.append(begin.elapsed_time(end) / 20)
    del kept
    return statistics.median(times), needed


def block(name, module, x, other, target, cpu):
    module = module.to(x.device, HALF)
    if x.dim() == 4:
        module = module.to(memory_format=torch.channels_last)
    trained = [p for p in module.parameters() if p.requires_grad]
    x.requires_grad_()

    def step_of(run):
        return lambda: torch.autograd.grad(run(x, other), [x, *trained], target)

    if cpu:
        print(json.dumps({"name": f"block.{name}", "gradients": len(step_of(module)())}), flush=True)
        return
    milliseconds, needed = {}, {}
    for way, run in {"eager": module, "compile": torch.compile(module, mode="max-autotune-no-cudagraphs")}.items():
        milliseconds[way], needed[way] = graphed(step_of(run))
    print(json.dumps({"name": f"block.{name}", "ms": round(min(milliseconds.values()), 4),
                      **{way: round(ms, 4) for way, ms in milliseconds.items()}}), flush=True)
    print(json.dumps({"name": f"block.{name}.memory", "bytes": min(needed.values()), **needed}), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cpu", action="store_true")
    cpu = parser.parse_args().cpu
    device = "cpu" if cpu else "cuda"

    def drawn(*shape):
        return torch.randn(*shape, device=device, dtype=HALF)

    for wide, tokens in ((640, 4096), (1280, 1024)) if not cpu else ((128, 9),):
        block(f"transformer.{wide}x{tokens}", Transformer(wide), drawn(4, tokens, wide), drawn(4, 77, 2048), drawn(4, tokens, wide), cpu)
    for channels, side in ((320, 128), (640, 64), (1280, 32)) if not cpu else ((64, 8),):
        x, target = (drawn(4, channels, side, side).contiguous(memory_format=torch.channels_last) for _ in range(2))
        block(f"residual.{channels}@{side}", Residual(channels), x, drawn(4, 1280), target, cpu)


if __name__ == "__main__":
    main()
