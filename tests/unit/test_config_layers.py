"""`extends`: what is in force comes from the uppermost layer that says it, and each value knows its file and line."""

from __future__ import annotations

import os
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from workers.config import Config, ConfigError, load, settings_of

COMPANY = """\
extends = ["../industry/distribution.toml"]

[connections.sales]
role = "crm"
adapter = "ploomes"
[connections.sales.settings]
url = "https://crm.example"
user_key = "file:secrets/user"
validation_key = "file:secrets/user"
returned_stage_id = 4

[connections.money]
role = "erp"
adapter = "omie"
settings = { app_key = "file:secrets/user", app_secret = "file:secrets/user", category = "1.01", current_account = 7 }

[bridges.main]
crm = "sales"
erp = "money"
start = 2026-01-01T00:00:00Z
[bridges.main.orders]
max_discount_percent = 15
payment_terms = { "30 DDL" = "30 dias" }
"""
INDUSTRY = """\
[bridges."*".orders]
max_discount_percent = 10
silence_hours = 12
payment_terms = { "30 DDL" = "A30", "60 DDL" = "A60" }
[bridges."*".customers]
skip = ["discount"]
"""


class Files:
    def __init__(self, root: Path) -> None:
        self.root = root
        self("company/ponte.toml", COMPANY)
        self("company/secrets/user", "a-long-enough-secret")
        self("industry/distribution.toml", INDUSTRY)

    def __call__(self, file: str, text: str) -> None:
        path = self.root / file
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text(text)

    def more(self, file: str, text: str) -> None:
        self(file, (self.root / file).read_text() + text)

    @property
    def path(self) -> Path:
        return self.root / "company" / "ponte.toml"

    def load(self) -> Config:
        return load(self.path)

    def problems(self) -> list[str]:
        with pytest.raises(ConfigError) as caught:
            self.load()
        return caught.value.problems


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def said_at(config: Config, *way: Any) -> str:
    place = config.stack.places[way]
    return f"{place.file.name}:{place.line}"


def test_tables_are_merged_key_by_key_and_scalars_and_lists_are_replaced(files: Files) -> None:
    files.more("company/ponte.toml", '[bridges.main.customers]\nskip = ["phone"]\n')
    config = files.load()
    rules = config.bridges["main"].orders
    assert (rules.max_discount_percent, rules.silence_hours, rules.held_up_minutes) == (Decimal(15), 12, 30)
    assert rules.payment_terms == {"30 DDL": "30 dias", "60 DDL": "A60"}
    assert config.bridges["main"].customers.skip == ("phone",)
    orders = ("bridges", "main", "orders")
    assert said_at(config, *orders, "max_discount_percent") == "ponte.toml:22"
    assert said_at(config, *orders, "silence_hours") == "distribution.toml:3"
    assert said_at(config, *orders, "payment_terms", "30 DDL") == "ponte.toml:23"
    assert said_at(config, *orders, "payment_terms", "60 DDL") == "distribution.toml:4"
    assert said_at(config, "bridges", "main", "customers", "skip", 0) == "ponte.toml:25"


def test_a_later_layer_lies_above_an_earlier_one_and_a_shared_one_below_both(files: Files) -> None:
    files("company/ponte.toml", COMPANY.replace('["../industry/distribution.toml"]', '["../a/a.toml", "../b/b.toml"]'))
    files("a/a.toml", 'extends = ["../c.toml"]\n[bridges.main.orders]\nsilence_hours = 2\nadopt_days = 2')
    files("b/b.toml", 'extends = ["../c.toml"]\n[bridges.main.orders]\nadopt_days = 3')
    files("c.toml", "[bridges.main.orders]\nsilence_hours = 1\nadopt_days = 1\ntask_due_hours = 1")
    rules = files.load().bridges["main"].orders
    assert (rules.silence_hours, rules.adopt_days, rules.task_due_hours) == (2, 3, 1)


def test_a_name_beats_an_adapter_an_adapter_a_role_and_a_role_all(files: Files) -> None:
    files(
        "industry/distribution.toml",
        """
        [connections.money]
        bulk_share = 0.1
        [connections."*:omie"]
        bulk_share = 0.2
        poll_seconds = 2
        [connections."*:erp"]
        bulk_share = 0.3
        poll_seconds = 3
        webhooks = false
        [connections."*"]
        bulk_share = 0.4
        poll_seconds = 4
        webhooks = true
        poll = false
        """,
    )
    config = files.load()
    money, sales = config.connections["money"], config.connections["sales"]
    assert (money.bulk_share, money.poll_seconds, money.webhooks, money.poll) == (0.1, 2, False, False)
    assert (sales.bulk_share, sales.poll_seconds, sales.webhooks, sales.poll) == (0.4, 4, True, False)


def test_the_companys_word_for_every_bridge_lies_above_the_layers_and_beneath_its_own_bridge(files: Files) -> None:
    files.more("company/ponte.toml", '[bridges."*".orders]\nmax_discount_percent = 11\nsilence_hours = 13\n')
    rules = files.load().bridges["main"].orders
    assert (rules.max_discount_percent, rules.silence_hours) == (Decimal(15), 13)


