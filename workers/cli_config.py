"""Commands over the configuration: begin one, see what is in force and where it comes from, and what an upgrade changes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from workers.cli_journal import AsJson, Bridge, ConfigPath

config_app = typer.Typer(help="The configuration: what is in force, and which file and line says so.", no_args_is_help=True)
mapping_app = typer.Typer(help="The mapping of a bridge: terms, owners, fields, units.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    app.command()(init)
    app.add_typer(config_app, name="config")
    app.add_typer(mapping_app, name="mapping")


def init(
    folder: Annotated[Path, typer.Argument(help="Where ponte.toml, secrets/ and .gitignore are written.")] = Path(),
    crm: Annotated[str, typer.Option("--crm", help="The CRM's adapter, such as `ploomes`.")] = "",
    erp: Annotated[str, typer.Option("--erp", help="The ERP's adapter, such as `omie`.")] = "",
    crm_set: Annotated[
        list[str] | None, typer.Option("--crm-set", help="KEY=VALUE of the CRM's settings; may be repeated.")
    ] = None,
    erp_set: Annotated[
        list[str] | None, typer.Option("--erp-set", help="KEY=VALUE of the ERP's settings; may be repeated.")
    ] = None,
    bridge: Annotated[str, typer.Option("--bridge", help="The bridge's name: part of every order's key.")] = "main",
    yes: Annotated[bool, typer.Option("--yes", help="Ask nothing; what is not given is marked as missing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Begin a bridge: a commented ponte.toml, places for its secrets, and what is missing. Overwrites nothing."""
    from workers.commands import init as command

    adapters, given = {"crm": crm, "erp": erp}, {"crm": crm_set or [], "erp": erp_set or []}
    raise typer.Exit(command.run(folder, adapters, given, bridge=bridge, yes=yes, as_json=as_json))


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
