"""Option lists of Ploomes: an option by its name or its external key, found through /Fields; what is none of them is named."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from adapters.crm.ploomes import PloomesCrm, PloomesSettings
from adapters.errors import NeedsPerson
from adapters.http import recording
from events.masterdata import Kind, Write
from tests.cli import Stage
from tests.contract.test_ploomes_records import AURORA, read, settings_for
from tests.ploomes import PloomesTwin, running_twin

CUSTOMER = Kind.CUSTOMER
TABLE = "Tabela de preços"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PloomesTwin]:
    with running_twin(tmp_path_factory.mktemp("ploomes"), "--calls", "1000000") as running:
        yield running


@pytest.fixture
def twin(shared: PloomesTwin) -> PloomesTwin:
    shared.reset()
    return shared


def listed(twin: PloomesTwin, *options: tuple[str, str], name: str = TABLE) -> tuple[str, int]:
    """A new custom field of contacts with an option list: its FieldKey, and the list's id. Options: name, external key."""
    table = int(twin.write("POST", "/Fields@OptionsTables", {"Name": TABLE})["Id"])
    for option, key in options:
        add(twin, table, option, key)
    types = {row["Name"]: row["Id"] for row in twin.rows("/Fields@Types")}
    field = twin.write("POST", "/Fields", {"Name": name, "EntityId": 1, "TypeId": types["Integer"], "OptionsTableId": table})
    return str(field["Key"]), table


def add(twin: PloomesTwin, table: int, name: str, key: str) -> int:
    return int(
        twin.write("POST", "/Fields@OptionsTables@Options", {"Name": name, "TableId": table, "ExternalKey": key or None})["Id"]
    )


def settings(twin: PloomesTwin, key: str, *, by_key: bool) -> PloomesSettings:
    fields = settings_for(twin).fields
    lists = {"customer": {**fields.customer, "price_list": key}, "options_by_key": ("price_list",) if by_key else ()}
    return settings_for(twin, fields=fields.model_copy(update=lists))


def write(crm: PloomesCrm, twin: PloomesTwin, **fields: Any) -> Any:
    (done,) = crm.write_records(CUSTOMER, [Write(CUSTOMER, str(twin.names["contacts"][AURORA]), "key", fields)])
    return done


def held(twin: PloomesTwin, key: str) -> Any:
    (row,) = [each for each in twin.dump("Contacts") if each["Id"] == twin.names["contacts"][AURORA]]
    return (row["OtherProperties"] or {}).get(key)


def test_an_option_is_written_and_read_by_its_external_key(twin: PloomesTwin) -> None:
    key, _ = listed(twin, ("Atacado", "TAB-2"), ("Varejo", "TAB-1"), ("Atacado antigo", ""))
    crm = PloomesCrm("crm", settings(twin, key, by_key=True))
    for value in ("TAB-1", "TAB-2", "Atacado antigo"):  # one without a key goes by its name
        assert write(crm, twin, price_list=value).details == {}
        assert read(crm, CUSTOMER, twin.names["contacts"][AURORA]).fields["price_list"] == value
    with recording() as calls:
        assert write(crm, twin, price_list="Atacado antigo").details == {}
    assert [call.method for call in calls] == ["GET"]  # there already: nothing is written
    assert write(crm, twin, price_list="").details == {}
    assert held(twin, key) is None


def test_an_option_is_written_and_read_by_its_name_whatever_its_key(twin: PloomesTwin) -> None:
    key, _ = listed(twin, ("Atacado", "TAB-2"), ("Varejo", "TAB-1"))
    crm = PloomesCrm("crm", settings(twin, key, by_key=False))
    assert write(crm, twin, price_list="VAREJO ").record.fields["price_list"] == "Varejo"
    assert write(crm, twin, price_list="TAB-2").details["price_list"] == "unmatched"


def test_what_is_none_of_the_options_is_named_with_the_nearest_and_the_rest_is_written(twin: PloomesTwin) -> None:
    key, _ = listed(twin, ("Atacado", "ATACADO-SP"), ("Varejo", "VAREJO-SP"), ("Exportação", "EXP"))
    crm = PloomesCrm("crm", settings(twin, key, by_key=True))
    write(crm, twin, price_list="EXP")
    done = write(crm, twin, price_list="ATACADO-RJ", credit_left="7")
    assert done.details["price_list"] == "unmatched"
    said = "price_list: 'ATACADO-RJ' is none of the options of Tabela de preços; nearest: ATACADO-SP"
    assert done.details["option_unknown"].startswith(said)
    assert (done.record.fields["price_list"], done.record.fields["credit_left"]) == ("EXP", "7")


