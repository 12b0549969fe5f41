"""SDXL's blocks and a small UNet by diffusers and peft, in f64: what tests/parity/unet.cpp compares with.

unet.py writes data/unet.safetensors; unet.py --check compares with the committed file instead. Needs diffusers (made with 0.36) and
peft (0.21) beside what make.py needs.

Weights and inputs are not stored: both sides make them from names by `generated`. Of a gradient the file holds its norm and 12 sums with
random signs (`sketch`): the mean square of the differences of two sketches is, but for chance, the square of the norm of the difference
of the two gradients (Achlioptas 2003).
"""

import argparse
import json
import math
import pathlib
import sys

import numpy
import torch
from diffusers import UNet2DConditionModel
from diffusers.models.resnet import ResnetBlock2D
from diffusers.models.transformers.transformer_2d import Transformer2DModel
from peft import LoraConfig, inject_adapter_in_model

import make

FILE = make.DATA / "unet.safetensors"
SIGNS = 12


def words(name, count):
    """splitmix64 of FNV-1a of the name, counted up: count random words."""
    h = 0xCBF29CE484222325
    for byte in name.encode():
        h = (h ^ byte) * 0x100000001B3 % 2**64
    with numpy.errstate(over="ignore"):
        z = numpy.uint64(h) + numpy.arange(1, count + 1, dtype=numpy.uint64) * numpy.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> numpy.uint64(30))) * numpy.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> numpy.uint64(27))) * numpy.uint64(0x94D049BB133111EB)
        return z ^ (z >> numpy.uint64(31))


def generated(name, shape, scale=None):
    """f32 values, as f64: of weights uniform with deviation 1 / sqrt(fan in), of norms about 1, of the rest small."""
    uniform = (words(name, math.prod(shape)) >> numpy.uint64(11)).astype(numpy.float64) / 2**52 - 1
    if scale is not None:
        values = uniform * scale
    elif len(shape) >= 2 and not name.endswith("lora_B"):
        values = uniform * math.sqrt(3 / math.prod(shape[1:]))
    else:
        values = uniform * (0.05 if name.endswith("lora_B") else 0.2) + (1 if "norm" in name and name.endswith("weight") else 0)
    return torch.from_numpy(values.reshape(shape).astype(numpy.float32).astype(numpy.float64))


def sketch(name, gradient):
    """[norm, sums with random signs], row-major in PyTorch's layout."""
    flat = gradient.detach().double().reshape(-1).numpy()
    bits = words("sketch." + name, flat.size)
    sums = [flat @ (1.0 - 2.0 * ((bits >> numpy.uint64(k)) & numpy.uint64(1)).astype(numpy.float64)) for k in range(SIGNS)]
    return torch.tensor([float(numpy.linalg.norm(flat)), *sums], dtype=torch.float64)


def flame_path(name):
    """peft's names of parameters as FLAME's paths."""
    return name.replace(".base_layer.", ".").replace(".lora_A.default.weight", ".lora_A").replace(".lora_B.default.weight", ".lora_B")


def adapted(module, targets, rank, alpha, ranks=None):
    if targets:
        inject_adapter_in_model(LoraConfig(r=rank, lora_alpha=alpha, target_modules=targets, rank_pattern=ranks or {}), module)
    return module


def case(name, module, inputs, call):
    """The tensors of one case: output, loss = mean(output * target) and the sketch of every gradient."""
    module = module.double().eval()
    for path, parameter in module.named_parameters():
        parameter.data = generated(flame_path(path), tuple(parameter.shape))
        parameter.requires_grad_(True)
    given = {k: v.double().requires_grad_(k in ("x", "text", "emb")) for k, v in inputs.items()}
    output = call(module, **given)
    (output * generated("target", tuple(output.shape), 1)).sum().backward()
    tensors = {f"{name}.output": output.detach()}
    for path, parameter in module.named_parameters():
        tensors[f"{name}.gradient.{flame_path(path)}"] = sketch(flame_path(path), parameter.grad)
    largest = max(float(v[0]) for k, v in tensors.items() if ".gradient." in k)
    for k, v in tensors.items():  # what is zero but for rounding: softmax over one key, the mean of a normed channel
        if ".gradient." in k and v[0] < 1e-9 * largest:
            v.zero_()
    for k, v in given.items():
        if v.requires_grad:
            tensors[f"{name}.gradient.{k}"] = sketch(k, v.grad)
    return tensors


