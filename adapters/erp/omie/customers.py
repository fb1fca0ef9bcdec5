"""Customers in Omie: one register with suppliers and carriers, a tax id in it once, codes of at most 20 characters."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from stdnum.br import cnpj, cpf

from adapters.erp.omie import terms
from adapters.erp.omie.client import Omie, Redundant, Row
from adapters.erp.omie.emptiness import Empty
from adapters.erp.omie.faults import Kind, Refused
from adapters.erp.omie.lists import PAGE, rows_of, sizes
from adapters.erp.omie.values import folded, normal, part, text, yes
from adapters.errors import Conflict, NotFound, Rejected, TryLater, UnknownOutcome
from events.model import Address, Customer, Reason, ReasonKind

SERVICE = "geral/clientes/"
CODE_LENGTH = 20
"""Of codigo_cliente_integracao (facts/OMIE, external ids; from memory)."""
BRAZIL = "1058"
TAG = "Cliente"
"""Of customers that we create."""
_FLAGS = ("exibir_caracteristicas", "exibir_obs")
_NO_NAMES = frozenset({"cliente", "teste"})
_CITY = re.compile(r"\s*\([A-Za-z]{2}\)\s*$")


def find(omie: Omie, tax_id: str = "", code: str = "") -> list[Customer]:
    found: dict[str, Row] = {}
    if wanted := normal(tax_id):
        # with or without punctuation: both are said to find, and asking both ways is the second look that absence needs
        for way in dict.fromkeys((wanted, _punctuated(wanted))):
            rows = _filtered(omie, {"cnpj_cpf": way})
            found |= {text(row, "codigo_cliente_omie"): row for row in rows if normal(text(row, "cnpj_cpf")) == wanted}
            if found:
                break
    if code:
        short = code_of(omie, code)
        rows = _filtered(omie, {"codigo_cliente_integracao": short})
        found |= {text(row, "codigo_cliente_omie"): row for row in rows if text(row, "codigo_cliente_integracao") == short}
    return [customer(omie, row) for row in found.values()]


def _filtered(omie: Omie, which: Row) -> list[Row]:
    """Nothing found counts only when the register shows others."""
    try:
        return rows_of(
            omie.read(SERVICE, "ListarClientes", sizes({"pagina": 1, "clientesFiltro": which}, flags=_FLAGS)), "clientes_cadastro"
        )
    except Empty:
        control(omie)
        return []


def control(omie: Omie) -> None:
    """As `readings.control`, for customers."""
    try:
        omie.read(SERVICE, "ListarClientes", sizes({"pagina": 1}, 1, flags=_FLAGS))
    except Empty:
        if not terms.stages(omie):
            raise TryLater("empty_answer", f"connection {omie.name} answers with empty lists", after=10) from None


def rows_by_id(omie: Omie, ids: Sequence[str]) -> list[Row]:
    """Those that exist. At most `PAGE` are asked for at once."""
    found: list[Row] = []
    known = [int(each) for each in dict.fromkeys(ids) if each.isdigit()]
    for start in range(0, len(known), PAGE // 2):
        chunk = [{"codigo_cliente_omie": each} for each in known[start : start + PAGE // 2]]
        try:
            answer = omie.read(
                SERVICE, "ListarClientes", sizes({"pagina": 1, "clientesPorCodigo": chunk}, len(chunk), flags=_FLAGS)
            )
            found += rows_of(answer, "clientes_cadastro")
        except Empty:
            control(omie)
    return found


def row_of(omie: Omie, customer_id: str) -> Row:
    """Raises `NotFound`, which Omie itself must say."""
    rows = rows_by_id(omie, [customer_id])
    if rows:
        return rows[0]
    if not customer_id.isdigit():
        raise NotFound("record_unknown", f"connection {omie.name}: not an id of this ERP")
    return omie.read(SERVICE, "ConsultarCliente", [{"codigo_cliente_omie": int(customer_id)}])


def create(omie: Omie, wanted: Customer, code: str) -> Customer:
    """Safe twice: the code is unique in Omie, and the one that bears it is returned. So is a tax id: one of the same tax id that
    came in between is found by the next attempt."""
    _check_tax_id(wanted)
    values = {"codigo_cliente_integracao": code_of(omie, code), **_values(wanted), **_names(wanted), "tags": [{"tag": TAG}]}
    try:
        answer = omie.write(SERVICE, "IncluirCliente", values)
    except Redundant as error:  # its twin may have succeeded
        if existing := find(omie, code=code):
            return existing[0]
        settles = max(omie.settings.settles_after, error.seconds)
        raise UnknownOutcome("redundant", error.sentence, settles_after=settles) from None
    except Refused as refusal:
        if refusal.fault.kind is Kind.DUPLICATE:
            if existing := find(omie, code=code):
                return existing[0]
            raise Conflict("changed_meanwhile", f"connection {omie.name}: this tax id was entered meanwhile", after=5) from None
        raise
    return customer(omie, row_of(omie, text(answer, "codigo_cliente_omie")))


def amend(omie: Omie, customer_id: str, wanted: Customer, fields: Sequence[str]) -> Customer:
    """Only what differs is sent. Omie has no lock: what somebody else writes into the same field at this moment is written over."""
    row = row_of(omie, customer_id)
    now = customer(omie, row)
    if "tax_id" in fields:
        _check_tax_id(wanted)
    values: Row = {}
    for field in fields:
        value = getattr(wanted, field)
        if not value or value == Address() or _same(field, value, getattr(now, field)):
            continue
        values |= _names(wanted) if field == "name" else {tag: each for tag, each in _values(wanted).items() if tag in _TAGS[field]}
    if not values:
        return now
    try:
        alter(omie, customer_id, values)
    except Redundant as error:
        raise TryLater("redundant", f"connection {omie.name}: {error.sentence}", after=max(1.0, error.seconds)) from None
    return customer(omie, row_of(omie, customer_id))


def alter(omie: Omie, customer_id: str, values: Mapping[str, Any]) -> None:
    """Done twice, it does no harm. Raises `Redundant` when this very change was sent within the minute."""
    omie.write(SERVICE, "AlterarCliente", {"codigo_cliente_omie": int(customer_id), **values})


def code_of(omie: Omie, code: str) -> str:
    """Our code as Omie can hold it: a longer one by a digest that never changes."""
    if len(code) <= CODE_LENGTH:
        return code
    prefix = omie.settings.customer_prefix
    digest = base64.b32encode(hashlib.sha256(code.encode()).digest()).decode()
    return (prefix + digest)[:CODE_LENGTH]


def no_name(name: str) -> bool:
    """Omie refuses names that name nobody."""
    return folded(name) in _NO_NAMES


# --- translation

_PLACE = ("endereco", "endereco_numero", "complemento", "bairro", "cidade", "estado", "cep", "codigo_pais")
_SAID = (
    *("codigo_cliente_integracao", "razao_social", "nome_fantasia", "cnpj_cpf", "inscricao_estadual", "email"),
    *("telefone1_ddd", "telefone1_numero", "inativo", "bloquear_faturamento", "valor_limite_credito", *_PLACE),
)
_TAGS: Mapping[str, frozenset[str]] = {
    "address": frozenset(_PLACE),
    "tax_id": frozenset({"cnpj_cpf"}),
    "state_registration": frozenset({"inscricao_estadual", "contribuinte"}),
    "email": frozenset({"email"}),
    "phone": frozenset({"telefone1_ddd", "telefone1_numero"}),
}


def customer(omie: Omie, row: Row) -> Customer:
    tax_id, code = normal(text(row, "cnpj_cpf")), text(part(row, "recomendacoes"), "numero_parcelas")
    return Customer(
        connection=omie.name,
        id=text(row, "codigo_cliente_omie"),
        name=text(row, "nome_fantasia") or text(row, "razao_social"),
        legal_name=text(row, "razao_social"),
        tax_id=tax_id,
        is_company=not yes(row, "pessoa_fisica") and len(tax_id) != 11,
        state_registration=text(row, "inscricao_estadual"),
        email=text(row, "email"),
        phone=phone(row),
        address=address(row),
        payment_term=terms.payment_terms(omie).get(code, code) if code else "",
        blocked=yes(row, "inativo") or yes(row, "bloquear_faturamento"),
        code=text(row, "codigo_cliente_integracao"),
        version=version_of(row),
    )


def version_of(row: Row) -> str:
    """A digest of what the customer says: Omie has no mark of its own, and lists show more or less of one."""
    said = [text(row, tag) for tag in _SAID] + [text(part(row, "recomendacoes"), "numero_parcelas")]
    said += [text(part(row, "info"), tag) for tag in ("dAlt", "hAlt")]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:16]


def address(row: Row) -> Address:
    """A city comes as `CITY (UF)` or as it was written."""
    country = text(row, "codigo_pais") or BRAZIL
    return Address(
        street=text(row, "endereco"),
        number=text(row, "endereco_numero"),
        complement=text(row, "complemento"),
        district=text(row, "bairro"),
        city=_CITY.sub("", text(row, "cidade")),
        state=text(row, "estado"),
        postal_code=normal(text(row, "cep")),
        country="BR" if country == BRAZIL else "",
    )


def phone(row: Row) -> str:
    area, local = text(row, "telefone1_ddd").lstrip("0"), text(row, "telefone1_numero")
    return f"+55 {area} {local}" if area and local else local


def phone_tags(value: str) -> Row:
    """`+55 11 5550-0101` and its likes; another country's stays whole."""
    digits = "".join(each for each in value if each.isdigit())
    if digits.startswith("55") and len(digits) in (12, 13):
        digits = digits[2:]
    if len(digits) in (10, 11) and not (value.strip().startswith("+") and not value.strip().startswith("+55")):
        local = digits[2:]
        return {"telefone1_ddd": digits[:2], "telefone1_numero": f"{local[:-4]}-{local[-4:]}"}
    return {"telefone1_ddd": "", "telefone1_numero": value.strip()}


