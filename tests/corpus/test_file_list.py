"""Lists of files to read, as other programs print them."""

import io
import os
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragcli.corpus.file_list import read_file_list
from ragcli.corpus.walk import FoundFile, Problem, walk
from ragcli.errors import InputError


def listed(content: bytes, nul: bool = False) -> list[str]:
    return [str(path) for path in read_file_list(io.BytesIO(content), nul)]


def test_a_path_a_line() -> None:
    assert listed(b"a.md\n\n/b/c.md\r\n a b \n../d") == ["a.md", "/b/c.md", " a b ", "../d"]
    assert listed(b"\xef\xbb\xbfa.md\n") == ["a.md"]
    assert listed(b"") == listed(b"\n\n") == []


def test_a_path_before_each_nul() -> None:
    assert listed(b"a\nb.md\0\0c\r\0d", nul=True) == ["a\nb.md", "c\r", "d"]
    assert listed(b"", nul=True) == listed(b"\0", nul=True) == []


def test_a_list_with_nuls_that_is_read_by_lines_is_refused() -> None:
    with pytest.raises(InputError, match="line 2 of the list of files has a NUL byte") as refused:
        listed(b"a.md\nb.md\0c.md\0")
    assert "-0" in refused.value.remedy


path_bytes = st.binary(min_size=1).filter(lambda name: b"\0" not in name)


@given(st.lists(path_bytes))
def test_any_bytes_of_a_name_stay_as_they_are(names: list[bytes]) -> None:
    content = b"\0".join(names)
    assert list(read_file_list(io.BytesIO(content), True)) == [
        Path(os.fsdecode(name)) for name in names
    ]


@pytest.mark.skipif(sys.platform != "linux", reason="needs file names that are any bytes")
def test_a_walk_takes_a_listed_folder_as_a_root_and_tells_of_a_name_that_is_no_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/a.md").write_text("words")
    (tmp_path / os.fsdecode(b"caf\xe9.md")).write_text("words")
    monkeypatch.chdir(tmp_path)
    listing = read_file_list(io.BytesIO(b"docs\ncaf\xe9.md\ngone.md\n"), False)
    cafe, file, gone = walk(list(listing))
    assert isinstance(cafe, Problem)
    assert "not valid UTF-8" in cafe.reason
    assert isinstance(file, FoundFile)
    assert file.path == str(tmp_path / "docs/a.md")
    assert gone == Problem(str(tmp_path / "gone.md"), "no such file or folder")
