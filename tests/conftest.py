"""What all tests share: golden files and the folder of real images."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT.parent / "shared" / "data"

CheckGolden = Callable[[Path, str], None]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden", action="store_true", help="write golden files instead of comparing"
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skips what needs a GPU where there is none."""
    waiting = [item for item in items if item.get_closest_marker("gpu")]
    if waiting and not _has_gpu():
        for item in waiting:
            item.add_marker(pytest.mark.skip(reason="there is no NVIDIA GPU, or no CuPy"))


def _has_gpu() -> bool:
    try:
        import cupy
    except ImportError:
        return False
    return bool(cupy.cuda.is_available())


@pytest.fixture
def check_golden(request: pytest.FixtureRequest) -> CheckGolden:
    """Compares text with a golden file, or writes the file with `--update-golden`."""

    def check(path: Path, text: str) -> None:
        if request.config.getoption("--update-golden"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            return
        assert path.exists(), (
            f"no golden file {path.name}; run pytest --update-golden and review it"
        )
        assert text == path.read_text(encoding="utf-8")

    return check


@pytest.fixture
def medical_data() -> Path:
    """The folder of real medical images; tests that need it are skipped where it is absent."""
    if not DATA.is_dir():
        pytest.skip("the folder of real medical images is not on this machine")
    return DATA
