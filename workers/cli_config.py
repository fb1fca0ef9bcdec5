"""Commands over the configuration: begin one, see what is in force and where it comes from, and what an upgrade changes."""

from __future__ import annotations

from typing import Annotated

import typer

from workers.cli_journal import AsJson, Bridge, ConfigPath

config_app = typer.Typer(help="The configuration: what is in force, and which file and line says so.", no_args_is_help=True)
mapping_app = typer.Typer(help="The mapping of a bridge: terms, owners, fields, units.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    app.add_typer(config_app, name="config")
    app.add_typer(mapping_app, name="mapping")


@config_app.command("show")
def show(
    key: Annotated[str, typer.Argument(help="A key, or a section: `bridges.main.orders`. Without it: all.")] = "",
    config: ConfigPath = None,
    as_json: AsJson = False,
) -> None:
    """Every value in force, with the file and line that says it. Secrets are never shown."""
    from workers.commands import config as command

    raise typer.Exit(command.show(config, key, as_json=as_json))


@mapping_app.command("show")
def show_mapping(
    thing: Annotated[str, typer.Argument(help="A part: `payment_terms`, `owners`, `customers`, `units`. Without it: all.")] = "",
    config: ConfigPath = None,
    bridge: Bridge = "",
    as_json: AsJson = False,
) -> None:
    """What one side's words mean on the other, and who owns which field, with the file and line that says so."""
    from workers.commands import config as command

    raise typer.Exit(command.show_mapping(config, thing, bridge=bridge, as_json=as_json))


@mapping_app.command("diff")
def diff(
    version: Annotated[int, typer.Argument(help="The mapping version that your layers were written for.")],
    config: ConfigPath = None,
    as_json: AsJson = False,
) -> None:
    """Which of ponte's defaults changed since then, beneath your layers."""
    from workers.commands import config as command

    raise typer.Exit(command.diff(config, version, as_json=as_json))
