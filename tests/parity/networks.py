"""The three networks of FLAME's examples, exactly, in PyTorch: the twins.

Parameter names are FLAME's paths, so `state_dict()` and a FLAME checkpoint have the same keys. Linear weights are
[out, in], convolution weights OIHW. Images are NHWC at every boundary; a twin permutes where PyTorch wants NCHW.
`make_mlp`, `make_cnn` and `make_dit` give (module, inputs, loss): `loss(module, **inputs)` is a scalar.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn


class Mlp(nn.Module):
    """image (batch, height, width, 1) or (batch, pixel) -> fc1 -> relu -> fc2 -> logits (batch, digit)"""

    def __init__(self, pixels=784, hidden=256, digits=10):
        super().__init__()
        self.fc1 = nn.Linear(pixels, hidden)
        self.fc2 = nn.Linear(hidden, digits)

    def forward(self, image):
        return self.fc2(F.relu(self.fc1(image.flatten(1))))


class Cnn(nn.Module):
    """Two 3x3 convolutions with relu and 2x2 max pooling, then two linear layers.

    The flattened order is (height, width, channel), as in memory when images are NHWC.
    """

    def __init__(self, channels=(16, 32), hidden=128, digits=10, side=28):
        super().__init__()
        self.conv1 = nn.Conv2d(1, channels[0], 3, padding=1)
        self.conv2 = nn.Conv2d(channels[0], channels[1], 3, padding=1)
        self.fc1 = nn.Linear((side // 4) ** 2 * channels[1], hidden)
        self.fc2 = nn.Linear(hidden, digits)

    def features(self, x):                                       # (batch, 1, height, width)
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)               # (batch, channel, height / 2, width / 2)
        return F.max_pool2d(F.relu(self.conv2(x)), 2)            # (batch, channel, height / 4, width / 4)

    def classify(self, flat):                                    # (batch, height * width * channel)
        return self.fc2(F.relu(self.fc1(flat)))

    def forward(self, image):                                    # (batch, height, width, 1)
        return self.classify(self.features(image.permute(0, 3, 1, 2)).permute(0, 2, 3, 1).flatten(1))


class Attention(nn.Module):
    """softmax(q k^T / sqrt(head width)) v over heads, with separate projections and biases.

    fused=True calls scaled_dot_product_attention, fused=False writes it from products and a softmax.
    """

    def __init__(self, width, heads, fused):
        super().__init__()
        self.q = nn.Linear(width, width)
        self.k = nn.Linear(width, width)
        self.v = nn.Linear(width, width)
        self.out = nn.Linear(width, width)
        self.heads = heads
        self.fused = fused

    def forward(self, x):                                                             # (batch, token, width)
        n, t, w = x.shape
        q, k, v = (f(x).view(n, t, self.heads, w // self.heads).transpose(1, 2) for f in (self.q, self.k, self.v))
        if self.fused:
            y = F.scaled_dot_product_attention(q, k, v)                               # (batch, head, token, dim)
        else:
            score = q @ k.transpose(-1, -2) * (w // self.heads) ** -0.5               # (batch, head, query, key)
            y = torch.softmax(score, -1) @ v
        return self.out(y.transpose(1, 2).reshape(n, t, w))


class Block(nn.Module):
    """h += gate1 attention(modulate(ln(h), shift1, scale1)); h += gate2 mlp(modulate(ln(h), shift2, scale2))

    The six come from linear(silu(c)), in the order shift1, scale1, gate1, shift2, scale2, gate2.
    """

    def __init__(self, width, heads, hidden, fused):
        super().__init__()
        self.modulation = zero_initialised(nn.Linear(width, 6 * width))
        self.attention = Attention(width, heads, fused)
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, h, c):                                     # (batch, token, width), (batch, width)
        m = self.modulation(F.silu(c))[:, None]                  # (batch, 1, 6 width)
        shift1, scale1, gate1, shift2, scale2, gate2 = m.chunk(6, -1)
        h = h + gate1 * self.attention(norm(h) * (1 + scale1) + shift1)
        x = norm(h) * (1 + scale2) + shift2
        return h + gate2 * self.fc2(F.gelu(self.fc1(x), approximate="tanh"))


class Final(nn.Module):
    """linear(modulate(ln(h), shift, scale)), shift and scale from linear(silu(c)); both linears begin at zero"""

    def __init__(self, width, out):
        super().__init__()
        self.modulation = zero_initialised(nn.Linear(width, 2 * width))
        self.out = zero_initialised(nn.Linear(width, out))

    def forward(self, h, c):
        shift, scale = self.modulation(F.silu(c))[:, None].chunk(2, -1)
        return self.out(norm(h) * (1 + scale) + shift)


class Time(nn.Module):
    """fc2(silu(fc1(waves))), waves = (cos(1000 t f_i), sin(1000 t f_i)), f_i = exp(-ln(10000) i / (width / 2))"""

    def __init__(self, width):
        super().__init__()
        self.fc1 = nn.Linear(width, width)
        self.fc2 = nn.Linear(width, width)
        self.half = width // 2

    def forward(self, t):                                        # (batch)
        i = torch.arange(self.half, dtype=torch.float64, device=t.device)
        frequency = torch.exp(i * (-math.log(10000.0) / self.half)).to(t.dtype)
        angle = (t * 1000)[:, None] * frequency                  # (batch, width / 2)
        return self.fc2(F.silu(self.fc1(torch.cat([angle.cos(), angle.sin()], -1))))


class Dit(nn.Module):
    """A class-conditional diffusion transformer with adaptive layer norm; it predicts the flow's velocity.

    Tokens are patches in row-major order, inside a patch row-major too. Label `classes` (10) means no class.
    """

    def __init__(self, width=96, blocks=4, heads=4, hidden=None, side=28, patch=4, classes=10, fused=False):
        super().__init__()
        self.side, self.size = side, patch
        tokens = (side // patch) ** 2
        self.patch = nn.Linear(patch * patch, width)
        self.position = nn.Parameter(torch.randn(tokens, width) * 0.02)
        self.time = Time(width)
        self.label = nn.Parameter(torch.randn(classes + 1, width) * 0.02)
        self.blocks = nn.ModuleList(Block(width, heads, hidden or 4 * width, fused) for _ in range(blocks))
        self.final = Final(width, patch * patch)

    def patchify(self, image):                                   # (batch, side, side, 1) -> (batch, token, patch^2)
        n, p, s = image.shape[0], self.side // self.size, self.size
        return image.reshape(n, p, s, p, s).transpose(2, 3).reshape(n, p * p, s * s)

    def unpatchify(self, token):
        n, p, s = token.shape[0], self.side // self.size, self.size
        return token.reshape(n, p, p, s, s).transpose(2, 3).reshape(n, self.side, self.side, 1)

    def forward(self, image, t, label):                          # (batch, side, side, 1), (batch), (batch)
        h = self.patch(self.patchify(image)) + self.position     # (batch, token, width)
        c = self.time(t) + F.embedding(label, self.label)        # (batch, width)
        for block in self.blocks:
            h = block(h, c)
        return self.unpatchify(self.final(h, c))


def norm(x):
    return F.layer_norm(x, x.shape[-1:], eps=1e-6)


def zero_initialised(linear):
    nn.init.zeros_(linear.weight)
    nn.init.zeros_(linear.bias)
    return linear


def classification(module, image, label):
    """mean cross entropy"""
    return F.cross_entropy(module(image), label.long())


def flow_matching(module, data, noise, t, label):
    """mean((module(x_t, t, label) - (data - noise))^2), x_t = (1 - t) noise + t data"""
    s = t[:, None, None, None]
    return (module((1 - s) * noise + s * data, t, label) - (data - noise)).square().mean()


def normal(g, *shape, scale=1.0):
    return torch.randn(shape, generator=g) * scale


def randomise(module, g):
    """Draws every parameter anew, those that begin at zero too, so that every gradient says something."""
    with torch.no_grad():
        for name, p in module.named_parameters():
            table = name in ("position", "label")
            fan_in = p[0].numel() if p.dim() > 1 else 1
            scale = 0.5 if table else fan_in ** -0.5 if p.dim() > 1 else 0.1
            p.copy_(normal(g, *p.shape, scale=scale))
    return module


def digits_like(g, batch, side=28):
    """Images in 0..1, NHWC, with no two pixels alike."""
    return torch.rand(batch, side, side, 1, generator=g)


def make_mlp(seed=0, batch=128, hidden=256, random_weights=False):
    g = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    module = Mlp(hidden=hidden)
    if random_weights:
        randomise(module, g)
    inputs = {"image": digits_like(g, batch), "label": torch.randint(10, (batch,), generator=g, dtype=torch.int32)}
    return module, inputs, classification


def make_cnn(seed=0, batch=128, channels=(16, 32), hidden=128, random_weights=False):
    g = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    module = Cnn(channels, hidden)
    if random_weights:
        randomise(module, g)
    inputs = {"image": digits_like(g, batch), "label": torch.randint(10, (batch,), generator=g, dtype=torch.int32)}
    return module, inputs, classification


def make_dit(seed=0, batch=128, width=96, blocks=4, heads=4, random_weights=False, fused=False):
    g = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    module = Dit(width, blocks, heads, fused=fused)
    if random_weights:
        randomise(module, g)
    inputs = {
        "data": digits_like(g, batch) * 2 - 1,
        "noise": normal(g, batch, 28, 28, 1),
        "t": torch.sigmoid(normal(g, batch)),
        "label": torch.randint(11, (batch,), generator=g, dtype=torch.int32),
    }
    return module, inputs, flow_matching
