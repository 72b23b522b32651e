"""Text of every script and encoding: what cannot be decoded is replaced and told, never lost."""

import time
import tracemalloc
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from ragcli.corpus import Chunker
from ragcli.corpus.loaders import load
from ragcli.corpus.loaders.encoding import decode_text
from ragcli.corpus.problem import Problem
from ragcli.errors import LoadError
from ragcli.records import Document

SCRIPTS = {
    "emoji": "👩‍👩‍👧‍👦 family 🏳️‍🌈 flag 👍🏽 done. ",
    "right to left": "שלום עולם. مرحبا بالعالم \u202bmixed\u202c text. ",
    "east asian": "これは日本語の文です。中文句子没有空格。한국어 문장입니다. ",
    "combining": "e\u0301a\u0308 Z\u0351\u0343\u0310 नमस्ते दुनिया। ",
    "beyond the plane": "𝒜𝒷𝒸 𐍈𐌰 𠀀𠀁 words. ",
}


def load_all(folder: Path, name: str, content: bytes) -> tuple[list[Document], list[str]]:
    """Documents, and reasons of problems."""
    file = folder / name
    file.write_bytes(content)
    found = list(load(file, name))
    documents = [result for result in found if isinstance(result, Document)]
    return documents, [result.reason for result in found if isinstance(result, Problem)]


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_no_script_is_altered(
    tmp_path: Path, tokenizer: Tokenizer, script: str, encoding: str
) -> None:
    text = SCRIPTS[script] * 60
    (document,), problems = load_all(tmp_path, "a.txt", text.encode(encoding))
    assert (document.text, problems) == (text, [])
    passages = Chunker(tokenizer, 50).split(document)
    assert "".join(passage.text for passage in passages) == text
    assert all(before.end == after.start for before, after in pairwise(passages))


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("cp1251", "Привет, это обычный русский текст в старой кодировке. "),
        ("koi8-r", "Привет, это обычный русский текст в старой кодировке. "),
        ("shift_jis", "これは日本語の文章です。漢字もあります。"),
        ("gb18030", "这是一个普通的中文句子，没有什么特别的。"),
        ("big5", "這是一個普通的中文句子，沒有什麼特別的。"),
        ("euc-kr", "이것은 평범한 한국어 문장입니다. "),
        ("cp1252", "“Ça va?” – Über größere Straßen, naïve déjà vu. "),
    ],
)
def test_old_encodings_are_not_taken_for_damaged_utf8(encoding: str, text: str) -> None:
    decoded = decode_text((text * 20).encode(encoding))
    assert decoded.flaw == ""
    assert decoded.text == text * 20


@pytest.mark.parametrize("name", ["a.txt", "a.md", "a.rst", "a.tex", "a.org", "a.py"])
def test_a_few_bad_bytes_are_replaced_and_told(tmp_path: Path, name: str) -> None:
    text = "Größe, naïve façade, 中文 and more. " * 10
    good = text.encode()
    content = good[:120] + b"\xff\xfe" + good[120:] + b"\xc3"
    at = content.index(b"\xff")
    (document,), problems = load_all(tmp_path, name, content)
    assert problems == [f"3 bytes are not valid UTF-8 and were replaced; first at byte {at}"]
    assert document.text == good[:120].decode() + "\ufffd" * 2 + good[120:].decode() + "\ufffd"


@pytest.mark.parametrize(
    ("name", "content", "text"),
    [
        ("a.html", "<h1>中文 naïve</h1><p>caf\xff</p>", "中文 naïve\n\ncaf\ufffd"),
        ("a.xml", "<a>中文 naïve caf\xff</a>", "中文 naïve caf\ufffd"),
        ("a.json", '{"a": "中文 naïve caf\xff"}', "a: 中文 naïve caf\ufffd"),
        ("a.jsonl", '{"text": "中文 naïve caf\xff"}', "中文 naïve caf\ufffd"),
        ("a.csv", "text\n中文 naïve caf\xff\n", "中文 naïve caf\ufffd"),
        ("a.eml", "S: x\nContent-Transfer-Encoding: 8bit\n\n中文 naïve caf\xff", None),
        ("a.ipynb", '{"cells":[{"cell_type":"raw","source":"中文 naïve \xff"}]}', None),
    ],
)
def test_bad_bytes_are_told_in_all_formats_of_text(
    tmp_path: Path, name: str, content: str, text: str | None
) -> None:
    bad = content.encode().replace("\xff".encode(), b"\xff")
    (document,), problems = load_all(tmp_path, name, bad)
    assert len(problems) == 1
    assert "1 byte is not valid UTF-8 and was replaced; first at byte" in problems[0]
    assert document.text.endswith("\ufffd")
    assert text is None or document.text == text


