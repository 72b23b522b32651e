"""Wall time of cold commands, beside that of sentence-transformers encoding one query.

    python benchmarks/start_up.py [RUNS]

Every run is a new process. The peer loads the same encoder from its folder and encodes the query,
without any index. Prints one JSON object: seconds of each run, and the ratio of medians to the
peer's.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from ragcli.encoder import minilm

CORPUS = Path(__file__).resolve().parents[1] / "sample_corpus"
QUERY = "How many days of annual leave do employees get?"
PEER = (
    "import sys; from sentence_transformers import SentenceTransformer as Model;"
    "Model(sys.argv[1], device='cpu').encode(sys.argv[2])"
)


def seconds(words: list[str], folder: Path) -> float:
    """Wall time of one process."""
    started = time.perf_counter()
    subprocess.run(words, cwd=folder, check=True, capture_output=True)
    return time.perf_counter() - started


def main() -> int:
    """Index the sample corpus, then take the commands in turn."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    ragcli = [sys.executable, "-m", "ragcli"]
    commands = {
        "--help": [*ragcli, "--help"],
        "status": [*ragcli, "status"],
        "search": [*ragcli, "search", QUERY],
        "search --rerank": [*ragcli, "search", QUERY, "--rerank"],
        "ask": [*ragcli, "ask", QUERY],
        "sentence-transformers": [sys.executable, "-c", PEER, str(minilm.folder()), QUERY],
    }
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        seconds([*ragcli, "index", str(CORPUS)], folder)
        times: dict[str, list[float]] = {command: [] for command in commands}
        for _ in range(runs):
            for command, words in commands.items():
                times[command].append(seconds(words, folder))
    peer = statistics.median(times["sentence-transformers"])
    result = {
        command: {
            "seconds": [round(one, 2) for one in own],
            "ratio": round(statistics.median(own) / peer, 2),
        }
        for command, own in times.items()
    }
    sys.stdout.write(json.dumps(result, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
