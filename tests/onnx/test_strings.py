"""Text is given when a model is read, and what follows from it is computed then."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from dhc.errors import DhcError
from dhc.onnx.backend import DhcBackend, run_model

TEXT = TensorProto.STRING


def _model(operator: str, inputs: int = 1, outputs: int = 1, **said: object) -> onnx.ModelProto:
    names, results = [f"x{k}" for k in range(inputs)], [f"y{k}" for k in range(outputs)]
    graph = helper.make_graph(
        [helper.make_node(operator, names, results, **said)], "net",
        [helper.make_tensor_value_info(name, TEXT, None) for name in names],
        [helper.make_empty_tensor_value_info(name) for name in results],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)])


def _text(*words: str) -> np.ndarray:
    return np.array(words, object)


def _run(operator: str, values: Sequence[np.ndarray], outputs: int = 1, **said: object) -> Any:
    model = _model(operator, len(values), outputs, **said)
    found = run_model(model, list(values), "reference")
    return found if outputs > 1 else found[0]


def test_stop_words_are_left_out_before_the_case_changes() -> None:
    x = _text("Monday", "monday", "Friday")
    said = {"case_change_action": "UPPER", "stopwords": ["monday"]}
    assert _run("StringNormalizer", [x], **said).tolist() == ["FRIDAY"]
    assert _run("StringNormalizer", [x], is_case_sensitive=1, **said).tolist() == [
        "MONDAY", "FRIDAY",
    ]  # fmt: skip


def test_nothing_left_is_one_empty_text() -> None:
    assert _run("StringNormalizer", [_text("a")], stopwords=["a"]).tolist() == [""]
    assert _run("StringNormalizer", [_text("a")[None]], stopwords=["a"]).shape == (1, 1)


def test_parts_are_filled_up_and_counted() -> None:
    parts, counts = _run("StringSplit", [_text("a-b--c", "", "d")], 2, delimiter="-")
    assert parts.tolist() == [["a", "b", "", "c"], ["", "", "", ""], ["d", "", "", ""]]
    assert counts.tolist() == [4, 1, 1]


def test_texts_are_joined_and_compared_with_broadcasting() -> None:
    x = _text("a", "b")
    assert _run("StringConcat", [x, _text("s")]).tolist() == ["as", "bs"]
    assert _run("Equal", [x[:, None], x]).tolist() == [[True, False], [False, True]]


def test_each_text_is_read_anew() -> None:
    model = DhcBackend.prepare(_model("Identity"), "reference")
    for word in ("a", "b", "a"):
        (found,) = model.run([_text(word)])
        assert found.tolist() == [word]


def test_a_text_cannot_grow_without_end() -> None:
    nodes = [helper.make_node("StringConcat", [f"x{k}", f"x{k}"], [f"x{k + 1}"]) for k in range(60)]
    model = _model("Identity")
    model.graph.node[0].input[0] = "x60"
    model.graph.node[0].output[0] = "y0"
    nodes.append(model.graph.node[0])
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    with pytest.raises(DhcError, match="more than 16777216 characters"):
        run_model(model, [_text("ab")], "reference")


@pytest.mark.parametrize(
    ("operator", "said", "why"),
    [
        ("RegexFullMatch", {"pattern": "(a+)+b"}, "regular expressions of files"),
        ("StringNormalizer", {"case_change_action": "TITLE"}, "'case_change_action' is 'TITLE'"),
        ("Reverse", {}, "text is normalised, joined, split and compared, and nothing else"),
    ],
)
def test_what_is_not_done_with_text(operator: str, said: dict[str, object], why: str) -> None:
    with pytest.raises(DhcError, match=why.replace("(", "\\(")):
        _run(operator, [_text("aaaa")], **said)


def test_numbers_are_no_text() -> None:
    with pytest.raises(DhcError, match="it is no text"):
        _run("Identity", [np.array([1.0])])
