"""ONNX: models of other software as graphs.

`load` reads a file, with what the operators say of themselves; what cannot be read is told all at
once, before anything runs.
"""

from __future__ import annotations

from dhc.onnx.read import Imported, load

__all__ = ["Imported", "load"]
