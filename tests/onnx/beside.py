"""Single nodes of ONNX, run by dhc and by onnxruntime."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from dhc.backends.base import Target
from dhc.driver import compile_graph
from dhc.ir.graph import Array
from dhc.onnx.read import load

VERSIONS = {"": 21, "com.microsoft": 1}


def model_of(
    nodes: Sequence[onnx.NodeProto],
    inputs: Mapping[str, Array],
    known: Mapping[str, Array],
    outputs: Sequence[str],
) -> onnx.ModelProto:
    """Returns a model whose inputs have the types of arrays, and whose other tensors are known."""
    declared = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(a.dtype), a.shape)
        for name, a in inputs.items()
    ]
    given = [numpy_helper.from_array(a, name) for name, a in known.items()]
    results = [onnx.ValueInfoProto(name=name) for name in outputs]
    graph = helper.make_graph(nodes, "net", declared, results, given)
    imports = [helper.make_opsetid(domain, version) for domain, version in VERSIONS.items()]
    return helper.make_model(graph, opset_imports=imports, ir_version=10)


def both(
    folder: Path,
    node: onnx.NodeProto,
    inputs: Mapping[str, Array],
    known: Mapping[str, Array] | None = None,
) -> list[tuple[Array, Array]]:
    """Returns for each output of a node what dhc makes of it on the CPU, and onnxruntime."""
    runtime = pytest.importorskip("onnxruntime")
    outputs = [name for name in node.output if name]
    model = model_of([node], inputs, known or {}, outputs)
    path = folder / "model.onnx"
    path.write_bytes(model.SerializeToString())
    session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
    theirs = session.run(outputs, dict(inputs))
    imported = load(path)
    program = compile_graph(imported.graph, Target("cpu"), parameters=imported.values)
    ours = program(**inputs)
    return [(ours[name], np.asarray(each)) for name, each in zip(outputs, theirs, strict=True)]
