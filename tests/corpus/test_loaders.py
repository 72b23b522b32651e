import hashlib
import json
from pathlib import Path

import pytest

from ragcli.corpus.loaders import LOADERS, Problem, RecordFields, content_hash, load
from ragcli.errors import LoadError
from ragcli.records import Document, Heading


def load_all(file: Path, fields: RecordFields = RecordFields()) -> list[Document | Problem]:
    return list(load(file, file.name, fields))


def load_text(tmp_path: Path, name: str, content: str | bytes) -> Document:
    file = tmp_path / name
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    (document,) = load_all(file)
    assert isinstance(document, Document)
    assert document.document_id == document.path == name
    assert document.content_hash == hashlib.sha256(file.read_bytes()).hexdigest()
    return document


def load_records(
    tmp_path: Path, name: str, content: str | bytes, fields: RecordFields = RecordFields()
) -> tuple[list[Document], list[str]]:
    file = tmp_path / name
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    results = load_all(file, fields)
    assert all(result.path == name for result in results)
    documents = [result for result in results if isinstance(result, Document)]
    return documents, [result.reason for result in results if isinstance(result, Problem)]


def headings(document: Document) -> list[tuple[int, str]]:
    """Levels and words of headings, after a look that they stand where they say."""
    for heading in document.headings:
        assert heading.text.split()[0] in document.text[heading.start :].split("\n\n")[0]
    return [(heading.level, heading.text) for heading in document.headings]


def test_every_suffix_has_a_loader_module() -> None:
    folder = Path(__file__).parents[2] / "ragcli/corpus/loaders"
    assert all((folder / f"{module}.py").is_file() for module in LOADERS.values())


