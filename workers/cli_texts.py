"""The command over what people are told."""

from __future__ import annotations

from typing import Annotated

import typer

from workers.cli_journal import AsJson, ConfigPath


def register(app: typer.Typer) -> None:
    app.command()(texts)


def texts(
    name: Annotated[str, typer.Argument(help="A notice or a reason, such as order_approved or credit_limit; none: all.")] = "",
    config: ConfigPath = None,
    deal: Annotated[str, typer.Option("--deal", help="Show it with what this deal was told.")] = "",
    language: Annotated[str, typer.Option("--language", help="Such as pt-BR or en; else the bridge's.")] = "",
    bridge: Annotated[str, typer.Option("--bridge", help="Needed only when there are several.")] = "",
    as_json: AsJson = False,
) -> None:
    """What people are told, in ponte's words or the company's own, and how it reads. Exit 2: there is no such text."""
    from workers.commands import texts as command

    raise typer.Exit(command.run(config, name, bridge=bridge, language=language, deal=deal, machine=as_json))
