"""The use case ``tune``: judged queries → the fusion, weight and k that fit an index best."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ragcli.engine.document_names import document_names, judged_queries, strangers
from ragcli.engine.encoders import encoder_of
from ragcli.engine.searching import DEFAULT_K
from ragcli.evaluation.ranking import Grades, Qrels, ndcg, recall, success
from ragcli.evaluation.tuning import (
    HeldOut,
    best_setting,
    choose_setting,
    hold_out,
    least_depth,
)
from ragcli.records import Scores
from ragcli.retrieval.fusion import DEFAULT_FUSION, DENSE_WEIGHT, FUSIONS, Sides, fuse
from ragcli.retrieval.hybrid import DEPTH, both_sides
from ragcli.retrieval.lexical import score_lexical
from ragcli.retrieval.tuned import Tuned, keep_tuned

if TYPE_CHECKING:
    from ragcli.encoder import Encoder
    from ragcli.store import Index

WEIGHT_STEPS = 20
CUTOFF = 10
"""Settings are compared by nDCG at this rank."""
LEAST_QUESTIONS = 20
"""With fewer, hardly any gain could be told from chance: nothing is chosen."""
DEEPEST_K = 20
K_SHARE = 0.99
"""The k to show finds this share of the questions that ``DEEPEST_K`` passages find."""
LEAST_K = 5
"""Whoever looks at passages wants to compare some, however good the first one is."""
BATCH_SIZE = 32


@dataclass(frozen=True, slots=True)
class Setting:
    """A way to fuse: one of ``FUSIONS``, and the share of the dense score in [0, 1]."""

    fusion: str
    dense_weight: float


DEFAULT_SETTING = Setting(DEFAULT_FUSION, DENSE_WEIGHT)


@dataclass(frozen=True, slots=True)
class Depth:
    """What the first ``k`` passages hold: means over the queries, in [0, 1].

    ``success`` is the share of queries with a relevant document among them, ``recall`` the share
    of the relevant documents.
    """

    k: int
    success: float
    recall: float


@dataclass(frozen=True, slots=True)
class Tuning:
    """What ``n`` queries say of the settings.

    ``means`` are nDCG@10 by setting. ``best`` is the best of them, ``chosen`` the one nearest to
    the default that cannot be told from it. ``held_out`` compares choosing with the default;
    ``None`` when there were too few queries. ``setting`` and ``k`` are what is to be used, which
    ``depths`` describe.
    """

    n: int
    means: Mapping[Setting, float]
    best: Setting
    chosen: Setting
    held_out: HeldOut | None
    setting: Setting
    depths: tuple[Depth, ...]
    k: int
    forced: bool
    encoder_revision: str

    @property
    def tuned(self) -> Tuned | None:
        """What is to be kept in the index; ``None`` when nothing was learnt."""
        if self.held_out is None and not self.forced:
            return None
        is_default = self.setting == DEFAULT_SETTING
        return Tuned(
            fusion=None if is_default else self.setting.fusion,
            dense_weight=None if is_default else self.setting.dense_weight,
            k=self.k,
            n_questions=self.n,
            encoder_revision=self.encoder_revision,
        )


def settings() -> list[Setting]:
    """Every setting to try, the default first and the others by their distance from it."""
    weights = [step / WEIGHT_STEPS for step in range(WEIGHT_STEPS + 1)]
    every = [Setting(fusion, weight) for fusion in FUSIONS for weight in weights]

    def distance(setting: Setting) -> tuple[bool, float]:
        return setting.fusion != DEFAULT_FUSION, round(abs(setting.dense_weight - DENSE_WEIGHT), 6)

    return sorted(every, key=distance)


def tune(
    folder: Path,
    queries: Mapping[str, str],
    qrels: Qrels,
    *,
    force: bool = False,
    encoder_name: str | None = None,
    named_from: Path | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
    tell_missing: Callable[[Sequence[str]], None] = lambda names: None,
) -> Tuning:
    """Measure every setting on the queries that ``qrels`` judges; writes nothing.

    Each query is searched for once, and what was found fused in every way. The default stays unless
    another setting is better on held-out queries, beyond chance; with ``force`` the best is taken.
    Documents go by their names as in ``evaluate_retrieval``; questions whose relevant documents the
    index all lacks are left out. Raises ``InputError`` when no query
    is judged, or the index has no relevant document at all.
    """
    from ragcli.store import Index

    judged = judged_queries(queries, qrels)
    with Index.open(folder) as index:
        names = document_names(index, named_from)
        if missing := strangers({name: qrels[name] for name in judged}, names.values()):
            tell_missing(missing)
        known = set(names.values())
        judged = {name: text for name, text in judged.items() if _can_be_found(qrels[name], known)}
        grades = [qrels[name] for name in judged]
        encoder = encoder_of(index.fingerprint, encoder_name)
        found = _retrieve(index, encoder, list(judged.values()), progress)
        revision = index.fingerprint.encoder_revision
    tried = settings()
    values = np.array(
        [
            [
                ndcg(_documents(fuse(sides, one.fusion, one.dense_weight), names), own, CUTOFF)
                for sides, own in zip(found, grades, strict=True)
            ]
            for one in tried
        ]
    )
    enough = len(grades) >= LEAST_QUESTIONS
    held_out = hold_out(values) if enough else None
    best, chosen = best_setting(values), choose_setting(values)
    taken = tried[best if force else chosen if held_out and held_out.is_gain else 0]
    ranked = [
        [names[key] for key, _ in fuse(sides, taken.fusion, taken.dense_weight)[:DEEPEST_K]]
        for sides in found
    ]
    depths = tuple(_depth(k, ranked, grades) for k in range(1, DEEPEST_K + 1))
    return Tuning(
        n=len(grades),
        means=dict(zip(tried, values.mean(axis=1).tolist(), strict=True)),
        best=tried[best],
        chosen=tried[chosen],
        held_out=held_out,
        setting=taken,
        depths=depths,
        k=_k(depths) if enough or force else DEFAULT_K,
        forced=force,
        encoder_revision=revision,
    )


def keep(folder: Path, tuned: Tuned | None) -> None:
    """Write down in the index what it was tuned to; ``None`` forgets it.

    Raises ``IndexMissingError``, and ``IndexBusyError`` when another process is writing.
    """
    from ragcli.store import Index

    with Index.open(folder) as index:
        fingerprint = index.fingerprint
    with Index.create_or_open(folder, fingerprint) as index:
        keep_tuned(index, tuned)
        index.commit()


def _retrieve(
    index: Index, encoder: Encoder, texts: Sequence[str], progress: Callable[[int, int], None]
) -> list[Sides]:
    """Of each query what both retrievers found, as deep as a search fuses it."""
    found: list[Sides] = []
    mean = index.mean_vector()
    for first in range(0, len(texts), BATCH_SIZE):
        batch = texts[first : first + BATCH_SIZE]
        vectors = encoder.encode_queries(batch)
        dense = index.search(vectors, DEPTH)
        lexical = [score_lexical(index, text, DEPTH) for text in batch]
        found += [
            both_sides(index, vector, mean, *sides)
            for vector, *sides in zip(vectors, dense, lexical, strict=True)
        ]
        progress(len(found), len(texts))
    return found


def _can_be_found(grades: Grades, known: set[str]) -> bool:
    return any(grade > 0 and name in known for name, grade in grades.items())


def _documents(ranked: Scores, names: Mapping[int, str]) -> list[str]:
    """The first ``CUTOFF`` documents of ranked passages, each where its best passage stands."""
    distinct: dict[str, None] = {}
    for passage_id, _ in ranked:
        distinct[names[passage_id]] = None
        if len(distinct) == CUTOFF:
            break
    return list(distinct)


def _depth(k: int, ranked: Sequence[Sequence[str]], grades: Sequence[Grades]) -> Depth:
    pairs = list(zip(ranked, grades, strict=True))
    return Depth(
        k,
        success=sum(success(names, own, k) for names, own in pairs) / len(pairs),
        recall=sum(recall(names, own, k) for names, own in pairs) / len(pairs),
    )


def _k(depths: Sequence[Depth]) -> int:
    """The k to show; the default when nothing was found to go by."""
    found = [depth.success for depth in depths]
    return least_depth(found, K_SHARE, LEAST_K) if found[-1] else DEFAULT_K
