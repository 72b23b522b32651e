"""Exact match and F1 of a short answer, as SQuAD's official script defines them.

Rajpurkar et al. 2016, https://arxiv.org/abs/1606.05250; an unanswerable question counts as in
SQuAD 2.0 (https://arxiv.org/abs/1806.03822): 1 when the reader abstained, else 0.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Sequence

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_RIGHT = 0.5
_PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalise(text: str) -> str:
    """Lower case, without punctuation, articles and repeated space."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())


def exact_match(prediction: str | None, answers: Sequence[str]) -> float:
    """1.0 when the prediction equals an accepted answer; ``None`` is an abstention."""
    if prediction is None or not answers:
        return float(prediction is None and not answers)
    return float(any(normalise(prediction) == normalise(answer) for answer in answers))


def holds(prediction: str | None, answers: Sequence[str]) -> float:
    """1.0 when an accepted answer stands in the prediction, as whole words."""
    if prediction is None or not answers:
        return float(prediction is None and not answers)
    text = f" {normalise(prediction)} "
    return float(any(f" {normalise(answer)} " in text for answer in answers))


def f1(prediction: str | None, answers: Sequence[str]) -> float:
    """Harmonic mean of token precision and recall against the closest accepted answer, [0, 1]."""
    if prediction is None or not answers:
        return float(prediction is None and not answers)
    return max(_token_f1(normalise(prediction).split(), normalise(a).split()) for a in answers)


def is_right(prediction: str | None, answers: Sequence[str], *, sentence: bool) -> bool:
    """Whether an answer counts as right where only right and wrong are told apart.

    A short answer is right from an F1 of 0.5, a sentence when it holds an accepted answer.
    """
    if sentence:
        return holds(prediction, answers) == 1
    return f1(prediction, answers) >= _RIGHT


def _token_f1(predicted: list[str], wanted: list[str]) -> float:
    """F1 of two bags of tokens; two empty bags agree."""
    if not predicted or not wanted:
        return float(predicted == wanted)
    shared = sum((Counter(predicted) & Counter(wanted)).values())
    if not shared:
        return 0.0
    precision, recall = shared / len(predicted), shared / len(wanted)
    return 2 * precision * recall / (precision + recall)
