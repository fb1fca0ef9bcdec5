"""Stands between the real CRM's webhooks and the gateway, so that a story can make them misbehave. The CRM knows nothing of it.

A thread of the process that plays the stories; listens on 127.0.0.1. It answers at once, as the CRM's sender waits for it.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx


class Courier:
    """`mischief`: `off` swallows; `copies` sends so many; `shuffle` delays each by up to so many seconds, out of order."""

    def __init__(self, port: int, gateway: str) -> None:
        self.mischief: dict[str, Any] = {}
        self.carried = 0
        courier, client = self, httpx.Client(base_url=gateway, trust_env=False, timeout=10)

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                headers = {name: value for name, value in self.headers.items() if name.lower().startswith(("x-", "content-type"))}
                mischief = dict(courier.mischief)
                for _ in range(0 if mischief.get("off") else mischief.get("copies", 1)):
                    wait = random.random() * mischief.get("shuffle", 0)
                    threading.Thread(target=courier._carry, args=(client, self.path, headers, body, wait), daemon=True).start()
                self.send_response(204)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{port}"

    def _carry(self, client: httpx.Client, path: str, headers: dict[str, str], body: bytes, wait: float) -> None:
        time.sleep(wait)
        try:
            client.post(path, content=body, headers=headers)
        except httpx.TransportError:
            return  # the gateway is down: a poll finds what this one hinted at
        self.carried += 1

    @contextmanager
    def on_duty(self) -> Iterator[Courier]:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()
