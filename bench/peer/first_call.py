"""Seconds of torch.compile's first call: of the training steps that steps.py measures, one variant each.

A first call is forward, loss and backward, traced, written as C++ and compiled by g++. Inductor's cache should be
empty (TORCHINDUCTOR_CACHE_DIR): the line says how many files it held.
"""

import os
import pathlib
import time

import torch

from common import compiled, emit, options

import steps


def main():
    given = options(__doc__.splitlines()[0])
    cases = {"mlp": steps.mlp, "cnn": lambda: steps.cnn(torch.channels_last), "dit": lambda: steps.dit(False)}
    for name, make in cases.items():
        if given.only not in name:
            continue
        cache = pathlib.Path(os.environ["TORCHINDUCTOR_CACHE_DIR"])
        held = sum(1 for _ in cache.rglob("*.so")) if cache.exists() else 0
        module, inputs, loss, optimizer, average = make()
        begin = time.perf_counter()
        steps.step_of(module, inputs, compiled(loss), optimizer, average)()
        emit({"name": f"compile.{name}", "seconds": round(time.perf_counter() - begin, 2), "cached": held})


if __name__ == "__main__":
    main()
