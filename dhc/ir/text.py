"""The text of expressions, kernels and graphs. What is printed parses back to the same value.

Parsing checks all it reads, within limits of size and nesting, and takes no name but those of
operator classes that are loaded: text from outside can be wrong, but it cannot run anything.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import TypeVar

from dhc.errors import DhcError, Diagnostic
from dhc.ir.graph import Graph
from dhc.ir.kernel import Kernel
from dhc.ir.scalar import Scalar
from dhc.ir.text_graph import GraphParser, graph_text, known_operators
from dhc.ir.text_kernel import KernelParser, print_kernel
from dhc.ir.text_scalar import print_scalar
from dhc.ir.text_scalar_parse import ScalarParser
from dhc.ir.text_tokens import Cursor

T = TypeVar("T")

__all__ = [
    "graph_digest",
    "parse_graph",
    "parse_kernel",
    "parse_scalar",
    "print_graph",
    "print_kernel",
    "print_scalar",
]


def print_graph(graph: Graph, origins: bool = True) -> str:
    """Returns the text of a graph, with comments that tell where nodes came from if asked."""
    return graph_text(graph, origins)


def graph_digest(graph: Graph) -> str:
    """Returns the SHA-256 of a graph's text without origins, in hexadecimal."""
    return hashlib.sha256(print_graph(graph, origins=False).encode("utf-8")).hexdigest()


def parse_graph(text: str, path: str = "<graph>") -> Graph:
    """Reads what `print_graph` has written; the data of constants lie elsewhere.

    Args:
        text: The text with its head line.
        path: Name of the text for messages.

    Raises:
        DhcError: if the text is not that of a graph, or names operators that are not there.
    """
    return _whole(text, path, lambda cursor: GraphParser(cursor, known_operators()).graph())


def parse_kernel(text: str, path: str = "<kernel>") -> Kernel:
    """Reads what `print_kernel` has written.

    Raises:
        DhcError: if the text is not that of a kernel.
    """
    return _whole(text, path, lambda cursor: KernelParser(cursor).kernel())


def parse_scalar(text: str, path: str = "<scalar>") -> Scalar:
    """Reads what `print_scalar` has written.

    Raises:
        DhcError: if the text is not that of an expression.
    """
    return _whole(text, path, lambda cursor: ScalarParser(cursor).function())


def _whole(text: str, path: str, parse: Callable[[Cursor], T]) -> T:
    cursor = Cursor(text, path)
    try:
        result = parse(cursor)
    except RecursionError:
        message = f"'{path}' nests too deeply."
        raise DhcError(Diagnostic("ir-too-deep", message)) from None
    if cursor.token.kind != "end":
        cursor.fail("Nothing may follow here.")
    return result
