"""Small cases of what diffusion models are made of besides `operations.py`: inputs, output, cotangent, gradients.

`all_cases()` gives (tensors, attributes) as there. Images are NHWC. Where FLAME learns an extent from an operand
(resizing, embeddings of positions), the case's result is multiplied by an argument `weight` that has it.
"""

import math

import torch
import torch.nn.functional as F

from operations import Cases, nchw, nhwc

INF, NAN = float("inf"), float("nan")
SHAPES = [(1,), (7,), (3, 5), (2, 3, 4), (33,)]
IMAGES = [(2, 4, 6, 3), (1, 5, 3, 2), (3, 1, 7, 1), (1, 8, 8, 4), (2, 3, 2, 5)]


def only(c, name, *arguments):
    """Leaves out gradients that PyTorch does not give."""
    for k in c.attributes[name]["differentiable"]:
        if k not in arguments:
            del c.tensors[f"{name}.gradient.{k}"]
    c.attributes[name]["differentiable"] = list(arguments)


def activations(c):
    table = {
        "quick_gelu": lambda x: x * torch.sigmoid(1.702 * x),
        "mish": F.mish, "log_sigmoid": F.logsigmoid, "hardsigmoid": lambda x: F.relu6(x + 3) / 6,  # whose 1/6 is no f32 in f64, as that of F.hardsigmoid's derivative is
        "hardswish": F.hardswish,
    }
    for name, f in table.items():
        for i, shape in enumerate(SHAPES):
            c.add(f"{name}.{i}", f, {"x": c.normal(*shape) * (4 if i % 2 else 1.5)})
    for i, shape in enumerate(SHAPES):
        slope, alpha = (0.01, 0.2, 0.5, 1.5, 0.0)[i], (1.0, 0.5, 2.0, 1.3, 0.1)[i]
        c.add(f"leaky_relu.{i}", lambda x, s=slope: F.leaky_relu(x, s), {"x": c.normal(*shape)}, slope=slope)
        c.add(f"elu.{i}", lambda x, a=alpha: F.elu(x, a), {"x": c.normal(*shape) * 3}, alpha=alpha)
    kinks = torch.tensor([0.0, -0.0, 3.0, -3.0, 2.9, -2.9, 40.0, -40.0])
    for name, f in {**table, "leaky_relu": lambda x: F.leaky_relu(x, 0.01), "elu": F.elu}.items():
        more = {"leaky_relu": {"slope": 0.01}, "elu": {"alpha": 1.0}}.get(name, {})
        c.add(f"{name}.edge", f, {"x": kinks}, ones=True, **more)
    c.add("elu.far", F.elu, {"x": torch.tensor([800.0, -800.0, INF, -INF])}, ones=True, alpha=1.0)
    gated = {"geglu": lambda a, b: a * F.gelu(b), "geglu_tanh": lambda a, b: a * F.gelu(b, approximate="tanh"),
             "swiglu": lambda a, b: F.silu(a) * b}
    for name, f in gated.items():
        for i, shape in enumerate(SHAPES):
            c.add(f"{name}.{i}", f, {"a": c.normal(*shape), "b": c.normal(*shape) * 2})
    for i, shape in enumerate([(1, 2), (3, 8), (2, 3, 6), (5, 14), (1, 1, 34)]):
        for name in ("geglu", "swiglu"):
            c.add(f"{name}_halves.{i}", lambda x, f=gated[name]: f(*x.chunk(2, -1)), {"x": c.normal(*shape)})
    for i, shape in enumerate(SHAPES):
        c.add(f"lerp.{i}", torch.lerp, {"a": c.normal(*shape), "b": c.normal(*shape), "t": c.positive(*shape)})


def instance_norm(x, eps):
    """PyTorch 2.11's derivative is wrong for one picture whose cotangent does not lie channels first."""
    y = F.instance_norm(nchw(x).contiguous(), eps=eps)
    y.register_hook(lambda cotangent: cotangent.contiguous())
    return nhwc(y)


