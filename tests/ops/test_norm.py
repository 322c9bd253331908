"""Normalisations of each sample, against their definitions."""

from __future__ import annotations

import numpy as np
import pytest

from dhc.errors import DhcError
from dhc.frontend import load_text
from dhc.ir.graph import Graph
from dhc.ops.base import run

X = np.random.default_rng(0).normal(3.0, 2.0, (2, 4, 3, 5)).astype("f4")


def model(layer: str) -> Graph:
    text = f"model M() {{ input x: f32[2, 4, 3, 5] output y = x -> {layer} }}"
    return load_text(text).model("M").graph


def result(layer: str, **weights: np.ndarray) -> np.ndarray:
    graph = model(layer)
    values = {f"y.{layer.split('(')[0]}.{name}": value for name, value in weights.items()}
    assert {param.path for param in graph.params} == set(values)
    return np.asarray(run(graph.roots, {"x": X, **values})[0])


def standard(x: np.ndarray, axes: tuple[int, ...], epsilon: float = 1e-5) -> np.ndarray:
    mean, variance = x.mean(axes, keepdims=True), x.var(axes, keepdims=True)
    return np.asarray((x - mean) / np.sqrt(variance + epsilon))


def test_layernorm_is_over_the_last_axis() -> None:
    scale, bias = np.arange(5, dtype="f4"), np.ones(5, "f4")
    found = result("layernorm()", scale=scale, bias=bias)
    np.testing.assert_allclose(found, standard(X, (3,)) * scale + bias, rtol=1e-5, atol=1e-5)


def test_layernorm_of_the_channels_of_each_pixel() -> None:
    scale, bias = np.arange(4, dtype="f4"), np.ones(4, "f4")
    found = result("layernorm(axis=C)", scale=scale, bias=bias)
    column = scale[:, None, None]
    np.testing.assert_allclose(found, standard(X, (1,)) * column + 1, rtol=1e-5, atol=1e-5)


def test_layernorm_of_whole_images() -> None:
    found = result("layernorm(axis=[C, H, W], epsilon=0.1, affine=false)")
    np.testing.assert_allclose(found, standard(X, (1, 2, 3), 0.1), rtol=1e-5, atol=1e-5)


def test_groupnorm() -> None:
    scale, bias = np.arange(4, dtype="f4"), np.ones(4, "f4")
    found = result("groupnorm(2)", scale=scale, bias=bias)
    groups = standard(X.reshape(2, 2, 2, 3, 5), (2, 3, 4)).reshape(X.shape)
    expected = groups * scale[:, None, None] + 1
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_instancenorm() -> None:
    found = result("instancenorm(affine=false)")
    np.testing.assert_allclose(found, standard(X, (2, 3)), rtol=1e-5, atol=1e-5)


def test_symbolic_space_is_possible() -> None:
    text = "model M() { input x: f32[N, 4, H, W] output y = x -> groupnorm(2) -> instancenorm() }"
    graph = load_text(text).model("M").graph
    assert str(dict(graph.outputs)["y"].type) == "f32[N, 4, H, W]"


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ("groupnorm(3)", "cannot split 4 channels into 3 groups"),
        ("layernorm(axis=[C, C])", "each only once"),
        ("layernorm(axis=7)", "has no axis 7"),
    ],
)
def test_wrong_uses_are_refused(layer: str, message: str) -> None:
    with pytest.raises(DhcError, match=message):
        model(layer)
