"""Small cases of every operation: inputs, output, cotangent and input gradients, evaluated by PyTorch in f64.

`all_cases()` gives (tensors, attributes): keys `<op>.<case>.<what>` and `<op>.<case>`, as README.md says.
Images are NHWC and convolution weights OIHW, whatever PyTorch wants inside.
"""

import warnings

import torch
import torch.nn.functional as F

INF, NAN = float("inf"), float("nan")


class Cases:
    def __init__(self, seed):
        self.g = torch.Generator().manual_seed(seed)
        self.tensors = {}
        self.attributes = {}

    def normal(self, *shape):
        return torch.randn(shape, generator=self.g)

    def positive(self, *shape):
        return torch.rand(shape, generator=self.g) * 2 + 0.1

    def index(self, high, *shape):
        return torch.randint(high, shape, generator=self.g, dtype=torch.int32)

    def add(self, name, function, arguments, ones=False, **attributes):
        """Evaluates function(*arguments) in f64; gradients by a random cotangent, or by ones where it says so."""
        if name in self.attributes:
            raise ValueError(f"two cases named {name}")
        wide = {k: (v.double().requires_grad_() if v.is_floating_point() else v) for k, v in arguments.items()}
        output = function(*wide.values())
        for k, v in arguments.items():
            self.tensors[f"{name}.{k}"] = v
        self.tensors[f"{name}.output"] = output.detach()
        leaves = [k for k, v in wide.items() if v.is_floating_point()]
        if output.is_floating_point() and output.requires_grad:
            cotangent = torch.ones(output.shape) if ones else self.normal(*output.shape)
            gradients = torch.autograd.grad(output, [wide[k] for k in leaves], cotangent.double(), allow_unused=True)
            self.tensors[f"{name}.cotangent"] = cotangent
            for k, gradient in zip(leaves, gradients):
                zero = torch.zeros_like(wide[k])
                self.tensors[f"{name}.gradient.{k}"] = zero if gradient is None else gradient
        else:
            leaves = []
        self.attributes[name] = {"arguments": list(arguments), "differentiable": leaves, **attributes}

    def state(self, tensor, x):
        """A tensor that a function reads and writes besides its arguments, for arguments like x."""
        return tensor

    def record(self, name, arguments, tensors, **attributes):
        """A case whose results were made elsewhere."""
        for k, v in {**arguments, **tensors}.items():
            self.tensors[f"{name}.{k}"] = v
        self.attributes[name] = {"arguments": list(arguments), "differentiable": [], **attributes}


def nchw(x):
    return x.permute(0, 3, 1, 2)


def nhwc(x):
    return x.permute(0, 2, 3, 1)


def elementwise(c):
    unary = {
        "neg": torch.neg, "abs": torch.abs, "sign": torch.sign, "floor": torch.floor, "exp": torch.exp,
        "expm1": torch.expm1, "sin": torch.sin, "cos": torch.cos, "tanh": torch.tanh, "sigmoid": torch.sigmoid,
        "erf": torch.erf, "relu": torch.relu, "gelu": F.gelu,
        "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"), "silu": F.silu,
        # PyTorch's softplus is linear above its threshold of 20; without a threshold it is log(1 + e^x) throughout
        "softplus": lambda x: torch.logaddexp(x, torch.zeros_like(x)),
    }
    for name, f in unary.items():
        c.add(f"{name}.plain", f, {"x": c.normal(3, 5)})
        c.add(f"{name}.wide", f, {"x": c.normal(4, 6) * 8})
    positive = {"log": torch.log, "sqrt": torch.sqrt, "rsqrt": torch.rsqrt, "reciprocal": torch.reciprocal,
                "log1p": torch.log1p}
    for name, f in positive.items():
        c.add(f"{name}.plain", f, {"x": c.positive(3, 5)})
        c.add(f"{name}.wide", f, {"x": torch.exp(c.normal(4, 6) * 4)})
    c.add("reciprocal.negative", torch.reciprocal, {"x": -c.positive(5)})
    c.add("log1p.small", torch.log1p, {"x": c.normal(8) * 1e-5})
    c.add("expm1.small", torch.expm1, {"x": c.normal(8) * 1e-5})

    binary = {"add": torch.add, "sub": torch.sub, "mul": torch.mul, "div": torch.div, "maximum": torch.maximum,
              "minimum": torch.minimum}
    for name, f in binary.items():
        c.add(f"{name}.plain", f, {"a": c.normal(3, 5), "b": c.normal(3, 5)})
        c.add(f"{name}.broadcast", f, {"a": c.normal(2, 3, 5), "b": c.normal(5)})
    c.add("pow.plain", torch.pow, {"a": c.positive(3, 5), "b": c.normal(3, 5)})
    for e in (2.0, 3.0, 0.5, -1.0, 0.0, 1.0, 2.5):
        x = c.normal(6) if e == int(e) else c.positive(6)
        c.add(f"pow.scalar_{e:g}", lambda x, e=e: torch.pow(x, e), {"x": x}, exponent=e)
    c.add("pow.scalar_base", lambda x: torch.pow(2.5, x), {"x": c.normal(6)}, base=2.5)
    c.add("clamp.both", lambda x: torch.clamp(x, -0.5, 0.75), {"x": c.normal(4, 6)}, low=-0.5, high=0.75)
    c.add("clamp.low", lambda x: torch.clamp(x, min=0.1), {"x": c.normal(4, 6)}, low=0.1)
    c.add("clamp.high", lambda x: torch.clamp(x, max=0.1), {"x": c.normal(4, 6)}, high=0.1)
    c.add("where.plain", torch.where, {"condition": c.index(2, 4, 5).bool(), "a": c.normal(4, 5), "b": c.normal(4, 5)})

    a = torch.tensor([1.0, 2.0, 2.0, -0.0, INF, NAN, NAN, -INF])
    b = torch.tensor([2.0, 2.0, 1.0, 0.0, INF, NAN, 1.0, INF])
    for name, f in {"less": torch.lt, "less_equal": torch.le, "greater": torch.gt, "greater_equal": torch.ge,
                    "equal": torch.eq, "not_equal": torch.ne}.items():
        c.add(f"{name}.plain", f, {"a": a, "b": b})
    p, q = torch.tensor([True, True, False, False]), torch.tensor([True, False, True, False])
    c.add("logical_and.plain", torch.logical_and, {"a": p, "b": q})
    c.add("logical_or.plain", torch.logical_or, {"a": p, "b": q})
    c.add("logical_not.plain", torch.logical_not, {"x": p})
    for name, f in {"isfinite": torch.isfinite, "isnan": torch.isnan}.items():
        c.add(f"{name}.plain", f, {"x": a})
    x = torch.tensor([1.0, -1.0, 0.1, 3.1415927, 65504.0, 65520.0, 1e-8, 6e-8, 6.1e-5, 1e-40, 3.4e38, 1.00390625,
                      1.01171875, 0.0, -0.0, INF, -INF, NAN])
    for name, dtype in {"bf16": torch.bfloat16, "f16": torch.float16}.items():
        c.record(f"cast.{name}", {"x": x}, {"output": x.to(dtype), "back": x.to(dtype).float()}, to=name)
    y = torch.tensor([0.0, 0.5, -0.5, 1.5, -1.5, 2.99, -2.99, 1e6])
    c.record("cast.i32", {"x": y}, {"output": y.to(torch.int32)}, to="i32")
    c.record("cast.bool", {"x": y}, {"output": y.to(torch.bool)}, to="bool")


