"""The command line. One function for each command; what is heavy is imported inside."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    name="dhc",
    help="Compile networks and image pipelines for medical images.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

File = Annotated[Path, typer.Argument(help="A .dhm program.")]
Files = Annotated[list[Path], typer.Argument(help="One or more .dhm programs.")]
Entry = Annotated[
    str, typer.Argument(help="A model or pipeline of it; may be left out if only one.")
]
Settings = Annotated[
    list[str] | None, typer.Option("--set", help="Override a parameter: NAME.param=value.")
]
Shapes = Annotated[list[str] | None, typer.Option("--shape", help="Bind a size: N=1. Repeat it.")]
TargetName = Annotated[
    str, typer.Option("--target", "-t", help="A target block of the file, else a backend.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs to read.")]
Threads = Annotated[int, typer.Option(help="Workers on the processor; 0 means one for each core.")]


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"dhc {version('dhc')}")
        raise typer.Exit


@app.callback()
def general(
    context: typer.Context,
    verbose: Annotated[
        int,
        typer.Option(
            "--verbose",
            "-v",
            count=True,
            show_default=False,
            help="Say what happens and how long it takes; -vv with details.",
        ),
    ] = 0,
    dump: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write every stage of a compilation into a new folder."),
    ] = None,
    check_numerics: Annotated[
        bool,
        typer.Option("--check-numerics", help="Compare results with numpy after every pass."),
    ] = False,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Compile networks and image pipelines for medical images."""
    from dhc.commands.session import open_session

    context.with_resource(open_session(sys.argv[1:], verbose, dump, check_numerics))


@app.command()
def check(files: Files, target: TargetName = "", json: Json = False) -> None:
    """Parse files and check names, types and shapes.

    Example: dhc check models/unet.dhm --target opencl
    """
    from dhc.commands.check import check_files

    _finish(check_files(files, target, json))


@app.command()
def fmt(
    files: Files,
    check: Annotated[bool, typer.Option("--check", help="Change nothing; fail if needed.")] = False,
) -> None:
    """Rewrite files in the one canonical form; comments are kept.

    Example: dhc fmt models/*.dhm --check
    """
    from dhc.commands.check import format_files

    _finish(format_files(files, check))


@app.command()
def explain(
    file: File,
    entry: Entry = "",
    at: Annotated[
        str, typer.Option(help="ast, graph, a pass, fused, plan, kernels or source.")
    ] = "graph",
    target: TargetName = "cpu",
    shape: Shapes = None,
    set: Settings = None,
) -> None:
    """Print any stage of a compilation.

    Example: dhc explain models/unet.dhm UNet --at fused --shape N=1 --shape H=64 --shape W=64
    """
    from dhc.commands.entries import Request
    from dhc.commands.inspect import explain_entry

    _finish(explain_entry(Request(file, entry, set or []), at, target, shape or []))


@app.command()
def summary(
    file: File, entry: Entry = "", shape: Shapes = None, set: Settings = None, json: Json = False
) -> None:
    """List layers, shapes, parameters, work and memory.

    Example: dhc summary models/resnet.dhm ResNet18 --shape N=1 --shape H=224 --shape W=224
    """
    from dhc.commands.entries import Request
    from dhc.commands.inspect import summarise_entry

    _finish(summarise_entry(Request(file, entry, set or []), shape or [], json))


@app.command()
def graph(
    file: File,
    entry: Entry = "",
    output: Annotated[Path, typer.Option("-o", help="Where the drawing goes.")] = Path("graph.svg"),
    set: Settings = None,
) -> None:
    """Draw the layers of a model as SVG.

    Example: dhc graph models/unet.dhm UNet -o unet.svg
    """
    from dhc.commands.entries import Request
    from dhc.commands.inspect import draw_entry

    _finish(draw_entry(Request(file, entry, set or []), output))


@app.command(name="compile")
def compile_(
    file: File,
    entry: Entry = "",
    output: Annotated[
        Path, typer.Option("-o", help="A .dhx file, or a folder for an FPGA.")
    ] = Path("out.dhx"),
    target: TargetName = "cpu",
    weights: Annotated[Path | None, typer.Option(help="A safetensors file.")] = None,
    shape: Shapes = None,
    set: Settings = None,
    threads: Threads = 0,
) -> None:
    """Compile a model or pipeline into one .dhx file, or for an FPGA into a folder.

    Example: dhc compile models/unet.dhm UNet --target cpu --shape N=1 -o unet.dhx
    """
    from dhc.commands.build import compile_entry
    from dhc.commands.entries import Request

    request = Request(file, entry, set or [])
    _finish(compile_entry(request, output, target, weights, shape or [], threads))