def norms(c):
    shapes = [((4, 7), 1), ((2, 3, 5), 1), ((3, 2, 4), 2), ((1, 3), 1), ((6, 33), 1)]
    for i, (shape, n) in enumerate(shapes):
        eps, inner = (1e-6, 1e-5, 1e-3, 1e-6, 1e-6)[i], shape[-n:]
        axes = list(range(len(shape) - n, len(shape)))
        c.add(f"rms_norm.{i}", lambda x, weight, e=eps, s=inner: F.rms_norm(x, s, weight, e),
              {"x": c.normal(*shape) * 2 + 0.5, "weight": c.normal(*inner)}, axes=axes, eps=eps)
        c.add(f"adaptive_layer_norm.{i}",
              lambda x, shift, scale, e=eps, s=shape[-1:]: F.layer_norm(x, s, eps=e) * (1 + scale) + shift,
              {"x": c.normal(*shape), "shift": c.normal(shape[-1]), "scale": c.normal(shape[-1])}, eps=eps)
        c.add(f"gated.{i}", lambda x, gate, y: x + gate * y,
              {"x": c.normal(*shape), "gate": c.normal(shape[-1]), "y": c.normal(*shape)})
    for i, (shape, groups) in enumerate([((2, 4, 3, 6), 2), ((1, 5, 5, 4), 4), ((3, 2, 2, 8), 2), ((2, 1, 1, 12), 3),
                                         ((1, 8, 6, 6), 1)]):
        eps = (1e-5, 1e-6, 1e-5, 1e-3, 1e-6)[i]
        c.add(f"group_norm.{i}",
              lambda x, weight, bias, g=groups, e=eps: nhwc(F.group_norm(nchw(x), g, weight, bias, e)),
              {"x": c.normal(*shape) * 2 + 1, "weight": c.normal(shape[-1]), "bias": c.normal(shape[-1])},
              groups=groups, eps=eps)
        if shape[1] * shape[2] > 1:
            c.add(f"instance_norm.{i}", lambda x, e=eps: instance_norm(x, e),
                  {"x": c.normal(*shape) * 2 + 1}, eps=eps)
    c.add("instance_norm.5", lambda x: instance_norm(x, 1e-5), {"x": c.normal(2, 1, 9, 3)}, eps=1e-5)
    for i, shape in enumerate([(2, 3, 4, 5), (1, 7, 1, 3), (4, 2, 2, 1), (3, 1, 5, 8)]):
        for training in (True, False):
            x, mean, var = c.normal(*shape) * 2 + 1, c.normal(shape[-1]), c.positive(shape[-1])
            name = f"batch_norm.{'train' if training else 'eval'}_{i}"
            m, v = mean.double().clone(), var.double().clone()
            c.add(name,
                  lambda x, weight, bias, m=m, v=v, t=training: nhwc(
                      F.batch_norm(nchw(x), c.state(m, x), c.state(v, x), weight, bias, t, 0.1, 1e-5)),
                  {"x": x, "weight": c.normal(shape[-1]), "bias": c.normal(shape[-1])}, eps=1e-5, momentum=0.1)
            c.tensors[f"{name}.running_mean"], c.tensors[f"{name}.running_var"] = mean, var


