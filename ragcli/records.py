"""The data that rooms hand to each other: frozen, plain, without behaviour of any room.

Offsets are counted in characters (Python code points) of ``Document.text``,
half-open: ``document.text[start:end]``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Scores = list[tuple[int, float]]
"""Passage ids with their scores, best first."""

Json = str | int | float | bool | None | list["Json"] | dict[str, "Json"]
"""A JSON value: what a record's metadata may hold."""


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading of a document: where its section begins, its depth (1 = top) and its words."""

    start: int
    level: int
    text: str


@dataclass(frozen=True, slots=True)
class Document:
    """One source file's text, or one record of a ``.jsonl``/``.csv``/``.tsv`` file.

    ``first_line`` is the source line (1-based) on which the text begins, ``None`` for formats
    without lines (PDF, DOCX, HTML). A record lies on one source line, so its text has the same
    line throughout. ``page_starts[n]`` is the offset at which page ``n + 1`` begins.
    """

    document_id: str
    path: str
    text: str
    content_hash: str
    title: str = ""
    first_line: int | None = None
    is_record: bool = False
    headings: tuple[Heading, ...] = ()
    page_starts: tuple[int, ...] = ()
    metadata: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DocumentDescription:
    """What is known of a stored document beside its text.

    ``key`` tells the index's documents apart, ``path`` is the index's own, ``modified`` the time
    of its file, ISO 8601 in UTC.
    """

    key: int
    path: str
    title: str
    modified: str
    metadata: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class Passage:
    """The unit that is retrieved: a slice of a document.

    ``heading`` is the path of headings above ``start``, joined by `` > `` ("" when there is none).
    ``line`` and ``page`` are those of ``start``, 1-based, ``None`` where the format has none.
    """

    start: int
    end: int
    text: str
    heading: str = ""
    line: int | None = None
    page: int | None = None


@dataclass(frozen=True, slots=True)
class StoredPassage:
    """A passage as the index holds it, with what a citation of it needs.

    ``path`` is the path to show. ``page_breaks`` are the offsets inside ``passage.text`` at which
    a new page begins, so that a sentence's page can be told as well as the passage's.
    """

    passage_id: int
    document_id: str
    path: str
    title: str
    is_record: bool
    passage: Passage
    page_breaks: tuple[int, ...] = ()
    metadata: Mapping[str, Json] = field(default_factory=dict)

    def line_at(self, offset: int) -> int | None:
        """Source line of the character ``offset`` of the passage's text, ``None`` without lines."""
        line = self.passage.line
        if line is None or self.is_record:
            return line
        return line + self.passage.text.count("\n", 0, offset)

    def page_at(self, offset: int) -> int | None:
        """Page of the character ``offset`` of the passage's text, ``None`` without pages."""
        page = self.passage.page
        return None if page is None else page + sum(b <= offset for b in self.page_breaks)


@dataclass(frozen=True, slots=True)
class PartialScore:
    """What one stage of the search said of a hit, such as ``dense`` or ``lexical``.

    ``rank`` counts from 1; it is ``None`` where a passage that the stage did not find itself was
    scored all the same.
    """

    stage: str
    score: float
    rank: int | None


@dataclass(frozen=True, slots=True)
class ScoredPassage:
    """A hit: ``rank`` counts from 1.

    ``score`` is the cosine in [-1, 1] for dense retrieval, the mean of the passage's and its
    document's BM25 for lexical, and the fused score in [0, 1] for hybrid. A passage that was given
    rather than found has none. ``parts`` are the scores that it was computed from.
    """

    stored: StoredPassage
    score: float | None
    rank: int
    parts: tuple[PartialScore, ...] = ()


