"""A folder of real documents, indexed and indexed again: what it takes and what comes of it.

    python benchmarks/folder.py FOLDER [--include '*.html'] [--index FOLDER]

Runs ``ragcli index FOLDER`` as a new process, then once more. Prints one JSON object a run: files,
passages, what failed and what was passed over by reason, passages embedded, seconds by stage, the
share of the time in which the encoder was busy, the peak memory of the writing process and of all
processes together (proportional set sizes, sampled), and the size of the index. The second run
should embed nothing; its seconds are also given as a share of the first's. Needs Linux.
"""

from __future__ import annotations

import argparse
import collections
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path

SAMPLE_SECONDS = 0.1


def family(root: int) -> list[int]:
    """A process and all that descend from it."""
    parents: dict[int, list[int]] = collections.defaultdict(list)
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                stat = (entry / "stat").read_text().rpartition(")")[2].split()
                parents[int(stat[1])].append(int(entry.name))
    found = [root]
    for pid in found:
        found.extend(parents[pid])
    return found


def kilobytes(pid: int, field: str, file: str) -> int:
    """A figure of a process; 0 when it is gone."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/{file}").read_text().splitlines():
            if line.startswith(field):
                return int(line.split()[1])
    return 0


class Memory(threading.Thread):
    """Watches a process and its descendants until it ends."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        super().__init__(daemon=True)
        self._process = process
        self.own = 0
        self.together = 0

    def run(self) -> None:
        """Sample."""
        while self._process.poll() is None:
            pids = family(self._process.pid)
            self.own = max(self.own, kilobytes(pids[0], "VmHWM:", "status"))
            self.together = max(
                self.together, sum(kilobytes(pid, "Pss:", "smaps_rollup") for pid in pids)
            )
            time.sleep(SAMPLE_SECONDS)


def run(command: list[str]) -> tuple[dict[str, object], float, Memory]:
    """Run ``ragcli index --json``; its summary, its seconds, its memory."""
    started = time.monotonic()
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    memory = Memory(process)
    memory.start()
    told, _ = process.communicate()
    memory.join()
    if process.returncode not in {0, 3}:
        raise SystemExit(f"exit {process.returncode}: {' '.join(command)}")
    return json.loads(told), time.monotonic() - started, memory


def reasons(items: list[dict[str, str]]) -> dict[str, int]:
    """How many for each reason."""
    return dict(collections.Counter(item["reason"] for item in items).most_common())


def main() -> int:
    """Index twice and report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--include", action="append", default=[])
    parser.add_argument("--index", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        index = given.index or Path(scratch) / "index"
        command = [sys.executable, "-m", "ragcli", "index", str(given.folder), "--json"]
        command += ["--index", str(index)]
        for pattern in given.include:
            command += ["--include", pattern]
        first = 0.0
        for number in (1, 2):
            summary, seconds, memory = run(command)
            first = first or seconds
            result = {
                "run": number,
                "processors": os.cpu_count(),
                **{
                    key: value
                    for key, value in summary.items()
                    if key not in {"schema", "index", "failed", "skipped"}
                },
                "failed": reasons(summary["failed"]),  # type: ignore[arg-type]
                "skipped": reasons(summary["skipped"]),  # type: ignore[arg-type]
                "wall_seconds": round(seconds, 1),
                "of_first_run": round(seconds / first, 3),
                "peak_mb": round(memory.own / 1000),
                "peak_mb_all_processes": round(memory.together / 1000),
                "index_mb": round(sum(file.stat().st_size for file in index.rglob("*")) / 1e6, 1),
            }
            print(json.dumps(result), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
