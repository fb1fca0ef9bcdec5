"""What a check is, how it ends, and how one is run.

A check is a plain function that is handed a `Bench` and returns when its promise holds. Its first line of docstring is the promise.
Whatever else it raises, the promise is broken: `Broken` says how, any other error is the adapter's.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from adapters.errors import PonteError
from events.masterdata import Kind

if TYPE_CHECKING:
    from adapters.conformance.bench import Bench

Role = Literal["crm", "erp", "both"]
State = Literal["holds", "broken", "not_claimed", "not_checked"]


class Broken(Exception):
    """The promise does not hold; the text says what was seen, without data of anybody."""


class NotClaimed(Exception):
    """The adapter does not say that it can do this."""


class Cannot(Exception):
    """This cannot be checked here: nobody plays the person, or nothing can be spoilt."""


@dataclass(frozen=True)
class Check:
    name: str
    role: Role
    promise: str
    """A sentence."""
    needs: str
    """The capability that must be claimed; empty: whoever plays the role promises it."""
    run: Callable[[Bench], None]

    def told(self) -> dict[str, str]:
        return {"name": self.name, "role": self.role, "needs": self.needs, "promise": self.promise}


@dataclass(frozen=True)
class Outcome:
    check: str
    state: State
    why: str = ""

    def told(self) -> dict[str, str]:
        return asdict(self)


_known: list[Check] = []


def check(role: Role, needs: str = "") -> Callable[[Callable[[Bench], None]], Callable[[Bench], None]]:
    """Make a function a check of this role, under its own name."""

    def known(act: Callable[[Bench], None]) -> Callable[[Bench], None]:
        _known.append(Check(act.__name__, role, _promise(act), needs, act))
        return act

    return known


def record_check(needs: str = "") -> Callable[[Callable[[Bench, Kind], None]], Callable[[Bench, Kind], None]]:
    """Make a function of a bench and a kind two checks, `customers_...` and `products_...`, of whoever keeps records."""

    def known(act: Callable[[Bench, Kind], None]) -> Callable[[Bench, Kind], None]:
        for kind in Kind:

            def run(bench: Bench, kind: Kind = kind) -> None:
                act(bench, kind)

            _known.append(Check(f"{kind}s_{act.__name__}", "both", _promise(act).replace("{kind}", kind), needs, run))
        return act

    return known


def _promise(act: Callable[..., None]) -> str:
    return (act.__doc__ or act.__name__).strip().partition("\n")[0]


def checks(role: str = "") -> Sequence[Check]:
    """Every check, or those that an adapter of this role must pass, in the order in which they read best."""
    from adapters.conformance import suites

    assert suites.ALL
    return [each for each in _known if not role or each.role in (role, "both")]


def examine(bench: Bench, names: Sequence[str] = ()) -> Iterator[tuple[Check, Outcome]]:
    """Run the checks of the bench's role one after the other, or only those named, and say how each ended."""
    for each in checks(bench.subject.role):
        if not names or each.name in names:
            yield each, examined(each, bench)


def examined(each: Check, bench: Bench) -> Outcome:
    """Run one check. Raises nothing of what it may find."""
    try:
        bench.clear()
        each.run(bench)
    except Broken as broken:
        return Outcome(each.name, "broken", str(broken))
    except NotClaimed as missing:
        return Outcome(each.name, "not_claimed", str(missing))
    except Cannot as unable:
        return Outcome(each.name, "not_checked", str(unable))
    except Exception as error:
        return Outcome(each.name, "broken", f"{told(error)} at {_place(error)}")
    finally:
        bench.end()
    return Outcome(each.name, "holds")


def told(error: BaseException) -> str:
    """An error by its class and code: its text may quote what the system said."""
    return f"{type(error).__name__}({error.code})" if isinstance(error, PonteError) else type(error).__name__


def _place(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    ours = [each for each in frames if "conformance" in each.filename]
    return " < ".join(f"{each.name}:{each.lineno}" for each in [*frames[-1:], *ours[-1:]])


def expect(holds: Any, otherwise: str) -> None:
    """Raises `Broken` with `otherwise` unless it holds."""
    if not holds:
        raise Broken(otherwise)
