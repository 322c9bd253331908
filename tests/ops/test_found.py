"""Programs that find how long their results are: `nms`, `nonzero` and what follows them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dhc import api
from dhc.decompile import decompile
from dhc.errors import DhcError
from dhc.frontend import load_text
from dhc.ir.graph import Array
from dhc.opening import open_program
from dhc.ops.suppress import BoxesApart

DETECTOR = """dhm 1

model Detector() {
    input boxes: f32[N, B, 4]
    input scores: f32[N, C, B]
    kept = (boxes, scores) -> nms(3, overlap=0.5, score=0.25)
    output kept
    output numbers = kept -> slice(1, start=2) -> reshape([kept.N])
    output first = kept -> slice(0, stop=2)
    output bright = scores > 0.5 -> nonzero()
}
"""


def _model(text: str) -> api.Model:
    program = load_text(text)
    return api.Model(program.model(program.models[0]))


def _arrays() -> dict[str, Array]:
    """Two classes; the third box lies on the first one, and the last is far from all."""
    boxes = [[[0, 0, 2, 2], [5, 5, 7, 7], [0, 0, 2, 1.5], [9, 9, 8, 8]]]
    scores = [[[0.9, 0.1, 0.8, 0.3], [0.2, 0.2, 0.2, 0.2]]]
    return {"boxes": np.array(boxes, np.float32), "scores": np.array(scores, np.float32)}


@pytest.mark.parametrize("target", ["reference", "cpu", "opencl"])
def test_boxes_that_are_left(target: str) -> None:
    program = api.compile(_model(DETECTOR), target)
    arrays = _arrays()
    found = program(**arrays)
    assert found["kept"].tolist() == [[0, 0, 0], [0, 0, 3]]
    assert found["numbers"].tolist() == [0, 3]
    assert found["first"].tolist() == found["kept"].tolist()
    assert found["bright"].tolist() == [[0, 0], [0, 0], [0, 2]]
    nothing = program(boxes=arrays["boxes"], scores=arrays["scores"] * np.float32(0))
    shapes = {name: array.shape for name, array in nothing.items()}
    assert shapes == {"kept": (0, 3), "numbers": (0,), "first": (0, 3), "bright": (3, 0)}
    every = program(boxes=arrays["boxes"], scores=arrays["scores"] * 0 + 1)
    assert every["kept"][:, 2].tolist() == [0, 1, 3] * 2
    assert every["first"].tolist() == [[0, 0, 0], [0, 0, 1]]


def test_artifacts_find_sizes_too(tmp_path: Path) -> None:
    program = api.compile(_model(DETECTOR), "cpu", {"N": 1, "B": 4, "C": 2})
    program.save(tmp_path / "d.dhx")
    for _ in range(2):  # compiled, and from the cache
        opened = open_program(tmp_path / "d.dhx")
        wanted = program(**_arrays())
        for name, array in opened(**_arrays()).items():
            np.testing.assert_array_equal(array, wanted[name])


def test_such_programs_are_written_as_text() -> None:
    """`decompile` itself builds what it wrote, and compares the graphs."""
    text = decompile(_model(DETECTOR).graph).text
    assert "(boxes, scores) -> nms(3, overlap=0.5, score=0.25)" in text
    assert "slice(0, stop=2)" in text


def test_names_of_sizes_in_text_are_refused_where_there_are_no_words() -> None:
    graph = _model("""dhm 1

    model M() {
        input x: f32[N]
        p = x > 0.0 -> flat_nonzero()
        output p -> reshape([p.N, 1]) -> expand([p.N, 3])
    }
    """).graph
    with pytest.raises(DhcError, match=r"A size in .* that is found when the program runs"):
        decompile(graph)


def test_what_cannot_work_says_where() -> None:
    model = _model("""dhm 1

    model M() {
        input x: f32[1, 1, L]
        p = x > 0.0 -> reshape([x.W]) -> flat_nonzero() -> cast(f32)
        output p -> reshape([1, 1, p.N]) -> conv(1, kernel=3, pad=1)
    }
    """)
    program = api.compile(model, "cpu")
    with pytest.raises(DhcError, match="'conv' cannot work with a size that is only known") as info:
        program(x=np.ones((1, 1, 5), np.float32))
    assert "depends on others" in str(info.value)


def test_sizes_that_are_found_cannot_be_given() -> None:
    with pytest.raises(DhcError, match="There is no size 'kept"):
        api.compile(_model(DETECTOR), "cpu", {"kept.nms": 2})


def test_the_best_boxes_are_taken_in_order() -> None:
    """A heap of any size, for any limit: against numpy's stable sort."""
    random = np.random.default_rng(0)
    text = """dhm 1

    model M() {
        input boxes: f32[1, L, 4]
        input scores: f32[1, R, L]
        input most: i64[]
        input overlap: f32[]
        input above: f32[]
        output kept = (boxes, scores, most, overlap, above) -> boxes_apart(boxes.C)
    }
    """
    program = api.compile(_model(text), "cpu")
    for length in (1, 2, 3, 7, 64, 100):
        boxes = np.sort(random.random((1, length, 2, 2)), axis=2).reshape(1, length, 4)
        scores = (random.integers(0, 9, (1, 20, length)) / 8).astype(np.float32)
        for most in (0, 1, 5, 200):
            for above, overlap in ((-1.0, 1.0), (0.5, 0.2), (-1.0, 0.0), (2.0, 0.0)):
                given = boxes.astype(np.float32), scores, np.array(most)
                numbers = np.array(overlap, np.float32), np.array(above, np.float32)
                wanted = BoxesApart(length).numpy(*given, *numbers)
                names = ("boxes", "scores", "most", "overlap", "above")
                found = program(**dict(zip(names, (*given, *numbers), strict=True)))["kept"]
                np.testing.assert_array_equal(found, wanted)


def test_boxes_with_a_common_edge_share_nothing() -> None:
    boxes = np.array([[[0, 0, 1, 1], [0, 1, 1, 2], [0, 0, 0, 0]]], np.float32)
    scores = np.array([[[1, 2, 3]]], np.float32)
    limits = np.array(3), np.array(0, np.float32), np.array(0, np.float32)
    assert BoxesApart(3).numpy(boxes, scores, *limits).tolist() == [[[2, 1, 0]]]
