"""The image pipeline: dhc beside OpenCV, one thread, from a stored picture to a network's input."""

from __future__ import annotations

import argparse
import importlib.util
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

import dhc
from bench.machine import describe, keep_memory, print_description
from bench.output import add_output, write_json
from bench.timing import Plan, Times, interleave
from dhc.commands.report import print_table
from dhc.ir.graph import Array
from dhc.ir.types import DType

HERE = Path(__file__).resolve().parent
HEIGHT, WIDTH = 512, 640
PLANAR, INTERLEAVED = "dhc, planes", "dhc, interleaved"


def picture(height: int, width: int) -> Array:
    """Returns a picture of smooth shades with some noise, [H, W, 3] of 8 bits."""
    y, x = np.mgrid[:height, :width] / max(height, width)
    shades = np.stack([np.sin(9 * x + 4 * y), np.cos(7 * y - x), np.sin(11 * x * y)], axis=-1)
    noise = np.random.default_rng(0).normal(scale=8, size=shades.shape)
    return np.clip(shades * 100 + 128 + noise, 0, 255).astype(np.uint8)


def dhc_ways(image: Array) -> dict[str, Callable[[], Array]]:
    """Returns dhc's program on the picture in planes, which is its own layout, and as it is."""
    program = _program(image, "cpu", "f32")
    planes = np.ascontiguousarray(image.transpose(2, 0, 1))
    return {
        PLANAR: lambda: program(image=planes)["image"],
        INTERLEAVED: lambda: program(image=image.transpose(2, 0, 1))["image"],
    }


def exact(image: Array) -> Array:
    """Returns what the pipeline means, in float64."""
    planes = np.ascontiguousarray(image.transpose(2, 0, 1))
    return _program(image, "reference", "f64")(image=planes)["image"]


def _program(image: Array, target: str, precision: str) -> dhc.Program:
    model = dhc.load(HERE / "photograph.dhm").pipeline("photograph", DType.U8)
    sizes = {"H": image.shape[0], "W": image.shape[1]}
    threads = 1 if target == "cpu" else None
    return dhc.compile(model, target, sizes, precision, threads)


def differences(ways: dict[str, Callable[[], Array]], reference: Array) -> dict[str, float]:
    """Returns the mean absolute difference of each result from the exact one.

    Raises:
        ValueError: if a result has another shape.
    """
    found: dict[str, float] = {}
    for name, call in ways.items():
        result = call()
        if result.shape != reference.shape:
            raise ValueError(f"{name} gives {list(result.shape)}, not {list(reference.shape)}.")
        difference = np.subtract(result, reference, dtype=np.float64)
        found[name] = float(np.mean(np.abs(difference)))
    return found


def print_times(times: dict[str, Times], difference: dict[str, float]) -> None:
    """Prints all formulations, and the best of OpenCV's over ours."""
    rows = [
        [name, f"{each.median:.3f}", f"{each.least:.3f}", f"{difference[name]:.1e}"]
        for name, each in times.items()
    ]
    print_table(
        f"{HEIGHT}x{WIDTH} to 224x224", ("contender", "ms", "least", "mean difference"), rows
    )
    for ours, ratio in ratios(times).items():
        print(f"best of OpenCV / {ours}: {ratio:.2f}")


def ratios(times: dict[str, Times]) -> dict[str, float]:
    """Returns the best OpenCV median over each of ours."""
    others = [each.median for name, each in times.items() if name.startswith("opencv")]
    if not others:
        return {}
    return {name: min(others) / times[name].median for name in (PLANAR, INTERLEAVED)}


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.pipeline", description=__doc__)
    parser.add_argument("--rounds", type=int, default=Plan.rounds)
    parser.add_argument("--seconds", type=float, default=Plan.seconds)
    add_output(parser, "pipeline")
    return parser.parse_args(arguments)


def main() -> int:
    """Measures and prints."""
    options = parse(sys.argv[1:])
    keep_memory()
    machine = describe(1)
    print_description(machine)
    image = picture(HEIGHT, WIDTH)
    ways = dhc_ways(image)
    if importlib.util.find_spec("cv2") is None:
        print("OpenCV: missing")
    else:
        from bench import opencv

        ways |= opencv.ways(image)
    difference = differences(ways, exact(image))
    plan = Plan(options.rounds, options.seconds, turn=0.02)
    times = interleave(ways, plan)
    print_times(times, difference)
    rows = {
        name: {**asdict(each), "median": each.median, "mean_difference": difference[name]}
        for name, each in times.items()
    }
    found = {"milliseconds": rows, "best_opencv_over": ratios(times)}
    write_json(options.output, {"machine": machine, "plan": asdict(plan), **found})
    return 0


if __name__ == "__main__":
    sys.exit(main())