def reductions(c):
    def reduced(name, f, make, axes_cases=((1,), (0, 2), (0, 1, 2))):
        for axes in axes_cases:
            tag = "_".join(map(str, axes))
            c.add(f"{name}.axes_{tag}", lambda x, a=axes: f(x, a), {"x": make(2, 5, 3)}, axes=list(axes))

    def product(x, axes):
        for axis in sorted(axes, reverse=True):
            x = x.prod(axis)
        return x

    reduced("sum", lambda x, a: x.sum(a), c.normal)
    reduced("mean", lambda x, a: x.mean(a), c.normal)
    reduced("prod", product, c.normal)
    reduced("max", torch.amax, c.normal)
    reduced("min", torch.amin, c.normal)
    reduced("logsumexp", torch.logsumexp, lambda *s: c.normal(*s) * 20)
    for correction in (0, 1):
        for axes in ((1,), (0, 2)):
            tag = "_".join(map(str, axes))
            c.add(f"var.axes_{tag}_correction_{correction}",
                  lambda x, a=axes, k=correction: x.var(a, correction=k), {"x": c.normal(2, 5, 3)},
                  axes=list(axes), correction=correction)
    c.add("var.shifted", lambda x: x.var((1,), correction=0), {"x": c.normal(3, 7) + 1000}, axes=[1], correction=0)
    flags = torch.tensor([[True, True, True], [True, False, True], [False, False, False]])
    c.add("any.plain", lambda x: x.any(1), {"x": flags}, axes=[1])
    c.add("all.plain", lambda x: x.all(1), {"x": flags}, axes=[1])
    c.add("argmax.plain", lambda x: x.argmax(1).int(), {"x": c.normal(4, 7)}, axis=1)
    c.add("argmax.first", lambda x: x.argmax(0).int(), {"x": c.normal(4, 7)}, axis=0)

    for name, f in {"softmax": torch.softmax, "log_softmax": torch.log_softmax}.items():
        c.add(f"{name}.last", lambda x, f=f: f(x, -1), {"x": c.normal(4, 7)}, axis=1)
        c.add(f"{name}.middle", lambda x, f=f: f(x, 1), {"x": c.normal(2, 5, 3)}, axis=1)
        c.add(f"{name}.large", lambda x, f=f: f(x, -1), {"x": c.normal(3, 9) * 200}, axis=1)
    c.add("layer_norm.plain", lambda x: F.layer_norm(x, (7,), eps=1e-6), {"x": c.normal(4, 7)}, axes=[1], eps=1e-6)
    c.add("layer_norm.affine", lambda x, weight, bias: F.layer_norm(x, (7,), weight, bias, 1e-5),
          {"x": c.normal(2, 3, 7) * 3 + 2, "weight": c.normal(7), "bias": c.normal(7)}, axes=[2], eps=1e-5)
    c.add("layer_norm.two_axes", lambda x: F.layer_norm(x, (3, 5), eps=1e-5), {"x": c.normal(2, 3, 5)},
          axes=[1, 2], eps=1e-5)
    for training in (True, False):
        x, mean, var = c.normal(3, 4, 5, 6) * 2 + 1, c.normal(6), c.positive(6)
        name = f"batch_norm.{'train' if training else 'eval'}"
        m, v = mean.double().clone(), var.double().clone()
        c.add(name, lambda x, weight, bias: nhwc(F.batch_norm(nchw(x), c.state(m, x), c.state(v, x), weight, bias,
                                                              training, 0.1, 1e-5)),
              {"x": x, "weight": c.normal(6), "bias": c.normal(6)}, eps=1e-5, momentum=0.1)
        c.tensors[f"{name}.running_mean"], c.tensors[f"{name}.running_var"] = mean, var
        c.tensors[f"{name}.output_mean"], c.tensors[f"{name}.output_var"] = m, v


