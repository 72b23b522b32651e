"""The README's examples are run as they stand."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
EXAMPLES = [
    line.removeprefix("$ ")
    for block in re.findall(r"```console\n(.*?)```", README, re.DOTALL)
    for line in block.splitlines()
    if line.startswith("$ ")
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds the sample corpus, and its index once the first example has run."""
    folder = tmp_path_factory.mktemp("readme")
    shutil.copytree(ROOT / "sample_corpus", folder / "sample_corpus")
    return folder


def run(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a command line as a person's shell would, with this environment's ``ragcli`` first."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        cwd=folder,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


def test_there_are_examples_of_every_command() -> None:
    assert {"index", "search", "status", "ask"} <= {
        word for example in EXAMPLES for word in example.split()
    }


def test_the_examples_run(folder: Path) -> None:
    for example in EXAMPLES:
        finished = run(example, folder)
        assert finished.returncode == 0, f"{example}\n{finished.stdout}{finished.stderr}"


def test_the_output_shown_is_the_output(folder: Path) -> None:
    run(EXAMPLES[0], folder)
    example = next(e for e in EXAMPLES if e.endswith("-l"))
    shown = README.split(f"$ {example}\n", 1)[1].split("$ ", 1)[0]
    assert run(example, folder).stdout == shown
