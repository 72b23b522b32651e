from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from ragcli.errors import UsageError
from ragcli.store import Derivation, Index, check_index_type, check_recall
from ragcli.store.vectors.approximate import EXHAUSTIVE_LIMIT, ApproximateVectors
from ragcli.store.vectors.kinds import FLAT_LIMIT, factory_string, resolve
from ragcli.store.vectors.stored import StoredVectors
from ragcli.store.vectors.training import build, empty_index, least_passages
from ragcli.store.vectors.tuning import tune

if TYPE_CHECKING:
    from conftest import Bench
    from numpy.typing import NDArray

TYPES = ("ivf", "hnsw", "IVF8,Flat", "IVF8,SQ8", "IVF8,PQ2x4", "HNSW8,Flat", "PCA3,IVF8,SQ8")
DIMENSION = 4


def _write(
    folder: Path,
    bench: Bench,
    sizes: dict[str, int],
    index_type: str | None = None,
    recall: float | None = None,
) -> None:
    """Put sources of so many passages into the index; those of 0 passages are removed."""
    with Index.create_or_open(folder, bench.fingerprint) as index:
        index.choose(index_type, recall)
        for path, size in sizes.items():
            if size:
                bench.fill(index, path, _vectors(bench, path, size))
            else:
                index.remove_source(path)
        index.commit()


def _vectors(bench: Bench, path: str, size: int) -> NDArray[np.float32]:
    return bench.unit(size, seed=sum(path.encode()))


def _assert_holds(
    folder: Path, bench: Bench, sizes: dict[str, int], *, exactly: bool = False
) -> None:
    sources = {path: ("0", _vectors(bench, path, size)) for path, size in sizes.items()}
    with Index.open(folder) as index:
        bench.assert_holds(index, bench.by_text(sources), exactly=exactly)


def _derivation(folder: Path) -> Derivation:
    with Index.open(folder) as index:
        made_as = index.summary().derivation
    assert made_as is not None
    return made_as


@pytest.mark.parametrize("index_type", TYPES)
def test_every_type_is_trained_tuned_updated_and_read_again(
    tmp_path: Path, bench: Bench, index_type: str, capfd: pytest.CaptureFixture[str]
) -> None:
    _write(tmp_path, bench, {"a": 100, "b": 60}, index_type)
    made_as = _derivation(tmp_path)
    assert (made_as.kind, made_as.passages, made_as.is_exact) == (index_type, 160, False)
    assert made_as.measured_recall is not None
    assert made_as.measured_recall >= 0.95
    assert made_as.parameter in {"nprobe", "efSearch"}
    _assert_holds(tmp_path, bench, {"a": 100, "b": 60})
    _write(tmp_path, bench, {"b": 0, "c": 30})
    assert _derivation(tmp_path).passages in {130, 160}  # a graph that lost much is built anew
    _assert_holds(tmp_path, bench, {"a": 100, "c": 30})
    assert capfd.readouterr().err == ""  # FAISS has nothing to complain about


def test_a_type_is_kept_until_another_is_chosen_and_needs_no_embedding(
    tmp_path: Path, bench: Bench
) -> None:
    _write(tmp_path, bench, {"a": 120}, "IVF8,SQ8")
    _write(tmp_path, bench, {"b": 5})
    assert _derivation(tmp_path).kind == "IVF8,SQ8"
    _write(tmp_path, bench, {}, "hnsw")
    assert _derivation(tmp_path).kind == "hnsw"
    _write(tmp_path, bench, {}, "auto")
    assert _derivation(tmp_path).kind == "flat"
    with Index.open(tmp_path) as index:
        assert index.preferences() == {}  # what was chosen automatically is no choice
    _assert_holds(tmp_path, bench, {"a": 120, "b": 5}, exactly=True)


def test_another_recall_is_tuned_to_without_training(tmp_path: Path, bench: Bench) -> None:
    _write(tmp_path, bench, {"a": 400}, "IVF64,Flat", recall=0.3)
    low = _derivation(tmp_path)
    _write(tmp_path, bench, {"b": 1}, recall=1.0)
    high = _derivation(tmp_path)
    assert low.setting is not None
    assert high.setting is not None
    assert low.setting < high.setting
    assert (low.requested_recall, high.requested_recall) == (0.3, 1.0)
    assert (low.passages, high.passages) == (400, 400)


def test_a_recall_out_of_reach_gets_the_greatest_setting_and_is_told(
    tmp_path: Path, bench: Bench
) -> None:
    _write(tmp_path, bench, {"a": 2000}, "IVF4,PQ1x2", recall=0.99)
    made_as = _derivation(tmp_path)
    assert made_as.setting == 4
    assert made_as.measured_recall is not None
    assert made_as.measured_recall < 0.99


