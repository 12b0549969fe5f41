"""Runs a FLAME checkpoint in its PyTorch twin and compares the predictions with those that FLAME wrote.

    twin.py mlp|cnn CHECKPOINT BATCH [--prediction FILE] [--tolerance 1e-5] [--write FILE]

CHECKPOINT  .safetensors whose keys are the twin's state_dict names; other keys, or missing ones, are an error
BATCH       .safetensors with `image` (f32, NHWC [n, 28, 28, 1] in 0..1) and `prediction`, or images as .npy
FILE        where the predictions are, when not in BATCH: .npy, or .safetensors with the key `prediction`
prediction  either logits, f32 [n, 10], or classes, integers [n]

Exit status 0: every class is the same, and logits differ by at most the tolerance in norm over norm. 1: they differ.
2: a file does not fit. Widths are read off the checkpoint.
"""

import argparse
import pathlib
import sys

import numpy
import torch
from safetensors.torch import load_file, save_file

import networks


class Misfit(Exception):
    pass


def build(kind, state):
    def width(key):
        if key not in state:
            raise Misfit(f"the checkpoint has no {key}; it has {', '.join(sorted(state)) or 'nothing'}")
        return state[key].shape[0]

    if kind == "mlp":
        module = networks.Mlp(hidden=width("fc1.weight"))
    else:
        module = networks.Cnn((width("conv1.weight"), width("conv2.weight")), width("fc1.weight"))
    for key, value in state.items():
        if value.dtype != torch.float32:
            raise Misfit(f"{key} is {value.dtype}, expected float32")
    try:
        module.load_state_dict(state, strict=True)
    except RuntimeError as error:
        raise Misfit(str(error)) from None
    return module.eval()


def read(path, key):
    if path.suffix == ".npy":
        return torch.from_numpy(numpy.load(path))
    tensors = load_file(path)
    if key not in tensors:
        raise Misfit(f"{path} has no key {key}; it has {', '.join(sorted(tensors)) or 'nothing'}")
    return tensors[key]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=("mlp", "cnn"))
    parser.add_argument("checkpoint", type=pathlib.Path)
    parser.add_argument("batch", type=pathlib.Path)
    parser.add_argument("--prediction", type=pathlib.Path, help="where FLAME's predictions are, when not in BATCH")
    parser.add_argument("--tolerance", type=float, default=1e-5)
    parser.add_argument("--write", type=pathlib.Path, help="also write image and the twin's logits as .safetensors")
    options = parser.parse_args()

    module = build(options.kind, load_file(options.checkpoint))
    image = read(options.batch, "image")
    if image.dtype != torch.float32 or image.dim() != 4 or tuple(image.shape[1:]) != (28, 28, 1):
        raise Misfit(f"images are {image.dtype} {list(image.shape)}, expected float32 [n, 28, 28, 1]")
    if not ((image >= 0) & (image <= 1)).all():
        raise Misfit("image values lie outside 0..1")
    with torch.no_grad():
        logits = module(image)
    if options.write:
        save_file({"image": image, "prediction": logits.contiguous()}, options.write)

    prediction = read(options.prediction or options.batch, "prediction")
    n = image.shape[0]
    if prediction.is_floating_point():
        if tuple(prediction.shape) != (n, 10):
            raise Misfit(f"logits are {list(prediction.shape)}, expected [{n}, 10]")
        difference = ((prediction.double() - logits.double()).norm() / logits.double().norm()).item() if n else 0.0
        classes = prediction.argmax(1)
    else:
        if tuple(prediction.shape) != (n,):
            raise Misfit(f"classes are {list(prediction.shape)}, expected [{n}]")
        difference, classes = None, prediction.long()
    same = int((classes == logits.argmax(1)).sum())
    print(f"{same} of {n} classes the same" + ("" if difference is None else f", logits differ by {difference:.2e}"))
    # a NaN difference must fail, so the test is for being within, not for being beyond
    return 0 if same == n and (difference is None or difference <= options.tolerance) else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Exception as error:  # every way in which a file does not fit; safetensors has a class of its own
        print(f"twin.py: {type(error).__name__}: {error}", file=sys.stderr)
        sys.exit(2)
