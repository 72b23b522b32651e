"""Files of judged queries in the forms that people have them in."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from ragcli.engine.judged import read_judged, read_judged_queries, read_qrels
from ragcli.errors import InputError


def _file(folder: Path, name: str, text: str) -> Path:
    file = folder / name
    if name.endswith(".gz"):
        file.write_bytes(gzip.compress(text.encode()))
    else:
        file.write_text(text, "utf-8")
    return file


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("queries.jsonl", '{"_id": "1", "text": "red tea"}\n{"_id": "b", "text": "otters"}\n'),
        ("queries.jsonl.gz", '{"id": 1, "question": "red tea"}\n{"id": "b", "text": "otters"}\n'),
        ("topics.tsv", "1\tred tea\nb\totters\n"),
    ],
)
def test_queries(tmp_path: Path, name: str, text: str) -> None:
    read = read_judged_queries(_file(tmp_path, name, text))
    assert read.texts == {"1": "red tea", "b": "otters"}
    assert (read.qrels, read.n_blank) == ({}, 0)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("beir.tsv", "query-id\tcorpus-id\tscore\nq\td 1\t2\nq\td2\t0\np\td2\t1\n"),
        ("trec.txt.gz", "q\t0\td 1\t2\nq\t0\td2\t0\np\t0\td2\t1\n"),
        ("bare.tsv", "q\td 1\t2\n\nq\td2\t0\r\np\td2\t1"),
    ],
)
def test_qrels(tmp_path: Path, name: str, text: str) -> None:
    assert read_qrels(_file(tmp_path, name, text)) == {"q": {"d 1": 2, "d2": 0}, "p": {"d2": 1}}


def test_trec_qrels_with_spaces(tmp_path: Path) -> None:
    assert read_qrels(_file(tmp_path, "qrels", "301 0 FR94-1 1\n")) == {"301": {"FR94-1": 1}}


@pytest.mark.parametrize("text", ["q d\n", "q\td\thigh\n", "", "query-id\tcorpus-id\tscore\n"])
def test_what_is_no_judgement_is_named(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError, match="judgement"):
        read_qrels(_file(tmp_path, "qrels.tsv", text))


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        read_qrels(tmp_path / "absent.tsv")
    (tmp_path / "torn.gz").write_bytes(b"\x1f\x8b nothing")
    with pytest.raises(InputError, match=r"torn\.gz"):
        read_judged_queries(tmp_path / "torn.gz")
    with pytest.raises(InputError, match="no queries"):
        read_judged_queries(_file(tmp_path, "empty.jsonl", "\n"))
    with pytest.raises(InputError, match="has no id"):
        read_judged_queries(_file(tmp_path, "plain.txt", "how hot is tea\n"))
    with pytest.raises(InputError, match="twice"):
        read_judged_queries(_file(tmp_path, "twice.tsv", "1\ta\n1\tb\n"))
    with pytest.raises(InputError, match=r"bad\.jsonl:1"):
        read_judged_queries(_file(tmp_path, "bad.jsonl", "{}\n"))


def test_blank_questions_are_counted_and_their_judgements_left_out(tmp_path: Path) -> None:
    lines = [
        '{"id": "a", "question": "", "relevant": ["x.md"]}',
        '{"id": "b", "question": "why?", "relevant": ["x.md", "y.md"], "about": "x.md:1"}',
        '{"id": "c", "question": " \\n", "relevant": ["z.md"]}',
        '{"id": "d", "question": "who?", "relevant": []}',
    ]
    read = read_judged(_file(tmp_path, "questions.jsonl", "\n".join(lines)), None)
    assert read.texts == {"b": "why?", "d": "who?"}
    assert read.qrels == {"b": {"x.md": 1, "y.md": 1}}
    assert read.n_blank == 2
    blank = _file(tmp_path, "blank.tsv", "1\t\n2\t \n")
    with pytest.raises(InputError, match=r"every question is still blank \(2 in all\)"):
        read_judged_queries(blank)


def test_judgements_of_a_file_go_before_those_beside_the_queries(tmp_path: Path) -> None:
    queries = _file(tmp_path, "q.jsonl", '{"id": "a", "text": "why?", "relevant": ["x.md"]}\n')
    qrels = _file(tmp_path, "qrels.tsv", "a\ty.md\t2\n")
    assert read_judged(queries, qrels).qrels == {"a": {"y.md": 2}}
    assert read_judged(queries, None).qrels == {"a": {"x.md": 1}}


@pytest.mark.parametrize("relevant", ['"x.md"', "[1]", '{"x.md": 1}', "null", '["x.md", null]'])
def test_relevant_documents_that_are_no_list_of_ids_are_refused(
    tmp_path: Path, relevant: str
) -> None:
    line = f'{{"id": "a", "text": "why?", "relevant": {relevant}}}\n'
    with pytest.raises(InputError, match="no list of document ids"):
        read_judged(_file(tmp_path, "q.jsonl", line), None)


def test_queries_without_any_judgements_are_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no line says") as caught:
        read_judged(_file(tmp_path, "q.tsv", "1\twhy?\n"), None)
    assert "--qrels" in caught.value.remedy
