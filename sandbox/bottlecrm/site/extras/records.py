"""Accounts and products for a bridge: what changed, looked for by what they are known by, and written column by column.

    GET   /api/x/records/?kind=account&since=<iso>&after=<id>&limit=200     what changed, oldest first, keyed by (time, id)
    POST  /api/x/records/find/   {"kind", "by", "values"}       by: id, name, email, sku, custom_fields.<key>; writes nothing
    PATCH /api/x/records/        {"kind", "writes": [{"id", "version", "values", "custom_fields"}]}

BottleCRM's own PATCH saves every column as it was read, so what others changed in between is undone. Here each write is a
transaction of its own: it saves only the columns that differ, and none when the record moved since `version`. A value that
BottleCRM would refuse is left as it is and named in the answer; the record's other values are written.
"""

import datetime as dt

from accounts.models import Account
from common.custom_fields import validate_payload
from common.models import CustomFieldDefinition
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import Q, TextField, Value
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Lower, Replace, Upper
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from invoices.models import Product
from rest_framework.response import Response

from sandbox.bottlecrm.site.extras.models import ERP_TEXTS, Deletion, ProductExtra
from sandbox.bottlecrm.site.extras.rights import Guarded

MOST = 500
MODELS = {"account": Account, "product": Product}
COLUMNS = {
    "account": ("name", "email", "phone", "address_line", "city", "state", "postcode", "country", "is_active"),
    "product": ("name", "sku", "price", "currency", "category", "is_active"),
}
CUSTOM = "custom_fields."
PUNCTUATION = ".-/ "


class Records(Guarded):
    def get(self, request):
        query, now = request.query_params, timezone.now()
        kind, since, after = query.get("kind"), parse_datetime(query.get("since", "")), query.get("after")
        if kind not in MODELS or since is None:
            return Response({"errors": "kind and since are needed"}, status=400)
        rows = rows_of(request, kind)
        total = rows.count() if "count" in query else None
        same = Q(updated_at=since) & (Q(id__gt=after) if after else Q())
        page = rows.filter(Q(updated_at__gt=since) | same).order_by("updated_at", "id")[: min(int(query.get("limit", MOST)), MOST)]
        return Response({"now": _utc(now), "total": total, "results": [shown(kind, row, request.user) for row in page]})

    def patch(self, request):
        kind, writes = request.data.get("kind"), request.data.get("writes")
        if kind not in MODELS or not isinstance(writes, list) or len(writes) > MOST:
            return Response({"errors": "kind and writes are needed"}, status=400)
        answers = [self._written(request.profile.org, kind, each) for each in writes]
        ids = [write["id"] for write, answer in zip(writes, answers, strict=True) if answer["status"] == 200]
        held = {str(row.pk): shown(kind, row, request.user) for row in rows_of(request, kind).filter(pk__in=ids)}
        for write, answer in zip(writes, answers, strict=True):
            if answer["status"] == 200:
                answer |= {"record": held[write["id"]]} if write["id"] in held else {"status": 404}
        return Response({"results": answers})

    def _written(self, org, kind, write):
        try:
            with transaction.atomic():
                row = MODELS[kind].objects.select_for_update().filter(org=org, pk=write["id"]).first()
                if row is None:
                    return {"status": 404}
                if write.get("version") and parse_datetime(write["version"]) != row.updated_at:
                    return {"status": 409}
                return {"status": 200, **_Change(kind, row).to(write.get("values") or {}, write.get("custom_fields") or {})}
        except IntegrityError:  # somebody took the name or the code at this moment
            return {"status": 409}


class Find(Guarded):
    def post(self, request):
        kind, by, values = (request.data.get(name) for name in ("kind", "by", "values"))
        if kind not in MODELS or not isinstance(values, list) or len(values) > MOST:
            return Response({"errors": "kind, by and values are needed"}, status=400)
        rows = self._matching(rows_of(request, kind), kind, by, values)
        if rows is None:
            return Response({"errors": "nothing is looked for by this"}, status=400)
        found = [shown(kind, row, request.user) for row in rows.order_by("created_at", "id")]
        gone = Deletion.objects.filter(org=request.profile.org, kind=kind, record__in=values if by == "id" else ())
        return Response({"results": found, "deleted": {str(each.record): str(each.into or "") for each in gone}})

    def _matching(self, rows, kind, by, values):
        if by == "id":
            return rows.filter(pk__in=values)
        if by == "name" or (kind == "account" and by == "email"):
            return rows.annotate(held=Lower(by)).filter(held__in=[str(each).lower() for each in values])
        if kind == "product" and by == "sku":
            return rows.filter(sku__in=values)
        if kind == "account" and str(by).startswith(CUSTOM):
            return rows.annotate(held=_bare(by.removeprefix(CUSTOM))).filter(held__in=[_bare_text(each) for each in values])
        return None