def movement(c):
    c.add("permute.plain", lambda x: x.permute(2, 0, 1), {"x": c.normal(2, 3, 4)}, order=[2, 0, 1])
    c.add("reshape.split", lambda x: x.reshape(2, 3, 4), {"x": c.normal(2, 12)}, shape=[2, 3, 4])
    c.add("reshape.merge", lambda x: x.reshape(2, 12), {"x": c.normal(2, 3, 4)}, shape=[2, 12])
    c.add("slice.plain", lambda x: x[:, 1:4], {"x": c.normal(3, 6)}, axis=1, start=1, stop=4, step=1)
    c.add("slice.step", lambda x: x[:, 1:6:2], {"x": c.normal(3, 6)}, axis=1, start=1, stop=6, step=2)
    c.add("pad.plain", lambda x: F.pad(x, (2, 1), value=0.5), {"x": c.normal(3, 4)}, axis=1, before=2, after=1,
          value=0.5)
    c.add("concatenate.plain", lambda a, b: torch.cat((a, b), 1), {"a": c.normal(3, 2), "b": c.normal(3, 4)}, axis=1)
    c.add("broadcast.leading", lambda x: x.expand(2, 5), {"x": c.normal(5)}, shape=[2, 5], at=[1])
    c.add("broadcast.trailing", lambda x: x[:, None].expand(2, 5), {"x": c.normal(2)}, shape=[2, 5], at=[0])
    table, index = c.normal(11, 6), torch.tensor([[0, 3, 3, 10, 7], [10, 3, 0, 0, 1]], dtype=torch.int32)
    c.add("embedding.plain", lambda table, index: F.embedding(index.long(), table), {"table": table, "index": index})
    c.add("gather.along", lambda x, index: x.gather(1, index.long()), {"x": c.normal(3, 5), "index": c.index(5, 3, 4)},
          axis=1)
    c.add("index_select.plain", lambda x, index: x.index_select(1, index.long()),
          {"x": c.normal(3, 5), "index": torch.tensor([4, 0, 0, 2, 4, 4], dtype=torch.int32)}, axis=1)
    c.add("one_hot.plain", lambda index: F.one_hot(index.long(), 6).int(), {"index": c.index(6, 7)}, classes=6)


def attention(c, name, queries, keys, causal=False, scale=None):
    def f(q, k, v):
        s = q @ k.mT * (q.shape[-1] ** -0.5 if scale is None else scale)
        if causal:
            s = s.masked_fill(torch.ones(queries, keys, dtype=torch.bool).triu(1), -INF)
        return torch.softmax(s, -1) @ v
    c.add(f"attention.{name}", f, {"q": c.normal(2, 3, queries, 4), "k": c.normal(2, 3, keys, 4),
                                   "v": c.normal(2, 3, keys, 4)},
          causal=causal, scale=4 ** -0.5 if scale is None else scale)


