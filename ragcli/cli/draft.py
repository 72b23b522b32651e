"""``ragcli eval init``: draft a file of questions to be filled in."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ragcli.cli.environment import Environment
from ragcli.cli.options import IndexFolder, settings_of
from ragcli.errors import InputError, UsageError
from ragcli.render.drafts import draft_line


def draft(
    context: typer.Context,
    *,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="File to write; - is stdout.")
    ] = Path("questions.jsonl"),
    questions: Annotated[
        int, typer.Option("--questions", "-n", metavar="N", min=1, help="How many to draft.")
    ] = 20,
    seed: Annotated[int, typer.Option(metavar="N", help="Another seed draws other passages.")] = 0,
    index: IndexFolder = None,
    force: Annotated[
        bool, typer.Option("--force", help="Write the file also if it exists already.")
    ] = False,
) -> None:
    """Draft a file of questions about your documents, to be filled in.

    Draws passages from all over the index and writes a line for each: write a question that the
    passage answers between the quotes of "question": "", in the words in which you would ask it.
    As many as you like; lines left blank do not count. Then run eval retrieval and tune with it.
    """
    from ragcli.engine.drafting import draft_questions
    from ragcli.store import locate_index

    environment: Environment = context.obj
    cwd = environment.cwd
    target = None if str(file) == "-" else cwd / file
    if target is not None and not force and target.exists():
        raise UsageError(f"{file} exists already", "name another file, or add --force")
    settings = settings_of(environment, index=index)
    folder = locate_index(settings.index, cwd)
    drafts = draft_questions(folder, questions, seed=seed, named_from=cwd)
    lines = [f"{draft_line(one)}\n" for one in drafts]
    if target is None:
        environment.stdout.writelines(lines)
        return
    _write(target, "".join(lines), str(file), force=force)
    plural = "" if len(drafts) == 1 else "s"
    environment.write_line(f"{len(drafts)} question{plural} to fill in → {file}")
    environment.write_line(f"then: ragcli eval retrieval --queries {file}")
    if target.resolve().is_relative_to(folder.resolve().parent):
        environment.warn(f"before you index again, write {target.name} into .ragcliignore")


def _write(target: Path, text: str, shown: str, *, force: bool) -> None:
    try:
        with target.open("w" if force else "x", encoding="utf-8") as stream:
            stream.write(text)
    except OSError as error:
        raise InputError(f"{shown}: {error.strerror or error}") from error
