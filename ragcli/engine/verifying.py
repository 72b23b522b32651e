"""Verification: the answer is asked for again without what it is owed to, and from that alone.

An attribution is believed for what it predicts. Without the cited passages, hidden from the
decoder, and without the supporting sentence, whose passage is read anew, the answer should be
another; from the cited passages alone it should be the same.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ragcli.evaluation.answers import normalise
from ragcli.records import Attribution, Generation, Trial, Verification

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ragcli.reader import Reader
    from ragcli.reader.ablation import Reading

VERIFIED, PARTLY, NOT = "verified", "partly verified", "not verified"
CITED = 0.1
"""A passage is cited when it is owed at least this share of the answer."""


@dataclass(frozen=True, slots=True)
class Verifier:
    """Tries answers; ``decide`` says what is answered of a generation, ``None`` to abstain."""

    reader: Reader
    decide: Callable[[Generation], str | None]

    def verify(
        self,
        question: str,
        contexts: Sequence[str],
        generation: Generation,
        reading: Reading,
        attribution: Attribution,
    ) -> Verification | None:
        """Try the answer that ``generation`` holds; ``None`` where no passage is cited.

        Three things are expected: without the cited passages, and without the supporting sentence,
        the answer changes; from the cited passages alone it is the same. *Verified*: all three
        hold; *partly*: one or two; *not*: none.
        """
        cited = tuple(n for n, share in enumerate(attribution.contexts) if share >= CITED)
        if not cited or not attribution.sentences:
            return None
        support = attribution.sentences[0]
        text = contexts[support.context]
        shortened = text[: support.start] + text[support.end :]
        anew = self.reader.reread(reading, question, support.context, shortened)
        others = [n for n in range(len(contexts)) if n not in cited]
        expected = generation.text
        without, alone = (
            self._try(reading, kept, contexts, expected)
            for kept in (reading.without_contexts(cited), reading.without_contexts(others))
        )
        sentence = self._try(
            anew, anew.everything(), _with(contexts, support.context, shortened), expected
        )
        held = sum((not without.same, not sentence.same, alone.same))
        (whole,) = reading.log_probabilities([reading.everything()])
        return Verification(
            VERIFIED if held == 3 else PARTLY if held else NOT,
            math.exp(whole),
            cited,
            without,
            sentence,
            alone,
        )

    def _try(
        self, reading: Reading, kept: NDArray[np.bool_], contexts: Sequence[str], expected: str
    ) -> Trial:
        if not reading.is_readable(kept):
            return Trial(0.0, None, same=False)
        (likelihood,) = reading.log_probabilities([kept])
        (generation,) = self.reader.write(reading, [kept], contexts)
        answer = self.decide(generation)
        same = answer is not None and normalise(answer) == normalise(expected)
        return Trial(math.exp(likelihood), answer, same)


def _with(contexts: Sequence[str], number: int, text: str) -> list[str]:
    return [text if n == number else context for n, context in enumerate(contexts)]
