"""How time, memory and recall grow with the number of passages, beside FAISS's exact search.

    python benchmarks/scale.py --sizes 10000 100000 [--corpus PATH ...] [--folder DIR] [--seed 0]
                               [--types auto flat ...] [--recall 0.95] [--runs 5] [--keep]

Indexes the corpus (``sample_corpus/`` by default) with ``ragcli index``, then makes larger indexes
of it: a vector is that of one real passage moved some way towards that of another, with noise, at
length 1; its text is that of the first, its words partly exchanged with those of the second. Held-
out queries are made in the same way of three passages each.

Every query is a new process. ``store`` opens the index and searches it for the ten nearest of a
given vector; ``flat_peer`` reads a flat FAISS index of the same vectors with ``read_index`` and
searches that; ``command_hybrid`` is ``ragcli search`` in the default mode, ``command_dense`` the
same with ``--mode dense``. Seconds are medians on the clock and on the processor (which other work
on the machine disturbs less), megabytes the greatest resident memory of the process (Linux tells
it); ``imports`` is what a process needs that only loads the libraries of ``store``. Prints one JSON
object a line.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import faiss
import numpy as np
from numpy.typing import NDArray

from ragcli.engine.indexing import index_paths
from ragcli.records import Document, Passage
from ragcli.store import EmbeddedDocument, Index, SourceState

CORPUS = Path(__file__).resolve().parents[1] / "sample_corpus"
QUESTION = "How many days of annual leave do employees get?"
TOWARDS = 0.5  # at most so far towards the other vector
NOISE = 0.02  # of each component; the nearest neighbours are then as far away as real ones
MIXED = (1.0, 0.7, 0.7)
QUERIES = 200
K = 10
PASSAGES_PER_DOCUMENT = 20
DOCUMENTS_PER_COMMIT = 500

Vectors = NDArray[np.float32]

MEASURED = """
import sys
try:
    {body}
finally:
    import os
    status = open("/proc/self/status").read()
    peak = int(status.split("VmHWM:")[1].split()[0])
    sys.stderr.write(f"\\n{{sum(os.times()[:2])}} {{peak * 1024 / 1e6}}")
"""
STORE = """
import numpy as np; from pathlib import Path; from ragcli.store import Index
query = np.load(sys.argv[2])
with Index.open(Path(sys.argv[1])) as index: index.search(query, 10)
"""
PEER = """
import numpy as np, faiss
query = np.load(sys.argv[2])
faiss.read_index(sys.argv[1]).search(query, 10)
"""
COMMAND = """
from ragcli.cli import main
sys.argv[:1] = ["ragcli", "search"]
try: main()
except SystemExit as left:
    if left.code: raise
