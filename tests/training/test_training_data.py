from __future__ import annotations

import gzip
import json
from collections import Counter
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from ragcli.encoder import minilm
from ragcli.errors import InputError
from ragcli.evaluation.answers import normalise
from ragcli.reader.model import BEGIN, BEGIN_SENTENCE, END, NO_ANSWER
from ragcli.reader.windows import split_windows, tokenise
from ragcli.training import distractors
from ragcli.training.data import (
    DataSet,
    Example,
    find_answer,
    load_data,
    read_rows,
    token_range,
)
from ragcli.training.mixture import MixConfig, Mixture, Row, make_row, training_batch
from ragcli.training.negatives import K1, B, bm25_matrix, rank_passages

FILLER = "The weather was mild and the garden stood in bloom for weeks. " * 12
ROWS = [
    ("When is the review due?", "The review is due on 14 March 2025. It was 14 march 2025.",
     "14 March 2025"),
    ("Who leads the team?", FILLER + "Anna Berg leads the team of nine. " + FILLER, "anna berg"),
    ("How hot is tea?", "Green tea is brewed at 80 degrees.", "80 degrees"),
    ("Who serviced the boiler?", "The boiler was serviced by Mr Holm.", "Mr Holm"),
    ("Is tea cold?", "Iced tea is served cold in summer.", "yes"),
]  # fmt: skip
TOKENIZER = minilm.load_tokenizer()
MANY = MixConfig(passages=(0.2, 0.4, 0.4), window_tokens=64, shortest_window=48, batch_tokens=400)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("rows") / "rows.jsonl"
    rows = [{"question": q, "contexts": [c], "answers": [a]} for q, c, a in ROWS]
    file.write_text("".join(f"{json.dumps(row)}\n" for row in rows), "utf-8")
    return file


@pytest.fixture(scope="module")
def data(file: Path) -> DataSet:
    return load_data(file, TOKENIZER, free=True)


def _plain(row: Row) -> tuple[object, ...]:
    ids = tuple(tuple(window.token_ids.tolist()) for window in row.windows)
    return ids, row.occurrences, row.answer_ids, row.chosen


def test_occurrences_are_the_answer(data: DataSet) -> None:
    assert len(data.examples) == len(ROWS)
    for example, (_, _, answer) in zip(data.examples, ROWS, strict=True):
        for start, end in example.occurrences:
            ids = data.passages[example.gold].ids[start:end].tolist()
            assert normalise(TOKENIZER.decode(ids)) == normalise(answer)
    assert [len(example.occurrences) for example in data.examples] == [2, 1, 1, 1, 0]
    assert TOKENIZER.decode(list(data.examples[-1].answer_ids)) == "yes"


def test_negatives_hold_no_accepted_answer(data: DataSet) -> None:
    for example, (_, _, answer) in zip(data.examples, ROWS, strict=True):
        assert example.gold not in example.negatives
        for number in example.negatives:
            assert f" {normalise(answer)} " not in f" {normalise(ROWS[number][1])} "
    assert data.examples[2].negatives[0] == 4


def test_rows_are_left_out_as_asked(file: Path) -> None:
    assert len(load_data(file, TOKENIZER).examples) == 4
    excluded = frozenset([ROWS[0][1]])
    assert len(load_data(file, TOKENIZER, excluded, free=True).examples) == 4


