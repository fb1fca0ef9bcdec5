"""`ponte texts`: what people are told, in whose words, and how it reads with a real order."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from events.catalogue import notice_thing
from events.model import Reason
from workers.bootstrap import Room
from workers.commands.common import console, emit, loaded, opened
from workers.config import Config, ConfigError, NoticeRules
from workers.own_texts import REASON, samples
from workers.texts import table, texts
from workers.texts.notice import compose

PARTS = {"notices": ("title", "body", "status"), "reasons": ("title", "text")}


@dataclass(frozen=True)
class Shown:
    """One text in force: its templates, and whose each part is (`ponte` or `company`)."""

    section: str
    name: str
    templates: Mapping[str, str]
    whose: Mapping[str, str]
    known: bool
    """It is a kind or a reason that ponte itself has."""


def run(path: Path | None, name: str = "", *, bridge: str = "", language: str = "", deal: str = "", machine: bool = False) -> int:
    """2: there is no such text, or the deal was never told it."""
    room = opened(path) if deal else None
    config = room.config if room is not None else loaded(path)
    bridge = _bridge(config, bridge)
    rules = config.bridges[bridge].notices
    language = language or rules.language
    found = in_force(rules, language)
    if not name:
        return _listed(list(found.values()), language, machine=machine)
    out, text = console(), found.get(name)
    if text is None:
        near = difflib.get_close_matches(name, list(found), n=3, cutoff=0.5)
        out.print(
            f"there is no notice and no reason {name!r}; " + (f"did you mean {', '.join(near)}?" if near else "see `ponte texts`")
        )
        return 2
    values = _values(room, bridge, text, deal)
    if values is None:
        out.print(f"deal {deal} was never told {name}; without --deal it is shown with made-up values")
        return 2
    preview = _preview(text, values, rules, language)
    if machine:
        emit({"name": name, "language": language, "templates": text.templates, "whose": text.whose, "preview": preview})
        return 0
    for part, template in text.templates.items():
        out.print(f"{part} ({text.whose[part]}'s): {template}")
    out.print(f"\nit may use: {', '.join(sorted(samples()[0] if text.section == 'notices' else REASON))}")
    out.print(f"\nwith what deal {deal} was told:" if deal else "\nwith made-up values:")
    for part, written in preview.items():
        out.print(f"  {part}: {written}")
    return 0


def in_force(rules: NoticeRules, language: str) -> dict[str, Shown]:
    """Every notice and reason by name, those that only the company has too."""
    words = texts(language, rules.timezone, rules.texts)
    ours, found = table(words.language), dict[str, Shown]()
    for section, parts in PARTS.items():
        own: Mapping[str, Any] = getattr(words.own, section)
        unknown = ours["unknown_notice" if section == "notices" else "unknown_reason"]
        for name in sorted({*ours[section], *own}):
            base = ours[section].get(name, unknown)
            over = {part: said for part in parts if (said := getattr(own.get(name), part, None)) is not None}
            whose = {part: "company" if part in over else "ponte" for part in parts}
            found[name] = Shown(section, name, {part: over.get(part, base[part]) for part in parts}, whose, name in ours[section])
    return found


def _listed(found: list[Shown], language: str, *, machine: bool) -> int:
    if machine:
        emit({"language": language, "texts": [vars(each) for each in found]})
        return 0
    out = console()
    for section in PARTS:
        out.print(f"{section} in {language}", style="bold")
        for each in (one for one in found if one.section == section):
            own = [part for part, whose in each.whose.items() if whose == "company"]
            said = f"  the company's own: {', '.join(own)}" if own else ""
            out.print(f"  {each.name}{said}{'' if each.known else '  (ponte itself has no such reason: is it spelt right?)'}")
    out.print("how one of them reads: ponte texts NAME [--deal ID]")
    return 0


def _values(room: Room | None, bridge: str, text: Shown, deal: str) -> Mapping[str, Any] | None:
    """What the deal was last told in this notice, or with this reason in it. Made-up values where no deal is named."""
    if room is None:
        return {**samples()[0], "reasons": [REASON]} if text.section == "notices" else REASON
    for event, _row in reversed(room.journal.story(notice_thing(bridge, deal))):
        facts = event.payload.get("facts") or {}
        if text.section == "notices" and event.payload.get("kind") == text.name:
            return dict(facts)
        for reason in facts.get("reasons") or ():
            if text.section == "reasons" and reason["code"] == text.name:
                return dict(reason)
    return None


def _preview(text: Shown, values: Mapping[str, Any], rules: NoticeRules, language: str) -> dict[str, str]:
    if text.section == "notices":
        told = compose(text.name, values, language, rules.timezone, rules.texts)
        return {"title": told.title, "body": told.body, "status": told.status_label}
    words = texts(language, rules.timezone, rules.texts)
    reason = Reason.model_validate({**values, "code": text.name})
    return {"title": words.reason_title(reason.code), "text": words.reason(reason)}


def _bridge(config: Config, named: str) -> str:
    if named in config.bridges:
        return named
    if named or len(config.bridges) > 1:
        raise ConfigError(Path("--bridge"), [f"name one of {', '.join(sorted(config.bridges))}"])
    return next(iter(config.bridges))
