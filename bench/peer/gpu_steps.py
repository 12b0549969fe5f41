"""The steps of bench/gpu_steps.cpp in PyTorch on one GPU: forward and loss by torch.compile, fused optimizer, the whole step one
CUDA graph; TF32 off. The best of the variants that peer/steps.py has. One line of JSON each."""

import json
import pathlib
import sys

import torch

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests" / "parity"))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
torch.backends.cuda.matmul.allow_tf32 = False
torch.backends.cudnn.allow_tf32 = False

import steps  # noqa: E402


def to_gpu(made):
    module, inputs, loss, optimizer, average = made
    module = module.cuda()
    inputs = {k: v.cuda() for k, v in inputs.items()}
    kind = type(optimizer)
    optimizer = kind(module.parameters(), lr=torch.tensor(1e-3, device="cuda"), fused=True, capturable=True)
    return module, inputs, loss, optimizer, average


def graphed_ms(make, fast):
    module, inputs, loss, optimizer, average = to_gpu(make())
    if fast:
        loss = torch.compile(loss)  # max-autotune takes minutes a variant, and its products are cuBLAS' here
    step = steps.step_of(module, inputs, loss, optimizer, average)
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        for _ in range(5):
            step()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    times = []
    for _ in range(21):
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        for _ in range(100):
            graph.replay()
        end.record()
        torch.cuda.synchronize()
        times.append(begin.elapsed_time(end) / 100)
    return sorted(times)[10]


def main():
    cases = {
        "mlp": {"": steps.mlp},
        "cnn": {"nchw": lambda: steps.cnn(torch.contiguous_format), "channels_last": lambda: steps.cnn(torch.channels_last)},
        "dit": {"written_out": lambda: steps.dit(False), "sdpa": lambda: steps.dit(True)},
    }
    for name, variants in cases.items():
        best = {}
        for kind, fast in (("graphed", False), ("compiled_graphed", True)):
            measured = {}
            for variant, make in variants.items():
                try:
                    measured[variant] = graphed_ms(make, fast)
                except Exception as e:  # a variant that a version of PyTorch cannot capture says so, and others count
                    print(f"step.{name}.{variant} {kind}: {type(e).__name__}: {str(e)[:200]}", file=sys.stderr)
            if measured:
                best[kind] = round(min(measured.values()), 4)
        print(json.dumps({"name": f"step.{name}", **best}), flush=True)


if __name__ == "__main__":
    main()