@given(st.integers(0, 10_000))
def test_gold_positions_spell_the_answer_that_is_wanted(data: DataSet, seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = [make_row(data, example, MANY, rng) for example in data.examples]
    batch = training_batch(rows)
    for b, (_, _, answer) in enumerate(ROWS):
        wanted = batch.targets[b][batch.targets[b] >= 0].tolist()
        assert wanted[-1] == END
        assert normalise(TOKENIZER.decode(wanted[:-1])) == normalise(answer)
        assert batch.inputs[b, : len(wanted)].tolist() == [BEGIN, *wanted[:-1]]
        for step, token in enumerate(wanted[:-1]):
            gold = batch.gold[b, step]
            assert bool(gold.any()) == (b != 4)
            assert (batch.reading.memory_ids[b][gold] == token).all()
            assert bool(batch.reading.copyable[b][gold].all())
            source = int(batch.copied[b, step + 1])
            assert source == -1 if b == 4 else batch.reading.memory_ids[b, source] == token
        assert not batch.gold[b, len(wanted) - 1 :].any()
        assert int(batch.copied[b, 0]) == -1


def test_all_mentions_are_gold_for_the_first_token_only(data: DataSet) -> None:
    row = make_row(data, data.examples[0], MixConfig(), np.random.default_rng(0))
    batch = training_batch([row])
    assert batch.gold[0, :, :].sum(-1).tolist() == [2, 1, 1, 1, 0]


def test_a_row_without_gold_wants_no_answer(data: DataSet) -> None:
    mix = MixConfig(passages=(0.0, 1.0), no_answer=1.0)
    row = make_row(data, data.examples[2], mix, np.random.default_rng(0))
    assert (row.occurrences, row.answer_ids, len(row.windows)) == ((), (), 2)
    assert data.examples[2].gold not in {window.context for window in row.windows}
    batch = training_batch([row])
    assert batch.targets.tolist() == [[NO_ANSWER]]
    assert not batch.gold.any()


@given(st.integers(0, 10_000))
def test_a_row_can_want_the_sentence_around_the_answer(data: DataSet, seed: int) -> None:
    sentences = [
        {"The review is due on 14 March 2025.", "It was 14 march 2025."},
        {"Anna Berg leads the team of nine."},
        {"Green tea is brewed at 80 degrees."},
        {"The boiler was serviced by Mr Holm."},
    ]
    mix = replace(MANY, sentences=1.0)
    rng = np.random.default_rng(seed)
    rows = [make_row(data, example, mix, rng) for example in data.examples]
    batch = training_batch(rows)
    for b, expected in enumerate(sentences):
        wanted = batch.targets[b][batch.targets[b] >= 0].tolist()
        assert wanted[-1] == END
        assert normalise(TOKENIZER.decode(wanted[:-1])) in map(normalise, expected)
        assert batch.inputs[b, : len(wanted)].tolist() == [BEGIN_SENTENCE, *wanted[:-1]]
        assert (batch.gold[b].sum(-1)[: len(wanted) - 1] == 1).all()
    assert batch.inputs[4, 0] == BEGIN  # "yes" stands in no sentence


@given(st.integers(0, 10_000))
def test_windows_are_as_long_as_allowed_and_hold_the_chosen_answer(
    data: DataSet, seed: int
) -> None:
    row = make_row(data, data.examples[1], MANY, np.random.default_rng(seed))
    assert all(len(window) <= MANY.window_tokens for window in row.windows)
    number, start, end = row.occurrences[row.chosen]
    assert row.windows[number].context == data.examples[1].gold
    ids = row.windows[number].token_ids[start:end].tolist()
    assert TOKENIZER.decode(ids) == "anna berg"


@given(st.integers(0, 10_000))
def test_whole_passages_are_read_in_the_windows_that_reading_makes(seed: int) -> None:
    text = " ".join(f"Room {n} holds {n * 7} chairs." for n in range(60))
    passage = tokenise(TOKENIZER, [text])[0]
    question = tokenise(TOKENIZER, ["How many chairs does room 23 hold?"])[0].ids
    places = [r for r in (token_range(passage.spans, *s) for s in find_answer(text, "161")) if r]
    example = Example(question, 0, tuple(places), tuple(None for _ in places), (), (1,))
    data = DataSet("rooms", (passage, tokenise(TOKENIZER, [text.upper()])[0]), (example,))
    mix = MixConfig((0.5, 0.5), whole=1.0, window_tokens=152, shortest_window=152)
    row = make_row(data, example, mix, np.random.default_rng(seed))
    read = [w for n in (0, 1) for w in split_windows(question, data.passages[n], n, 152)]
    for number in {w.context for w in row.windows}:
        of_row = [w.token_ids.tolist() for w in row.windows if w.context == number]
        assert of_row == [w.token_ids.tolist() for w in read if w.context == number]
    words = [TOKENIZER.decode(w.token_ids[w.passage_start :].tolist()).split() for w in row.windows]
    stands = [n for n, w in enumerate(row.windows) if w.context == 0 and "161" in words[n]]
    assert [o.window for o in row.occurrences] == stands
    assert int(training_batch([row]).gold[0, 0].sum()) == len(stands)
    for number, start, end in row.occurrences:
        ids = row.windows[number].token_ids[start:end].tolist()
        assert TOKENIZER.decode(ids) == "161"


def test_batches_are_the_same_for_the_same_seed_only(data: DataSet) -> None:
    mixture = Mixture((data,), (1.0,))

    def drawn(seed: int) -> list[list[tuple[object, ...]]]:
        return [[_plain(row) for row in rows] for rows in islice(mixture.batches(MANY, seed), 8)]

    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)
    sizes = [[sum(map(len, row[0])) for row in rows] for rows in drawn(1)]  # type: ignore[arg-type]
    assert all(len(batch) == 1 or sum(batch) <= MANY.batch_tokens for batch in sizes)


@pytest.mark.parametrize(("share", "least", "most"), [(0.4, 0, 1), (1.0, 1, 1), (1.4, 1, 2)])
def test_a_pass_takes_each_sets_share(data: DataSet, share: float, least: int, most: int) -> None:
    order = Mixture((data, data), (share, 1.0)).order(np.random.default_rng(0))
    counts = Counter(order)
    first = [counts[0, example] for example in range(5)]
    assert sum(first) == round(5 * share)
    assert least <= min(first) <= max(first) <= most
    assert [counts[1, example] for example in range(5)] == [1] * 5


def test_a_mixture_without_questions_is_refused(tmp_path: Path) -> None:
    (tmp_path / "none.jsonl").write_text("\n", "utf-8")
    data = load_data(tmp_path / "none.jsonl", TOKENIZER)
    with pytest.raises(InputError, match="no questions"):
        next(Mixture((data,), (1.0,)).batches(MixConfig(), 0))


