"""Entities, their fields and how they hang together.

Verified: entity and field names, unless marked below. Our reading: types of a few fields, `Short` of a state, and the fields
of the small lookup tables. A name that is not here does not exist: selecting, filtering or writing it is a 400.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Type = Literal["int", "str", "dec", "bool", "time"]


@dataclass(frozen=True)
class Nav:
    """A way from a row to others: by `key` on this row (one), or `contained` in it (many)."""

    target: str
    key: str = ""
    contained: bool = False


@dataclass(frozen=True)
class Entity:
    name: str
    fields: dict[str, Type]
    navs: dict[str, Nav] = field(default_factory=dict)
    number: int = 0
    """EntityId in webhooks and fields; verified for contact, deal, order, quote, product, task, note."""
    prefix: str = ""
    """Start of its custom fields' keys; empty: it has none."""
    required: tuple[str, ...] = ()
    writable: bool = False
    first_id: int = 1
    """Ids of different entities never meet here, so that mixing them up fails."""


_COMMON = "Id:int CreatorId:int UpdaterId:int CreateDate:time LastUpdateDate:time"
SERVER_OWNED = frozenset(["Id", "CreatorId", "UpdaterId", "CreateDate", "LastUpdateDate", "ContactName", "Editable", "Deletable"])
"""Our reading: values sent for these are ignored, since clients send back what they have read."""

VALUE_ATTRIBUTES: dict[str, Type] = {
    "StringValue": "str",
    "BigStringValue": "str",
    "IntegerValue": "int",
    "DecimalValue": "dec",
    "DateTimeValue": "time",
    "BoolValue": "bool",
    "ObjectValueId": "int",
    "UserValueId": "int",
    "ContactValueId": "int",
    "ProductValueId": "int",
    "AttachmentValueId": "int",
}


def _fields(spec: str) -> dict[str, Type]:
    return dict(each.split(":") for each in spec.split())  # type: ignore[return-value]


ENTITIES: dict[str, Entity] = {}


def _entity(
    name: str, spec: str, *, common: bool = True, number: int = 0, prefix: str = "", required: str = "", **rest: object
) -> None:
    navs: dict[str, Nav] = dict(rest.pop("navs", {}))  # type: ignore[call-overload]
    if prefix:
        navs["OtherProperties"] = Nav("OtherProperties", contained=True)
    if common:
        navs |= {"Creator": Nav("Users", "CreatorId"), "Updater": Nav("Users", "UpdaterId")}
    fields = _fields(f"{_COMMON} {spec}" if common else spec)
    ENTITIES[name] = Entity(name, fields, navs, number, prefix, tuple(required.split()), **rest)  # type: ignore[arg-type]


def _lookup(name: str, spec: str = "", **rest: object) -> None:
    _entity(name, f"Id:int Name:str {spec}", common=False, **rest)  # type: ignore[arg-type]


