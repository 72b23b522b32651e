"""The commands on real documents, with the real encoder and the real index."""

from __future__ import annotations

import io
import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Run

DOCUMENTS = {
    "leave.md": "# Leave\n\nEveryone has 25 days of paid leave. Unused days lapse in March.\n",
    "boiler.txt": "The boiler in the cellar was serviced in March.\n",
    "facts.jsonl": '{"id": "f1", "title": "Otters", "text": "They hold hands.", "year": 2020}\n',
}
SEARCH_KEYS = [
    "schema", "query", "rank", "score", "path", "passage_id", "document_id", "start", "end",
    "line", "page", "heading", "text", "metadata",
]  # fmt: skip


@pytest.fixture
def indexed(run: Run, tmp_path: Path) -> Path:
    moment = time.time() - 60
    for name, text in DOCUMENTS.items():
        (tmp_path / name).write_text(text, "utf-8")
        os.utime(tmp_path / name, (moment, moment))
    finished = run("index", ".", "--quiet")
    assert (finished.code, finished.out, finished.err) == (0, "", "")
    return tmp_path


def test_index_tells_one_line_and_nothing_on_stderr(run: Run, indexed: Path) -> None:
    finished = run("index", ".")
    assert (finished.code, finished.err) == (0, "")
    assert finished.out.startswith("3 unchanged; 0 passages embedded in ")
    assert finished.out.count("\n") == 1


def test_index_as_json_with_a_bad_file(run: Run, indexed: Path) -> None:
    (indexed / "bad.pdf").write_bytes(b"no pdf")
    finished = run("index", ".", "--json")
    assert finished.code == 3
    summary = json.loads(finished.out)
    assert (summary["unchanged"], summary["added"]) == (3, 0)
    assert [failure["path"] for failure in summary["failed"]] == ["bad.pdf"]
    assert finished.err.startswith("ragcli: bad.pdf: ")


def test_index_draws_a_bar_only_on_a_terminal(run: Run, indexed: Path) -> None:
    finished = run("index", ".", "--rebuild", stderr_is_terminal=True, environ={"TERM": "xterm"})
    assert "indexing" in finished.err
    assert finished.out.startswith("3 updated")


def test_search_for_a_person(run: Run, indexed: Path) -> None:
    finished = run("search", "when do unused days lapse?", "-k", "1")
    assert (finished.code, finished.err) == (0, "")
    first, *rest = finished.out.splitlines()
    assert first.startswith("1  1.000  ")  # first by meaning and first by words
    assert first.endswith("  leave.md:1")
    assert any(line.startswith(" > ") and "Unused days lapse" in line for line in rest)
    assert "\x1b" not in finished.out


def test_search_in_colour_on_a_terminal(run: Run, indexed: Path) -> None:
    world = {"stdout_is_terminal": True, "terminal_width": 90}
    coloured = run("search", "unused days", "-k", "1", environ={"TERM": "xterm"}, **world)
    assert "\x1b[1;4;33mUnused\x1b[0m\x1b[1;33m \x1b[0m\x1b[1;4;33mdays\x1b[0m" in coloured.out
    plain = run("search", "unused days", "-k", "1", environ={"NO_COLOR": "1"}, **world)
    assert "\x1b" not in plain.out


def test_search_as_json(run: Run, indexed: Path) -> None:
    finished = run("search", "what do otters do", "-k", "2", "--json")
    first, second = map(json.loads, finished.out.splitlines())
    assert list(first) == SEARCH_KEYS
    assert (first["rank"], first["path"], first["document_id"]) == (1, "facts.jsonl", "f1")
    assert first["metadata"] == {"year": 2020}
    assert second["rank"] == 2
    assert first["score"] > second["score"]


def test_highlights_in_json_count_in_the_document(run: Run, indexed: Path) -> None:
    finished = run("search", "unused days", "-k", "1", "--json", "--highlight")
    (hit,) = map(json.loads, finished.out.splitlines())
    text = hit["text"]
    sentence, *words = (
        text[start - hit["start"] : end - hit["start"]]
        for start, end in (hit["highlight"]["sentence"], *hit["highlight"]["words"])
    )
    assert sentence.startswith("Unused days lapse in March.")
    assert {"Unused", "days"} <= set(words)


def test_reranking_tells_its_stages_and_is_for_hybrid(run: Run, indexed: Path) -> None:
    finished = run("search", "what do otters do", "-k", "1", "--json", "--rerank", "--explain")
    (hit,) = map(json.loads, finished.out.splitlines())
    assert hit["document_id"] == "f1"
    assert {"dense", "lexical", "fused", "wider_dense", "wider_fused", "rerank", "reader"} <= set(
        hit["explain"]
    )
    told = run("search", "what do otters do", "-k", "1", "--rerank", "--explain")
    assert "rerank 0." in told.out
    refused = run("search", "otters", "--rerank", "--mode", "lexical")
    assert (refused.code, refused.out) == (2, "")
    assert "reranking is for hybrid mode, not lexical" in refused.err
    setting = {"RAGCLI_RERANK": "yes"}
    yielding = run("search", "otters", "--mode", "lexical", environ=setting)
    assert yielding.code == 0
    told = run("search", "what do otters do", "-k", "1", "--explain", environ=setting)
    assert "rerank 0." in told.out
    over = run("search", "what do otters do", "--no-rerank", "--explain", environ=setting)
    assert "rerank" not in over.out


