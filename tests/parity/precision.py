"""Writes tests/parity/data/precision.json: how far the gradients of the networks in bf16 and f16 are from those in f64.

Of the networks and batches in data/*.safetensors (make.py): by tensor and for all of them together, the norm of the
difference over the norm of the gradient in f64, in PyTorch on the CPU,
    plain      module and inputs in 16 bits, and every operation rounds its result; a bias is added by an operation of
               its own; the loss is taken in f32, and so are the sines and cosines of the diffusion transformer's times
    autocast   weights and inputs in f32 under torch.autocast
f16 with the loss scaled by 1024, as a GradScaler would, and the gradients divided by it. With --check the script
compares with the file: errors within a third, since libraries round in orders of their own.
"""

import argparse
import contextlib
import copy
import json
import pathlib
import sys

import torch
import torch.nn.functional as F
from safetensors import safe_open

import make
import networks

FILE = pathlib.Path(__file__).parent / "data" / "precision.json"
SCALE = {"bf16": 1, "f16": 1024}
DTYPE = {"bf16": torch.bfloat16, "f16": torch.float16}


def stored(name):
    """The network with the parameters and the batch that make.py stored, and its loss."""
    with safe_open(make.DATA / f"{name}.safetensors", "pt") as f:
        configuration = json.loads(f.metadata()["configuration"])
        module, _, loss = getattr(networks, f"make_{name}")(**configuration, random_weights=True)
        parameters = {k.removeprefix("parameter."): f.get_tensor(k) for k in f.keys() if k.startswith("parameter.")}
        inputs = {k.removeprefix("input."): f.get_tensor(k) for k in f.keys() if k.startswith("input.")}
    module.load_state_dict(parameters)
    return module, inputs, loss


def plain_loss(name, module, inputs, dtype):
    if name != "dit":
        return F.cross_entropy(module(inputs["image"].to(dtype)).float(), inputs["label"].long())
    t, data, noise = inputs["t"], inputs["data"], inputs["noise"]
    at = t[:, None, None, None]
    sample = noise + at * (data - noise)
    return F.mse_loss(module(sample.to(dtype), t, inputs["label"].long()).float(), data - noise)


def gradients(name, module, inputs, loss, dtype, way, scale):
    module = copy.deepcopy(module)
    if way == "plain":
        module = module.to(dtype)
        for layer in module.modules():
            if isinstance(layer, torch.nn.Linear):
                layer.forward = lambda x, layer=layer: F.linear(x.to(dtype), layer.weight) + layer.bias
            if isinstance(layer, torch.nn.Conv2d):
                layer.forward = lambda x, layer=layer: (
                    F.conv2d(x, layer.weight, padding=layer.padding) + layer.bias[:, None, None])
        value = plain_loss(name, module, inputs, dtype)
    else:
        context = torch.autocast("cpu", dtype) if way == "autocast" else contextlib.nullcontext()
        with context:
            value = loss(module, **(make.cast(inputs, dtype) if way == "exact" else inputs))
    (value * scale).backward()
    return {k: p.grad.double() / scale for k, p in module.named_parameters()}


def errors(name):
    module, inputs, loss = stored(name)
    module64, inputs64 = copy.deepcopy(module).double(), make.cast(inputs, torch.float64)
    exact = gradients(name, module64, inputs64, loss, torch.float64, "exact", 1)
    result = {}
    for half, dtype in DTYPE.items():
        for way in ("plain", "autocast"):
            got = gradients(name, module, inputs, loss, dtype, way, SCALE[half])
            found = {}
            for k, g in exact.items():
                scale = exact[k.replace("bias", "weight")] if make.vanishes(k) else g
                found[k] = ((got[k] - g).norm() / scale.norm()).item()
            difference, whole = (torch.cat([t.flatten() for t in tensors]).norm() for tensors in (
                [got[k] - exact[k] for k in exact], exact.values()))
            found["all"] = (difference / whole).item()
            result.setdefault(half, {})[way] = {k: float(f"{v:.3g}") for k, v in found.items()}
            print(f"{name} {half} {way}: {found['all']:.2e}")
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare with the file, write nothing")
    check = parser.parse_args().check
    torch.set_num_threads(1)
    found = {name: errors(name) for name in ("mlp", "cnn", "dit")}
    if not check:
        FILE.write_text(json.dumps(found, indent=1) + "\n")
        print(f"{FILE.name}: {FILE.stat().st_size:,} bytes")
        return 0
    failed = False
    for name, by_half in json.loads(FILE.read_text()).items():
        for half, by_way in by_half.items():
            for way, kept in by_way.items():
                ratio = found[name][half][way]["all"] / kept["all"]
                if not 2 / 3 < ratio < 3 / 2:
                    print(f"{name} {half} {way}: {ratio:.2f} of the file's error")
                    failed = True
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
