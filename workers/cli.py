"""The command line: `ponte`. Each command imports what it needs when it is called, so that `--help` is instant.

Exit codes: 0 fine, 1 found something wrong, 2 usage or configuration.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from workers import cli_config, cli_journal, cli_own
from workers.cli_journal import AsJson, ConfigPath

app = typer.Typer(
    name="ponte",
    help="The bridge between a CRM and an ERP: run it, see that it is well, and find out where an order is.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Kinds = Annotated[list[str] | None, typer.Argument(help="`products`, `customers`; without it, both.")]
Pair = Annotated[
    str,
    typer.Option(
        "--pair",
        help="The sandbox's systems: `ploomes-tryton` (unless named), `ploomes-omie` (two twins), `real` (a real BottleCRM).",
    ),
]
OneBridge = Annotated[str, typer.Option("--bridge", help="Only this bridge.")]
Beyond = Annotated[
    list[str] | None,
    typer.Option(
        "--beyond", help="Go past this ceiling: `creates`, `archives`, `price_changes_percent`. Several times for several."
    ),
]


@app.command()
def run(
    config: ConfigPath = None,
    sandbox: Annotated[bool, typer.Option("--sandbox", help="Run against the sandbox: a CRM's twin and a real ERP.")] = False,
    pair: Pair = "",
    real: Annotated[bool, typer.Option("--real", help="Short for `--pair real`.")] = False,
) -> None:
    """Run the whole fleet, and restart what dies, until Ctrl-C."""
    from workers.commands import run as command

    raise typer.Exit(command.run(config, sandbox=_pair(pair, real) if sandbox or pair or real else ""))


@app.command()
def demo(
    home: Annotated[Path, typer.Option("--home", help="Where it plays. An earlier demo there is removed.")] = Path("var/demo"),
    pair: Pair = "",
    real: Annotated[bool, typer.Option("--real", help="Short for `--pair real`.")] = False,
) -> None:
    """Run the fleet against the sandbox, play the cases, check both systems, and report."""
    from sandbox.demo import main as play

    raise typer.Exit(play(home, pair=_pair(pair, real)))


def _pair(named: str, real: bool) -> str:
    return named or ("real" if real else "ploomes-tryton")


@app.command()
def doctor(
    config: ConfigPath = None,
    as_json: AsJson = False,
    fix: Annotated[bool, typer.Option("--fix", help="Migrate the journal and register missing webhooks.")] = False,
) -> None:
    """Check the ground, both ends and the fleet. Exit 1 when anything is unsafe or broken; each finding names its cure."""
    from workers.commands import doctor as command

    raise typer.Exit(command.run(config, as_json=as_json, fix=fix))


@app.command()
def fields(
    connection: Annotated[str, typer.Argument(help="A connection's name in ponte.toml.")],
    config: ConfigPath = None,
    as_json: AsJson = False,
) -> None:
    """What the account's fields are called, their types, and the options of their lists: for the mapping in ponte.toml."""
    from workers.commands import fields as command

    raise typer.Exit(command.run(config, connection, machine=as_json))


@app.command()
def explain(
    reference: Annotated[
        str, typer.Argument(help="A deal's id, an ERP order's id or number, or an event's id; `deal:5`, `order:5`.")
    ],
    config: ConfigPath = None,
    as_json: AsJson = False,
    calls: Annotated[bool, typer.Option("--calls", help="Every call, also those that only looked.")] = False,
    offline: Annotated[bool, typer.Option("--offline", help="Do not ask the CRM and the ERP how they stand now.")] = False,
) -> None:
    """The whole story of an order across both systems: what happened, who must act, and what happens next."""
    from workers.commands import explain as command

    raise typer.Exit(command.run(config, reference, as_json=as_json, live=not offline, calls=calls))


cli_journal.register(app)
cli_own.register(app)
cli_config.register(app)


@app.command()
def adopt(
    deal: Annotated[str, typer.Argument(help="The deal's id in the CRM.")],
    order: Annotated[str, typer.Argument(help="The ERP order's id to take over, or `none`: create a new one.")],
    config: ConfigPath = None,
    bridge: Annotated[str, typer.Option("--bridge", help="Needed only when there are several.")] = "",
) -> None:
    """Answer the question whether an order typed by hand in the ERP is this deal's."""
    from workers.commands import adopt as command

    raise typer.Exit(command.run(config, deal, order, bridge=bridge))


