"""Programs with narrow elements as files: elements lie there as their bits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from dhc.backends.base import Target
from dhc.driver import compile_graph
from dhc.ir.graph import Array, Constant, Graph, Input, Param
from dhc.ir.types import DType, Tensor
from dhc.opening import open_program
from dhc.ops.elementwise import Add, Cast, Mul
from dhc.ops.lookup import Gather
from dhc.runtime.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from dhc.runtime.parameters import check_values
from dhc.training.folder import WEIGHTS, write_weights
from tests.narrow import NARROW, every, same_bits

NUMBA = Target("cpu", options={"engine": "numba"})
TARGETS = [Target("reference"), Target("cpu", threads=2)]


def _param(dtype: DType) -> Param:
    return Param(f"weights.{dtype}", Tensor(dtype, (4,)), trainable=False)


def _graph(dtype: DType) -> Graph:
    """A parameter and a constant of the type, and results of it; one reads the parameter itself."""
    where = Input("where", Tensor(DType.I64, (3,)))()
    x = Input("x", Tensor(DType.F32, (4,)))()
    constant = Constant("c", Tensor(dtype, (4,)))()
    factor = Add()(Cast(DType.F32)(_param(dtype)()), Cast(DType.F32)(constant))
    y = Cast(dtype, True)(Mul()(x, factor))
    outputs = (("y", y), ("z", Gather(0)(_param(dtype)(), where)))
    return Graph("net", (x, where), outputs, constants={"c": every(dtype)[:4]})


@pytest.mark.parametrize("dtype", NARROW)
@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.backend)
def test_programs_are_saved_and_opened(tmp_path: Path, dtype: DType, target: Target) -> None:
    weights = {f"weights.{dtype}": np.resize(every(dtype)[-5:-1], 4)}
    program = compile_graph(_graph(dtype), target, parameters=weights)
    program.save(tmp_path / "net.dhx")
    again = open_program(tmp_path / "net.dhx")
    given = {"x": np.array([0.5, 1, 2, -1], np.float32), "where": np.array([3, 0, 3])}
    results = program(**given)
    same_bits(again(**given)["y"], results["y"])
    same_bits(again(**given)["z"], results["z"])
    same_bits(results["z"], weights[f"weights.{dtype}"][given["where"]])
    (found,) = again.parameters().values()
    same_bits(found, weights[f"weights.{dtype}"])


@pytest.mark.parametrize("target", [*TARGETS, NUMBA], ids=("reference", "cpu", "numba"))
def test_programs_give_their_weights_back(target: Target) -> None:
    weights = {"weights.i4": every(DType.I4)[2:6]}
    program = compile_graph(_graph(DType.I4), target, parameters=weights)
    same_bits(program.parameters()["weights.i4"], weights["weights.i4"])


@pytest.mark.parametrize("dtype", NARROW)
def test_files_of_weights_hold_bits(tmp_path: Path, dtype: DType) -> None:
    values: dict[str, Array] = {_param(dtype).path: every(dtype)[:4]}
    write_weights(tmp_path, values)
    found = load_file(tmp_path / WEIGHTS)
    assert found[_param(dtype).path].dtype == dtype.stored.numpy
    same_bits(check_values([_param(dtype)], found)[_param(dtype).path], every(dtype)[:4])
    write_checkpoint(tmp_path / "state", Checkpoint(values, {}))
    arrays = read_checkpoint(tmp_path / "state").arrays
    same_bits(check_values([_param(dtype)], arrays)[_param(dtype).path], every(dtype)[:4])


def test_numbers_of_other_types_are_numbers() -> None:
    """Only u16 may be the bits of bf16."""
    param = _param(DType.BF16)
    numbers = np.array([1, 2, 3, 257], np.int64)
    found = check_values([param], {param.path: numbers})[param.path]
    np.testing.assert_array_equal(found.astype(np.float32), [1, 2, 3, 256])
