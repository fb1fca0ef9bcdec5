"""`celery -A sandbox.chaos.sabotaged_app`: the bridge's own app, with the saboteur's wrappers around its safeguards."""

from __future__ import annotations

from sandbox.chaos import ambush, saboteur

saboteur.install()
ambush.install()

from workers.app import app  # noqa: E402 (what it imports is wrapped by now)

__all__ = ["app"]