@app.command()
def plan(
    kinds: Kinds = None,
    config: ConfigPath = None,
    bridge: OneBridge = "",
    as_json: AsJson = False,
    everything: Annotated[bool, typer.Option("--all", help="Show every thing, not only the first of each sort.")] = False,
) -> None:
    """What would change in customers and products, what that calls and how long it takes. Writes nothing anywhere."""
    from workers.commands import plan as command

    raise typer.Exit(command.run(config, kinds or [], bridge=bridge, machine=as_json, everything=everything))


@app.command()
def apply(
    what: Annotated[str, typer.Argument(help="A plan's id, or `products` or `customers`: planned now.")],
    config: ConfigPath = None,
    bridge: OneBridge = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    beyond: Beyond = None,
    as_json: AsJson = False,
) -> None:
    """Do what was planned. What moved since is planned anew, and said. Stopped, the same plan goes on where it was."""
    from workers.commands import apply as command

    raise typer.Exit(command.run(config, what, bridge=bridge, yes=yes, beyond=beyond or [], machine=as_json))


@app.command()
def reconcile(
    kinds: Kinds = None,
    config: ConfigPath = None,
    bridge: OneBridge = "",
    repair: Annotated[bool, typer.Option("--repair", help="Put right what needs no person.")] = False,
    beyond: Beyond = None,
    as_json: AsJson = False,
) -> None:
    """Where customers and products of both sides drifted apart, by cause. Exit 1 when they did and were not repaired."""
    from workers.commands import reconcile as command

    raise typer.Exit(command.run(config, kinds or [], bridge=bridge, repair=repair, beyond=beyond or [], machine=as_json))


@app.command()
def backfill(
    kinds: Kinds = None, config: ConfigPath = None, bridge: OneBridge = "", beyond: Beyond = None, as_json: AsJson = False
) -> None:
    """The first load of customers and products, beside the orders. Ctrl-C is safe: called again, it goes on there."""
    from workers.commands import backfill as command

    raise typer.Exit(command.run(config, kinds or [], bridge=bridge, beyond=beyond or [], machine=as_json))


@app.command()
def reviews(config: ConfigPath = None, as_json: AsJson = False) -> None:
    """Customers and products that wait for a person's word, with the choices. Exit 1 when there are any."""
    from workers.commands import reviews as command

    raise typer.Exit(command.run(config, machine=as_json))


@app.command()
def review(
    number: Annotated[int, typer.Argument(help="As `ponte reviews` shows it.")],
    decision: Annotated[list[str], typer.Argument(help="`match CRM_ID`, `create`, `skip`; for a conflict `erp` or `crm`.")],
    config: ConfigPath = None,
) -> None:
    """Decide one of them; what waits for it goes on."""
    from workers.commands import reviews as command

    raise typer.Exit(command.decide(config, number, decision))


@app.command()
def bench(
    what: Annotated[
        str, typer.Argument(help="`master-data`: the first load and a 1 % change of it; `budgets`: a load beside orders, on twins.")
    ],
    products: Annotated[int, typer.Option("--products", min=0, help="0: 100,000 of master data, 5,000 of budgets.")] = 0,
    customers: Annotated[int, typer.Option("--customers", min=1)] = 50_000,
    orders: Annotated[int, typer.Option("--orders", min=1, help="Of budgets: alone, and as many beside the load.")] = 200,
    naive: Annotated[int, typer.Option("--naive", min=1, help="Records that the naive way is measured on.")] = 2_000,
    runs: Annotated[int, typer.Option("--runs", min=1)] = 3,
    as_json: AsJson = False,
) -> None:
    """Measure: how fast master data is, and whether a load leaves the orders their calls. Touches no bridge of yours."""
    from workers.commands import bench as command

    raise typer.Exit(
        command.run(what, products=products, customers=customers, orders=orders, naive=naive, runs=runs, machine=as_json)
    )


