"""Records of the add-on: what a product lacks, and what was deleted."""

from common.base import BaseOrgModel
from django.db import models
from django.utils import timezone

KINDS = {
    "account": "accounts.Account",
    "deal": "opportunity.Opportunity",
    "product": "invoices.Product",
    "product_extra": "ponte_extras.ProductExtra",
    "estimate": "invoices.Estimate",
    "task": "tasks.Task",
}
"""Our words for the kinds that the change feed carries, and their models."""


class ProductExtra(BaseOrgModel):
    """The ERP's fields (id, stock, tax) and the CRM's own ones (sales description, image) beside a product."""

    product = models.OneToOneField("invoices.Product", on_delete=models.CASCADE, related_name="extra")
    erp_id = models.CharField(max_length=64, blank=True, default="", db_index=True)
    stock = models.DecimalField(max_digits=14, decimal_places=3, null=True)
    tax_rate = models.DecimalField(max_digits=5, decimal_places=2, null=True)
    sales_description = models.TextField(blank=True, default="")
    image = models.FileField(upload_to="products/", null=True, blank=True)

    class Meta:
        db_table = "ponte_product_extra"


class Deletion(BaseOrgModel):
    """BottleCRM deletes for good and keeps no list of it."""

    kind = models.CharField(max_length=32)
    record = models.UUIDField()
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        db_table = "ponte_deletion"
        indexes = (models.Index(fields=["org", "kind", "at"]),)


def remember(sender, instance, **_rest):
    kind = next((word for word, model in KINDS.items() if model == instance._meta.label), None)
    if kind is not None and instance.org_id:
        Deletion.objects.create(org_id=instance.org_id, kind=kind, record=instance.pk)
