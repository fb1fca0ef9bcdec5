"""Connects the add-on: deletions and merges are remembered, and webhooks may reach this machine."""

from django.apps import AppConfig
from django.db.models.signals import post_delete


class Extras(AppConfig):
    name = "sandbox.bottlecrm.site.extras"
    label = "ponte_extras"
    default_auto_field = "django.db.models.AutoField"

    def ready(self):
        from common.signals import pre_merge

        from sandbox.bottlecrm.site.extras import models

        post_delete.connect(models.remember, dispatch_uid="ponte_extras_deleted")
        pre_merge.connect(models.remember_merge, dispatch_uid="ponte_extras_merged")
        _let_loopback_through()


def _let_loopback_through():
    """BottleCRM sends webhooks to public https addresses only (`webhooks/ssrf.py`). The sandbox's gateway is on 127.0.0.1, so
    exactly the loopback addresses are let through, on any port and by http."""
    from webhooks import ssrf

    blocked = ssrf.is_blocked
    ssrf.is_blocked = lambda address: not address.is_loopback and blocked(address)
    ssrf._allowed_ports = lambda: range(1, 65536)
    ssrf._allowed_schemes = lambda: ("https", "http")