def rows_of(request, kind):
    rows = MODELS[kind].objects.filter(org=request.profile.org)
    return rows.select_related("extra") if kind == "product" else rows


def shown(kind, row, user):
    record = {"id": str(row.pk), "updated_at": _utc(row.updated_at), "mine": row.created_by_id == user.pk}
    record |= {name: getattr(row, name) for name in COLUMNS[kind]}
    if kind == "account":
        return record | {"custom_fields": row.custom_fields or {}}
    extra = getattr(row, "extra", None) or ProductExtra()
    record |= {name: getattr(extra, name) for name in (*ERP_TEXTS, "sales_description")}
    return record | {"price": str(row.price), "image": extra.image.name or ""}


def _utc(moment):
    """The text of one instant is always the same, whatever the organization's zone."""
    return moment.astimezone(dt.UTC).isoformat()


def _bare(key):
    """A custom field without punctuation, as tax ids are compared."""
    held = KeyTextTransform(key, "custom_fields")
    for letter in PUNCTUATION:
        held = Replace(held, Value(letter), Value(""), output_field=TextField())
    return Upper(held)


def _bare_text(value):
    return "".join(letter for letter in str(value) if letter not in PUNCTUATION).upper()


class _Change:
    """Brings a row to the given values. Says what was not taken: `refused` columns with the reason's code, `refused_fields` with
    the custom field's type, `unknown` custom fields."""

    def __init__(self, kind, row):
        self.kind, self.row = kind, row

    def to(self, values, custom):
        extra = {name: str(value or "") for name, value in values.items() if self.kind == "product" and name in ERP_TEXTS}
        columns, refused = self._accepted({name: value for name, value in values.items() if name not in extra})
        fields, refused_fields, unknown = self._accepted_fields(custom) if custom else (None, {}, [])
        changed = [name for name, value in columns.items() if not _same(getattr(self.row, name), value)]
        for name in changed:
            setattr(self.row, name, columns[name])
        if fields is not None and fields != self.row.custom_fields:
            self.row.custom_fields = fields
            changed.append("custom_fields")
        if self._beside(extra) or changed:
            self.row.save(update_fields=[*changed, "updated_at", "updated_by"])
        return {"refused": refused, "refused_fields": refused_fields, "unknown": unknown}

    def _accepted(self, values):
        """By the columns' own rules, and unique names and codes, of which BottleCRM makes an error 500."""
        accepted, refused = {}, {}
        for name, value in values.items():
            if name not in COLUMNS[self.kind]:
                refused[name] = "unknown"
            elif self._is_anothers(name, value):
                refused[name] = "unique"
            else:
                try:
                    accepted[name] = self.row._meta.get_field(name).clean(value, self.row)
                except ValidationError as error:
                    refused[name] = error.error_list[0].code or "invalid"
        return accepted, refused

    def _is_anothers(self, name, value):
        if (self.kind, name) not in (("account", "name"), ("product", "sku")) or _same(getattr(self.row, name), value):
            return False
        same = {"name__iexact": value} if name == "name" else {"sku": value}
        return type(self.row).objects.filter(org=self.row.org_id, **same).exclude(pk=self.row.pk).exists()

    def _accepted_fields(self, custom):
        """The whole map with these keys changed: keys of others stay, whatever became of their definitions."""
        if self.kind != "account":
            return None, {}, sorted(custom)
        org, held = self.row.org, dict(self.row.custom_fields or {})
        known = CustomFieldDefinition.objects.filter(org=org, target_model="Account", is_active=True, key__in=list(custom))
        types = dict(known.values_list("key", "field_type"))
        cleaned, errors = validate_payload("Account", {key: custom[key] for key in types}, org, existing=held)
        for key in types:
            if key in cleaned:
                held[key] = cleaned[key]
            elif key not in errors:
                held.pop(key, None)
        return held, {key: types[key] for key in errors if key in types}, sorted(custom.keys() - types.keys())

    def _beside(self, extra):
        if not extra:
            return False
        beside, _ = ProductExtra.objects.get_or_create(product=self.row, defaults={"org_id": self.row.org_id})
        changed = [name for name, value in extra.items() if getattr(beside, name) != value]
        for name in changed:
            setattr(beside, name, extra[name])
        if changed:
            beside.save(update_fields=[*changed, "updated_at", "updated_by"])
        return bool(changed)


def _same(held, value):
    return held == value or (held in ("", None) and value in ("", None))
