"""Commands over the company's own words: what people are told, and what the CRM's words mean in the ERP."""

from __future__ import annotations

from typing import Annotated

import typer

from workers.cli_journal import AsJson, ConfigPath


def register(app: typer.Typer) -> None:
    for command in (texts, values, value):
        app.command()(command)


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


def values(config: ConfigPath = None, as_json: AsJson = False) -> None:
    """Words of the CRM that the ERP does not know and orders wait for, and what was said of others. Exit 1: some wait."""
    from workers.commands import values as command

    raise typer.Exit(command.listed(config, machine=as_json))


def value(
    list_: Annotated[str, typer.Argument(metavar="LIST", help="`payment_terms` or `units`.")],
    word: Annotated[str, typer.Argument(help="The CRM's word.")],
    erp: Annotated[str, typer.Argument(help="What the ERP calls it.")] = "",
    config: ConfigPath = None,
    bridge: Annotated[str, typer.Option("--bridge", help="Needed only when there are several.")] = "",
    forget: Annotated[bool, typer.Option("--forget", help="Take back what was said of this word.")] = False,
) -> None:
    """Say what a word of the CRM means in the ERP. All orders that waited for it go on."""
    from workers.commands import values as command

    raise typer.Exit(command.say(config, list_, word, erp, bridge=bridge, forget=forget))
