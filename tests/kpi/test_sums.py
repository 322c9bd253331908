"""The indicators: a replayed ledger with known sums, and labels that never claim too much."""

from __future__ import annotations

from pathlib import Path

import pytest

from dhc.errors import DhcError
from dhc.runtime.kpi.development import declare, development, seconds_of
from dhc.runtime.kpi.ledger import Entry, append
from dhc.runtime.kpi.sums import Amount, indicators, total
from dhc.runtime.kpi.table import rows_of

HOUR = 3600.0


def run(
    program: str, pipeline: str, seconds: float, test: float, t2: float, session: str = "s"
) -> list[Entry]:
    """The entries that a whole run leaves."""
    own = {"pipeline": pipeline, "subject": program, "session": program + session}
    parts = {"train": 0.75 * t2, "val": 0.25 * t2}
    return [
        Entry("start", 0.0, program=program, **own),
        Entry("training", seconds, program=program, **own),
        *(
            Entry("pipeline_run", time, part=part, parts="train val", **own)
            for part, time in parts.items()
        ),
        Entry("test", test, program=program, **own),
    ]


def declared(kind: str, hours: float, program: str = "", pipeline: str = "") -> Entry:
    return Entry(kind, hours * HOUR, "declared", program, pipeline)


def study() -> list[Entry]:
    """Three candidates, of which two share a pipeline, with all that people declare."""
    return [
        *run("a", "p", 1000.0, 10.0, 40.0),
        *run("b", "p", 2000.0, 20.0, 48.0),
        *run("c", "q", 3000.0, 30.0, 60.0),
        declared("model_design", 2, program="a"),
        declared("model_design", 3, program="b"),
        declared("model_design", 1, program="c"),
        declared("pipeline_design", 5, pipeline="p"),
        declared("pipeline_design", 4, pipeline="q"),
        declared("deployment", 6),
    ]


def test_a_replayed_study_has_the_known_sums() -> None:
    found = indicators(study())
    toppi = 5 * HOUR + 40.0 + 4 * HOUR + 60.0  # p is counted once, the first time
    assert found.toppi == Amount(toppi, "declared")
    assert found.totm == Amount(6000.0, "measured")
    models = (2 + 3 + 1) * HOUR + 6000.0 + 60.0
    assert found.ttmip == Amount(models + toppi + 6 * HOUR, "declared")


def test_the_order_of_candidates_does_not_change_the_sums() -> None:
    runs = [run("a", "p", 1000.0, 10.0, 40.0), run("c", "q", 3000.0, 30.0, 60.0)]
    first = indicators([entry for own in runs for entry in own])
    second = indicators([entry for own in reversed(runs) for entry in own])
    assert first.totm == second.totm == Amount(4000.0, "measured")
    assert first.toppi.seconds == second.toppi.seconds == 100.0
    assert first.ttmip.seconds == second.ttmip.seconds == 4140.0


@pytest.mark.parametrize("gone", range(len(study())))
def test_nothing_that_is_missing_is_invented(gone: int) -> None:
    """Without any one entry the sum is a bound from below, unless another entry says the same."""
    entries = study()
    whole, left = indicators(entries).ttmip, entries.pop(gone)
    found = indicators(entries).ttmip
    twice = left.kind == "pipeline_run" and left.pipeline == "p"  # in the runs of 'a' and 'b'
    if left.kind == "start":
        assert found == whole
    elif twice:
        assert found.label == "declared"
    else:
        assert found.label == "unknown"
        assert found.missing
        assert found.seconds < whole.seconds


def test_sessions_of_one_run_add_up() -> None:
    entries = [*run("a", "p", 100.0, 1.0, 4.0), *run("a", "p", 50.0, 1.0, 4.0, "t")]
    found = indicators(entries)
    assert found.totm == Amount(150.0, "measured")
    assert found.preparations[0].run == Amount(4.0, "measured")


