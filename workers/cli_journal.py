"""Commands over the journal: what is stuck, trying again, working again, mending, forgetting, keeping and moving."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

ConfigPath = Annotated[
    Path | None,
    typer.Option("--config", envvar="PONTE_CONFIG", help="Your ponte.toml. Without it: the sandbox's, if there is one."),
]
AsJson = Annotated[bool, typer.Option("--json", help="For machines: one JSON document on stdout.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done; change nothing.")]
Things = Annotated[
    list[str] | None,
    typer.Argument(
        help="Events by id or its first eight characters; an order as `order:main:17` or `deal 17`; a product's or customer's code."
    ),
]
Owner = Annotated[str, typer.Option("--owner", help="Only what this one must act on: operator, integrator, finance, ...")]
Bridge = Annotated[str, typer.Option("--bridge", help="Only this bridge.")]
Connection = Annotated[str, typer.Option("--connection", help="Only what was seen there, or waits for it.")]
Type = Annotated[str, typer.Option("--type", help="Only events of this type, such as DealWon.")]
Cause = Annotated[str, typer.Option("--cause", "--code", help="Only what has this cause or code.")]
Since = Annotated[str, typer.Option("--since", help="Journaled since then: 2026-11-24, 2026-11-24T10:30, 24h or 7d.")]
Until = Annotated[str, typer.Option("--until", help="Journaled before then.")]
EventId = Annotated[str, typer.Argument(help="An event's id, or its first eight characters.")]

event_app = typer.Typer(help="One event: see what it says, and mend it.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    for command in (errors, retry, replay, skip, archive, forget, migrate):
        app.command()(command)
    app.add_typer(event_app, name="event")


def errors(
    config: ConfigPath = None,
    owner: Owner = "",
    bridge: Bridge = "",
    connection: Connection = "",
    type: Type = "",
    cause: Cause = "",
    since: Since = "",
    as_json: AsJson = False,
) -> None:
    """What is stuck, by who must act and why. Exit 1 when a person must act."""
    from workers.commands import errors as command
    from workers.commands.asked import Filters

    raise typer.Exit(command.run(config, Filters(owner, bridge, connection, type, cause, since), as_json=as_json))


def retry(
    things: Things = None,
    config: ConfigPath = None,
    cause: Annotated[
        str, typer.Option("--cause", "--code", help="All with this cause or code; `connection:NAME` also lifts its halt.")
    ] = "",
    bridge: Bridge = "",
    connection: Connection = "",
    type: Type = "",
    owner: Owner = "",
    since: Since = "",
    until: Until = "",
    everything: Annotated[bool, typer.Option("--all", help="Everything that is stuck, but what waits for a ceiling.")] = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Try again, now, what is stuck. Safe while the fleet runs. Exit 1 when nothing of that is stuck."""
    from workers.commands import retry as command
    from workers.commands.asked import Filters

    filters = Filters(owner, bridge, connection, type, cause, since, until)
    raise typer.Exit(command.run(config, things or [], filters, everything=everything, dry_run=dry_run, as_json=as_json))


def replay(
    things: Things = None,
    config: ConfigPath = None,
    bridge: Bridge = "",
    connection: Connection = "",
    type: Type = "",
    since: Since = "",
    until: Until = "",
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Work settled events once more, from what both systems hold now. Nothing is created or told twice."""
    from workers.commands import replay as command
    from workers.commands.asked import Filters

    filters = Filters("", bridge, connection, type, "", since, until)
    raise typer.Exit(command.run(config, things or [], filters, dry_run=dry_run, as_json=as_json))


def skip(
    event: EventId,
    because: Annotated[str, typer.Option("--because", help="Why; it is kept.")] = "",
    config: ConfigPath = None,
    dry_run: DryRun = False,
) -> None:
    """End one event without working it; its line goes on. Kept with who said so, and why."""
    from workers.commands import skip as command

    raise typer.Exit(command.run(config, event, because, dry_run=dry_run))


def archive(
    before: Annotated[str, typer.Option("--before", help="What was settled before then: 2026-01-01, or 90d.")],
    to: Annotated[Path, typer.Option("--to", help="The file; JSON lines, packed if its name ends with .gz.")],
    config: ConfigPath = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Write what was settled long ago into a file, then out of the journal. Killed, it loses nothing: say it again."""
    from workers.commands import archive as command

    raise typer.Exit(command.run(config, before, to, dry_run=dry_run, as_json=as_json))


def forget(
    thing: Annotated[
        str, typer.Argument(help="customer:ID (the CRM's id), cpf:NUMBER, cnpj:NUMBER, an e-mail address; - reads it from stdin.")
    ],
    config: ConfigPath = None,
    bridge: Bridge = "",
    archives: Annotated[
        list[Path] | None, typer.Option("--archive", help="An archive outside of the home folder. Several times for several.")
    ] = None,
    dry_run: DryRun = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Erase what is kept of a person or customer, while the fleet stands still; ids and states stay. Exit 1 when it may not be."""
    from workers.commands import forget as command

    raise typer.Exit(command.run(config, thing, bridge=bridge, archives=archives or [], dry_run=dry_run, yes=yes, as_json=as_json))


def migrate(
    config: ConfigPath = None,
    to: Annotated[str, typer.Option("--to", help="Move it there: postgresql://..., sqlite:///FILE, or env:NAME, file:PATH.")] = "",
    whence: Annotated[str, typer.Option("--from", help="Move from there; without it, from the configured journal.")] = "",
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Bring the journal to the newest shape; with --to, move it while the fleet stands still, and prove that all of it came."""
    from workers.commands import migrate as command

    if not to:
        if whence or dry_run or as_json:
            raise typer.BadParameter("--from, --dry-run and --json belong to --to")
        raise typer.Exit(command.run(config))
    raise typer.Exit(command.move_to(config, to, whence, dry_run=dry_run, as_json=as_json))


@event_app.command()
def show(
    event: EventId,
    config: ConfigPath = None,
    full: Annotated[bool, typer.Option("--full", help="With what it says of people.")] = False,
    as_json: AsJson = False,
) -> None:
    """What an event says, how it fares, and what was done with it by hand."""
    from workers.commands import event as command

    raise typer.Exit(command.show(config, event, full=full, as_json=as_json))


@event_app.command()
def edit(
    event: EventId,
    config: ConfigPath = None,
    settings: Annotated[list[str] | None, typer.Option("--set", help="PATH=VALUE, such as record.fields.price=12.5.")] = None,
    file: Annotated[Path | None, typer.Option("--from", help="A JSON file with all that it should say.")] = None,
    because: Annotated[str, typer.Option("--because", help="Why; it is kept.")] = "",
    dry_run: DryRun = False,
) -> None:
    """Correct what an unsettled event says, and let it go on. What it said before is kept."""
    from workers.commands import event as command

    raise typer.Exit(command.edit(config, event, settings or [], file, because=because, dry_run=dry_run))
