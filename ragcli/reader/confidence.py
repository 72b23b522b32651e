"""How likely an answer is right: a logistic regression on what the reader says of itself.

Its coefficients are fitted by ``python -m ragcli.training.calibration`` on questions of which a
part has no answer in its passages, and stand beside the weights they belong to.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

from ragcli.errors import ModelError
from ragcli.reader.model import SENTENCE, SHORT
from ragcli.records import Generation

_WEIGHTS = Path(__file__).parent / "weights"
CALIBRATIONS = {
    SHORT: _WEIGHTS / "calibration.json",
    SENTENCE: _WEIGHTS / "calibration-sentence.json",
}
"""The coefficients for each form of an answer."""
DEFAULT_MIN_CONFIDENCE = 0.2
"""Least confidence of an answer that is given; the model card has what it costs and saves."""
_LEAST = 1e-6
_LEAST_LOG = -8.0


def features(generation: Generation) -> tuple[float, float, float]:
    """Log-odds that there is an answer, mean and least log-probability of its tokens.

    All natural logarithms, bounded so that no single one decides alone.
    """
    p = min(max(generation.p_no_answer, _LEAST), 1 - _LEAST)
    likelihoods = [token.log_probability for token in generation.tokens] or [_LEAST_LOG]
    mean = max(sum(likelihoods) / len(likelihoods), _LEAST_LOG)
    return math.log((1 - p) / p), mean, max(min(likelihoods), _LEAST_LOG)


@dataclass(frozen=True, slots=True)
class Calibration:
    """Coefficients of the logistic regression, one for each of ``features`` and the bias."""

    bias: float
    has_answer: float
    mean_likelihood: float
    least_likelihood: float

    def confidence(self, generation: Generation) -> float:
        """Probability, in [0, 1], that the answer is right; 0 for an empty generation."""
        return self.probability(features(generation)) if generation.text else 0.0

    def probability(self, figures: tuple[float, float, float]) -> float:
        """Probability, in [0, 1], that an answer with these ``features`` is right."""
        has_answer, mean, least = figures
        logit = (
            self.bias
            + self.has_answer * has_answer
            + self.mean_likelihood * mean
            + self.least_likelihood * least
        )
        return 1 / (1 + math.exp(-logit))

    def save(self, file: Path) -> None:
        """Write the coefficients as JSON."""
        file.write_text(self._written(), encoding="utf-8")

    @property
    def revision(self) -> str:
        """SHA-256 of the file that ``save`` writes."""
        return hashlib.sha256(self._written().encode()).hexdigest()

    def _written(self) -> str:
        return json.dumps(asdict(self), indent=2) + "\n"


@cache
def shipped_calibration(form: str = SHORT) -> Calibration:
    """Read the coefficients for answers of a form once a process; raises ``ModelError``."""
    return load_calibration(CALIBRATIONS[form])


def load_calibration(file: Path = CALIBRATIONS[SHORT]) -> Calibration:
    """Read coefficients; raises ``ModelError`` when they are missing or cannot be meant."""
    try:
        return Calibration(**json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise ModelError(
            f"cannot read the reader's calibration {file}: {error}", "install ragcli anew"
        ) from error
