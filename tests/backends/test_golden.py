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
from dhc.backends.cpu.features import AVX512

HERE = Path(__file__).resolve().parent
TOO_LONG_FOR_LLVM = ("conv_batchnorm_add_relu",)
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


def test_cpu(
    kernel: str, lower: Lower, check_golden: CheckGolden, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The text for 512-bit vectors; the machine that prints it needs none."""
    if kernel in TOO_LONG_FOR_LLVM:
        pytest.skip("a thousand lines of unrolled code are no reading matter")
    monkeypatch.setattr("dhc.backends.cpu.engine.host_isa", lambda limit: AVX512)
    text = lower(kernel, Target("cpu")).source.text
    kernels = re.findall(r"^define internal void @k.*?^}", text, re.DOTALL | re.MULTILINE)
    check_golden(HERE / "cpu" / f"{kernel}.ll", "\n\n".join(kernels) + "\n")
