"""The README does what it says: its commands run, its output, tables and links are true."""

from __future__ import annotations

import io
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import requires
from itertools import pairwise
from pathlib import Path

import pytest

from ragcli.cli import Environment, exits, main
from ragcli.cli.app import command
from ragcli.config import KEYS, read_config
from ragcli.reader.confidence import DEFAULT_MIN_CONFIDENCE

PROJECT = Path(__file__).parents[1]
README = (PROJECT / "README.md").read_text("utf-8")
GUIDE = (PROJECT / "docs" / "guide.md").read_text("utf-8")
PAGES = [
    "README.md",
    *(
        f"docs/{name}.md"
        for name in ("guide", "how-it-works", "scaling", "evaluation", "reliability")
    ),
]

HOME = "/home/you/ragcli"
"""Stands in the README for the folder that a person works in."""
NOT_RUN = {"make", "pip"}
SHELL_SIGNS = {"|", "<", ">", "&&"}


@dataclass(frozen=True)
class Example:
    """A command of a console block, the code it exits with, and the output shown, if any."""

    command: str
    code: int
    shown: str

    @property
    def words(self) -> list[str]:
        return shlex.split(self.command, comments=True)

    @property
    def programs(self) -> list[str]:
        """The programs of a pipeline, in order."""
        words = ["|", *self.words]
        return [word for before, word in pairwise(words) if before == "|"]

    @property
    def is_for_a_shell(self) -> bool:
        return bool(SHELL_SIGNS & set(self.words)) or self.words[0] != "ragcli"

    def compared(self, output: str) -> str:
        """What of an output is compared: not the times and scores, which the machine decides.

        Of an answer only its text: the shares differ a little between processors.
        """
        if self.words[0] == "ragcli" and self.words[1] == "ask":
            output = output.partition("\n")[0]
        lines = (line.strip() for line in output.strip().splitlines())
        text = re.sub(r"\b\d+\.\d s\b", "N s", "\n".join(lines))
        return re.sub(r"^(\d+  )-?\d\.\d{3}", r"\1SCORE", text, flags=re.MULTILINE)


def console_examples(page: str) -> Iterator[Example]:
    for block in re.findall(r"^```console\n(.*?)^```$", page, re.MULTILINE | re.DOTALL):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            first, *rest = part.splitlines()
            while rest and rest[0].startswith("> "):
                first += "\n" + rest.pop(0)[2:].strip()
            code = re.search(r"# exits with (\d+)$", first)
            yield Example(first, int(code[1]) if code else 0, "\n".join(rest))


