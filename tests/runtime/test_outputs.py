"""What is written of images: every result has a file of its own, inside of its folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dhc.errors import DhcError
from dhc.runtime.data.images import Image
from dhc.runtime.outputs import Outputs


def _image(name: str) -> Image:
    return Image(np.zeros((1, 4, 4), np.uint8), None, name)


OUTPUTS = {"scores": np.array([[0.25, 0.75]])}


def test_names_that_are_taken_get_numbers(tmp_path: Path) -> None:
    written = Outputs(tmp_path)
    for name in ("a.png", "a.dcm", "a-2.png", "b/a.png", "a.npy"):
        written.write(_image(name), OUTPUTS)
    written.close()
    arrays = {path.name for path in tmp_path.glob("*.npy")}
    assert arrays == {f"{stem}_scores.npy" for stem in ("a", "a-2", "a-2-2", "b_a", "a-3")}
    assert len(written.rows) == 10


@pytest.mark.parametrize(
    "name", ["../../a", "/etc/passwd", "..", "/", "", "a\x00b", "a\nb", "~", "C:\\a"]
)
def test_names_do_not_lead_out_of_the_folder(tmp_path: Path, name: str) -> None:
    Outputs(tmp_path / "out").write(_image(name), OUTPUTS)
    (found,) = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert found.parent == tmp_path / "out"


def test_one_file_is_for_one_image(tmp_path: Path) -> None:
    Outputs(tmp_path / "one.npy").check(1)
    with pytest.raises(DhcError, match="Several images need a folder"):
        Outputs(tmp_path / "one.npy").check(2)
