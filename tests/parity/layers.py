"""Cases of layers: what torch.nn's layers (and attention with projections, as in diffusers) give, with the gradients of
their parameters. `all_cases()` as in `operations.py`; parameters are arguments with PyTorch's names. Images are NHWC.
"""

import torch
import torch.nn.functional as F

from composites import instance_norm, only
from operations import Cases, nchw, nhwc


def all_cases(seed=50, kind=Cases):
    c = kind(seed)
    tokens = [(2, 3, 5), (1, 1, 1), (3, 7, 4), (1, 11, 2), (4, 2, 9)]  # batch, token, channel
    pictures = [(2, 5, 4, 6), (1, 3, 3, 3), (3, 2, 2, 9), (1, 7, 2, 6), (2, 2, 3, 3)]
    for i, (batch, token, channel) in enumerate(tokens):
        shape, out = (batch, token, channel), (4, 3, 1, 8, 6)[i]
        c.add(f"layer_linear.{i}", lambda x, weight, bias: F.linear(x, weight, bias),
              {"x": c.normal(*shape), "weight": c.normal(out, channel), "bias": c.normal(out)})
        c.add(f"layer_linear_square.{i}", lambda x, weight: F.linear(x, weight),
              {"x": c.normal(*shape), "weight": c.normal(channel, channel)})
        c.add(f"layer_embedding.{i}", lambda weight, index: F.embedding(index.long(), weight),
              {"weight": c.normal(channel + 1, out), "index": c.index(channel + 1, batch, token)})
        wide = (batch, token, channel + 2)
        c.add(f"layer_layer_norm.{i}",
              lambda x, weight, bias, n=channel + 2: F.layer_norm(x, (n,), weight, bias, 1e-5),
              {"x": c.normal(*wide) * 2 + 1, "weight": c.normal(channel + 2), "bias": c.normal(channel + 2)})
        c.add(f"layer_rms_norm.{i}", lambda x, weight, n=channel + 2: F.rms_norm(x, (n,), weight, 1e-6),
              {"x": c.normal(*wide) * 2 + 1, "weight": c.normal(channel + 2)})
    for i, shape in enumerate(pictures):
        channel, out = shape[-1], (3, 6, 3, 3, 6)[i]
        c.add(f"layer_convolution.{i}", lambda x, weight, bias: nhwc(F.conv2d(nchw(x), weight, bias, 2, 1)),
              {"x": c.normal(*shape), "weight": c.normal(out, channel, 3, 3), "bias": c.normal(out)})
        c.add(f"layer_convolution_grouped.{i}",
              lambda x, weight, bias: nhwc(F.conv2d(nchw(x), weight, bias, 1, 1, groups=3)),
              {"x": c.normal(*shape), "weight": c.normal(out, channel // 3, 3, 3), "bias": c.normal(out)})
        c.add(f"layer_transposed_convolution.{i}",
              lambda x, weight, bias: nhwc(F.conv_transpose2d(nchw(x), weight, bias, 2, 1)),
              {"x": c.normal(*shape), "weight": c.normal(channel, out, 4, 4), "bias": c.normal(out)})
        affine = {"weight": c.normal(channel), "bias": c.normal(channel)}
        x = c.normal(*shape) * 2 + 1
        c.add(f"layer_group_norm.{i}", lambda x, weight, bias: nhwc(F.group_norm(nchw(x), 3, weight, bias, 1e-5)),
              {"x": x, **affine})
        c.add(f"layer_instance_norm.{i}", lambda x, weight, bias: instance_norm(x, 1e-5) * weight + bias,
              {"x": x, **affine})
        for op, training in (("layer_batch_norm", True), ("layer_batch_norm_eval", False)):
            mean, var = c.normal(channel), c.positive(channel)
            c.add(f"{op}.{i}",
                  lambda x, weight, bias, running_mean, running_var, t=training: nhwc(F.batch_norm(
                      nchw(x), running_mean.detach().clone(), running_var.detach().clone(), weight, bias, t, 0.1, 1e-5)),
                  {"x": x, **affine, "running_mean": mean, "running_var": var})
            only(c, f"{op}.{i}", "x", "weight", "bias")
        for what in ("mean", "var"):
            def renewed(x, running_mean, running_var, what=what):
                states = {"mean": running_mean.clone(), "var": running_var.clone()}
                F.batch_norm(nchw(x), states["mean"], states["var"], None, None, True, 0.1, 1e-5)
                return states[what]

            arguments = {"x": x, "running_mean": mean, "running_var": var}
            c.record(f"layer_batch_norm_{what}.{i}", arguments,
                     {"output": renewed(*(v.double() for v in arguments.values()))})
    for i, (batch, token, channel, other, foreign, dim) in enumerate(
            [(2, 3, 4, 5, 3, 4), (1, 4, 2, 2, 6, 8), (3, 5, 5, 3, 2, 3), (1, 7, 3, 4, 3, 2), (2, 4, 6, 6, 2, 5)]):
        inner = 2 * dim

        def parameters(keys):
            of = {"q": channel, "k": keys, "v": keys}
            return {f"{n}.{p}": c.normal(inner, of[n]) * of[n]**-0.5 if p == "weight" else c.normal(inner)
                    for n in of for p in ("weight", "bias")} | {"out.weight": c.normal(channel, inner),
                                                                "out.bias": c.normal(channel)}

        def attend(h, context, wq, bq, wk, bk, wv, bv, wo, bo, causal=False):
            q, k, v = (F.linear(x, w, b).unflatten(-1, (2, -1)).transpose(1, 2)
                       for x, w, b in ((h, wq, bq), (context, wk, bk), (context, wv, bv)))
            a = F.scaled_dot_product_attention(q, k, v, is_causal=causal)
            return F.linear(a.transpose(1, 2).flatten(2), wo, bo)

        def without_bias_of_keys(name):  # softmax does not feel it
            only(c, name, *(k for k in c.attributes[name]["differentiable"] if k != "k.bias"))

        c.add(f"layer_attention.{i}", lambda h, *p: attend(h, h, *p), {"x": c.normal(batch, token, channel),
                                                                      **parameters(channel)})
        without_bias_of_keys(f"layer_attention.{i}")
        c.add(f"layer_attention_causal.{i}", lambda h, *p: attend(h, h, *p, causal=True),
              {"x": c.normal(batch, token, channel), **parameters(channel)})
        without_bias_of_keys(f"layer_attention_causal.{i}")
        c.add(f"layer_attention_cross.{i}", attend, {"x": c.normal(batch, token, channel),
                                                     "context": c.normal(batch, other, foreign), **parameters(foreign)})
        without_bias_of_keys(f"layer_attention_cross.{i}")
    return c.tensors, c.attributes