def test_an_option_that_was_added_a_moment_ago_is_found(twin: PloomesTwin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapters.crm.ploomes.records.lookups._AGAIN", 0.0)
    key, table = listed(twin, ("Atacado", "A"))
    crm = PloomesCrm("crm", settings(twin, key, by_key=True))
    assert write(crm, twin, price_list="B").details["price_list"] == "unmatched"
    number = add(twin, table, "Balcão", "B")
    assert write(crm, twin, price_list="B").details == {}
    assert held(twin, key) == number


def test_doctor_says_what_keeps_a_value_from_its_option(twin: PloomesTwin) -> None:
    empty, _ = listed(twin, name="Vazia")
    keyless, _ = listed(twin, ("Atacado", "A"), ("Varejo", ""), ("Balcão", "a"))
    text = str(twin.key("contact", "credit_group"))
    for key, by_key, said in (
        (empty, False, "is empty"),
        (keyless, True, "options without an external key are known by their name: Varejo"),
        (text, True, "is no option list"),
    ):
        problems = PloomesCrm("crm", settings(twin, key, by_key=by_key)).health().problems
        assert [each for each in problems if each.startswith("fields.customer.price_list") and said in each], said
    alike, _ = listed(twin, ("Atacado", "A"), ("Balcão", "a"), name="Igual")
    problems = PloomesCrm("crm", settings(twin, alike, by_key=True)).health().problems
    assert [each for each in problems if "several options" in each and "called alike" in each]
    with pytest.raises(ValueError, match="options_by_key names prices"):
        settings_for(twin, fields={"customer": {"price_list": alike}, "options_by_key": ["prices"]})


def test_the_accounts_fields_are_listed_with_their_options(twin: PloomesTwin) -> None:
    key, _ = listed(twin, ("Atacado", "TAB-2"), ("Varejo", ""))
    found = {(each.thing, each.key): each for each in PloomesCrm("crm", settings(twin, key, by_key=True)).fields()}
    field = found["customer", key]
    assert (field.name, field.type, field.word) == (TABLE, "option", "price_list")
    assert [(each.key, each.name) for each in field.options] == [("TAB-2", "Atacado"), ("", "Varejo")]
    assert {"customer", "deal", "order", "quote", "product"} == {thing for thing, _ in found}
    status = found["deal", twin.key("deal", "order_status")]
    assert (status.type, status.options) == ("text", ())


def test_a_field_that_is_gone_is_named_when_it_is_written(twin: PloomesTwin) -> None:
    with pytest.raises(NeedsPerson, match="field_missing"):
        PloomesCrm("crm", settings(twin, "contact_gone", by_key=True))._book.lookups.field(CUSTOMER, "contact_gone")


def test_the_command_lists_them_for_people_and_for_machines(twin: PloomesTwin, tmp_path: Path) -> None:
    key, _ = listed(twin, ("Atacado", "TAB-2"), ("Varejo [novo]", ""))
    stage = Stage(tmp_path)
    text = stage.path.read_text().replace(stage.config.connections["crm"].settings["url"], twin.url)
    text = text.replace('user_key = "file:user.key"', f'user_key = "{twin.secret("ploomes-integration")}"')
    text = text.replace("deadline = 0.3\ntotal_deadline = 0.4\n", "deadline = 6\ntotal_deadline = 20\n")
    text = text.replace(
        "[connections.erp]", f'[connections.crm.settings.fields.customer]\nprice_list = "{key}"\n\n[connections.erp]', 1
    )
    stage.path.write_text(text)
    shown = stage.ponte("fields", "crm")
    assert shown.exit_code == 0
    assert f"    {key}  {TABLE}  (option)  = price_list\n        Atacado  key TAB-2\n        Varejo [novo]\n" in shown.stdout
    (field,) = [each for each in stage.json("fields", "crm", "--json")["fields"] if each["key"] == key]
    assert (field["thing"], field["word"], field["options"][0]) == ("customer", "price_list", {"name": "Atacado", "key": "TAB-2"})


def test_an_adapter_that_lists_no_fields_tells_its_words_and_trouble_is_said(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    omie = 'role = "erp"\nadapter = "omie"\nsettings = {app_key = "k", app_secret = "s", category = "1", current_account = 1}\n'
    stage.path.write_text(stage.path.read_text().replace("[bridges.main]", f"[connections.omie]\n{omie}\n[bridges.main]", 1))
    words = {(each["thing"], each["key"]): each["type"] for each in stage.json("fields", "omie", "--json")["fields"]}
    assert (words["product", "price"], words["product", "active"], words["customer", "name"]) == ("number", "yes or no", "text")
    away, unknown = stage.ponte("fields", "crm"), stage.ponte("fields", "nowhere")
    assert (away.exit_code, unknown.exit_code) == (1, 2)
    assert "cannot be reached" in away.stdout
    assert "there is no connection nowhere; there are: crm, erp, omie" in unknown.stdout
