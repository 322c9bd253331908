"""Options that several scripts have."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence

from bench.timing import Plan


def add_contenders(
    parser: argparse.ArgumentParser, names: Sequence[str], peers: Sequence[str]
) -> None:
    """Adds what is measured, beside whom, with how many threads and for how long."""
    parser.add_argument(
        "--networks", type=some_of(names), default=names, metavar="A,B", help=", ".join(names)
    )
    parser.add_argument(
        "--peers", type=some_of(peers), default=peers, metavar="A,B", help=", ".join(peers)
    )
    parser.add_argument(
        "--threads", type=int, default=os.cpu_count() or 1, help="for each contender"
    )
    parser.add_argument("--rounds", type=int, default=Plan.rounds, help="turns of each contender")
    parser.add_argument(
        "--seconds-per-network",
        type=float,
        default=Plan.seconds,
        metavar="S",
        help="after that no round begins, once there are two",
    )


def some_of(known: Sequence[str]) -> Callable[[str], list[str]]:
    """Returns what reads a list of known names from the command line."""

    def parse_names(text: str) -> list[str]:
        names = [name for name in text.split(",") if name]
        unknown = [name for name in names if name not in known]
        if unknown:
            raise argparse.ArgumentTypeError(f"no {unknown[0]}; there are {', '.join(known)}")
        return names

    return parse_names
