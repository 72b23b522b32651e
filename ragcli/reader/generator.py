"""``Reader``: questions and their contexts in, generations with all their attention out."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer

from ragcli.encoder import minilm
from ragcli.encoder.precision import fast_dtype
from ragcli.reader import checkpoint
from ragcli.reader.ablation import AnsweredMemory
from ragcli.reader.copying import CopyRules, sentence_rules, word_rules
from ragcli.reader.decoding import Decoded, begin, decode
from ragcli.reader.model import (
    BEGIN_SENTENCE,
    MAX_ANSWER_TOKENS,
    SHORT,
    FusionInDecoder,
    Memory,
    beams_of,
    opening_of,
)
from ragcli.reader.windows import Window, collate, split_windows, tokenise
from ragcli.records import AnswerToken, Generation

WEIGHTS = Path(__file__).parent / "weights" / "reader.safetensors"
BATCH_TOKENS = 8192
"""Window tokens read at once."""


@dataclass(frozen=True, slots=True)
class ReaderFingerprint:
    """Which reader wrote an answer: its name and the SHA-256 of its weights."""

    name: str
    revision: str


class Reader:
    """A trained ``FusionInDecoder`` with its tokenizer.

    What is most expensive runs in the fastest exact-enough format of the processor (see
    ``FusionInDecoder.shorten``), attention and everything that is shown of it in float32.
    """

    def __init__(self, network: FusionInDecoder, fingerprint: ReaderFingerprint) -> None:
        self.fingerprint = fingerprint
        self.tokenizer: Tokenizer = minilm.load_tokenizer()
        vocabulary = range(self.tokenizer.get_vocab_size())
        self._is_continuation = torch.tensor(
            [(self.tokenizer.id_to_token(n) or "").startswith("##") for n in vocabulary]
        )
        self.network = network.eval()
        self.network.shorten(fast_dtype())

    @property
    def arithmetic(self) -> str:
        """The number format that the encoder computes in, such as ``bfloat16``.

        Of the same weights, different processors may get slightly different results.
        """
        return str(next(self.network.encoder.layers.parameters()).dtype).removeprefix("torch.")

    def generate(
        self,
        questions: Sequence[str],
        contexts: Sequence[Sequence[str]],
        max_answer_tokens: int = MAX_ANSWER_TOKENS,
        *,
        form: str = SHORT,
        beams: int | None = None,
    ) -> list[Generation]:
        """Answer each question from its own contexts; results stand in the order of questions.

        ``form`` is a short answer, or the sentence that holds it; ``beams`` is how many beginnings
        of an answer are carried on side by side, by default ``BEAMS``. A question without any
        readable context gets the empty answer with ``p_no_answer`` 1.
        """
        read = self.read(questions, contexts, max_answer_tokens, form=form, beams=beams)
        found = {n: generation for n, generation, _ in read}
        return [found.get(n) or Generation.empty() for n in range(len(questions))]

    def read(
        self,
        questions: Sequence[str],
        contexts: Sequence[Sequence[str]],
        max_answer_tokens: int = MAX_ANSWER_TOKENS,
        *,
        form: str = SHORT,
        beams: int | None = None,
    ) -> Iterator[tuple[int, Generation, AnsweredMemory]]:
        """Yield number, generation and memory of each question that has a readable context.

        In no certain order; memories are large, so do not keep many of them.
        """
        opening, n_beams = opening_of(form), beams_of(form, beams)
        windows = self._windows(questions, contexts)
        readable = [n for n, found in enumerate(windows) if found]
        for batch in _batches(readable, windows):
            with torch.inference_mode():
                memory = self.network.encode(collate([windows[n] for n in batch]))
                norms = torch.stack(self.network.value_norms(memory), 1).numpy()
                rules = self._rules(
                    opening, memory, [windows[n] for n in batch], [contexts[n] for n in batch]
                )
                decoded = decode(
                    self.network,
                    memory,
                    rules,
                    max_answer_tokens,
                    opening=opening,
                    beams=n_beams,
                )
            for row, (n, raw) in enumerate(zip(batch, decoded, strict=True)):
                own = memory.of_question(row, sum(map(len, windows[n])))
                generation = self._generation(raw, norms[row], own, windows[n], contexts[n])
                answered = AnsweredMemory(
                    self.network,
                    own,
                    windows[n],
                    raw.token_ids,
                    opening=opening,
                    beams=n_beams,
                    texts=contexts[n],
                )
                yield n, generation, answered

    def read_more(self, answered: AnsweredMemory, question: str, text: str) -> AnsweredMemory:
        """Return the memory with one context more, the last: ``text``, read for the question."""
        (windows,) = self._windows([question], [[text]])
        number = len(answered.texts)
        return answered.with_context([replace(own, context=number) for own in windows], text)

    def write(
        self,
        answered: AnsweredMemory,
        kept: Sequence[NDArray[np.bool_]],
        max_answer_tokens: int = MAX_ANSWER_TOKENS,
    ) -> list[Generation]:
        """Answer again from parts of what was read, one generation for each mask ``(M,)``."""
        memory = answered.memory.narrow(torch.from_numpy(np.stack(kept)))
        with torch.inference_mode():
            norms = torch.stack(self.network.value_norms(answered.memory), 1)[0].numpy()
            rules = self._rules(
                answered.opening, answered.memory, [answered.windows], [answered.texts]
            ).repeat(len(kept))
            decoded = decode(
                self.network,
                memory,
                rules,
                max_answer_tokens,
                opening=answered.opening,
                beams=answered.beams,
            )
        return [
            self._generation(raw, norms, answered.memory, answered.windows, answered.texts)
            for raw in decoded
        ]

    def attend(
        self, questions: Sequence[str], contexts: Sequence[Sequence[str]]
    ) -> list[NDArray[np.float32]]:
        """For each question the share of each of its contexts, ``(n_contexts,)``, without answer.

        It is the copy distribution's where the sentence that holds an answer would begin. Shares
        sum to 1, or are all 0 for a question without any readable context.
        """
        windows = self._windows(questions, contexts)
        shares = [np.zeros(len(own), dtype=np.float32) for own in contexts]
        for batch in _batches([n for n, found in enumerate(windows) if found], windows):
            with torch.inference_mode():
                memory = self.network.encode(collate([windows[n] for n in batch]))
                opened = begin(self.network, memory, BEGIN_SENTENCE)
                copied = opened.copy_log_probabilities[:, -1].exp().numpy()
            for n, own in zip(batch, copied, strict=True):
                by_window = _Layout(windows[n]).spread(own, 0.0).sum(axis=-1)
                np.add.at(shares[n], [window.context for window in windows[n]], by_window)
        return shares

    def _rules(
        self,
        opening: int,
        memory: Memory,
        windows: Sequence[Sequence[Window]],
        contexts: Sequence[Sequence[str]],
    ) -> CopyRules:
        if opening == BEGIN_SENTENCE:
            return sentence_rules(windows, contexts, memory.ids.shape[1])
        return word_rules(self._is_continuation, memory.ids)

    def _windows(
        self, questions: Sequence[str], contexts: Sequence[Sequence[str]]
    ) -> list[list[Window]]:
        asked = tokenise(self.tokenizer, questions)
        texts = list(dict.fromkeys(text for own in contexts for text in own))
        read = dict(zip(texts, tokenise(self.tokenizer, texts), strict=True))
        return [
            [
                window
                for number, text in enumerate(own)
                if len(read[text].ids)
                for window in split_windows(question.ids, read[text], number)
            ]
            for question, own in zip(asked, contexts, strict=True)
        ]

    def _generation(
        self,
        raw: Decoded,
        value_norms: NDArray[np.float32],
        memory: Memory,
        windows: Sequence[Window],
        contexts: Sequence[str],
    ) -> Generation:
        layout = _Layout(windows)
        matching = (memory.ids == torch.from_numpy(raw.token_ids)[:, None]) & memory.copyable
        tokens = tuple(
            self._token(raw, step, layout, windows, contexts) for step in range(len(raw.token_ids))
        )
        return Generation(
            _join(tokens, contexts),
            tokens,
            raw.p_no_answer,
            layout.spread(raw.cross_attention, 0.0),
            layout.spread(raw.pre_softmax, -np.inf),
            layout.spread(raw.copy, 0.0),
            raw.copy_gate,
            layout.spans,
            tuple(window.context for window in windows),
            layout.spread(value_norms, 0.0),
            layout.spread(matching.numpy(), 0.0) > 0,
        )

    def _token(
        self,
        raw: Decoded,
        step: int,
        layout: _Layout,
        windows: Sequence[Window],
        contexts: Sequence[str],
    ) -> AnswerToken:
        likelihood = float(raw.log_probabilities[step])
        source = int(raw.sources[step])
        if source < 0:
            text = self.tokenizer.id_to_token(int(raw.token_ids[step])) or ""
            return AnswerToken(text, None, None, None, likelihood)
        number, position = layout.locate(source)
        start, end = (int(edge) for edge in windows[number].spans[position])
        context = windows[number].context
        return AnswerToken(contexts[context][start:end], context, start, end, likelihood)


class _Layout:
    """Where memory positions stand in the windows of one question."""

    def __init__(self, windows: Sequence[Window]) -> None:
        self._lengths = [len(window) for window in windows]
        self._starts = np.cumsum([0, *self._lengths])
        self._width = max(self._lengths)
        self.spans: NDArray[np.int32] = np.full((len(windows), self._width, 2), -1, np.int32)
        for number, window in enumerate(windows):
            self.spans[number, : len(window)] = window.spans

    def spread(self, values: NDArray[np.generic], fill: float) -> NDArray[np.float32]:
        """``(..., M)`` → ``(..., n_windows, window_len)``, ``fill`` at padding."""
        shape = (*values.shape[:-1], len(self._lengths), self._width)
        spread = np.full(shape, fill, dtype=np.float32)
        for number, length in enumerate(self._lengths):
            start = self._starts[number]
            spread[..., number, :length] = values[..., start : start + length]
        return spread

    def locate(self, memory_position: int) -> tuple[int, int]:
        """Window number and position in that window."""
        number = int(np.searchsorted(self._starts, memory_position, side="right")) - 1
        return number, memory_position - int(self._starts[number])


def _batches(readable: Sequence[int], windows: Sequence[Sequence[Window]]) -> Iterator[list[int]]:
    """Batches of questions with memories of similar length."""
    sizes = {n: sum(map(len, windows[n])) for n in readable}
    batch: list[int] = []
    for n in sorted(readable, key=lambda n: (sizes[n], n)):
        if batch and (len(batch) + 1) * sizes[n] > BATCH_TOKENS:
            yield batch
            batch = []
        batch.append(n)
    if batch:
        yield batch


def _join(tokens: Sequence[AnswerToken], contexts: Sequence[str]) -> str:
    """The answer's text: runs of copied tokens are sliced from their context as they stand."""
    parts: list[str] = []
    run: tuple[int, int, int] | None = None
    for token in tokens:
        if token.context is None or token.start is None or token.end is None:
            parts += _slice(run, contexts)
            run = None
            glued = token.text.startswith("##") and parts
            if glued:
                parts[-1] += token.text[2:]
            else:
                parts.append(token.text)
        elif run and token.context == run[0] and _follows(contexts[run[0]], run[2], token.start):
            run = (run[0], run[1], token.end)
        else:
            parts += _slice(run, contexts)
            run = (token.context, token.start, token.end)
    return " ".join([*parts, *_slice(run, contexts)])


def _follows(context: str, end: int, start: int) -> bool:
    """Whether only space stands between the end of one token and the start of the next."""
    return end <= start and not context[end:start].strip()


def _slice(run: tuple[int, int, int] | None, contexts: Sequence[str]) -> list[str]:
    return [" ".join(contexts[run[0]][run[1] : run[2]].split())] if run else []


def load_reader(file: Path | None = None) -> Reader:
    """Load the shipped reader, or the weights in ``file``; raises ``ModelError``."""
    path = file or WEIGHTS
    network = checkpoint.load(path)
    revision = hashlib.sha256(path.read_bytes()).hexdigest()
    return Reader(network, ReaderFingerprint("ragcli-reader", revision))