def products(c):
    def matmul(name, a, b, transpose_a=False, transpose_b=False):
        def f(a, b):
            return (a.mT if transpose_a else a) @ (b.mT if transpose_b else b)
        c.add(f"matmul.{name}", f, {"a": c.normal(*a), "b": c.normal(*b)}, transpose_a=transpose_a,
              transpose_b=transpose_b)

    matmul("plain", (3, 5), (5, 4))
    matmul("transpose_a", (5, 3), (5, 4), transpose_a=True)
    matmul("transpose_b", (3, 5), (4, 5), transpose_b=True)
    matmul("transpose_both", (5, 3), (4, 5), transpose_a=True, transpose_b=True)
    matmul("odd", (37, 53), (53, 29))
    matmul("one_row", (1, 17), (17, 9))
    matmul("one_column", (9, 17), (17, 1))
    matmul("outer", (6, 1), (1, 7))
    matmul("batched", (2, 3, 4, 5), (2, 3, 5, 6))
    matmul("batched_transpose_a", (4, 5, 3), (4, 5, 6), transpose_a=True)
    matmul("batched_transpose_b", (4, 3, 5), (4, 6, 5), transpose_b=True)
    matmul("shared_right", (2, 3, 5), (5, 4))
    matmul("empty", (3, 0), (0, 4))
    for name, equation, a, b in (
        ("scores", "bqhd,bkhd->bhqk", (2, 3, 2, 4), (2, 5, 2, 4)),
        ("two_axes", "abc,bcd->ad", (3, 2, 4), (2, 4, 5)),
        ("batch_inside", "abc,cbd->adb", (3, 2, 4), (4, 2, 5)),
        ("outer", "a,b->ab", (3,), (4,)),
        ("inner", "ab,ab->", (3, 4), (3, 4)),
    ):
        c.add(f"contract.{name}", lambda a, b, e=equation: torch.einsum(e, a, b),
              {"a": c.normal(*a), "b": c.normal(*b)}, equation=equation)
    c.add("linear.bias", F.linear, {"x": c.normal(2, 3, 5), "weight": c.normal(4, 5), "bias": c.normal(4)})

    attention(c, "self", 5, 5)
    attention(c, "cross", 3, 7)
    attention(c, "causal", 5, 5, causal=True)
    attention(c, "scale", 4, 6, scale=1.0)


def convolutions(c):
    def conv(name, x, weight, stride=(1, 1), padding=(0, 0), dilation=(1, 1), groups=1, bias=False):
        def f(x, weight, bias=None):
            return nhwc(F.conv2d(nchw(x), weight, bias, stride, padding, dilation, groups))
        arguments = {"x": c.normal(*x), "weight": c.normal(*weight)}
        if bias:
            arguments["bias"] = c.normal(weight[0])
        c.add(f"conv2d.{name}", f, arguments, stride=list(stride), padding=list(padding), dilation=list(dilation),
              groups=groups)

    conv("plain", (2, 5, 6, 3), (4, 3, 3, 3))
    conv("padding", (2, 5, 6, 3), (4, 3, 3, 3), padding=(1, 1))
    conv("bias", (2, 5, 6, 3), (4, 3, 3, 3), padding=(1, 1), bias=True)
    conv("pointwise", (2, 4, 3, 5), (6, 5, 1, 1))
    conv("stride", (2, 8, 7, 3), (4, 3, 3, 3), stride=(2, 2), padding=(1, 1))
    conv("stride_remainder", (1, 8, 9, 2), (3, 2, 3, 3), stride=(2, 3))
    conv("unequal", (1, 7, 6, 2), (3, 2, 3, 2), stride=(2, 1), padding=(1, 2))
    conv("patch", (2, 8, 8, 1), (5, 1, 4, 4), stride=(4, 4))
    conv("dilation", (1, 8, 8, 2), (3, 2, 3, 3), padding=(2, 2), dilation=(2, 2))
    conv("dilation_stride", (1, 9, 10, 2), (3, 2, 3, 3), stride=(2, 2), padding=(1, 2), dilation=(2, 3))
    conv("groups", (2, 5, 5, 4), (6, 2, 3, 3), padding=(1, 1), groups=2)
    conv("depthwise", (2, 5, 5, 4), (4, 1, 3, 3), padding=(1, 1), groups=4)
    conv("depthwise_multiplier", (1, 5, 5, 3), (6, 1, 3, 3), stride=(2, 2), padding=(1, 1), groups=3)
    conv("everything", (2, 9, 8, 4), (4, 2, 3, 2), stride=(2, 1), padding=(2, 1), dilation=(2, 1), groups=2, bias=True)

    def pool(name, x, kernel, stride, padding=(0, 0)):
        attributes = dict(kernel=list(kernel), stride=list(stride), padding=list(padding))
        c.add(f"max_pool2d.{name}", lambda x: nhwc(F.max_pool2d(nchw(x), kernel, stride, padding)),
              {"x": c.normal(*x)}, **attributes)
        for counted in (True, False) if any(padding) else (True,):
            tag = name if counted else f"{name}_uncounted"
            c.add(f"avg_pool2d.{tag}",
                  lambda x, k=counted: nhwc(F.avg_pool2d(nchw(x), kernel, stride, padding, count_include_pad=k)),
                  {"x": c.normal(*x)}, count_include_pad=counted, **attributes)

    pool("plain", (2, 4, 6, 3), (2, 2), (2, 2))
    pool("remainder", (2, 5, 7, 3), (2, 2), (2, 2))
    pool("overlap", (2, 6, 5, 2), (3, 3), (1, 1))
    pool("padding", (2, 6, 5, 2), (3, 3), (2, 2), (1, 1))
    pool("unequal", (1, 7, 6, 2), (3, 2), (2, 1), (1, 0))


def losses(c):
    for reduction in ("mean", "none"):
        c.add(f"cross_entropy.{reduction}",
              lambda x, label, r=reduction: F.cross_entropy(x, label.long(), reduction=r),
              {"x": c.normal(6, 5), "label": c.index(5, 6)}, reduction=reduction)
        c.add(f"mse.{reduction}", lambda a, b, r=reduction: F.mse_loss(a, b, reduction=r),
              {"a": c.normal(3, 4), "b": c.normal(3, 4)}, reduction=reduction)
    c.add("cross_entropy.large", lambda x, label: F.cross_entropy(x, label.long()),
          {"x": c.normal(6, 5) * 300, "label": c.index(5, 6)}, reduction="mean")


