"""Compressed files and archives: what is inside is loaded, what would do harm is named."""

import gzip
import io
import itertools
import struct
import tarfile
import tracemalloc
import warnings
import zipfile
from collections.abc import Iterable
from pathlib import Path

import pytest

from ragcli.corpus.loaders import (
    LOADERS,
    RecordFields,
    format_of,
    is_archive,
    load,
    may_hold_records,
)
from ragcli.corpus.problem import Problem
from ragcli.errors import LoadError
from ragcli.records import Document

MEMBERS = {
    "./notes/a.txt": b"plain words",
    "b.md": b"# Title\n\nwords",
    "c.jsonl": b'{"text": "one"}\n{bad\n{"id": "k", "text": "two"}\n',
    "d/e.TXT.GZ": gzip.compress(b"packed twice"),
    "img.png": b"\x89PNG",
    ".hidden/f.txt": b"no",
    "g.pdf": b"no pdf",
    "last.txt": b"the end",
}
READ = [
    ("notes/a.txt", "plain words"),
    ("b.md", "# Title\n\nwords"),
    ("c.jsonl#1", "one"),
    ("k", "two"),
    ("d/e.TXT.GZ", "packed twice"),
    ("last.txt", "the end"),
]


def make_zip(file: Path, members: Iterable[tuple[str, bytes]]) -> Path:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of names that are there twice
        for name, content in members:
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return file


def make_tar(file: Path, members: Iterable[tuple[str, bytes]]) -> Path:
    mode = "w" if file.suffix == ".tar" else "w:gz"
    with tarfile.open(file, mode) as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return file


def make_archive(file: Path, members: Iterable[tuple[str, bytes]]) -> Path:
    return (make_zip if file.suffix == ".zip" else make_tar)(file, members)


def read(file: Path) -> tuple[list[Document], list[str]]:
    """Documents, and reasons of problems."""
    found = list(load(file, file.name))
    assert all(result.path == file.name for result in found)
    documents = [result for result in found if isinstance(result, Document)]
    return documents, [result.reason for result in found if isinstance(result, Problem)]


