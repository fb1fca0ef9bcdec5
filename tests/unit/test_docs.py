"""The documents say what the program is: links lead somewhere, commands and keys exist, examples load, proofs are tests."""

from __future__ import annotations

import importlib.util
import re
import tomllib
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import typer
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from adapters.crm.bottlecrm.settings import BottleFields, BottleSettings
from adapters.crm.ploomes.settings import PloomesFields, PloomesSettings
from adapters.erp.omie.settings import OmieSettings, Stages
from adapters.erp.tryton import TrytonSettings
from events.catalogue import EVENTS
from workers import config
from workers.cli import app
from workers.own_texts import NoticeText, OwnTexts, ReasonText
from workers.texts.notice import KINDS

ROOT = Path(__file__).parents[2]
READMES = (ROOT / "README.md", ROOT / "README.pt-BR.md")
PAGES = (*READMES, *sorted((ROOT / "docs").rglob("*.md")), ROOT / "sandbox" / "tryton" / "README.md")
EACH_PAGE = pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])

SECTIONS: dict[str, type[BaseModel]] = {
    "`[ponte]`": config.Home,
    "`[connections.NAME]`": config.Connection,
    "`[connections.NAME.settings]` of Ploomes": PloomesSettings,
    "`[connections.NAME.settings.fields]` of Ploomes": PloomesFields,
    "`[connections.NAME.settings]` of BottleCRM": BottleSettings,
    "`[connections.NAME.settings.fields]` of BottleCRM": BottleFields,
    "`[connections.NAME.settings]` of Tryton": TrytonSettings,
    "`[connections.NAME.settings]` of Omie": OmieSettings,
    "`[connections.NAME.settings.stages]` of Omie": Stages,
    "`[bridges.NAME]`": config.Bridge,
    "`[bridges.NAME.orders]`": config.OrderRules,
    "`[bridges.NAME.notices]`": config.NoticeRules,
    "`[bridges.NAME.notices.kinds.KIND]`": config.KindRules,
    "`[bridges.NAME.notices.texts.LANGUAGE]`": OwnTexts,
    "`[bridges.NAME.notices.texts.LANGUAGE.notices.KIND]`": NoticeText,
    "`[bridges.NAME.notices.texts.LANGUAGE.reasons.CODE]`": ReasonText,
    "`[bridges.NAME.customers]`, `[bridges.NAME.products]`": config.MasterDataRules,
    "`[bridges.NAME.customers.ceilings]`, `[bridges.NAME.products.ceilings]`": config.Ceilings,
}
"""Headings of docs/configuration.md, and what reads the keys below each."""
ADAPTERS: dict[str, type[BaseModel]] = {
    "ploomes": PloomesSettings,
    "bottlecrm": BottleSettings,
    "tryton": TrytonSettings,
    "omie": OmieSettings,
}