def residual_cases():
    # name, batch, height, width, in, out, embedding, rank of adapters on convolutions and time_emb_proj
    for name, b, h, w, i, o, e, rank in (("residual.wider", 2, 8, 8, 32, 64, 48, 0), ("residual.narrower", 1, 5, 7, 96, 64, 16, 4),
                                         ("residual.same", 2, 6, 4, 64, 64, 24, 0), ("residual.adapted", 3, 4, 4, 64, 64, 24, 5),
                                         ("residual.pixel", 2, 1, 1, 96, 128, 8, 2)):
        module = ResnetBlock2D(in_channels=i, out_channels=o, temb_channels=e, groups=32, eps=1e-5)
        adapted(module, ["conv1", "conv2", "conv_shortcut", "time_emb_proj"] if rank else [], rank, 2 * rank)
        inputs = {"x": generated("x", (b, i, h, w), 1.5), "emb": generated("emb", (b, e), 1.5)}
        attributes = dict(batch=b, height=h, width=w, channels=[i, o], condition=e, rank=rank)
        yield name, attributes, case(name, module, inputs, lambda m, x, emb: m(x, emb))


LINEARS = ["to_q", "to_k", "to_v", "to_out.0", "proj_in", "proj_out", "ff.net.0.proj", "ff.net.2"]


def transformer_cases():
    for name, b, h, w, c, depth, n, context, rank in (("transformer.plain", 2, 4, 4, 64, 1, 7, 24, 0),
                                                      ("transformer.deep", 1, 3, 5, 128, 3, 5, 16, 4),
                                                      ("transformer.long", 1, 8, 8, 64, 1, 77, 32, 2),
                                                      ("transformer.word", 2, 2, 3, 128, 2, 1, 8, 3),
                                                      ("transformer.pixel", 1, 1, 1, 192, 1, 3, 40, 6)):
        module = Transformer2DModel(num_attention_heads=c // 64, attention_head_dim=64, in_channels=c, num_layers=depth,
                                    cross_attention_dim=context, use_linear_projection=True, norm_num_groups=32)
        adapted(module, LINEARS if rank else [], rank, 1.5 * rank)
        inputs = {"x": generated("x", (b, c, h, w), 1.5), "text": generated("text", (b, n, context), 1.5)}
        attributes = dict(batch=b, height=h, width=w, channels=[c], depth=depth, word=n, context=context, rank=rank)
        yield name, attributes, case(name, module, inputs, lambda m, x, text: m(x, encoder_hidden_states=text).sample)


def net_cases():
    for name, b, h, w, rank in (("net.plain", 2, 8, 12, 0), ("net.adapted", 1, 12, 16, 4)):
        width, context, depth, pooled, feature, condition = [32, 64, 128], 24, [1, 2], 20, 8, 48
        module = UNet2DConditionModel(
            sample_size=16, in_channels=4, out_channels=4, block_out_channels=width, layers_per_block=2,
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"), transformer_layers_per_block=[1, *depth],
            attention_head_dim=[width[0] // 32, width[1] // 64, width[2] // 64], cross_attention_dim=context, use_linear_projection=True,
            addition_embed_type="text_time", addition_time_embed_dim=feature, projection_class_embeddings_input_dim=pooled + 6 * feature,
            time_embedding_dim=condition, norm_num_groups=32)
        adapted(module, LINEARS + ["conv1", "conv2", "conv_shortcut", "time_emb_proj"] if rank else [], rank, 8,
                {"resnets.1.conv1": 2, "mid_block.attentions.0.proj_in": 3})
        # diffusers computes the angles of times in f32: small ones keep them exact enough
        inputs = {"x": generated("x", (b, 4, h, w), 1.5), "text": generated("text", (b, 7, context), 1.5),
                  "t": generated("t", (b,), 3), "pooled": generated("pooled", (b, pooled), 1.5), "sizes": generated("sizes", (b, 6), 3)}
        attributes = dict(batch=b, height=h, width=w, channels=width, depth=depth, context=context, word=7, pooled=pooled,
                          size_feature=feature, condition=condition, rank=rank)

        def call(m, x, text, t, pooled, sizes):
            return m(x, t, text, added_cond_kwargs={"text_embeds": pooled, "time_ids": sizes}).sample

        yield name, attributes, case(name, module, inputs, call)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare with the file, write nothing")
    check = parser.parse_args().check
    torch.set_num_threads(1)
    tensors, attributes = {}, {}
    for cases in (residual_cases, transformer_cases, net_cases):
        for name, about, found in cases():
            attributes[name] = about
            tensors |= found
    if check:
        problem = make.compare(FILE, tensors, attributes)
        print(problem or f"{FILE.name}: as committed")
        return int(problem is not None)
    make.write(FILE, tensors, attributes)
    print(f"{FILE.name}: {len(tensors)} tensors, {FILE.stat().st_size:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
