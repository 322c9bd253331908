"""The .dhx artifact: one zip file with the program's text and its weights.

There is no machine code to trust in it. Whoever opens it compiles the text, usually from the object
cache. It may hold the weights a second time, as one program has them in memory, to open quickly.
"""

from __future__ import annotations

import json
import os
import struct
import threading
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from dhc.backends.base import Target
from dhc.errors import DhcError, Diagnostic
from dhc.files import atomic_writer
from dhc.ir.graph import Array, Graph
from dhc.ir.types import as_bits
from dhc.ir.verify import InternalError
from dhc.runtime.memory import SLACK, Bytes, allocate
from dhc.runtime.parameters import check_values

VERSION = 1
MAX_MANIFEST = 1 << 20
MAX_PROGRAM = 1 << 27
MAX_WEIGHTS = 1 << 34
MAX_REASON = 500  # characters of what a library says about a damaged file

_LOCAL_HEADER = struct.Struct("<4s22xHH")  # signature, and how long name and extra field are

_MANIFEST, _PROGRAM, _WEIGHTS, _CONSTANTS, _IMAGE = (
    "manifest.json",
    "program.txt",
    "weights.safetensors",
    "constants.safetensors",
    "weights.image",
)


@dataclass(frozen=True)
class Artifact:
    """The content of a .dhx file.

    Attributes:
        graph: The program before any pass, with the sizes that were bound at compilation.
        weights: Parameters by path.
        target: What it was compiled for.
        image: The weights as the program has them in memory, if it is of one size.
        image_of: The name of the program that has them so.
    """

    graph: Graph
    weights: Mapping[str, Array]
    target: Target
    image: memoryview | None = None
    image_of: str = ""


def write_artifact(path: str | Path, artifact: Artifact) -> None:
    """Writes a .dhx file; an existing one is replaced only when the new one is complete."""
    from safetensors.numpy import save

    target = artifact.target
    manifest = {
        "format": "dhx",
        "version": VERSION,
        "entry": artifact.graph.name,
        "target": target.backend,
        "threads": target.threads,
        "precision": target.precision,
        "options": dict(target.options),
        "image_of": artifact.image_of,
    }
    from dhc.ir.text import print_graph

    text = print_graph(artifact.graph, origins=False)
    with atomic_writer(Path(path)) as stream, zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(_MANIFEST, json.dumps(manifest, indent=2))
        archive.writestr(_PROGRAM, text, zipfile.ZIP_DEFLATED)
        archive.writestr(_WEIGHTS, save(_bits(artifact.weights)))
        archive.writestr(_CONSTANTS, save(_bits(artifact.graph.constants)))
        if artifact.image is not None:
            archive.writestr(_IMAGE, artifact.image.tobytes())


def _bits(arrays: Mapping[str, Array]) -> dict[str, Array]:
    """Arrays of types that files have."""
    return {name: as_bits(array) for name, array in arrays.items()}


class ArtifactFile:
    """A .dhx file whose parts are read and checked when they are asked for.

    Attributes:
        target: What it was compiled for.

    Raises:
        DhcError: from all of its members, if the file is damaged or newer than this program.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = path
        self._manifest = _check_manifest(path, self._read(_MANIFEST, MAX_MANIFEST))
        self.target = _target(path, self._manifest)

    @cached_property
    def text(self) -> str:
        """The text of the program."""
        with self.reading():
            return self._read(_PROGRAM, MAX_PROGRAM).decode("utf-8")

    @cached_property
    def graph(self) -> Graph:
        """The program, with its constants."""
        from dhc.runtime.foreign import read_foreign

        try:
            return read_foreign(self.text, self.path, self._arrays(_CONSTANTS))
        except InternalError as error:
            raise _damaged(self.path, str(error)) from error

    @cached_property
    def weights(self) -> Mapping[str, Array]:
        """Parameters by path: exactly those of the program."""
        return check_values(self.graph.params, self._arrays(_WEIGHTS))

    def start_image(self) -> ImageReading | None:
        """Begins to read the weights as a program has them in memory, if the file has them."""
        name = self._manifest.get("image_of")
        if not name or not isinstance(name, str):
            return None
        with self.reading(), zipfile.ZipFile(self.path) as archive:
            info = archive.getinfo(_IMAGE)
        if info.compress_type != zipfile.ZIP_STORED or info.file_size > MAX_WEIGHTS:
            return None
        return ImageReading(self, name, info)

    def _read(self, name: str, limit: int) -> bytes:
        with self.reading(), zipfile.ZipFile(self.path) as archive:
            return _member(archive, name, limit)

    def _arrays(self, name: str) -> Mapping[str, Array]:
        from safetensors import SafetensorError
        from safetensors.numpy import load

        with self.reading():
            content = self._read(name, MAX_WEIGHTS)
            try:
                return load(content)
            except SafetensorError as error:
                raise ValueError(str(error)) from error

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Turns whatever the libraries raise on damaged files into one diagnostic."""
        damage = (
            OSError, EOFError, LookupError, ValueError, TypeError, ArithmeticError, RuntimeError,
            zipfile.BadZipFile, zlib.error, struct.error,
        )  # fmt: skip
        try:
            yield
        except damage as error:
            if isinstance(error, OSError) and error.strerror:
                raise _unreadable(self.path, error.strerror) from error
            raise _damaged(self.path, str(error)) from error


