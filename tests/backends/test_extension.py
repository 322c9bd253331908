"""A backend that another package brings: one folder and one line of its packaging.

The folder is `plain_c/` beside this file. Installing it is what pip would do: the folder on the
path, and an entry point of the group `dhc.backends`. Nothing of dhc is touched.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from dhc.cli import app
from dhc.driver import compile_graph
from dhc.errors import DhcError
from dhc.frontend import load_text
from dhc.targets import backend_names

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
TARGET = 'target workshop { backend = plain_c(comment="made here") }'
TEXT = """
    model Net() {
        input x: f32[2, 3, 9, 8]
        a = x -> conv(4, kernel=3, pad=same) -> batchnorm() -> gelu()
        b = a -> maxpool(2) -> upsample(like=a, mode=bilinear)
        output y = (a, b) -> concat(axis=C) -> groupnorm(2) -> dense(5) -> softmax(axis=W)
    }
"""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = tmp_path / "site"
    shutil.copytree(HERE / "plain_c", site / "dhc_plain_c")
    record = site / "dhc_plain_c-1.0.dist-info"
    record.mkdir()
    (record / "METADATA").write_text("Metadata-Version: 2.1\nName: dhc-plain-c\nVersion: 1.0\n")
    (record / "entry_points.txt").write_text("[dhc.backends]\nplain_c = dhc_plain_c:PlainBackend\n")
    monkeypatch.syspath_prepend(site)


def run(*arguments: str) -> str:
    """What a command writes to standard output."""
    result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.mark.usefixtures("installed")
def test_it_compiles_what_the_language_says() -> None:
    graph = load_text(TEXT).model("Net").graph
    x = np.random.default_rng(0).normal(size=(2, 3, 9, 8)).astype(np.float32)
    expected = compile_graph(graph, "reference")(x=x)["y"]
    np.testing.assert_allclose(compile_graph(graph, "plain_c")(x=x)["y"], expected, atol=1e-6)


@pytest.mark.usefixtures("installed")
def test_every_command_knows_it(tmp_path: Path) -> None:
    file = tmp_path / "net.dhm"
    file.write_text(f"{TEXT}\n{TARGET}\n", encoding="utf-8")
    run("check", str(file), "--target", "plain_c")
    source = run("explain", str(file), "Net", "--at", "source", "--target", "workshop")
    assert "/* made here */" in source
    found = json.loads(run("bench", str(file), "Net", "--target", "workshop", "--json"))
    assert found["max_error"] < 1e-5
    main_job = ("Tissue", "example:ct", "--pipeline", "prepare", "-o", str(tmp_path / "out"))
    run("run", str(ROOT / "models" / "ct_tissue.dhm"), *main_job, "--target", "plain_c")
    assert (tmp_path / "out" / "CT_small_tissue.png").exists()


@pytest.mark.usefixtures("installed")
def test_its_options_are_checked_like_those_of_any_other() -> None:
    from dhc.backends.base import Target

    graph = load_text(TEXT).model("Net").graph
    with pytest.raises(DhcError, match=r"'plain_c' has no option 'coment'(.|\n)*'comment'"):
        compile_graph(graph, Target("plain_c", options={"coment": "x"}))


def test_it_is_gone_afterwards() -> None:
    assert "plain_c" not in backend_names()
