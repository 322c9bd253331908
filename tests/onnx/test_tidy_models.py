"""What exporters write, as nodes of ONNX: one operator is found, and means what they meant.

Each pattern is run by onnxruntime, and by dhc as it is read and as it is tidied.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper, parser

from dhc.ir.graph import Array, Graph, topological
from dhc.onnx import read
from dhc.onnx.imported import Imported
from tests.onnx.written import evaluated, on_runtime

HEADER = '<ir_version: 8, opset_import: ["" : {opset}]>\n'


@dataclass(frozen=True)
class Pattern:
    """A model.

    Attributes:
        text: Its graph in ONNX's own text.
        wanted: The operators that it becomes; those that it must not become begin with "-".
        weights: Which of its inputs are weights or constants.
        opset: The version of ONNX's operators.
    """

    text: str
    wanted: tuple[str, ...]
    weights: Mapping[str, Array] = field(default_factory=dict)
    opset: int = 17


def _float(*values: float) -> Array:
    return np.array(values if len(values) > 1 else values[0], np.float32)


def _random(seed: int, *shape: int) -> Array:
    return np.random.default_rng(seed).normal(0, 1, shape).astype(np.float32)


def _ints(*values: int) -> Array:
    return np.array(values, np.int64)


# ---- attention -------------------------------------------------------------------------------

QKV = "float[2,3,4,8] q, float[2,3,5,8] k, float[2,3,5,6] v"
KEYS = "kt = Transpose<perm = [0,1,3,2]>(k)"
ENDS = "w = Softmax<axis = -1>(s) y = MatMul(w, v)"
OUT = "(float[2,3,4,6] y)"
ROOT = _float(8**0.5)

ATTENTION = {
    "scores times a scale": Pattern(
        f"g ({QKV}) => {OUT} {{ {KEYS} p = MatMul(q, kt) s = Mul(p, c) {ENDS} }}",
        ("attention",),
        {"c": _float(8**-0.5)},
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
        {"c": _float(0.3)},
    ),
    "keys turned with their heads": Pattern(
        f"g (float[2,3,4,8] q, float[2,5,3,8] k, float[2,3,5,6] v) => {OUT}"
        f"{{ kt = Transpose<perm = [0,2,3,1]>(k) p = MatMul(q, kt) s = Mul(p, c) {ENDS} }}",
        ("permute", "attention"),
        {"c": _float(8**-0.5)},
    ),
    "heads with the batch": Pattern(  # torch's MultiheadAttention
        "g (float[6,4,8] q, float[6,5,8] k, float[6,5,6] v) => (float[6,4,6] y)"
        f"{{ n = Mul(q, c) kt = Transpose<perm = [0,2,1]>(k) s = MatMul(n, kt) {ENDS} }}",
        ("attention",),
        {"c": _float(8**-0.5)},
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
        {"c": _float(0.5)},
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
        {"low": _float(-10.0)},
    ),
    "a temperature for each head": Pattern(
        f"g ({QKV}) => {OUT} {{ {KEYS} p = MatMul(q, kt) s = Mul(p, c) {ENDS} }}",
        ("-attention", "softmax"),
        {"c": _random(3, 3, 1, 1)},
    ),
}  # fmt: skip


# ---- normalisation ---------------------------------------------------------------------------

CENTRED = "m = ReduceMean<axes = [{0}], keepdims = 1>(x) d = Sub(x, m)"
SPREAD = "q = Mul(d, d) a = ReduceMean<axes = [{0}], keepdims = 1>(q) e = Add(a, eps)"
IMAGE = "float[2,6,4,5] x"
EPS = {"eps": _float(1e-5)}
PLANES = {"g": _random(1, 6, 1, 1), "b": _random(2, 6, 1, 1)}

NORMS = {
    "times an inverse root": Pattern(
        f"g (float[2,3,8] x) => (float[2,3,8] y) {{ {CENTRED.format(-1)} {SPREAD.format(-1)}"
        "r = Sqrt(e) i = Reciprocal(r) n = Mul(d, i) s = Mul(n, g) y = Add(s, b) }",
        ("layernorm",),
        EPS | {"g": _random(1, 8), "b": _random(2, 8)},
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
        EPS | {"g": _random(1, 8)},
    ),
    "a length": Pattern(
        "g (float[2,8] x) => (float[2,8] y) { q = Mul(x, x) axes = Constant<value_ints = [1]>()"
        "a = ReduceSum<keepdims = 1>(q, axes) r = Sqrt(a) n = Max(r, eps) y = Div(x, n) }",
        ("reduce_l2", "max", "div"),
        {"eps": _float(1e-12)},
    ),
}  # fmt: skip

NO_NORMS = {
    "a scale along another axis": Pattern(
        f"g (float[2,6,6] x) => (float[2,6,6] y) {{ {CENTRED.format(1)} {SPREAD.format(1)}"
        "r = Sqrt(e) n = Div(d, r) s = Mul(n, g) y = Add(s, b) }",
        ("layernorm", "mul", "add"),
        EPS | {"g": _random(1, 6), "b": _random(2, 6)},
    ),
    "an epsilon for each channel": Pattern(
        f"g ({IMAGE}) => (float[2,6,4,5] y) {{ {CENTRED.format('2, 3')} {SPREAD.format('2, 3')}"
        "r = Sqrt(e) y = Div(d, r) }",
        ("-layernorm", "div"),
        {"eps": np.abs(_random(5, 6, 1, 1))},
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
        {"g": _random(1, 3), "b": _random(2, 3)},
    ),
}  # fmt: skip


# ---- activations -----------------------------------------------------------------------------

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


# ---- layers and movements --------------------------------------------------------------------

LAYERS = {
    "a convolution and its bias": Pattern(
        f"g ({IMAGE}) => (float[2,4,2,3] y) {{ c = Conv(x, w) y = Add(c, b) }}",
        ("conv",),
        {"w": _random(1, 4, 6, 3, 3), "b": _random(2, 1, 4, 1, 1)},
    ),
    "padding before a convolution": Pattern(
        f"g ({IMAGE}) => (float[2,4,4,5] y)"
        "{ to = Constant<value = int64[8] {0,0,1,1,0,0,1,1}>() p = Pad(x, to) y = Conv(p, w) }",
        ("conv",),
        {"w": _random(1, 4, 6, 3, 3)},
    ),
    "a product and its bias": Pattern(
        "g (float[2,6] x) => (float[2,4] y) { p = MatMul(x, w) y = Add(b, p) }",
        ("dense",),
        {"w": _random(1, 6, 4), "b": _random(2, 4)},
    ),
    "weights that are turned over": Pattern(
        "g (float[2,6] x) => (float[2,4] y)"
        "{ t = Transpose<perm = [1,0]>(w) p = MatMul(x, t) y = Add(p, b) }",
        ("dense",),
        {"w": _random(1, 4, 6), "b": _random(2, 4)},
    ),
    "a chain of shapes": Pattern(
        "g (float[2,6] x) => (float[3,4] y) { a = Constant<value = int64[1] {1}>()"
        "u = Unsqueeze(x, a) s = Squeeze(u, a) i = Identity(s) f = Flatten<axis = 0>(i)"
        "to = Constant<value = int64[2] {3, 4}>() y = Reshape(f, to) }",
        ("reshape",),
    ),
    "there and back": Pattern(
        "g (float[2,3,6] x) => (float[2,3,6] y) { t = Transpose<perm = [2,0,1]>(x)"
        "u = Transpose<perm = [1,2,0]>(t) d = Cast<to = 11>(u) c = Cast<to = 1>(d) y = Relu(c) }",
        ("relu",),
    ),
    "pixels of channels": Pattern(
        "g (float[2,8,3,4] x) => (float[2,2,6,8] y) {"
        "a = Constant<value = int64[6] {2,2,2,2,3,4}>()"
        "r = Reshape(x, a) t = Transpose<perm = [0,1,4,2,5,3]>(r)"
        "b = Constant<value = int64[4] {2,2,6,8}>() y = Reshape(t, b) }",
        ("pixel_shuffle",),
    ),
    "channels of pixels": Pattern(
        "g (float[2,3,4,6] x) => (float[2,12,2,3] y) { a = Constant<value = int64[6] "
        "{2,3,2,2,3,2}>() r = Reshape(x, a) t = Transpose<perm = [0,1,3,5,2,4]>(r)"
        "b = Constant<value = int64[4] {2,12,2,3}>() y = Reshape(t, b) }",
        ("pixel_unshuffle",),
    ),
    "channels by turns": Pattern(
        "g (float[2,6,3,4] x) => (float[2,6,3,4] y) { a = Constant<value = int64[5] {2,2,3,3,4}>()"
        "r = Reshape(x, a) t = Transpose<perm = [0,2,1,3,4]>(r)"
        "b = Constant<value = int64[4] {2,6,3,4}>() y = Reshape(t, b) }",
        ("channel_shuffle",),
    ),
    "what broadcasts by itself": Pattern(
        "g (float[2,3] x, float[2,1] z) => (float[2,3] y)"
        "{ to = Constant<value = int64[2] {2, 3}>() e = Expand(z, to) y = Div(x, e) }",
        ("div",),
    ),
    "a constant of constants": Pattern(
        "g (float[2,3] x) => (float[2,3] y) { a = Constant<value_floats = [1.0, 2.0, 3.0]>()"
        "e = Exp(a) s = Sqrt(e) y = Mul(x, s) }",
        ("mul",),
    ),
}  # fmt: skip

NO_LAYERS = {
    "a bias along another axis": Pattern(
        f"g ({IMAGE}) => (float[2,4,2,3] y) {{ c = Conv(x, w) y = Add(c, b) }}",
        ("conv", "add"),
        {"w": _random(1, 4, 6, 3, 3), "b": _random(2, 1, 1, 1, 3)},
    ),
    "a convolution that has a bias": Pattern(
        f"g ({IMAGE}) => (float[2,4,2,3] y) {{ c = Conv(x, w, a) y = Add(c, b) }}",
        ("conv", "add"),
        {"w": _random(1, 4, 6, 3, 3), "a": _random(3, 4), "b": _random(2, 4, 1, 1)},
    ),
    "pixels in another order": Pattern(
        "g (float[2,8,3,4] x) => (float[2,2,6,8] y) {"
        "a = Constant<value = int64[6] {2,2,2,2,3,4}>()"
        "r = Reshape(x, a) t = Transpose<perm = [0,1,4,3,5,2]>(r)"
        "b = Constant<value = int64[4] {2,2,6,8}>() y = Reshape(t, b) }",
        ("reshape", "permute", "reshape"),
    ),
    "an expansion that makes more": Pattern(
        "g (float[1,3] x, float[1,1] z) => (float[2,3] y)"
        "{ to = Constant<value = int64[2] {2, 3}>() e = Expand(z, to) y = Div(x, e) }",
        ("expand", "div"),
    ),
    "rounded on the way": Pattern(
        "g (float[2,3] x) => (float[2,3] y) { h = Cast<to = 10>(x) y = Cast<to = 1>(h) }",
        ("cast", "cast"),
    ),
    "padding with ones": Pattern(
        f"g ({IMAGE}) => (float[2,4,4,5] y) {{ one = Constant<value = float {{1.0}}>()"
        "to = Constant<value = int64[8] {0,0,1,1,0,0,1,1}>() p = Pad(x, to, one) y = Conv(p, w) }",
        ("pad", "conv"),
        {"w": _random(1, 4, 6, 3, 3)},
    ),
}  # fmt: skip

ALL = {
    **ATTENTION, **NO_ATTENTION, **NORMS, **NO_NORMS, **ACTIVATIONS, **NO_ACTIVATIONS, **LAYERS,
    **NO_LAYERS,
}  # fmt: skip


def _model(pattern: Pattern) -> onnx.ModelProto:
    """The model; what the text reads and nothing makes are its weights."""
    model = parser.parse_model(HEADER.format(opset=pattern.opset) + pattern.text)
    for node in model.graph.node:
        for place, name in enumerate(node.input):
            if f"const_{name}" in pattern.weights:
                node.input[place] = f"const_{name}"
    for name, array in pattern.weights.items():
        model.graph.initializer.append(numpy_helper.from_array(np.asarray(array), name))
    return model


def _inputs(model: onnx.ModelProto) -> dict[str, Array]:
    random = np.random.default_rng(5)
    made: dict[str, Array] = {}
    for each in model.graph.input:
        shape = [dim.dim_value for dim in each.type.tensor_type.shape.dim]
        kind = each.type.tensor_type.elem_type
        values = random.normal(0, 2, shape)
        made[each.name] = (values > -1) if kind == 9 else values.astype(np.float32)
    return made


def _operators(graph: Graph) -> list[str]:
    return [node.op.name for node in topological(graph.roots) if node.inputs]


def _run(found: Imported, inputs: Mapping[str, Array]) -> list[Array]:
    return list(evaluated(found.graph, {**inputs, **found.values}).values())


@pytest.mark.parametrize("name", ALL)
def test_patterns(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pattern, path = ALL[name], tmp_path / "model.onnx"
    model = _model(pattern)
    path.write_bytes(model.SerializeToString())
    tidy = read.load(path)
    monkeypatch.setattr(read, "tidied", lambda graph, values: (graph, values))
    plain, inputs = read.load(path), _inputs(model)
    theirs = list(on_runtime(path, inputs).values())
    for one, other, third in zip(_run(tidy, inputs), _run(plain, inputs), theirs, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(one, third, rtol=1e-4, atol=1e-5)
    made = _operators(tidy.graph)
    for wanted in pattern.wanted:
        assert (wanted[1:] not in made) if wanted.startswith("-") else (wanted in made)
    if not any(wanted.startswith("-") for wanted in pattern.wanted):
        assert made == list(pattern.wanted)
