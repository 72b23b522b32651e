"""The Typer application: which commands there are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from ragcli import __version__
from ragcli.cli.ask import ask
from ragcli.cli.compact import compact
from ragcli.cli.doctor import doctor
from ragcli.cli.environment import Environment
from ragcli.cli.evaluate import evaluate
from ragcli.cli.explain import explain
from ragcli.cli.index import index
from ragcli.cli.listing import list_held
from ragcli.cli.merge import merge
from ragcli.cli.moving import export, import_
from ragcli.cli.overview import OVERVIEW
from ragcli.cli.remove import remove
from ragcli.cli.replay import replay
from ragcli.cli.search import search
from ragcli.cli.show import show
from ragcli.cli.status import status
from ragcli.cli.tune import tune
from ragcli.config import ENVIRONMENT_PREFIX, KEYS

EPILOG = (
    "Exit codes: 0 found or done, 1 nothing found or damage, 2 usage or expected error, 3 finished "
    "but some inputs failed, 70 a bug in ragcli, 130 interrupted. A setting is taken from its "
    "flag, else "
    f"from {', '.join(ENVIRONMENT_PREFIX + key.upper() for key in KEYS)}, else from "
    f"ragcli.toml in the current folder or above (keys: {', '.join(KEYS)}), else from what the "
    "index was tuned to."
)


class PipeClosedError(Exception):
    """Whoever read our output went away; Typer would make of it grep's "nothing found"."""


@contextmanager
def _naming_closed_pipes() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError as error:
        raise PipeClosedError from error


class Application(TyperGroup):
    """The group of all commands; a closed pipe leaves it as ``PipeClosedError``."""

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: Any = None,  # noqa: ANN401
        **extra: Any,  # noqa: ANN401
    ) -> Any:  # noqa: ANN401
        """Parse the arguments before the command; prints help and version."""
        with _naming_closed_pipes():
            return super().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401
        """Run the command."""
        with _naming_closed_pipes():
            return super().invoke(ctx)


app = typer.Typer(
    name="ragcli",
    cls=Application,
    help="Semantic search and attributed answers over your own documents, offline.",
    epilog=EPILOG,
    invoke_without_command=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

# A new command: write its module beside this one and register its function here.
app.command()(index)
app.command()(search)
app.command()(ask)
app.command()(explain)
app.command()(replay)
app.command()(status)
app.command("list")(list_held)
app.command()(show)
app.command()(remove)
app.command()(merge)
app.command()(doctor)
app.command()(compact)
app.command()(export)
app.command("import")(import_)
app.add_typer(evaluate, name="eval")
app.command()(tune)


def command() -> Application:
    """Return the application as a command that can be run or looked into."""
    group = typer.main.get_command(app)
    if not isinstance(group, Application):
        raise TypeError(f"{group!r} is no Application")
    return group


def _show_version(context: typer.Context, wanted: bool) -> None:
    if wanted:
        typer.echo(f"ragcli {__version__}")
        raise typer.Exit


@app.callback()
def start(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Semantic search and attributed answers over your own documents, offline."""
    if context.invoked_subcommand is None:
        environment: Environment = context.obj
        environment.stdout.write(OVERVIEW)
