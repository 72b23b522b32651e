"""Whether a confidence is a probability: of answers given with 0.8, four in five are right."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def expected_calibration_error(
    confidences: NDArray[np.float64], right: NDArray[np.float64], n_bins: int = 10
) -> float:
    """Mean gap, in [0, 1], between confidence and accuracy over bins of equal width.

    Both ``(n,)``; bins weigh as much as they hold (Guo et al. 2017,
    https://arxiv.org/abs/1706.04599). Nothing to judge has no error.
    """
    if not len(confidences):
        return 0.0
    bins = np.minimum((np.asarray(confidences) * n_bins).astype(int), n_bins - 1)
    gaps = [
        abs(float(confidences[bins == b].mean()) - float(right[bins == b].mean()))
        * float((bins == b).mean())
        for b in np.unique(bins)
    ]
    return sum(gaps)
