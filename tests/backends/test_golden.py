"""The sources that backends print for a few small kernels, held to reviewed files.

`pytest tests/backends/test_golden.py --update-golden` writes them. What is the same for all
programs of a backend is left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from dhc.backends import cuda, opencl
from dhc.backends.base import Lowered, Target

HERE = Path(__file__).resolve().parent
SMALL_FOR_LLVM = ("relu", "add_broadcast", "gather", "window_u8")
Lower = Callable[[str, Target], Lowered]
CheckGolden = Callable[[Path, str], None]


def test_opencl_and_cuda(kernel: str, lower: Lower, check_golden: CheckGolden) -> None:
    text = lower(kernel, Target("opencl")).source.text.removeprefix(opencl.preamble())
    check_golden(HERE / "opencl" / f"{kernel}.cl", text)
    assert lower(kernel, Target("cuda")).source.text == cuda.preamble() + text


def test_fpga(kernel: str, lower: Lower, check_golden: CheckGolden) -> None:
    check_golden(HERE / "fpga" / f"{kernel}.cpp", lower(kernel, Target("fpga")).source.text)


def test_numba(kernel: str, lower: Lower, check_golden: CheckGolden) -> None:
    target = Target("cpu", options={"engine": "numba"})
    check_golden(HERE / "numba" / f"{kernel}.py.txt", lower(kernel, target).source.text)


@pytest.mark.parametrize("small", SMALL_FOR_LLVM)
def test_cpu(small: str, lower: Lower, check_golden: CheckGolden) -> None:
    text = lower(small, Target("cpu", options={"isa": "generic"})).source.text
    kernels = re.findall(r"^define internal void @k.*?^}", text, re.DOTALL | re.MULTILINE)
    check_golden(HERE / "cpu" / f"{small}.ll", "\n\n".join(kernels) + "\n")