def test_content_hash_is_of_the_bytes(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_bytes(b"x" * 3_000_000)
    assert content_hash(file) == hashlib.sha256(b"x" * 3_000_000).hexdigest()


def test_a_missing_and_an_unsupported_file(tmp_path: Path) -> None:
    with pytest.raises(LoadError, match="cannot be read: No such file"):
        load_all(tmp_path / "gone.txt")
    with pytest.raises(LoadError, match=r"unsupported format '\.png'"):
        load_all(tmp_path / "a.png")


# Plain text and its encodings


def test_text_is_kept_character_for_character(tmp_path: Path) -> None:
    document = load_text(tmp_path, "a.txt", "\r\n one\r\ntwo\n\n  three  ")
    assert document.text == "\r\n one\r\ntwo\n\n  three  "
    assert document.first_line == 1


def test_an_empty_file_is_a_blank_document(tmp_path: Path) -> None:
    for name in ("a.txt", "a.md", "a.html", "a.rst"):
        assert load_text(tmp_path, name, "").text == ""
    assert load_records(tmp_path, "a.jsonl", "") == ([], [])
    assert load_records(tmp_path, "a.csv", "") == ([], [])


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_marked_encodings_leave_no_mark(tmp_path: Path, encoding: str) -> None:
    assert load_text(tmp_path, "a.txt", "naïve 中文".encode(encoding)).text == "naïve 中文"


@pytest.mark.parametrize(
    "text", ["Café déjà vu", "naïve", "Über größere Straßen.", "“Ça va?” costs – what – 5 €?"]
)
def test_short_western_text_is_read_as_such(tmp_path: Path, text: str) -> None:
    assert load_text(tmp_path, "a.txt", text.encode("cp1252")).text == text


def test_other_encodings_are_recognised(tmp_path: Path) -> None:
    text = "Привет, это обычный русский текст в старой кодировке. " * 5
    assert load_text(tmp_path, "a.txt", text.encode("cp1251")).text == text


def test_a_foreign_byte_far_into_a_file_is_noticed(tmp_path: Path) -> None:
    content = b"plain words " * 200_000 + b"caf\xe9"
    assert load_text(tmp_path, "a.txt", content).text.endswith("words café")


@pytest.mark.parametrize("name", ["a.txt", "a.md", "a.html", "a.csv", "a.py"])
def test_nul_bytes_are_binary(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"id,text\n1,a\0b\n")
    with pytest.raises(LoadError, match="binary content"):
        load_all(tmp_path / name)


def test_half_a_utf16_character_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("words".encode("utf-16")[:-1])
    with pytest.raises(LoadError, match="not valid utf-16 text"):
        load_all(tmp_path / "a.txt")


# Markdown and reStructuredText


def test_markdown_headings_by_commonmark(tmp_path: Path) -> None:
    text = (
        "Intro\r\n\r\n# One *em* `code` [link](x)\r\n\r\n```\n# in a fence\n```\n\n"
        "    # in indented code\n\nSetext\ntitle\n======\n\n   ### Deep ###\n> # quoted\n\n#no"
    )
    document = load_text(tmp_path, "a.md", text)
    assert document.text == text
    assert document.title == "One em code link"
    assert document.headings == (
        Heading(text.index("# One"), 1, "One em code link"),
        Heading(text.index("Setext"), 1, "Setext title"),
        Heading(text.index("### Deep"), 3, "Deep"),
    )


def test_front_matter_is_metadata_and_no_heading(tmp_path: Path) -> None:
    text = "---\ntitle: Front\ndate: 2024-01-02\ntags: [a, b]\n---\n\n# Body\n"
    document = load_text(tmp_path, "a.md", text)
    assert document.text == text
    assert document.title == "Front"
    assert document.metadata == {"date": "2024-01-02", "tags": ["a", "b"]}
    assert document.headings == (Heading(text.index("# Body"), 1, "Body"),)


@pytest.mark.parametrize("block", ["a: [", "just words", "- a\n- b", "", "? {a: 1}\n: 2"])
def test_front_matter_that_is_no_mapping_is_left_alone(tmp_path: Path, block: str) -> None:
    document = load_text(tmp_path, "a.md", f"---\n{block}\n---\n# Body\n")
    assert document.metadata == {}
    assert headings(document) == [(1, "Body")]


def test_restructured_titles_rank_by_first_use(tmp_path: Path) -> None:
    text = (
        "=====\nTitle\n=====\n\nSub\n---\n\nwords\n\nLater\n-----\n\nDeep\n~~~~\n\nlong words\n--\n"
    )
    document = load_text(tmp_path, "a.rst", text)
    assert document.title == "Title"
    assert document.headings == (
        Heading(0, 1, "Title"),
        Heading(text.index("Sub"), 2, "Sub"),
        Heading(text.index("Later"), 2, "Later"),
        Heading(text.index("Deep"), 3, "Deep"),
    )


# HTML


def test_html_gives_what_is_read(tmp_path: Path) -> None:
    document = load_text(
        tmp_path,
        "a.html",
        """<!doctype html><html><head><title>T &amp;
        x</title><style>p{}</style></head><body><nav><a href=x>Home</a></nav><!-- no -->
        <h1>Big <em>title</em></h1><p>Hello <b>bo</b>ld
        world.<br>After.</p><script>var x</script><p hidden>unseen</p><ul><li>one<li><p>two</p></ul>
        <table><tr><th>a</th><th>b</th></tr><tr><td>1</td><td></td></tr></table>
        <h2>Sub</h2>loose<div>division</div><pre>
code   here
  indented</pre></body></html>""",
    )
    assert document.title == "T & x"
    assert document.first_line is None
    assert document.text == (
        "Big title\n\nHello bold world.\nAfter.\n\n- one\n\n- two\n\na | b\n1 |\n\n"
        "Sub\n\nloose\ndivision\n\ncode   here\n  indented"
    )
    assert headings(document) == [(1, "Big title"), (2, "Sub")]


def test_html_leaves_out_what_leads_about_the_site(tmp_path: Path) -> None:
    document = load_text(
        tmp_path,
        "a.html",
        """<div role="navigation menu"><ul><li>Home</ul></div><form role=Search>Find</form>
        <h1>Boilers<a class="headerlink" href="#boilers" title="Permalink">¶</a></h1>
        <h2><a href="#">#</a> Valves <a href="#fn1">1</a></h2><a href="#x">here</a>
        <a href="https://example.org/#">#</a> <a href="#s5">§</a>5
        <ul><li><a href=x></a></li><li>one</li><li><ul><li>inner</li></ul></li></ul>""",
    )
    assert document.text == "Boilers\n\nValves 1\n\nhere # §5\n\n- one\n\n- inner"
    assert headings(document) == [(1, "Boilers"), (2, "Valves 1")]


def test_html_may_name_its_encoding(tmp_path: Path) -> None:
    content = '<meta charset="koi8-r"><p>Привет</p>'.encode("koi8-r")
    assert load_text(tmp_path, "a.html", content).text == "Привет"


def test_html_of_any_depth(tmp_path: Path) -> None:
    assert load_text(tmp_path, "a.html", "<div>" * 20_000 + "deep").text == "deep"


# JSON lines


def test_json_records_become_documents(tmp_path: Path) -> None:
    lines = ['{"_id": "a", "title": "T", "text": "café", "year": 2001}', "", '{"text": "b"}']
    documents, problems = load_records(tmp_path, "a.jsonl", "\n".join(lines))
    assert problems == []
    first, second = documents
    assert (first.document_id, first.title, first.text) == ("a", "T", "T\n\ncafé")
    assert (first.first_line, first.is_record, first.metadata) == (1, True, {"year": 2001})
    assert (second.document_id, second.text, second.first_line) == ("a.jsonl#3", "b", 3)
    assert first.content_hash != second.content_hash


def test_bad_json_lines_are_problems_and_the_rest_goes_on(tmp_path: Path) -> None:
    bad = {
        b"{bad": "not valid JSON: Expecting property name enclosed in double quotes at column 2",
        b"[1]": "not a JSON object",
        b'{"text": "\\ud800"}': "surrogate",
        b'{"text": NaN}': "NaN is no JSON number",
        b'{"body": 1, "more": 2}': "no field 'text'; there is: body, more",
        b'{"text": ["x"]}': "its field 'text' is not text",
        b'{"id": 1.5, "text": "x"}': "neither text nor a whole number",
        b"[" * 100_000: "not usable JSON",
        b'{"id": "good", "text": "again"}': "id 'good' is already that of line 1",
    }
    content = b"\n".join([b'{"id": "good", "text": "x"}', *bad, b'{"id": 7, "text": "last"}'])
    documents, problems = load_records(tmp_path, "a.jsonl", content)
    assert [document.document_id for document in documents] == ["good", "7"]
    for line, (problem, reason) in enumerate(zip(problems, bad.values(), strict=True), start=2):
        assert problem.startswith(f"line {line}: ")
        assert reason in problem


def test_fields_may_be_named(tmp_path: Path) -> None:
    rows = [
        {"key": 1, "name": "N", "body": "B", "id": "kept"},
        {"key": None, "name": "", "body": ""},
    ]
    content = "\n".join(map(json.dumps, rows))
    documents, problems = load_records(
        tmp_path, "a.jsonl", content, RecordFields(id="key", title="name", text="body")
    )
    (document,) = documents
    assert (document.document_id, document.text) == ("1", "N\n\nB")
    assert document.metadata == {"id": "kept"}
    assert problems == ["line 2: its id 'key' is empty"]


def test_json_lines_with_bytes_that_are_not_utf8_are_kept_and_told_of(tmp_path: Path) -> None:
    content = '{"text": "naïve 中文"}\n{"text": "'.encode() + b"caf\xe9" + b'"}\n'
    documents, problems = load_records(tmp_path, "a.jsonl", content)
    assert [document.text for document in documents] == ["naïve 中文", "caf\ufffd"]
    at = content.index(b"\xe9")
    assert problems == [f"1 byte is not valid UTF-8 and was replaced; first at byte {at}"]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_json_lines_with_a_byte_order_mark(tmp_path: Path, encoding: str) -> None:
    content = '{"text": "naïve"}\n{"text": "二"}\n'.encode(encoding)
    documents, problems = load_records(tmp_path, "a.jsonl", content)
    assert [document.text for document in documents] == ["naïve", "二"]
    assert problems == []


# CSV and TSV


def test_rows_become_documents_with_the_line_they_begin_on(tmp_path: Path) -> None:
    content = 'id,title,text,year\n1,T,"hello\nworld",2001\n\n2,,"a ""b""",2002\n'
    documents, problems = load_records(tmp_path, "a.csv", content)
    assert problems == []
    assert [document.text for document in documents] == ["T\n\nhello\nworld", 'a "b"']
    assert [document.first_line for document in documents] == [2, 5]
    assert [document.metadata for document in documents] == [{"year": "2001"}, {"year": "2002"}]


@pytest.mark.parametrize(("name", "delimiter"), [("a.csv", ";"), ("a.csv", "\t"), ("a.tsv", "\t")])
def test_other_delimiters(tmp_path: Path, name: str, delimiter: str) -> None:
    rows = [["id", "text"], ["x", "one, two"]]
    content = "\r\n".join(delimiter.join(row) for row in rows)
    ((document,), problems) = load_records(tmp_path, name, content)
    assert (document.document_id, document.text, problems) == ("x", "one, two", [])


def test_ragged_and_broken_rows_are_problems(tmp_path: Path) -> None:
    content = 'id,text\n1,a\n2\n3,b,c\n4,"x"y\n1,d\n5,e\n6,"never closed\n'
    documents, problems = load_records(tmp_path, "a.csv", content)
    assert [document.document_id for document in documents] == ["1", "5"]
    assert problems[:2] == [
        "line 3: 1 cells, but the header has 2",
        "line 4: 3 cells, but the header has 2",
    ]
    assert problems[2].startswith("line 5: the row cannot be read")
    assert problems[3] == "line 6: id '1' is already that of line 2"
    assert problems[4].startswith("line 8: the row cannot be read")


def test_a_header_without_the_text_is_one_error(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("part,price\n1,2\n3,4\n")
    with pytest.raises(LoadError, match="no field 'text'; there is: part, price") as caught:
        load_all(tmp_path / "a.csv")
    assert "--text-field" in caught.value.remedy
    (tmp_path / "b.csv").write_text("text,text\n1,2\n")
    with pytest.raises(LoadError, match="more than once"):
        load_all(tmp_path / "b.csv")


def test_a_spreadsheet_in_latin_1_and_a_huge_cell(tmp_path: Path) -> None:
    cell = "word " * 100_000
    content = f"text\ncafé\n{cell}\n".encode("latin-1")
    documents, _ = load_records(tmp_path, "a.csv", content)
    assert [document.text for document in documents] == ["café", cell]
