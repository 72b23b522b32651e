"""Questions altered so that their passage does not answer them any more.

A reader that only ever misses the whole passage learns to abstain when nothing is to the point. It
has to learn too that a passage may be to the point and still not say what is asked: another name,
another year, the opposite. Such questions were written by people for SQuAD 2.0 (Rajpurkar et al.
2018, https://arxiv.org/abs/1806.03822); here they are made by rules, as far as rules go.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import numpy as np

_CAPITALISED = r"[A-Z](?:[\w-]|['’](?!s\b))+"
_NAME = re.compile(rf"(?<=[\w,] ){_CAPITALISED}(?: (?:of |the |de )?{_CAPITALISED})*")
_NUMBER = re.compile(r"(?<![\w.,])\d+(?![\w]|[.,]\d)")
_AUXILIARY = re.compile(
    r"\b(is|are|was|were|does|do|did|can|could|has|have|had|would|should|must)\b", re.IGNORECASE
)
_OPPOSITES = """
    first last;largest smallest;biggest smallest;highest lowest;most least;more less;more fewer;
    oldest newest;older younger;earliest latest;earlier later;before after;longest shortest;
    longer shorter;best worst;better worse;increase decrease;increased decreased;rise fall;
    rose fell;win lose;won lost;begin end;began ended;start stop;started stopped;enter leave;
    entered left;joined left;north south;northern southern;east west;eastern western;
    inside outside;above below;maximum minimum;major minor;male female;men women;father mother;
    son daughter;brother sister;husband wife;king queen;support oppose;supported opposed;
    accepted rejected;allowed forbidden;legal illegal;public private;same different;similar
    different;internal external;upper lower;positive negative;advantage disadvantage;
    strength weakness;founded dissolved;built destroyed;opened closed;born buried;arrive depart;
    arrived departed;buy sell;bought sold;lend borrow;attack defend;attacked defended;
    teacher student;ancient modern;early late;common rare;rich poor;success failure;
    strongest weakest;fastest slowest;hot cold;light dark;wet dry;import export
"""
_OPPOSITE: dict[str, list[str]] = {}
for _pair in _OPPOSITES.split(";"):
    _one, _other = _pair.split()
    _OPPOSITE.setdefault(_one, []).append(_other)
    _OPPOSITE.setdefault(_other, []).append(_one)
_WORD = re.compile(r"[a-z]+")


def names_in(text: str) -> list[str]:
    """Runs of capitalised words of ``text`` that do not begin a sentence, each once."""
    return list(dict.fromkeys(_NAME.findall(text)))


def alter(
    question: str, passage: str, strangers: Sequence[str], rng: np.random.Generator
) -> str | None:
    """Return ``question`` with one thing changed; ``None`` where no rule applies.

    ``strangers`` are names from other passages. A name is changed for one of them or for another
    of the ``passage``, a number for one that does not stand there, a word for its opposite; where
    none of these can be, or else now and then, the question is negated.
    """
    ways: list[Callable[[], str | None]] = [
        lambda: _another_name(question, passage, strangers, rng),
        lambda: _another_number(question, passage, rng),
        lambda: _opposite(question, rng),
    ]
    found = [altered for way in ways if (altered := way())]
    if not found or rng.random() < 0.1:
        negated = _negated(question)
        found = [negated] if negated else found
    return found[int(rng.integers(len(found)))] if found else None


def _another_name(
    question: str, passage: str, strangers: Sequence[str], rng: np.random.Generator
) -> str | None:
    places = list(_NAME.finditer(question))
    asked = question.casefold()
    own = [name for name in names_in(passage) if name.casefold() not in asked]
    held = passage.casefold()
    others = [n for n in strangers if n.casefold() not in asked and n.casefold() not in held]
    pool = own if own and (not others or rng.random() < 0.5) else others
    if not places or not pool:
        return None
    place = places[int(rng.integers(len(places)))]
    alike = [name for name in pool if name.count(" ") == place[0].count(" ")] or pool
    return _with(question, place, alike[int(rng.integers(len(alike)))])


def _another_number(question: str, passage: str, rng: np.random.Generator) -> str | None:
    places = list(_NUMBER.finditer(question))
    if not places:
        return None
    place = places[int(rng.integers(len(places)))]
    number = int(place[0])
    reach = max(min(number // 2, 40), 3)
    near = [n for n in range(max(number - reach, 1), number + reach + 1) if n != number]
    new = str(near[int(rng.integers(len(near)))])
    return None if re.search(rf"\b{new}\b", passage) else _with(question, place, new)


def _opposite(question: str, rng: np.random.Generator) -> str | None:
    places = [m for m in _WORD.finditer(question) if m[0] in _OPPOSITE]
    if not places:
        return None
    place = places[int(rng.integers(len(places)))]
    choices = _OPPOSITE[place[0]]
    return _with(question, place, choices[int(rng.integers(len(choices)))])


def _negated(question: str) -> str | None:
    place = _AUXILIARY.search(question)
    return _with(question, place, f"{place[0]} not") if place else None


def _with(text: str, place: re.Match[str], new: str) -> str:
    return text[: place.start()] + new + text[place.end() :]
