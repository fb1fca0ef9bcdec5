"""The add-on's addresses, before BottleCRM's own ones.

    GET   /api/x/changes/?kind=deal&since=<iso>&after=<id>&limit=200   what changed, oldest first, keyed by (time, id)
    GET, PATCH  /api/x/products/<id>/                                 what a product lacks; an image as multipart
    GET   /api/x/products/<id>/image/

Rights are those of the caller's token: an organization's admin sees everything of it, others are refused.
"""

from common.permissions import HasOrgContext, is_org_admin
from crm import urls as crm_urls
from django.apps import apps
from django.db.models import Q
from django.http import FileResponse, Http404
from django.urls import path
from django.utils.dateparse import parse_datetime
from invoices.models import Product
from rest_framework import serializers
from rest_framework.permissions import BasePermission, IsAuthenticated
from rest_framework.response import Response
from rest_framework.views import APIView

from sandbox.bottlecrm.site.extras.models import KINDS, Deletion, ProductExtra

MOST = 500


class IsAdmin(BasePermission):
    def has_permission(self, request, view):
        return is_org_admin(request.profile)


class Guarded(APIView):
    permission_classes = (IsAuthenticated, HasOrgContext, IsAdmin)


class Changes(Guarded):
    def get(self, request):
        query = request.query_params
        kind, since, after = query.get("kind"), parse_datetime(query.get("since", "")), query.get("after")
        if kind not in KINDS or since is None:
            return Response({"errors": "kind and since are needed"}, status=400)
        limit = min(int(query.get("limit", MOST)), MOST)
        org = request.profile.org
        changed = _page(apps.get_model(KINDS[kind]).objects.filter(org=org), "updated_at", "id", since, after, limit)
        deleted = _page(Deletion.objects.filter(org=org, kind=kind), "at", "record", since, after, limit)
        rows = [{"id": str(id), "at": at, "deleted": False} for at, id in changed]
        rows += [{"id": str(id), "at": at, "deleted": True} for at, id in deleted]
        return Response({"results": sorted(rows, key=lambda row: (row["at"], row["id"]))[:limit]})


def _page(rows, time, key, since, after, limit):
    later = Q(**{f"{time}__gt": since})
    same = Q(**{time: since}) & (Q(**{f"{key}__gt": after}) if after else Q())
    return rows.filter(later | same).order_by(time, key).values_list(time, key)[:limit]


class ExtraSerializer(serializers.ModelSerializer):
    class Meta:
        model = ProductExtra
        fields = ("product", "erp_id", "stock", "tax_rate", "sales_description", "image", "updated_at")
        read_only_fields = ("product", "updated_at")


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
    path("api/x/products/<uuid:pk>/", Extra.as_view()),
    path("api/x/products/<uuid:pk>/image/", Image.as_view()),
    *crm_urls.urlpatterns,  # not include(): crm.urls has an app_name, which would hide "admin"
]
