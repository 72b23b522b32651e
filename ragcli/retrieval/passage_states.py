"""What late interaction needs of passages, kept from one batch of queries to the next."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ragcli.corpus.sentences import sentence_spans
from ragcli.encoder import TokenStates

if TYPE_CHECKING:
    from ragcli.encoder import Encoder

CAPACITY = 256 * 2**20
"""Bytes of states that are kept; a passage of 200 tokens has 150 kB."""

_ENCODED_TOGETHER = 64  # passages; their states are then kept in half the bytes


@dataclass(frozen=True, slots=True)
class PassageTokens:
    """A passage's token states and the characters of its sentences."""

    halved: TokenStates
    sentences: Sequence[tuple[int, int]]

    @property
    def states(self) -> TokenStates:
        """The states in single precision."""
        return TokenStates(self.halved.states.astype(np.float32), self.halved.spans)


class PassageStates:
    """Passages by their text; of those not asked for again the oldest make room.

    Queries of a batch, and the stages of one query, meet the same passages again and again.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._size = 0
        self._kept: OrderedDict[str, PassageTokens] = OrderedDict()

    def of(self, encoder: Encoder, texts: Sequence[str]) -> Mapping[str, PassageTokens]:
        """Encode the texts that are not at hand; gives all of them, whatever is kept."""
        wanted = list(dict.fromkeys(texts))
        found = {text: self._kept[text] for text in wanted if text in self._kept}
        new = [text for text in wanted if text not in found]
        new.sort(key=len)  # little is padded among texts of like length
        for first in range(0, len(new), _ENCODED_TOGETHER):
            some = new[first : first + _ENCODED_TOGETHER]
            for text, tokens in zip(some, encoder.encode_tokens(some), strict=True):
                halved = TokenStates(tokens.states.astype(np.float16), tokens.spans)
                found[text] = PassageTokens(halved, sentence_spans(text))
        for text in wanted:
            self._keep(text, found[text])
        return found

    def _keep(self, text: str, tokens: PassageTokens) -> None:
        if text not in self._kept:
            self._size += tokens.halved.states.nbytes
        self._kept[text] = tokens
        self._kept.move_to_end(text)
        while self._size > self._capacity:
            _, oldest = self._kept.popitem(last=False)
            self._size -= oldest.halved.states.nbytes
