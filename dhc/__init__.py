"""dhc, the DeepHealth compiler.

    import dhc

    source = dhc.load("models/ct_tissue.dhm")
    program = dhc.compile(source.model("Tissue"), target="cpu")
    tissue = program(ct=array)["tissue"]

Everything public is here. The names load what they need when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dhc import onnx
    from dhc.api import Model, Source, compile, load
    from dhc.backends.base import Target
    from dhc.errors import DhcError, Diagnostic
    from dhc.opening import open_program as open
    from dhc.runtime.data.images import read_image
    from dhc.runtime.program import Program
    from dhc.studies.session import study
    from dhc.training.predict import predict
    from dhc.training.session import train

__all__ = [
    "DhcError",
    "Diagnostic",
    "Model",
    "Program",
    "Source",
    "Target",
    "compile",
    "load",
    "onnx",
    "open",
    "predict",
    "read_image",
    "study",
    "train",
]

_HOMES = {
    "DhcError": "dhc.errors:DhcError",
    "Diagnostic": "dhc.errors:Diagnostic",
    "Model": "dhc.api:Model",
    "Program": "dhc.runtime.program:Program",
    "Source": "dhc.api:Source",
    "Target": "dhc.backends.base:Target",
    "compile": "dhc.api:compile",
    "load": "dhc.api:load",
    "onnx": "dhc.onnx:",
    "open": "dhc.opening:open_program",
    "predict": "dhc.training.predict:predict",
    "read_image": "dhc.runtime.data.images:read_image",
    "study": "dhc.studies.session:study",
    "train": "dhc.training.session:train",
}


def __getattr__(name: str) -> object:
    """Loads a public name on first use, so that `import dhc` and `dhc --help` are quick."""
    if name not in _HOMES:
        raise AttributeError(f"module 'dhc' has no attribute '{name}'")
    from importlib import import_module

    module, attribute = _HOMES[name].split(":")
    home = import_module(module)
    value: object = getattr(home, attribute) if attribute else home
    globals()[name] = value
    return value
