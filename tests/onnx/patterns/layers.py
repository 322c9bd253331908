"""Layers and movements, and what is none."""

from __future__ import annotations

from tests.onnx.patterns.pattern import IMAGE, Pattern, drawn

LAYERS = {
    "a convolution and its bias": Pattern(
        f"g ({IMAGE}) => (float[2,4,2,3] y) {{ c = Conv(x, w) y = Add(c, b) }}",
        ("conv",),
        {"w": drawn(1, 4, 6, 3, 3), "b": drawn(2, 1, 4, 1, 1)},
    ),
    "padding before a convolution": Pattern(
        f"g ({IMAGE}) => (float[2,4,4,5] y)"
        "{ to = Constant<value = int64[8] {0,0,1,1,0,0,1,1}>() p = Pad(x, to) y = Conv(p, w) }",
        ("conv",),
        {"w": drawn(1, 4, 6, 3, 3)},
    ),
    "a product and its bias": Pattern(
        "g (float[2,6] x) => (float[2,4] y) { p = MatMul(x, w) y = Add(b, p) }",
        ("dense",),
        {"w": drawn(1, 6, 4), "b": drawn(2, 4)},
    ),
    "weights that are turned over": Pattern(
        "g (float[2,6] x) => (float[2,4] y)"
        "{ t = Transpose<perm = [1,0]>(w) p = MatMul(x, t) y = Add(p, b) }",
        ("dense",),
        {"w": drawn(1, 4, 6), "b": drawn(2, 4)},
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
        {"w": drawn(1, 4, 6, 3, 3), "b": drawn(2, 1, 1, 1, 3)},
    ),
    "a convolution that has a bias": Pattern(
        f"g ({IMAGE}) => (float[2,4,2,3] y) {{ c = Conv(x, w, a) y = Add(c, b) }}",
        ("conv", "add"),
        {"w": drawn(1, 4, 6, 3, 3), "a": drawn(3, 4), "b": drawn(2, 4, 1, 1)},
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
        {"w": drawn(1, 4, 6, 3, 3)},
    ),
}  # fmt: skip