_entity(
    "Contacts",
    "TypeId:int Name:str LegalName:str Register:str CNPJ:str CPF:str StatusId:int CompanyId:int OwnerId:int OriginId:int"
    " LineOfBusinessId:int RelationshipId:int Email:str Website:str Note:str StreetAddress:str StreetAddressNumber:str"
    " StreetAddressLine2:str Neighborhood:str ZipCode:int CityId:int StateId:int CountryId:int CurrencyId:int CNAECode:str"
    " Key:str Editable:bool Deletable:bool",
    number=1,
    prefix="contact",
    required="Name",
    writable=True,
    first_id=100_001,
    navs={
        "Type": Nav("Contacts@Types", "TypeId"),
        "Owner": Nav("Users", "OwnerId"),
        "Company": Nav("Contacts", "CompanyId"),
        "City": Nav("Cities", "CityId"),
        "State": Nav("Cities@Countries@States", "StateId"),
        "Country": Nav("Cities@Countries", "CountryId"),
        "Phones": Nav("Phones", contained=True),
        "Tags": Nav("Tags", contained=True),
    },
)
_entity("Phones", "PhoneNumber:str TypeId:int CountryId:int", common=False)
_entity("Tags", "TagId:int", common=False)
_entity(
    "Deals",
    "Title:str ContactId:int ContactName:str PersonId:int PipelineId:int StageId:int StatusId:int Amount:dec CurrencyId:int"
    " StartAmount:dec OwnerId:int OriginId:int LossReasonId:int StartDate:time FinishDate:time LastQuoteId:int LastOrderId:int"
    " WonQuoteId:int LeadId:int DealNumber:int DaysInStage:int Key:str",
    number=2,
    prefix="deal",
    required="Title",
    writable=True,
    first_id=200_001,
    navs={
        "Contact": Nav("Contacts", "ContactId"),
        "Person": Nav("Contacts", "PersonId"),
        "Pipeline": Nav("Deals@Pipelines", "PipelineId"),
        "Stage": Nav("Deals@Stages", "StageId"),
        "Status": Nav("Deals@Status", "StatusId"),
        "LossReason": Nav("Deals@LossReasons", "LossReasonId"),
        "Owner": Nav("Users", "OwnerId"),
        "LastQuote": Nav("Quotes", "LastQuoteId"),
        "WonQuote": Nav("Quotes", "WonQuoteId"),
        "LastOrder": Nav("Orders", "LastOrderId"),
    },
)
_DOCUMENT = (
    "ContactId:int ContactName:str PersonId:int DealId:int OwnerId:int TemplateId:int Date:time CurrencyId:int Amount:dec"
    " Discount:dec ApprovalStatusId:int ApprovalLevelId:int Approver:bool ExternallyAccepted:bool DocumentUrl:str Key:str"
)
_DOCUMENT_NAVS = {
    "Contact": Nav("Contacts", "ContactId"),
    "Person": Nav("Contacts", "PersonId"),
    "Deal": Nav("Deals", "DealId"),
    "Owner": Nav("Users", "OwnerId"),
    "ApprovalStatus": Nav("Quotes@ApprovalStatus", "ApprovalStatusId"),
}
_SECTION = "Id:int Code:int Total:dec Discount:dec Ordination:int"
_LINE = (
    "Id:int ProductId:int ProductName:str Quantity:dec UnitPrice:dec Discount:dec Total:dec CurrencyId:int SectionId:int"
    " Bonus:bool Ordination:int"
)
_entity(
    "Quotes",
    f"{_DOCUMENT} ExpirationDate:time QuoteNumber:int ReviewNumber:int LastReview:bool LastReviewId:int InstallmentsNumber:int"
    " PaymentMethod:str DeliveryTime:str FreightModal:str FreightCost:dec Notes:str",
    number=7,
    prefix="quote",
    writable=True,
    first_id=300_001,
    navs=_DOCUMENT_NAVS
    | {
        "Sections": Nav("Quotes@Sections", contained=True),
        "Products": Nav("Quotes@Products", contained=True),
        "Installments": Nav("Installments", contained=True),
    },
)
_entity("Installments", "Id:int Number:int Days:int Date:time Amount:dec", common=False)
_entity(
    "Orders",
    f"{_DOCUMENT} OrderNumber:int StageId:int OriginQuoteId:int InternalComments:str Description:str Commission:dec",
    number=4,
    prefix="order",
    writable=True,
    first_id=400_001,
    navs=_DOCUMENT_NAVS
    | {
        "Stage": Nav("Orders@Stages", "StageId"),
        "OriginQuote": Nav("Quotes", "OriginQuoteId"),
        "Sections": Nav("Orders@Sections", contained=True),
        "Products": Nav("Orders@Products", contained=True),
    },
)
for _owner, _prefix in (("Quotes", "quote"), ("Orders", "order")):
    _entity(
        f"{_owner}@Sections",
        f"{_SECTION} {_owner[:-1]}Id:int",
        common=False,
        prefix=f"{_prefix}_section",
        first_id=700_001,
        navs={"Products": Nav(f"{_owner}@Products", contained=True)},
    )
    _entity(
        f"{_owner}@Products",
        f"{_LINE} {_owner[:-1]}Id:int",
        common=False,
        prefix="quote_product" if _owner == "Quotes" else "order_table_product",
        required="ProductId",
        first_id=750_001,
        navs={"Product": Nav("Products", "ProductId")},
    )
