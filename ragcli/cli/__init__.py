"""The command ``ragcli``: its error boundary, where every way to end gets its exit code."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout

from ragcli.cli.environment import Environment
from ragcli.cli.exits import DONE, EXPECTED_ERROR, INTERRUPTED, OUR_BUG
from ragcli.errors import RagcliError

__all__ = ["Environment", "main"]


def main(arguments: Sequence[str] | None = None, environment: Environment | None = None) -> int:
    """Run ``ragcli`` with ``arguments`` (the process's own by default); return its exit code."""
    if environment is None:
        environment = Environment.from_process()
    try:
        code = _run(sys.argv[1:] if arguments is None else arguments, environment)
        # What the interpreter would flush after this function could fail where nobody catches it.
        environment.stdout.flush()
    except BrokenPipeError:
        environment.close_stdout()
        return DONE
    return code


def _run(arguments: Sequence[str], environment: Environment) -> int:
    # Typer prints help and completion scripts to sys.stdout: that is the environment's, too.
    try:
        with redirect_stdout(environment.stdout), redirect_stderr(environment.stderr):
            return _invoke(arguments, environment)
    except BrokenPipeError:
        raise
    except KeyboardInterrupt:
        environment.warn("interrupted")
        return INTERRUPTED
    except RagcliError as error:
        environment.warn(error.message, error.remedy)
        return error.exit_code
    # The one place that turns our bugs into an exit code.
    except Exception:  # noqa: BLE001
        environment.stderr.write(traceback.format_exc())
        environment.warn("this is a bug in ragcli", "please report it with the lines above")
        return OUR_BUG


def _invoke(arguments: Sequence[str], environment: Environment) -> int:
    import typer

    from ragcli.cli.app import PipeClosedError, command

    try:
        code = command().main(
            args=list(arguments), prog_name="ragcli", standalone_mode=False, obj=environment
        )
    except PipeClosedError as error:
        raise BrokenPipeError from error
    except typer.TyperException as error:
        context = getattr(error, "ctx", None)
        name = context.command_path if context else "ragcli"
        environment.warn(error.format_message(), f'try "{name} --help"')
        return EXPECTED_ERROR
    if code == INTERRUPTED:  # this is how Typer reports Ctrl-C
        raise KeyboardInterrupt
    return code if isinstance(code, int) else DONE
