"""Sizes of tensors in the scalar language."""

from __future__ import annotations

from dhc.ir.scalar import Scalar, Var, index, lift, minimum
from dhc.ir.size import Atom, Count, Least, Size, Symbol
from dhc.ir.types import DType


def size_scalar(size: Size) -> Scalar:
    """Returns a size as an index expression; its symbols become run-time sizes of the kernel."""
    if isinstance(size, int):
        return lift(size, DType.I64)
    total = index(0)
    for monomial, coefficient in size.terms:
        product = index(coefficient)
        for atom in monomial:
            product = product * _atom_scalar(atom)
        total = total + product
    return total


def _atom_scalar(atom: Atom) -> Scalar:
    match atom:
        case Symbol(name) | Count(name):
            return Var(name, DType.I64)
        case Least(value, most):
            return minimum(size_scalar(value), most)
    return size_scalar(atom.value) // atom.divisor


def axis_variable(name: str, size: Size) -> Var:
    """Returns an index variable for an axis; its range is known where the size is."""
    return Var(name, DType.I64, size if isinstance(size, int) else None)
