"""An ensemble is one graph that gives the mean of what its members give."""

from __future__ import annotations

import numpy as np
import pytest

from dhc.driver import compile_graph
from dhc.errors import DhcError
from dhc.frontend import Entry, load_text
from dhc.passes.ensemble import ensemble, ensemble_values

TEXT = """
model Thin() {
    input image: f32[N, 1, H, W]
    output p = image -> conv(2, kernel=3, pad=1) -> global_avgpool() -> flatten() -> sigmoid()
}
model Deep() {
    input image: f32[N, 1, H, W]
    output p = image -> conv(4, kernel=3) -> relu() -> global_avgpool() -> flatten() -> dense(2)
}
model Other() {
    input image: f32[N, 3, H, W]
    output p = image -> conv(2, kernel=3) -> global_avgpool() -> flatten()
}
model Named() {
    input image: f32[N, 1, H, W]
    output q = image -> conv(2, kernel=3) -> global_avgpool() -> flatten()
}
"""


def _graph(name: str) -> Entry:
    return load_text(TEXT).model(name)


@pytest.mark.parametrize("backend", ["reference", "cpu"])
def test_it_gives_the_mean(backend: str) -> None:
    graphs = [_graph(name).graph for name in ("Thin", "Deep", "Thin")]
    image = np.random.default_rng(0).normal(size=(2, 1, 6, 7)).astype(np.float32)
    values, single = [], []
    for number, graph in enumerate(graphs):
        random = np.random.default_rng(number)
        own = {
            param.path: random.normal(size=param.type.static_shape).astype(np.float32)
            for param in graph.params
        }
        values.append(own)
        single.append(compile_graph(graph, backend, parameters=own)(image=image)["p"])
    together = compile_graph(ensemble("all", graphs), backend, parameters=ensemble_values(values))
    np.testing.assert_allclose(together(image=image)["p"], np.mean(single, 0), atol=2e-6)


def test_one_member_is_itself() -> None:
    graph = _graph("Thin").graph
    assert [n for n, _ in ensemble("one", [graph]).outputs] == ["p"]
    assert len(ensemble("one", [graph]).params) == len(graph.params)


@pytest.mark.parametrize(
    ("other", "text"), [("Other", "take 'image' as"), ("Named", "do not all have the output 'p'")]
)
def test_members_must_fit_each_other(other: str, text: str) -> None:
    with pytest.raises(DhcError, match=text):
        ensemble("all", [_graph("Thin").graph, _graph(other).graph])