@app.command()
def verify(
    folder: Annotated[Path, typer.Argument(help="A project that `dhc compile` wrote.")],
) -> None:
    """Check a generated FPGA design against its golden data, by C-simulation.

    Example: dhc verify design
    """
    from dhc.commands.build import verify_project

    _finish(verify_project(folder))


@app.command()
def run(
    file: Annotated[Path, typer.Argument(help="A .dhm program or a .dhx artifact.")],
    arguments: Annotated[
        list[str], typer.Argument(help="[ENTRY] INPUT...: images, DICOM files, .npy, example:ct.")
    ],
    output: Annotated[Path, typer.Option("-o", help="A .png or .npy file, or a folder.")] = Path(
        "out"
    ),
    pipeline: Annotated[str, typer.Option(help="A pipeline to put before the model.")] = "",
    weights: Annotated[Path | None, typer.Option(help="A safetensors file.")] = None,
    target: TargetName = "cpu",
    set: Settings = None,
    threads: Threads = 0,
    json: Json = False,
) -> None:
    """Run a model or pipeline on images and write what it finds.

    Example: dhc run models/ct_tissue.dhm Tissue example:ct --pipeline prepare -o out
    """
    from dhc.commands.run import RunOptions, run_entry

    options = RunOptions(output, pipeline, weights, target, set or [], threads, json)
    _finish(run_entry(file, arguments, options))


@app.command(name="import")
def import_(
    file: Annotated[Path, typer.Argument(help="A model of ONNX.")],
    output: Annotated[Path, typer.Option("-o", help="The program; its weights lie beside it.")],
    shape: Shapes = None,
    value: Annotated[
        list[str] | None,
        typer.Option("--value", help="Give an input's value: rate=16000, axes=0,1. Repeat it."),
    ] = None,
) -> None:
    """Turn a model of ONNX into a readable program and a safetensors file.

    Example: dhc import resnet.onnx -o resnet.dhm
    """
    from dhc.commands.exchange import import_model

    _finish(import_model(file, output, shape or [], value or []))


@app.command()
def export(
    file: Annotated[Path, typer.Argument(help="A .dhm program, or the folder of a run.")],
    entry: Entry = "",
    output: Annotated[Path, typer.Option("-o", help="The file.")] = Path("out.onnx"),
    pipeline: Annotated[str, typer.Option(help="A pipeline to put before the model.")] = "",
    weights: Annotated[Path | None, typer.Option(help="A safetensors file.")] = None,
    opset: Annotated[int, typer.Option(help="The version of ONNX's operators.")] = 21,
    set: Settings = None,
) -> None:
    """Write a model or pipeline, or the network of a run, as a model of ONNX.

    Example: dhc export models/unet.dhm UNet -o unet.onnx
    """
    from dhc.commands.entries import Request
    from dhc.commands.exchange import ExportOptions, export_model

    options = ExportOptions(output, pipeline, weights, opset)
    _finish(export_model(Request(file, entry, set or []), options))


@app.command()
def train(
    file: File,
    name: Annotated[str, typer.Argument(help="A train of it; may be left out if only one.")] = "",
    out: Annotated[Path | None, typer.Option(help="The run's folder; else runs/NAME.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run there.")] = False,
    target: TargetName = "",
    set: Annotated[
        list[str] | None, typer.Option("--set", help="Override a setting: NAME.epochs=3.")
    ] = None,
    threads: Threads = 0,
    json: Json = False,
) -> None:
    """Train what a train block describes; the folder of the run keeps all that came of it.

    Example: dhc train models/lung_nodules.dhm --out runs/first
    """
    from dhc.commands.train import TrainOptions, train_entry

    options = TrainOptions(out, resume, target, set or [], threads, json)
    _finish(train_entry(file, name, options))


@app.command()
def study(
    file: File,
    name: Annotated[str, typer.Argument(help="A study, or a train with folds.")] = "",
    out: Annotated[Path | None, typer.Option(help="Its folder; else studies/NAME.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the study there.")] = False,
    target: TargetName = "cpu",
    threads: Threads = 0,
    json: Json = False,
) -> None:
    """Compare candidates on the same folds, choose by validation, and open the test part once.

    Example: dhc study skin.dhm melanoma --out studies/first
    """
    from dhc.commands.study import StudyOptions, study_entry

    _finish(study_entry(file, name, StudyOptions(out, resume, target, threads, json)))