def test_paths_of_a_layer_start_from_its_own_folder(files: Files) -> None:
    files.more(
        "industry/distribution.toml", '[connections."*:omie".settings]\nwebhook_key = "file:keys/webhook"\n[ponte]\nhome = "h"'
    )
    files("industry/keys/webhook", "from the layer's folder")
    config = files.load()
    assert getattr(settings_of(config, "money"), "webhook_key") == "from the layer's folder"  # noqa: B009
    assert config.home == files.root / "industry" / "h"


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("company/ponte.toml", 'extends = ["none.toml"]\n', "ponte.toml:1: extends[0]: none.toml cannot be read: No such file"),
        ("company/ponte.toml", 'extends = [".."]\n', "ponte.toml:1: extends[0]: .. cannot be read: Is a directory"),
        ("company/ponte.toml", 'extends = "x"\n', "ponte.toml:1: extends: should be a list of files"),
        ("company/ponte.toml", 'extends = ["a\\u0000b"]\n', "ponte.toml:1: extends[0]: is no path"),
        ("company/ponte.toml", 'extends = ["ponte.toml"]\n', "leads back to itself (ponte.toml -> ponte.toml)"),
        (
            "industry/distribution.toml",
            '\nextends = ["../company/ponte.toml"]',
            "../industry/distribution.toml:2: extends[0]: leads back to itself (ponte.toml -> distribution.toml -> ponte.toml)",
        ),
        ("industry/distribution.toml", "a = \n", "../industry/distribution.toml:1: a: not valid TOML: Invalid value"),
        (
            "industry/distribution.toml",
            '[bridges."*".orders]\nsilence_hours = 1\n\n[ponte]\nhome = "x"\nhome = "y"\n',
            "../industry/distribution.toml:6: ponte.home: not valid TOML: Cannot overwrite a value; it is there twice",
        ),
        ("industry/distribution.toml", "base = 1", "../industry/distribution.toml:1: base: is ponte's own"),
        (
            "industry/distribution.toml",
            "written_for = 0",
            "../industry/distribution.toml:1: written_for: should be a mapping version",
        ),
        (
            "industry/distribution.toml",
            '[bridges."*".orders]\nsilence_hour = 3',
            '../industry/distribution.toml:2: bridges."*".orders.silence_hour: is no setting here; '
            "check its spelling: did you mean `silence_hours`",
        ),
        (
            "industry/distribution.toml",
            '[connections."*:omei"]\npoll = true',
            '../industry/distribution.toml:1: connections."*:omei": speaks to no connection; check its spelling: '
            "did you mean `omie`?",
        ),
        (
            "industry/distribution.toml",
            '[bridges."*:erp"]\n',
            '../industry/distribution.toml:1: bridges."*:erp": speaks to no bridge',
        ),
        (
            "industry/distribution.toml",
            '[connections."*"]\nsettings.app_secret = "K-123456"\n[connections.money.settings]\napp_key = "K-12345678"',
            "../industry/distribution.toml:4: connections.money.settings.app_key: is a secret, and a layer spells it out",
        ),
        (
            "industry/distribution.toml",
            '[ponte]\nbroker = "redis://:K-12345678@127.0.0.1:1/0"',
            "../industry/distribution.toml:2: ponte.broker: is a secret, and a layer spells it out",
        ),
        (
            "industry/distribution.toml",
            '[bridges."*".notices]\nchannels = [\n"slack://K-12345678"]',
            '../industry/distribution.toml:3: bridges."*".notices.channels[0]: is a secret, and a layer spells it out',
        ),
    ],
)
def test_what_is_wrong_in_a_layer_is_named_by_its_file_line_and_key(files: Files, file: str, text: str, said: str) -> None:
    rest = (files.root / file).read_text().partition("\n")[2] if file.startswith("company") else ""
    if "K-" in text:
        company = COMPANY.replace('app_key = "file:secrets/user", app_secret = "file:secrets/user", ', "")
        files("company/ponte.toml", company)
    files(file, text + rest)
    found = files.problems()
    assert [each for each in found if said in each] != [], found
    assert all("K-1" not in each for each in found)


def test_a_missing_key_is_missed_where_its_table_stands(files: Files) -> None:
    files("company/ponte.toml", COMPANY.replace("start = 2026-01-01T00:00:00Z\n", ""))
    assert files.problems() == ["ponte.toml:17: bridges.main.start: is missing; add it"]


def test_a_line_for_every_bridge_is_said_to_be_wrong_once(files: Files) -> None:
    more = COMPANY[COMPANY.index("[connections.sales]") : COMPANY.index("[connections.money]")].replace("sales", "sales2")
    files.more("company/ponte.toml", f'{more}\n[bridges.two]\ncrm = "sales2"\nerp = "money"\nstart = 2026-01-01T00:00:00Z\n')
    files.more("industry/distribution.toml", "sync = 3")
    (problem,) = files.problems()
    assert problem.startswith('../industry/distribution.toml:7: bridges."*".customers.sync: should be a valid boolean')


def test_an_adapters_settings_are_checked_with_the_same_sentences(files: Files) -> None:
    files.more(
        "industry/distribution.toml", '[connections."*:ploomes".settings.fields]\norder_statuss = "deal_1"\npayment_term = [3]\n'
    )
    with pytest.raises(ConfigError) as caught:
        settings_of(files.load(), "sales")
    assert caught.value.problems == [
        '../industry/distribution.toml:9: connections."*:ploomes".settings.fields.payment_term[0]: should be a valid string; '
        "write such a value, or leave it out for the default, nothing",
        '../industry/distribution.toml:8: connections."*:ploomes".settings.fields.order_statuss: is no setting here; '
        "check its spelling: did you mean `order_status`?",
    ]


def test_a_secret_that_is_not_there_is_named_by_the_line_that_refers_to_it(files: Files) -> None:
    (files.root / "company" / "secrets" / "user").unlink()
    with pytest.raises(ConfigError) as caught:
        settings_of(files.load(), "sales")
    assert caught.value.problems[0].startswith(
        "ponte.toml:8: connections.sales.settings.user_key: file:secrets/user: cannot be read"
    )


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_layer_that_may_not_be_read_is_named(files: Files) -> None:
    (files.root / "industry" / "distribution.toml").chmod(0)
    assert "distribution.toml cannot be read: Permission denied" in files.problems()[0]
