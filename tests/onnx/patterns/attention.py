"""Attention, and what is none."""

from __future__ import annotations

import numpy as np

from tests.onnx.patterns.pattern import Pattern, drawn, of_floats

QKV = "float[2,3,4,8] q, float[2,3,5,8] k, float[2,3,5,6] v"
KEYS = "kt = Transpose<perm = [0,1,3,2]>(k)"
ENDS = "w = Softmax<axis = -1>(s) y = MatMul(w, v)"
OUT = "(float[2,3,4,6] y)"
ROOT = of_floats(8**0.5)

ATTENTION = {
    "scores times a scale": Pattern(
        f"g ({QKV}) => {OUT} {{ {KEYS} p = MatMul(q, kt) s = Mul(p, c) {ENDS} }}",
        ("attention",),
        {"c": of_floats(8**-0.5)},
    ),
    "scores over a root, and a mask": Pattern(
        f"g ({QKV}, float[2,1,1,5] m) => {OUT}"
        f"{{ {KEYS} p = MatMul(q, kt) d = Div(p, c) s = Add(d, m) {ENDS} }}",
        ("attention",),
        {"c": ROOT},
    ),
    "the mask first": Pattern(
        f"g ({QKV}, float[4,5] m) => {OUT}"
        f"{{ {KEYS} p = MatMul(q, kt) d = Div(p, c) s = Add(m, d) {ENDS} }}",
        ("attention",),
        {"c": ROOT},
    ),
    "queries over a root": Pattern(
        f"g ({QKV}) => {OUT} {{ n = Div(q, c) {KEYS} s = MatMul(n, kt) {ENDS} }}",
        ("attention",),
        {"const_c": np.array([8**0.5], np.float32)},
    ),
    "both by a root of the scale, of shapes": Pattern(  # torch 2, from version 14 on
        f"g ({QKV}) => {OUT} {{"
        "h = Shape(q) last = Constant<value = int64[1] {-1}>() most = Constant<value = int64[1] "
        "{9223372036854775807}>() e = Slice(h, last, most) f = Cast<to = 1>(e) r = Sqrt(f)"
        "one = Constant<value = float[1] {1.0}>() i = Div(one, r) c = Sqrt(i) n = Mul(q, c)"
        f"{KEYS} t = Mul(kt, c) s = MatMul(n, t) {ENDS} }}",
        ("attention",),
        opset=14,
    ),
    "keys scaled before they are turned": Pattern(
        f"g ({QKV}) => {OUT} {{ n = Mul(k, c) kt = Transpose<perm = [0,1,3,2]>(n)"
        f"s = MatMul(q, kt) {ENDS} }}",
        ("attention",),
        {"c": of_floats(0.3)},
    ),
    "keys turned with their heads": Pattern(
        f"g (float[2,3,4,8] q, float[2,5,3,8] k, float[2,3,5,6] v) => {OUT}"
        f"{{ kt = Transpose<perm = [0,2,3,1]>(k) p = MatMul(q, kt) s = Mul(p, c) {ENDS} }}",
        ("permute", "attention"),
        {"c": of_floats(8**-0.5)},
    ),
    "heads with the batch": Pattern(  # torch's MultiheadAttention
        "g (float[6,4,8] q, float[6,5,8] k, float[6,5,6] v) => (float[6,4,6] y)"
        f"{{ n = Mul(q, c) kt = Transpose<perm = [0,2,1]>(k) s = MatMul(n, kt) {ENDS} }}",
        ("attention",),
        {"c": of_floats(8**-0.5)},
    ),
    "masked by minus infinity": Pattern(
        f"g ({QKV}, bool[4,5] m) => {OUT}"
        f"{{ {KEYS} p = MatMul(q, kt) d = Div(p, c) s = Where(m, low, d) {ENDS} }}",
        ("where", "attention"),
        {"c": ROOT, "low": np.float32(-np.inf)},
    ),
    "masked by a very low number": Pattern(
        f"g ({QKV}, bool[2,1,4,5] m) => {OUT}"
        f"{{ {KEYS} p = MatMul(q, kt) d = Div(p, c) s = Where(m, d, low) {ENDS} }}",
        ("where", "attention"),
        {"c": ROOT, "low": np.float32(np.finfo(np.float32).min)},
    ),
    "no scale": Pattern(
        f"g ({QKV}) => {OUT} {{ {KEYS} s = MatMul(q, kt) {ENDS} }}", ("attention",)
    ),
}  # fmt: skip

NO_ATTENTION = {
    "softmax over the queries": Pattern(
        f"g ({QKV}) => {OUT} {{ {KEYS} s = MatMul(q, kt) w = Softmax<axis = 2>(s)"
        "y = MatMul(w, v) }",
        ("-attention", "softmax"),
    ),
    "weights that are wanted too": Pattern(
        f"g ({QKV}) => (float[2,3,4,6] y, float[2,3,4,5] w)"
        f"{{ {KEYS} s = MatMul(q, kt) {ENDS} }}",
        ("-attention", "softmax"),
    ),
    "scores that are read twice": Pattern(
        f"g ({QKV}) => (float[2,3,4,6] y, float[2,3,4,5] z)"
        f"{{ {KEYS} s = MatMul(q, kt) z = Relu(s) {ENDS} }}",
        ("-attention", "softmax"),
    ),
    "a mask before the scale": Pattern(
        f"g ({QKV}, float[4,5] m) => {OUT}"
        f"{{ {KEYS} p = MatMul(q, kt) a = Add(p, m) s = Mul(a, c) {ENDS} }}",
        ("-attention", "softmax"),
        {"c": of_floats(0.5)},
    ),
    "a mask that makes more scores": Pattern(
        "g (float[3,4,8] q, float[3,5,8] k, float[2,3,5,6] v, float[2,3,4,5] m) => "
        "(float[2,3,4,6] y) { kt = Transpose<perm = [0,2,1]>(k) p = MatMul(q, kt) s = Add(p, m)"
        f"{ENDS} }}",
        ("-attention", "softmax"),
    ),
    "masked by a number that is seen": Pattern(
        f"g ({QKV}, bool[4,5] m) => {OUT}"
        f"{{ {KEYS} p = MatMul(q, kt) s = Where(m, low, p) {ENDS} }}",
        ("-attention", "softmax"),
        {"low": of_floats(-10.0)},
    ),
    "a temperature for each head": Pattern(
        f"g ({QKV}) => {OUT} {{ {KEYS} p = MatMul(q, kt) s = Mul(p, c) {ENDS} }}",
        ("-attention", "softmax"),
        {"c": drawn(3, 3, 1, 1)},
    ),
}  # fmt: skip
