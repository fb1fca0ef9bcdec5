"""Records of the add-on: what a product lacks, and what was deleted."""

from common.base import BaseOrgModel
from django.apps import apps
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


ERP_TEXTS = ("unit", "prices", "stock", "stock_as_of", "taxes")
"""What the ERP says of a product, as it is shown to people: a line for each price list, warehouse and tax."""


class ProductExtra(BaseOrgModel):
    """Beside a product: what the ERP says of it, and the sales team's own text and picture."""

    product = models.OneToOneField("invoices.Product", on_delete=models.CASCADE, related_name="extra")
    unit = models.TextField(blank=True, default="")
    prices = models.TextField(blank=True, default="")
    stock = models.TextField(blank=True, default="")
    stock_as_of = models.TextField(blank=True, default="")
    taxes = models.TextField(blank=True, default="")
    sales_description = models.TextField(blank=True, default="")
    image = models.FileField(upload_to="products/", null=True, blank=True)

    class Meta:
        db_table = "ponte_product_extra"

    def save(self, *args, **kwargs):
        """A change beside a product is a change of the product: its feed goes by the product's time."""
        super().save(*args, **kwargs)
        apps.get_model(KINDS["product"]).objects.filter(pk=self.product_id).update(updated_at=timezone.now())


class Deletion(BaseOrgModel):
    """BottleCRM deletes for good and keeps no list of it."""

    kind = models.CharField(max_length=32)
    record = models.UUIDField()
    into = models.UUIDField(null=True)
    """What it was merged into."""
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        db_table = "ponte_deletion"
        indexes = (models.Index(fields=["org", "kind", "at"]),)


def remember(sender, instance, **_rest):
    kind = next((word for word, model in KINDS.items() if model == instance._meta.label), None)
    if kind is not None and instance.org_id:
        into = getattr(instance, "_ponte_into", None)
        Deletion.objects.create(org_id=instance.org_id, kind=kind, record=instance.pk, into=into)


def remember_merge(sender, keeper, loser, **_rest):
    """BottleCRM deletes the one that is merged into the other right after this."""
    loser._ponte_into = keeper.pk
