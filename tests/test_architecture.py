"""The house rules that imports must keep: they point one way."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "dhc"

# Each package may import those listed with it, and itself.
ALLOWED: dict[str, set[str]] = {
    "source": {"errors"},
    "errors": {"source"},
    "files": set(),
    "ir": {"errors", "source"},
    "ops": {"ir", "errors", "source"},
    "lower": {"ir", "ops", "errors", "source"},
    "recipe": {"ir", "ops", "errors"},
    "metrics": {"errors"},
    "passes": {"ir", "ops", "lower", "errors", "source"},
    "frontend": {"ir", "ops", "grammar", "recipe", "metrics", "errors", "source"},
    "decompile": {"ir", "ops", "frontend", "passes", "errors", "source"},
    "onnx": {"ir", "ops", "errors", "files", "source"},
    "backends": {"ir", "ops", "lower", "passes", "errors", "source", "runtime"},
    "runtime": {"ir", "ops", "errors", "files", "source", "backends"},
    "cached": {"backends", "runtime"},
    "targets": {"backends", "errors", "ir"},
    "opening": {"backends", "cached", "driver", "runtime", "targets", "watch"},
    "driver": {
        "cached",
        "targets",
        "ir",
        "ops",
        "lower",
        "passes",
        "frontend",
        "backends",
        "runtime",
        "errors",
        "source",
        "watch",
    },
    "watch": {"passes"},
    "studies": {
        "api",
        "backends",
        "driver",
        "errors",
        "files",
        "frontend",
        "ir",
        "metrics",
        "passes",
        "runtime",
        "source",
        "training",
    },
    "training": {
        "api",
        "backends",
        "driver",
        "errors",
        "files",
        "frontend",
        "ir",
        "metrics",
        "ops",
        "passes",
        "recipe",
        "runtime",
        "source",
        "targets",
    },
}


# Some modules may import more: ONNX's interface to backends is about running models, not reading.
ALSO: dict[str, set[str]] = {
    "onnx/backend.py": {"backends", "driver", "runtime", "targets"},
    "onnx/models.py": {"api", "frontend", "passes"},  # the public functions give and take models
    "onnx/tidy/__init__.py": {"passes"},  # what is tidied in every graph
}


def _files() -> list[Path]:
    """All modules; `rglob` alone leaves out the folders that are links."""
    folders = [path for path in PACKAGE.iterdir() if path.is_dir()]
    return sorted({*PACKAGE.glob("*.py"), *(p for folder in folders for p in folder.rglob("*.py"))})


def _modules() -> list[Path]:
    return [p for p in _files() if p.relative_to(PACKAGE).parts[0] in _names()]


def _names() -> set[str]:
    return {*ALLOWED, *(f"{name}.py" for name in ALLOWED)}


def _imported(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found: set[str] = set()
    for node in ast.walk(tree):
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
        found |= {name.split(".")[1] for name in names if name.startswith("dhc.")}
    return found


@pytest.mark.parametrize("path", _modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_point_one_way(path: Path) -> None:
    name = path.relative_to(PACKAGE)
    owner = name.parts[0].removesuffix(".py")
    forbidden = _imported(path) - ALLOWED[owner] - {owner} - ALSO.get(name.as_posix(), set())
    assert not forbidden, f"{owner} must not import {', '.join(sorted(forbidden))}"


def test_the_core_names_no_backend() -> None:
    for owner in ("ir", "ops", "lower", "passes", "frontend"):
        for path in (PACKAGE / owner).rglob("*.py"):
            text = path.read_text(encoding="utf-8")
            assert "dhc.backends." not in text, f"{path.name} names a backend"


@pytest.mark.parametrize("path", _modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_files_stay_small(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 450


def test_nothing_unpickles_or_evaluates() -> None:
    """Files from outside are hostile: no module may even import pickle or call eval or exec.

    The one text that becomes Python code is what the numba engine has printed itself; it is
    imported by a loader of its own (`dhc.backends.cpu.numba.executable.import_text`).
    """
    for path in _files():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            assert not (
                isinstance(node, ast.Import) and any(a.name == "pickle" for a in node.names)
            )
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                forbidden = node.func.id in ("eval", "exec")
                assert not forbidden, f"{path.name} calls {node.func.id}"


def test_a_plain_run_leaves_slow_tests_out(pytestconfig: pytest.Config) -> None:
    """A marker that nothing deselects would only be a word."""
    assert "not slow" in pytestconfig.getini("addopts")
