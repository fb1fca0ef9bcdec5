"""The add-on's addresses, before BottleCRM's own ones.

    GET   /api/x/changes/?kind=deal&since=<iso>&after=<id>&limit=200   what changed, oldest first, keyed by (time, id);
                         a deal as in BottleCRM's own answers, less what embeds other records
                         ...&record=<id>                              only what happened to this record
    PATCH /api/x/deals/<id>/      {"stage", "custom_fields", "moved_at"}: these columns only; 409 if it was moved since `moved_at`
    GET, PATCH  /api/x/products/<id>/                    what stands beside a product; its sales text and picture may be written
    GET   /api/x/products/<id>/image/
    /api/x/records/ and /api/x/records/find/                          accounts and products: see `records.py`

Rights are those of the caller's token: an organization's admin sees everything of it, others are refused.
"""

from common.custom_fields import validate_payload
from crm import urls as crm_urls
from django.apps import apps
from django.db import transaction
from django.db.models import Q
from django.http import FileResponse, Http404
from django.urls import path
from django.utils.dateparse import parse_datetime
from invoices.models import Product
from opportunity.models import Opportunity
from opportunity.stages import stage_index
from rest_framework import serializers
from rest_framework.response import Response

from sandbox.bottlecrm.site.extras.models import ERP_TEXTS, KINDS, Deletion, ProductExtra
from sandbox.bottlecrm.site.extras.records import Find, Records
from sandbox.bottlecrm.site.extras.rights import Guarded

MOST = 500


class Changes(Guarded):
    def get(self, request):
        query = request.query_params
        kind, since, after = query.get("kind"), parse_datetime(query.get("since", "")), query.get("after")
        if kind not in KINDS or since is None:
            return Response({"errors": "kind and since are needed"}, status=400)
        limit = min(int(query.get("limit", MOST)), MOST)
        there = apps.get_model(KINDS[kind]).objects.filter(org=request.profile.org)
        gone = Deletion.objects.filter(org=request.profile.org, kind=kind)
        if record := query.get("record"):
            there, gone = there.filter(pk=record), gone.filter(record=record)
        changed = _page(there, "updated_at", "id", since, after, limit)
        deleted = _page(gone, "at", "record", since, after, limit)
        rows = [{"id": str(id), "at": at, "deleted": False} for at, id in changed]
        rows += [{"id": str(id), "at": at, "deleted": True} for at, id in deleted]
        rows = sorted(rows, key=lambda row: (row["at"], row["id"]))[:limit]
        if kind == "deal":
            records = _deals(request.profile.org, [row["id"] for row in rows if not row["deleted"]])
            for row in rows:
                row["record"] = records.get(row["id"])
        return Response({"results": rows})


def _deals(org, ids):
    """Read in a few queries: a poll asks for every deal that changed, again and again."""
    deals = Opportunity.objects.filter(org=org, pk__in=ids).select_related("account", "closed_by").prefetch_related("assigned_to")
    stages = stage_index(org.id)
    return {str(deal.pk): _deal(deal, stages) for deal in deals}


def _deal(deal, stages):
    stage = deal.current_stage(stages)
    return {
        "id": str(deal.pk),
        "name": deal.name,
        "stage": deal.stage,
        "stage_kind": stage.kind if stage else None,
        "stage_changed_at": deal.stage_changed_at,
        "created_at": deal.created_at,
        "account": {"id": str(deal.account_id)} if deal.account_id else None,
        "assigned_to": [{"id": str(each.pk), "created_at": each.created_at} for each in deal.assigned_to.all()],
        "closed_by": {"id": str(deal.closed_by_id)} if deal.closed_by_id else None,
    }


def _page(rows, time, key, since, after, limit):
    later = Q(**{f"{time}__gt": since})
    same = Q(**{time: since}) & (Q(**{f"{key}__gt": after}) if after else Q())
    return rows.filter(later | same).order_by(time, key).values_list(time, key)[:limit]


class Deal(Guarded):
    """BottleCRM's own PATCH reads a deal and saves every column of it: what others changed in between is undone."""

    def patch(self, request, pk):
        org, data, columns = request.profile.org, request.data, ["updated_at"]
        with transaction.atomic():
            deal = Opportunity.objects.select_for_update().filter(pk=pk, org=org).first()
            if deal is None:
                raise Http404
            if data.get("moved_at") and parse_datetime(data["moved_at"]) != deal.stage_changed_at:
                return Response({"errors": {"moved_at": "it was moved since"}}, status=409)
            if "custom_fields" in data:
                known = deal.custom_fields or {}
                deal.custom_fields, errors = validate_payload("Opportunity", data["custom_fields"], org, existing=known)
                if errors:
                    return Response({"errors": {"custom_fields": errors}}, status=400)
                columns.append("custom_fields")
            if "stage" in data:
                if not deal.pipeline.stages.filter(code=data["stage"]).exists():
                    return Response({"errors": {"stage": "not a stage of this deal's pipeline"}}, status=400)
                deal.stage = data["stage"]
                columns.append("stage")
            deal.save(update_fields=columns)
        return Response({"error": False})


class ExtraSerializer(serializers.ModelSerializer):
    class Meta:
        model = ProductExtra
        fields = ("product", *ERP_TEXTS, "sales_description", "image", "updated_at")
        read_only_fields = ("product", *ERP_TEXTS, "updated_at")


class Extra(Guarded):
    def of(self, request, pk):
        org = request.profile.org
        product = Product.objects.filter(pk=pk, org=org).first()
        if product is None:
            raise Http404
        return ProductExtra.objects.get_or_create(product=product, defaults={"org": org})[0]

    def get(self, request, pk):
        return Response(ExtraSerializer(self.of(request, pk)).data)

    def patch(self, request, pk):
        serializer = ExtraSerializer(self.of(request, pk), data=request.data, partial=True)
        serializer.is_valid(raise_exception=True)
        serializer.save()
        return Response(serializer.data)


class Image(Extra):
    def get(self, request, pk):
        extra = self.of(request, pk)
        if not extra.image:
            raise Http404
        return FileResponse(extra.image.open("rb"))


urlpatterns = [
    path("api/x/changes/", Changes.as_view()),
    path("api/x/deals/<uuid:pk>/", Deal.as_view()),
    path("api/x/records/", Records.as_view()),
    path("api/x/records/find/", Find.as_view()),
    path("api/x/products/<uuid:pk>/", Extra.as_view()),
    path("api/x/products/<uuid:pk>/image/", Image.as_view()),
    *crm_urls.urlpatterns,  # not include(): crm.urls has an app_name, which would hide "admin"
]