class ImageReading:
    """Reads weights in a thread of its own, while the program is made ready.

    Args:
        file: The artifact.
        program: The name of the program that has its weights so.
        info: The member that holds them.
    """

    def __init__(self, file: ArtifactFile, program: str, info: zipfile.ZipInfo) -> None:
        self.program = program
        self.size = info.file_size
        self._file = file
        self._info = info
        self._error: Exception | None = None
        self._memory = allocate(info.file_size + SLACK, touched=False)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            _fill(self._file.path, self._info, self._memory[: self._info.file_size].data)
        except Exception as error:
            self._error = error

    def result(self) -> Bytes:
        """Waits for the end and returns the memory, which has slack after the weights.

        Raises:
            DhcError: if the file is damaged.
        """
        self._thread.join()
        with self._file.reading():
            if self._error is not None:
                raise self._error
        return self._memory


def _fill(path: str | Path, info: zipfile.ZipInfo, memory: memoryview) -> None:
    """Reads a member that is not packed straight into memory, and checks its sum."""
    with open(path, "rb") as stream:
        stream.seek(info.header_offset)
        header = stream.read(_LOCAL_HEADER.size)
        signature, name_bytes, extra_bytes = _LOCAL_HEADER.unpack(header)
        if signature != b"PK\x03\x04":
            raise zipfile.BadZipFile(f"{info.filename} has no header")
        stream.seek(name_bytes + extra_bytes, os.SEEK_CUR)
        done = 0
        while done < memory.nbytes:
            count = stream.readinto(memory[done:])
            if not count:
                raise zipfile.BadZipFile(f"{info.filename} ends early")
            done += count
    if zlib.crc32(memory) != info.CRC:
        raise zipfile.BadZipFile(f"{info.filename} has a wrong sum")


def _member(archive: zipfile.ZipFile, name: str, limit: int) -> bytes:
    """Reads a member whose size is within the limit, whatever the archive says about it.

    The other ways to compress are refused: zipfile unpacks them whole before it looks at sizes.
    """
    info = archive.getinfo(name)
    if info.file_size > limit:
        raise zipfile.BadZipFile(f"{name} is larger than {limit} bytes")
    packed = name == _PROGRAM and info.compress_type == zipfile.ZIP_DEFLATED
    if not packed and info.compress_type != zipfile.ZIP_STORED:
        raise zipfile.BadZipFile(f"{name} is packed in an unexpected way")
    with archive.open(info) as stream:
        content = stream.read(limit + 1)
    if len(content) != info.file_size:
        raise zipfile.BadZipFile(f"{name} has another size than it says")
    return content


def _check_manifest(path: str | Path, content: bytes) -> dict[str, Any]:
    try:
        found = json.loads(content)
        if found["format"] != "dhx" or type(found["version"]) is not int:
            raise TypeError("it does not say that it is one")
    except (ValueError, TypeError, LookupError, RecursionError) as error:
        raise _damaged(path, f"the manifest is wrong: {error}") from error
    if found["version"] > VERSION:
        text = f"'{path}' was written by a newer version of dhc."
        hint = "update dhc, or compile the program again"
        raise DhcError(Diagnostic("artifact-version", text, hints=(hint,)))
    return dict(found)


def _target(path: str | Path, manifest: Mapping[str, Any]) -> Target:
    try:
        kinds = {"target": str, "threads": int, "precision": str, "options": dict}
        for name, kind in kinds.items():
            if type(manifest[name]) is not kind:
                raise TypeError(f"'{name}' has the wrong type")
        options = manifest["options"]
        if not all(isinstance(value, (str, int, float, bool)) for value in options.values()):
            raise TypeError("an option is not a simple value")
    except (TypeError, KeyError) as error:
        raise _damaged(path, f"the manifest is wrong: {error}") from error
    return Target(manifest["target"], manifest["threads"], manifest["precision"], options)


def _damaged(path: str | Path, why: str) -> DhcError:
    reason = why[:MAX_REASON].rstrip(".") or "it ends too early"
    text = f"'{path}' is not a whole .dhx artifact: {reason}."
    return DhcError(Diagnostic("artifact-damaged", text))


def _unreadable(path: str | Path, why: str) -> DhcError:
    return DhcError(Diagnostic("artifact-file", f"'{path}' cannot be read: {why.lower()}."))