def test_search_finds_nothing(run: Run, indexed: Path) -> None:
    finished = run("search", "otters", "--mode", "dense", "--min-score", "0.999")
    assert (finished.code, finished.out, finished.err) == (1, "", "ragcli: nothing found\n")
    as_json = run("search", "otters", "--mode", "dense", "--min-score", "0.999", "--json")
    assert (as_json.code, as_json.out, as_json.err) == (1, "", "")


def test_a_batch_keeps_its_order_and_ids_and_goes_on_after_a_bad_line(
    run: Run, indexed: Path
) -> None:
    lines = '{"id": "q1", "text": "otters"}\n{oops\nheating\n'
    finished = run("search", "--queries", "-", "-k", "1", "--json", stdin=lines)
    hits = [json.loads(line) for line in finished.out.splitlines()]
    assert finished.code == 3
    assert [(hit["query_id"], hit["path"]) for hit in hits] == [
        ("q1", "facts.jsonl"),
        ("3", "boiler.txt"),
    ]
    assert list(hits[0]) == ["schema", "query", "query_id", *SEARCH_KEYS[2:]]
    assert finished.err.startswith("ragcli: stdin:2: is not valid JSON")
    (indexed / "queries.txt").write_text("otters\n", "utf-8")
    assert run("search", "--queries", "queries.txt", "-l", "-k", "1").out == "facts.jsonl\n"


def test_paths_only(run: Run, indexed: Path) -> None:
    shown = run("search", "boiler in the cellar", "-l").out.splitlines()
    assert shown[0] == "boiler.txt"
    assert sorted(shown) == sorted(DOCUMENTS)
    assert run("search", "boiler", "-l", "-0", "-k", "1").out == "boiler.txt\0"


def test_commands_find_the_index_above_and_show_paths_from_here(run: Run, indexed: Path) -> None:
    deep = indexed / "deep" / "er"
    deep.mkdir(parents=True)
    (deep / "new.txt").write_text("Whales sing.\n", "utf-8")
    assert run("index", ".", cwd=deep).code == 0
    assert not (deep / ".ragcli").exists()
    shown = run("search", "whale song", "-l", "-k", "2", cwd=deep).out.splitlines()
    assert shown[0] == "new.txt"
    assert Path(shown[1]).is_absolute()


def test_the_index_can_lie_elsewhere(run: Run, indexed: Path, tmp_path: Path) -> None:
    assert run("index", "boiler.txt", "--index", "other", "-q").code == 0
    assert json.loads(run("status", "--json", "--index", "other").out)["files"] == 1
    assert json.loads(run("status", "--json", environ={"RAGCLI_INDEX": "other"}).out)["files"] == 1
    (tmp_path / "ragcli.toml").write_text('index = "other"\n', "utf-8")
    assert json.loads(run("status", "--json").out)["files"] == 1


def test_another_encoder_is_refused_with_the_remedy(run: Run, indexed: Path) -> None:
    finished = run("search", "q", environ={"RAGCLI_ENCODER": "other"})
    assert (finished.code, finished.out) == (2, "")
    assert "made by the encoder all-MiniLM-L6-v2, not by other" in finished.err
    assert "--rebuild" in finished.err


def test_status_for_a_person_and_for_a_program(run: Run, indexed: Path) -> None:
    finished = run("status")
    assert (finished.code, finished.err) == (0, "")
    assert "documents  3\n" in finished.out
    assert "all-MiniLM-L6-v2" in finished.out
    status = json.loads(run("status", "--json").out)
    assert (status["files"], status["documents"], status["passages"]) == (3, 3, 3)
    assert status["encoder"]["dimension"] == 384
    assert status["bytes"] > 0


def test_status_tells_the_index_type_its_recall_and_the_tuned_setting(
    run: Run, indexed: Path
) -> None:
    assert "vectors    flat, chosen automatically\nrecall@10  1 (exact)\n" in run("status").out
    (indexed / "rows.csv").write_text("text\n" + "".join(f"row {i}\n" for i in range(9)), "utf-8")
    assert run("index", ".", "-q", "--index-type", "HNSW8,Flat", "--recall", "0.9").code == 0
    told = run("status").out
    assert "vectors    HNSW8,Flat, as chosen\nrecall@10  1.000 at efSearch 1 (0.9 " in told
    vectors = json.loads(run("status", "--json").out)["vectors"]
    assert (vectors["type"], vectors["choice"]) == ("HNSW8,Flat", "HNSW8,Flat")
    assert (vectors["measured_recall"], vectors["requested_recall"]) == (1.0, 0.9)
    assert (vectors["parameter"], vectors["setting"]) == ("efSearch", 1)


