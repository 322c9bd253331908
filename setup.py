"""Names the packages; everything else about the project is in pyproject.toml.

Four folders at the top are packages of dhc. In the checkout they are also reached through links in
`dhc/`; naming them here lets a checkout without links install as well.
"""

from setuptools import find_namespace_packages, setup

LINKED = ("backends", "grammar", "models", "runtime")


def packages() -> list[str]:
    """Returns all packages, those behind links once."""
    links = tuple(f"dhc.{name}" for name in LINKED)
    own = [p for p in find_namespace_packages(include=["dhc", "dhc.*"]) if not p.startswith(links)]
    folders = [pattern for name in LINKED for pattern in (name, f"{name}.*")]
    return [*own, *(f"dhc.{name}" for name in find_namespace_packages(include=folders))]


setup(packages=packages(), package_dir={f"dhc.{name}": name for name in LINKED})