def test_too_few_passages_are_searched_exactly_until_there_are_enough(
    tmp_path: Path, bench: Bench, capfd: pytest.CaptureFixture[str]
) -> None:
    _write(tmp_path, bench, {"a": 39}, "IVF10,SQ8")
    made_as = _derivation(tmp_path)
    assert (made_as.is_exact, made_as.kind, made_as.enough_at) == (True, "IVF10,SQ8", 40)
    _assert_holds(tmp_path, bench, {"a": 39}, exactly=True)
    _write(tmp_path, bench, {"b": 1})
    assert not _derivation(tmp_path).is_exact
    _assert_holds(tmp_path, bench, {"a": 39, "b": 1})
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("name", "enough_at"), [("NSG8,Flat", 128), ("OPQ2,IVF2,PQ2x2", 10_000), ("RQ2x2", 10_000)]
)
def test_a_type_that_cannot_be_trained_yet_waits_and_says_nothing(
    tmp_path: Path, bench: Bench, name: str, enough_at: int, capfd: pytest.CaptureFixture[str]
) -> None:
    _write(tmp_path, bench, {"a": 64}, name)
    assert _derivation(tmp_path).enough_at == enough_at
    _assert_holds(tmp_path, bench, {"a": 64}, exactly=True)
    assert capfd.readouterr().err == ""


def test_an_index_that_doubled_or_halved_is_trained_anew(tmp_path: Path, bench: Bench) -> None:
    trained = []
    for change in ({"a": 100}, {"b": 60}, {"c": 50}, {"a": 0}, {"b": 0}):
        _write(tmp_path, bench, change, "ivf")
        trained.append(_derivation(tmp_path).passages)
    assert trained == [100, 100, 210, 210, 50]


@pytest.mark.parametrize("index_type", ["ivf", "HNSW8,Flat"])
def test_a_reader_finds_what_a_killed_writer_committed(
    tmp_path: Path, bench: Bench, index_type: str
) -> None:
    _write(tmp_path, bench, {"a": 80, "b": 80, "z": 3}, index_type)
    before = (tmp_path / "vectors.faiss").read_bytes()

    def be_killed() -> None:
        with Index.create_or_open(tmp_path, bench.fingerprint) as index:
            bench.fill(index, "c", _vectors(bench, "c", 4))
            index.remove_source("z")
            index.commit()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        be_killed()
    assert (tmp_path / "vectors.faiss").read_bytes() == before
    _assert_holds(tmp_path, bench, {"a": 80, "b": 80, "c": 4})
    assert (tmp_path / "vectors.faiss").read_bytes() == before


@pytest.mark.parametrize("damage", ["missing", "torn"])
def test_without_a_usable_file_a_reader_searches_exactly_and_trains_nothing(
    tmp_path: Path, bench: Bench, damage: str
) -> None:
    _write(tmp_path, bench, {"a": 120}, "IVF8,SQ8")
    file = tmp_path / "vectors.faiss"
    file.write_bytes(file.read_bytes()[:-9])
    if damage == "missing":
        file.unlink()
    _assert_holds(tmp_path, bench, {"a": 120}, exactly=True)
    with Index.open(tmp_path) as index:
        assert index.summary().derivation is None
    _write(tmp_path, bench, {})
    assert _derivation(tmp_path).kind == "IVF8,SQ8"


def test_a_reader_that_opened_before_a_writer_finds_what_was_there_then(
    tmp_path: Path, bench: Bench
) -> None:
    _write(tmp_path, bench, {"a": 80, "b": 80}, "ivf")
    with Index.open(tmp_path) as early:
        _write(tmp_path, bench, {"a": 0, "c": 50})
        old = {path: ("0", _vectors(bench, path, 80)) for path in ("a", "b")}
        bench.assert_holds(early, bench.by_text(old), exactly=False)
    _assert_holds(tmp_path, bench, {"b": 80, "c": 50})


@pytest.mark.parametrize(
    "name",
    ["IVFx", "IVF8,Bogus", "", "PQ3", "flatt", "IVF8 SQ8", "IVF0,Flat", "HNSW0", "IVF8,SQ8,RFlat"],
)
def test_an_unknown_type_is_refused_with_what_is_possible(name: str) -> None:
    with pytest.raises(UsageError, match="auto, flat, ivf, ivf-pq, hnsw, or a FAISS factory"):
        check_index_type(name, DIMENSION)


def test_names_may_be_written_in_capitals_and_factory_strings_stay() -> None:
    names = ["AUTO", "Flat", "ivf-PQ", "HNSW", "IVF8,SQ8"]
    assert [check_index_type(name, DIMENSION) for name in names] == [
        "auto", "flat", "ivf-pq", "hnsw", "IVF8,SQ8",
    ]  # fmt: skip


@pytest.mark.parametrize("recall", [0.0, -1.0, 1.01, float("nan")])
def test_a_recall_that_is_no_share_is_refused(recall: float) -> None:
    with pytest.raises(UsageError, match="share"):
        check_recall(recall)


def test_the_automatic_choice_goes_by_passages_and_memory() -> None:
    assert resolve("auto", FLAT_LIMIT, 384) == "flat"
    assert resolve("auto", FLAT_LIMIT + 1, 384) == "ivf"
    assert resolve("auto", 10**12, 384) == "ivf-pq"  # no memory holds these at a byte a component
    assert resolve("hnsw", 3, 384) == "hnsw"


