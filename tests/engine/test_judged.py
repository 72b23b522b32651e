"""Files of judged queries in the forms that people have them in."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from ragcli.engine.judged import read_judged_queries, read_qrels
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
