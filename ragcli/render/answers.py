"""Answers: for a person with their support and shares, for a program as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.text import Text

from ragcli.records import (
    Answer,
    HeadFocus,
    ScoredPassage,
    SentenceShare,
    TokenShare,
    Verification,
)
from ragcli.render.focus import COPIED, focus_fields, focus_lines
from ragcli.render.machine import json_line, rounded_score
from ragcli.render.neutral import printable, printable_block
from ragcli.render.place import place

BAR_WIDTH = 20
SHARE_DIGITS = 4
TIME_DIGITS = 4
PROBABILITY_DIGITS = 6
NO_ANSWER = "The documents do not answer this."
LEAST_SHOWN = 0.0005
NO_ANSWER_HERE = "no answer"
_LEAST_TEXT_WIDTH = 20


class AnswerWriter:
    """Writes answers for a person, a blank line between two."""

    def __init__(self, console: Console, *, min_confidence: float, with_question: bool) -> None:
        self._console = console
        self._min_confidence = min_confidence
        self._with_question = with_question
        self._is_first = True

    def write(self, answer: Answer) -> None:
        """Write one answer, or what is nearest to one."""
        if not self._is_first:
            self._console.print()
        self._is_first = False
        if self._with_question:
            self._print(Text(printable(answer.question.text), style="bold underline"))
        for line in self._lines(answer):
            self._print(line)

    def _print(self, line: Text) -> None:
        self._console.print(line, soft_wrap=True)

    def _lines(self, answer: Answer) -> Iterator[Text]:
        if answer.abstained:
            yield from self._abstention(answer)
        else:
            yield from self._wrapped(Text(printable(answer.text or ""), style="bold"), "")
            yield Text()
            yield from self._support(answer)
            yield from self._shares(answer)
            yield from self._verification(answer)
            yield from self._focus(answer)
        yield from self._heads(answer)
        yield Text(self._footer(answer), style="dim")

    def _abstention(self, answer: Answer) -> Iterator[Text]:
        yield Text(NO_ANSWER, style="bold")
        if answer.passages:
            yield Text()
            yield Text("Nearest passages:")
        for hit in answer.passages:
            score = "" if hit.score is None else f"  {hit.score:.3f}"
            yield from self._wrapped(Text(f"{hit.rank}{score}  {place(hit.stored)}"), "  ")
            yield from self._wrapped(Text(_opening(hit), style="dim"), "     ")
        yield Text()

    def _support(self, answer: Answer) -> Iterator[Text]:
        support = answer.support
        if support is None:
            return
        stored = answer.passages[support.context].stored
        quoted = Text(printable_block(support.text).replace("\n", " "))
        for token in answer.attribution.tokens:
            if token.context == support.context and _inside(token, support):
                quoted.stylize(
                    COPIED, (token.start or 0) - support.start, (token.end or 0) - support.start
                )
        yield from self._wrapped(Text.assemble("“", quoted, "”"), "  ")
        yield from self._wrapped(Text(f"— {place(stored, support.start)}", style="cyan"), "  ")
        yield Text()

    def _shares(self, answer: Answer) -> Iterator[Text]:
        for hit, share in zip(answer.passages, answer.attribution.contexts, strict=True):
            heading = printable(hit.stored.passage.heading)
            label = f"{place(hit.stored)}" + (f"  {heading}" if heading else "")
            yield self._bar(share, label)
        yield self._bar(answer.attribution.vocabulary, "the reader's own words")
        yield Text()

    def _bar(self, share: float, label: str) -> Text:
        filled = round(share * BAR_WIDTH)
        line = Text.assemble(
            ("█" * filled, "green"),
            ("░" * (BAR_WIDTH - filled), "dim"),
            f" {share:4.0%}  ",
            label,
        )
        line.truncate(self._console.width, overflow="ellipsis")
        return line

    def _verification(self, answer: Answer) -> Iterator[Text]:
        found = answer.verification
        if found is None:
            return
        ranks = ", ".join(str(answer.passages[n].rank) for n in found.cited)
        cited = f"passage {ranks}" if len(found.cited) == 1 else f"passages {ranks}"
        yield Text.assemble((found.verdict, "bold"), f": probability {percent(found.probability)}")
        for label, trial in (
            (f"without {cited}", found.without_passages),
            ("without the sentence", found.without_sentence),
            (f"from {cited} alone", found.passages_alone),
        ):
            answered = NO_ANSWER_HERE if trial.text is None else f"“{printable(trial.text)}”"
            line = Text(f"  {label:23}  {percent(trial.probability):>5}  {answered}")
            line.truncate(self._console.width, overflow="ellipsis")
            yield line
        yield Text()

    def _focus(self, answer: Answer) -> Iterator[Text]:
        if answer.focus is not None:
            yield from focus_lines(answer.focus, answer.passages, self._console.width)
            yield Text()

    def _heads(self, answer: Answer) -> Iterator[Text]:
        if not answer.heads:
            return
        yield Text("What each cross-attention head looked at (share of its best passage):")
        for head in answer.heads:
            line = Text(_head_line(head, answer.passages))
            line.truncate(self._console.width, overflow="ellipsis")
            yield line
        yield Text()

    def _footer(self, answer: Answer) -> str:
        sure = f"confidence {answer.confidence:.2f}"
        if answer.abstained:
            sure += f" (answers are given from {self._min_confidence:.2f})"
        spent = answer.timings.get("total", 0.0)
        return f"{sure} · attribution: {answer.attribution.method} · {spent:.1f} s"

    def _wrapped(self, text: Text, indent: str) -> Iterator[Text]:
        width = max(self._console.width - len(indent), _LEAST_TEXT_WIDTH)
        for line in text.wrap(self._console, width):
            line.rstrip()
            yield Text(indent).append_text(line)


def percent(probability: float) -> str:
    """A probability as a person reads it."""
    return "0 %" if probability < LEAST_SHOWN else f"{100 * probability:.1f} %"


def _inside(token: TokenShare, sentence: SentenceShare) -> bool:
    return token.start is not None and sentence.start <= token.start < sentence.end


def _opening(hit: ScoredPassage, length: int = 160) -> str:
    """Return the first words of a passage, on one line."""
    words = " ".join(printable_block(hit.stored.passage.text).split())
    return words if len(words) <= length else words[: length - 1].rsplit(" ", 1)[0] + "…"


def _head_line(head: HeadFocus, passages: tuple[ScoredPassage, ...]) -> str:
    best = max(range(len(head.shares)), key=head.shares.__getitem__)
    sentence = (
        "" if head.sentence is None else " ".join(printable_block(head.sentence.text).split())
    )
    return (
        f"  layer {head.layer} head {head.head:2}  {head.entropy:4.1f} bits  "
        f"passage {passages[best].rank} {head.shares[best]:4.0%}  {sentence}"
    )


def answer_json(answer: Answer) -> str:
    """Return the answer as one JSON object; offsets are characters of the document."""
    attribution = answer.attribution
    identity = (
        {} if answer.question.question_id is None else {"question_id": answer.question.question_id}
    )
    heads = {"heads": [_head(answer, head) for head in answer.heads]} if answer.heads else {}
    verification = (
        {} if answer.verification is None else {"verification": _trials(answer.verification)}
    )
    focus = {} if answer.focus is None else {"focus": focus_fields(answer.focus, answer.passages)}
    return json_line(
        {
            "question": answer.question.text,
            **identity,
            "answer": answer.text,
            "abstained": answer.abstained,
            "confidence": round(answer.confidence, SHARE_DIGITS),
            "support": _support(answer),
            "passages": [
                _passage(hit, share)
                for hit, share in zip(answer.passages, attribution.contexts, strict=True)
            ],
            "sentences": [_sentence(answer, sentence) for sentence in attribution.sentences],
            "tokens": [_token(answer, token) for token in attribution.tokens],
            "vocabulary_share": round(attribution.vocabulary, SHARE_DIGITS),
            "method": attribution.method,
            **heads,
            **verification,
            **focus,
            "models": dict(answer.models),
            "timings": {stage: round(s, TIME_DIGITS) for stage, s in answer.timings.items()},
        }
    )


def _support(answer: Answer) -> dict[str, Any] | None:
    support = answer.support
    if support is None or answer.abstained:
        return None
    stored = answer.passages[support.context].stored
    return {
        "path": stored.path,
        "passage_id": stored.passage_id,
        "start": stored.passage.start + support.start,
        "end": stored.passage.start + support.end,
        "line": stored.line_at(support.start),
        "page": stored.page_at(support.start),
        "text": support.text,
    }


def _passage(hit: ScoredPassage, share: float) -> dict[str, Any]:
    return {
        "rank": hit.rank,
        "path": hit.stored.path,
        "passage_id": hit.stored.passage_id,
        "score": rounded_score(hit),
        "attribution": round(share, SHARE_DIGITS),
        "text": hit.stored.passage.text,
    }


def _sentence(answer: Answer, sentence: SentenceShare) -> dict[str, Any]:
    stored = answer.passages[sentence.context].stored
    return {
        "passage_id": stored.passage_id,
        "start": stored.passage.start + sentence.start,
        "end": stored.passage.start + sentence.end,
        "text": sentence.text,
        "attribution": round(sentence.share, SHARE_DIGITS),
    }


def _token(answer: Answer, token: TokenShare) -> dict[str, Any]:
    stored = None if token.context is None else answer.passages[token.context].stored
    offset = 0 if stored is None else stored.passage.start
    return {
        "text": token.text,
        "source": "vocabulary" if stored is None else "copied",
        "passage_id": None if stored is None else stored.passage_id,
        "start": None if token.start is None else offset + token.start,
        "end": None if token.end is None else offset + token.end,
        "weight": round(token.weight, SHARE_DIGITS),
    }


def _head(answer: Answer, head: HeadFocus) -> dict[str, Any]:
    return {
        "layer": head.layer,
        "head": head.head,
        "entropy_bits": round(head.entropy, SHARE_DIGITS),
        "passages": [round(share, SHARE_DIGITS) for share in head.shares],
        "sentence": None if head.sentence is None else _sentence(answer, head.sentence),
    }


def _trials(found: Verification) -> dict[str, Any]:
    trials = {
        "without_passages": found.without_passages,
        "without_sentence": found.without_sentence,
        "passages_alone": found.passages_alone,
    }
    return {
        "verdict": found.verdict,
        "probability": round(found.probability, PROBABILITY_DIGITS),
        "cited_ranks": [n + 1 for n in found.cited],
        **{
            name: {
                "probability": round(trial.probability, PROBABILITY_DIGITS),
                "answer": trial.text,
                "same": trial.same,
            }
            for name, trial in trials.items()
        },
    }