def losses(c):
    def two(name, f, first, second, **attributes):
        for i, shape in enumerate(SHAPES):
            r = ("mean", "none", "sum", "mean", "mean")[i]
            c.add(f"{name}.{i}", lambda a, b, r=r: f(a, b, reduction=r), {"a": first(*shape), "b": second(*shape)},
                  reduction=r, **attributes)

    def probability(*shape):
        return c.positive(*shape) / 2.5

    two("l1", F.l1_loss, c.normal, c.normal)
    two("huber", lambda a, b, reduction: F.huber_loss(a, b, reduction=reduction, delta=0.7), c.normal, c.normal,
        delta=0.7)
    two("smooth_l1", lambda a, b, reduction: F.smooth_l1_loss(a, b, reduction=reduction, beta=0.6), c.normal, c.normal,
        beta=0.6)
    two("bce", F.binary_cross_entropy, probability, probability)
    two("bce_with_logits", F.binary_cross_entropy_with_logits, lambda *s: c.normal(*s) * 4, probability)
    two("kl_div", F.kl_div, c.normal, probability)
    two("kl_div_of_log", lambda a, b, reduction: F.kl_div(a, b, reduction=reduction, log_target=True), c.normal, c.normal)
    c.add("l1.edge", F.l1_loss, {"a": torch.tensor([1.0, 2.0, -0.0]), "b": torch.tensor([1.0, 3.0, 0.0])}, ones=True,
          reduction="mean")
    c.add("huber.edge", lambda a, b: F.huber_loss(a, b, delta=0.5),
          {"a": torch.tensor([0.5, -0.5, 0.0, 2.0]), "b": torch.zeros(4)}, ones=True, reduction="mean", delta=0.5)
    c.add("smooth_l1.edge", lambda a, b: F.smooth_l1_loss(a, b, beta=0.5),
          {"a": torch.tensor([0.5, -0.5, 0.0, 2.0]), "b": torch.zeros(4)}, ones=True, reduction="mean", beta=0.5)
    c.add("bce_with_logits.far", F.binary_cross_entropy_with_logits,
          {"a": torch.tensor([900.0, -900.0, 900.0, -900.0, 0.0]), "b": torch.tensor([1.0, 1.0, 0.0, 0.0, 0.5])},
          ones=True, reduction="mean")
    c.add("kl_div.edge", lambda a, b: F.kl_div(a, b.detach(), reduction="sum"),
          {"a": c.normal(4), "b": torch.tensor([0.0, 1.0, 0.5, 0.0])}, reduction="sum")
    only(c, "kl_div.edge", "a")
    for i, shape in enumerate([(4,), (3, 5), (1, 2), (2, 7), (6, 3)]):
        c.add(f"bce_with_logits_weighted.{i}",
              lambda a, b, weight: F.binary_cross_entropy_with_logits(a, b, pos_weight=weight.detach()),
              {"a": c.normal(*shape) * 3, "b": probability(*shape), "weight": c.positive(shape[-1])}, reduction="mean")
        only(c, f"bce_with_logits_weighted.{i}", "a", "b")

    def labels(n, classes, ignored=None, value=-100):
        label = c.index(classes, n)
        if ignored is not None:
            label[torch.tensor(ignored)] = value
        return label

    cases = [(6, 5, None, -100, 0.0, "mean"), (7, 3, [0, 4], -100, 0.0, "mean"), (5, 4, [1], 2, 0.0, "sum"),
             (6, 9, [2, 3], -100, 0.1, "mean"), (4, 6, None, -100, 0.3, "none"), (5, 5, [4], 255, 0.2, "sum"),
             (1, 2, None, -100, 0.1, "mean")]
    for i, (n, classes, ignored, value, smoothing, r) in enumerate(cases):
        label = labels(n, classes, ignored, value)
        options = dict(ignore_index=value, label_smoothing=smoothing, reduction=r)
        c.add(f"cross_entropy_options.{i}", lambda x, label, o=options: F.cross_entropy(x, label.long(), **o),
              {"x": c.normal(n, classes) * 2, "label": label}, **options)
        c.add(f"cross_entropy_weighted.{i}",
              lambda x, label, weight, o=options: F.cross_entropy(x, label.long(), weight.detach(), **o),
              {"x": c.normal(n, classes) * 2, "label": label, "weight": c.positive(classes)}, **options)
        only(c, f"cross_entropy_weighted.{i}", "x")  # PyTorch gives the weights no gradient
        c.add(f"nll.{i}",
              lambda x, label, v=value, r=r: F.nll_loss(x, label.long(), ignore_index=v, reduction=r),
              {"x": c.normal(n, classes), "label": label}, ignore_index=value, reduction=r)
    masked = c.normal(3, 4)
    masked[:, 2] = -INF
    c.add("cross_entropy_options.masked", lambda x, label: F.cross_entropy(x, label.long()),
          {"x": masked, "label": torch.tensor([0, 1, 3], dtype=torch.int32)}, ignore_index=-100, label_smoothing=0.0,
          reduction="mean")
    c.add("cross_entropy_options.none_left", lambda x, label: F.cross_entropy(x, label.long()),
          {"x": c.normal(2, 3), "label": torch.full((2,), -100, dtype=torch.int32)}, ones=True, ignore_index=-100,
          label_smoothing=0.0, reduction="mean")


