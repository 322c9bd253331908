"""The .dhx artifact: one zip file with the program's text and its weights.

There is no machine code to trust in it. Whoever opens it compiles the text, usually from the object
cache.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dhc.backends.base import Target
from dhc.errors import DhcError, Diagnostic
from dhc.ir.graph import Array, Graph
from dhc.ir.text import parse_graph, print_graph
from dhc.runtime.data.files import atomic_writer

VERSION = 1
MAX_MANIFEST = 1 << 20
MAX_PROGRAM = 1 << 27
MAX_WEIGHTS = 1 << 34

_MANIFEST, _PROGRAM, _WEIGHTS, _CONSTANTS = (
    "manifest.json",
    "program.txt",
    "weights.safetensors",
    "constants.safetensors",
)


@dataclass(frozen=True)
class Artifact:
    """The content of a .dhx file.

    Attributes:
        graph: The program before any pass, with the sizes that were bound at compilation.
        weights: Parameters by path.
        target: What it was compiled for.
    """

    graph: Graph
    weights: Mapping[str, Array]
    target: Target


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
    }
    with atomic_writer(Path(path)) as stream, zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(_MANIFEST, json.dumps(manifest, indent=2))
        archive.writestr(_PROGRAM, print_graph(artifact.graph), zipfile.ZIP_DEFLATED)
        archive.writestr(_WEIGHTS, save(dict(artifact.weights)))
        archive.writestr(_CONSTANTS, save(dict(artifact.graph.constants)))


def read_artifact(path: str | Path) -> Artifact:
    """Reads a .dhx file and checks all of it.

    Raises:
        DhcError: if it is not an artifact, is damaged, or was written by a newer version.
    """
    from dataclasses import replace

    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        with zipfile.ZipFile(path) as archive:
            manifest = _manifest(path, _member(archive, _MANIFEST, MAX_MANIFEST))
            graph = parse_graph(_member(archive, _PROGRAM, MAX_PROGRAM).decode("utf-8"))
            weights = load(_member(archive, _WEIGHTS, MAX_WEIGHTS))
            constants = load(_member(archive, _CONSTANTS, MAX_WEIGHTS))
    except (OSError, KeyError, UnicodeDecodeError, zipfile.BadZipFile, SafetensorError) as error:
        raise _damaged(path, str(error)) from error
    return Artifact(replace(graph, constants=constants), weights, manifest)


def _member(archive: zipfile.ZipFile, name: str, limit: int) -> bytes:
    info = archive.getinfo(name)
    if info.file_size > limit:
        raise zipfile.BadZipFile(f"{name} is larger than {limit} bytes")
    with archive.open(info) as stream:
        content = stream.read(limit + 1)
    if len(content) != info.file_size:
        raise zipfile.BadZipFile(f"{name} has another size than it says")
    return content


def _manifest(path: str | Path, content: bytes) -> Target:
    try:
        found = json.loads(content)
        if found["format"] != "dhx" or found["version"] > VERSION:
            raise DhcError(
                Diagnostic(
                    "artifact-version",
                    f"'{path}' was written by a newer version of dhc.",
                    hints=("update dhc, or compile the program again",),
                )
            )
        options = {str(k): v for k, v in found["options"].items()}
        if not all(isinstance(v, (str, int, float, bool)) for v in options.values()):
            raise TypeError("an option is not a simple value")
        return Target(str(found["target"]), int(found["threads"]), str(found["precision"]), options)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise _damaged(path, f"the manifest is wrong: {error}") from error


def _damaged(path: str | Path, why: str) -> DhcError:
    return DhcError(
        Diagnostic("artifact-damaged", f"'{path}' is not a whole .dhx artifact: {why}.")
    )
