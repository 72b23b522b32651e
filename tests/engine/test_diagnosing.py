"""Doctor with the real encoder: what it sees of the models, and what it makes anew."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from ragcli.encoder import minilm
from ragcli.engine import diagnosing
from ragcli.engine.diagnosing import diagnose, repair
from ragcli.engine.indexing import IndexReport, index_paths
from ragcli.engine.searching import Query, search
from ragcli.errors import IndexBusyError, IndexMissingError, ModelError
from ragcli.store import DAMAGED, NOTE, SOUND, Index, IndexFingerprint, locked

FIXTURES = Path(__file__).parents[1] / "store" / "fixtures"
CATALOGUE = "catalogue.sqlite"


def _update(folder: Path) -> IndexReport:
    return index_paths([folder], folder / ".ragcli", seen_from=folder)


@pytest.fixture
def folder(corpus: Path) -> Path:
    """The index of three documents."""
    _update(corpus)
    return corpus / ".ragcli"


def _spoil(folder: Path, statement: str) -> None:
    with closing(sqlite3.connect(folder / CATALOGUE, isolation_level=None)) as connection:
        connection.execute(statement)


def _states(folder: Path, *, with_models: bool = False) -> dict[str, str]:
    return {one.check: one.state for one in diagnose(folder, with_models=with_models)}


def _repaired(folder: Path, *, with_models: bool = True) -> list[str]:
    done: list[str] = []
    repair(folder, with_models=with_models, tell=done.append)
    return done


def test_all_is_well(folder: Path) -> None:
    states = _states(folder, with_models=True)
    assert set(states.values()) == {SOUND}
    assert list(states)[-3:] == ["encoder", "reader", "versions"]
    assert "encoder" not in _states(folder)


def test_repairing_a_sound_index_changes_nothing(folder: Path) -> None:
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    assert _repaired(folder) == []
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before


def test_what_was_lost_is_embedded_anew_from_the_stored_text(folder: Path) -> None:
    """Also when its file is gone."""
    query = [Query("how much holiday do I get?")]
    [before] = search(folder, query, k=3)
    _spoil(folder, "DELETE FROM passages WHERE text LIKE '%paid leave%'")
    (folder.parent / "docs" / "leave.md").unlink()
    assert _states(folder)["documents"] == DAMAGED
    assert _repaired(folder)[-2:] == [
        "embedded 1 document anew (1 passage)",
        "brought vectors.faiss in step",
    ]
    [after] = search(folder, query, k=3)
    assert [hit.stored.passage.text for hit in after.hits] == [
        hit.stored.passage.text for hit in before.hits
    ]
    assert [hit.score for hit in after.hits] == pytest.approx([hit.score for hit in before.hits])
    states = _states(folder)
    assert states.pop("files") == NOTE
    assert set(states.values()) == {SOUND}


def test_the_next_run_reads_a_mended_file_again_and_embeds_nothing(folder: Path) -> None:
    _spoil(folder, "UPDATE vectors SET vector = zeroblob(1536) WHERE passage_id = 1")
    _repaired(folder)
    report = _update(folder.parent)
    assert report.passages_embedded == 0
    assert set(_states(folder).values()) == {SOUND}


def test_without_models_documents_wait_and_are_found_by_the_next_run(folder: Path) -> None:
    _spoil(folder, "DELETE FROM vectors")
    done = _repaired(folder, with_models=False)
    assert "3 documents wait to be embedded anew" in done
    assert _states(folder)["documents"] == DAMAGED
    assert _update(folder.parent).passages_embedded == 3
    assert set(_states(folder).values()) == {SOUND}


def test_damaged_and_missing_vectors_are_derived_anew(folder: Path) -> None:
    file = folder / "vectors.faiss"
    sound = file.read_bytes()
    for content in (sound[:-1], sound[:50] + b"\xff" + sound[51:], b"", None):
        file.unlink(missing_ok=True)
        if content is not None:
            file.write_bytes(content)
        assert _repaired(folder)[-1] == "brought vectors.faiss in step"
        assert _states(folder)["vectors.faiss"] == SOUND
        assert file.read_bytes() == sound


def test_what_killed_runs_left_goes(folder: Path) -> None:
    (folder / "vectors.faiss.07.tmp").touch()
    (folder / "write.holder.json").write_text('{"pid": 7, "started": "yesterday"}')
    assert _states(folder)["lock"] == NOTE
    assert _repaired(folder) == ["removed 1 file that a killed run left"]
    states = _states(folder)
    assert (states["lock"], states.get("leftovers")) == (SOUND, None)


def test_an_older_index_is_told_and_brought_up_to_date(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(FIXTURES / "schema-4", tmp_path / "index"))
    [finding] = [one for one in diagnose(folder, with_models=False) if one.check == "catalogue"]
    assert (finding.state, "older ragcli" in finding.detail) == (NOTE, True)
    assert finding.remedy == 'run "ragcli doctor --repair" or "ragcli index PATH"'
    assert _repaired(folder)[0] == "brought the index up to date"
    states = _states(folder, with_models=True)
    assert set(states.values()) == {SOUND}


def test_no_second_writer_mends(folder: Path) -> None:
    with locked(folder), pytest.raises(IndexBusyError):
        repair(folder)


def test_where_there_is_no_index_none_is_made(tmp_path: Path) -> None:
    for use in (lambda: list(diagnose(tmp_path / "no")), lambda: repair(tmp_path / "no")):
        with pytest.raises(IndexMissingError):
            use()
    assert list(tmp_path.iterdir()) == []


# -- models ----------------------------------------------------------------------------------


def _made_by(folder: Path, **changes: object) -> None:
    """Say that the index was made by something else."""
    with Index.open(folder) as index:
        made_by = index.fingerprint
    values = {name: getattr(made_by, name) for name in IndexFingerprint.__slots__}
    changed = IndexFingerprint(**{**values, **changes})  # type: ignore[arg-type]
    _spoil(folder, f"UPDATE manifest SET fingerprint = '{changed.to_json()}'")


def test_an_encoder_that_has_changed_is_told(folder: Path) -> None:
    _made_by(folder, encoder_revision="0" * 64)
    assert _states(folder, with_models=True)["encoder"] == DAMAGED
    _spoil(folder, "DELETE FROM vectors WHERE passage_id = 1")
    assert any("has changed since" in done for done in _repaired(folder))
    assert _states(folder)["documents"] == DAMAGED


def test_an_encoder_that_cannot_be_loaded_is_told(folder: Path) -> None:
    _made_by(folder, encoder_name=str(folder / "no model"))
    [finding] = [one for one in diagnose(folder) if one.check == "encoder"]
    assert finding.state == DAMAGED
    assert "cannot load the encoder" in finding.detail


def test_passages_that_were_cut_in_another_way_are_noted(folder: Path) -> None:
    _made_by(folder, chunker_version=0)
    states = [one.state for one in diagnose(folder) if one.check == "encoder"]
    assert states == [SOUND, NOTE]


def test_weights_that_are_not_the_published_ones_are_told(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(minilm, "folder", lambda: tmp_path / "model")
    assert _states(folder, with_models=True)["encoder"] == DAMAGED
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model.safetensors").write_bytes(b"other weights")
    assert _states(folder, with_models=True)["encoder"] == DAMAGED


def test_a_reader_that_cannot_be_loaded_is_told(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def torn() -> None:
        raise ModelError("cannot read the reader weights")

    monkeypatch.setattr(diagnosing, "shipped_reader", torn)
    [finding] = [one for one in diagnose(folder) if one.check == "reader"]
    assert (finding.state, finding.remedy) == (DAMAGED, "install ragcli again")


def test_a_library_that_is_missing_is_told_before_anything_is_tried(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(diagnosing, "find_spec", lambda name: None if name == "faiss" else name)
    [finding] = diagnose(folder)
    assert (finding.check, finding.state) == ("versions", DAMAGED)
    assert finding.detail.startswith("faiss cannot be imported; ragcli ")
