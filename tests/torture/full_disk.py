"""Disks that fill up: a clear error, a sound index, and the same work again once there is room.

    python tests/torture/full_disk.py [--phase NAME]...

Each phase is tried on a file system in memory that is read-only, then with so many kilobytes to
spare, from none until the work succeeds. What it may raise is a ``RagcliError`` that names the
disk. Then, with room, the index has to open, to be searched, to pass ``doctor`` and to have lost
nothing, and the same work has to end as a quiet build does. Needs Linux, and ``unshare`` of a name
space of mounts. Prints a JSON object a phase; the exit code is 1 when anything was found, 5 where
no disk can be mounted.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from children import in_child, warm_up
from holdings import held_in
from phases import INDEX, PHASES, Phase, Work, shrink_batches
from stage import Stage

from ragcli.errors import RagcliError

SPARE_KILOBYTES = (0, 8, 32, 64, 100, 150, 200, 300, 400, 600, 900, 1300, 2000, 4000, 8000)
ROOM = "256m"
CANNOT_MOUNT = 5
_SUCCEEDED, _TOLD = 0, 2
_WORDS = ("full", "space", "disk i/o", "unable to open", "has room for", "read-only", "readonly")


def _attempt(work: Work, place: Path) -> tuple[int, str]:
    """Do the work in a child; its exit code, and the error that it told."""
    told = place.parent.with_suffix(".told")
    told.unlink(missing_ok=True)

    def attempt() -> None:
        try:
            work(place)
        except RagcliError as error:
            told.write_text(f"{error.message} {error.__cause__}")
            os._exit(_TOLD)

    _, status = os.waitpid(in_child(attempt), 0)
    return os.waitstatus_to_exitcode(status), told.read_text() if told.exists() else ""


def _is_readable(place: Path) -> bool:
    """Whether the index can be read while the disk is full; not where there is none yet."""
    try:
        held_in(place / INDEX)
    except RagcliError:
        return False
    return True


def _mount(folder: Path, *options: str) -> None:
    subprocess.run(["mount", "-t", "tmpfs", *options, "none", str(folder)], check=True)


class Disk:
    """A small file system in memory, mounted at ``folder`` anew for each trial of a phase."""

    def __init__(self, stage: Stage, folder: Path) -> None:
        self._stage = stage
        self._folder = folder
        self.errors = 0
        self.readable = 0

    def attempt(self, trial: str, *options: str, spare: int | None = None) -> bool:
        """Do the work on a disk with these options, or so much to spare; whether it succeeded."""
        _mount(self._folder, "-o", f"size={ROOM}")
        try:
            place = self._stage.place(self._folder / "place")
            if spare is not None:
                options = (f"size={self._used() + spare}k",)
            _mount(self._folder, "-o", ",".join(["remount", *options]))
            code, told = _attempt(self._stage.phase.work, place)
            if code == _TOLD:
                self.errors += 1
                self.readable += _is_readable(place)
                if not any(word in told.lower() for word in _WORDS):
                    self._stage.found.append(f"{trial}: does not name the disk: {told}")
            elif code != _SUCCEEDED:
                self._stage.found.append(f"{trial}: exit {code}")
            _mount(self._folder, "-o", f"remount,rw,size={ROOM}")
            self._stage.check(place, trial)
            self._stage.finish(place, trial)
        finally:
            subprocess.run(["umount", str(self._folder)], check=True)
        return code == _SUCCEEDED

    def _used(self) -> int:
        """Kilobytes in use."""
        status = os.statvfs(self._folder)
        return (status.f_blocks - status.f_bfree) * status.f_frsize // 1024


def fill(name: str, phase: Phase, scratch: Path) -> dict[str, object]:
    """Try a phase on a disk that cannot be written, then with more and more to spare."""
    stage = Stage(phase, scratch)
    (scratch / "disk").mkdir()
    disk = Disk(stage, scratch / "disk")
    if disk.attempt("read-only", "ro"):
        stage.found.append("read-only: the work succeeded")
    wanted = (n for n in SPARE_KILOBYTES if disk.attempt(f"{n} kB to spare", spare=n))
    return {
        "phase": name,
        "succeeded_with_kb": next(wanted, None),
        "errors": disk.errors,
        "readable_meanwhile": disk.readable,
        "found": stage.found,
    }


def main() -> int:
    """Fill disks, in a name space of mounts that ends with this process."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--phase", action="append", choices=list(PHASES))
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if not given.inside:
        try:
            subprocess.run(["unshare", "-Urm", "true"], check=True, stderr=subprocess.DEVNULL)
        except (OSError, subprocess.CalledProcessError):
            return CANNOT_MOUNT
        again = ["unshare", "-Urm", sys.executable, *sys.argv, "--inside"]
        return subprocess.run(again, check=False).returncode
    shrink_batches()
    warm_up()
    is_sound = True
    for name in given.phase or PHASES:
        with tempfile.TemporaryDirectory(prefix="disk-") as scratch:
            result = fill(name, PHASES[name], Path(scratch).resolve())
        sys.stdout.write(f"{json.dumps(result)}\n")
        sys.stdout.flush()
        is_sound = is_sound and not result["found"]
    return 0 if is_sound else 1


if __name__ == "__main__":
    sys.exit(main())