def pictures(c):
    for i, shape in enumerate(IMAGES):
        for n in (2, 3):
            c.add(f"upsample_nearest.{i}_{n}", lambda x, n=n: nhwc(F.interpolate(nchw(x), scale_factor=n)),
                  {"x": c.normal(*shape)}, factor=n)
        c.add(f"upsample_bilinear.{i}",
              lambda x: nhwc(F.interpolate(nchw(x), scale_factor=2, mode="bilinear", align_corners=False)),
              {"x": c.normal(*shape)}, factor=2)
        size = [(8, 12), (3, 7), (5, 4), (4, 4), (9, 1)][i]

        def resized(name, f):
            c.add(f"{name}.{i}", lambda x, weight: nhwc(f(nchw(x))) * weight[..., None],
                  {"x": c.normal(*shape), "weight": c.normal(*size)})

        resized("resize_nearest", lambda x: F.interpolate(x, size, mode="nearest"))
        resized("resize_nearest_exact", lambda x: F.interpolate(x, size, mode="nearest-exact"))
        resized("resize_bilinear", lambda x: F.interpolate(x, size, mode="bilinear", align_corners=False))
        resized("resize_bilinear_aligned", lambda x: F.interpolate(x, size, mode="bilinear", align_corners=True))
        resized("adaptive_mean_pool", lambda x: F.adaptive_avg_pool2d(x, size))
    for i, (h, w, channels, n) in enumerate([(2, 3, 2, 2), (1, 4, 3, 2), (3, 1, 1, 3), (2, 2, 4, 2), (1, 1, 2, 3)]):
        c.add(f"pixel_shuffle.{i}", lambda x, n=n: nhwc(F.pixel_shuffle(nchw(x), n)),
              {"x": c.normal(2, h, w, channels * n * n)}, factor=n)
        c.add(f"pixel_unshuffle.{i}", lambda x, n=n: nhwc(F.pixel_unshuffle(nchw(x), n)),
              {"x": c.normal(2, h * n, w * n, channels)}, factor=n)
        for order in ("channels_first", "channels_last"):
            def patches(x, n=n, h=h, w=w, order=order):
                x = x.reshape(-1, h, n, w, n, x.shape[-1])
                x = x.permute(0, 1, 3, 5, 2, 4) if order == "channels_first" else x.permute(0, 1, 3, 2, 4, 5)
                return x.reshape(x.shape[0], h * w, -1)

            c.add(f"patchify_{order}.{i}", patches, {"x": c.normal(2, h * n, w * n, channels)}, factor=n)

            def image(x, weight, n=n, h=h, w=w, order=order):
                if order == "channels_first":
                    x = x.reshape(-1, h, w, x.shape[-1] // n // n, n, n).permute(0, 1, 4, 2, 5, 3)
                else:
                    x = x.reshape(-1, h, w, n, n, x.shape[-1] // n // n).permute(0, 1, 3, 2, 4, 5)
                return x.reshape(-1, h * n, w * n, x.shape[-1]) * weight[..., None]

            c.add(f"unpatchify_{order}.{i}", image,
                  {"x": c.normal(2, h * w, channels * n * n), "weight": c.normal(h * n, w * n)}, factor=n)


def transposed(c):
    for i, (x, weight, stride, padding, beyond, dilation, groups, bias) in enumerate([
            ((2, 3, 4, 3), (3, 2, 3, 3), 1, 0, 0, 1, 1, True), ((1, 5, 3, 2), (2, 4, 3, 3), 2, 1, 1, 1, 1, False),
            ((2, 4, 4, 4), (4, 3, 4, 4), 2, 1, 0, 1, 1, True), ((1, 3, 3, 4), (4, 1, 3, 3), 2, 0, 1, 1, 2, False),
            ((1, 4, 5, 2), (2, 3, 2, 2), 3, 0, 2, 2, 1, False), ((2, 1, 1, 5), (5, 2, 1, 1), 1, 0, 0, 1, 1, False),
            ((1, 4, 3, 3), (3, 2, 3, 3), 1, 1, 0, 1, 1, True)]):
        def f(x, weight, bias=None, a=(stride, padding, beyond, groups, dilation)):
            return nhwc(F.conv_transpose2d(nchw(x), weight, bias, *a))
        arguments = {"x": c.normal(*x), "weight": c.normal(*weight)}
        if bias:
            arguments["bias"] = c.normal(weight[1] * groups)
        c.add(f"conv_transpose2d.{i}", f, arguments, stride=stride, padding=padding, output_padding=beyond,
              dilation=dilation, groups=groups)


def positions(c):
    for i, (tokens, heads, half) in enumerate([(3, 2, 4), (1, 1, 1), (5, 3, 2), (2, 4, 5), (7, 1, 8)]):
        for pairs in ("neighbours", "halves"):
            def turned(x, cosine, sine, pairs=pairs):
                cosine, sine = cosine[:, None], sine[:, None]
                if pairs == "halves":
                    a, b = x.chunk(2, -1)
                    return torch.cat((a * cosine - b * sine, b * cosine + a * sine), -1)
                a, b = x[..., 0::2], x[..., 1::2]
                return torch.stack((a * cosine - b * sine, a * sine + b * cosine), -1).flatten(-2)

            c.add(f"rotary_{pairs}.{i}", turned, {"x": c.normal(2, tokens, heads, 2 * half),
                                                  "cos": c.normal(tokens, half), "sin": c.normal(tokens, half)})
        c.add(f"rotary_angles.{i}",
              lambda position, weight, n=half: position[:, None] * 10000 ** (-torch.arange(n).to(position.dtype) / n) * weight,
              {"position": c.positive(tokens) * 40, "weight": c.normal(half)})

    def embedding(t, features, flip, shift, scale, period):  # diffusers' get_timestep_embedding
        half = features // 2
        exponent = -math.log(period) * torch.arange(half).to(t.dtype) / (half - shift)
        e = scale * t[:, None] * torch.exp(exponent)
        e = torch.cat((torch.cos(e), torch.sin(e)) if flip else (torch.sin(e), torch.cos(e)), -1)
        return F.pad(e, (0, features % 2))

    for i, (n, features, shift, scale, period) in enumerate(
            [(3, 8, 0, 1.0, 10000), (1, 4, 0, 1000.0, 10000), (4, 7, 1, 1.0, 10000), (2, 32, 1, 0.5, 100), (5, 5, 0, 1.0, 10)]):
        for flip in (True, False):
            order = "cosines_first" if flip else "sines_first"
            c.add(f"timestep_embedding_{order}.{i}",
                  lambda t, weight, a=(features, flip, shift, scale, period): embedding(t, *a) * weight,
                  {"t": c.positive(n) / (100 if scale > 1 else 1), "weight": c.normal(features)}, shift=shift, scale=scale, period=period)


def arrangement(c):
    for i, shape in enumerate([(3, 6), (1, 2), (5, 4), (2, 8), (7, 10)]):
        c.add(f"stack_along.{i}", lambda a, b, d: torch.stack((a, b, d)),
              {"a": c.normal(*shape), "b": c.normal(*shape), "d": c.normal(*shape)})
        c.add(f"tile.{i}", lambda x: x.repeat(1, 3), {"x": c.normal(*shape)})
        c.add(f"repeat_interleave.{i}", lambda x: x.repeat_interleave(3, 1), {"x": c.normal(*shape)})
        c.add(f"chunk.{i}", lambda x: x.chunk(2, 1)[1] * x.chunk(2, 1)[0].exp(), {"x": c.normal(*shape)})
        for shift in (1, -2, 2, 0):
            c.add(f"roll.{i}_{shift}", lambda x, s=shift: x.roll(s, 1), {"x": c.normal(*shape)}, shift=shift)
        for diagonal in (-1, 0, 2):
            c.add(f"tril.{i}_{diagonal}", lambda x, d=diagonal: x.tril(d), {"x": c.normal(*shape)}, diagonal=diagonal)
            c.add(f"triu.{i}_{diagonal}", lambda x, d=diagonal: x.triu(d), {"x": c.normal(*shape)}, diagonal=diagonal)
        c.add(f"masked_fill.{i}", lambda x, mask: x.masked_fill(mask, -3), {"x": c.normal(*shape), "mask": c.index(2, *shape).bool()})


def order(c):
    for i, (shape, axis) in enumerate([((4,), 0), ((3, 5), 1), ((5, 3), 0), ((2, 7, 3), 1), ((1, 70), 1), ((2, 1), 1)]):
        c.add(f"cumsum.{i}", lambda x, a=axis: x.cumsum(a), {"x": c.normal(*shape)}, axis=axis)
    for i, (rows, columns, k) in enumerate([(3, 5, 2), (1, 7, 7), (4, 3, 1), (2, 33, 8), (5, 6, 3)]):
        c.add(f"top_k.{i}", lambda x, weight: x.topk(len(weight), 1).values * weight,
              {"x": c.normal(rows, columns), "weight": c.normal(k)})
        index = c.index(columns, rows, k)
        c.add(f"scatter_add.{i}", lambda x, index, values: x.scatter_add(1, index.long(), values),
              {"x": c.normal(rows, columns), "index": index, "values": c.normal(rows, k)})
        once = torch.stack([torch.randperm(columns, generator=c.g)[:k] for _ in range(rows)]).int()
        c.add(f"scatter.{i}", lambda x, index, values: x.scatter(1, index.long(), values),
              {"x": c.normal(rows, columns), "index": once, "values": c.normal(rows, k)})
        c.add(f"index_add.{i}", lambda x, index, values: x.index_add(1, index.long(), values),
              {"x": c.normal(rows, columns), "index": c.index(columns, k), "values": c.normal(rows, k)})
    ties = torch.tensor([[1.0, 3.0, -0.0, 3.0, 2.0, 0.0], [5.0, INF, NAN, -INF, 5.0, 1.0]])
    # stable, which torch.topk does not promise
    c.record("top_indices.ties", {"x": ties, "weight": torch.ones(6)},
             {"output": ties.sort(dim=1, descending=True, stable=True).indices.int()})
    for i, (rows, columns, k) in enumerate([(1, 1, 1), (3, 5, 2), (4, 37, 9), (2, 8, 8)]):
        x = c.normal(rows, columns)
        c.record(f"top_indices.{i}", {"x": x, "weight": torch.ones(k)}, {"output": x.topk(k, 1).indices.int()})


def all_cases(seed=30, kind=Cases):
    c = kind(seed)
    for group in (activations, norms, losses, pictures, positions, arrangement, order, transposed):
        group(c)
    return c.tensors, c.attributes
