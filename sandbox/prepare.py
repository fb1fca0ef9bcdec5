"""Make the sandbox's `ponte.toml`: a bridge between a CRM and an ERP, with the secrets it names. Which ones, `PAIRS` says.

Safe twice: an existing sandbox keeps its data, its start line and its passwords; only what is missing is made.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from sandbox.bottlecrm import serve as bottlecrm
from sandbox.omie.catalogue import ACCOUNT, CATEGORY
from sandbox.ploomes import seed
from sandbox.tryton.serve import settle
from sandbox.twins.keys import secret

CrmName = Literal["ploomes", "bottlecrm"]
ErpName = Literal["tryton", "omie"]


@dataclass(frozen=True)
class Pair:
    crm: CrmName
    erp: ErpName
    folder: str
    """Its sandbox's, beside those of the others."""


PAIRS = {
    "ploomes-tryton": Pair("ploomes", "tryton", "sandbox"),
    "ploomes-omie": Pair("ploomes", "omie", "sandbox-ploomes-omie"),
    "real": Pair("bottlecrm", "tryton", "sandbox-real"),
}
"""By the word of `make run SANDBOX=...`: the twin of Ploomes and a real Tryton; two twins; a real BottleCRM and a real Tryton."""


class NoSuchPair(Exception):
    pass


def pair(name: str) -> Pair:
    """Raises `NoSuchPair` with the names that there are."""
    if name not in PAIRS:
        raise NoSuchPair(f"there is no pair {name!r} in the sandbox; there are {', '.join(PAIRS)}")
    return PAIRS[name]


DEAL_WORDS = ("order_status", "order_number", "order_reasons", "order_revision", "invoice_number")
DOCUMENT_WORDS = (
    *("payment_term", "purchase_order", "freight", "freight_paid_by", "carrier", "delivery_date", "purpose", "notes"),
    *(f"ship_to_{part}" for part in ("street", "number", "complement", "district", "city", "state", "postal_code")),
)
CUSTOMER_WORDS = (
    *("credit_limit", "credit_left", "overdue", "purchase_volume", "last_purchase", "discount", "price_list", "payment_term"),
    *("blocked", "orders", "figures_as_of", "credit_group"),
)
PRODUCT_WORDS = ("prices", "stock", "stock_as_of", "taxes", "sales_description")

TEMPLATE = """\
# The sandbox's bridge: {crm_words} and {erp_words}.
# Made by `ponte run --sandbox`; change what you like, it is not written again.

[ponte]
home = "."
broker_port = {broker_port}
gateway_port = {gateway_port}
flower_port = {flower_port}
order_workers = 1
lease_seconds = 20

{crm_section}
{erp_section}
[bridges.main]
crm = "{crm}"
erp = "{erp}"
# deals won before this never become orders
start = {start}

[bridges.main.orders]
max_discount_percent = 30
silence_hours = 48
# finance has this long to write why after cancelling
reason_grace_seconds = 6

[bridges.main.notices]
language = "pt-BR"
timezone = "America/Sao_Paulo"
fallback_user = "{fallback}"
"""

PLOOMES = """\
[connections.ploomes]
role = "crm"
adapter = "ploomes"
poll_seconds = {poll_seconds}
records_seconds = {records_seconds:g}

[connections.ploomes.settings]
url = "http://127.0.0.1:{crm_port}"
user_key = "file:secrets/ploomes-integration.key"
validation_key = "file:secrets/ploomes-validation.key"
# a vendor's minute passes in {minute_seconds} seconds here, for the twin's limit and for our budget alike
minute_seconds = {minute_seconds}
deadline = 8
total_deadline = 15
settles_after = 5
returned_stage_id = 20004

[connections.ploomes.settings.fields]
{fields}
"""

TRYTON = """\
[connections.tryton]
role = "erp"
adapter = "tryton"
poll_seconds = {poll_seconds}
records_seconds = {records_seconds:g}

[connections.tryton.settings]
url = "http://127.0.0.1:{erp_port}"
database = "erp"
user = "integration"
password = "file:secrets/tryton-integration.key"
deadline = 15
# its transactions are short
overlap = 30
"""

OMIE = """\
[connections.omie]
role = "erp"
adapter = "omie"
poll_seconds = {poll_seconds}
records_seconds = {records_seconds:g}

[connections.omie.settings]
url = "http://127.0.0.1:{erp_port}/api/v1/"
app_key = "file:secrets/omie-app-key.key"
app_secret = "file:secrets/omie-app-secret.key"
webhook_key = "file:secrets/omie-webhook.key"
category = "{category}"
current_account = {account}
# a vendor's minute passes in {minute_seconds} seconds here: for calls, and for the same call again
minute_seconds = {minute_seconds}
deadline = 8
total_deadline = 15
settles_after = {settles_after}
overlap = 10

# what the columns of this house's sales board mean
[connections.omie.settings.stages]
waiting = "10"
approved = ["20", "50"]
refused = ["30"]
shipped = ["70"]
"""