def conventions(c):
    """Ties, edges and values out of the domain; the table in README.md is read off these."""
    def edge(op, f, values, **attributes):
        c.add(f"{op}.edge", f, {"x": torch.tensor(values)}, ones=True, **attributes)

    edge("relu", torch.relu, [0.0, -0.0, 1.0, -1.0, INF, -INF, NAN])
    edge("abs", torch.abs, [0.0, -0.0, 1.0, -1.0, INF, -INF, NAN])
    edge("sign", torch.sign, [0.0, -0.0, 2.0, -2.0, INF, -INF, NAN])
    edge("floor", torch.floor, [0.0, -0.0, 1.0, -1.5, INF, -INF, NAN])
    edge("sqrt", torch.sqrt, [0.0, -0.0, 4.0, -1.0, INF, NAN])
    edge("rsqrt", torch.rsqrt, [0.0, -0.0, 4.0, -1.0, INF, NAN])
    edge("log", torch.log, [0.0, -0.0, 1.0, -1.0, INF, NAN])
    edge("log1p", torch.log1p, [-1.0, 0.0, -2.0, INF, NAN])
    edge("expm1", torch.expm1, [0.0, -0.0, -1000.0, 1000.0, INF, -INF, NAN])
    edge("exp", torch.exp, [0.0, -1000.0, 1000.0, INF, -INF, NAN])
    edge("reciprocal", torch.reciprocal, [0.0, -0.0, 2.0, INF, -INF, NAN])
    edge("tanh", torch.tanh, [0.0, 30.0, -30.0, INF, -INF, NAN])
    edge("sigmoid", torch.sigmoid, [0.0, 800.0, -800.0, INF, -INF, NAN])
    edge("erf", torch.erf, [0.0, 30.0, -30.0, INF, -INF, NAN])
    edge("softplus", lambda x: torch.logaddexp(x, torch.zeros_like(x)), [0.0, 800.0, -800.0, INF, -INF, NAN])
    edge("silu", F.silu, [0.0, 800.0, -800.0, INF, -INF, NAN])
    edge("gelu", F.gelu, [0.0, 40.0, -40.0, INF, -INF, NAN])
    edge("gelu_tanh", lambda x: F.gelu(x, approximate="tanh"), [0.0, 40.0, -40.0, INF, -INF, NAN])
    edge("sin", torch.sin, [0.0, -0.0, 1e6, INF, NAN])
    edge("clamp", lambda x: torch.clamp(x, -1, 1), [-1.0, 1.0, 0.0, -2.0, 2.0, INF, -INF, NAN], low=-1.0, high=1.0)

    a = torch.tensor([1.0, 0.0, -0.0, INF, -INF, NAN, 1.0, 2.0, 1.0])
    b = torch.tensor([1.0, -0.0, 0.0, INF, -INF, 1.0, NAN, 1.0, 2.0])
    for op, f in {"maximum": torch.maximum, "minimum": torch.minimum}.items():
        c.add(f"{op}.edge", f, {"a": a, "b": b}, ones=True)
    c.add("div.edge", torch.div, {"a": torch.tensor([1.0, -1.0, 0.0, 1.0, 1.0, INF]),
                                  "b": torch.tensor([0.0, 0.0, 0.0, -0.0, INF, INF])}, ones=True)
    c.add("pow.edge", torch.pow,
          {"a": torch.tensor([0.0, 0.0, 0.0, 0.0, 0.0, -2.0, -2.0, 1.0, 2.0, NAN, INF, -0.0]),
           "b": torch.tensor([0.0, 1.0, 2.0, 0.5, -1.0, 3.0, 0.5, NAN, 0.0, 0.0, 0.0, 3.0])}, ones=True)
    for e in (0.0, 1.0, 2.0, 0.5, -1.0):
        # without -0.0 at 0.5, where PyTorch calls sqrt and C's pow says otherwise
        x = torch.tensor([0.0, -2.0, INF, NAN] if e == 0.5 else [0.0, -0.0, -2.0, INF, NAN])
        c.add(f"pow.edge_scalar_{e:g}", lambda x, e=e: torch.pow(x, e), {"x": x}, ones=True, exponent=e)
    c.add("where.edge", lambda condition, x: torch.where(condition, torch.log(x), x),
          {"condition": torch.tensor([True, False, False]), "x": torch.tensor([1.0, 0.0, -1.0])}, ones=True,
          formula="where(condition, log(x), x)")

    ties = torch.tensor([[1.0, 3.0, 3.0, 2.0], [5.0, 5.0, 5.0, 5.0], [1.0, NAN, 2.0, NAN], [-INF, -INF, -INF, -INF]])
    c.add("max.ties", lambda x: x.amax(1), {"x": ties}, ones=True, axes=[1])
    c.add("max.ties_all", lambda x: x.amax((0, 1)), {"x": ties[:2]}, ones=True, axes=[0, 1])
    c.add("min.ties", lambda x: x.amin(1), {"x": -ties}, ones=True, axes=[1])
    c.add("argmax.ties", lambda x: x.argmax(1).int(), {"x": ties}, axis=1)
    c.add("prod.zeros", lambda x: x.prod(1), {"x": torch.tensor([[2.0, 0.0, 3.0], [0.0, 0.0, 3.0], [2.0, 3.0, 4.0]])},
          ones=True, axes=[1])
    c.add("var.constant", lambda x: x.var(1, correction=0), {"x": torch.full((2, 4), 3.0)}, ones=True, axes=[1],
          correction=0)
    rows = torch.tensor([[-INF, 0.0, 1.0], [-INF, -INF, -INF], [INF, 0.0, 1.0], [NAN, 0.0, 1.0]])
    c.add("logsumexp.edge", lambda x: torch.logsumexp(x, (1,)), {"x": rows}, ones=True, axes=[1])
    c.add("softmax.edge", lambda x: torch.softmax(x, 1), {"x": rows}, ones=True, axis=1)
    c.add("log_softmax.edge", lambda x: torch.log_softmax(x, 1), {"x": rows}, ones=True, axis=1)
    image = torch.tensor([[1.0, 1.0, 2.0, NAN], [1.0, 1.0, 2.0, 0.0], [0.0, -0.0, -INF, -INF], [0.0, 0.0, -INF, -INF]])
    c.add("max_pool2d.ties", lambda x: nhwc(F.max_pool2d(nchw(x), 2)), {"x": image.reshape(1, 4, 4, 1)}, ones=True,
          kernel=[2, 2], stride=[2, 2], padding=[0, 0])
    for name, shape in {"sum": (0, 3), "mean": (0, 3), "prod": (0, 3)}.items():
        c.add(f"{name}.empty", lambda x, n=name: getattr(x, n)(0), {"x": torch.zeros(shape)}, ones=True, axes=[0])
    c.add("logsumexp.empty", lambda x: torch.logsumexp(x, (1,)), {"x": torch.zeros(2, 0)}, ones=True, axes=[1])
    c.add("cross_entropy.empty", lambda x, label: F.cross_entropy(x, label.long()),
          {"x": torch.zeros(0, 5), "label": torch.zeros(0, dtype=torch.int32)}, ones=True, reduction="mean")
    c.add("mse.empty", F.mse_loss, {"a": torch.zeros(0, 4), "b": torch.zeros(0, 4)}, ones=True, reduction="mean")
    # over all axes: a case of its own, because a total is another kernel than a row
    some, none, nans = torch.tensor([1.0, -2.0, 4.0]), torch.zeros(0), torch.tensor([1.0, NAN, 5.0, NAN, 2.0])
    for name in ("sum", "mean", "prod"):
        c.add(f"{name}.total", lambda x, n=name: getattr(x, n)(), {"x": some}, ones=True, axes=[0])
        c.add(f"{name}.total_empty", lambda x, n=name: getattr(x, n)(), {"x": none}, ones=True, axes=[0])
    for name in ("sum", "mean", "amax", "amin"):
        c.add(f"{name.replace('am', 'm')}.total_nan", lambda x, n=name: getattr(x, n)(), {"x": nans}, ones=True, axes=[0])
    c.add("argmax.total_nan", lambda x: x.argmax().int(), {"x": nans}, axis=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # no degree of freedom
        for name, x in {"one": torch.ones(3, 1), "empty": torch.zeros(2, 0), "total_one": torch.ones(1),
                        "total_empty": none}.items():
            for correction in (0, 1):
                c.add(f"var.{name}_correction_{correction}", lambda x, k=correction: x.var(-1, correction=k), {"x": x},
                      ones=True, axes=[x.dim() - 1], correction=correction)
    image = torch.tensor([[1.0, NAN, NAN, NAN], [NAN, 1.0, 2.0, NAN], [5.0, NAN, -INF, 1.0], [0.0, 7.0, NAN, 2.0]])
    c.add("max_pool2d.ties_nan", lambda x: nhwc(F.max_pool2d(nchw(x), 2)), {"x": image.reshape(1, 4, 4, 1)}, ones=True,
          kernel=[2, 2], stride=[2, 2], padding=[0, 0])


def more_shapes(c):
    """So that every operation has five shapes and more: one element, a prime, several axes, a long one."""
    shapes = [(1,), (37,), (2, 3, 4), (1, 5, 1, 3)]
    unary = {name: getattr(torch, name) for name in "neg abs sign floor exp expm1 sin cos tanh sigmoid erf relu".split()}
    unary |= {"gelu": F.gelu, "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"), "silu": F.silu,
              "softplus": lambda x: torch.logaddexp(x, torch.zeros_like(x))}
    positive = {name: getattr(torch, name) for name in "log sqrt rsqrt reciprocal log1p".split()}
    binary = {name: getattr(torch, name) for name in "add sub mul div maximum minimum".split()}
    compared = {"less": torch.lt, "less_equal": torch.le, "greater": torch.gt, "greater_equal": torch.ge,
                "equal": torch.eq, "not_equal": torch.ne}
    for i, shape in enumerate(shapes):
        for name, f in unary.items():
            c.add(f"{name}.shape_{i}", f, {"x": c.normal(*shape) * 2})
        for name, f in positive.items():
            c.add(f"{name}.shape_{i}", f, {"x": c.positive(*shape)})
        for name, f in binary.items():
            c.add(f"{name}.shape_{i}", f, {"a": c.normal(*shape), "b": c.normal(*shape)})
        for name, f in compared.items():
            c.add(f"{name}.shape_{i}", f, {"a": c.index(3, *shape).float(), "b": c.index(3, *shape).float()})
        for name, f in {"logical_and": torch.logical_and, "logical_or": torch.logical_or}.items():
            c.add(f"{name}.shape_{i}", f, {"a": c.index(2, *shape).bool(), "b": c.index(2, *shape).bool()})
        c.add(f"logical_not.shape_{i}", torch.logical_not, {"x": c.index(2, *shape).bool()})
        far = torch.where(c.index(2, *shape).bool(), c.normal(*shape), torch.tensor(INF))
        c.add(f"isfinite.shape_{i}", torch.isfinite, {"x": far})
        c.add(f"isnan.shape_{i}", torch.isnan, {"x": far - far})
        c.add(f"where.shape_{i}", torch.where, {"condition": c.index(2, *shape).bool(), "a": c.normal(*shape),
                                                "b": c.normal(*shape)})
        c.add(f"clamp.shape_{i}", lambda x: torch.clamp(x, -0.5, 0.75), {"x": c.normal(*shape)}, low=-0.5, high=0.75)
        for name, dtype in {"bf16": torch.bfloat16, "f16": torch.float16}.items():
            x = c.normal(*shape).flatten()
            c.record(f"cast.{name}_{i}", {"x": x}, {"output": x.to(dtype), "back": x.to(dtype).float()}, to=name)
        c.add(f"mse.shape_{i}", F.mse_loss, {"a": c.normal(1, *shape).flatten(1), "b": c.normal(1, *shape).flatten(1)},
              reduction="mean")

    def product(x, axes):
        for axis in sorted(axes, reverse=True):
            x = x.prod(axis)
        return x

    reduced = {"sum": lambda x, a: x.sum(a), "mean": lambda x, a: x.mean(a), "prod": product, "max": torch.amax,
               "min": torch.amin, "logsumexp": torch.logsumexp}
    for i, (shape, axes) in enumerate([((1, 7), [1]), ((37, 4), [0]), ((3, 65), [1]), ((2, 3, 4, 5), [1, 3])]):
        for name, f in reduced.items():
            c.add(f"{name}.shape_{i}", lambda x, f=f, a=axes: f(x, a), {"x": c.normal(*shape)}, axes=axes)
        c.add(f"var.shape_{i}", lambda x, a=axes: x.var(a, correction=0), {"x": c.normal(*shape)}, axes=axes,
              correction=0)
        axis = axes[-1]
        flags = c.index(8, *shape)
        c.add(f"any.shape_{i}", lambda x, a=axis: x.any(a), {"x": flags == 0}, axes=[axis])
        c.add(f"all.shape_{i}", lambda x, a=axis: x.all(a), {"x": flags > 0}, axes=[axis])
        c.add(f"argmax.shape_{i}", lambda x, a=axis: x.argmax(a).int(), {"x": c.normal(*shape)}, axis=axis)
        c.add(f"softmax.shape_{i}", lambda x, a=axis: torch.softmax(x, a), {"x": c.normal(*shape) * 3}, axis=axis)
        c.add(f"log_softmax.shape_{i}", lambda x, a=axis: torch.log_softmax(x, a), {"x": c.normal(*shape) * 3},
              axis=axis)
        c.add(f"layer_norm.shape_{i}", lambda x, weight, bias, s=shape[-1:]: F.layer_norm(x, s, weight, bias, 1e-5),
              {"x": c.normal(*shape) * 2 + 1, "weight": c.normal(shape[-1]), "bias": c.normal(shape[-1])},
              axes=[len(shape) - 1], eps=1e-5)
    for i, (n, classes) in enumerate([(1, 2), (9, 3), (4, 17), (7, 1)]):
        c.add(f"cross_entropy.shape_{i}", lambda x, label: F.cross_entropy(x, label.long()),
              {"x": c.normal(n, classes) * 2, "label": c.index(classes, n)}, reduction="mean")

    for i, (a, b, d) in enumerate([(1, 4, 1), (7, 5, 3), (2, 9, 17), (3, 4, 2)]):
        c.add(f"permute.shape_{i}", lambda x: x.permute(2, 0, 1), {"x": c.normal(a, b, d)}, order=[2, 0, 1])
        c.add(f"reshape.split_{i}", lambda x, s=(a, 3, b): x.reshape(s), {"x": c.normal(a, 3 * b)}, shape=[a, 3, b])
        c.add(f"reshape.merge_{i}", lambda x, s=(a, 3 * d): x.reshape(s), {"x": c.normal(a, 3, d)}, shape=[a, 3 * d])
        c.add(f"slice.shape_{i}", lambda x: x[:, 1:4], {"x": c.normal(d, b)}, axis=1, start=1, stop=4, step=1)
        c.add(f"slice.step_{i}", lambda x: x[:, 1:6:2], {"x": c.normal(b + d, 6)}, axis=1, start=1, stop=6, step=2)
        c.add(f"pad.shape_{i}", lambda x: F.pad(x, (2, 1), value=0.5), {"x": c.normal(a, d)}, axis=1, before=2, after=1,
              value=0.5)
        c.add(f"concatenate.shape_{i}", lambda a, b: torch.cat((a, b), 1), {"a": c.normal(a, b), "b": c.normal(a, d)},
              axis=1)
        c.add(f"broadcast.leading_{i}", lambda x, n=b: x.expand(2, n), {"x": c.normal(b)}, shape=[2, b], at=[1])
        c.add(f"broadcast.trailing_{i}", lambda x, n=b: x[:, None].expand(n, 5), {"x": c.normal(b)}, shape=[b, 5],
              at=[0])
        c.add(f"embedding.shape_{i}", lambda table, index: F.embedding(index.long(), table),
              {"table": c.normal(b, d), "index": c.index(b, a, d)})
        c.add(f"gather.shape_{i}", lambda x, index: x.gather(1, index.long()),
              {"x": c.normal(a, b), "index": c.index(b, a, d)}, axis=1)
        c.add(f"index_select.shape_{i}", lambda x, index: x.index_select(1, index.long()),
              {"x": c.normal(a, b), "index": c.index(b, d)}, axis=1)
        c.add(f"one_hot.shape_{i}", lambda index: F.one_hot(index.long(), 6).int(), {"index": c.index(6, a + i * d)},
              classes=6)
        c.add(f"linear.shape_{i}", F.linear, {"x": c.normal(a, b, d), "weight": c.normal(a + b, d),
                                              "bias": c.normal(a + b)})

    def pool(name, x, kernel):
        attributes = dict(kernel=[kernel, kernel], stride=[kernel, kernel], padding=[0, 0])
        c.add(f"max_pool2d.{name}", lambda x: nhwc(F.max_pool2d(nchw(x), kernel)), {"x": c.normal(*x)}, **attributes)
        c.add(f"avg_pool2d.{name}", lambda x: nhwc(F.avg_pool2d(nchw(x), kernel)), {"x": c.normal(*x)},
              count_include_pad=True, **attributes)

    pool("plain_many", (3, 2, 2, 17), 2)
    pool("plain_one", (1, 3, 4, 1), 2)
    attention(c, "one_query", 1, 6)
    attention(c, "long", 4, 11)
    c.add("broadcast.leading_one", lambda x: x.expand(2, 1), {"x": c.normal(1)}, shape=[2, 1], at=[1])


