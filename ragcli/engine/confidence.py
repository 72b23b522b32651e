"""How sure an answer is, and from when on it is given."""

from __future__ import annotations

import math

from ragcli.records import Generation

DEFAULT_MIN_CONFIDENCE = 0.5


def confidence_of(generation: Generation) -> float:
    """Probability, in [0, 1], that the contexts answer the question.

    What the reader leaves to its no-answer token at the first step, times the geometric mean of
    its answer tokens' probabilities. An empty generation has confidence 0.
    """
    if not generation.tokens:
        return 0.0
    mean = sum(t.log_probability for t in generation.tokens) / len(generation.tokens)
    return (1.0 - generation.p_no_answer) * math.exp(min(mean, 0.0))
