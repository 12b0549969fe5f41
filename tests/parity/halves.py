"""Writes tests/parity/data/halves.json: how far PyTorch's bf16 and f16 are from f64, in each tensor of each case.

Of the cases of operations.py, composites.py, attention.py and layers.py: inputs and cotangent rounded to 16 bits; the output and
the gradients that PyTorch computes from them in that type on the CPU, against those that it computes in f64 from the
same rounded numbers. Kept are, for the output and for the gradient of each argument in order,
    error   the norm of the difference over the norm in f64 (at least 1e-4), of the elements that are finite in both
    made    how many elements are NaN or infinite in 16 bits and finite in f64; left out where it is none
Attention has two ways in PyTorch, which the shape and the masks choose between: the formula, computed in f32 inside,
and the fused kernel, whose derivative subtracts a sum over the rounded result. `fused` has the errors of the latter
where it can be asked for; null is the gradient of a mask, which it does not give.
What PyTorch has no kernel for is listed with the first words of its refusal. With --check the script compares with the
file: errors within a factor of two, or both below one rounding, since libraries round in orders of their own.
"""

import argparse
import json
import pathlib
import sys
import warnings

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

import attention
import composites
import layers
import operations

FILE = pathlib.Path(__file__).parent / "data" / "halves.json"
DTYPE = {"bf16": torch.bfloat16, "f16": torch.float16}
ROUNDING = {"bf16": 2.0**-8, "f16": 2.0**-11}


def error(ours, exact):
    ours, exact = ours.double().flatten(), exact.flatten()
    finite = exact.isfinite() & ours.isfinite()
    difference = (ours - exact)[finite].norm() / max(exact[finite].norm().item(), 1e-4)
    made = int((exact.isfinite() & ~ours.isfinite()).sum())
    kept = float(f"{difference.item():.3g}")
    return [kept, made] if made else kept


def least(*errors):
    """Of several runs: the derivative by the weight of a convolution in bf16 reads memory that nobody wrote where an
    image is one pixel wide and the stride is 2 (2.11, CPU). Such a case is refused below if no run had luck."""
    return min(errors, key=lambda v: (v[1], v[0]) if isinstance(v, list) else (0, v))


class Halves(operations.Cases):
    """Measures each case that it is given, and draws what operations.Cases draws."""

    def __init__(self, seed):
        super().__init__(seed)
        self.half = None
        self.errors = {half: {} for half in DTYPE}
        self.fused = {half: {} for half in DTYPE}
        self.lacking = {half: {} for half in DTYPE}

    def state(self, tensor, x):
        return tensor if self.half is None else tensor.to(self.half).to(x.dtype)

    def add(self, name, function, arguments, ones=False, **attributes):
        super().add(name, function, arguments, ones, **attributes)
        if not self.tensors[f"{name}.output"].is_floating_point():
            return  # compared exactly
        cotangent = self.tensors.get(f"{name}.cotangent")
        for half, dtype in DTYPE.items():
            self.half = dtype
            exact = self.run(function, arguments, cotangent, dtype, torch.float64)
            try:
                runs = [self.run(function, arguments, cotangent, dtype, dtype) for _ in range(3)]
                self.errors[half][name] = [least(*column) for column in zip(*(
                    [error(a, b) for a, b in zip(run, exact)] for run in runs))]
            except (RuntimeError, NotImplementedError) as refusal:
                self.lacking[half][name] = " ".join(str(refusal).split("\n")[0].split()[:12])
            if "attention" in name and "hidden" not in name:
                try:
                    with sdpa_kernel(SDPBackend.FLASH_ATTENTION):
                        ours = self.run(function, arguments, cotangent, dtype, dtype, still="mask")
                    self.fused[half][name] = [None if a is None else error(a, b) for a, b in zip(ours, exact)]
                except RuntimeError:
                    pass  # this kernel refuses the shape or the mask
            self.half = None

    @staticmethod
    def run(function, arguments, cotangent, rounded, dtype, still=None):
        def taken(t):
            return t.to(rounded).to(dtype) if t.is_floating_point() else t

        leaves = {k: taken(v).requires_grad_(k != still) if v.is_floating_point() else v for k, v in arguments.items()}
        output = function(*leaves.values())
        result = [output.detach().to(dtype)]
        if cotangent is not None:
            wrt = [v for v in leaves.values() if v.requires_grad]
            gradients = torch.autograd.grad(output, wrt, taken(cotangent).to(output.dtype), allow_unused=True)
            found = iter(torch.zeros_like(v) if g is None else g for v, g in zip(wrt, gradients))
            result += [next(found) if v.requires_grad else None for v in leaves.values() if v.is_floating_point()]
        return result


def text_of(found):
    """JSON with a line for each case."""
    def lines(table):
        return "{\n" + ",\n".join(f'"{k}":{json.dumps(v, separators=(",", ":"), allow_nan=False)}' for k, v in table.items()) + "}"

    files = (f'"{name}":{{' + ",\n".join(f'"{half}":{{"errors":{lines(f["errors"])},"fused":{lines(f["fused"])},"lacking":{lines(f["lacking"])}}}'
                                         for half, f in by_half.items()) + "}" for name, by_half in found.items())
    return "{" + ",\n".join(files) + "}\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare with the file, write nothing")
    check = parser.parse_args().check
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    found = {}
    for name, source in (("ops", operations), ("composites", composites), ("attention", attention), ("layers", layers)):
        made = []
        source.all_cases(kind=lambda seed: made.append(Halves(seed)) or made[0])
        found[name] = {half: {"errors": made[0].errors[half], "fused": made[0].fused[half],
                              "lacking": made[0].lacking[half]} for half in DTYPE}
        for case, of in made[0].attributes.items():
            floating = [k for k in of["arguments"] if made[0].tensors[f"{case}.{k}"].is_floating_point()]
            for half in DTYPE:
                for k, e in zip(floating, made[0].errors[half].get(case, [0])[1:]):
                    if k in of["differentiable"] and not (e[0] if isinstance(e, list) else e) < 0.5:
                        raise SystemExit(f"{case} in {half}: PyTorch's gradient of {k} is off by {e}; run again")
        for half, f in found[name].items():
            print(f"{name} {half}: {len(f['errors'])} cases, PyTorch has no kernel for {len(f['lacking'])}")
    if not check:
        FILE.write_text(text_of(found))
        print(f"{FILE.name}: {FILE.stat().st_size:,} bytes")
        return 0
    failed = False
    for name, by_half in json.loads(FILE.read_text()).items():
        for half, kept in by_half.items():
            now = found[name][half]
            if set(now["errors"]) != set(kept["errors"]) or set(now["lacking"]) != set(kept["lacking"]):
                print(f"{name} {half}: other cases")
                failed = True
                continue
            pairs = ((case, a, b) for table in ("errors", "fused") for case, errors in kept[table].items()
                     for a, b in zip(errors, now[table].get(case, errors)))
            for case, a, b in pairs:
                if a is not None:
                    a, b = (v[0] if isinstance(v, list) else v for v in (a, b))
                    if max(a, b) > max(ROUNDING[half], 2 * min(a, b)):
                        print(f"{name} {half} {case}: {b:.2e}, in the file {a:.2e}")
                        failed = True
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
