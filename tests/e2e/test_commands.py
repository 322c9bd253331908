"""The command line: what each command prints, and how the user's mistakes end."""

from __future__ import annotations

import json
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dhc.cli import app

ROOT = Path(__file__).resolve().parents[2]
RESNET = str(ROOT / "models" / "resnet.dhm")
TISSUE = str(ROOT / "models" / "ct_tissue.dhm")
SMALL = ("--shape", "N=1", "--shape", "H=32", "--shape", "W=32")
COMMANDS = [command.name or command.callback.__name__ for command in app.registered_commands]


def _run(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def _fail(*arguments: str) -> str:
    """The error text of a command line in a process of its own."""
    command = [sys.executable, "-c", "from dhc.cli import main; main()", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    return done.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_an_example(command: str) -> None:
    assert f"Example: dhc {command}" in _run(command, "--help")


@pytest.mark.parametrize("command", [(), ("compile",)])
def test_help_loads_nothing_heavy(command: tuple[str, ...]) -> None:
    program = (
        "import sys\ntry:\n    from dhc.cli import main\n    main()\nexcept SystemExit:\n    pass\n"
        "print([m for m in ('numpy', 'numba', 'llvmlite', 'lark', 'pydicom') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *command, "--help"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.splitlines()[-1] == "[]"


TARGETS = """dhm 1
model M() {
    input x: f32[N, 8]
    output y = x -> relu()
}
target edge {
    backend = fpga(part="xczu9eg", clock=200MHz)
    quantize = int8(calibrate=128, per=channel)
}
target plain {
    backend = fpga(part="xczu9eg", clock=200MHz)
}
"""


def test_targets_of_a_file_are_checked(tmp_path: Path) -> None:
    file = tmp_path / "targets.dhm"
    file.write_text(TARGETS)
    assert "good" in _run("check", str(file), "--target", "plain")
    assert "quantization, which does not exist yet" in _fail("check", str(file), "--target", "edge")
    file.write_text(TARGETS.replace("part=", "prt=").replace("    quantize", "    # quantize"))
    text = _fail("check", str(file))
    assert "targets.dhm:7:15" in text
    assert "did you mean 'part'?" in text
    file.write_text(TARGETS.replace("fpga(", "fpgaa("))
    assert "did you mean 'fpga'?" in _fail("check", str(file))


def test_the_clock_of_a_target_reaches_the_design(tmp_path: Path) -> None:
    file, design = tmp_path / "targets.dhm", tmp_path / "design"
    file.write_text(TARGETS.replace("200MHz", "250MHz"))
    _run("compile", str(file), "M", "--target", "plain", "--shape", "N=1", "-o", str(design))
    assert "create_clock -period 4\n" in (design / "vitis_hls.tcl").read_text()


def test_check_names_what_sizes_must_be(tmp_path: Path) -> None:
    file = tmp_path / "half.dhm"
    file.write_text(
        "dhm 1\nmodel M() {\n    input x: f32[N, 1, H, W]\n    y = x -> maxpool(2) -> upsample(2)\n"
        "    output z = (x, y) -> concat(axis=C)\n}\n"
    )
    assert "H % 2 == 0" in _run("check", str(file))
    found = json.loads(_run("check", str(file), "--json"))
    assert "W % 2 == 0" in found["constraints"][str(file)]["M"]


def test_sizes_that_do_not_work_are_explained(tmp_path: Path) -> None:
    file = tmp_path / "half.dhm"
    file.write_text(
        "dhm 1\nmodel M() {\n    input x: f32[N, 1, H, W]\n    y = x -> maxpool(2) -> upsample(2)\n"
        "    output z = (x, y) -> concat(axis=C)\n}\n"
    )
    sizes = ("--shape", "N=1", "--shape", "H=33", "--shape", "W=32")
    text = _fail("explain", str(file), "--at", "fused", *sizes)
    assert "half.dhm:5:" in text
    assert "H = 33" in text


def test_fmt_says_which_files_would_change(tmp_path: Path) -> None:
    file = tmp_path / "ugly.dhm"
    file.write_text("dhm 1\nmodel   M() { input x: f32[N,1]\n output y=x->relu() }\n")
    result = CliRunner().invoke(app, ["fmt", str(file), "--check"])
    assert result.exit_code == 1
    _run("fmt", str(file))
    assert _run("fmt", str(file), "--check") == ""


@pytest.mark.parametrize("stage", ["graph", "fold_batchnorm", "prepare", "fused", "plan", "source"])
def test_explain_prints_each_stage(stage: str) -> None:
    assert "conv" in _run("explain", RESNET, "ResNet18", "--at", stage, *SMALL)


EXPERIMENT = """dhm 1
model M() {
    input ct: f32[N, 1, H, W]
    output p = ct -> conv(1, kernel=3, pad=1) -> sigmoid()
}
train lung {
    model = M()
    data = dataset("lung.yml")
    loss = mse(out.p, data.m)
    metrics = [auc(out.p, data.m)]
    optimizer = adam(lr=cosine(1e-3 .. 1e-5, warmup=500))
    epochs = 2
}
target edge {
    backend = fpga(part="xczu9eg")
}
app nodules {
    input ct: dicom_series(modality="CT")
    output seg = ct -> M() -> threshold(0.5)
}
study best {
    candidates = [lung]
    split = by(patient)
    folds = 5
    select = max(val.auc)
}
"""


@pytest.mark.parametrize(
    ("name", "line"),
    [
        (
            "lung",
            "optimizer = adam(lr=cosine(lr=0.001 .. 1e-05, warmup=500, cycle=0, grow=1), beta1=0.9",
        ),
        ("lung", "loss = mse(out.p, data.m)"),
        ("edge", 'backend = fpga(part="xczu9eg")'),
        ("nodules", "output seg = ct -> M() -> threshold(0.5)"),
        ("best", "select = max(val.auc)"),
    ],
)
def test_explain_prints_experiments_with_their_defaults(
    tmp_path: Path, name: str, line: str
) -> None:
    file = tmp_path / "experiment.dhm"
    file.write_text(EXPERIMENT)
    assert line in _run("explain", str(file), name)
    assert "M: " not in _run("check", str(file))


@pytest.mark.parametrize("name", ["lung", "nodules", "best"])
def test_what_cannot_run_yet_says_so(tmp_path: Path, name: str) -> None:
    file = tmp_path / "experiment.dhm"
    file.write_text(EXPERIMENT)
    assert "only models and pipelines run" in _fail("run", str(file), name, "missing.png")


def test_explain_prints_the_syntax_without_an_entry() -> None:
    assert "Definition" in _run("explain", RESNET, "--at", "ast")


def test_summary_counts_what_torchvision_has() -> None:
    found = json.loads(_run("summary", RESNET, "ResNet18", *SMALL, "--json"))
    assert found["parameters"] == 11_689_512
    assert sum(layer["parameters"] for layer in found["layers"]) == 11_689_512


def test_graph_draws_every_layer(tmp_path: Path) -> None:
    _run("graph", RESNET, "ResNet18", "-o", str(tmp_path / "net.svg"))
    root = ElementTree.parse(tmp_path / "net.svg").getroot()
    texts = [element.text or "" for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert any("logits.dense" in text for text in texts)
    assert any("f32[N, 3, H, W]" in text for text in texts)


def test_a_compiled_file_runs_as_its_source_does(tmp_path: Path) -> None:
    artifact, first, second = (str(tmp_path / name) for name in ("t.dhx", "a.npy", "b.npy"))
    _run("compile", TISSUE, "Tissue", "-o", artifact)
    _run("run", artifact, "example:ct", "-o", first)
    _run("run", TISSUE, "Tissue", "example:ct", "-o", second)
    assert Path(first).read_bytes() == Path(second).read_bytes()


def test_an_fpga_design_is_written_and_verified(tmp_path: Path) -> None:
    mlp, design = str(ROOT / "models" / "mlp.dhm"), tmp_path / "design"
    _run("compile", mlp, "TabularMLP", "--target", "fpga", "--shape", "N=1", "-o", str(design))
    assert "agrees with its golden data" in _run("verify", str(design))
    (golden,) = (path for path in (design / "data").iterdir() if "out" in path.name)
    golden.write_bytes(bytes(len(golden.read_bytes())))
    result = CliRunner().invoke(app, ["verify", str(design)])
    assert result.exit_code == 3


def test_bench_reports_time_and_error() -> None:
    sizes = ("--shape", "H=32", "--shape", "W=32")
    found = json.loads(_run("bench", RESNET, "ResNet18", *sizes, "--rounds", "2", "--json"))
    assert found["max_error"] < 2e-6
    assert found["flop"] > 7e7
    assert set(found) >= {"file", "entry", "target", "precision", "batch", "threads", "shapes"}


def test_doctor_and_cache_report() -> None:
    assert "vector units" in _run("doctor")
    assert json.loads(_run("cache", "--json"))["bytes"] >= 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("summary", RESNET, "ResNet81"), "did you mean 'ResNet18'?"),
        (("summary", RESNET), "Say which model or pipeline is meant."),
        (("summary", RESNET, "ResNet18"), "open sizes: H, N, W"),
        (("bench", RESNET, "ResNet18", "--shape", "Q=3"), "There is no size 'Q'."),
        (("explain", RESNET, "ResNet18", "--at", "fsued", *SMALL), "did you mean"),
        (("check", RESNET, "--target", "cupu"), "There is no backend 'cupu'."),
        (("run", TISSUE, "Tissue", "missing.dcm"), "missing.dcm"),
        (("run", TISSUE, "Tissue", RESNET), "cannot be decoded"),
        (("run", TISSUE, "Tissue", "example:us"), "The program takes ct as f32[N, 1, H, W]"),
        (("summary", RESNET, "ResNet18", "--set", "ResNet18.clases=3", *SMALL), "classes"),
        (("run", "no.dhx", "example:ct"), "no.dhx"),
        (("run", TISSUE, "Tisue", "example:ct"), "did you mean 'Tissue'?"),
        (("run", TISSUE, "Tissue", "example:ct", "-o", RESNET), "is a file, not a folder"),
        (("graph", TISSUE, "Tissue", "-o", "net.pdf"), "A drawing is SVG"),
        (("graph", TISSUE, "Tissue", "-o", f"{RESNET}/net.svg"), "cannot be used: not a directory"),
        (("verify", "tests"), "'tests' holds no FPGA design"),
        (("compile", TISSUE, "Tissue", "-o", "folder", *SMALL), "writes no project"),
    ],
)
def test_mistakes_end_in_one_diagnostic(arguments: tuple[str, ...], message: str) -> None:
    assert message in _fail(*arguments)


def test_check_reads_trains_and_studies(tmp_path: Path) -> None:
    file = tmp_path / "experiment.dhm"
    file.write_text(EXPERIMENT.replace("max(val.auc)", "min(val.auc)"))
    assert "write max(val.auc)" in _fail("check", str(file))