def all_cases(seed=20, kind=Cases):
    c = kind(seed)
    for group in (elementwise, reductions, movement, products, convolutions, losses, conventions, more_shapes):
        group(c)
    return c.tensors, c.attributes


def optimizers(seed=21, size=12, steps=5):
    """Trajectories in f64: `parameter` at the start, `gradient` and, after each step, `output` [steps, size]."""
    c = Cases(seed)
    table = {
        "sgd.plain": (torch.optim.SGD, dict(lr=0.1)),
        "sgd.weight_decay": (torch.optim.SGD, dict(lr=0.1, weight_decay=0.05)),
        "sgd.momentum": (torch.optim.SGD, dict(lr=0.1, momentum=0.9)),
        "sgd.dampening": (torch.optim.SGD, dict(lr=0.1, momentum=0.9, dampening=0.25)),
        "sgd.nesterov": (torch.optim.SGD, dict(lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.05)),
        "adam.plain": (torch.optim.Adam, dict(lr=0.01, betas=(0.9, 0.999), eps=1e-8)),
        "adam.weight_decay": (torch.optim.Adam, dict(lr=0.01, betas=(0.8, 0.95), eps=1e-6, weight_decay=0.1)),
        "adamw.plain": (torch.optim.AdamW, dict(lr=0.01, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01)),
        "adamw.large_decay": (torch.optim.AdamW, dict(lr=0.1, betas=(0.8, 0.95), eps=1e-6, weight_decay=0.5)),
    }
    for name, (kind, options) in table.items():
        start, gradients = c.normal(size), c.normal(steps, size)
        p = start.double().requires_grad_()
        optimizer, after = kind([p], **options), []
        for gradient in gradients:
            p.grad = gradient.double()
            optimizer.step()
            after.append(p.detach().clone())
        c.record(name, {"parameter": start, "gradient": gradients}, {"output": torch.stack(after)}, **options)
    start, values, decay, after = c.normal(size), c.normal(steps, size), 0.9, []
    average = start.double()
    for value in values:
        average = decay * average + (1 - decay) * value.double()
        after.append(average)
    c.record("ema.plain", {"average": start, "parameter": values}, {"output": torch.stack(after)}, decay=decay)
    return c.tensors, c.attributes
