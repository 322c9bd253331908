"""The reducer finds the pass that is wrong, and a graph that shows little else."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest

import dhc.reduce
from dhc import cli
from dhc.backends.base import Target
from dhc.frontend import load_text
from dhc.ir.graph import Array, Graph, Node, Op, literal, topological
from dhc.ir.rewrite import rebuild, transform
from dhc.ir.text import parse_graph, print_graph
from dhc.numerics import CheckNumerics
from dhc.ops.activation import Relu
from dhc.ops.base import run
from dhc.ops.conv import Conv
from dhc.ops.elementwise import Mul
from dhc.ops.pool import MaxPool
from dhc.passes.bind_sizes import bind_sizes
from dhc.passes.manager import Pass, run_passes
from dhc.reduce import Reproduction, reduce_graph

TEXT = """dhm 1
model Net() {
    input x: f32[N, 2, H, W]
    a = x -> conv(4, kernel=3, pad=same) -> batchnorm() -> relu()
    b = a -> conv(4, kernel=3, pad=same) -> relu() -> maxpool(2)
    c = a -> avgpool(2) -> sigmoid()
    output y = b + c
    output z = c -> conv(1, kernel=1)
}
"""
SIZES = {"N": 1, "H": 8, "W": 8}


@pytest.fixture
def graph() -> Graph:
    return bind_sizes(load_text(TEXT).model("Net").graph, dict(SIZES))


@dataclass(frozen=True)
class Wrong(Pass):
    """Doubles what a maximum is taken of, if it comes from a relu."""

    name: ClassVar[str] = "wrong"

    def __call__(self, graph: Graph) -> Graph:
        def step(node: Node, inputs: tuple[Node, ...]) -> Node:
            if isinstance(node.op, MaxPool) and isinstance(inputs[0].op, Relu):
                return node.op(Mul()(inputs[0], literal(2.0, node.type.dtype)))
            return rebuild(node, inputs)

        return transform(graph, step)


@dataclass(frozen=True)
class Crash(Pass):
    """Cannot stand two convolutions behind each other."""

    name: ClassVar[str] = "crash"

    def __call__(self, graph: Graph) -> Graph:
        for node in topological(graph.roots):
            if isinstance(node.op, Conv) and isinstance(node.inputs[0].op, Relu):
                raise IndexError("list index out of range")
        return graph


def _operators(graph: Graph) -> list[type[Op]]:
    return [type(node.op) for node in topological(graph.roots) if node.inputs]


def _with(monkeypatch: pytest.MonkeyPatch, one: Pass) -> None:
    passes = dhc.reduce.COMMON_PASSES
    monkeypatch.setattr(dhc.reduce, "COMMON_PASSES", (*passes[:2], one, *passes[2:]))


def _found(graph: Graph, target: str = "cpu") -> Reproduction:
    found = reduce_graph(graph, Target(target))
    assert found is not None
    return found


def test_right_passes_are_not_blamed(graph: Graph) -> None:
    for target in ("cpu", "reference", "opencl"):
        assert reduce_graph(graph, Target(target)) is None


def test_a_wrong_pass_is_found(graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    _with(monkeypatch, Wrong())
    found = _found(graph)
    assert (found.failure.stage, found.failure.kind) == ("wrong", "InternalError")
    assert "The pass 'wrong' changes what 'Net' computes" in found.failure.text
    assert _operators(found.graph) == [Relu, MaxPool]
    assert len(found.graph.inputs) == 1


def test_a_pass_that_raises_is_found(graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    _with(monkeypatch, Crash())
    found = _found(graph)
    assert (found.failure.stage, found.failure.kind) == ("crash", "IndexError")
    assert found.failure.text == "IndexError: list index out of range"
    assert _operators(found.graph) == [Relu, Conv]


def test_a_wrong_program_is_found(graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    def compile_wrongly(
        graph: Graph, target: Target, parameters: Mapping[str, Array], **_: object
    ) -> Callable[..., dict[str, Array]]:
        wrong = Wrong()(graph)

        def program(**inputs: Any) -> dict[str, Array]:
            roots = [node for _, node in wrong.outputs]
            arrays = run(roots, {**parameters, **inputs})
            return dict(zip(dict(wrong.outputs), arrays, strict=True))

        return program

    monkeypatch.setattr(dhc.reduce, "compile_graph", compile_wrongly)
    found = _found(graph)
    assert found.failure.stage == "program"
    assert "The program computes something else than numpy" in found.failure.text
    assert _operators(found.graph) == [Relu, MaxPool]


def test_the_small_graph_fails_when_it_is_read_back(
    graph: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    _with(monkeypatch, Wrong())
    text = print_graph(_found(graph).graph)
    with pytest.raises(Exception, match="The pass 'wrong' changes"):
        run_passes(parse_graph(text), [Wrong()], [CheckNumerics()])


def test_the_command_prints_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "net.dhm").write_text(TEXT)
    sizes = [word for name, size in SIZES.items() for word in ("--shape", f"{name}={size}")]
    command = ["reduce", str(tmp_path / "net.dhm"), "Net", *sizes]
    monkeypatch.setattr(sys, "argv", ["dhc", *command])
    assert _status(command) == 0
    assert "Nothing changes what 'Net' computes" in capsys.readouterr().out
    _with(monkeypatch, Wrong())
    assert _status(command) == 3
    printed = capsys.readouterr().out
    assert printed.startswith("# At the stage 'wrong', for cpu:\n# The pass 'wrong' changes")
    assert _operators(parse_graph(printed)) == [Relu, MaxPool]
    assert _status([*command, "-o", str(tmp_path / "small.txt")]) == 3
    assert (tmp_path / "small.txt").read_text() == printed


def _status(command: list[str]) -> object:
    with pytest.raises(SystemExit) as caught:
        cli.app(command)
    return caught.value.code
