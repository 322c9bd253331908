"""ONNX: models of other software in, and models of dhc out.

`load` gives a model, `save` writes one, and `dhc.onnx.backend` is the interface that ONNX's own
conformance tests use. What the operators say of themselves is all that is known of ONNX's; what
cannot be read or written is told all at once, before anything runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dhc.onnx.models import load, save

__all__ = ["load", "save"]


def __getattr__(name: str) -> object:
    """Loads the two functions on first use: their models come from the layer above."""
    if name not in __all__:
        raise AttributeError(f"module 'dhc.onnx' has no attribute '{name}'")
    from dhc.onnx import models

    return getattr(models, name)
