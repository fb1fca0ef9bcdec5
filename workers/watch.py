"""Flower, closed a little further than Flower 2.2 closes itself: `python -m workers.watch`, in place of `celery flower`.

Flower's `/metrics` answers without the password that guards everything else; and a page of another site, open in the same
browser, could press Flower's buttons with the password that the browser remembers. `/healthcheck` stays open: it says "OK".
"""

from __future__ import annotations

import runpy
import sys
from typing import Any
from urllib.parse import urlsplit

from flower.views import BaseHandler
from flower.views.monitor import Metrics
from tornado import web

COMMAND = ["celery", "-A", "workers.app", "--quiet", "flower"]


def close() -> None:
    Metrics.get = web.authenticated(Metrics.get)
    ask_password = BaseHandler.get_current_user

    def get_current_user(self: Any) -> Any:
        origin = self.request.headers.get("Origin")
        if origin is not None and urlsplit(origin).netloc != self.request.host:
            raise web.HTTPError(403)
        return ask_password(self)

    BaseHandler.get_current_user = get_current_user


if __name__ == "__main__":
    close()
    sys.argv = [*COMMAND, *sys.argv[1:]]
    runpy.run_module("celery", run_name="__main__", alter_sys=True)
