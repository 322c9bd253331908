"""Types of the values of one sample, as pipelines declare them."""

from __future__ import annotations

from collections.abc import Callable

from dhc.frontend import ast
from dhc.frontend.fail import error
from dhc.ir.size import Shape, symbol
from dhc.ir.types import DType, Tensor

IMAGES = ("image", "volume", "series")
MASKS = ("mask",)
VALUE_TYPES = (
    *IMAGES, *MASKS, "signal", "label", "labels", "tabular", "text", "points", "boxes",
)  # fmt: skip

_HEIGHT, _WIDTH, _DEPTH, _TIME = symbol("H"), symbol("W"), symbol("D"), symbol("T")


def sample_type(
    parameter: ast.Parameter,
    all_parameters: tuple[ast.Parameter, ...],
    dtype: DType,
    size_of: Callable[[ast.Expression], int],
) -> Tensor:
    """The tensor type of a pipeline's parameter; images and masks share their height and width."""
    type = parameter.type
    assert type is not None
    kind = type.name.text
    count = _count(type, size_of)
    volumetric = any(p.type is not None and p.type.name.text == "volume" for p in all_parameters)
    plane: Shape = (_DEPTH, _HEIGHT, _WIDTH) if volumetric else (_HEIGHT, _WIDTH)
    match kind:
        case "image" | "volume":
            area = plane if kind == "volume" else (_HEIGHT, _WIDTH)
            return Tensor(dtype, (count, *area))
        case "mask":
            return Tensor(DType.U8, (count, *plane))
        case "series":
            return Tensor(dtype, (count, _TIME, _HEIGHT, _WIDTH))
        case "signal":
            return Tensor(DType.F32, (count, _TIME))
        case "label":
            return Tensor(DType.I64, ())
        case "labels" | "tabular":
            return Tensor(DType.F32, (count,))
        case "text":
            return Tensor(DType.I64, (symbol("L"),))
        case _:
            return Tensor(DType.F32, (symbol("K"), 4 if kind == "boxes" else 2))


def _count(type: ast.Type, size_of: Callable[[ast.Expression], int]) -> int:
    """Channels, classes or columns: the number in brackets."""
    if not type.dims:
        return 1
    if len(type.dims) > 1 or type.dims[0].size is None:
        message = f"'{type.name.text}' takes one number in brackets."
        raise error("type", message, type.span, "here", f"write {type.name.text}[3]")
    return size_of(type.dims[0].size)