def test_few_bytes_without_evidence_of_any_encoding_are_replaced(tmp_path: Path) -> None:
    content = b"plain words " * 50 + b"\x81\x8d" + b" more words" * 50
    (document,), problems = load_all(tmp_path, "a.txt", content)
    assert document.text.count("\ufffd") == 2
    assert problems == ["2 bytes are not valid UTF-8 and were replaced; first at byte 600"]


def test_what_an_old_encoding_lacks_is_replaced_and_told(tmp_path: Path) -> None:
    content = "Обычный русский текст. ".encode("cp1251") * 50 + b" end" * 20_000 + b"\x98"
    (document,), problems = load_all(tmp_path, "a.txt", content)
    assert document.text.startswith("Обычный русский текст.")
    assert problems == ["1 character is not valid cp1251 and was replaced"]


def test_half_a_character_of_utf_16_costs_that_character(tmp_path: Path) -> None:
    content = ("words " * 20).encode("utf-16")[:-1]
    (document,), problems = load_all(tmp_path, "a.txt", content)
    assert document.text == ("words " * 20)[:-1] + "\ufffd"
    assert problems == ["1 character is not valid utf-16 and was replaced"]


def test_what_is_mostly_undecodable_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LoadError, match="not valid utf-16 text"):
        load_all(tmp_path, "a.txt", b"\xff\xfea\0" + b"\0\xd8" * 50)
    with pytest.raises(LoadError, match="encoding is not known; save it as UTF-8"):
        load_all(tmp_path, "a.txt", b"a\x81b\x8d")


@given(
    text=st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=200),
    at=st.integers(0, 200),
)
@settings(max_examples=150)
def test_valid_utf8_is_never_altered_and_damage_always_told(text: str, at: int) -> None:
    whole = text.encode()
    assert decode_text(whole).text == text.removeprefix("\ufeff")
    damaged = whole[:at] + b"\xff" + whole[at:]
    try:
        decoded = decode_text(damaged)
    except LoadError:
        return
    decoded.text.encode()
    if "\ufffd" in decoded.text and "\ufffd" not in text:
        assert "replaced" in decoded.flaw


@pytest.mark.parametrize("unit", ["word ", "x", "中", "é, ", "👍", "\u0301", "a\t", "😀 "])
def test_a_line_of_a_megabyte_takes_linear_time(
    tmp_path: Path, tokenizer: Tokenizer, unit: str
) -> None:
    text = unit * (1_000_000 // len(unit.encode()))
    started = time.monotonic()
    (document,), problems = load_all(tmp_path, "a.txt", text.encode())
    assert (document.text == text, problems) == (True, [])
    assert time.monotonic() - started < 2
    passages = Chunker(tokenizer, 200).split(document)
    assert "".join(passage.text for passage in passages) == text
    assert time.monotonic() - started < 60  # what is quadratic takes hours


def test_the_size_of_a_damaged_table_does_not_matter(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    with file.open("wb") as stream:
        stream.write(b"text\n")
        for number in range(8):
            stream.write(("中文 naïve words " * 40 + "\n").encode() * 1000 + b"\xff %d\n" % number)
    tracemalloc.start()
    try:
        found = sum(1 for _ in load(file, "a.csv"))
        assert tracemalloc.get_traced_memory()[1] < file.stat().st_size * 1.2
    finally:
        tracemalloc.stop()
    assert found == 8 * 1001 + 1
