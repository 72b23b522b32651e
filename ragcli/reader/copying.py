"""Which passage tokens may be copied next, by the form of the answer.

Words are copied whole. A sentence is too: it is copied from its first token to its last. Where it
would begin with a heading, it begins with the sentence below that.
Shapes: B questions, M memory positions, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ragcli.corpus.sentences import heading_spans, sentence_spans
from ragcli.reader.windows import Window

NOWHERE = -1


@dataclass(frozen=True, slots=True)
class CopyRules:
    """What copying keeps to.

    ``continues (B, M)`` is true at positions that can only be copied right behind the one before,
    and then are. ``opens (B, M)`` are the positions that an answer opens with where the decoder
    points at these: mostly themselves, ``NOWHERE`` for none. What opens elsewhere is never copied.
    """

    continues: Tensor
    opens: Tensor

    def repeat(self, times: int) -> CopyRules:
        """Return every question's rules ``times`` times, one behind the other."""
        return CopyRules(
            self.continues.repeat_interleave(times, 0), self.opens.repeat_interleave(times, 0)
        )

    def allow(self, copied: Tensor, previous: Tensor, *, opening: bool) -> Tensor:
        """Keep of the probabilities ``copied (B, M)`` what may follow ``previous (B,)``."""
        positions = torch.arange(copied.shape[1])
        if opening:
            opened = copied * (self.opens != NOWHERE)
            copied = torch.zeros_like(copied).scatter_add(1, self.opens.clamp(min=0), opened)
        else:
            copied = copied * (self.opens == positions)
        torn = self.continues & (positions != (previous + 1)[:, None])
        return copied * ~torn


def word_rules(is_continuation: Tensor, ids: Tensor) -> CopyRules:
    """Words are copied whole.

    ``is_continuation (V,)`` tells the tokens inside words, ``ids (B, M)`` are the memory's.
    """
    return CopyRules(is_continuation[ids], torch.arange(ids.shape[1]).expand(ids.shape))


def sentence_rules(
    windows: Sequence[Sequence[Window]], contexts: Sequence[Sequence[str]], n_positions: int
) -> CopyRules:
    """Sentences are copied whole, and headings not at all; one row for each question's windows.

    A sentence that began before its window is left to the window in which it begins.
    """
    continues = np.zeros((len(windows), n_positions), dtype=np.bool_)
    opens = np.tile(np.arange(n_positions), (len(windows), 1))
    for row, (own, texts) in enumerate(zip(windows, contexts, strict=True)):
        start = 0
        for window in own:
            inside = slice(start + window.passage_start, start + len(window) - 1)
            goes_on, opening = _sentence_rules(window, texts[window.context])
            continues[row, inside] = goes_on
            opens[row, inside] = np.where(opening == NOWHERE, NOWHERE, opening + inside.start)
            start += len(window)
    return CopyRules(torch.from_numpy(continues), torch.from_numpy(opens))


def _sentence_rules(window: Window, text: str) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """``continues`` and ``opens`` of the n passage tokens of a window, counted from the first."""
    spans = window.spans[window.passage_start : -1]
    sentences = sentence_spans(text) or [(0, len(text))]
    headings = set(heading_spans(text))
    # The sentence of each token; what stands between sentences, such as a rule, is part of none.
    number = np.searchsorted([end for _, end in sentences], spans[:, 0], side="right")
    starts = np.array([*(start for start, _ in sentences), len(text) + 1])
    number = np.where(spans[:, 1] > starts[number], number, NOWHERE)
    continues = np.zeros(len(spans), dtype=np.bool_)
    continues[1:] = number[1:] == number[:-1]
    if len(spans) and number[0] != NOWHERE:
        continues[0] = starts[number[0]] < spans[0, 0]
    opens = np.arange(len(spans))
    waiting: list[int] = []
    for token, sentence in enumerate(number.tolist()):
        if sentence == NOWHERE or sentences[sentence] in headings:
            opens[token] = NOWHERE
            if sentence != NOWHERE:
                waiting.append(token)
        else:
            opens[waiting] = token
            waiting.clear()
    return continues, opens
