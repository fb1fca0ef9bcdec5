"""A total deadline for one HTTP attempt.

httpx's time-outs are per phase and per read: a server that sends a byte a second holds a call for ever. Here every connect,
handshake, read and write of a thread gets what is left until the thread's own deadline, headers included. Name resolution
is the one thing that the operating system bounds, not we.
"""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.request import getproxies, proxy_bypass

import httpcore
import httpx

_thread = threading.local()


@contextmanager
def until(moment: float) -> Iterator[None]:
    """Within the block, this thread's calls over a `DeadlineTransport` end at `moment` (of `time.monotonic()`)."""
    before = getattr(_thread, "until", None)
    _thread.until = moment
    try:
        yield
    finally:
        _thread.until = before


def _left(timeout: float | None, late: type[Exception]) -> float | None:
    moment: float | None = getattr(_thread, "until", None)
    if moment is None:
        return timeout
    left = moment - time.monotonic()
    if left <= 0:
        raise late("the call's deadline is over")
    return left if timeout is None else min(left, timeout)


class _Stream(httpcore.NetworkStream):
    def __init__(self, inner: httpcore.NetworkStream) -> None:
        self._inner = inner

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, _left(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, _left(timeout, httpcore.WriteTimeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return _Stream(self._inner.start_tls(ssl_context, server_hostname, _left(timeout, httpcore.ConnectTimeout)))

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


class _Backend(httpcore.NetworkBackend):
    def __init__(self, inner: httpcore.NetworkBackend) -> None:
        self._inner = inner

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        left = _left(timeout, httpcore.ConnectTimeout)
        return _Stream(self._inner.connect_tcp(host, port, left, local_address, socket_options))


def _proxy(target: httpx.URL) -> str | None:
    """The environment's proxy; never for this host, where it could not reach what we mean."""
    if target.host in ("127.0.0.1", "localhost", "::1") or proxy_bypass(target.host):
        return None
    proxies = getproxies()
    return proxies.get(target.scheme) or proxies.get("all")


class DeadlineTransport(httpx.HTTPTransport):
    """httpx's own transport under the thread's deadline, through the environment's proxy for `url` where there is one.

    Reaches into httpx 0.28 and httpcore 1.0, which offer no public way to hand a network backend to a transport; should an
    upgrade move it, `test_a_trickling_server_cannot_outlast_the_deadline` fails.
    """

    def __init__(self, url: str, *, limits: httpx.Limits) -> None:
        target = httpx.URL(url)
        # without TLS, no certificates are loaded: they cost more than all the rest
        super().__init__(verify=target.scheme != "http", limits=limits, proxy=_proxy(target))
        self._pool._network_backend = _Backend(self._pool._network_backend)