BOTTLECRM = """\
[connections.bottlecrm]
role = "crm"
adapter = "bottlecrm"
poll_seconds = {poll_seconds}
records_seconds = {records_seconds:g}

[connections.bottlecrm.settings]
url = "http://127.0.0.1:{crm_port}"
token = "file:secrets/bottlecrm-integration.key"
webhook_secret = "file:secrets/bottlecrm-webhook.key"
# the sandbox's BottleCRM bears our add-on
addon = true
returned_stage = "{returned_stage}"
deadline = 8
total_deadline = 15
settles_after = 5

[connections.bottlecrm.settings.fields]
purchase_order = "purchase_order"
freight = "freight"
freight_paid_by = "freight_paid_by"
carrier = "carrier"
delivery_date = "delivery_date"
purpose = "purpose"
complement = "complement"
district = "district"
state_registration = "state_registration"

[connections.bottlecrm.settings.fields.customer]
{customer}
"""


def prepare(
    home: Path,
    *,
    crm: CrmName = "ploomes",
    erp: ErpName = "tryton",
    crm_port: int = 8700,
    erp_port: int = 8069,
    broker_port: int = 6390,
    gateway_port: int = 8600,
    flower_port: int = 5555,
    minute_seconds: float = 6,
    poll_seconds: float = 3,
    records_seconds: float | None = None,
) -> Path:
    """The path of the sandbox's `ponte.toml`, made with its ERP and secrets if they are not there yet.

    The first call on a machine builds the real ERP's environment and database: about two minutes; the real CRM's, three more.
    Raises `sandbox.bottlecrm.prepare.PythonAbsent` where no Python can run the real CRM.
    """
    home.mkdir(parents=True, exist_ok=True)
    (home / "secrets").mkdir(mode=0o700, exist_ok=True)
    if erp == "tryton":
        _settle_tryton(home)
    else:
        for name in ("app-key", "app-secret", "webhook"):
            secret(home, f"omie-{name}")
    if crm == "bottlecrm":
        bottlecrm.settle(home)
    path = home / "ponte.toml"
    if not path.exists():
        values = {"crm_port": crm_port, "erp_port": erp_port, "poll_seconds": poll_seconds, "minute_seconds": minute_seconds}
        values["records_seconds"] = records_seconds or 2 * poll_seconds
        crm_words, crm_section, fallback = _bottlecrm(home, values) if crm == "bottlecrm" else _ploomes(values)
        erp_words, erp_section = _omie(values) if erp == "omie" else ("a real Tryton ERP", TRYTON.format(**values))
        path.write_text(
            TEMPLATE.format(
                crm_words=crm_words,
                erp_words=erp_words,
                crm=crm,
                erp=erp,
                crm_section=crm_section,
                erp_section=erp_section,
                fallback=fallback,
                broker_port=broker_port,
                gateway_port=gateway_port,
                flower_port=flower_port,
                start=datetime.now(UTC).isoformat(timespec="seconds"),
            ),
            encoding="utf-8",
        )
    return path


def _settle_tryton(home: Path) -> None:
    """Its database, and the passwords of those who work in it."""
    passwords = json.loads((settle(home) / "erp.json").read_text(encoding="utf-8"))["passwords"]
    for user in ("integration", "finance"):
        file = home / "secrets" / f"tryton-{user}.key"
        file.touch(mode=0o600)
        file.write_text(passwords[user], encoding="utf-8")


def _omie(values: Mapping[str, float]) -> tuple[str, str]:
    what = "a twin of the Omie ERP (another)"
    # an answer that was lost may be asked for again once the vendor's minute is over
    settles = values["minute_seconds"] + 2
    return what, OMIE.format(category=CATEGORY, account=ACCOUNT, settles_after=settles, **values)


def _ploomes(values: Mapping[str, float]) -> tuple[str, str, str]:
    what = "a twin of the Ploomes CRM (a simulation, made from what is known of its API)"
    return what, PLOOMES.format(fields=ploomes_fields(), **values), "10004"


def _bottlecrm(home: Path, values: Mapping[str, float]) -> tuple[str, str, str]:
    names = json.loads((home / "bottlecrm.json").read_text(encoding="utf-8"))
    customer = "\n".join(['code = "erp_code"', *(f'{word} = "{word}"' for word in CUSTOMER_WORDS if word != "blocked")])
    section = BOTTLECRM.format(returned_stage=names["returned_stage"], customer=customer, **values)
    return "a real BottleCRM", section, names["profiles"]["manager"]


def ploomes_fields() -> str:
    """The lines under `[connections.NAME.settings.fields]` for the twin's custom fields."""
    lines = [f'{word} = "{seed.key("deal", word)}"' for word in DEAL_WORDS]
    lines += [f'{word} = ["{seed.key("order", word)}", "{seed.key("quote", word)}"]' for word in DOCUMENT_WORDS]
    lines += [f'state_registration = "{seed.key("contact", "state_registration")}"']
    lines += ["", "[connections.ploomes.settings.fields.customer]", f'code = "{seed.key("contact", "erp_code")}"']
    lines += [f'{word} = "{seed.key("contact", word)}"' for word in CUSTOMER_WORDS]
    lines += ["", "[connections.ploomes.settings.fields.product]"]
    lines += [f'{word} = "{seed.key("product", word)}"' for word in PRODUCT_WORDS]
    return "\n".join(lines)
