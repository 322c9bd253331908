"""What EDDL and ECVL compute wrongly or not at all, computed here: one test for each point.

Every expected value is written with numpy alone, and held against the processor's program.
"""

from __future__ import annotations

import numpy as np
import pytest

from dhc.driver import compile_graph
from dhc.errors import DhcError
from dhc.frontend import load_text
from dhc.ir.graph import Graph
from dhc.ir.types import DType

RANDOM = np.random.default_rng(0)
A = RANDOM.normal(size=(2, 3, 4)).astype(np.float32)
B = RANDOM.normal(size=(2, 3, 4)).astype(np.float32)


def model(inputs: dict[str, np.ndarray], body: str) -> Graph:
    types = {name: f"f32[{', '.join(map(str, a.shape))}]" for name, a in inputs.items()}
    declared = " ".join(f"input {name}: {type}" for name, type in types.items())
    return load_text(f"model M() {{ {declared} output y = {body} }}").model("M").graph


def computed(
    inputs: dict[str, np.ndarray], body: str, weights: dict[str, np.ndarray] | None = None
) -> np.ndarray:
    graph = model(inputs, body)
    return np.asarray(compile_graph(graph, "cpu", parameters=weights)(**inputs)["y"])


# ---- merging tensors -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("average(a, b)", (A + B) / 2),
        ("max(a, b)", np.maximum(A, B)),
        ("min(a, b)", np.minimum(A, B)),
        ("sub(a, b)", A - B),
        ("a - b", A - B),
    ],
)
def test_merges_are_no_sums(body: str, expected: np.ndarray) -> None:
    np.testing.assert_allclose(computed({"a": A, "b": B}, body), expected, rtol=1e-6)


def test_matmul_is_a_product_of_matrices() -> None:
    """As attention needs it: shapes that differ, with a batch."""
    right = RANDOM.normal(size=(2, 4, 5)).astype(np.float32)
    found = computed({"a": A, "b": right}, "matmul(a, b)")
    np.testing.assert_allclose(found, A @ right, rtol=1e-5, atol=1e-6)


# ---- convolution on the processor ------------------------------------------------------------


def correlate(x: np.ndarray, weight: np.ndarray, groups: int, dilation: int = 1) -> np.ndarray:
    """Convolution over any number of spatial axes, by sums over the taps of the kernel."""
    sizes = [n - (k - 1) * dilation for n, k in zip(x.shape[2:], weight.shape[2:], strict=True)]
    result = np.zeros((x.shape[0], weight.shape[0], *sizes))
    per_in, per_out = weight.shape[1], weight.shape[0] // groups
    for tap in np.ndindex(weight.shape[2:]):
        starts = [t * dilation for t in tap]
        part = x[(..., *(slice(s, s + n) for s, n in zip(starts, sizes, strict=True)))]
        for k in range(weight.shape[0]):
            first = k // per_out * per_in
            channels = part[:, first : first + per_in]
            result[:, k] += np.einsum("nc...,c->n...", channels, weight[(k, slice(None), *tap)])
    return result


def test_convolution_of_volumes_has_its_bias_and_its_groups() -> None:
    x = RANDOM.normal(size=(1, 4, 5, 5, 5)).astype(np.float32)
    weight = RANDOM.normal(size=(6, 2, 3, 3, 3)).astype(np.float32)
    bias = RANDOM.normal(size=6).astype(np.float32)
    weights = {"y.conv.weight": weight, "y.conv.bias": bias}
    found = computed({"x": x}, "x -> conv(6, kernel=3, groups=2)", weights)
    expected = correlate(x, weight, 2) + bias[:, None, None, None]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_depthwise_convolution_pads() -> None:
    x = RANDOM.normal(size=(1, 3, 6, 6)).astype(np.float32)
    weight = RANDOM.normal(size=(3, 1, 3, 3)).astype(np.float32)
    weights = {"y.depthwise.weight": weight}
    found = computed({"x": x}, "x -> depthwise(3, pad=same, bias=false)", weights)
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    assert found.shape == x.shape
    np.testing.assert_allclose(found, correlate(padded, weight, 3), rtol=1e-4, atol=1e-5)


