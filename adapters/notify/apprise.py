"""Mail, chat and the rest through Apprise: one URL a channel, `{email}` in it filled with the recipient's address.

Apprise answers true or false, and false does not say whether something left. So the server is asked for a connection first:
refused or unreachable is a sure "nothing left" (`TryLater`); after that, anything but true is unknown. Apprise's own logger
is silenced, since it writes addresses and URLs.
"""

from __future__ import annotations

import logging
import socket
from contextlib import suppress
from urllib.parse import quote, urlsplit
from urllib.request import getproxies, proxy_bypass

import apprise
from apprise.plugins.custom_form import NotifyForm
from apprise.plugins.custom_json import NotifyJSON
from apprise.plugins.custom_xml import NotifyXML

from adapters.errors import NeedsPerson, TryLater, UnknownOutcome
from events.model import Owner, Person

CONNECT_SECONDS = 10.0
READ_SECONDS = 20.0
MAIL_PORTS = {"insecure": 25, "ssl": 465, "starttls": 587}
_OWN_SERVER = (NotifyJSON, NotifyXML, NotifyForm)

logging.getLogger("apprise").addFilter(lambda _record: False)  # `disabled` would be undone by whoever configures logging
logging.getLogger("urllib3").setLevel(logging.ERROR)  # its debug lines hold paths, which hold addresses


class AppriseChannel:
    """Implements `adapters.ports.Channel`. Thread-safe: every send makes a plugin of its own."""

    def __init__(self, url_template: str, *, connect_seconds: float = CONNECT_SECONDS, read_seconds: float = READ_SECONDS) -> None:
        self._template = url_template
        self._connect_seconds = connect_seconds
        self._read_seconds = read_seconds

    def __repr__(self) -> str:
        return f"AppriseChannel({self._template.partition(':')[0]}://...)"

    def send(self, recipient: Person, title: str, body: str) -> None:
        """Raises `NeedsPerson` (nothing left), `TryLater` (nothing left), `UnknownOutcome` (perhaps it did)."""
        plugin = self._plugin(recipient)
        self._probe(plugin)
        # No exception of a plugin may travel on: its message holds addresses.
        sent: bool | None = False
        with suppress(Exception):
            sent = plugin.notify(title=title, body=body, body_format=apprise.NotifyFormat.TEXT)
        if not sent:
            raise UnknownOutcome("delivery_unknown", "The channel did not confirm the delivery", settles_after=0)

    def _plugin(self, recipient: Person) -> apprise.NotifyBase:
        url = self._template
        if "{email}" in url:
            if not recipient.email:
                raise NeedsPerson(
                    "recipient_without_email",
                    "The person who must be told has no e-mail address in the CRM",
                    fix="Fill in the user's e-mail in the CRM, then `ponte retry`",
                )
            url = url.replace("{email}", quote(recipient.email, safe=""))
        plugin = apprise.Apprise.instantiate(url, asset=apprise.AppriseAsset(async_mode=False, secure_logging=True))
        if not plugin:
            raise NeedsPerson(
                "channel_url_invalid",
                "Apprise does not understand this channel's URL",
                fix="Correct the URL in `channels` of the bridge's notices; its forms: https://appriseit.com/services/",
                owner=Owner.INTEGRATOR,
            )
        plugin.socket_connect_timeout = self._connect_seconds
        plugin.socket_read_timeout = self._read_seconds
        return plugin

    def _probe(self, plugin: apprise.NotifyBase) -> None:
        """Raises `TryLater` when the server takes no connection. Where the server is not to be told, nothing is asked."""
        endpoint = _endpoint(plugin)
        if endpoint is None:
            return
        try:
            socket.create_connection(endpoint, timeout=self._connect_seconds).close()
        except OSError as error:
            raise TryLater("channel_unreachable", f"The channel's server takes no connection ({type(error).__name__})") from None


def _endpoint(plugin: apprise.NotifyBase) -> tuple[str, int] | None:
    mail_host = getattr(plugin, "smtp_host", None)
    if mail_host:
        return str(mail_host), int(plugin.port or MAIL_PORTS.get(str(getattr(plugin, "secure_mode", "")), 25))
    if isinstance(plugin, _OWN_SERVER):
        host, port, secure = plugin.host, plugin.port, plugin.secure
    else:  # a service's `host` may be a part of its token: never to be looked up
        parts = urlsplit(str(getattr(plugin, "notify_url", None) or ""))
        host, port, secure = parts.hostname, parts.port, parts.scheme == "https"
    if not host or "{" in host:
        return None
    if ("https" if secure else "http") in getproxies() and not proxy_bypass(host):
        return None
    return host, int(port or (443 if secure else 80))
