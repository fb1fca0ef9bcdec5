"""`ponte init`: a commented ponte.toml for two systems, with places for their secrets, and what is still missing.

What is asked, and what the comments say, the adapters declare themselves: the fields of their `Settings` that have no default, and
the strings below those. A field with `repr=False` is a secret: it gets a file of mode 600 in `secrets/`, and is named there.
"""

from __future__ import annotations

import datetime as dt
import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import typer
from pydantic import AwareDatetime, BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from workers.commands.common import console, emit
from workers.config import NAME, Bridge, ConfigError, Connection, Home, Problem, Way, adapter, load
from workers.config.adapters import described, installed, is_reference
from workers.config.listing import plain, toml
from workers.config.model import UNFILLED
from workers.config.problems import near, section_of, spelt
from workers.doctor import secrets

GITIGNORE = "# Secrets and the fleet's own files stay on this host.\nsecrets/\nvar/\n"


@dataclass
class Answers:
    """Of one end. `settings`: as text, by key; asked for where they are needed and not given."""

    role: str
    adapter: str
    settings: dict[str, str] = field(default_factory=dict)


class Refused(ConfigError):
    """Nothing was written."""


def run(folder: Path, adapters: Mapping[str, str], given: Mapping[str, list[str]], *, bridge: str, yes: bool, as_json: bool) -> int:
    """`adapters` and `given` by role; given: `KEY=VALUE` of that end's settings. With `yes` nothing is asked.

    Returns 1 while something is missing. Raises `Refused`; then nothing was written.
    """
    if not NAME.fullmatch(bridge):
        raise Refused(folder, [Problem("--bridge", f"{bridge!r} is no usable name", "use up to 40 letters, digits, - and _")])
    path = folder / "ponte.toml"
    if path.exists():
        raise Refused(folder, [Problem("ponte.toml", "is there already, and is not overwritten", "name another folder")])
    ends = [_answers(role, adapters[role], given[role], yes) for role in ("crm", "erp")]
    try:
        written = _write(folder, ends, bridge)
    except OSError as error:
        cure = "name a folder that you may write to"
        raise Refused(folder, [Problem("", f"cannot be written: {error.strerror}", cure)]) from None
    missing = _missing(path)
    if as_json:
        emit({"written": [str(each) for each in written], "missing": missing})
        return 1 if missing else 0
    out = console()
    for each in written:
        out.print(f"wrote {each}")
    if folder / ".gitignore" not in written:
        out.print(f"kept {folder / '.gitignore'}: see that it names secrets/ and var/")
    for said in missing:
        out.print(f"still missing: {said}")
    out.print(f"{'put these right, then' if missing else 'now'}: ponte doctor --config {path}")
    return 1 if missing else 0


# --- asking


def _answers(role: str, name: str, given: list[str], yes: bool) -> Answers:
    known = installed(role)
    while name not in known:
        if name or yes:
            cause = f"no {role} adapter {name!r} is installed" if name else "is missing"
            raise Refused(Path("init"), [Problem(f"--{role}", cause, near(name, known, else_="name one"))])
        name = str(typer.prompt(f"Which {role.upper()}? ({', '.join(known)})")).strip()
    model = adapter(role, name)[1]
    answers, about = Answers(role, name), described(model)
    for each in given:
        key, equals, value = each.partition("=")
        option = f"--{role}-set {key}"
        if not equals or key not in model.model_fields:
            cure = near(key, model.model_fields, else_="write KEY=VALUE")
            raise Refused(Path("init"), [Problem(option, f"is no KEY=VALUE of {name}'s settings", cure)])
        if wrong := _wrong(model.model_fields[key], value):
            raise Refused(Path("init"), [Problem(option, wrong, about.get(key, "write such a value").replace("\n", " "))])
        answers.settings[key] = value
    for key, info in model.model_fields.items():
        if not yes and key not in answers.settings and info.is_required():
            answers.settings[key] = _asked(answers, key, info, about.get(key, ""))
    return answers


def _asked(end: Answers, key: str, info: FieldInfo, about: str) -> str:
    """A secret itself is never asked for, only where it stands."""
    if about:
        typer.echo(about)
    while True:
        default = None if info.repr else _place(end, key)
        said = str(typer.prompt(f"{end.adapter}: {key}", default=default)).strip()
        wrong = _wrong(info, said)
        if not wrong:
            return said
        typer.echo(f"  {wrong}")


def _place(end: Answers, key: str) -> str:
    return f"file:secrets/{end.adapter}-{key.replace('_', '-')}"