def test_the_automatic_choice_does_not_waver_near_its_limit() -> None:
    assert resolve("auto", FLAT_LIMIT - 1, 384, "ivf") == "ivf"
    assert resolve("auto", FLAT_LIMIT // 2, 384, "ivf") == "flat"
    assert resolve("auto", FLAT_LIMIT - 1, 384, "flat") == "flat"


def test_a_name_stands_for_a_factory_string_that_fits_the_number() -> None:
    assert factory_string("ivf", 1_000_000, 384) == "IVF4000,SQ8"
    assert factory_string("ivf-pq", 90_000, 384) == "IVF1200,PQ48"
    assert factory_string("ivf-pq", 90_000, 10) == "IVF1200,PQ1"
    assert factory_string("ivf", 10, 384) == "IVF2,SQ8"
    assert factory_string("IVF7,SQ4", 10, 384) == "IVF7,SQ4"


@dataclasses.dataclass(frozen=True)
class Many:
    """More passages than a filtered search looks at one by one."""

    vectors: NDArray[np.float32]
    stored: StoredVectors
    index: ApproximateVectors


@pytest.fixture(scope="module", params=["IVF64,SQ8", "HNSW8,Flat", "RR8,IVF64,SQ8", "SQ6"])
def many(request: pytest.FixtureRequest, bench: Bench) -> Many:
    count, dimension = EXHAUSTIVE_LIMIT + 5000, 8
    vectors = bench.unit(count, seed=5, dimension=dimension)
    stored = StoredVectors(
        dimension,
        lambda ids: [(list(ids), vectors[np.asarray(ids)].tobytes())],
        lambda: np.arange(count),
    )
    faiss_index = empty_index(request.param, dimension)
    assert least_passages(faiss_index) <= count
    build(faiss_index, stored.ids(), stored)
    made_as = Derivation(request.param, request.param, count)
    index = ApproximateVectors(faiss_index, made_as, stored)
    index.derivation = tune(index, stored.ids(), stored, 0.9)
    return Many(vectors, stored, index)


def test_recall_holds_for_queries_that_were_not_tuned_on(many: Many, bench: Bench) -> None:
    queries = bench.unit(100, seed=77, dimension=8)
    exact = many.stored.search(queries, 10)
    found = many.index.search(queries, 10)
    shares = [len({*a} & {*b}) / 10 for a, b in zip(exact, found, strict=True)]
    assert np.mean(shares) > 0.85
    assert many.index.derivation.measured_recall is not None
    assert many.index.derivation.measured_recall >= 0.9


@pytest.mark.parametrize("size", [10, 9_000, 12_000])
def test_a_filter_finds_as_many_as_there_are(many: Many, bench: Bench, size: int) -> None:
    """Even where they all lie together, far from the query."""
    query = bench.unit(1, seed=78, dimension=8)
    furthest = np.argsort(many.vectors @ query[0])[:size]
    among = frozenset(furthest.tolist())
    k = min(size, 200)
    [hits] = many.index.search(query, k, among)
    assert len(hits) == k
    assert {passage_id for passage_id, _ in hits} <= among
    assert hits == bench.ranked({i: many.vectors[i] for i, _ in hits}, query[0], k)
    exact = {passage_id for passage_id, _ in many.stored.search(query, k, among)[0]}
    assert len(exact & {passage_id for passage_id, _ in hits}) >= 0.8 * k


def test_exact_search_of_the_catalogue_settles_ties_by_id(bench: Bench) -> None:
    distinct = bench.unit(100, seed=1, dimension=96)
    rows = np.random.default_rng(2).permutation(np.repeat(np.arange(100), 40))
    vectors = np.ascontiguousarray(distinct[rows])

    def read(ids: object) -> list[tuple[list[int], bytes]]:
        wanted = np.asarray(ids)
        return [
            (part.tolist(), vectors[part].tobytes()) for part in np.array_split(wanted[::-1], 7)
        ]

    stored = StoredVectors(96, read, lambda: np.arange(len(vectors)))
    queries = np.concatenate([distinct[:5], bench.unit(5, seed=4, dimension=96)])
    by_id = dict(enumerate(vectors))
    assert stored.search(queries, 50) == [bench.ranked(by_id, query, 50) for query in queries]


@pytest.mark.parametrize(
    "index_type", ["PCA3,SQ8", "PQ2x4", "L2norm,Flat", "OPQ2,IVF8,PQ2x4", "IVF8,SQ8"]
)
def test_a_filter_lets_nothing_else_through(
    tmp_path: Path, bench: Bench, index_type: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even where it leaves more than are scored one by one."""
    monkeypatch.setattr("ragcli.store.vectors.approximate.EXHAUSTIVE_LIMIT", 20)
    _write(tmp_path, bench, {"a": 100, "b": 100}, index_type)
    with Index.open(tmp_path) as index:
        every = index.search(bench.unit(1, seed=5), 200)[0]
        among = frozenset(passage_id for passage_id, _ in every[100:])
        (found,) = index.search(bench.unit(1, seed=5), 10, among)
    assert {passage_id for passage_id, _ in found} <= among
    assert found == [hit for hit in every if hit[0] in among][:10]