@dataclass(frozen=True, slots=True)
class Highlight:
    """What of a hit matched the query: characters ``[start, end)`` of the passage's text.

    ``sentence`` is the best one, ``words`` those in it that matched, in order.
    """

    sentence: tuple[int, int]
    words: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class EncoderToken:
    """A token as an encoder reads it, ``text`` as its vocabulary spells it.

    A word that the vocabulary lacks is read in pieces, of which all but the first open with ``##``.
    ``[start, end)`` are its characters of the text; ``word`` is the same number for all pieces of
    a word, ``None`` for a special token, which the encoder added and which has no characters.
    """

    text: str
    start: int
    end: int
    word: int | None


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a text in the text's own spelling, or a special token.

    ``[start, end)`` are its characters, ``tokens`` the positions of its pieces, in order.
    """

    text: str
    start: int
    end: int
    tokens: tuple[int, ...]
    is_special: bool


@dataclass(frozen=True, slots=True)
class Link:
    """How much one word looks at another: their positions, and the weight in [0, 1]."""

    looking: int
    looked_at: int
    weight: float


@dataclass(frozen=True, slots=True)
class AttentionSteps:
    """How one token's query became its output in one head, over ``n`` tokens of dimension ``d``.

    ``token`` is a position; ``layer`` and ``head`` count from 1. ``query (d,)``, ``keys (n, d)``,
    ``dot_products (n,)`` of the query with each key, ``scores (n,)`` = dot products / √d,
    ``weights (n,)`` = softmax of the scores, summing to 1, ``values (n, d)``, and ``output (d,)``,
    the sum of the values times their weights. All float32.
    """

    token: int
    layer: int
    head: int
    query: NDArray[np.float32]
    keys: NDArray[np.float32]
    dot_products: NDArray[np.float32]
    scores: NDArray[np.float32]
    weights: NDArray[np.float32]
    values: NDArray[np.float32]
    output: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Explanation:
    """What ``explain`` returns: how the tokens of a text look at each other inside an encoder.

    ``model`` and ``revision`` say which encoder. ``layer`` and ``head`` count from 1; ``None``
    means that ``weights (n_tokens, n_tokens) float32`` are the mean over all of them. Row t is
    what token t looks at and sums to 1. ``head_weights (n_layers, n_heads, n_tokens, n_tokens)``
    are those of each head. ``links`` are the strongest, heaviest first. ``shares``: where the
    weight of a word goes in the mean, by special token, to the word ``itself``, to
    ``other words``; they sum to 1.
    """

    text: str
    model: str
    revision: str
    layer: int | None
    head: int | None
    tokens: tuple[EncoderToken, ...]
    weights: NDArray[np.float32]
    head_weights: NDArray[np.float32]
    words: tuple[Word, ...]
    links: tuple[Link, ...]
    shares: Mapping[str, float]
    steps: AttentionSteps | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """A question to answer; ``contexts`` given here replace retrieval."""

    text: str
    question_id: str | None = None
    contexts: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class AnswerToken:
    """One generated token.

    ``context``, ``start`` and ``end`` say where a copied token stands (characters of that
    context); they are ``None`` for a token that came from the vocabulary. ``log_probability`` is
    natural-log, of the mixture of both.
    """

    text: str
    context: int | None
    start: int | None
    end: int | None
    log_probability: float


@dataclass(frozen=True, slots=True)
class Generation:
    """What the reader returns for one question, over ``n_windows`` windows of its contexts.

    A context that is longer than the reader's window is read as several overlapping windows;
    ``window_context[w]`` is the context of window ``w``. ``token_spans`` holds the character span
    of every window token in its context, ``(-1, -1)`` for the question, special tokens, padding.

    ``cross_attention`` ``(n_layers, n_heads, answer_len, n_windows, window_len) float32``: decoder
    to passage tokens after softmax, sums to 1 over the last two axes.
    ``pre_softmax`` the same shape, the scores before softmax (``-inf`` at padding).
    ``copy`` ``(answer_len, n_windows, window_len) float32``: the copy distribution, sums to 1 over
    the last two axes, 0 outside the contexts' own tokens.
    ``matching`` ``(answer_len, n_windows, window_len) bool``: where the contexts hold that token.
    ``copy_gate`` ``(answer_len,) float32``: share of the mixture that is copied.
    ``value_norms`` ``(n_layers, n_heads, n_windows, window_len) float32``: length of each value as
    the head passes it on, 0 at padding.
    ``p_no_answer``: probability that the contexts do not answer the question.
    """

    text: str
    tokens: tuple[AnswerToken, ...]
    p_no_answer: float
    cross_attention: NDArray[np.float32]
    pre_softmax: NDArray[np.float32]
    copy: NDArray[np.float32]
    copy_gate: NDArray[np.float32]
    token_spans: NDArray[np.int32]
    window_context: tuple[int, ...]
    value_norms: NDArray[np.float32]
    matching: NDArray[np.bool_]

    @classmethod
    def empty(cls) -> Generation:
        """Return the generation of a question that has nothing to read."""
        import numpy as np

        by_head = np.zeros((0, 0, 0, 0, 0), dtype=np.float32)
        return cls(
            text="",
            tokens=(),
            p_no_answer=1.0,
            cross_attention=by_head,
            pre_softmax=by_head,
            copy=np.zeros((0, 0, 0), dtype=np.float32),
            copy_gate=np.zeros(0, dtype=np.float32),
            token_spans=np.zeros((0, 0, 2), dtype=np.int32),
            window_context=(),
            value_norms=np.zeros((0, 0, 0, 0), dtype=np.float32),
            matching=np.zeros((0, 0, 0), dtype=np.bool_),
        )


@dataclass(frozen=True, slots=True)
class TokenShare:
    """The weight, in [0, 1], of what one answer token was read from.

    ``context`` and the character span ``[start, end)`` in it are ``None`` for a token that came
    from the vocabulary; ``weight`` is then the vocabulary's share of it.
    """

    text: str
    context: int | None
    start: int | None
    end: int | None
    weight: float


@dataclass(frozen=True, slots=True)
class SentenceShare:
    """Share of the answer owed to one sentence: characters ``[start, end)`` of a context."""

    context: int
    start: int
    end: int
    text: str
    share: float


@dataclass(frozen=True, slots=True)
class HeadFocus:
    """Where one cross-attention head looked while the answer was written.

    ``layer`` and ``head`` count from 1; ``shares`` one a context, summing to 1; ``entropy`` of its
    weights over the contexts' tokens in bits; ``sentence`` the one it looked at most.
    """

    layer: int
    head: int
    shares: tuple[float, ...]
    entropy: float
    sentence: SentenceShare | None


@dataclass(frozen=True, slots=True)
class AnswerWord:
    """A word of an answer.

    ``context`` and the characters ``[start, end)`` in it say where it was copied from; they are
    ``None`` for a word that was written, or only a part of which was copied.
    """

    text: str
    context: int | None
    start: int | None
    end: int | None


@dataclass(frozen=True, slots=True)
class PassageWord:
    """A word or a punctuation mark of a passage: characters ``[start, end)`` of a context."""

    context: int
    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class AnswerFocus:
    """What each word of an answer looked at while it was generated.

    ``words`` are the answer's, N of them, ``seen`` all S words of the contexts, both in order.
    ``copy (N, S)`` is the copy distribution, ``cross_attention (n_layers, n_heads, N, S)`` that of
    each head, both float32. What a row lacks to 1 lay on questions and special tokens; the copy
    distribution lacks nothing. ``layer`` and ``head`` count from 1 and say which to show; ``None``
    is the mean over all.
    """

    words: tuple[AnswerWord, ...]
    seen: tuple[PassageWord, ...]
    copy: NDArray[np.float32]
    cross_attention: NDArray[np.float32]
    layer: int | None = None
    head: int | None = None

    @property
    def weights(self) -> NDArray[np.float32]:
        """Cross-attention ``(N, S)``, the mean over the layers and heads to show."""
        layers = slice(None) if self.layer is None else slice(self.layer - 1, self.layer)
        heads = slice(None) if self.head is None else slice(self.head - 1, self.head)
        mean: NDArray[np.float32] = self.cross_attention[layers, heads].mean(axis=(0, 1))
        return mean


@dataclass(frozen=True, slots=True)
class WordShares:
    """How much of an answer is owed to each word of its passages, by the attribution's method.

    Words are those of ``AnswerFocus``: ``whole (S,)`` is of the answer, ``by_word (N, S)`` of each
    of its words, both float32 and never negative. What a row lacks to 1 is owed to the vocabulary.
    """

    whole: NDArray[np.float32]
    by_word: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Attribution:
    """How much of an answer is owed to each source, by one reading of the reader's attention.

    ``contexts`` one share a context; with ``vocabulary`` they sum to 1. ``sentences`` are those
    with a share above 0, largest first; ``tokens`` one for each answer token.
    """

    method: str
    contexts: tuple[float, ...]
    vocabulary: float
    sentences: tuple[SentenceShare, ...]
    tokens: tuple[TokenShare, ...]


@dataclass(frozen=True, slots=True)
class Trial:
    """What became of an answer when only a part of what was read was there.

    ``probability`` is that of the same answer, its end included, in [0, 1]; ``text`` what was
    answered instead or again, ``None`` for an abstention; ``same`` whether it is the same answer.
    """

    probability: float
    text: str | None
    same: bool


@dataclass(frozen=True, slots=True)
class Verification:
    """Whether an answer hangs on what it is owed to.

    ``probability`` is that of the answer as it was read, in [0, 1]; ``cited`` are positions in the
    answer's passages. ``without_passages`` and ``without_sentence`` were read without the cited
    passages and without the supporting sentence, ``passages_alone`` from the cited passages only.
    ``verdict`` is "verified", "partly verified" or "not verified".
    """

    verdict: str
    probability: float
    cited: tuple[int, ...]
    without_passages: Trial
    without_sentence: Trial
    passages_alone: Trial


@dataclass(frozen=True, slots=True)
class Answer:
    """What ``ask`` returns.

    ``text`` is ``None`` when the reader abstained. ``passages`` are what it read, best first;
    contexts of ``attribution``, ``heads`` and ``focus`` are positions in it. ``confidence`` is in
    [0, 1]; ``timings`` in seconds by stage; ``models`` names and revisions by role.
    ``verification`` is there when it was asked for and the answer cites a passage, ``focus`` and
    ``word_shares`` when they were asked for and there is an answer.
    """

    question: Question
    text: str | None
    confidence: float
    passages: tuple[ScoredPassage, ...]
    attribution: Attribution
    heads: tuple[HeadFocus, ...]
    models: Mapping[str, str]
    timings: Mapping[str, float]
    verification: Verification | None = None
    focus: AnswerFocus | None = None
    word_shares: WordShares | None = None

    @property
    def abstained(self) -> bool:
        """Whether the passages do not hold an answer, as far as the reader can tell."""
        return self.text is None

    @property
    def support(self) -> SentenceShare | None:
        """The sentence that the largest share of the answer is owed to."""
        return self.attribution.sentences[0] if self.attribution.sentences else None
