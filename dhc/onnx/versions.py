"""The versions of ONNX's own operators, and which of them are read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from dhc.onnx.file import refused

if TYPE_CHECKING:
    import onnx

DOMAINS = ("", "ai.onnx")  # how files call ONNX's own operators
OPSETS = range(1, 29)
WHOLE = 6  # the first version of which all is read, and of earlier ones what has not changed


def version_of(
    imports: Sequence[onnx.OperatorSetIdProto], nodes: Iterable[onnx.NodeProto], usual: int
) -> int:
    """Returns the version of ONNX's own operators; the usual one where no node needs to know.

    Raises:
        DhcError: if dhc does not read it, or it is not said.
    """
    for each in imports:
        if each.domain in DOMAINS:
            if each.version not in OPSETS:
                text = f"The model uses version {each.version} of ONNX's operators."
                raise refused(text, f"dhc reads versions {OPSETS[0]} to {OPSETS[-1]}")
            return int(each.version)
    if any(node.domain in DOMAINS for node in nodes):
        raise refused("The model does not say which version of ONNX's operators it uses.")
    return usual