EXAMPLES = [one for one in console_examples(README) if one.words[0] not in NOT_RUN]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a reader of the README stands, and a ``ragcli`` for the shell to find."""
    shutil.copytree(PROJECT / "sample_corpus", tmp_path / "home" / "sample_corpus")
    shim = tmp_path / "bin" / "ragcli"
    shim.parent.mkdir()
    shim.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m ragcli "$@"\n')
    shim.chmod(0o755)
    return tmp_path / "home"


def run_here(example: Example, folder: Path) -> tuple[int, str]:
    output = io.StringIO()
    environment = Environment(io.StringIO(), output, output, cwd=folder)
    return main(example.words[1:], environment), output.getvalue()


def run_in_shell(example: Example, folder: Path) -> tuple[int, str]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("RAGCLI_")}
    environ["PATH"] = f"{folder.parent / 'bin'}{os.pathsep}{environ.get('PATH', os.defpath)}"
    environ["PYTHONPATH"] = str(PROJECT)
    finished = subprocess.run(
        ["bash", "-o", "pipefail", "-c", example.command],
        cwd=folder,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )
    return finished.returncode, finished.stdout


def missing_tools(example: Example) -> list[str]:
    named = ["bash", *example.programs] if example.is_for_a_shell else []
    return [tool for tool in named if tool != "ragcli" and shutil.which(tool) is None]


def test_the_examples_from_top_to_bottom(folder: Path) -> None:
    """In one folder and in order, as a reader would try them: each sees what those before left."""
    passed_over: set[str] = set()
    for example in EXAMPLES:
        if missing := missing_tools(example):
            passed_over.update(missing)
            continue
        run = run_in_shell if example.is_for_a_shell else run_here
        code, output = run(example, folder)
        assert code == example.code, f"$ {example.command}\n{output}"
        if example.shown:
            seen = example.compared(output.replace(str(folder.resolve()), HOME))
            assert seen == example.compared(example.shown), f"$ {example.command}"
    if passed_over:
        pytest.skip(f"not installed here: {', '.join(sorted(passed_over))}; all others passed")


def test_the_examples_show_every_everyday_command_and_every_way_to_pipe() -> None:
    told = "\n".join(example.command for example in EXAMPLES)
    for piece in (
        "ragcli index",
        "ragcli search",
        "ragcli ask",
        "ragcli explain",
        "--json",
        "--queries -",
        "-l -0 |\nxargs -0",
        "--context -",
        "--questions",
    ):
        assert piece in told


def test_the_exit_codes_are_those_of_the_program() -> None:
    told = {int(code) for code in re.findall(r"^\| (\d+) \|", README, re.MULTILINE)}
    assert told == {value for name, value in vars(exits).items() if name.isupper()}


def test_every_setting_is_told_with_its_variable() -> None:
    for key in KEYS:
        assert re.search(rf"\| `RAGCLI_{key.upper()}` \| `{key}` \|", README), key


def test_the_example_configuration_can_be_read(tmp_path: Path) -> None:
    written = re.search(r"^```toml\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    assert written is not None
    file = tmp_path / "ragcli.toml"
    file.write_text(written[1], "utf-8")
    assert read_config(file)["index"] == tmp_path / ".ragcli"


def test_the_tree_shows_the_folders_there_are() -> None:
    tree = README.partition("```text\nragcli/\n")[2].partition("```")[0]
    told = set(re.findall(r"^  (\w+)/ ", tree, re.MULTILINE))
    assert told == {path.parent.name for path in (PROJECT / "ragcli").glob("*/__init__.py")}


def anchors(page: Path) -> set[str]:
    """What a heading is called in a link: lower case, without signs, dashes for spaces."""
    headings = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", one).lower().replace(" ", "-") for one in headings}


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_somewhere(name: str) -> None:
    page = PROJECT / name
    links = re.findall(r"\]\((?!https:)([^)#]*)#?([^)]*)\)", page.read_text("utf-8"))
    assert links
    for target, anchor in links:
        file = page.parent / target if target else page
        assert file.exists(), target
        assert not anchor or anchor in anchors(file), f"{target}#{anchor}"


@pytest.mark.parametrize("name", PAGES)
def test_pages_can_be_read_at_80_columns(name: str) -> None:
    lines = (PROJECT / name).read_text("utf-8").splitlines()
    assert [line for line in lines if len(line) > 80 and "https://" not in line] == []


def test_the_guide_names_only_options_that_exist() -> None:
    known = {
        name: {option for parameter in one.params for option in getattr(parameter, "opts", ())}
        for name, one in command().commands.items()
    }
    calls = re.findall(rf"\bragcli ({'|'.join(known.keys() - {'eval'})}) ([^|`\n]*)", GUIDE)
    assert len(calls) > 20
    for name, rest in calls:
        for option in re.findall(r"(?<![\w-])--?[a-z][a-z-]*|(?<![\w-])-0", rest):
            assert option in known[name], f"ragcli {name} {rest}"


def test_the_guide_states_the_default_threshold() -> None:
    assert f"below {DEFAULT_MIN_CONFIDENCE:g}" in GUIDE


def test_the_guide_says_of_each_dependency_why_it_was_chosen() -> None:
    table = GUIDE.partition("## Why these libraries")[2]
    told = re.findall(r"^\| ([\w-]+) \| \w", table, re.MULTILINE)[1:]
    needed = [one for one in requires("ragcli") or () if "extra ==" not in one]
    assert told == sorted(re.split(r"[^\w-]", one)[0] for one in needed)
