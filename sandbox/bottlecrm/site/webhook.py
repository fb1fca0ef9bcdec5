"""Register the sandbox's gateway with BottleCRM, as an admin would on its settings page.

    python -m sandbox.bottlecrm.site.webhook URL FILE_WITH_THE_SECRET

The API mints the secret itself and refuses personal tokens, so this writes the row. Safe twice.
"""

import sys
from pathlib import Path

import django

django.setup()

from common.models import Profile  # noqa: E402
from webhooks.models import WebhookEndpoint  # noqa: E402

from sandbox import cast  # noqa: E402

EVENTS = ["deal.created", "deal.updated", "deal.deleted", "deal.won", "deal.lost", "account.deleted"]
"""Other changes of accounts are seen by polls: each write of the bridge's would come back as one."""


def main(url: str, secret: str) -> None:
    owner = Profile.objects.select_related("user", "org").get(user__email=cast.INTEGRATION["email"])
    values = {"url": url, "secret": secret, "events": EVENTS, "is_active": True, "disabled_reason": "", "created_by": owner.user}
    WebhookEndpoint.objects.update_or_create(org=owner.org, description="ponte", defaults=values)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]).read_text(encoding="utf-8"))