def text(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def prose(page: Path) -> str:
    """Without code blocks."""
    return re.sub(r"^```.*?^```$", "", text(page), flags=re.MULTILINE | re.DOTALL)


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text(page), flags=re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    """As forges make them of headings: small letters, words joined by hyphens, no punctuation."""
    headings = re.findall(r"^#+ (.+)$", prose(page), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def spoken(page: Path) -> Iterator[str]:
    """Everything that a reader may type: the lines of code blocks, and code in sentences."""
    for block in blocks(page, r"\w*"):
        yield from (line.partition("#")[0] for line in block.splitlines())
    yield from re.findall(r"`([^`\n]+)`", prose(page))


# --- links


@EACH_PAGE
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if target.startswith("https://"):
            continue
        file, _, anchor = target.partition("#")
        there = (page.parent / file).resolve() if file else page
        assert there.exists(), target
        assert there.is_relative_to(ROOT), target
        if anchor:
            assert anchor in anchors(there), target


def test_every_page_is_found_from_the_index() -> None:
    index = ROOT / "docs" / "index.md"
    linked = {(index.parent / target.partition("#")[0]).resolve() for target in re.findall(r"\]\(([^)]+)\)", text(index))}
    assert {page for page in PAGES if page not in READMES} - linked - {index} == set()


# --- commands


@EACH_PAGE
def test_every_command_exists_with_its_options(page: Path) -> None:
    commands: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    for said in spoken(page):
        if re.match(r"\s+(why|sentence) ", said):  # what a command answered, in words
            continue
        for name, rest in re.findall(r"(?:^|[ /])ponte ([a-z-]+)\b([^|;&]*)", said):
            assert name in commands, said
            command = commands[name]
            if nested := getattr(command, "commands", None):
                assert rest.split()[0] in nested, said
                command = nested[rest.split()[0]]
            options = {option for each in command.params for option in each.opts} | {"--help"}
            assert set(re.findall(r"(?<![\w-])--[a-z-]+", rest)) - options == set(), said


@EACH_PAGE
def test_every_make_target_and_module_exists(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", text(ROOT / "Makefile"), flags=re.MULTILINE))
    for said in spoken(page):
        for target in re.findall(r"(?:^|[ (])make ([a-z]+)", said):
            assert target in targets, said
        for module in re.findall(r"python3? -m ((?:sandbox|workers|adapters|events)[\w.]*)", said):
            assert importlib.util.find_spec(module) is not None, said


@pytest.mark.parametrize("page", READMES, ids=["en", "pt-BR"])
def test_the_readme_begins_with_the_two_commands(page: Path) -> None:
    (first, *_) = blocks(page, "")
    assert re.findall(r"^make \w+", first, flags=re.MULTILINE) == ["make run", "make test"]
    assert "make demo" in text(page)


def test_both_readmes_say_the_same_things() -> None:
    def shape(page: Path) -> list[str]:
        """Headings by depth, list items, table rows and links' targets, in their order; without words."""
        lines = re.findall(r"^(#+ |\* |\d+\. |\| )", prose(page), flags=re.MULTILINE)
        links = re.findall(r"\]\(([^)]+)\)", prose(page))
        return [*lines, *(link for link in links if not link.startswith("README"))]

    english, portuguese = READMES
    assert shape(english) == shape(portuguese)


def test_flowers_page_names_tasks_that_exist() -> None:
    named = set(re.findall(r"`([A-Z][a-z]+(?:[A-Z][a-z]+)+)`", text(ROOT / "docs" / "flower.md")))
    assert named - EVENTS.keys() - {"PollConnection", "PollRecords", "Drain"} == set()


def test_every_notice_is_explained() -> None:
    assert KINDS.keys() - set(re.findall(r"`(\w+)`", text(ROOT / "docs" / "notices.md"))) == set()


# --- configuration


def documented(heading: str) -> dict[str, str]:
    """Key -> what the second column says, of the tables below a heading of docs/configuration.md."""
    page = text(ROOT / "docs" / "configuration.md")
    assert f" {heading}\n" in page, heading
    below = re.split(r"^#+ ", page.partition(f" {heading}\n")[2], flags=re.MULTILINE)[0]
    rows = re.findall(r"^\| (`.*?`) \| (.*?) \|", below, flags=re.MULTILINE)
    return {key: second for keys, second in rows for key in re.findall(r"`(\w+)`", keys)}


def said(field: FieldInfo) -> str | None:
    """How a default stands in the documents; None for tables, which they describe in words."""
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, int | float | Decimal):
        return f"`{value:g}`"
    if isinstance(value, str):
        return f"`{value}`" if value else "empty"
    if isinstance(value, PloomesFields):
        return "none"
    if isinstance(value, BaseModel):
        return "defaults"
    return None if value else "none"


@pytest.mark.parametrize("heading", SECTIONS)
def test_every_key_is_documented_with_its_default(heading: str) -> None:
    rows = documented(heading)
    fields = SECTIONS[heading].model_fields
    assert rows.keys() == fields.keys()
    if SECTIONS[heading] is PloomesFields:
        return
    for key, field in fields.items():
        default = said(field)
        assert default in (None, rows[key]), key


def test_every_adapters_settings_are_documented() -> None:
    project = tomllib.loads(text(ROOT / "pyproject.toml"))["project"]["entry-points"]
    assert {name for group in ("ponte.crm", "ponte.erp") for name in project[group]} == ADAPTERS.keys()
    assert set(ADAPTERS.values()) <= set(SECTIONS.values())


def test_every_section_of_the_file_is_documented() -> None:
    def models(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
        yield model
        for field in model.model_fields.values():
            for found in (field.annotation, *getattr(field.annotation, "__args__", ())):
                if isinstance(found, type) and issubclass(found, BaseModel):
                    yield from models(found)

    assert set(models(config.Config)) - {config.Config} <= set(SECTIONS.values())


def test_the_example_of_a_bridge_is_accepted(tmp_path: Path) -> None:
    (example,) = blocks(ROOT / "docs" / "your-own-bridge.md", "toml")
    file = tmp_path / "ponte.toml"
    file.write_text(example, encoding="utf-8")
    for secret in re.findall(r'"file:(secrets/[\w-]+)"', example):
        (tmp_path / secret).parent.mkdir(exist_ok=True)
        (tmp_path / secret).write_text("a-made-up-secret", encoding="utf-8")
    loaded = config.load(file)
    PloomesSettings(**loaded.resolve(loaded.connections["ploomes"].settings))
    TrytonSettings(**loaded.resolve(loaded.connections["tryton"].settings))
    assert {loaded.secret(each) for each in loaded.bridges["main"].notices.channels} == {"a-made-up-secret"}


@EACH_PAGE
def test_every_piece_of_a_configuration_has_keys_that_exist(page: Path) -> None:
    for block in blocks(page, "toml"):
        piece = tomllib.loads(block)
        for name, connection in piece.get("connections", {}).items():
            assert "adapter" in connection or name.startswith("*"), name  # a part of a layer
            if "settings" in connection:
                settings = ADAPTERS[connection.get("adapter") or name.removeprefix("*:")]
                assert connection["settings"].keys() <= settings.model_fields.keys()
            assert connection.keys() <= config.Connection.model_fields.keys()
        for bridge in piece.get("bridges", {}).values():
            config.OrderRules(**bridge.get("orders", {}))
            config.NoticeRules(**bridge.get("notices", {}))


# --- promises


def test_every_proof_is_a_test() -> None:
    page = text(ROOT / "docs" / "promises.md")
    named = set(re.findall(r"`(test_\w+|Test\w+)`", page))
    source = "\n".join(text(file) for file in (ROOT / "tests").rglob("test_*.py"))
    there = set(re.findall(r"^\s*(?:async )?def (test_\w+)|^(Test\w+) =", source, flags=re.MULTILINE))
    assert len(named) > 50
    assert named - {name for pair in there for name in pair} == set()


# --- words


MARKETING = (
    "seamless",
    "powerful",
    "effortless",
    "blazing",
    "cutting-edge",
    "state of the art",
    "best-in-class",
    "world-class",
    "robust",
    "leverage",
    "revolutionary",
    "game-chang",
    "next-generation",
    "enterprise-grade",
    "poderos",
    "revolucion",
    "inovador",
    "solução completa",
    "alta performance",
)


@EACH_PAGE
def test_nothing_is_advertised(page: Path) -> None:
    said = text(page).lower()
    assert [word for word in MARKETING if word in said] == []
    assert "!" not in re.sub(r"`[^`]*`|!\[", "", prose(page)), "an exclamation mark"


@EACH_PAGE
def test_no_page_leads_to_the_writers_own_computer(page: Path) -> None:
    assert re.findall(r"(?:^|[\s`\"'(])(?:/home/|/root/|/tmp/|/Users/|C:\\)", text(page)) == []
