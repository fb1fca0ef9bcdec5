"""Where a check works: a subject behind the kit's proxy, and what a worker of the fleet would do with it."""

from __future__ import annotations

import itertools
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar, cast

from adapters.conformance.checks import Broken, Cannot, NotClaimed, expect, told
from adapters.conformance.subject import Subject
from adapters.conformance.wire import Answer, Spoil, Wire
from adapters.errors import Conflict, PonteError, TryLater, UnknownOutcome
from adapters.ports import CrmDesk, Erp, RecordBook, RecordCapabilities
from events.masterdata import Gone, Kind, Record
from events.model import ErpOrder

T = TypeVar("T")
_TRIES = 40
_PATIENCE = 600.0


class Bench:
    """One run of the kit over one subject. Keys and names that it makes are its own: nothing there before is touched."""

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self.run = secrets.token_hex(3)
        self._number = itertools.count(1)
        self._made: list[Any] = []
        settings = subject.settings()
        self._settings = dict(settings)
        url = getattr(subject.factory.Settings(**settings), subject.url_key, None)
        self.wire = Wire(url) if isinstance(url, str) and url.startswith("http") else None

    def close(self) -> None:
        if self.wire is not None:
            self.wire.close()
        self.subject.close()

    def clear(self) -> None:
        """Nothing is spoilt from here on."""
        if self.wire is not None:
            self.wire.clear()

    def end(self) -> None:
        """A check is over: the adapters that it made are closed."""
        self.clear()
        made, self._made = self._made, []
        for each in made:
            if callable(close := getattr(each, "close", None)):
                close()

    # --- the adapter, each time as another process would have it

    def adapter(self, **changes: Any) -> Any:
        settings = dict(self._settings)
        if self.wire is not None:
            settings[self.subject.url_key] = self.wire.url
        factory = self.subject.factory
        made = factory("kit", factory.Settings(**{**settings, **changes}))
        self._made.append(made)
        return made

    def hasty(self, **changes: Any) -> Any:
        """An adapter that gives up soon."""
        return self.adapter(**{**self.subject.hurry, **changes})

    def erp(self) -> Erp:
        return cast(Erp, self.adapter())

    def crm(self) -> CrmDesk:
        return cast(CrmDesk, self.adapter())

    def book(self) -> RecordBook:
        return cast(RecordBook, self.adapter())

    def secrets(self) -> list[str]:
        return [str(self._settings[name]) for name in self.subject.wrong if self._settings.get(name)]

    def claims(self, kind: Kind) -> RecordCapabilities:
        """Raises `NotClaimed` where this kind is not kept there."""
        if not hasattr(self.subject.factory, "record_capabilities"):
            raise NotClaimed("it keeps no records")
        found = self.book().record_capabilities(kind)
        if not found.reads:
            raise NotClaimed(f"it knows no {kind}s")
        return found

    def writable(self) -> None:
        if not self.subject.writes:
            raise Cannot("it would write; the system may not be written to (--writes allows it)")

    # --- the wire

    def _wire(self) -> Wire:
        if self.wire is None:
            raise Cannot(f"nothing can be spoilt: its settings hold no address under {self.subject.url_key!r}")
        return self.wire

    def pattern(self, call: str) -> str:
        try:
            return self.subject.calls[call]
        except KeyError:
            raise Cannot(f"it is not said by which call it does this (Subject.calls[{call!r}])") from None

    def spoil(self, kind: str, call: str, **options: Any) -> None:
        self._wire().spoil(Spoil(kind, self.pattern(call) if call else "", **options))

    def starve(self, call: str = "read", **options: Any) -> None:
        """Reads are answered by nothing, in the vendor's way."""
        self.subject.nothing("GET", "/", b"")  # said at once when it is not known
        self.spoil("answer", call, answer=self.subject.nothing, **options)

    def throttle(self, call: str = "", retry_after: float | None = None, times: int = 1) -> None:
        self.spoil("answer", call, answer=Answer(429, b"Too many requests", "text/plain", retry_after), times=times)

    def land(self) -> None:
        self._wire().land()

    def meanwhile(self, call: str, act: Callable[[], object]) -> None:
        self._wire().meanwhile(self.pattern(call), act)

    @contextmanager
    def counting(self, call: str) -> Iterator[Callable[[], int]]:
        """Calls of this sort within the block."""
        wire, pattern = self._wire(), self.pattern(call)
        began = len(wire.seen)
        yield lambda: wire.count(pattern, began)

    # --- as a worker does

    def again(self, act: Callable[[Any], T]) -> T:
        """A new process does it, and again while it says later or unknown, after the time that it says."""
        until = time.monotonic() + _PATIENCE
        for _ in range(_TRIES):
            try:
                return act(self.adapter())
            except UnknownOutcome as unknown:
                self.subject.settle(unknown.settles_after)
            except TryLater as later:
                self.subject.settle(later.after if later.after is not None else 0.2)
            if time.monotonic() > until:
                break
        raise Broken("however often it is tried, it never ends")

    def ask(self, method: str, *arguments: Any, **named: Any) -> Any:
        """This method of the port, as `again` does it."""
        return self.again(lambda end: getattr(end, method)(*arguments, **named))

    def adapter_settles(self) -> float:
        """Seconds until a write whose answer was lost is done or never will be."""
        return float(getattr(getattr(self.adapter(), "settings", None), "settles_after", self._settings.get("settles_after", 1.0)))

    def key(self) -> str:
        return f"PONTE-kit{self.run}-{next(self._number)}"

    def text(self) -> str:
        return f"Peça {self.run} {next(self._number)}"

    def placed(self, key: str = "", *lines: tuple[str, str, str], **changes: Any) -> ErpOrder:
        """An order in the ERP, made as a worker would."""
        self.writable()
        wanted, key = self.subject.order(*lines, **changes), key or self.key()
        made: ErpOrder = self.ask("create_order", wanted, self.subject.customer_id, key, 1)
        return made

    def waiting(self, key: str = "") -> ErpOrder:
        """An order that finance has before it. Not checked where the house lets it through by itself."""
        made = self.placed(key)
        found: ErpOrder = self.ask("submit", made.id)
        if found.stage != "waiting":
            raise Cannot("the sample order does not wait for finance; take one that this house does not let through by itself")
        return found

    def only(self, key: str) -> ErpOrder:
        """The one order under this key, as a new process finds it."""
        found = self.ask("find_orders", key)
        expect(len(found) == 1, f"{len(found)} orders under one key")
        order: ErpOrder = found[0]
        return order

    def record(self, kind: Kind, record_id: str) -> Record:
        found = self.ask("records", kind, [record_id]).get(record_id)
        expect(isinstance(found, Record), "a record that exists is not answered")
        return cast(Record, found)

    def some(self, kind: Kind) -> Record:
        """A record in use, of those that the feed tells of first; a new one where one can be made."""
        self.claims(kind)
        try:
            (made,) = self.subject.make_many(kind, 1) if self.subject.writes else ("",)
        except Cannot:
            made = ""
        if made:
            return self.record(kind, made)
        page = self.again(lambda book: next(iter(book.changed_records(kind, "")), None))
        found = next((each for each in (page.records if page else ()) if each.active and not each.fields.get("blocked")), None)
        if found is None:
            raise Cannot(f"the system has no {kind} in use on its first page")
        return cast(Record, found)


def raises(act: Callable[[], object], *wanted: type[BaseException]) -> PonteError:
    """The error of a call that must fail so; anything else is `Broken`."""
    names = " or ".join(each.__name__ for each in wanted)
    try:
        act()
    except wanted as error:
        return cast(PonteError, error)
    except Exception as error:
        raise Broken(f"{told(error)} where {names} is due") from None
    raise Broken(f"it passes where {names} is due")


def later(error: BaseException) -> bool:
    """It says that the same call may pass later, and not that something changed meanwhile."""
    return isinstance(error, TryLater) and not isinstance(error, Conflict)


def present(found: Mapping[str, Any], record_id: str) -> bool:
    return record_id in found and not isinstance(found[record_id], Gone)
