from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from ragcli.cli.app import command
from ragcli.cli.reference import reference

PAGE = Path(__file__).parents[2] / "docs" / "cli.md"


def test_the_page_is_what_the_commands_say() -> None:
    assert PAGE.read_text("utf-8") == reference(), (
        "docs/cli.md is stale: run python -m ragcli.cli.reference > docs/cli.md"
    )


def test_every_command_and_option_is_on_it() -> None:
    page = reference()
    for name, one in command().commands.items():
        section = page.partition(f"## `ragcli {name}`")[2].partition("\n## ")[0]
        assert section, f"{name} is not documented"
        for parameter in one.params:
            for option in getattr(parameter, "opts", []):
                if option.startswith("-"):
                    assert re.search(rf"(?<![\w-]){option}(?![\w-])", section), f"{name} {option}"


def test_it_does_not_depend_on_the_terminal() -> None:
    environ = {**os.environ, "COLUMNS": "33", "TERM": "xterm", "FORCE_COLOR": "1"}
    finished = subprocess.run(
        [sys.executable, "-m", "ragcli.cli.reference"],
        env={**environ, "PYTHONUTF8": "1"},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=True,
        timeout=60,
    )
    assert finished.stdout == reference()
