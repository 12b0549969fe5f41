"""One training step of the mlp, the cnn and the diffusion transformer, eager and compiled; peak memory of the last.

A step is: gradients set to none, forward, loss, backward, fused optimizer, and for the diffusion transformer the moving
average of the weights. The batch (128, random) lies ready: images, labels, and for diffusion noise and times too.
Compiled: forward and loss by torch.compile (Inductor, whose autograd compiles the backward); optimizer as in eager.

Each variant prints a line; the line with the plain name holds the best of its variants:
    step.mlp    784-256-10, Adam
    step.cnn    16 and 32 channels, 128 hidden, Adam; variants nchw and channels_last
    step.dit    width 96, 4 blocks, AdamW, EMA; variants attention written out, and scaled_dot_product_attention
    step.dit.memory   bytes above weights, EMA, optimizer state and batch at the peak of one step
"""

import torch
import torch.nn.functional as F
from torch.profiler import ProfilerActivity, profile

import common
from common import compiled, line, median_ms, options

import networks


def step_of(module, inputs, loss, optimizer, average=None):
    parameters = list(module.parameters())
    averages = [p.detach().clone() for p in parameters] if average else None

    def step():
        optimizer.zero_grad(set_to_none=True)
        value = loss(module, **inputs)
        value.backward()
        optimizer.step()
        if average:
            torch._foreach_lerp_(averages, parameters, 1 - average)
        return value

    return step


def mlp():
    module, inputs, loss = networks.make_mlp()
    inputs["label"] = inputs["label"].long()
    return module, inputs, loss, torch.optim.Adam(module.parameters(), lr=1e-3, fused=True), None


def cnn(layout):
    module, inputs, _ = networks.make_cnn()
    # PyTorch takes NCHW in either memory layout; what it flattens is in the order that costs it no copy
    x = inputs["image"].permute(0, 3, 1, 2).contiguous(memory_format=layout)
    if layout == torch.channels_last:
        module = module.to(memory_format=layout)

    def loss(module, x, label):
        y = module.features(x)
        flat = y.permute(0, 2, 3, 1) if layout == torch.channels_last else y
        return F.cross_entropy(module.classify(flat.flatten(1)), label)

    inputs = {"x": x, "label": inputs["label"].long()}
    return module, inputs, loss, torch.optim.Adam(module.parameters(), lr=1e-3, fused=True), None


def dit(fused):
    module, inputs, loss = networks.make_dit(fused=fused)
    inputs["label"] = inputs["label"].long()
    return module, inputs, loss, torch.optim.AdamW(module.parameters(), lr=1e-3, fused=True), 0.999


def peak_bytes(step):
    """The peak, over one step, of what PyTorch's CPU allocator holds above what it held when the step began.

    The profiler records every allocation (+) and release (-) in bytes with its time, from eager kernels, Inductor's
    buffers and autograd alike; their running sum is the number wanted, because weights, averages, optimizer state and
    the batch are there before the step, and gradients are not (they are set to none first).
    """
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as p:
        step()
    events = [e for e in p.profiler.kineto_results.events() if e.name() == "[memory]"]
    held = peak = 0
    for e in sorted(events, key=lambda e: e.start_ns()):
        held += e.nbytes()
        peak = max(peak, held)
    return peak


def measure(make, given, memory):
    """(eager ms, compiled ms, eager bytes, compiled bytes), None where not measured"""
    result = []
    for fast in (False, True):
        if fast and given.no_compile:
            result += [None, None]
            continue
        module, inputs, loss, optimizer, average = make()
        step = step_of(module, inputs, compiled(loss) if fast else loss, optimizer, average)
        result.append(median_ms(step, given.seconds * 3, least=10))
        optimizer.zero_grad(set_to_none=True)
        result.append(peak_bytes(step) if memory else None)
    return result[0], result[2], result[1], result[3]


def least(values):
    return min((v for v in values if v is not None), default=None)


def main():
    given = options(__doc__.splitlines()[0])
    cases = {
        "mlp": {"": mlp},
        "cnn": {"nchw": lambda: cnn(torch.contiguous_format), "channels_last": lambda: cnn(torch.channels_last)},
        "dit": {"written_out": lambda: dit(False), "sdpa": lambda: dit(True)},
    }
    for name, variants in cases.items():
        if given.only not in f"step.{name}":
            continue
        measured = {variant: measure(make, given, name == "dit") for variant, make in variants.items()}
        if len(measured) > 1:
            for variant, (eager, fused, *_) in measured.items():
                line(f"step.{name}.{variant}", eager, fused)
        eager, fused, eager_bytes, fused_bytes = (least(column) for column in zip(*measured.values()))
        line(f"step.{name}", eager, fused)
        if name == "dit":
            for variant, (_, _, a, b) in measured.items():
                bytes_line(f"step.dit.{variant}.memory", a, b)
            bytes_line("step.dit.memory", eager_bytes, fused_bytes)


def bytes_line(name, eager, fused):
    common.emit({"name": name, "eager_bytes": eager, "compile_bytes": fused, "best_bytes": least((eager, fused))})


if __name__ == "__main__":
    main()
