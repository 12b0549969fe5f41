"""Every operation of docs/operations.md and every layer of nn/ has cases of at least five shapes in data/*.safetensors.

A function of the page is held by the operations in `CASES`, or by one of its own name; what has no file to be in
stands in `WITHOUT`, with the reason. Reads the headers of the files itself: needs nothing but Python.
"""

import json
import pathlib
import re
import struct
import sys

FOLDER = pathlib.Path(__file__).resolve().parent
ROOT = FOLDER.parent.parent
LEAST = 5
FILES = ("ops", "composites", "attention", "layers")

# Functions and layers whose cases have other names.
CASES = {
    "matmul": ["matmul", "linear"], "contract": ["contract"], "max_pool": ["max_pool2d"], "mean_pool": ["avg_pool2d"],
    "mean": ["mean"], "geglu": ["geglu", "geglu_halves"], "swiglu": ["swiglu", "swiglu_halves"],
    "attention": ["attention_plain", "attention_grouped", "attention_one_query"],
    "causal": ["attention_causal", "attention_causal_longer"], "scaled": ["attention_scaled"],
    "masked": ["attention_boolean", "attention_additive", "attention_padding", "attention_hidden"],
    "rotary": ["rotary_neighbours", "rotary_halves"], "split": ["reshape"], "merge": ["reshape"],
    "patchify": ["patchify_channels_first", "patchify_channels_last"],
    "unpatchify": ["unpatchify_channels_first", "unpatchify_channels_last"],
    "timestep_embedding": ["timestep_embedding_cosines_first", "timestep_embedding_sines_first"],
    "bce_with_logits": ["bce_with_logits", "bce_with_logits_weighted"], "lower_triangle": ["tril"],
    "upper_triangle": ["triu"], "gather": ["gather", "index_select", "embedding"],
    "cross_entropy": ["cross_entropy", "cross_entropy_options", "cross_entropy_weighted"],
    "scatter_add": ["scatter_add", "index_add"], "resize_linear": ["resize_bilinear", "resize_bilinear_aligned"],
    "resize_nearest": ["resize_nearest", "resize_nearest_exact"], "resize_mean": ["adaptive_mean_pool"],
    "modulate": ["adaptive_layer_norm"], "clamp": ["clamp"],
    "linear": ["layer_linear", "layer_linear_square"], "embedding_table": ["layer_embedding"],
    "convolution_layer": ["layer_convolution", "layer_convolution_grouped"],
    "transposed_convolution_layer": ["layer_transposed_convolution"],
    "batch_norm": ["layer_batch_norm", "layer_batch_norm_eval", "layer_batch_norm_mean", "layer_batch_norm_var",
                   "batch_norm"],
    "attention_layer": ["layer_attention", "layer_attention_causal", "layer_attention_cross"],
    **{f"{n}_layer": [f"layer_{n}"] for n in ("layer_norm", "rms_norm", "group_norm", "instance_norm")},
}

# What has no cases, and why.
RANDOM = "other random numbers than PyTorch's; held by tests/run/philox.cpp and laws.operations"
WITHOUT = {
    **dict.fromkeys(("uniform", "normal", "uniform_like", "normal_like", "logit_normal_times", "fold", "dropout",
                     "drop_path", "dropout_layer", "drop_path_layer"), RANDOM),
    "stop_gradient": "its value is its operand, and it has no gradient",
    "extent": "a number, no tensor", "iota": "torch.arange of an extent; part of the cases of rotary_angles, tril",
    "rename": "moves nothing", "flatten": "merge of the last axes", "select": "a slice of one, then a reshape",
    "flow_sample": "lerp of noise and data; in the network dit", "flow_target": "a difference; in the network dit",
    "sequential": "its members one after the other: tests/nn/layers.cpp",
}


def header(path):
    with open(path, "rb") as f:
        return json.loads(f.read(struct.unpack("<Q", f.read(8))[0]))


def shapes_of_operations(paths):
    """The shapes of each operation's arguments, and how many cases it has."""
    found = {}
    for path in paths:
        tensors = header(path)
        for case, text in tensors["__metadata__"].items():
            of = json.loads(text)
            if "arguments" in of:
                shape = tuple(tuple(tensors[f"{case}.{a}"]["shape"]) for a in of["arguments"])
                found.setdefault(case.partition(".")[0], set()).add(shape)
    return found


def functions_of_page(text):
    """Names before a bracket, and operators' names in brackets behind them."""
    shown = text.partition("\n## From PyTorch")[0]
    spans = re.findall(r"`([^`]+)`", "\n".join(line.split(" | ")[0] for line in shown.splitlines() if line.startswith("| `")
                                               or line.startswith("| its options")))
    named = {n for span in spans for n in re.findall(r"(?<![\w.])([a-z]\w*)(?:<[^`]*?>)?\(", span)}
    return named | {span for span in spans if re.fullmatch(r"[a-z]\w*", span)}


def layers_of(folder):
    names = set()
    for path in sorted(folder.glob("*.hpp")):
        depth = 0
        for line in path.read_text().splitlines():
            code = line.partition("//")[0]
            if depth == 1:
                names |= set(re.findall(r"struct (\w+_layer|linear|embedding_table|batch_norm) \{", code))
            depth += code.count("{") - code.count("}")
    return names


def problems(shapes, functions):
    said = []
    for op, found in sorted(shapes.items()):
        if len(found) < LEAST:
            said.append(f"parity: {op} has cases of {len(found)} shapes, not {LEAST}")
    for name in sorted(functions):
        held = CASES.get(name, [name])
        missing = [op for op in held if op not in shapes]
        if name in WITHOUT and name in shapes:
            said.append(f"parity: {name} has cases, and a reason why it has none")
        if name not in WITHOUT and missing:
            said.append(f"parity: {name} has no case: there is no {', '.join(missing)}")
    return said + [f"parity: {name}, which is left out, is nothing" for name in sorted(set(WITHOUT) - functions - {"sequential"})]


def main():
    shapes = shapes_of_operations(FOLDER / "data" / f"{name}.safetensors" for name in FILES)
    functions = functions_of_page((ROOT / "docs" / "operations.md").read_text())
    functions |= layers_of(ROOT / "include" / "flame" / "nn")
    # It must be able to fail.
    fewer = {**shapes, "softmax": set(list(shapes["softmax"])[:4])}
    assert problems(fewer, functions) != [] and problems(shapes, functions | {"unheard_of"}) != []
    said = problems(shapes, functions)
    print("\n".join(said) or f"{len(shapes)} operations of {len(functions)} functions and layers: at least {LEAST} shapes each; "
          f"{len(WITHOUT)} have none, with reasons")
    return int(bool(said))


if __name__ == "__main__":
    sys.exit(main())
