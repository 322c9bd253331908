"""Files and their imports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path

from dhc.errors import DhcError, Diagnostic, Related, did_you_mean
from dhc.frontend import ast
from dhc.frontend.fail import error, listing
from dhc.frontend.parse import parse
from dhc.source import SourceFile, Span, decode_source, read_source

STANDARD = "std/"
TEXT = "<text>"  # the key of a text that is in no file


@dataclass(slots=True)
class LoadedModule:
    """A parsed file and the files it imports, in order."""

    key: str
    tree: ast.Module
    imports: list[tuple[ast.Import, LoadedModule]] = field(default_factory=list)


class Loader:
    """Reads a file and everything it imports, each file once."""

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()
        self._loaded: dict[str, LoadedModule] = {}
        self._chain: list[tuple[str, Span]] = []
        self.diagnostics: list[Diagnostic] = []

    def load(self, path: Path) -> LoadedModule:
        """Loads the file that the user named.

        Raises:
            DhcError: the file cannot be read or has syntax errors.
        """
        file = read_source(path)
        return self._load_file(str(path.resolve()), file, path.parent)

    def load_text(self, file: SourceFile) -> LoadedModule:
        """Loads a text that is in no file; its imports are relative to the root."""
        return self._load_file(TEXT, file, self._root)

    def sources(self) -> dict[str, str]:
        """The texts of the files read so far, but for the library's, by path below the root."""
        found = {}
        for key, module in self._loaded.items():
            path = Path(key)
            if path.is_relative_to(self._root):
                found[path.relative_to(self._root).as_posix()] = module.tree.file.text
            elif not key.startswith("<"):  # the first file itself may be a link
                found[path.name] = module.tree.file.text
            elif key == TEXT:
                found["program.dhm"] = module.tree.file.text
        return found

    def _load_file(self, key: str, file: SourceFile, folder: Path | None) -> LoadedModule:
        module = LoadedModule(key, parse(file))
        self._loaded[key] = module
        for item in module.tree.items:
            if isinstance(item, ast.Import):
                try:
                    module.imports.append((item, self._import(item, key, folder)))
                except DhcError as problem:
                    self.diagnostics += problem.diagnostics
        return module

    def _import(self, item: ast.Import, importer: str, folder: Path | None) -> LoadedModule:
        name = item.path.value
        standard = name.startswith(STANDARD) or folder is None
        key = self._standard_key(name) if standard else self._path_of(item, folder)
        chain = [*self._chain, (importer, item.path.span)]
        if key == importer or any(key == each for each, _ in self._chain):
            raise self._cycle(item, key, chain)
        if key in self._loaded:
            return self._loaded[key]
        self._chain = chain
        try:
            if standard:
                return self._load_file(key, _standard_file(item), None)
            shown = _shown_path(item)
            return self._load_file(key, _read(Path(key), shown, item), Path(key).parent)
        finally:
            self._chain.pop()

    def _standard_key(self, name: str) -> str:
        return f"<{name if name.startswith(STANDARD) else STANDARD + name}>"

    def _path_of(self, item: ast.Import, folder: Path | None) -> str:
        assert folder is not None
        name = item.path.value
        path = (folder / name).resolve()
        if Path(name).is_absolute() or "\\" in name or not path.is_relative_to(self._root):
            message = f"'{name}' lies outside of the folder of the file that is read."
            hint = "import files from that folder or below, or from std/"
            raise error("import", message, item.path.span, "here", hint)
        return str(path)

    def _cycle(self, item: ast.Import, key: str, chain: list[tuple[str, Span]]) -> DhcError:
        start = next(i for i, (each, _) in enumerate(chain) if each == key)
        related = tuple(
            Related(span, f"imports {span.text}")
            for _, span in chain[start:]
            if span != item.path.span
        )
        message = f"The import of {item.path.span.text} goes round in a circle."
        return error("import-cycle", message, item.path.span, "leads back here", related=related)


def _shown_path(item: ast.Import) -> str:
    """The name of an imported file in messages: relative, as the importing file is named."""
    folder = Path(item.span.file.path).parent
    return str(folder / item.path.value)


def _read(path: Path, shown: str, item: ast.Import) -> SourceFile:
    """Reads an imported file; what is no ordinary one, such as a pipe, may never end."""
    if path.exists() and not path.is_file():
        raise error("import", f"'{shown}' is no ordinary file.", item.path.span)
    try:
        file = read_source(path)
    except DhcError as problem:
        if problem.diagnostics[0].code != "file-unreadable":
            raise
        siblings = sorted(each.name for each in path.parent.glob("*.dhm"))
        guess = did_you_mean(path.name, siblings)
        hint = f"did you mean '{guess}'?" if guess else ""
        message = f"There is no file '{shown}'."
        raise error("import", message, item.path.span, "here", hint) from None
    return SourceFile(shown, file.text)


def standard_files() -> Mapping[str, str]:
    """The files of the library written in the language itself: name and text."""
    folder = resources.files("dhc.grammar").joinpath("std")
    found = {}
    for each in folder.iterdir():
        if each.name.endswith(".dhm"):
            found[STANDARD + each.name] = each.read_text("utf-8")
    return found


def _standard_file(item: ast.Import) -> SourceFile:
    name = item.path.value
    files = standard_files()
    known = name if name.startswith(STANDARD) else STANDARD + name
    if known not in files:
        guess = did_you_mean(known, files)
        hint = f"did you mean '{guess}'?" if guess else f"there are {listing(files)}"
        message = f"The library has no file '{known}'."
        raise error("import", message, item.path.span, "here", hint)
    return decode_source(f"<{known}>", files[known].encode("utf-8"))
