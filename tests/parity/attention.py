"""Cases of attention: masks, unequal lengths, shared heads, heads of 40 to 80. By `scaled_dot_product_attention` itself.

`all_cases()` as in `operations.py`. q [batch, head, query, dim], k and v [batch, head, key, dim]. Where PyTorch's
backends differ, in rows whose keys are all hidden, the formula says what is right: zeros, and no gradient.
"""

import torch
import torch.nn.functional as F

from operations import Cases

INF = float("inf")
# batch, heads, queries, keys, dim
SHAPES = [(2, 2, 3, 5, 8), (1, 2, 3, 4, 40), (1, 1, 4, 3, 64), (1, 1, 3, 4, 80), (3, 2, 1, 9, 4), (1, 3, 7, 2, 5)]


def visible(q, k, v, mask):
    """softmax over the keys that the mask shows; zeros where it shows none."""
    hidden = ~mask.any(-1, keepdim=True)
    scores = (q @ k.mT * q.shape[-1] ** -0.5).masked_fill(~(mask | hidden), -INF)
    return torch.softmax(scores, -1).masked_fill(hidden, 0) @ v


def shown(c, *shape):
    """A random mask in which every query sees two keys or more: with one the gradients of q and k are zero."""
    mask = c.index(3, *shape) > 0
    at = c.index(shape[-1], *shape[:-1])[..., None]
    place = torch.arange(shape[-1])
    return mask | (place == at) | (place == (at + 1) % shape[-1])


def all_cases(seed=40, kind=Cases):
    c = kind(seed)

    def add(name, f, batch, heads, queries, keys, dim, shared=None, more={}, **attributes):
        of_keys = (batch, shared or heads, keys, dim)
        c.add(name, f, {"q": c.normal(batch, heads, queries, dim), "k": c.normal(*of_keys), "v": c.normal(*of_keys),
                        **more}, **attributes)

    for i, (batch, heads, queries, keys, dim) in enumerate(SHAPES):
        shape = (batch, heads, queries, keys, dim)
        add(f"attention_plain.{i}", F.scaled_dot_product_attention, *shape)
        add(f"attention_scaled.{i}", lambda q, k, v: F.scaled_dot_product_attention(q, k, v, scale=0.3), *shape)
        add(f"attention_causal.{i}", lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True),
            batch, heads, max(queries, 2), keys, dim)
        add(f"attention_causal_longer.{i}", lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True),
            batch, heads, keys + 2, max(queries, 2), dim)
        add(f"attention_one_query.{i}", lambda q, k, v, mask: F.scaled_dot_product_attention(q, k, v, mask[:, None, None]),
            batch, heads, 1, keys + 3, dim, more={"mask": shown(c, batch, keys + 3)})
        add(f"attention_boolean.{i}", lambda q, k, v, mask: F.scaled_dot_product_attention(q, k, v, mask[:, None]),
            *shape, more={"mask": shown(c, batch, queries, keys)})
        add(f"attention_additive.{i}", lambda q, k, v, mask: F.scaled_dot_product_attention(q, k, v, mask[None]),
            *shape, more={"mask": c.normal(heads, queries, keys)})
        far = torch.where(shown(c, heads, queries, keys), c.normal(heads, queries, keys), torch.tensor(-INF))
        add(f"attention_additive.hiding_{i}", lambda q, k, v, mask: F.scaled_dot_product_attention(q, k, v, mask[None]),
            *shape, more={"mask": far})
        add(f"attention_padding.{i}",
            lambda q, k, v, mask: F.scaled_dot_product_attention(q, k, v, mask[:, None, None]),
            batch, heads, keys, keys, dim, more={"mask": shown(c, batch, keys)})
        add(f"attention_hidden.{i}", lambda q, k, v, mask: visible(q, k, v, mask[:, None]),
            *shape, more={"mask": shown(c, batch, queries, keys) & (c.index(3, batch, queries, 1) > 0)})
    for i, (shared, share, queries, keys, dim) in enumerate([(2, 3, 4, 5, 8), (1, 4, 3, 3, 40), (3, 1, 2, 6, 16),
                                                             (2, 2, 1, 5, 64), (1, 8, 5, 2, 4)]):
        add(f"attention_grouped.{i}", lambda q, k, v: F.scaled_dot_product_attention(q, k, v, enable_gqa=True),
            1 + i % 2, shared * share, queries, keys, dim, shared=shared, groups=shared)
    return c.tensors, c.attributes
