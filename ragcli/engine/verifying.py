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
    from ragcli.reader.ablation import AnsweredMemory

VERIFIED, PARTLY, NOT = "verified", "partly verified", "not verified"
CITED = 0.1
"""A passage is cited when it is owed at least this share of the answer."""
LEAST_TOKENS = 12
"""An answer that is tried may be written with so many tokens, or with twice as many as it had."""


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
        memory: AnsweredMemory,
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
        more = self.reader.read_more(memory, question, shortened)
        added = len(contexts)
        others = [n for n in range(len(contexts)) if n not in cited]
        removed = ([*cited, added], [support.context], [*others, added])
        masks = [more.without_contexts(some) for some in removed]
        whole, *likelihoods = more.log_probabilities([more.without_contexts([added]), *masks])
        without, sentence, alone = self._try(more, masks, likelihoods, generation)
        held = sum((not without.same, not sentence.same, alone.same))
        return Verification(
            VERIFIED if held == 3 else PARTLY if held else NOT,
            math.exp(whole),
            cited,
            without,
            sentence,
            alone,
        )

    def _try(
        self,
        memory: AnsweredMemory,
        masks: Sequence[NDArray[np.bool_]],
        likelihoods: Sequence[float],
        expected: Generation,
    ) -> list[Trial]:
        """Answer again under each mask; where nothing is left to read, there is no answer.

        ``likelihoods`` are the expected answer's log-probabilities there.
        """
        readable = [kept for kept in masks if memory.is_readable(kept)]
        # What is not the same answer need not be written to its end.
        longest = max(2 * len(expected.tokens), LEAST_TOKENS)
        answers = iter(self.reader.write(memory, readable, longest) if readable else [])
        trials = []
        for kept, likelihood in zip(masks, likelihoods, strict=True):
            if not memory.is_readable(kept):
                trials.append(Trial(0.0, None, same=False))
                continue
            text = self.decide(next(answers))
            same = text is not None and normalise(text) == normalise(expected.text)
            trials.append(Trial(math.exp(likelihood), text, same))
        return trials