@pytest.mark.parametrize(
    ("answer", "spans"),
    [
        ("tea", [(0, 3), (14, 17)]),
        ("green  tea", [(8, 17)]),
        ("te", []),
        ("tea.", [(14, 18)]),
        ("", []),
        (" ", []),
    ],
)
def test_an_answer_is_found_as_whole_words(answer: str, spans: list[tuple[int, int]]) -> None:
    assert find_answer("Tea and green\nTea. Team, steam", answer) == spans


def _naive_bm25(
    question: NDArray[np.int32], passages: list[NDArray[np.int32]]
) -> NDArray[np.float64]:
    mean = sum(map(len, passages)) / len(passages)
    scores = np.zeros(len(passages))
    for term in question:
        holding = sum(term in passage for passage in passages)
        idf = np.log(1 + (len(passages) - holding + 0.5) / (holding + 0.5))
        for n, passage in enumerate(passages):
            count = int((passage == term).sum())
            norm = K1 * (1 - B + B * len(passage) / mean)
            scores[n] += idf * count * (K1 + 1) / (count + norm)
    return scores


TERMS = st.lists(st.integers(0, 9), min_size=1, max_size=12).map(
    lambda ids: np.array(ids, dtype=np.int32)
)


@given(TERMS, st.lists(TERMS, min_size=1, max_size=8), st.integers(1, 10))
def test_bm25_ranks_as_a_naive_implementation(
    question: NDArray[np.int32], passages: list[NDArray[np.int32]], depth: int
) -> None:
    wanted = _naive_bm25(question, passages)
    (ranked,) = rank_passages([question], passages, 10, depth)
    assert len(set(ranked.tolist())) == len(ranked) == min(depth, len(passages))
    assert np.allclose(wanted[ranked], np.sort(wanted)[::-1][: len(ranked)], atol=1e-5)
    weights = bm25_matrix(passages, 10).toarray()
    assert np.allclose(weights[question].sum(axis=0), wanted, atol=1e-5)


def test_rows_get_the_likest_other_passages(file: Path) -> None:
    rows = list(read_rows(file))
    made = list(distractors.with_distractors(rows, 3, seed=0))
    for row, new in zip(rows, made, strict=True):
        assert len(set(new["contexts"])) == 3  # type: ignore[call-overload]
        assert set(row["contexts"]) < set(new["contexts"])  # type: ignore[call-overload]
        assert (new["question"], new["answers"]) == (row["question"], row["answers"])
    assert ROWS[4][1] in made[2]["contexts"]  # type: ignore[operator]
    assert made == list(distractors.with_distractors(rows, 3, seed=0))
    kept = list(distractors.with_distractors(rows, 0, seed=0))
    assert [row["contexts"] for row in kept] == [row["contexts"] for row in rows]
    assert list(distractors.with_distractors([], 3, seed=0)) == []


def test_rows_without_gold_are_written(file: Path, tmp_path: Path) -> None:
    output = tmp_path / "none.jsonl.gz"
    arguments = [str(file), str(output), "--passages", "2", "--without-gold"]
    assert distractors.main(arguments) == 0
    with gzip.open(output, "rt", encoding="utf-8") as lines:
        made = [json.loads(line) for line in lines]
    assert made == list(read_rows(output))
    for row, (_, context, _) in zip(made, ROWS, strict=True):
        assert row["answers"] == []
        assert len(row["contexts"]) == 2
        assert context not in row["contexts"]


def test_an_altered_question_is_not_answered_by_the_gold_passage(data: DataSet) -> None:
    example = next(e for e in data.examples if e.altered)
    mix = MixConfig(passages=(0.0, 1.0), altered=1.0)
    for seed in range(5):
        row = make_row(data, example, mix, np.random.default_rng(seed))
        gold = [window for window in row.windows if window.context == example.gold]
        assert (row.occurrences, row.answer_ids) == ((), ())
        assert (len(gold), len(row.windows)) == (1, 2)
        asked = gold[0].token_ids[1 : gold[0].passage_start - 1].tolist()
        assert asked in [altered.tolist() for altered in example.altered]
        assert asked != example.question.tolist()
        assert training_batch([row]).targets.tolist() == [[NO_ANSWER]]


def test_parts_of_a_pass_hold_every_example_once(data: DataSet) -> None:
    mixture = Mixture((data,), (1.0,))
    mix = MixConfig(batch_tokens=1)
    n_examples = len(data.examples)
    questions = [tuple(e.question.tolist()) for e in data.examples]
    seen: Counter[tuple[int, ...]] = Counter()
    for part in range(2):
        n_own = len(range(part, n_examples, 2))
        for (row,) in islice(mixture.batches(mix, 3, part, 2), n_own):
            window = row.windows[0]
            seen[tuple(window.token_ids[1 : window.passage_start - 1].tolist())] += 1
    assert seen == Counter(questions)
