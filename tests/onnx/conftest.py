"""ONNX's own test cases of nodes, which its package makes only once in a process."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import cache
from typing import Any

import pytest


@cache
def _cases() -> Sequence[Any]:
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return collect_testcases(None)


@pytest.fixture(scope="session")
def node_cases() -> Sequence[Any]:
    return _cases()
