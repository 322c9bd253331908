"""The report of a run: one page that holds everything, and nothing that a name smuggles in."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

import pytest

from dhc.errors import DhcError
from dhc.runtime.kpi.ledger import Entry, append
from dhc.runtime.reporting.files import DATA, EVIDENCE, RESULTS, STATUS
from dhc.runtime.reporting.records import RunPlan
from dhc.runtime.reporting.report.observer import Report
from dhc.runtime.reporting.report.page import SECTIONS, write_report

HOSTILE = "<script>alert('x')</script>"
VOID = {"meta", "img", "br", "hr"}


class Page(HTMLParser):
    """What a browser would make of a page: elements, their attributes, and the text."""

    def __init__(self, path: Path) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(path.read_text(encoding="utf-8"))
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def attributes(self, name: str) -> list[str]:
        return [own[name] for _, own in self.elements if name in own]

    def charts(self) -> list[str]:
        return [own["aria-label"] for tag, own in self.elements if own.get("role") == "img"]


@pytest.fixture
def page(folder: Path) -> Page:
    return Page(write_report(folder))


def test_it_is_a_page_whose_elements_close(page: Page) -> None:
    assert page.open == []
    assert page.elements[0] == ("html", {"lang": "en"})


def test_it_has_every_section_and_a_link_to_each(page: Page) -> None:
    names = [name.lower() for name in SECTIONS]
    assert [name for name in page.attributes("id") if name in names] == names
    assert [f"#{name}" for name in names] == page.attributes("href")[1:]


def test_it_draws_loss_metrics_and_rate(page: Page) -> None:
    charts = page.charts()
    assert any(title.startswith("Loss") for title in charts)
    assert "accuracy" in charts
    assert any(title.startswith("Learning rate") for title in charts)
    curves = [own["class"] for tag, own in page.elements if tag == "path" and "class" in own]
    assert {"curve first", "curve second", "curve faint"} <= set(curves)


def test_it_shows_predictions(page: Page) -> None:
    assert "Confusion matrix of logits" in page.text
    assert "ROC curve of logits" in page.charts()
    assert "age: predicted over true values, 3 values" in page.charts()
    assert "worst" in page.text


def test_it_says_what_the_best_weights_are_worth(page: Page) -> None:
    assert "0.5000 to 0.8750" in page.text
    assert "10 samples of 2 groups" in page.text


def test_it_warns_of_synthetic_data(page: Page) -> None:
    assert "Results say nothing about patients." in page.text


def test_it_shows_the_indicators_that_its_ledger_holds(folder: Path) -> None:
    assert "The run keeps no ledger." in Page(write_report(folder)).text
    append(folder, Entry("training", 90.0, program="a", subject=HOSTILE))
    text = Page(write_report(folder)).text
    assert "totm1 min 30 smeasured" in text
    assert "ttmip> 1 min 30 sunknown" in text


def test_it_tells_where_the_time_went(page: Page) -> None:
    assert "5.00 s" in page.text  # 20 steps of a quarter of a second
    assert "33.3 samples per second" in page.text


def test_it_needs_nothing_from_outside(folder: Path, page: Page) -> None:
    text = write_report(folder).read_text(encoding="utf-8")
    assert "://" not in text
    assert "@import" not in text
    assert "url(" not in text
    assert all(source.startswith("data:image/png;base64,") for source in page.attributes("src"))
    assert all(link.startswith("#") for link in page.attributes("href"))
    (policy,) = [own["content"] for _, own in page.elements if "http-equiv" in own]
    assert policy.startswith("default-src 'none'")


def test_names_stay_text(page: Page) -> None:
    """Every place with a name from outside has the hostile one of the fixture."""
    assert "script" not in {tag for tag, _ in page.elements}
    assert not [name for _, own in page.elements for name in own if name.startswith("on")]
    assert page.text.count("<script>alert('x')</script>") > 10
    assert "\0" not in page.text
    assert "\u202e" not in page.text


def test_a_picture_that_is_none_is_left_out(page: Page) -> None:
    assert [own["alt"] for tag, own in page.elements if tag == "img"] == [
        "image of <script>alert('x')</script>\"&\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}"
    ]


def test_it_is_made_again_from_the_files(folder: Path) -> None:
    first = write_report(folder).read_bytes()
    assert write_report(folder).read_bytes() == first


def test_a_run_that_has_just_begun_has_a_report(tmp_path: Path) -> None:
    page = Page(write_report(tmp_path))
    assert page.open == []
    assert "No step has been done yet." in page.text


@pytest.mark.parametrize("name", [DATA, EVIDENCE, RESULTS, STATUS])
def test_a_damaged_file_is_named(folder: Path, name: str) -> None:
    (folder / name).write_text("[1, 2")
    with pytest.raises(DhcError, match=f"{name}' cannot be read"):
        write_report(folder)


def test_another_form_is_refused_with_its_place(folder: Path) -> None:
    text = (folder / DATA).read_text().replace('"samples": 40', '"samples": "many"')
    (folder / DATA).write_text(text)
    with pytest.raises(DhcError, match=r"parts\.train\.samples is 'many'"):
        write_report(folder)


def test_an_interrupted_run_says_so(folder: Path) -> None:
    report = Report(folder)
    report.started(RunPlan("lung", 9, 4, {}), 0)
    assert "had not ended" in Page(write_report(folder)).text
    report.stopped("stopped by signal 2")
    page = Page(write_report(folder))
    assert "stopped by signal 2" in page.text
    assert "5 of 9" in page.text
