"""What tuning found, in words and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from ragcli.render.machine import json_line

DIGITS = 6
SHOWN_DEPTHS = (1, 2, 3, 5, 10, 20)


class Setting(Protocol):
    """A way to fuse, and the share of the dense score in [0, 1]."""

    @property
    def fusion(self) -> str: ...  # noqa: D102
    @property
    def dense_weight(self) -> float: ...  # noqa: D102


class HeldOut(Protocol):
    """Means of the default and of choosing on held-out queries, and how they differ."""

    @property
    def default(self) -> float: ...  # noqa: D102
    @property
    def chosen(self) -> float: ...  # noqa: D102
    @property
    def interval(self) -> tuple[float, float]: ...  # noqa: D102
    @property
    def p_value(self) -> float: ...  # noqa: D102
    @property
    def is_gain(self) -> bool: ...  # noqa: D102


class Depth(Protocol):
    """Success and recall of the first ``k`` passages."""

    @property
    def k(self) -> int: ...  # noqa: D102
    @property
    def success(self) -> float: ...  # noqa: D102
    @property
    def recall(self) -> float: ...  # noqa: D102


class Tuning(Protocol):
    """What ``n`` queries say of the settings, and what is to be used."""

    @property
    def n(self) -> int: ...  # noqa: D102
    @property
    def means(self) -> Mapping[Any, float]: ...  # noqa: D102
    @property
    def best(self) -> Setting: ...  # noqa: D102
    @property
    def chosen(self) -> Setting: ...  # noqa: D102
    @property
    def held_out(self) -> HeldOut | None: ...  # noqa: D102
    @property
    def setting(self) -> Setting: ...  # noqa: D102
    @property
    def depths(self) -> Sequence[Depth]: ...  # noqa: D102
    @property
    def k(self) -> int: ...  # noqa: D102
    @property
    def forced(self) -> bool: ...  # noqa: D102


class Tuned(Protocol):
    """What an index was tuned to; ``None`` is the default."""

    @property
    def fusion(self) -> str | None: ...  # noqa: D102
    @property
    def dense_weight(self) -> float | None: ...  # noqa: D102
    @property
    def k(self) -> int | None: ...  # noqa: D102
    @property
    def n_questions(self) -> int: ...  # noqa: D102


def tuning_lines(
    tuning: Tuning, default: Setting, *, least_questions: int, ask_k: int, is_kept: bool
) -> Iterator[str]:
    """Yield what a person sees; ``ask_k`` is how many passages ``ask`` reads by default.

    ``is_kept`` says whether the index knows of it now.
    """
    yield f"nDCG@10 on {tuning.n} questions (* is chosen)"
    yield ""
    yield from _grid(tuning, default)
    yield ""
    yield from _verdict(tuning, default, least_questions)
    yield ""
    yield "passages  questions with a relevant one  relevant documents found"
    for depth in tuning.depths:
        if depth.k in {*SHOWN_DEPTHS, tuning.k}:
            mark = "*" if depth.k == tuning.k else " "
            yield f"{depth.k:8}{mark}{depth.success:28.1%}{depth.recall:26.1%}"
    yield ""
    if is_kept:
        yield f"kept in the index: search shows {tuning.k} passages; ask reads {ask_k}, as ever"
    else:
        yield "nothing is kept: the index stays as it was"


def _grid(tuning: Tuning, default: Setting) -> Iterator[str]:
    fusions = list(dict.fromkeys(setting.fusion for setting in tuning.means))
    weights = sorted({setting.dense_weight for setting in tuning.means})
    means = {(one.fusion, one.dense_weight): mean for one, mean in tuning.means.items()}
    used = (tuning.setting.fusion, tuning.setting.dense_weight)
    ends = {0.0: "words only", 1.0: "meaning only", default.dense_weight: "default"}
    yield "dense weight" + "".join(f"{fusion:>10} " for fusion in fusions).rstrip()
    for weight in weights:
        cells = "".join(
            f"{means[fusion, weight]:10.4f}{'*' if (fusion, weight) == used else ' '}"
            for fusion in fusions
        )
        yield f"{weight:12.2f}{cells} {ends.get(weight, '')}".rstrip()


def _verdict(tuning: Tuning, default: Setting, least_questions: int) -> Iterator[str]:
    held_out, best, used = tuning.held_out, _words(tuning.best), _words(tuning.setting)
    if held_out is None:
        yield f"too few questions to tell settings apart: at least {least_questions} are needed"
    else:
        low, high = held_out.interval
        yield "chosen on nine tenths of the questions, measured on the others in turn:"
        gain = held_out.chosen - held_out.default
        yield f"{held_out.default:.4f} by default, {held_out.chosen:.4f} as chosen: {gain:+.4f}"
        yield f"(95 % interval {low:+.4f} to {high:+.4f}; p = {held_out.p_value:.4f})"
    if tuning.forced:
        yield f"taken because of --force, be it chance or not: {used}"
    elif held_out is None:
        yield f"the default stays; --force takes {best} all the same"
    elif held_out.is_gain:
        yield f"more than chance: {used}"
    elif _words(default) == best:
        yield "nothing is better than the default: it stays"
    else:
        yield f"within chance: the default stays; --force takes {best}"


def _words(setting: Setting) -> str:
    return f"{setting.fusion} with dense weight {setting.dense_weight:g}"


def tuned_words(tuned: Tuned) -> str:
    """Return on one line what an index was tuned to."""
    setting = "default weights"
    if tuned.fusion is not None and tuned.dense_weight is not None:
        setting = f"{tuned.fusion}, dense weight {tuned.dense_weight:g}"
    return f"{setting}, k {tuned.k} (on {tuned.n_questions} questions)"


def tuned_fields(tuned: Tuned) -> dict[str, Any] | None:
    """Return the same for a program; ``None`` for an index that is not tuned."""
    if not tuned.n_questions:
        return None
    return {
        "fusion": tuned.fusion,
        "dense_weight": tuned.dense_weight,
        "k": tuned.k,
        "n": tuned.n_questions,
    }


def tuning_json(tuning: Tuning, *, is_kept: bool) -> str:
    """Return one JSON object; measures are means in [0, 1]."""
    held_out = tuning.held_out
    compared = held_out and {
        "default": round(held_out.default, DIGITS),
        "chosen": round(held_out.chosen, DIGITS),
        "interval": [round(bound, DIGITS) for bound in held_out.interval],
        "p_value": round(held_out.p_value, DIGITS),
        "is_gain": held_out.is_gain,
    }
    return json_line(
        {
            "n": tuning.n,
            **_fields(tuning.setting),
            "k": tuning.k,
            "kept": is_kept,
            "best": _fields(tuning.best),
            "chosen": _fields(tuning.chosen),
            "held_out": compared,
            "settings": [
                {**_fields(setting), "nDCG@10": round(mean, DIGITS)}
                for setting, mean in tuning.means.items()
            ],
            "depths": [
                {
                    "k": depth.k,
                    "success": round(depth.success, DIGITS),
                    "recall": round(depth.recall, DIGITS),
                }
                for depth in tuning.depths
            ],
        }
    )


def _fields(setting: Setting) -> dict[str, Any]:
    return {"fusion": setting.fusion, "dense_weight": setting.dense_weight}