"""
IMPORTS = "import numpy, faiss; from ragcli.store import Index"


class Cost(NamedTuple):
    """Seconds on the clock and on the processor, and megabytes, of one process."""

    seconds: float
    processor_seconds: float
    megabytes: float

    def rounded(self) -> dict[str, float]:
        """As it is printed."""
        return {
            "seconds": round(self.seconds, 3),
            "processor_seconds": round(self.processor_seconds, 3),
            "megabytes": round(self.megabytes),
        }


@dataclass(frozen=True)
class Real:
    """Passages of a corpus: texts, and vectors ``(n, dimension)``."""

    texts: list[str]
    vectors: Vectors


def unit(vectors: NDArray[np.floating]) -> Vectors:
    """The vectors at length 1."""
    scaled: Vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return scaled


def real_passages(folder: Path) -> Real:
    """All passages of an index."""
    with Index.open(folder) as index:
        ids = sorted(row[0] for row in index.passage_documents())
        texts = [stored.passage.text for stored in index.passages(ids)]
        return Real(texts, index.vectors(ids))


def perturbed(real: Real, count: int, seed: int) -> Iterator[EmbeddedDocument]:
    """Documents of ``PASSAGES_PER_DOCUMENT`` passages, ``count`` passages in all."""
    random = np.random.default_rng(seed)
    for first in range(0, count, PASSAGES_PER_DOCUMENT):
        size = min(PASSAGES_PER_DOCUMENT, count - first)
        one, other = random.integers(0, len(real.texts), (2, size))
        share = TOWARDS * random.random((size, 1))
        noise = NOISE * random.standard_normal((size, real.vectors.shape[1]))
        vectors = unit(real.vectors[one] + share * real.vectors[other] + noise)
        texts = [
            mixed_text(real.texts[i], real.texts[j], float(part))
            for i, j, part in zip(one, other, share.ravel(), strict=True)
        ]
        ends = np.cumsum([len(text) for text in texts]).tolist()
        passages = [
            Passage(end - len(text), end, text) for text, end in zip(texts, ends, strict=True)
        ]
        path, text = f"made/{first:08}.txt", "".join(texts)
        digest = hashlib.sha256(text.encode()).hexdigest()
        yield Document(path, path, text, digest), passages, vectors


def mixed_text(text: str, other: str, share: float) -> str:
    """``text`` with the last ``share`` of its words taken from ``other``."""
    words, others = text.split(), other.split()
    kept = len(words) - int(share * len(words))
    return " ".join([*words[:kept], *others[: len(words) - kept]]) + " "


def held_out(real: Real, seed: int) -> Vectors:
    """Queries ``(QUERIES, dimension)``, each mixed of three real passages."""
    random = np.random.default_rng(seed + 1)
    drawn = random.integers(0, len(real.texts), (QUERIES, len(MIXED)))
    return unit((real.vectors[drawn] * np.array(MIXED)[:, None]).sum(axis=1))


def fill(folder: Path, like: Path, real: Real, count: int, seed: int) -> float:
    """Write the catalogue of a new index, vectors left to be derived; seconds."""
    started = time.perf_counter()
    with Index.open(like) as index:
        fingerprint = index.fingerprint
    index = Index.create_or_open(folder, fingerprint)
    index.prefer("index_type", "flat")
    for number, embedded in enumerate(perturbed(real, count, seed), start=1):
        source = SourceState(embedded[0].path, embedded[0].content_hash, 1, 1)
        index.replace_source(source, [embedded])
        if number % DOCUMENTS_PER_COMMIT == 0:
            index.commit()
    index.commit()
    index.close()
    return time.perf_counter() - started


def derive(folder: Path, kind: str, recall: float) -> Cost:
    """Derive the vectors as another type, in a process of its own."""
    body = (
        "from pathlib import Path; from ragcli.store import Index\n"
        "with Index.open(Path(sys.argv[1])) as index: made_by = index.fingerprint\n"
        "with Index.create_or_open(Path(sys.argv[1]), made_by) as index:\n"
        "    index.prefer('index_type', None if sys.argv[2] == 'auto' else sys.argv[2])\n"
        "    index.prefer('recall', sys.argv[3])\n"
        "    index.commit()"
    )
    return measured(body, str(folder), kind, str(recall))


def measured(body: str, *arguments: str) -> Cost:
    """What Python code costs in a new process."""
    code = MEASURED.format(body=body.strip().replace("\n", "\n    "))
    started = time.perf_counter()
    words = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(words, check=False, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr)
    wall = time.perf_counter() - started
    processor, megabytes = map(float, done.stderr.splitlines()[-1].split())
    return Cost(wall, processor, megabytes)


def repeated(runs: int, body: str, *arguments: str) -> dict[str, float]:
    """Medians of several new processes, after one that warms the file cache."""
    measured(body, *arguments)
    costs = [measured(body, *arguments) for _ in range(runs)]
    return Cost(*map(statistics.median, zip(*costs, strict=True))).rounded()


def command(runs: int, folder: Path, *options: str) -> dict[str, float]:
    """The same of ``ragcli search``."""
    return repeated(runs, COMMAND, QUESTION, "--json", "--index", str(folder), *options)


def recall(folder: Path, peer: Path, queries: Vectors) -> dict[str, float]:
    """Recall@10 against the flat peer, and milliseconds a query in one warm process."""
    flat = faiss.read_index(str(peer))
    _, exact = flat.search(queries, K)
    with Index.open(folder) as index:
        index.search(queries[:1], K)
        started = time.perf_counter()
        found = [index.search(queries[i : i + 1], K)[0] for i in range(len(queries))]
        own = time.perf_counter() - started
    started = time.perf_counter()
    for i in range(len(queries)):
        flat.search(queries[i : i + 1], K)
    peers = time.perf_counter() - started
    shares = [
        len({hit for hit, _ in hits} & set(row.tolist())) / K
        for hits, row in zip(found, exact, strict=True)
    ]
    return {
        "recall@10": round(float(np.mean(shares)), 4),
        "warm_ms": round(1000 * own / len(queries), 2),
        "flat_warm_ms": round(1000 * peers / len(queries), 2),
    }


def report(
    folder: Path, peer: Path, kind: str, given: argparse.Namespace, queries: Vectors
) -> dict[str, object]:
    """Derive one type of index and measure it."""
    runs = given.runs
    cost = derive(folder, kind, given.recall)
    with Index.open(folder) as index:
        summary = index.summary()
    made_as = summary.derivation
    query = folder / "query.npy"
    np.save(query, queries[:1])
    store, flat = (
        repeated(runs, STORE, str(folder), str(query)),
        repeated(runs, PEER, str(peer), str(query)),
    )
    return {
        "passages": summary.passages,
        "type": kind,
        "derivation": made_as and json.loads(made_as.to_json()),
        "derive": cost.rounded(),
        "vectors_megabytes": round((folder / "vectors.faiss").stat().st_size / 1e6),
        "catalogue_megabytes": round((folder / "catalogue.sqlite").stat().st_size / 1e6),
        "imports": repeated(runs, IMPORTS),
        "store": store,
        "flat_peer": flat,
        "flat_peer_ratio": round(flat["seconds"] / store["seconds"], 2),
        "command_hybrid": command(runs, folder),
        "command_dense": command(runs, folder, "--mode", "dense"),
        **recall(folder, peer, queries),
    }


def arguments() -> argparse.Namespace:
    """What to measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--corpus", type=Path, nargs="+", default=[CORPUS])
    parser.add_argument("--folder", type=Path, default=None)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--types", nargs="+", default=["auto"])
    parser.add_argument("--recall", type=float, default=0.95)
    parser.add_argument("--runs", type=int, default=5, help="processes that a median is taken of")
    parser.add_argument("--keep", action="store_true", help="keep the indexes that were made")
    return parser.parse_args()


def main() -> int:
    """Make the indexes in turn and measure each."""
    given = arguments()
    folder = given.folder or Path(tempfile.mkdtemp())
    folder.mkdir(parents=True, exist_ok=True)
    corpus = folder / "corpus"
    if not corpus.exists():
        index_paths(given.corpus, corpus)
    real = real_passages(corpus)
    queries = held_out(real, given.seed)
    for size in given.sizes:
        made, peer = folder / str(size), folder / f"{size}.faiss"
        if not peer.exists():
            shutil.rmtree(made, ignore_errors=True)
            seconds = fill(made, corpus, real, size, given.seed)
            shutil.copyfile(made / "vectors.faiss", peer)
            sys.stdout.write(json.dumps({"passages": size, "fill_seconds": round(seconds)}) + "\n")
        for kind in given.types:
            line = report(made, peer, kind, given, queries)
            sys.stdout.write(json.dumps(line) + "\n")
            sys.stdout.flush()
        if not given.keep:
            shutil.rmtree(made)
            peer.unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main())
