"""The rules of the house: which way imports point, who owns which library, what start-up loads."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import ragcli

PACKAGE = Path(ragcli.__file__).parent
PROJECT = PACKAGE.parent

FLOW = (
    "records",
    "errors",
    "config",
    "corpus",
    "encoder",
    "store",
    "retrieval",
    "reader",
    "attribution",
    "evaluation",
    "training",
    "engine",
    "render",
    "cli",
    "__main__",
)
"""The rooms in the order in which data flows: a room may import those before it, and itself."""

PLAIN = frozenset({"records", "errors"})
NARROWER = {
    "records": frozenset[str](),
    "errors": frozenset[str](),
    "config": PLAIN,
    "corpus": PLAIN,
    "encoder": PLAIN,
    "store": PLAIN,
    "attribution": PLAIN | {"corpus"},
    "evaluation": PLAIN | {"attribution"},
    "render": PLAIN,
    "__main__": frozenset({"cli"}),
}
"""Rooms that may import less than all before them: they work without the models and the index."""


@dataclass(frozen=True)
class Library:
    """An outside library: the distribution that brings it, and the rooms that may import it."""

    distribution: str
    rooms: frozenset[str]


def _library(distribution: str, *rooms: str) -> Library:
    return Library(distribution, frozenset(rooms))


LIBRARIES = {
    "charset_normalizer": _library("charset-normalizer", "corpus"),
    "docx": _library("python-docx", "corpus"),
    "faiss": _library("faiss-cpu", "store"),
    "filelock": _library("filelock", "store"),
    "jinja2": _library("jinja2", "render"),
    "markdown_it": _library("markdown-it-py", "corpus"),
    "numpy": _library("numpy", *FLOW),
    "pypdfium2": _library("pypdfium2", "corpus"),
    "rich": _library("rich", "render", "cli"),
    "safetensors": _library("safetensors", "encoder", "reader", "training"),
    "scipy": _library("scipy", "evaluation", "training"),
    "selectolax": _library("selectolax", "corpus"),
    "sentence_transformers": _library("sentence-transformers", "encoder"),
    "tokenizers": _library("tokenizers", "corpus", "encoder", "reader", "training"),
    "tomli": _library("tomli", "config"),
    "torch": _library("torch", "encoder", "reader", "training"),
    "transformers": _library("transformers", "encoder"),
    "typer": _library("typer", "cli"),
    "watchfiles": _library("watchfiles", "corpus"),
    "yaml": _library("pyyaml", "corpus"),
}
"""Every outside library of the package. A new one needs a line here and one in pyproject.toml."""

STANDARD_OWNERS = {"sqlite3": frozenset({"store"})}
STANDARD = sys.stdlib_module_names | {"tomllib"}  # in the standard library since Python 3.11
FORBIDDEN = {
    "click": "Typer carries its own Click",
    "pickle": "a pickle runs code when it is read",
    "marshal": "it is a pickle in disguise",
    "shelve": "it is a pickle in disguise",
}
VAGUE_NAMES = re.compile(r"^_?(utils?|helpers?|commons?|misc)$")
HEAVY = frozenset({"torch", "transformers", "sentence_transformers", "faiss"})


def _imports(source: str, module: str) -> Iterator[tuple[int, str]]:
    """Line and dotted name of everything that a module's source imports, at any depth.

    ``from a import b`` counts as ``a.b``: whether ``b`` is a module or a name makes no difference
    to the room it is in. ``module`` is the dotted package that relative imports start from.
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = module.split(".")[: len(module.split(".")) - node.level + 1]
            base = ".".join([*above, node.module or ""]).strip(".") if node.level else node.module
            yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Call) and _is_dynamic_import(node):
            yield node.lineno, _constant_name(node)


def _is_dynamic_import(call: ast.Call) -> bool:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    return name in {"import_module", "__import__"}


