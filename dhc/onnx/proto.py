"""What a model says as ONNX's own messages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dhc.ir.graph import Array
from dhc.ir.types import DType
from dhc.onnx.beside import Beside, tensor_beside
from dhc.ops.outward import Attribute, Body, Term, Written, foreign_type

if TYPE_CHECKING:
    import onnx


@dataclass(frozen=True)
class Content:
    """A model that is written.

    Attributes:
        parameters: Their values by path.
        renamed: Which values have other names than their nodes gave them.
    """

    name: str
    opset: int
    inputs: tuple[Term, ...]
    outputs: tuple[Term, ...]
    parameters: Mapping[str, Array]
    nodes: tuple[Written, ...]
    renamed: Mapping[str, str]


def model_proto(
    content: Content, version: str, metadata: Mapping[str, str], beside: Beside | None = None
) -> onnx.ModelProto:
    """Returns the message, without the tensors that lie beside it."""
    from onnx import helper

    imports = [helper.make_opsetid("", content.opset)]
    writer = _Nodes(content.renamed)
    between = [_value(t, t.name) for node in content.nodes for t in writer.between(node)]
    graph = helper.make_graph(
        [writer.node(each) for each in content.nodes],
        content.name,
        [_value(each, each.name) for each in content.inputs],
        [_value(each, each.name) for each in content.outputs],
        [_tensor(name, array, beside) for name, array in content.parameters.items()],
        value_info=between,
    )
    model = helper.make_model(
        graph,
        opset_imports=imports,
        ir_version=helper.find_min_ir_version_for(imports),
        producer_name="dhc",
        producer_version=version,
    )
    helper.set_model_props(model, dict(metadata))
    return model


def _tensor(name: str, array: Array, beside: Beside | None) -> onnx.TensorProto:
    from onnx import numpy_helper

    if beside is not None and name in beside.places:
        return tensor_beside(name, array, beside)
    return numpy_helper.from_array(array, name)


def _value(term: Term, name: str) -> onnx.ValueInfoProto:
    from onnx import helper

    sizes = [size if isinstance(size, int) else str(size) for size in term.shape]
    return helper.make_tensor_value_info(name, foreign_type(term.dtype), sizes)


class _Nodes:
    """Makes messages of nodes."""

    def __init__(self, renamed: Mapping[str, str]) -> None:
        self._renamed = renamed

    def between(self, node: Written) -> list[Term]:
        """The results of a node that are no outputs of the model."""
        if node.op_type == "Constant":
            return []
        return [each for each in node.outputs if each.name not in self._renamed]

    def node(self, each: Written) -> onnx.NodeProto:
        from onnx import helper

        outputs = [self._renamed.get(t.name, t.name) for t in each.outputs]
        inputs = [self._renamed.get(name, name) for name in each.inputs]
        made = helper.make_node(each.op_type, inputs, outputs, name=each.outputs[0].name)
        for name, value in each.attributes.items():
            if value == ():
                continue  # an empty list has no type, and nothing is said by it
            made.attribute.append(helper.make_attribute(name, self._attribute(value)))
        if each.array is not None:
            made.attribute.append(self._elements(each))
        return made

    def _elements(self, each: Written) -> onnx.AttributeProto:
        from onnx import helper, numpy_helper

        assert each.array is not None
        return helper.make_attribute("value", numpy_helper.from_array(each.array))

    def _attribute(self, value: Attribute) -> Any:
        if isinstance(value, Body):
            return self._body(value)
        return foreign_type(value) if isinstance(value, DType) else value

    def _body(self, body: Body) -> onnx.GraphProto:
        from onnx import helper

        inputs = [_value(each, each.name) for each in body.inputs]
        outputs = [_value(each, each.name) for each in body.outputs]
        return helper.make_graph([self.node(n) for n in body.nodes], "body", inputs, outputs)