_entity(
    "Products",
    "Code:str Name:str GroupId:int FamilyId:int MeasurementUnit:str UnitPrice:dec CurrencyId:int Suspended:bool ImageUrl:str"
    " Key:str",
    number=10,
    prefix="product",
    required="Name",
    writable=True,
    first_id=500_001,
    navs={"Group": Nav("Products@Groups", "GroupId"), "Family": Nav("Products@Families", "FamilyId")},
)
_entity(
    "Users",
    "Name:str Email:str ProfileId:int Suspended:bool Integration:bool",
    required="Name Email",
    writable=True,
    first_id=10_001,
    navs={"Profile": Nav("Users@Profiles", "ProfileId")},
)
_entity(
    "Tasks",
    "Title:str Description:str DateTime:time TypeId:int ContactId:int DealId:int OwnerId:int Finished:bool"
    " FinishDate:time Comments:str",
    number=12,
    writable=True,
    first_id=800_001,
    navs={
        "Deal": Nav("Deals", "DealId"),
        "Contact": Nav("Contacts", "ContactId"),
        "Type": Nav("Tasks@Types", "TypeId"),
        "Owner": Nav("Users", "OwnerId"),
        "Users": Nav("TaskUsers", contained=True),
        "Tags": Nav("Tags", contained=True),
    },
)
_entity("TaskUsers", "UserId:int", common=False, navs={"User": Nav("Users", "UserId")})
_entity(
    "InteractionRecords",
    "ContactId:int DealId:int OrderId:int QuoteId:int Content:str Date:time TypeId:int",
    number=36,
    writable=True,
    first_id=900_001,
    navs={
        "Deal": Nav("Deals", "DealId"),
        "Contact": Nav("Contacts", "ContactId"),
        "Type": Nav("InteractionRecords@Types", "TypeId"),
    },
)
_entity(
    "Fields",
    "Key:str Name:str EntityId:int TypeId:int Dynamic:bool Required:bool Unique:bool Permanent:bool OptionsTableId:int",
    required="Name EntityId TypeId",
    writable=True,
    first_id=1_001,
    navs={
        "Type": Nav("Fields@Types", "TypeId"),
        "OptionsTable": Nav("Fields@OptionsTables", "OptionsTableId"),
        "Entity": Nav("Fields@Entities", "EntityId"),
    },
)
_entity(
    "Webhooks",
    "Name:str EntityId:int SecondaryEntityId:int ActionId:int CallbackUrl:str ValidationKey:str Active:bool UserWebhook:bool",
    required="EntityId ActionId CallbackUrl",
    writable=True,
    first_id=60_001,
    navs={"Entity": Nav("Fields@Entities", "EntityId"), "Action": Nav("Webhooks@Actions", "ActionId")},
)
_entity(
    "OtherProperties",
    "Id:int FieldId:int FieldKey:str ObjectValueName:str " + " ".join(f"{name}:{kind}" for name, kind in VALUE_ATTRIBUTES.items()),
    common=False,
)
for _name in (
    *("Contacts@Types", "Contacts@Status", "Deals@Status", "Deals@LossReasons", "Deals@Pipelines", "Quotes@ApprovalStatus"),
    *("Tasks@Types", "InteractionRecords@Types", "Users@Profiles", "Fields@Entities", "Webhooks@Actions", "Account"),
):
    _lookup(_name)
_lookup("Deals@Stages", "PipelineId:int Ordination:int", writable=True, required="Name", first_id=20_001)
_lookup("Orders@Stages", "Ordination:int", writable=True, required="Name", first_id=30_001)
_lookup("Products@Groups", writable=True, required="Name", first_id=40_001)
_lookup("Products@Families", writable=True, required="Name", first_id=50_001)
_lookup("Fields@Types", "NativeType:str")
_lookup("Fields@OptionsTables", navs={"Options": Nav("Fields@OptionsTables@Options")}, writable=True, required="Name", first_id=101)
_lookup(
    "Fields@OptionsTables@Options",
    "TableId:int ExternalKey:str Ordination:int",
    writable=True,
    required="Name TableId",
    first_id=70_001,
)
_lookup("Cities", "StateId:int", navs={"State": Nav("Cities@Countries@States", "StateId")})
_lookup("Cities@Countries", "Short:str")
_lookup("Cities@Countries@States", "Short:str CountryId:int")

BY_NUMBER = {entity.number: entity for entity in ENTITIES.values() if entity.number}
ACTIONS = {"Create": 1, "Update": 2, "Delete": 3, "Win": 4, "Lose": 5, "Reopen": 6}
"""Verified: 1 to 3. Sources differ on the others (4 and 5, or 5, 6 and 7): clients must ask `Webhooks@Actions`."""