def _constant_name(call: ast.Call) -> str:
    """The constant name that is imported, or what an f-string says before its first value."""
    first = call.args[0] if call.args else None
    if isinstance(first, ast.JoinedStr) and first.values:
        first = first.values[0]
    if isinstance(first, ast.Constant) and isinstance(first.value, str):
        return first.value
    return "<computed>"


def _complaint(room: str, name: str) -> str | None:
    """Why ``room`` may not import the dotted ``name``; ``None`` when it may."""
    top, _, rest = name.partition(".")
    if top in FORBIDDEN:
        return FORBIDDEN[top]
    if top == "ragcli":
        return _wrong_way(room, rest.partition(".")[0])
    owners = LIBRARIES[top].rooms if top in LIBRARIES else STANDARD_OWNERS.get(top)
    if owners is not None:
        return None if room in owners else f"{top} belongs to {', '.join(sorted(owners))}"
    if top in STANDARD:
        return None
    return f"{top} is in no room's hands: see LIBRARIES"


def _wrong_way(room: str, target: str) -> str | None:
    if target in {room, "__version__"}:
        return None
    allowed = NARROWER.get(room, frozenset(FLOW[: FLOW.index(room)]))
    return None if target in allowed else f"{room} may import {', '.join(sorted(allowed))}"


def _modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def _room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def _package_name(path: Path) -> str:
    return ".".join(path.relative_to(PROJECT).parent.parts)


@pytest.mark.parametrize("path", _modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_every_import_points_backwards_and_stays_with_its_owner(path: Path) -> None:
    room = _room(path)
    if room == "__init__":
        assert list(_imports(path.read_text("utf-8"), "ragcli")) == []
        return
    assert room in FLOW, f"a new room: say where it stands in FLOW: {room}"
    found = [
        f"{path.relative_to(PROJECT)}:{line}: {name}: {complaint}"
        for line, name in _imports(path.read_text("utf-8"), _package_name(path))
        if (complaint := _complaint(room, name))
    ]
    assert found == []


@pytest.mark.parametrize(
    ("room", "source"),
    [
        ("corpus", "import ragcli.store"),
        ("corpus", "from ragcli import encoder"),
        ("store", "from ..engine import searching"),
        ("store", "def load():\n    from ragcli.encoder import load_encoder"),
        ("records", "if TYPE_CHECKING:\n    from ragcli.corpus.walk import Problem"),
        ("render", "from ragcli.engine import searching"),
        ("attribution", "from ragcli.reader import Reader"),
        ("retrieval", "import faiss"),
        ("engine", "import sqlite3"),
        ("engine", "import torch.nn.functional"),
        ("engine", "import importlib\nimportlib.import_module('torch')"),
        ("reader", "import sentence_transformers"),
        ("engine", "from rich.console import Console"),
        ("render", "import typer"),
        ("cli", "import click"),
        ("store", "from pickle import loads"),
        ("cli", "import requests"),
        ("engine", "name = 'torch'\n__import__(name)"),
        ("corpus", "import_module(f'ragcli.{room}')"),
    ],
)
def test_a_broken_rule_is_found(room: str, source: str) -> None:
    names = [name for _, name in _imports(source, f"ragcli.{room}")]
    assert [name for name in names if _complaint(room, name)] != []


@pytest.mark.parametrize(
    ("room", "source"),
    [
        ("store", "import sqlite3, faiss, numpy"),
        ("cli", "from ragcli import __version__, engine, render"),
        ("engine", "def ask():\n    from ragcli.reader import load_reader"),
        ("store", "from . import locate"),
        ("config", "import tomllib"),
        ("corpus", "import_module(f'ragcli.corpus.loaders.{name}')"),
    ],
)
def test_an_allowed_import_passes(room: str, source: str) -> None:
    names = [name for _, name in _imports(source, f"ragcli.{room}")]
    assert names
    assert [name for name in names if _complaint(room, name)] == []


def test_every_module_is_named_after_what_it_holds() -> None:
    parts = {path.relative_to(PACKAGE).with_suffix("").parts for path in _modules()}
    assert [part for names in parts for part in names if VAGUE_NAMES.match(part)] == []


def test_every_library_is_a_declared_dependency() -> None:
    declared = _declared_dependencies()
    assert {library.distribution for library in LIBRARIES.values()} <= declared


def test_every_dependency_is_pinned() -> None:
    pinned = set(re.findall(r"^([\w-]+)==", (PROJECT / "constraints.txt").read_text("utf-8"), re.M))
    assert _declared_dependencies() - pinned == set()


def _declared_dependencies() -> set[str]:
    """Names of the run-time dependencies and of the development extra.

    Read by pattern: Python 3.10 has no TOML reader of its own.
    """
    text = (PROJECT / "pyproject.toml").read_text("utf-8")
    lists = re.findall(r"^(?:dependencies|dev) = \[\n(.*?)^\]", text, re.M | re.S)
    return set(re.findall(r"^\s+\"([\w-]+)", "\n".join(lists), re.M))


def _loaded_by(arguments: list[str], folder: Path) -> tuple[int, set[str]]:
    """Exit code of ``ragcli`` with these arguments, and the top-level modules that it loaded."""
    finished = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "ragcli", *arguments],
        cwd=folder,
        env={key: value for key, value in os.environ.items() if not key.startswith("RAGCLI_")},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    names = re.findall(r"^import time:.*\|\s*([\w.]+)$", finished.stderr, re.M)
    return finished.returncode, {name.partition(".")[0] for name in names}


