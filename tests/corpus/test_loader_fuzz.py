"""Damaged files of every format, made and judged by the program ``fuzz_loaders.py``."""

import importlib.util
import random
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

PROGRAM = Path(__file__).with_name("fuzz_loaders.py")
KINDS = "txt md rst html csv tsv jsonl json xml tex org ipynb eml pdf docx pptx xlsx epub".split()
KINDS += "txt.gz html.gz jsonl.gz zip tar tgz".split()


@pytest.fixture(scope="module")
def program() -> ModuleType:
    """The program as a module."""
    spec = importlib.util.spec_from_file_location("fuzz_loaders", PROGRAM)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["fuzz_loaders"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def seeds(program: ModuleType) -> dict[str, list[bytes]]:
    """Whole files of every format."""
    made: dict[str, list[bytes]] = program.make_seeds()
    assert list(made) == KINDS
    return made


@pytest.mark.parametrize("kind", KINDS)
def test_whole_files_are_read(
    tmp_path: Path, program: ModuleType, seeds: dict[str, list[bytes]], kind: str
) -> None:
    for seed in seeds[kind]:
        file = tmp_path / f"a.{kind}"
        file.write_bytes(seed)
        outcome = program.outcome_of(file)
        assert outcome["outcome"] == "read"
        assert outcome["documents"] >= 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_hundred_damaged_files_are_read_or_refused(
    tmp_path: Path, program: ModuleType, seeds: dict[str, list[bytes]], kind: str
) -> None:
    chance = random.Random(kind)
    outcomes: set[str] = set()
    for _ in range(100):
        file = tmp_path / f"a.{kind}"
        file.write_bytes(program.mutated(kind, seeds[kind], chance))
        found = program.outcome_of(file)
        assert found["outcome"] in {"read", "refused"}, found["told"]
        outcomes.add(found["outcome"])
    assert outcomes == {"read", "refused"}


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_the_program_finds_no_fault(tmp_path: Path, kind: str) -> None:
    arguments = ["--inputs", "300", "--seed", "5", "--format", kind, "--save", str(tmp_path)]
    finished = subprocess.run(
        [sys.executable, str(PROGRAM), *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    told = "\n".join(found.read_text("utf-8") for found in sorted(tmp_path.glob("*.told")))
    assert finished.returncode == 0, f"{finished.stdout}\n{finished.stderr}\n{told}"