@app.command(name="eval")
def evaluate(
    folder: Annotated[Path, typer.Argument(help="A run that `dhc train` wrote.")],
    part: Annotated[str, typer.Option(help="train, val or test; else val and test.")] = "",
    json: Json = False,
) -> None:
    """Measure the best weights of a run on its data, with intervals.

    Example: dhc eval runs/first --part test
    """
    from dhc.commands.train import evaluate_run

    _finish(evaluate_run(folder, part, json))


@app.command()
def predict(
    run: Annotated[Path, typer.Argument(help="A run that `dhc train` wrote.")],
    inputs: Annotated[
        list[str] | None, typer.Argument(help="Images: DICOM, NIfTI, pictures, .npy.")
    ] = None,
    output: Annotated[Path, typer.Option("-o", help="A folder, or one .png or .npy file.")] = Path(
        "out"
    ),
    part: Annotated[str, typer.Option(help="A part of the run's data: train, val, test.")] = "",
    target: Annotated[str, typer.Option("--target", "-t", help="A backend.")] = "cpu",
    json: Json = False,
) -> None:
    """Apply the best weights of a run to images, or to a part of its data.

    Example: dhc predict runs/first slice.dcm -o out
    """
    from dhc.commands.predict import PredictOptions, predict_run

    options = PredictOptions(output, part, target, json)
    _finish(predict_run(run, inputs or [], options))


@app.command()
def kpi(
    runs: Annotated[
        list[Path] | None, typer.Argument(help="Folders of runs or studies; else those in runs.")
    ] = None,
    declare: Annotated[
        list[str] | None,
        typer.Option("--declare", help="Note a time: pipeline=, design= or deployment=2h30min."),
    ] = None,
    json: Json = False,
) -> None:
    """Show how long development took: toppi, totm, ttmip, each measured, declared or unknown.

    Example: dhc kpi runs/first --declare design=2h
    """
    from dhc.commands.kpi import report_indicators

    _finish(report_indicators(runs or [], declare or [], json))


@app.command()
def bench(
    file: Annotated[Path, typer.Argument(help="A .dhm program or a .dhx artifact.")],
    entry: Entry = "",
    target: TargetName = "cpu",
    batch: Annotated[int, typer.Option(min=1, help="The size N.")] = 1,
    threads: Threads = 0,
    precision: Annotated[str, typer.Option(help="f32, f32x3, bf16; f64 on reference.")] = "",
    rounds: Annotated[int, typer.Option(min=1, help="Timed calls.")] = 20,
    shape: Shapes = None,
    set: Settings = None,
    json: Json = False,
) -> None:
    """Time a program and compare its results with float64.

    Example: dhc bench models/resnet.dhm ResNet18 --shape H=224 --shape W=224 --threads 2 --json
    """
    from dhc.commands.bench import BenchOptions, bench_entry
    from dhc.commands.entries import Request

    options = BenchOptions(target, batch, threads, precision, rounds, shape or [])
    _finish(bench_entry(Request(file, entry, set or []), options, json))


@app.command()
def doctor(json: Json = False) -> None:
    """Report what this machine can do, and how to get what is missing.

    Example: dhc doctor
    """
    from dhc.commands.machine import report_machine

    _finish(report_machine(json))


@app.command()
def cache(
    prune: Annotated[bool, typer.Option("--prune", help="Remove all entries.")] = False,
    json: Json = False,
) -> None:
    """Show or empty the cache of compiled objects and synthetic data sets.

    Example: dhc cache --prune
    """
    from dhc.commands.machine import report_cache

    _finish(report_cache(prune, json))


@app.command()
def reduce(
    file: File,
    entry: Entry = "",
    output: Annotated[Path | None, typer.Option("-o", help="Where the graph goes.")] = None,
    target: TargetName = "cpu",
    shape: Shapes = None,
    set: Settings = None,
) -> None:
    """Find the pass that breaks a program, and a small graph that it breaks; for reports of bugs.

    Example: dhc reduce models/unet.dhm UNet --shape N=1 --shape H=32 --shape W=32
    """
    from dhc.commands.entries import Request
    from dhc.commands.reduce import reduce_entry

    _finish(reduce_entry(Request(file, entry, set or []), target, shape or [], output))


def _finish(status: int) -> None:
    if status:
        raise typer.Exit(status)


def main() -> None:
    """Runs the command line; mistakes and bugs end in words and a status, not in tracebacks."""
    signal.signal(signal.SIGTERM, _terminate)
    _guard(lambda: app())


def _terminate(number: int, frame: object) -> None:
    """Ends like an exception, so that files that are not complete are removed."""
    sys.exit(128 + number)


def _guard(call: Callable[[], None]) -> None:
    try:
        call()
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
    except Exception as error:
        from dhc.commands.session import explain_failure

        sys.exit(explain_failure(error))