def _wrong(info: FieldInfo, said: str) -> str:
    """Why this text is none of the field's values; empty: it is one."""
    if is_reference(said):
        return ""
    if not info.repr:
        return "is a secret: say where it stands, as env:NAME or file:PATH"
    try:
        TypeAdapter(info.rebuild_annotation()).validate_python(_read(info, said))
    except ValidationError as error:
        return str(error.errors()[0]["msg"]).replace("Input should", "should")
    return "" if said else "is empty"


def _read(info: FieldInfo, said: str) -> Any:
    """A text as its field wants it: as it is, or as TOML says it, such as `4` or `["a"]`."""
    if info.annotation in (str, Literal["crm", "erp"]) or is_reference(said):
        return said
    try:
        return tomllib.loads(f"value = {said}")["value"]
    except (tomllib.TOMLDecodeError, KeyError):
        return said


# --- writing


def _write(folder: Path, ends: list[Answers], bridge: str) -> list[Path]:
    """Every file anew; what is there already, a secret above all, stays as it is."""
    (folder / "secrets").mkdir(parents=True, exist_ok=True, mode=0o700)
    written: list[Path] = []

    def put(path: Path, text: str, mode: int) -> None:
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        except FileExistsError:
            return
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        written.append(path)

    for end in ends:
        for key in _secrets_of(end):
            place = end.settings.setdefault(key, _place(end, key))
            if place.startswith("file:secrets/") and "/" not in place.removeprefix("file:secrets/"):
                put(folder / place.removeprefix("file:"), UNFILLED + "\n", 0o600)
    put(folder / ".gitignore", GITIGNORE, 0o644)
    put(folder / "ponte.toml", text(ends, bridge), 0o644)
    return written


def _secrets_of(end: Answers) -> list[str]:
    fields = adapter(end.role, end.adapter)[1].model_fields
    return [key for key, info in fields.items() if not info.repr and info.is_required()]


def text(ends: list[Answers], bridge: str) -> str:
    """The commented ponte.toml. Keys that have a default stand there as comments with it."""
    crm, erp = (end.adapter for end in ends)
    names = (crm, erp) if crm != erp else (f"{crm}-crm", f"{erp}-erp")
    said = [
        "# ponte.toml: what is connected, and by which rules. Every key stands in docs/configuration.md.",
        "# A line that begins with # and a key is a default: take the # away to change it. Paths start from this file's folder.",
        "# Secrets never stand here: env:NAME reads an environment variable, file:PATH a file of mode 600.",
        "",
        '# extends = ["../industry/distribution.toml"]      # layers beneath this file; see docs/customising.md',
        "",
        "# Where the fleet lives.",
        *_section(("ponte",), Home, {}),
    ]
    for end, name in zip(ends, names, strict=True):
        said += ["", f"# One account of the {end.role.upper()}. The name is used in addresses and in the journal: choose it once."]
        said += _section(("connections", name), Connection, {"role": end.role, "adapter": end.adapter}, leave=("settings",))
        said += ["", *_section(("connections", name, "settings"), adapter(end.role, end.adapter)[1], end.settings)]
    start = (dt.datetime.now(dt.UTC) + dt.timedelta(days=30)).replace(hour=0, minute=0, second=0, microsecond=0)
    given = {"crm": names[0], "erp": names[1], "start": start.isoformat()}
    said += ["", "# Which CRM with which ERP, by which rules. The name becomes part of every order's key: choose it once."]
    said += ["# Its start lies ahead: until then nothing becomes an order, and you can look around."]
    said += _section(("bridges", bridge), Bridge, given)
    return "\n".join(said) + "\n"


def _section(
    way: Way, model: type[BaseModel], given: Mapping[str, str], leave: tuple[str, ...] = (), off: str = ""
) -> Iterator[str]:
    """A table: its keys, each under what it means, then its sections, off (as comments) where nothing was given for them."""
    about = described(model)
    inner = {key: section_of(info.annotation) for key, info in model.model_fields.items()}
    yield f"{off}[{spelt(way)}]"
    for key, info in model.model_fields.items():
        if key in leave or inner[key] is not None:
            continue
        yield from (f"# {line}" for line in about.get(key, "").splitlines())
        if key in given:
            value = given[key] if info.annotation is AwareDatetime else toml(_read(info, given[key]))
            yield f"{key} = {value}"
        elif info.is_required():
            yield f"# {key} =    # required: write it here"
        else:
            default = plain(info.get_default(call_default_factory=True))
            yield f"# {key} = {'   # none' if default is None else toml(default)}"
    for key, section in inner.items():
        if section is not None and key not in leave:
            yield from ("", *_section((*way, key), section, {}, off="# "))


# --- what is missing


def _missing(path: Path) -> list[str]:
    """As the doctor says it, without a call to anybody."""
    try:
        config = load(path)
    except ConfigError as error:
        return error.problems
    return [line for each in secrets(config) if not each.ok for line in each.sentence.split("\n")]
