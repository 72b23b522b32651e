"""Choosing a setting on few judged queries: the best of many is partly luck, so prefer the default.

Settings stand in the order in which they are preferred, the default first. Their values are
``(n_settings, n_queries) float64``, one measure in [0, 1].
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ragcli.evaluation.ranking import confidence_interval, paired_p_value

Values = NDArray[np.float64]

N_FOLDS = 10
LEVEL = 0.05
"""A gain is told from chance when so great a one is less probable than this without any."""
_ROUNDING = 1e-12


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Means of the default and of choosing, on queries that were not chosen by.

    ``interval`` (95 %) is that of the mean difference, ``p_value`` how probable so great a one
    would be if both were equally good.
    """

    default: float
    chosen: float
    interval: tuple[float, float]
    p_value: float

    @property
    def is_gain(self) -> bool:
        """Whether choosing is better than the default, beyond chance."""
        return self.chosen > self.default and self.p_value < LEVEL


def best_setting(values: Values) -> int:
    """The setting with the greatest mean, the preferred one of equals."""
    means = values.mean(axis=1)
    return int((means >= means.max() - _ROUNDING).argmax())


def choose_setting(values: Values) -> int:
    """The most preferred setting that lies within one standard error of the best.

    The error is that of the mean difference between the two, over the queries (the
    one-standard-error rule of Breiman et al. 1984, made paired).
    """
    gaps = values[best_setting(values)] - values
    n = values.shape[1]
    errors = gaps.std(axis=1, ddof=1) / np.sqrt(n) if n > 1 else np.zeros(len(gaps))
    return int((gaps.mean(axis=1) <= errors + _ROUNDING).argmax())


def hold_out(values: Values, seed: int = 0) -> HeldOut:
    """Cross-validate ``choose_setting``: each tenth of the queries is judged by the others' choice.

    So no query has a say in the setting that it is measured with (Stone 1974).
    """
    n = values.shape[1]
    shuffled = np.random.default_rng(seed).permutation(n)
    chosen = np.empty(n)
    for first in range(min(N_FOLDS, n)):
        fold = shuffled[first::N_FOLDS]
        others = np.setdiff1d(shuffled, fold)
        setting = choose_setting(values[:, others]) if len(others) else 0
        chosen[fold] = values[setting, fold]
    default = values[0]
    return HeldOut(
        float(default.mean()),
        float(chosen.mean()),
        confidence_interval((chosen - default).tolist()),
        float(paired_p_value(chosen.tolist(), default.tolist())),
    )


def least_depth(success: Sequence[float], share: float, least: int) -> int:
    """The least k, not below ``least``, whose success is ``share`` of what all of them reach.

    ``success[k - 1]`` is the success at k, which never falls.
    """
    wanted = share * success[-1] - _ROUNDING
    return next(k for k, own in enumerate(success, start=1) if own >= wanted and k >= least)
