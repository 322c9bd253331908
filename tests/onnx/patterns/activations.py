"""Activations, and what is none."""

from __future__ import annotations

import numpy as np

from tests.onnx.patterns.pattern import Pattern

X = "float[2,3,7] x"
Y = "(float[2,3,7] y)"
PADDLE = {"three": np.array([3], np.float32), "six": np.array([6], np.float32)}
CLIPPED = "z = Constant<value = float {0.0}>() t = Constant<value = float {6.0}>()"

ACTIVATIONS = {
    "hardswish of paddle": Pattern(
        f"g ({X}) => {Y} {{ {CLIPPED} a = Add(x, three) c = Clip(a, z, t) p = Mul(x, c)"
        "y = Div(p, six) }",
        ("hardswish",), {f"const_{k}": v for k, v in PADDLE.items()},
    ),
    "hardsigmoid": Pattern(
        f"g ({X}) => {Y} {{ {CLIPPED} a = Add(x, three) c = Clip(a, z, t) y = Div(c, six) }}",
        ("hardsigmoid",), {f"const_{k}": v for k, v in PADDLE.items()},
    ),
    "relu6": Pattern(f"g ({X}) => {Y} {{ {CLIPPED} y = Clip(x, z, t) }}", ("relu6",)),
    "sigmoid": Pattern(
        f"g ({X}) => {Y} {{ n = Neg(x) e = Exp(n) one = Constant<value = float {{1.0}}>()"
        "d = Add(one, e) y = Div(one, d) }",
        ("sigmoid",),
    ),
    "silu": Pattern(
        f"g ({X}) => {Y} {{ n = Neg(x) e = Exp(n) one = Constant<value = float {{1.0}}>()"
        "d = Add(e, one) y = Div(x, d) }",
        ("silu",),
    ),
    "swish of one": Pattern(
        f"g ({X}) => {Y} {{ const_one = Constant<value = float[1] {{1.0}}>() p = Mul(x, const_one)"
        "s = Sigmoid(p) y = Mul(x, s) }",
        ("silu",),
    ),
    "softplus": Pattern(
        f"g ({X}) => {Y} {{ e = Exp(x) one = Constant<value = float {{1.0}}>() d = Add(e, one)"
        "y = Log(d) }",
        ("softplus",),
    ),
    "quick gelu of a product": Pattern(
        "g (float[2,3,7] x, float[2,3,7] z) => (float[2,3,7] y)"
        "{ p = Mul(x, z) c = Constant<value = float {1.702}>() n = Mul(c, p) s = Sigmoid(n)"
        "y = Mul(p, s) }",
        ("mul", "quick_gelu"),
    ),
    "gelu of a product": Pattern(
        "g (float[2,3,7] x, float[2,3,7] z) => (float[2,3,7] y)"
        "{ p = Mul(x, z) c = Constant<value = float {1.41421356}>() n = Div(p, c) e = Erf(n)"
        "one = Constant<value = float {1.0}>() a = Add(e, one) h = Constant<value = float {0.5}>()"
        "q = Mul(p, a) y = Mul(q, h) }",
        ("mul", "gelu"),
    ),
    "mish of a logarithm": Pattern(
        f"g ({X}) => {Y} {{ e = Exp(x) one = Constant<value = float {{1.0}}>() d = Add(e, one)"
        "l = Log(d) t = Tanh(l) y = Mul(x, t) }",
        ("mish",),
    ),
    "leaky relu": Pattern(
        f"g ({X}) => {Y} {{ c = Constant<value = float {{0.1}}>() p = Mul(x, c) y = Max(x, p) }}",
        ("leaky_relu",),
    ),
}  # fmt: skip

NO_ACTIVATIONS = {
    "a steeper side": Pattern(
        f"g ({X}) => {Y} {{ c = Constant<value = float {{1.5}}>() p = Mul(x, c) y = Max(x, p) }}",
        ("mul", "max"),
    ),
    "another sum": Pattern(
        f"g ({X}) => {Y} {{ e = Exp(x) two = Constant<value = float {{2.0}}>() d = Add(e, two)"
        "y = Log(d) }",
        ("exp", "add", "log"),
    ),
    "another quotient": Pattern(
        f"g ({X}) => {Y} {{ {CLIPPED} a = Add(x, three) c = Clip(a, z, t) y = Div(c, six) }}",
        ("add", "relu6", "div"),
        {"const_three": np.array([3], np.float32), "const_six": np.array([5], np.float32)},
    ),
}  # fmt: skip
