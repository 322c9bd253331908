"""`dhc import` and `dhc export`: there, back, and by way of another program."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper
from typer.testing import CliRunner

import dhc
from dhc.cli import app
from dhc.errors import DhcError
from dhc.onnx.read import load as read

ROOT = Path(__file__).resolve().parents[2]


def _run(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def _exported(folder: Path) -> Path:
    file = folder / "net.onnx"
    program = str(ROOT / "models" / "tissue_textures.dhm")
    assert "version 21" in _run("export", program, "TextureNet", "-o", str(file))
    return file


def test_an_exported_model_comes_back_with_its_names(tmp_path: Path) -> None:
    file = _exported(tmp_path)
    onnx.checker.check_model(onnx.load(file), full_check=True)
    original = dhc.load(ROOT / "models" / "tissue_textures.dhm").model("TextureNet")
    back = dhc.onnx.load(file)
    assert back.parameters().keys() == original.parameters().keys()
    for path, value in original.parameters().items():
        np.testing.assert_array_equal(back.parameters()[path], value)


def test_an_imported_program_gives_what_onnx_runtime_gives(tmp_path: Path) -> None:
    runtime = pytest.importorskip("onnxruntime")
    file, program = _exported(tmp_path), tmp_path / "net.dhm"
    told = _run("import", str(file), "-o", str(program))
    assert "operators in" in told
    assert "good" in _run("check", str(program))
    model = dhc.load(program).model("TextureNet")
    model.load_parameters(tmp_path / "net.safetensors")
    (node,) = model.graph.inputs
    sizes = [size if isinstance(size, int) else 32 for size in node.type.shape]
    x = np.random.default_rng(1).random(sizes, np.float32)
    session = runtime.InferenceSession(str(file))
    (port,) = session.get_inputs()
    expected = session.run(None, {port.name: x})
    found = list(dhc.compile(model, "cpu")(**{port.name: x}).values())
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5 * np.abs(other).max())


def test_a_pipeline_travels_with_its_model(tmp_path: Path) -> None:
    file = tmp_path / "whole.onnx"
    program = str(ROOT / "models" / "ct_tissue.dhm")
    _run("export", program, "Tissue", "--pipeline", "prepare", "-o", str(file))
    imported = read(file)
    assert [node.type.dtype.value for node in imported.graph.inputs] == ["f32"]


def test_what_cannot_be_done_leaves_no_file(tmp_path: Path) -> None:
    damaged, program = tmp_path / "bad.onnx", tmp_path / "bad.dhm"
    damaged.write_bytes(b"no model")
    network = str(ROOT / "models" / "tissue_textures.dhm")
    old = str(tmp_path / "old.onnx")
    with pytest.raises(DhcError, match="is no ONNX model"):
        _run("import", str(damaged), "-o", str(program))
    with pytest.raises(DhcError, match="cannot be imported yet"):
        _run("import", "a.txt", "-o", str(program))
    with pytest.raises(DhcError, match="13 to 23"):
        _run("export", network, "TextureNet", "--opset", "9", "-o", old)
    assert [each.name for each in tmp_path.iterdir()] == ["bad.onnx"]


def test_sizes_and_values_are_given_on_the_command_line(tmp_path: Path) -> None:
    x = helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ("n", 4))
    shape = helper.make_tensor_value_info("shape", onnx.TensorProto.INT64, (2,))
    y = helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)
    node = helper.make_node("Reshape", ["x", "shape"], ["y"])
    model = helper.make_model(helper.make_graph([node], "net", [x, shape], [y]))
    file, program = tmp_path / "net.onnx", tmp_path / "net.dhm"
    file.write_bytes(model.SerializeToString())
    _run("import", str(file), "-o", str(program), "--shape", "n=3", "--value", "shape=2,-1")
    assert "input x: f32[3, 4]" in program.read_text()
    with pytest.raises(DhcError, match="no size 'm'"):
        _run("import", str(file), "-o", str(program), "--shape", "m=3", "--value", "shape=2,-1")
