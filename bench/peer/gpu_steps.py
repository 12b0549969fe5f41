"""The steps of bench/gpu_steps.cpp in PyTorch on one GPU: forward and loss by torch.compile, fused optimizer, the whole step one
CUDA graph; TF32 off. The best of the variants that peer/steps.py has, in f32 and, as step.NAME.bf16, in bf16, which is written in
two ways, of which the faster counts:
    pure      a bf16 copy of the module is trained, its gradients go to the f32 weights that the optimizer and the moving average
              keep, and these are copied back; the loss is taken in f32, and so are sines and cosines of the times
    autocast  the f32 module under torch.autocast
One line of JSON each. --cpu runs one step of every variant without graphs, to see that it runs."""

import argparse
import copy
import json
import pathlib
import sys

import torch

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests" / "parity"))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
torch.backends.cuda.matmul.allow_tf32 = False
torch.backends.cudnn.allow_tf32 = False

import steps  # noqa: E402


class TakesHalf(torch.nn.Module):
    """A layer that is given f32."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x):
        return self.layer(x.to(torch.bfloat16))


class Half(torch.nn.Module):
    """A network of steps.py in bf16, between f32 images and f32 answers; f32 times are embedded in f32."""

    def __init__(self, network):
        super().__init__()
        self.network = copy.deepcopy(network).to(torch.bfloat16)
        if hasattr(network, "time"):
            self.network.time.fc1 = TakesHalf(self.network.time.fc1)

    def forward(self, image, *rest):
        return self.network(image.to(torch.bfloat16), *rest).float()

    def features(self, image):
        return self.network.features(image.to(torch.bfloat16))

    def classify(self, flat):
        return self.network.classify(flat).float()


def pure_step(module, inputs, loss, optimizer, average):
    """As steps.step_of, of a bf16 copy whose weights are the optimizer's f32 ones, rounded."""
    half = Half(module)
    weights, rounded = list(module.parameters()), list(half.parameters())
    averages = [p.detach().clone() for p in weights] if average else None
    for p in weights:
        p.grad = torch.zeros_like(p)

    def step():
        for p in rounded:
            p.grad = None
        value = loss(half, **inputs)
        value.backward()
        torch._foreach_copy_([p.grad for p in weights], [p.grad for p in rounded])
        optimizer.step()
        with torch.no_grad():
            torch._foreach_copy_(rounded, weights)
            if average:
                torch._foreach_lerp_(averages, weights, 1 - average)
        return value

    return step


def under_autocast(loss, device):
    def under(module, **batch):
        with torch.autocast(device, torch.bfloat16, cache_enabled=False):
            return loss(module, **batch)

    return under


def step_of(make, way, fast, device):
    module, inputs, loss, optimizer, average = make()
    module = module.to(device)
    inputs = {k: v.to(device) for k, v in inputs.items()}
    rate = {"lr": torch.tensor(1e-3, device=device), "capturable": True} if device == "cuda" else {"lr": 1e-3}
    optimizer = type(optimizer)(module.parameters(), fused=True, **rate)
    if way == "autocast":
        loss = under_autocast(loss, device)
    if fast:
        loss = torch.compile(loss)  # max-autotune takes minutes a variant, and its products are cuBLAS' here
    make_step = pure_step if way == "pure" else steps.step_of
    return make_step(module, inputs, loss, optimizer, average)


def graphed_ms(step):
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
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cpu", action="store_true", help="run every variant once on the CPU, not compiled, measure nothing")
    parser.add_argument("--only", default="", help="run the cases whose name contains this")
    given = parser.parse_args()
    cases = {
        "mlp": {"": steps.mlp},
        "cnn": {"nchw": lambda: steps.cnn(torch.contiguous_format), "channels_last": lambda: steps.cnn(torch.channels_last)},
        "dit": {"written_out": lambda: steps.dit(False), "sdpa": lambda: steps.dit(True)},
    }
    for suffix, ways in (("", ("f32",)), (".bf16", ("pure", "autocast"))):
        for name, variants in cases.items():
            if given.only not in f"step.{name}{suffix}":
                continue
            best = {}
            for way in ways:
                for kind, fast in (("graphed", False), ("compiled_graphed", True)):
                    for variant, make in variants.items():
                        if given.cpu:
                            step = step_of(make, way, False, "cpu")
                            print(name, way, variant, *(round(step().item(), 4) for _ in range(3)))
                            continue
                        try:
                            torch._dynamo.reset()
                            ms = graphed_ms(step_of(make, way, fast, "cuda"))
                            best[kind] = min(ms, best.get(kind, ms))
                            print(f"step.{name}{suffix} {way} {variant} {kind}: {ms:.4f} ms", file=sys.stderr)
                        except Exception as e:  # a variant that a version of PyTorch cannot capture says so, and others count
                            print(f"step.{name}{suffix} {way} {variant} {kind}: {type(e).__name__}: {str(e)[:200]}", file=sys.stderr)
            if best:
                print(json.dumps({"name": f"step.{name}{suffix}", **{k: round(v, 4) for k, v in best.items()}}), flush=True)


if __name__ == "__main__":
    main()
