"""Recurrent layers of ONNX that are layers of the language: with weights, and nothing unusual.

Their weights have another order of gates. ONNX: i o f c of an LSTM, z r h of a GRU.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from dhc.ir.graph import Node
from dhc.ops.foreign import Array, Call, Known, Results
from dhc.ops.recurrent import LAYERS, GivenWeights
from dhc.ops.shape import Permute, Reshape

_ORDER = {"RNN": (0,), "GRU": (1, 0, 2), "LSTM": (0, 2, 3, 1)}
_USUAL: Mapping[str, tuple[tuple[tuple[str, ...], str], ...]] = {
    "RNN": ((("tanh",), "tanh"), (("relu",), "relu")),
    "GRU": ((("sigmoid", "tanh"), ""),),
    "LSTM": ((("sigmoid", "tanh", "tanh"), ""),),
}
REVERSE: Mapping[str, tuple[bool, ...]] = {
    "forward": (False,), "reverse": (True,), "bidirectional": (False, True),
}  # fmt: skip
_ENDS = ("w", "weight", "weights", "kernel")  # what names of weights end in


def standard_layer(call: Call) -> Results | None:
    """Returns what a node gives that is a layer of the language, or nothing if it is none."""
    reverse = REVERSE.get(call.get("direction", "forward"))
    if reverse is None:
        return None
    weights, both = _weights(call, len(reverse)), len(reverse) > 1
    activation = _activation(call, 2 if both else 1)
    if weights is None or activation is None or not _is_plain(call):
        return None
    by_batch = bool(call.get("layout", 0))
    x = Permute((1, 0, 2))(call.tensor(0)) if by_batch else call.tensor(0)
    units = weights["hidden.weight"].array.shape[1]
    starts = [_start(call, k, 1 + both, by_batch) for k in (5, 6)[: _states(call)]]
    wanted = x.type.with_shape((x.type.shape[1], (1 + both) * units))
    if any(start is not None and start.type != wanted for start in starts):
        return None
    said = {"hc"[k]: start for k, start in enumerate(starts) if start is not None}
    options = {"activation": activation} if activation else {}
    given = GivenWeights({name: call.node(each) for name, each in weights.items()})
    made = LAYERS[call.op_type.lower()](
        given, x, units, bidirectional=both, reverse=reverse == (True,), give="all",
        bias="input.bias" in weights, lengths=call.tensor(4) if call.has(4) else None,
        time_first=True, **said, **options,
    )  # fmt: skip
    output, *states = made if isinstance(made, tuple) else (made,)
    return _sequence(output, units, by_batch), *(_state(each, units, by_batch) for each in states)


def _states(call: Call) -> int:
    return 2 if call.op_type == "LSTM" else 1


def _is_plain(call: Call) -> bool:
    """Whether nothing is said that the layers of the language have not."""
    call.get("output_sequence", 0)
    if call.get("clip", 0.0) or call.get("input_forget", 0) or call.has(7):
        return False
    return call.op_type != "GRU" or bool(call.get("linear_before_reset", 0))


def _activation(call: Call, directions: int) -> str | None:
    """The word for the activations; None if they are unusual."""
    usual = _USUAL[call.op_type]
    if not call.says("activations"):
        return usual[0][1]
    if call.says("activation_alpha") or call.says("activation_beta"):
        return None
    said: tuple[object, ...] = call.get("activations", ())
    names = tuple(str(name).lower() for name in said)
    return next((word for each, word in usual if each * directions == names), None)


def _weights(call: Call, directions: int) -> Mapping[str, Known] | None:
    """The weights in the order of the language, by their names there, if all are known.

    Their paths begin with that of the node's own weights, if these have one.
    """
    given = [call.value(k) for k in (1, 2, 3) if call.has(k)]
    known = [each for each in given if isinstance(each, Known) and not each.has_names]
    path = known[0].path or known[0].name if known else ""
    if len(known) != len(given) or len({each.dtype for each in known}) > 1:
        return None
    if any(each.array.shape[:1] != (directions,) for each in known):
        return None
    into, back = known[0].array, known[1].array
    arrays: dict[str, Array] = {}
    for direction, prefix in enumerate(("", "backward.")[:directions]):
        arrays[f"{prefix}input.weight"] = _ordered(call, into[direction])
        arrays[f"{prefix}hidden.weight"] = _ordered(call, back[direction])
        if len(known) > 2:
            first, second = np.split(known[2].array[direction], 2)
            arrays[f"{prefix}input.bias"] = _ordered(call, first)
            arrays[f"{prefix}hidden.bias"] = _ordered(call, second)
    call.must("hidden_size", back.shape[2])
    stem, dtype = _stem(call, path), known[0].dtype
    return {
        name: Known(array, dtype, f"{stem}.{name}" if stem else "")
        for name, array in arrays.items()
    }


def _ordered(call: Call, rows: Array) -> Array:
    """The rows of all gates in the order of the language."""
    order = _ORDER[call.op_type]
    parts = np.split(rows, len(order))
    return np.ascontiguousarray(np.concatenate([parts[gate] for gate in order]))


def _stem(call: Call, path: str) -> str:
    """What the paths of the weights begin with; numbers of exporters say which layer it is."""
    if not path:
        return ""
    before, _, last = path.replace("/", ".").replace(":", ".").rpartition(".")
    if last.lower() in _ENDS and before:
        return before
    number = last.rpartition("_")[2]
    return f"{call.op_type.lower()}_{number}" if number.isdigit() else path


def _start(call: Call, number: int, directions: int, by_batch: bool) -> Node | None:
    """The states before the first step [N, directions * units]; None where they are zeros."""
    if not call.has(number):
        return None
    given = call.value(number)
    if isinstance(given, Known) and not given.has_names and not given.array.any():
        return None
    start = call.node(given)
    start = start if by_batch or directions == 1 else Permute((1, 0, 2))(start)
    units, batch = start.type.shape[2], start.type.shape[0 if by_batch or directions > 1 else 1]
    return Reshape((batch, directions * units))(start)


def _sequence(output: Node, units: int, by_batch: bool) -> Node:
    """Outputs [T, N, directions * units] as ONNX has them."""
    steps, batch, size = output.type.shape
    parts = Reshape((steps, batch, size // units, units))(output)
    return Permute((1, 0, 2, 3) if by_batch else (0, 2, 1, 3))(parts)


def _state(state: Node, units: int, by_batch: bool) -> Node:
    """A state [N, directions * units] as ONNX has it."""
    batch, size = state.type.shape
    parts = Reshape((batch, size // units, units))(state)
    return parts if by_batch else Permute((1, 0, 2))(parts)
