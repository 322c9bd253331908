"""ONNX's own interface to what runs models: `onnx.backend.base.Backend`.

Shapes, axes and other settings may be inputs of a model there, while dhc must know them when it
reads one. So a model is read when it first runs, and once for each set of values of those inputs.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper
from onnx.backend.base import Backend, BackendRep

from dhc.backends.base import Target
from dhc.driver import compile_graph
from dhc.errors import ArgumentError, DhcError
from dhc.ir.graph import Array
from dhc.ir.types import dtype_of
from dhc.onnx.file import check_model, refused
from dhc.onnx.functions import NUMBERS
from dhc.onnx.imported import Given, Imported, NotKnownError, Result
from dhc.onnx.ports import said_sizes
from dhc.onnx.read import read
from dhc.runtime.program import Program
from dhc.targets import backend_names

MOST_PROGRAMS = 16  # for different values of the same inputs
_NAMES = {"CPU": "cpu"}  # how ONNX calls devices; other backends go by their own names


@dataclass(frozen=True)
class _Made:
    """A model for some values of its settings; without outputs to compute it has no program."""

    imported: Imported
    program: Program | None


class DhcBackendRep(BackendRep):
    """A model that is ready to run.

    Args:
        model: What it computes.
        target: What to compile it for.
        file: Beside which its data lie, if they are not in the model.
    """

    def __init__(self, model: onnx.ModelProto, target: Target, file: Path) -> None:
        self._model = model
        self._target = target
        self._file = file
        self._defaults = {each.name for each in model.graph.initializer}
        self._settings = self._defaults & {each.name for each in model.graph.input}
        self._is_sized = False  # whether sizes must be known too
        self._made: OrderedDict[object, _Made] = OrderedDict()

    def run(
        self, inputs: Sequence[Given] | Mapping[str, Given], **kwargs: Any
    ) -> tuple[Given, ...]:
        """Runs the model.

        Args:
            inputs: One value for each input, in their order or by name.
            kwargs: None are known.

        Returns:
            One value for each output.

        Raises:
            DhcError: if the model cannot be read with these values.
            ArgumentError: if they do not fit the model.
        """
        if kwargs:
            raise ArgumentError(f"'run' has no option '{min(kwargs)}'.")
        values = self._named(inputs)
        made = self._for(values)
        self._check(values, made.imported)
        graph = made.imported.graph
        labels = (node.op.label for node in graph.inputs)  # type: ignore[attr-defined]
        arrays = {
            label: np.asarray(values[name])
            for label, name in zip(labels, made.imported.inputs, strict=True)
        }
        found = made.program(**arrays) if made.program else {}
        return tuple(_result(each, found) for each in made.imported.outputs.values())

    def _named(self, inputs: Sequence[Given] | Mapping[str, Given]) -> dict[str, Given]:
        """The values by name; those of initializers may be left out."""
        names = [each.name for each in self._model.graph.input]
        if isinstance(inputs, Mapping):
            values = dict(inputs)
        else:
            needed = [name for name in names if name not in self._defaults]
            values = dict(
                zip(needed if len(inputs) <= len(needed) else names, inputs, strict=False)
            )
        if len(values) != len(inputs) or not values.keys() <= set(names):
            raise ArgumentError(f"The inputs of the model are {names}; {len(inputs)} are given.")
        return values

    def _check(self, values: Mapping[str, Given], imported: Imported) -> None:
        """Checks that all inputs are there, and that those without elements have none."""
        wanted = [name for name in imported.inputs if name not in values]
        if wanted:
            raise ArgumentError(f"The input '{wanted[0]}' is missing.")
        for name in values.keys() - self._settings - set(imported.inputs):
            if np.size(np.asarray(values[name])):
                raise ArgumentError(f"The input '{name}' of the model has no elements.")

    def _for(self, values: Mapping[str, Given]) -> _Made:
        """The program for the values of those inputs that must be known."""
        key = self._key(values)
        found = self._made.get(key)
        if found is None:
            found = self._compiled(values)
            self._made[self._key(values)] = found
            if len(self._made) > MOST_PROGRAMS:
                self._made.popitem(last=False)
        else:
            self._made.move_to_end(key)
        return found

    def _key(self, values: Mapping[str, Given]) -> object:
        given = self._given(values)
        known = tuple((name, _content(given[name])) for name in sorted(given))
        return known, self._is_sized and tuple(sorted(self._shapes(values).items()))

    def _shapes(self, values: Mapping[str, Given]) -> dict[str, int]:
        """The sizes that the model leaves open, as these inputs have them."""
        found: dict[str, int] = {}
        for port in self._model.graph.input:
            said = said_sizes(port)
            if said and port.name in values and port.name not in self._settings:
                sizes = zip(said, np.asarray(values[port.name]).shape, strict=False)
                found |= {name: size for name, size in sizes if isinstance(name, str) and size}
        return found

    def _given(self, values: Mapping[str, Given]) -> dict[str, Given]:
        """What the model is read with: settings, and tensors without elements."""
        return {k: each for k, each in values.items() if k in self._settings or _is_empty(each)}

    def _compiled(self, values: Mapping[str, Given]) -> _Made:
        """Reads the model with as few values as it can be read with, and sizes if there must be.

        Raises:
            DhcError: if they are not enough.
        """
        while True:
            try:
                shapes = self._shapes(values) if self._is_sized else {}
                imported = read(self._model, self._file, self._given(values), shapes)
                break
            except DhcError as error:
                asked = error.inputs if isinstance(error, NotKnownError) else frozenset()
                more = {name for name in asked if _is_setting(values, name)} - self._settings
                if not more and (self._is_sized or not self._shapes(values)):
                    raise
                self._settings |= more
                self._is_sized = self._is_sized or not more
        if not imported.graph.outputs:
            return _Made(imported, None)
        parameters = imported.values
        return _Made(imported, compile_graph(imported.graph, self._target, parameters=parameters))


def _is_empty(value: Given) -> bool:
    """Whether a tensor has no elements."""
    return isinstance(value, np.ndarray) and value.size == 0


def _is_setting(values: Mapping[str, Given], name: str) -> bool:
    """Whether a value may become part of a program: a few numbers, or what is no tensor."""
    if name not in values:
        return False
    value = values[name]
    if isinstance(value, np.ndarray) and value.dtype.kind in "OSU":
        return True  # text is always part of it
    return not isinstance(value, (np.ndarray, np.generic, int, float)) or np.ndim(value) <= 1


def _content(value: Given) -> object:
    """What two equal values have in common, as a key."""
    if value is None:
        return None
    if isinstance(value, Sequence) and not isinstance(value, str):
        return tuple(_content(each) for each in value)
    array = np.asarray(value)
    if array.dtype == object:
        return array.shape, tuple(array.reshape(-1).tolist())
    return str(array.dtype), array.shape, array.tobytes()


def _result(result: Result, found: Mapping[str, Array]) -> Given:
    """An output of a model, given those of its program."""
    if isinstance(result, str):
        return found[result]
    if result is None or isinstance(result, np.ndarray):
        return result
    return [_result(each, found) for each in result]  # type: ignore[misc]  # of tensors alone


class DhcBackend(Backend):
    """Runs models: the device "CPU" is the target `cpu`; others go by the names of targets."""

    @classmethod
    def supports_device(cls, device: str) -> bool:
        """Whether there is a backend for a device."""
        return _NAMES.get(device, device) in backend_names()

    @classmethod
    def prepare(cls, model: onnx.ModelProto, device: str = "CPU", **kwargs: Any) -> DhcBackendRep:
        """Returns a model that is ready to run.

        Args:
            model: The model.
            device: What to run it on: "CPU", or the name of a target such as `reference`.
            kwargs: Options of the target.

        Raises:
            DhcError: if the model exceeds the limits, or there is no such device.
        """
        if not cls.supports_device(device):
            raise refused(f"There is no device '{device}'.", f"there are {backend_names()}")
        file = Path("model.onnx")
        check_model(model, file)
        return DhcBackendRep(model, Target(_NAMES.get(device, device), options=kwargs), file)

    @classmethod
    def run_node(
        cls,
        node: onnx.NodeProto,
        inputs: Sequence[Array],
        device: str = "CPU",
        outputs_info: object = None,
        **kwargs: Any,
    ) -> tuple[Given, ...]:
        """Runs one node, of the version `opset_version`; `outputs_info` is not needed."""
        version = kwargs.pop("opset_version", onnx.defs.onnx_opset_version())
        names = [name for name in dict.fromkeys(node.input) if name]
        ports = [_port(name, np.asarray(x)) for name, x in zip(names, inputs, strict=True)]
        outputs = [helper.make_empty_tensor_value_info(name) for name in node.output if name]
        graph = helper.make_graph([node], "node", ports, outputs)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", version)])
        return cls.prepare(model, device, **kwargs).run(inputs)


def _port(name: str, array: Array) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, NUMBERS[dtype_of(array)], array.shape)


prepare = DhcBackend.prepare
run_model = DhcBackend.run_model
run_node = DhcBackend.run_node
supports_device = DhcBackend.supports_device
is_compatible = DhcBackend.is_compatible