def test_an_unknown_index_type_is_refused_with_what_is_possible(run: Run, indexed: Path) -> None:
    finished = run("index", ".", "--index-type", "fastest")
    assert (finished.code, finished.out) == (2, "")
    assert "no index type 'fastest'" in finished.err
    assert "auto, flat, ivf, ivf-pq, hnsw, or a FAISS factory string such as" in finished.err


def test_a_document_cannot_steer_the_terminal(run: Run, indexed: Path) -> None:
    (indexed / "evil.txt").write_text("Zebras \x1b]0;owned\x07 gallop.\n", "utf-8")
    run("index", ".", "-q")
    world = {"stdout_is_terminal": True, "terminal_width": 80, "environ": {"NO_COLOR": "1"}}
    shown = run("search", "zebras gallop", "-k", "1", **world)
    assert "Zebras ␛]0;owned␇ gallop." in shown.out
    assert "\x1b]" not in shown.out


@pytest.mark.parametrize("form", [["--json"], []], ids=["json", "for people"])
def test_head_ends_a_search_quietly(
    run: Run, indexed: Path, form: list[str], closing_pipe: io.StringIO
) -> None:
    finished = run("search", "days", *form, stdout=closing_pipe)
    assert (finished.code, finished.err) == (0, "")


class Interrupting(io.StringIO):
    """An input in which the person presses Ctrl-C."""

    def __next__(self) -> str:
        raise KeyboardInterrupt


def test_ctrl_c_in_a_batch(run: Run, indexed: Path) -> None:
    finished = run("search", "--queries", "-", stdin=Interrupting())
    assert (finished.code, finished.err) == (130, "ragcli: interrupted\n")


def test_explain_shows_what_a_score_is_made_of(run: Run, indexed: Path) -> None:
    lines = run("search", "unused leave days", "--explain", "--json").out.splitlines()
    best = json.loads(lines[0])
    assert set(best["explain"]) == {"dense", "lexical"}
    assert best["explain"]["lexical"]["rank"] == 1
    assert 0 <= best["score"] <= 1
    shown = run("search", "unused leave days", "--explain", "-k", "1").out
    assert f"dense {best['explain']['dense']['score']:.3f} (rank " in shown
    plain = json.loads(run("search", "unused leave days", "--json").out.splitlines()[0])
    assert "explain" not in plain


def test_lexical_mode_finds_words_and_exits_with_1_without_any(run: Run, indexed: Path) -> None:
    found = run("search", '"unused days"', "--mode", "lexical", "-l")
    assert (found.code, found.out, found.err) == (0, "leave.md\n", "")
    shown = run("search", "lapsing", "--mode", "lexical")
    assert " > " in shown.out
    assert "Unused days lapse" in shown.out
    missed = run("search", "xylophone", "--mode", "lexical", "--json")
    assert (missed.code, missed.out) == (1, "")
    wrong = run("search", "leave", "--mode", "exact")
    assert wrong.code == 2
    assert wrong.err.splitlines()[0] == "ragcli: unknown mode 'exact'"


def test_filters_come_before_the_ranking(run: Run, indexed: Path) -> None:
    only = run("search", "leave", "--path", "*.txt", "-l")
    assert (only.code, only.out) == (0, "boiler.txt\n")
    dated = run("search", "leave", "--filter", "year>=2020", "-l", "--mode", "lexical")
    assert (dated.code, dated.out) == (1, "")
    held = run("search", "hands", "--filter", "year>=2020", "-l")
    assert (held.code, held.out) == (0, "facts.jsonl\n")
    wrong = run("search", "leave", "--filter", "year")
    assert wrong.code == 2
    assert wrong.err.splitlines()[0] == "ragcli: the filter 'year' is no condition"


def test_a_run_for_trec_eval(run: Run, indexed: Path) -> None:
    (indexed / "two words.txt").write_text("Otters eat fish. " * 300, "utf-8")
    run("index", ".", "-q")
    lines = '{"id": "q1", "text": "otters"}\n{"id": "q2", "text": "boiler"}\n'
    finished = run("search", "--queries", "-", "--format", "trec", "-k", "9", stdin=lines)
    assert (finished.code, finished.err) == (0, "")
    rows = [line.split(" ") for line in finished.out.splitlines()]
    assert all(len(row) == 6 and row[1] == "Q0" and row[5] == "ragcli" for row in rows)
    for query in ("q1", "q2"):
        own = [row for row in rows if row[0] == query]
        assert sorted(row[2] for row in own) == ["boiler.txt", "f1", "leave.md", "two%20words.txt"]
        assert [row[3] for row in own] == ["1", "2", "3", "4"]
        scores = [float(row[4]) for row in own]
        assert scores == sorted(scores, reverse=True)
    assert run("search", "x", "--format", "xml").code == 2
