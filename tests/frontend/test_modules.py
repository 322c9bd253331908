"""Imports: relative files, the library, namespaces, and what may not be imported."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dhc.errors import DhcError
from dhc.frontend import Program, check, load
from dhc.frontend.modules import standard_files

MODEL = "model M() { input x: f32[N, 4, H, W] output y = x -> wide(3) }\n"


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        path = folder / f"{name.replace('__', '/')}.dhm"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder / "main.dhm"


def failure(path: Path) -> str:
    with pytest.raises(DhcError) as caught:
        load(path)
    return str(caught.value)


def shape(program: Program) -> str:
    return str(program.model("M").graph.outputs[0][1].type)


def test_names_of_an_imported_file_are_known(tmp_path: Path) -> None:
    main = write(
        tmp_path,
        main='import "parts/wide.dhm"\n' + MODEL,
        parts__wide='import "../numbers.dhm"\nblock wide(c) { conv(k * c, kernel=1) }\n',
        numbers="let k = 2\n",
    )
    assert shape(load(main)) == "f32[N, 6, H, W]"


def test_imports_under_a_name(tmp_path: Path) -> None:
    main = write(
        tmp_path,
        main='import "w.dhm" as w\n' + MODEL.replace("wide", "w.wide") + "let a = w.k + 1",
        w="let k = 2\nblock wide(c) { conv(k * c, kernel=1) }\n",
    )
    program = load(main)
    assert shape(program) == "f32[N, 6, H, W]"
    assert program.find("a") == 3
    assert program.find("w.k") == 2


def test_a_file_is_read_once(tmp_path: Path) -> None:
    main = write(
        tmp_path,
        main='import "a.dhm"\nimport "b.dhm"\n' + MODEL,
        a='import "wide.dhm" as w\nlet a = 1\n',
        b='import "wide.dhm"\nblock more(c) { wide(c) }\n',
        wide="block wide(c) { conv(c, kernel=1) }\n",
    )
    assert "no layer, block or function 'wide'" in failure(main)  # imports are not handed on


def test_circles_are_reported_with_their_chain(tmp_path: Path) -> None:
    main = write(tmp_path, main='import "a.dhm"\n', a='import "b.dhm"\n', b='import "main.dhm"\n')
    text = failure(main)
    assert "import-cycle" in text
    assert 'imports "a.dhm"' in text
    assert 'imports "b.dhm"' in text


@pytest.mark.parametrize("name", ["../secret.dhm", "/etc/passwd", "a/../../secret.dhm", "..\\\\x"])
def test_imports_stay_in_their_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / "secret.dhm").write_text("let a = 1")
    project = tmp_path / "project"
    main = write(project, main=f'import "{name}"\n')
    assert "lies outside of the folder" in failure(main)


def test_links_out_of_the_folder_are_followed_to_where_they_lead(tmp_path: Path) -> None:
    (tmp_path / "secret.dhm").write_text("let a = 1")
    project = tmp_path / "project"
    main = write(project, main='import "link.dhm"\n')
    (project / "link.dhm").symlink_to(tmp_path / "secret.dhm")
    assert "lies outside of the folder" in failure(main)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
def test_what_is_no_ordinary_file_is_not_imported(tmp_path: Path) -> None:
    """Reading a pipe that nobody writes to would never end."""
    os.mkfifo(tmp_path / "pipe.dhm")
    (tmp_path / "main.dhm").write_text('import "pipe.dhm"', encoding="utf-8")
    with pytest.raises(DhcError, match=r"main.dhm:1:8: .*is no ordinary file"):
        load(tmp_path / "main.dhm")


def test_missing_file_and_missing_library_file(tmp_path: Path) -> None:
    main = write(tmp_path, main='import "block.dhm"\nimport "std/block.dhm"\n', blocks="let a = 1")
    text = failure(main)
    assert "did you mean 'blocks.dhm'?" in text
    assert "did you mean 'std/blocks.dhm'?" in text


def test_one_name_from_two_files(tmp_path: Path) -> None:
    main = write(tmp_path, main='import "a.dhm"\nimport "b.dhm"\n', a="let k = 1", b="let k = 2")
    assert "'k' comes from two imported files" in failure(main)


def test_mistakes_of_all_files_are_shown(tmp_path: Path) -> None:
    main = write(tmp_path, main='import "a.dhm"\nlet b = nothing\n', a="let a = nowhere\n")
    text = failure(main)
    assert "'nothing'" in text
    assert "'nowhere'" in text
    assert "a.dhm:1:9" in text


@pytest.mark.parametrize("name", sorted(standard_files()))
def test_the_library_loads_and_is_formatted(tmp_path: Path, name: str) -> None:
    from dhc.frontend import format_text

    assert format_text(standard_files()[name]) == standard_files()[name]
    program = load(write(tmp_path, main=f'import "{name}"\n'))
    assert check(program).diagnostics == []
