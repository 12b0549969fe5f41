"""Writes tests/parity/data/*.safetensors: values and gradients by PyTorch in f64. With --check it compares instead.

Parameters and inputs are f32; loss, outputs and gradients are computed from their exact values in f64. A seed is
accepted only where PyTorch's own f32 run agrees with f64 to 3e-6 in norm, tensor by tensor, and no relu input or
pooling winner lies within `MARGIN` of a kink, so that a right f32 implementation cannot land on the other side.
"""

import argparse
import copy
import json
import pathlib
import sys

import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import save_file

import attention
import composites
import layers
import networks
import operations

DATA = pathlib.Path(__file__).parent / "data"
AGREEMENT = 3e-6
MARGIN = 1e-5
BUDGET = 5_000_000
# in f32 the angle 1000 t f of the time embedding is rounded to 3e-5 near t = 1, which alone costs 1e-5 in every
# gradient above; these times keep the comparison about the network
TIMES = [0, 1 / 128, 1 / 64, 1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2]


def cast(inputs, dtype):
    return {k: v.to(dtype) if v.is_floating_point() else v for k, v in inputs.items()}


def evaluate(module, inputs, loss, dtype):
    module = copy.deepcopy(module).to(dtype)
    value = loss(module, **cast(inputs, dtype))
    value.backward()
    return value.detach(), {name: p.grad for name, p in module.named_parameters()}


def margin(module, inputs, loss):
    """The least distance of a relu input from zero and of a pooling winner above zero from the second."""
    least = [float("inf")]
    relu, pool = F.relu, F.max_pool2d

    def watched_relu(x):
        least[0] = min(least[0], x.detach().abs().min().item())
        return relu(x)

    def watched_pool(x, k):
        n, c, h, w = x.shape
        window = x.detach().reshape(n, c, h // k, k, w // k, k).permute(0, 1, 2, 4, 3, 5).reshape(-1, k * k)
        top = window.topk(2, -1).values
        gap = (top[:, 0] - top[:, 1])[top[:, 0] > 0]
        least[0] = min(least[0], gap.min().item())
        return pool(x, k)

    try:
        F.relu, F.max_pool2d = watched_relu, watched_pool
        loss(copy.deepcopy(module).double(), **cast(inputs, torch.float64))
    finally:
        F.relu, F.max_pool2d = relu, pool
    return least[0]


def vanishes(name):
    """softmax is unmoved by a key's bias, so its gradient is zero and what is computed is only rounding"""
    return name.endswith("attention.k.bias")


def network(name, module, inputs, loss, configuration):
    value, gradients = evaluate(module, inputs, loss, torch.float64)
    value32, gradients32 = evaluate(module, inputs, loss, torch.float32)
    worst = {"loss": abs(value32.double() - value).item() / value.item()}
    for path, g in gradients.items():
        scale = gradients[path.replace("bias", "weight")] if vanishes(path) else g
        worst[path] = ((gradients32[path].double() - g).norm() / scale.norm()).item()
        if vanishes(path):
            gradients[path] = torch.zeros_like(g)
    path = max(worst, key=worst.get)
    distance = margin(module, inputs, loss)
    print(f"{name}: f32 against f64 at most {worst[path]:.2e} ({path}), distance from kinks {distance:.1e}")
    if worst[path] > AGREEMENT or distance < MARGIN:
        raise SystemExit(f"{name}: choose another seed")
    tensors = {f"parameter.{k}": p.detach() for k, p in module.named_parameters()}
    tensors |= {f"input.{k}": v for k, v in inputs.items()}
    tensors |= {f"gradient.{k}": g.float() for k, g in gradients.items()}
    tensors["loss"] = value
    zero = [k for k in gradients if vanishes(k)]
    return tensors, {"configuration": configuration, "vanishing": zero}


def networks_files():
    mlp = dict(seed=6, batch=8, hidden=32)
    cnn = dict(seed=9, batch=8, channels=[4, 8], hidden=32)
    dit = dict(seed=1, batch=8, width=48, blocks=2, heads=2)
    yield "mlp", *network("mlp", *networks.make_mlp(**mlp, random_weights=True), mlp)
    yield "cnn", *network("cnn", *networks.make_cnn(**cnn, random_weights=True), cnn)
    module, inputs, loss = networks.make_dit(**dit, random_weights=True)
    inputs["t"] = torch.tensor(TIMES)
    yield "dit", *network("dit", module, inputs, loss, dit)


def write(path, tensors, attributes):
    # one metadata key for each case, so that a test iterates over the keys alone
    metadata = {k: json.dumps(v, allow_nan=False) for k, v in attributes.items()}
    save_file({k: v.clone(memory_format=torch.contiguous_format) for k, v in tensors.items()}, path, metadata)


def compare(path, tensors, attributes):
    with safe_open(path, "pt") as f:
        if {k: json.loads(v) for k, v in f.metadata().items()} != json.loads(json.dumps(attributes)):
            return f"{path.name}: attributes differ"
        if set(f.keys()) != set(tensors):
            return f"{path.name}: keys differ"
        for k, v in tensors.items():
            stored = f.get_tensor(k)
            tolerance = 1e-9 if v.dtype == torch.float64 else 1e-6
            if stored.dtype != v.dtype or not torch.allclose(stored, v, tolerance, tolerance, equal_nan=True):
                return f"{path.name}: {k} differs"
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare with the files, write nothing")
    parser.add_argument("only", nargs="*", help="of these files alone: composites")
    arguments = parser.parse_args()
    check, only = arguments.check, arguments.only
    torch.set_num_threads(1)
    files = list(networks_files()) if not only or {"mlp", "cnn", "dit"} & set(only) else []
    files.append(("ops", *operations.all_cases()))
    files.append(("composites", *composites.all_cases()))
    files.append(("attention", *attention.all_cases()))
    files.append(("layers", *layers.all_cases()))
    files.append(("optim", *operations.optimizers()))
    failed = False
    for name, tensors, attributes in files:
        if only and name not in only:
            continue
        path = DATA / f"{name}.safetensors"
        if check:
            problem = compare(path, tensors, attributes)
            print(problem or f"{path.name}: as committed")
            failed |= problem is not None
        else:
            write(path, tensors, attributes)
            print(f"{path.name}: {len(tensors)} tensors, {path.stat().st_size:,} bytes")
    total = sum(p.stat().st_size for p in DATA.iterdir())
    if total > BUDGET:
        print(f"{total:,} bytes in all, over the budget of {BUDGET:,}")
        failed = True
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
