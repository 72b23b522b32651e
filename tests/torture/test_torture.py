"""The short forms of the programs beside, and that ``torture.py`` notices harm that is done."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PROGRAM = Path(__file__).with_name("torture.py")
SEQUENCES = Path(__file__).with_name("sequences.py")
CROWD = Path(__file__).with_name("crowd.py")
FULL_DISK = Path(__file__).with_name("full_disk.py")
CANNOT_MOUNT = 5
CARELESS = """
import shutil, sys
sys.path.insert(0, {folder!r})
import phases, torture

def careless(place):
    shutil.rmtree(place / phases.INDEX)
    phases.build_quietly(place)

phases.PHASES["update"] = phases.Phase(phases._changed, careless, phases.second_documents)
sys.exit(torture.main())
"""


def _torture(*command: str) -> tuple[int, list[dict[str, Any]]]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    ended = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", *command],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    return ended.returncode, [json.loads(line) for line in ended.stdout.splitlines()]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the program forks")
@pytest.mark.parametrize(
    "phases",
    [
        ("index", "update", "remove"),
        ("rebuild", "compact", "migrate"),
        ("merge", "merge-into-new", "update-approximate"),
        ("import", "export", "repair"),
    ],
)
def test_whatever_is_killed_nothing_is_lost_and_the_end_is_that_of_a_quiet_build(
    phases: tuple[str, ...],
) -> None:
    options = ["--steps", "2", "--rows", "1", "--instants", "1"]
    for phase in phases:
        options += ["--phase", phase]
    code, results = _torture(str(PROGRAM), *options)
    assert [(result["phase"], result["found"]) for result in results] == [
        (phase, []) for phase in phases
    ]
    assert all(result["kills_at_steps"] >= 1 for result in results)
    assert code == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the program forks")
@pytest.mark.parametrize("examples", [10, pytest.param(300, marks=pytest.mark.slow)])
def test_whatever_happened_to_the_files_the_end_is_that_of_a_quiet_build(examples: int) -> None:
    code, (counts,) = _torture(str(SEQUENCES), "--examples", str(examples))
    assert code == 0
    assert counts["sequences"] == examples
    assert counts["kills"] > 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the program forks")
def test_two_writers_and_ten_readers_do_not_disturb_each_other() -> None:
    code, (counts,) = _torture(str(CROWD), "--seconds", "8")
    assert (code, counts["found"]) == (0, [])
    assert counts["runs"] > 0
    assert counts["reads"] > counts["readers"] == 10
    assert counts["generations"] > 10  # not one commit only was seen


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the program mounts disks")
@pytest.mark.parametrize("phase", ["update", "merge"])
def test_a_full_disk_harms_nothing_and_the_work_goes_on_once_there_is_room(phase: str) -> None:
    code, results = _torture(str(FULL_DISK), "--phase", phase)
    if code == CANNOT_MOUNT:
        pytest.skip("no disk can be mounted here")
    (result,) = results
    assert (code, result["found"]) == (0, [])
    assert result["errors"] > 5
    assert result["succeeded_with_kb"] > 100


def test_work_that_a_kill_does_harm_to_is_found_out(tmp_path: Path) -> None:
    program = tmp_path / "careless.py"
    program.write_text(CARELESS.format(folder=str(PROGRAM.parent)))
    options = ["--phase", "update", "--steps", "1", "--rows", "0", "--instants", "0"]
    code, (result,) = _torture(str(program), *options)
    assert code == 1
    assert any("lost" in found or "the index is gone" in found for found in result["found"])