def test_a_session_that_was_killed_leaves_the_training_time_open() -> None:
    entries = [Entry("start", 0.0, program="a", session="t"), *run("a", "p", 50.0, 1.0, 4.0)]
    totm = indicators(entries).totm
    assert (totm.seconds, totm.label) == (50.0, "unknown")
    assert "did not end" in totm.missing[0]


def test_a_later_declaration_corrects_an_earlier_one() -> None:
    entries = [declared("deployment", 1), declared("deployment", 2)]
    assert indicators(entries).deployment == Amount(2 * HOUR, "declared")


def test_a_sum_is_as_certain_as_its_least_certain_part() -> None:
    known, said, open_ = Amount(1, "measured"), Amount(2, "declared"), Amount(0, "unknown", ("x",))
    assert total([known, known]).label == "measured"
    assert total([known, said]) == Amount(3, "declared")
    assert total([said, open_, known]) == Amount(3, "unknown", ("x",))
    assert total([]).label == "unknown"


def test_unknown_values_are_shown_as_bounds() -> None:
    rows = {row.name: row for row in rows_of(indicators(run("a", "p", 90.0, 1.0, 4.0)))}
    assert (rows["totm"].value, rows["totm"].label) == ("1 min 30 s", "measured")
    assert (rows["T1"].value, rows["T1"].label) == ("", "unknown")
    assert (rows["ttmip"].value, rows["ttmip"].label) == ("> 1 min 35 s", "unknown")
    assert rows["speedup"].label == "unknown"


# ---- folders and declarations ----------------------------------------------------------------


def test_a_folder_counts_with_all_runs_in_it(tmp_path: Path) -> None:
    append(tmp_path / "study" / "a", *run("a", "p", 1000.0, 10.0, 40.0))
    append(tmp_path / "study" / "b", *run("b", "p", 2000.0, 20.0, 40.0))
    assert development([tmp_path]).totm == Amount(3000.0, "measured")
    assert development([tmp_path, tmp_path / "study"]).totm.seconds == 3000.0


def test_no_ledger_is_said(tmp_path: Path) -> None:
    with pytest.raises(DhcError, match="There is no ledger in"):
        development([tmp_path])


def test_what_is_declared_goes_to_the_run(tmp_path: Path) -> None:
    append(tmp_path, *run("a", "p", 1000.0, 10.0, 40.0))
    declare(tmp_path, {"design": "2h", "pipeline": "1h30min", "deployment": "45min"})
    found = development([tmp_path])
    assert found.candidates[0].design == Amount(2 * HOUR, "declared")
    assert found.toppi == Amount(1.5 * HOUR + 40, "declared")
    assert found.ttmip == Amount(4.25 * HOUR + 1050, "declared")


def test_the_deployment_of_a_study_is_declared_in_its_own_folder(tmp_path: Path) -> None:
    append(tmp_path / "a" / "fold1", *run("a", "p", 1000.0, 10.0, 40.0))
    declare(tmp_path, {"deployment": "2h"})
    assert development([tmp_path]).deployment == Amount(2 * HOUR, "declared")
    with pytest.raises(DhcError, match="holds no run"):
        declare(tmp_path, {"design": "2h"})


def test_only_known_things_are_declared_and_only_of_runs(tmp_path: Path) -> None:
    with pytest.raises(DhcError, match="holds no run"):
        declare(tmp_path, {"design": "2h"})
    append(tmp_path, *run("a", "p", 1000.0, 10.0, 40.0))
    with pytest.raises(DhcError, match="'training' cannot be declared; pipeline, design"):
        declare(tmp_path, {"training": "2h"})


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("2h", 7200), ("1h30min", 5400), ("1.5h", 5400)]
)
def test_times_are_read(text: str, seconds: float) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "2", "h", "-2h", "2 h", "2d", "1e3s", "2h!", "nan"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(DhcError, match="is no time"):
        seconds_of(text)
