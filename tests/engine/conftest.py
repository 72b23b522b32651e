from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

Write = Callable[[str, str], Path]


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """A folder of three documents that were written a while ago."""
    for name, text in {
        "docs/leave.md": "# Leave\n\nEvery employee has 25 days of paid leave a year.\n",
        "docs/boiler.txt": "The boiler in the cellar was serviced in March.\n",
        "tea.txt": "Green tea is brewed at 80 degrees.\n",
    }.items():
        write(tmp_path / name, text)
    return tmp_path


def write(file: Path, text: str, *, age: float = 60.0) -> Path:
    """Write ``file`` as if ``age`` seconds ago."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, "utf-8")
    moment = time.time() - age
    os.utime(file, (moment, moment))
    return file


@pytest.fixture(name="write")
def write_fixture() -> Callable[..., Path]:
    return write
