"""BottleCRM on one SQLite file, without a broker: its own settings, and what a sandbox on one machine needs different.

Upstream runs on PostgreSQL and tests on SQLite. Lost on SQLite (1.35.0, observed): filters by custom field answer 500, lengths
are not enforced, row locks do nothing. `BOTTLE_HOME` holds the database and all files.
"""

import os
from pathlib import Path

os.environ.setdefault("ENV_TYPE", "dev")
os.environ.setdefault("EMAIL_BACKEND", "django.core.mail.backends.dummy.EmailBackend")

from crm.settings import *  # noqa: F403

DATA = Path(os.environ["BOTTLE_HOME"])
DEBUG = False
ALLOWED_HOSTS = ["127.0.0.1"]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": DATA / "crm.sqlite3",
        "CONN_MAX_AGE": 60,
        "OPTIONS": {
            "timeout": 20,
            "transaction_mode": "IMMEDIATE",
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
        },
    }
}
MEDIA_ROOT = DATA / "media"
STATIC_ROOT = DATA / "static"
# No worker and no beat: webhooks are sent within the request that caused them, once; a failed one is never repeated.
CELERY_BROKER_URL = "memory://"
CELERY_RESULT_BACKEND = "cache+memory://"
CELERY_TASK_ALWAYS_EAGER = True
for _handler in ("logfile", "security_audit"):
    LOGGING["handlers"][_handler]["filename"] = str(DATA / LOGGING["handlers"][_handler]["filename"])  # noqa: F405


class _FromModels:
    """Tables straight from the models in 7 s; the 253 migrations take minutes and end at the same tables (observed)."""

    def __contains__(self, _app):
        return True

    def __getitem__(self, _app):
        return None


MIGRATION_MODULES = _FromModels()
INSTALLED_APPS = [*INSTALLED_APPS, "sandbox.bottlecrm.site.extras.apps.Extras"]  # noqa: F405
ROOT_URLCONF = "sandbox.bottlecrm.site.extras.urls"