@pytest.fixture(params=["a.zip", "a.tar", "a.tar.gz", "A.TGZ"])
def file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Where an archive of each kind is to be made."""
    return tmp_path / str(request.param)


# Names


@pytest.mark.parametrize("name", ["notes.TXT.gz", "a.b.md", "a.JSONL", "data.tsv.GZ", "x.pptx.gz"])
def test_a_name_tells_its_format(name: str) -> None:
    suffix = Path(name.lower().removesuffix(".gz")).suffix
    assert format_of(name) == LOADERS[suffix]
    assert not is_archive(name)


@pytest.mark.parametrize(
    "name", ["a", "a.", ".txt", ".gz", "a.gz", "a.txt.gz.gz", "a.png", "a.tar.gz", "a.txt~", ""]
)
def test_other_names_have_none(name: str) -> None:
    assert format_of(name) is None
    assert not may_hold_records(name) or is_archive(name)


def test_archives_and_files_of_records_are_told_by_name() -> None:
    assert [is_archive(n) for n in ("a.zip", "A.TAR", "a.tar.gz", "a.Tgz")] == [True] * 4
    assert [is_archive(n) for n in (".zip", ".tar.gz", "a.gz", "zip", "a.zip.txt")] == [False] * 5
    records = ("a.csv", "a.tsv.gz", "a.jsonl", "a.ndjson", "a.json", "a.zip")
    assert all(may_hold_records(name) for name in records)
    assert not any(may_hold_records(name) for name in ("a.txt", "a.pdf", "a.xml", "a"))


# Compressed files


@pytest.mark.parametrize(
    ("name", "content", "text"),
    [
        ("a.txt.gz", b"plain words", "plain words"),
        ("a.HTML.GZ", b"<h1>One</h1><p>two", "One\n\ntwo"),
        ("a.md.gz", b"", ""),
        ("a.tsv.gz", b"id\ttext\n1\ta, b\n", "a, b"),
        ("a.jsonl.gz", b'{"text": "record"}\n', "record"),
    ],
)
def test_a_compressed_file_is_read_as_what_it_is_inside(
    tmp_path: Path, name: str, content: bytes, text: str
) -> None:
    (tmp_path / name).write_bytes(gzip.compress(content))
    (document,) = load(tmp_path / name, "shown")
    assert isinstance(document, Document)
    assert (document.path, document.text) == ("shown", text)
    assert document.document_id in ("shown", "shown#1", "1")


@pytest.mark.parametrize("keep", [0, 5, 15, -12, -1])
def test_a_compressed_file_that_is_cut_short_is_refused(tmp_path: Path, keep: int) -> None:
    file = tmp_path / "a.txt.gz"
    file.write_bytes(gzip.compress(b"words " * 1000)[:keep])
    with pytest.raises(LoadError, match=r"damaged \(truncated\?\)|empty"):
        list(load(file, "a"))
    file.write_bytes(b"not compressed")
    with pytest.raises(LoadError, match="not compressed by gzip"):
        list(load(file, "a"))


def bomb(size: int) -> bytes:
    """Zeros, compressed a thousand times."""
    stream = io.BytesIO()
    with gzip.GzipFile(fileobj=stream, mode="wb") as packed:
        for _ in range(size >> 20):
            packed.write(bytes(1 << 20))
    return stream.getvalue()


def test_a_compressed_bomb_is_refused_and_takes_no_memory(tmp_path: Path) -> None:
    file = tmp_path / "a.txt.gz"
    file.write_bytes(bomb(80 << 20))
    tracemalloc.start()
    try:
        with pytest.raises(LoadError, match="unpacks to more than 67,108,864 bytes"):
            list(load(file, "a"))
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()


def test_what_unpacks_to_little_may_shrink_to_nothing(tmp_path: Path) -> None:
    file = tmp_path / "a.txt.gz"
    file.write_bytes(gzip.compress(b"\n" * (8 << 20)))
    (document,) = load(file, "a")
    assert isinstance(document, Document)
    assert len(document.text) == 8 << 20


# Archives


def test_every_supported_member_becomes_its_documents(file: Path) -> None:
    documents, problems = read(make_archive(file, MEMBERS.items()))
    expected = [(i if i == "k" else f"{file.name}/{i}", text) for i, text in READ]
    assert [(document.document_id, document.text) for document in documents] == expected
    members = ["notes/a.txt", "b.md", "c.jsonl", "c.jsonl", "d/e.TXT.GZ", "last.txt"]
    assert [document.metadata["member"] for document in documents] == members
    assert documents[1].headings[0].text == documents[1].title == "Title"
    assert len(problems) == 2
    assert problems[0].startswith("c.jsonl: line 2: not valid JSON")
    assert problems[1].startswith("g.pdf: damaged")


def test_record_fields_reach_the_members(file: Path) -> None:
    archive = make_archive(file, [("a.csv", b"key,body\n7,words\n")])
    (document,) = load(archive, "shown", RecordFields(id="key", text="body"))
    assert isinstance(document, Document)
    assert (document.document_id, document.text) == ("7", "words")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("../../outside.txt", "its name leads out of the archive"),
        ("/etc/passwd", "its name leads out of the archive"),
        ("a/../../b.txt", "its name leads out of the archive"),
        ("C:/windows/x.txt", "its name leads out of the archive"),
        ("inner.zip", "an archive inside an archive; unpack it first"),
        ("x/inner.tar.gz", "an archive inside an archive; unpack it first"),
        ("last.txt", "an earlier member has the same name"),
        ("bell\x07.txt", "its name has control characters"),
    ],
)
def test_a_name_that_would_do_harm_is_told_and_the_rest_goes_on(
    file: Path, name: str, reason: str
) -> None:
    members = [("last.txt", b"one"), (name, b"x"), ("other.txt", b"two")]
    documents, problems = read(make_archive(file, members))
    assert [document.text for document in documents] == ["one", "two"]
    assert problems == [f"{name}: {reason}".replace("\x07", "\\x07")]
    assert not (file.parent.parent / "outside.txt").exists()


def test_names_may_be_odd(file: Path) -> None:
    names = ["12:30 notes.txt", f"a.{'b' * 240}.txt", "é中👍.txt", "a b/c'd.txt", "noext.d/e.md"]
    documents, problems = read(make_archive(file, [(name, b"words") for name in names]))
    assert [document.metadata["member"] for document in documents] == names
    assert problems == []


def test_ids_are_unique_in_an_archive(file: Path) -> None:
    record = b'{"id": "same", "text": "%s"}\n'
    members = [("a.jsonl", record % b"one"), ("b.jsonl", record % b"two")]
    documents, problems = read(make_archive(file, members))
    assert [document.text for document in documents] == ["one"]
    assert problems == ["b.jsonl: id 'same' is already that of an earlier member"]


def test_a_bomb_among_the_members_is_told(file: Path) -> None:
    members = [("a.txt", b"one"), ("b.txt.gz", bomb(80 << 20)), ("c.txt", b"two")]
    documents, problems = read(make_archive(file, members))
    assert [document.text for document in documents] == ["one", "two"]
    assert problems == ["b.txt.gz: unpacks to more than 67,108,864 bytes"]


def test_links_and_devices_are_told(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for name, kind in (
            ("soft.txt", tarfile.SYMTYPE),
            ("hard.txt", tarfile.LNKTYPE),
            ("device.txt", tarfile.CHRTYPE),
            ("pipe.txt", tarfile.FIFOTYPE),
        ):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/passwd"
            archive.addfile(info)
    told = [
        "soft.txt: a link",
        "hard.txt: a link",
        "device.txt: not a file",
        "pipe.txt: not a file",
    ]
    assert read(tmp_path / "a.tar") == ([], told)
    link = zipfile.ZipInfo("link.txt")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as packed:
        packed.writestr(link, "/etc/passwd")
    assert read(tmp_path / "a.zip") == ([], ["link.txt: a link"])


def test_encrypted_and_oddly_compressed_members_are_told(tmp_path: Path) -> None:
    file = make_zip(tmp_path / "a.zip", [("secret.txt", b"x"), ("open.txt", b"words")])
    content = bytearray(file.read_bytes())
    content[6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    file.write_bytes(content)
    with zipfile.ZipFile(file, "a", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("odd.txt", b"x" * 100)
    documents, problems = read(file)
    assert [document.text for document in documents] == ["words"]
    assert problems == [
        "secret.txt: password-protected; unpack it first",
        "odd.txt: compressed in a way that is not read; unpack it first",
    ]


def test_a_name_that_windows_wrote_is_understood(tmp_path: Path) -> None:
    (document,), problems = read(make_zip(tmp_path / "a.zip", [("notes\\a.txt", b"words")]))
    assert (document.document_id, problems) == ("a.zip/notes/a.txt", [])


@pytest.mark.parametrize("cut", [1, 2, 3, 4])
def test_what_comes_before_the_damage_of_a_tar_is_read(tmp_path: Path, cut: int) -> None:
    members = [(f"{n}.txt", str(n).encode() * 600) for n in range(5)]
    file = make_tar(tmp_path / "a.tar", members)
    file.write_bytes(file.read_bytes()[: cut * 1536 + 700])
    documents, problems = read(file)
    assert [document.text[0] for document in documents] == [str(n) for n in range(cut)]
    assert f"{cut}.txt: damaged (truncated?)" in problems[0]
    assert problems[1].startswith(f"nothing after {cut}.txt is read: damaged")


def test_a_tar_that_ends_in_the_middle_is_no_whole_one(tmp_path: Path) -> None:
    file = make_tar(tmp_path / "a.tar", [("a.txt", b"one"), ("b.txt", b"two")])
    content = bytearray(file.read_bytes())
    content[1024:1100] = b"\xaa" * 76  # the second header
    file.write_bytes(content)
    documents, problems = read(file)
    assert [document.text for document in documents] == ["one"]
    assert problems == ["nothing after a.txt is read: damaged (truncated?), or not an archive"]


@pytest.mark.parametrize("content", [b"hello", b"PK\x03\x04" + bytes(40), b"\x1f\x8b" + b"x" * 9])
def test_what_is_no_archive_is_refused(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    with pytest.raises(LoadError, match=r"^damaged \(truncated\?\), or not an archive"):
        read(file)
    file.write_bytes(b"")
    with pytest.raises(LoadError, match="empty"):
        read(file)


def _header(name: bytes, size: bytes, kind: bytes) -> bytes:
    header = bytearray(tarfile.TarInfo("x").tobuf(tarfile.USTAR_FORMAT))
    header[: len(name)] = name
    header[124:136] = size
    header[156:157] = kind
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header)


def test_a_tar_that_leads_back_to_itself_ends(tmp_path: Path) -> None:
    back = b"\xff" * 10 + struct.pack(">h", -1024)  # a size below zero
    first = _header(b"a.txt", b"%011o\0" % 3, b"0") + b"one" + bytes(509)
    file = tmp_path / "a.tar"
    for kind in (b"0", b"x", b"L", b"g"):
        file.write_bytes(first + _header(b"b.txt", back, kind) + bytes(2048))
        documents, problems = read(file)
        assert [document.text for document in documents] == ["one"]
        assert problems[-1].startswith("nothing after ")


def test_a_header_of_a_tar_can_be_neither_huge_nor_slow(tmp_path: Path) -> None:
    first = _header(b"a.txt", b"%011o\0" % 3, b"0") + b"one" + bytes(509)
    size = 64 << 20
    file = tmp_path / "a.tgz"
    content = first + _header(b"b.txt", b"%011o\0" % size, b"x") + b"1" * size
    file.write_bytes(gzip.compress(content, 1))
    tracemalloc.start()
    try:
        documents, problems = read(file)
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()
    assert [document.text for document in documents] == ["one"]
    assert problems == ["nothing after a.txt is read: damaged (truncated?), or not an archive"]


def test_a_tar_that_grows_without_end_is_left(tmp_path: Path) -> None:
    first = _header(b"a.txt", b"%011o\0" % 3, b"0") + b"one" + bytes(509)
    skipped = _header(b"b.png", b"%011o\0" % (100 << 20), b"0")
    file = tmp_path / "a.tgz"
    file.write_bytes(gzip.compress(first + skipped) + bomb(100 << 20))
    documents, problems = read(file)
    assert [document.text for document in documents] == ["one"]
    assert problems == ["nothing after b.png is read: unpacks to more than 67,108,864 bytes"]


def test_headers_upon_headers_are_no_endless_recursion(tmp_path: Path) -> None:
    file = tmp_path / "a.tar"
    file.write_bytes(_header(b"l", b"%011o\0" % 0, b"L") * 5000)
    with pytest.raises(LoadError, match="damaged"):
        read(file)


def test_members_are_read_one_by_one(tmp_path: Path) -> None:
    members = ((f"{n}.txt", b"words") for n in range(50))
    results = load(make_zip(tmp_path / "a.zip", members), "a")
    assert len(list(itertools.islice(results, 3))) == 3
    results.close()  # type: ignore[attr-defined]