def place_tags(place: Address) -> Row:
    return {
        "endereco": place.street,
        "endereco_numero": place.number,
        "complemento": place.complement,
        "bairro": place.district,
        "cidade": place.city,
        "estado": place.state,
        "cep": normal(place.postal_code),
        **({"codigo_pais": BRAZIL} if place.country == "BR" else {}),
    }


def _names(wanted: Customer) -> Row:
    name = wanted.name or wanted.legal_name
    return {"razao_social": (wanted.legal_name or name)[:60], "nome_fantasia": name[:100]}


def _check_tax_id(wanted: Customer) -> None:
    tax_id = normal(wanted.tax_id)
    if tax_id and not (cnpj.is_valid(tax_id) or cpf.is_valid(tax_id)):
        reason = Reason(kind=ReasonKind.TAX_DATA, code="customer_tax_id_invalid", field="customer.tax_id", found=wanted.tax_id)
        raise Rejected("customer_tax_id_invalid", (reason,))


def _values(wanted: Customer) -> Row:
    registration = wanted.state_registration
    return {
        "cnpj_cpf": normal(wanted.tax_id),
        "inscricao_estadual": registration,
        "contribuinte": "S" if registration and registration.upper() != "ISENTO" else "N",
        "email": wanted.email,
        **phone_tags(wanted.phone),
        **place_tags(wanted.address),
    }


def _punctuated(tax_id: str) -> str:
    if len(tax_id) == 14:
        return str(cnpj.format(tax_id))
    return str(cpf.format(tax_id)) if len(tax_id) == 11 else tax_id


def _same(field: str, wanted: Any, held: Any) -> bool:
    match field:
        case "tax_id":
            return normal(wanted) == normal(held)
        case "phone":
            return "".join(filter(str.isdigit, wanted))[-10:] == "".join(filter(str.isdigit, held))[-10:]
        case "address":
            return _folded_place(wanted) == _folded_place(held)
    return bool(wanted == held)


def _folded_place(place: Address) -> list[str]:
    """Omie writes cities its own way; the same place is no change."""
    return [folded(each) for each in (place.street, place.number, place.complement, place.district, place.city, place.state)] + [
        normal(place.postal_code)
    ]
