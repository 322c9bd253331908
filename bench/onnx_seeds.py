"""The models that onnx_fuzz.py damages: those in the package `onnx`, the large ones in parts."""

from __future__ import annotations

import random
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path

import onnx

MOST_BYTES = 2000  # of a test case
MOST_FILLED = 1 << 20  # elements of a weight
PART = 8  # nodes of a network that stand behind each other


def seed_models() -> list[list[bytes]]:
    """Returns test cases of nodes, models exported from PyTorch, and parts of networks.

    Those that end in the same operator stand together, so that each operator is read as often.
    """
    data = Path(onnx.__file__).parent / "backend" / "test" / "data"
    small = [
        file.read_bytes()
        for folder in ("pytorch-converted", "pytorch-operator", "simple")
        for file in sorted((data / folder).rglob("*.onnx"))
    ]
    networks = [onnx.load(file) for file in sorted((data / "light").glob("*.onnx"))]
    parts = [part.SerializeToString() for network in networks for part in _parts(network)]
    groups: dict[str, list[bytes]] = {}
    for content in (*_cases(), *small, *parts):
        groups.setdefault(_last_operator(content), []).append(content)
    return [groups[name] for name in sorted(groups)]


def _last_operator(content: bytes) -> str:
    nodes = onnx.ModelProto.FromString(content).graph.node
    return str(nodes[-1].op_type) if nodes else ""


def _cases() -> Iterator[bytes]:
    from onnx.backend.test.case.node import collect_testcases

    random.seed(0)  # some of them are drawn
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cases = collect_testcases(None)
    for case in sorted(cases, key=lambda each: each.name):
        if case.model.ByteSize() <= MOST_BYTES:
            yield case.model.SerializeToString()


def _parts(network: onnx.ModelProto) -> Iterator[onnx.ModelProto]:
    """Nodes that stand behind each other, with the weights that they read."""
    made = {name: node for node in network.graph.node for name in node.output}
    nodes = [node for node in network.graph.node if node.op_type != "ConstantOfShape"]
    for start in range(0, len(nodes), max(PART, len(nodes) // 6)):
        part = _model_of(network, nodes[start : start + PART], made)
        if max(_filled(part), default=0) <= MOST_FILLED:
            yield part


def _filled(model: onnx.ModelProto) -> list[int]:
    """How many elements the weights have, each of which is a shape to be filled."""
    arrays = [onnx.numpy_helper.to_array(each) for each in model.graph.initializer]
    return [int(array.prod()) for array in arrays if array.dtype.kind == "i" and array.ndim == 1]


def _model_of(
    network: onnx.ModelProto, part: Iterable[onnx.NodeProto], made: dict[str, onnx.NodeProto]
) -> onnx.ModelProto:
    """A model of some nodes; what others compute is an input."""
    part = list(part)
    inner = {name for node in part for name in node.output}
    read = dict.fromkeys(name for node in part for name in node.input if name not in inner)
    fills = [made[n] for n in read if n in made and made[n].op_type == "ConstantOfShape"]
    known = {*read, *(name for node in fills for name in node.input)}
    model = onnx.ModelProto(ir_version=network.ir_version, opset_import=network.opset_import)
    graph = model.graph
    graph.name = network.graph.name
    graph.initializer.extend(t for t in network.graph.initializer if t.name in known)
    graph.node.extend([*fills, *part])
    filled = {t.name for t in graph.initializer} | {name for n in fills for name in n.output}
    declared = {each.name: each for each in network.graph.input}
    for name in read:
        if name not in filled:
            graph.input.append(declared.get(name) or _port(name))
    graph.output.extend(onnx.ValueInfoProto(name=name) for name in part[-1].output[:1])
    return model


def _port(name: str) -> onnx.ValueInfoProto:
    return onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, 64, 28, 28])
