"""Normalisations, and what is none."""

from __future__ import annotations

import numpy as np

from tests.onnx.patterns.pattern import IMAGE, Pattern, drawn, of_floats

CENTRED = "m = ReduceMean<axes = [{0}], keepdims = 1>(x) d = Sub(x, m)"
SPREAD = "q = Mul(d, d) a = ReduceMean<axes = [{0}], keepdims = 1>(q) e = Add(a, eps)"
EPS = {"eps": of_floats(1e-5)}
PLANES = {"g": drawn(1, 6, 1, 1), "b": drawn(2, 6, 1, 1)}

NORMS = {
    "times an inverse root": Pattern(
        f"g (float[2,3,8] x) => (float[2,3,8] y) {{ {CENTRED.format(-1)} {SPREAD.format(-1)}"
        "r = Sqrt(e) i = Reciprocal(r) n = Mul(d, i) s = Mul(n, g) y = Add(s, b) }",
        ("layernorm",),
        EPS | {"g": drawn(1, 8), "b": drawn(2, 8)},
    ),
    "one over a root": Pattern(
        f"g (float[2,3,8] x) => (float[2,3,8] y) {{ {CENTRED.format(-1)} {SPREAD.format(-1)}"
        "r = Sqrt(e) one = Constant<value = float {1.0}>() i = Div(one, r) y = Mul(i, d) }",
        ("layernorm",),
        EPS,
    ),
    "a power": Pattern(
        f"g (float[2,3,8] x) => (float[2,3,8] y) {{ {CENTRED.format(-1)} {SPREAD.format(-1)}"
        "h = Constant<value = float {-0.5}>() i = Pow(e, h) y = Mul(d, i) }",
        ("layernorm",),
        EPS,
    ),
    "over the channels": Pattern(  # ConvNeXt
        f"g ({IMAGE}) => (float[2,6,4,5] y) {{ {CENTRED.format(1)} {SPREAD.format(1)} r = Sqrt(e)"
        "n = Div(d, r) s = Mul(g, n) y = Add(s, b) }",
        ("layernorm",),
        EPS | PLANES,
    ),
    "over planes": Pattern(
        f"g ({IMAGE}) => (float[2,6,4,5] y) {{ {CENTRED.format('2, 3')} {SPREAD.format('2, 3')}"
        "r = Sqrt(e) n = Div(d, r) s = Mul(g, n) y = Add(s, b) }",
        ("instancenorm",),
        EPS | PLANES,
    ),
    "groups as torch writes them": Pattern(
        f"g ({IMAGE}) => (float[2,6,4,5] y) {{"
        "to = Constant<value = int64[3] {0, 3, -1}>() r = Reshape(x, to)"
        "one = Constant<value = float[3] {1.0, 1.0, 1.0}>()"
        "zero = Constant<value = float[3] {0.0, 0.0, 0.0}>()"
        "n = InstanceNormalization(r, one, zero) h = Shape(x) back = Reshape(n, h)"
        "s = Mul(back, g) y = Add(s, b) }",
        ("groupnorm",),
        PLANES,
        13,
    ),
    "root mean square": Pattern(
        "g (float[2,3,8] x) => (float[2,3,8] y) { two = Constant<value = float {2.0}>()"
        "q = Pow(x, two) a = ReduceMean<axes = [-1], keepdims = 1>(q) e = Add(a, eps) r = Sqrt(e)"
        "i = Reciprocal(r) n = Mul(x, i) y = Mul(g, n) }",
        ("rmsnorm",),
        EPS | {"g": drawn(1, 8)},
    ),
    "a length": Pattern(
        "g (float[2,8] x) => (float[2,8] y) { q = Mul(x, x) axes = Constant<value_ints = [1]>()"
        "a = ReduceSum<keepdims = 1>(q, axes) r = Sqrt(a) n = Max(r, eps) y = Div(x, n) }",
        ("reduce_l2", "max", "div"),
        {"eps": of_floats(1e-12)},
    ),
}  # fmt: skip

NO_NORMS = {
    "a scale along another axis": Pattern(
        f"g (float[2,6,6] x) => (float[2,6,6] y) {{ {CENTRED.format(1)} {SPREAD.format(1)}"
        "r = Sqrt(e) n = Div(d, r) s = Mul(n, g) y = Add(s, b) }",
        ("layernorm", "mul", "add"),
        EPS | {"g": drawn(1, 6), "b": drawn(2, 6)},
    ),
    "an epsilon for each channel": Pattern(
        f"g ({IMAGE}) => (float[2,6,4,5] y) {{ {CENTRED.format('2, 3')} {SPREAD.format('2, 3')}"
        "r = Sqrt(e) y = Div(d, r) }",
        ("-layernorm", "div"),
        {"eps": np.abs(drawn(5, 6, 1, 1))},
    ),
    "a mean square over other axes": Pattern(
        "g (float[2,3,8] x) => (float[2,3,8] y) { q = Mul(x, x)"
        "a = ReduceMean<axes = [1], keepdims = 1>(q) e = Add(a, eps) r = Sqrt(e) y = Div(x, r) }",
        ("-rmsnorm", "div"),
        EPS,
    ),
    "groups with weights of their own": Pattern(
        f"g ({IMAGE}) => (float[2,6,4,5] y) {{"
        "to = Constant<value = int64[3] {0, 3, -1}>() r = Reshape(x, to)"
        "n = InstanceNormalization(r, g, b) h = Shape(x) y = Reshape(n, h) }",
        ("-groupnorm", "instancenorm"),
        {"g": drawn(1, 3), "b": drawn(2, 3)},
    ),
}  # fmt: skip
