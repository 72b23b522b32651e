"""``ragcli explain``: how the tokens of a text look at each other inside the encoder."""

from __future__ import annotations

from typing import Annotated

import typer

from ragcli.cli.environment import Environment
from ragcli.cli.options import AsJson
from ragcli.cli.page import HtmlFile, page_writer
from ragcli.errors import UsageError


def explain(
    context: typer.Context,
    *,
    text: Annotated[
        str, typer.Argument(metavar="TEXT", help="A sentence or a passage; - is stdin.")
    ],
    layer: Annotated[
        int | None,
        typer.Option(metavar="N", help="Only this layer, counted from 1. [default: mean of all]"),
    ] = None,
    head: Annotated[
        int | None,
        typer.Option(metavar="N", help="Only this head, counted from 1. [default: mean of all]"),
    ] = None,
    token: Annotated[
        str | None,
        typer.Option(
            metavar="WORD|N",
            help="Show the steps of attention for this word, or for the token of this number, in "
            "one layer and head. [default: the last layer, head 1]",
        ),
    ] = None,
    top: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="Links to show, or with --token the heaviest keys. [default: 10 links; all keys "
            "of a short text]",
        ),
    ] = None,
    special: Annotated[
        bool,
        typer.Option(
            "--special", help="Also links from and to [CLS] and [SEP], and of words to themselves."
        ),
    ] = False,
    as_json: AsJson = False,
    every_head: Annotated[
        bool, typer.Option("--all", help="With --json: the weights of every layer and head, too.")
    ] = False,
    html: HtmlFile = None,
) -> None:
    """Show how the words of a text look at each other inside the encoder.

    A map of the attention weights of the built-in encoder, and the strongest links in words. A word
    that is read in pieces gets the sum of what its pieces get, and gives the mean of what they
    give. With --token: how one token's query, the keys and the values become its output.
    """
    from ragcli.engine.batches import as_unicode
    from ragcli.engine.explaining import DEFAULT_TOP, ExplainOptions, explain_every_head
    from ragcli.engine.explaining import explain as explain_text
    from ragcli.render.explanation import explanation_json, write_explanation

    environment: Environment = context.obj
    if every_head and not as_json:
        raise UsageError("--all is for programs only", "add --json")
    wanted = None if token is None else as_unicode(token)
    options = ExplainOptions(layer, head, wanted, top or DEFAULT_TOP, special)
    with page_writer(environment, html) as write_page:
        explanation = explain_text(as_unicode(_read(environment, text)), options)
        if write_page is not None:
            from ragcli.render.explanation_page import explanation_page

            write_page(explanation_page(explanation, explain_every_head(explanation, options)))
    if as_json:
        environment.write_line(explanation_json(explanation, with_all=every_head))
    else:
        write_explanation(explanation, environment.console(), top=top)


def _read(environment: Environment, text: str) -> str:
    if text != "-":
        return text
    with environment.open_lines(text) as lines:
        return lines.read()
