"""Opens artifacts. What the cache knows runs without the compiler: nothing of it is imported."""

from __future__ import annotations

from pathlib import Path

from dhc.backends.base import Adopting
from dhc.cached import entry_name, restore
from dhc.runtime.artifact import ArtifactFile
from dhc.runtime.program import Content, Program, Specialised
from dhc.targets import make_backend
from dhc.watch import wants_fresh


def open_program(path: str | Path) -> Program:
    """Opens an artifact: its program comes from the cache, or is compiled.

    Raises:
        DhcError: if the file is damaged or its target is not available.
    """
    file = ArtifactFile(path)
    reading = file.start_image()
    backend = make_backend(file.target)
    name = entry_name(file.text, file.target, backend)
    restored = None if wants_fresh() else restore(name, backend)
    if restored is None:
        from dhc.driver import compile_graph

        return compile_graph(file.graph, file.target, parameters=file.weights, foreign=True)
    executable = restored.compiled.executable
    loaded = (
        reading is not None
        and reading.program == name
        and isinstance(executable, Adopting)
        and executable.adopt(reading.result(), reading.size)
    )
    made = Specialised(restored.compiled.prepare, executable, loaded)
    content = Content(restored.inputs, lambda: file.graph, lambda: file.weights, name)
    return Program(content, file.target, lambda _: made)
