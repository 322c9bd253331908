"""What tests of the runtime share: a small network, and a cache of their own."""

from __future__ import annotations

from pathlib import Path

import pytest

from dhc.api import Model, Source, compile
from dhc.frontend import load_text

TEXT = """dhm 1
pipeline scale(x: image[1]) {
    window(center=0, width=2)
}
model Net() {
    input x: f32[N, 1, H, W]
    output y = x -> conv(2, kernel=3, pad=same) -> batchnorm() -> relu()
}
"""


@pytest.fixture
def source() -> Source:
    return Source(load_text(TEXT))


@pytest.fixture
def model(source: Source) -> Model:
    return source.model("Net")


@pytest.fixture
def cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache that this test alone uses."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("DHC_CACHE", str(folder))
    return folder


@pytest.fixture
def path(model: Model, tmp_path: Path, cache_folder: Path) -> Path:
    """An artifact of one size for the processor."""
    compile(model, "cpu", {"N": 1, "H": 5, "W": 6}).save(tmp_path / "net.dhx")
    return tmp_path / "net.dhx"
