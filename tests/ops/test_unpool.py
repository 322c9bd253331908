"""Pooling with places, and unpooling: values go back to where they came from."""

from __future__ import annotations

import numpy as np
import pytest

from dhc.driver import compile_graph
from dhc.errors import DhcError
from dhc.frontend import load_text
from dhc.ir.graph import Graph
from dhc.ops.base import run


def model(body: str, input: str = "f32[1, 2, 4, 6]") -> Graph:
    return load_text(f"model M() {{ input x: {input} {body} }}").model("M").graph


def image(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).permutation(int(np.prod(shape))).reshape(shape).astype("f4") + 1


def test_unpooling_keeps_the_largest_elements_where_they_were() -> None:
    graph = model("p, places = x -> maxpool_indices(2) output y = (p, places) -> maxunpool(2)")
    x = image(1, 2, 4, 6)
    (y,) = run(graph.roots, {"x": x})
    blocks = x.reshape(1, 2, 2, 2, 3, 2)
    largest = blocks.max(axis=(3, 5), keepdims=True)
    expected = np.where(blocks == largest, blocks, 0).reshape(x.shape)
    np.testing.assert_array_equal(y, expected)


def test_places_are_numbers_in_the_plane() -> None:
    graph = model("p, places = x -> maxpool_indices(2) output y = places")
    (places,) = run(graph.roots, {"x": np.arange(48, dtype="f4").reshape(1, 2, 4, 6)})
    np.testing.assert_array_equal(places[0, 1], [[7, 9, 11], [19, 21, 23]])


def test_like_gives_back_odd_sizes() -> None:
    body = "p, q = x -> maxpool_indices(2) output y = maxunpool(p, q, 2, like=x)"
    graph = model(body, "f32[1, 2, 5, 7]")
    assert str(dict(graph.outputs)["y"].type) == "f32[1, 2, 5, 7]"


def test_without_like_the_result_has_the_least_size() -> None:
    body = "p, q = x -> maxpool_indices(2) output y = maxunpool(p, q, 2)"
    assert str(dict(model(body, "f32[1, 2, 5, 7]").outputs)["y"].type) == "f32[1, 2, 4, 6]"


def test_symbolic_sizes_come_back() -> None:
    body = "p, q = x -> maxpool_indices(2) output y = maxunpool(p, q, 2, like=x)"
    assert str(dict(model(body, "f32[N, 3, H, W]").outputs)["y"].type) == "f32[N, 3, H, W]"


def test_an_encoder_and_decoder_as_in_segnet() -> None:
    text = """
        block unit(c) { conv(c, kernel=3, pad=same, bias=false) -> batchnorm() -> relu() }
        model SegNet(classes=3) {
            input x: f32[N, 1, 8, 8]
            a, first = x -> unit(4) -> maxpool_indices(2)
            b, second = a -> unit(8) -> maxpool_indices(2)
            c = (b, second) -> maxunpool(2) -> unit(4)
            output y = (c, first) -> maxunpool(2) -> unit(4) -> conv(classes, kernel=1)
        }
    """
    graph = load_text(text).model("SegNet").graph
    x = image(2, 1, 8, 8) / 128
    program = compile_graph(graph, "cpu")
    reference = compile_graph(graph, "reference")
    np.testing.assert_allclose(program(x=x)["y"], reference(x=x)["y"], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("output y = maxunpool(x, x)", "needs the places that 'maxpool_indices' gives"),
        (
            "p, q = x -> maxpool_indices(2) output y = maxunpool(x, q)",
            "needs as many places as elements",
        ),
        (
            "p, q = x -> maxpool_indices(2, pad=same) output y = maxunpool(p, q, pad=same)",
            "needs 'like'",
        ),
    ],
)
def test_wrong_uses_are_refused(body: str, message: str) -> None:
    with pytest.raises(DhcError, match=message):
        model(body)
