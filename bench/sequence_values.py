"""Writes what PyTorch's layers for sequences give: the golden values of tests/ops.

python -m bench.sequence_values tests/ops/golden/sequences.json

Weights are under the names that they have in dhc; the loss is the sum of the output times `up`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

BATCH, STEPS, MEMORY, SIZE, UNITS = 3, 4, 3, 6, 4
LENGTHS = [4, 2, 1]
Names = dict[str, str]
Case = tuple[nn.Module, Names, dict[str, Tensor], Callable[..., Tensor]]

_random = np.random.default_rng(11)


def _numbers(*shape: int) -> Tensor:
    """Random numbers that f32 holds exactly."""
    return torch.tensor(_random.integers(-48, 49, shape) / 64)


def _fill(module: nn.Module) -> nn.Module:
    module.double()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(_numbers(*parameter.shape))
    return module.eval()


# ---- recurrent layers ------------------------------------------------------------------------


def recurrent(kind: type[nn.RNNBase], bidirectional: bool, masked: bool) -> Case:
    """A recurrent layer: all outputs, then the last state of every direction."""
    layer = _fill(kind(SIZE, UNITS, batch_first=True, bidirectional=bidirectional))
    names = {}
    for suffix, path in (("", ""), ("_reverse", "backward.")) if bidirectional else (("", ""),):
        for short, long in (("ih", "input"), ("hh", "hidden")):
            for what in ("weight", "bias"):
                names[f"{what}_{short}_l0{suffix}"] = f"{path}{long}.{what}"

    def call(x: Tensor) -> Tensor:
        if not masked:
            out, state = layer(x)
        else:
            packed = nn.utils.rnn.pack_padded_sequence(x, torch.tensor(LENGTHS), True)
            ragged, state = layer(packed)
            out, _ = nn.utils.rnn.pad_packed_sequence(ragged, True, total_length=STEPS)
        hidden = state[0] if isinstance(state, tuple) else state
        last = torch.cat(list(hidden), dim=1)
        return torch.cat([out.reshape(BATCH, -1), last], dim=1)

    return layer, names, {"x": _numbers(BATCH, STEPS, SIZE)}, call


# ---- transformers ----------------------------------------------------------------------------


def _attention_names(prefix: str, path: str) -> Iterator[tuple[str, str]]:
    for what in ("weight", "bias"):
        yield f"{prefix}in_proj_{what}", f"{path}*.{what}"
        yield f"{prefix}out_proj.{what}", f"{path}output.{what}"


def _norm_names(prefix: str, path: str) -> Names:
    return {f"{prefix}.weight": f"{path}.scale", f"{prefix}.bias": f"{path}.bias"}


def _dense_names() -> Names:
    return {
        f"linear{k}.{what}": f"y.thought.dense{'#2' if k == 2 else ''}.{what}"
        for k in (1, 2)
        for what in ("weight", "bias")
    }


def _padding() -> Tensor:
    return torch.arange(STEPS)[None] >= torch.tensor(LENGTHS)[:, None]


def encoder(norm_first: bool) -> Case:
    """A layer of an encoder that does not see padding."""
    layer = _fill(
        nn.TransformerEncoderLayer(SIZE, 2, 8, 0.0, batch_first=True, norm_first=norm_first)
    )
    norms = ("y.seen", "y.thought") if norm_first else ("y.a", "y")
    names = {
        **dict(_attention_names("self_attn.", "y.seen.multi_head_attention.")),
        **_norm_names("norm1", f"{norms[0]}.layernorm"),
        **_norm_names("norm2", f"{norms[1]}.layernorm"),
        **_dense_names(),
    }
    x = _numbers(BATCH, STEPS, SIZE)
    return layer, names, {"x": x}, lambda x: layer(x, src_key_padding_mask=_padding())


def decoder(norm_first: bool) -> Case:
    """A layer of a decoder that sees a memory of other length."""
    layer = _fill(
        nn.TransformerDecoderLayer(SIZE, 2, 8, 0.0, batch_first=True, norm_first=norm_first)
    )
    norms = ("y.said", "y.seen", "y.thought") if norm_first else ("y.a", "y.b", "y")
    names = {
        **dict(_attention_names("self_attn.", "y.said.multi_head_attention.")),
        **dict(_attention_names("multihead_attn.", "y.seen.multi_head_attention.")),
        **{k: v for i in range(3) for k, v in _norm_names(
            f"norm{i + 1}", f"{norms[i]}.layernorm").items()},
        **_dense_names(),
    }  # fmt: skip
    given = {"x": _numbers(BATCH, STEPS, SIZE), "memory": _numbers(BATCH, MEMORY, SIZE)}
    causal = nn.Transformer.generate_square_subsequent_mask(STEPS, dtype=torch.float64)
    return layer, names, given, lambda x, memory: layer(x, memory, causal, tgt_is_causal=True)


CASES: dict[str, Callable[[], Case]] = {
    **{
        f"{name}{'-both' if both else ''}{'-masked' if masked else ''}": (
            lambda k=kind, b=both, m=masked: recurrent(k, b, m)
        )
        for name, kind in (("rnn", nn.RNN), ("lstm", nn.LSTM), ("gru", nn.GRU))
        for both in (False, True)
        for masked in (False, True)
    },
    "encoder-first": lambda: encoder(True),
    "encoder-last": lambda: encoder(False),
    "decoder-first": lambda: decoder(True),
    "decoder-last": lambda: decoder(False),
}


def _list(value: Tensor) -> Any:
    return value.detach().numpy().round(12).tolist()


def _named(name: str, value: Tensor) -> dict[str, Any]:
    """A value under its name; the three projections of an attention under three names."""
    if "*" not in name:
        return {name: _list(value)}
    parts = zip(("query", "key", "value"), value.chunk(3), strict=True)
    return {name.replace("*", part): _list(each) for part, each in parts}


def record(case: Case) -> Mapping[str, Any]:
    """Weights, inputs, output and gradients of one case."""
    layer, names, given, call = case
    for value in given.values():
        value.requires_grad_()
    output = call(**given)
    up = _numbers(*output.shape)
    (output * up).sum().backward()  # type: ignore[no-untyped-call]
    weights: dict[str, Any] = {}
    gradients = {k: _list(v.grad) for k, v in given.items() if v.grad is not None}
    for name, parameter in layer.named_parameters():
        assert parameter.grad is not None
        weights |= _named(names[name], parameter)
        gradients |= _named(names[name], parameter.grad)
    inputs = {k: _list(v) for k, v in given.items()}
    return {
        "weights": weights, "inputs": inputs, "up": _list(up),
        "output": _list(output), "gradients": gradients,
    }  # fmt: skip


def main() -> None:
    """Writes the file that the argument names."""
    torch.backends.mha.set_fastpath_enabled(False)
    cases = {name: record(make()) for name, make in CASES.items()}
    content = {"torch": torch.__version__, "lengths": LENGTHS, "cases": cases}
    Path(sys.argv[1]).write_text(json.dumps(content) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