def test_dilated_convolution_needs_no_accelerator() -> None:
    x = RANDOM.normal(size=(1, 2, 9, 9)).astype(np.float32)
    weight = RANDOM.normal(size=(4, 2, 3, 3)).astype(np.float32)
    body = "x -> conv(4, kernel=3, dilation=2, bias=false)"
    found = computed({"x": x}, body, {"y.conv.weight": weight})
    np.testing.assert_allclose(found, correlate(x, weight, 1, 2), rtol=1e-4, atol=1e-5)


def test_grouped_convolution_needs_no_accelerator() -> None:
    x = RANDOM.normal(size=(1, 4, 6, 6)).astype(np.float32)
    weight = RANDOM.normal(size=(4, 1, 3, 3)).astype(np.float32)
    body = "x -> conv(4, kernel=3, groups=4, bias=false)"
    found = computed({"x": x}, body, {"y.conv.weight": weight})
    np.testing.assert_allclose(found, correlate(x, weight, 4), rtol=1e-4, atol=1e-5)


def test_transposed_convolution_needs_no_accelerator() -> None:
    x = RANDOM.normal(size=(1, 2, 3, 3)).astype(np.float32)
    weight = RANDOM.normal(size=(2, 4, 2, 2)).astype(np.float32)
    body = "x -> conv_transpose(4, kernel=2, stride=2, bias=false)"
    found = computed({"x": x}, body, {"y.conv_transpose.weight": weight})
    blocks = np.einsum("ncyx,ckij->nkyixj", x, weight)
    np.testing.assert_allclose(found, blocks.reshape(1, 4, 6, 6), rtol=1e-4, atol=1e-5)


def test_upsampling_knows_more_than_the_nearest_pixel() -> None:
    x = np.array([[[[0.0, 4.0]]]], np.float32)
    found = computed({"x": x}, "x -> upsample(2, mode=bilinear)")
    np.testing.assert_allclose(found[0, 0, 0], [0, 1, 3, 4], atol=1e-6)


# ---- what would be ignored is an error -------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("pipeline p(x: image[1]) { rotate(anglle=3deg) }", "1:34: .*no argument 'anglle'"),
        ("pipeline p(x: image[1]) { rotat(3deg) }", "1:27: .*'rotat'"),
        ("model M() { input x: f32[1, 3] output y = x -> dense(4, bidirectional=true) }", "1:57: "),
    ],
)
def test_unknown_names_are_errors_with_their_place(text: str, message: str) -> None:
    with pytest.raises(DhcError, match=message):
        load_text(text)


# ---- pictures --------------------------------------------------------------------------------


def pipeline(text: str, **values: np.ndarray) -> dict[str, np.ndarray]:
    graph = load_text(text).pipeline("p").graph
    return dict(compile_graph(graph, "cpu")(**values))


def test_labels_are_never_blended() -> None:
    """A mask of the classes 0 and 200 has no class between them after any map."""
    mask = np.zeros((1, 16, 16), np.uint8)
    mask[:, :, 8:] = 200
    text = "pipeline p(x: image[1], m: mask) { resize(23, 19) rotate(17deg) zoom(1.3) }"
    found = pipeline(text, x=mask.astype(np.float32), m=mask)
    assert set(np.unique(found["m"])) == {0, 200}
    assert len(np.unique(found["x"])) > 2


def test_draws_depend_on_the_sample_alone() -> None:
    """The same seed, epoch and sample give the same picture, whatever was drawn before."""
    text = "pipeline p(x: image[1]) { gaussian_noise(0.1) rotate(-90deg .. 90deg) mirror(p=0.5) }"
    picture = RANDOM.uniform(size=(1, 8, 8)).astype(np.float32)
    counters = [np.array([7, 0, sample], np.uint32) for sample in (3, 4, 3)]
    first, other, again = (pipeline(text, x=picture, random=each)["x"] for each in counters)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_hounsfield_units_need_no_other_program() -> None:
    units = np.array([[[-1000.0, -500.0, 300.0]]], np.float32)
    found = pipeline("pipeline p(x: image[1]) { window(center=-500, width=1600) }", x=units)
    np.testing.assert_allclose(found["x"][0, 0], [0.1875, 0.5, 1.0], rtol=1e-6)


def test_whole_numbers_become_fractions_of_one() -> None:
    """Without a divisor to forget."""
    text = "pipeline p(x: image[1]) { to_float() }"
    graph = load_text(text).pipeline("p", dtype=DType.U8).graph
    picture = np.array([[[0, 255]]], np.uint8)
    np.testing.assert_array_equal(compile_graph(graph, "cpu")(x=picture)["x"], [[[0, 1]]])