@app.command()
def chaos(
    cases: Annotated[int, typer.Option("--cases", min=1, help="Plays of people: orders, corrections, products, customers.")] = 200,
    seed: Annotated[int, typer.Option("--seed", min=0, help="What is drawn; 0: anew each time, and printed.")] = 0,
    erp: Annotated[str, typer.Option("--erp", help="`omie`: a twin with faults to order; `tryton`: a real ERP, slower.")] = "omie",
    journal: Annotated[str, typer.Option("--journal", help="`sqlite`, or an empty PostgreSQL's URL, or `env:NAME`.")] = "sqlite",
    seeds: Annotated[str, typer.Option("--seeds", help="Several, one after the other, such as 1,2,3.")] = "",
    calm: Annotated[bool, typer.Option("--calm", help="Without any fault: the same people, the same verdict.")] = False,
    fault: Annotated[list[str] | None, typer.Option("--fault", help="This fault and no other; may be repeated.")] = None,
    without: Annotated[
        list[str] | None, typer.Option("--without", help="Without this safeguard; may be repeated. `list` names all of them.")
    ] = None,
    prove: Annotated[bool, typer.Option("--prove", help="Show of each safeguard that its loss would be noticed.")] = False,
    only: Annotated[list[str] | None, typer.Option("--only", help="With --prove: this safeguard; may be repeated.")] = None,
    home: Annotated[Path, typer.Option("--home", help="Where it plays. An earlier chaos there is removed.")] = Path("var/chaos"),
    as_json: AsJson = False,
) -> None:
    """Kill, freeze, starve and lie to a whole fleet at work, then count every broken promise. Exit 1 when there is one."""
    from workers.commands import chaos as command

    if prove:
        raise typer.Exit(command.prove(home, only=only or (), seed=seed, machine=as_json))
    from sandbox.chaos.report import Options

    try:
        chosen = [int(each) for each in seeds.split(",")] if seeds else [seed] if seed else []
    except ValueError:
        raise typer.BadParameter("--seeds takes whole numbers with commas between them") from None
    options = Options(0, cases, erp, journal, storm=not calm, only=tuple(fault or ()), without=tuple(without or ()))
    raise typer.Exit(command.run(home, options, seeds=chosen, machine=as_json))


@app.command()
def conformance(
    adapter: Annotated[str, typer.Argument(help="An installed adapter, such as `omie`.")] = "",
    config: ConfigPath = None,
    connection: Annotated[str, typer.Option("--connection", help="Needed only where several are of this adapter.")] = "",
    writes: Annotated[
        bool, typer.Option("--writes", help="This system may be written to: orders, customers and notes are made there.")
    ] = False,
    samples: Annotated[Path | None, typer.Option("--samples", help="TOML: a customer, products and a term of that system.")] = None,
    subject: Annotated[str, typer.Option("--subject", help="MODULE:CLASS that plays the people of that system.")] = "",
    only: Annotated[list[str] | None, typer.Option("--only", help="Only this check. Several times for several.")] = None,
    list_: Annotated[bool, typer.Option("--list", help="The adapters; with one named, the checks of its role.")] = False,
    as_json: AsJson = False,
) -> None:
    """Check what an adapter promises against a live system, a sandbox or a twin. Exit 1 when a promise is broken."""
    from workers.commands import conformance as command

    if list_:
        raise typer.Exit(command.listed(adapter, machine=as_json))
    if not adapter:
        raise typer.BadParameter("name an adapter, or ask for --list")
    found = command.run(
        adapter, config, connection=connection, subject=subject, samples=samples, only=only or [], writes=writes, machine=as_json
    )
    raise typer.Exit(found)


@app.command("new-adapter")
def new_adapter(
    role: Annotated[str, typer.Argument(help="`crm` or `erp`.")],
    name: Annotated[str, typer.Argument(help="Of the system, in small letters: it names the package and the adapter.")],
    into: Annotated[Path, typer.Option("--into", help="Where its folder is made.")] = Path(),
) -> None:
    """Write a package of an adapter that passes the conformance kit on a twin of its own, to begin from."""
    from workers.commands import new_adapter as command

    raise typer.Exit(command.run(role, name, into))


@app.command()
def version() -> None:
    """Ponte's version."""
    from importlib.metadata import version as installed

    typer.echo(installed("ponte"))


def main() -> None:
    """The console script. A wrong configuration gives its problems and exit code 2, never a traceback."""
    from workers.config import ConfigError

    try:
        app()
    except ConfigError as error:
        typer.echo(f"{error.path}:", err=True)
        for problem in error.problems:
            typer.echo(f"  {problem}", err=True)
        raise SystemExit(2) from None


if __name__ == "__main__":
    main()