@pytest.fixture(scope="module")
def indexed_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one document and its index."""
    folder = tmp_path_factory.mktemp("indexed")
    (folder / "note.txt").write_text("The boiler was serviced in March.\n", "utf-8")
    code, loaded = _loaded_by(["index", "."], folder)
    assert code == 0
    assert {"torch", "faiss"} <= loaded, "indexing loads both, or the measurement sees nothing"
    return folder


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--help"],
        ["--version"],
        ["index", "--help"],
        ["index", "."],
        ["index", ".", "--dry-run"],
        ["search", "--help"],
        ["ask", "--help"],
        ["explain", "--help"],
        ["replay", "--help"],
        ["status"],
        ["status", "--json"],
        ["list"],
        ["list", "--documents", "--json"],
        ["show", "note.txt"],
        ["show", "1", "--json"],
        ["remove", "note.txt", "--dry-run"],
        ["merge", "--help"],
        ["eval", "init", "-"],
        ["tune", "--help"],
        ["tune", "--reset"],
        ["doctor", "--help"],
        ["export", "index.ragcli", "--force"],
        ["search", "boiler", "--mode", "lexical"],
        ["search", "boiler", "--mode", "lexical", "--json"],
    ],
    ids=lambda arguments: " ".join(arguments) or "no arguments",
)
def test_start_up_loads_no_heavy_library(arguments: list[str], indexed_folder: Path) -> None:
    code, loaded = _loaded_by(arguments, indexed_folder)
    assert code == 0
    assert "ragcli" in loaded
    assert loaded & HEAVY == set()


def test_keeping_an_index_loads_no_network(indexed_folder: Path) -> None:
    assert _loaded_by(["export", "file", "--force"], indexed_folder)[0] == 0
    for arguments in (
        ["doctor", "--no-model"],
        ["compact"],
        ["import", "file", "--index", "elsewhere"],
    ):
        code, loaded = _loaded_by(arguments, indexed_folder)
        assert code == 0
        assert loaded & HEAVY <= {"faiss"}


def test_changing_an_index_loads_no_model(indexed_folder: Path) -> None:
    for arguments in (
        ["merge", ".", "--index", "merged"],
        ["remove", "note.txt", "--index", "merged"],
    ):
        code, loaded = _loaded_by(arguments, indexed_folder)
        assert code == 0
        assert loaded & HEAVY == {"faiss"}
