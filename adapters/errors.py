"""Errors by consequence: the class decides what happens next, the sentence tells the owner, the fix is the cure.

No message here may carry a person's name, a tax id, an amount or a secret: what is for people's eyes stands in `reasons`,
which is stored in the journal and never logged or queued.
"""

from __future__ import annotations

from events.model import Owner, Reason


class PonteError(Exception):
    """Base. `code` is a stable snake-case name; `owner` who must act; `fix` what to do next."""

    owner = Owner.OPERATOR

    def __init__(self, code: str, sentence: str = "", *, fix: str = "", owner: Owner | None = None) -> None:
        super().__init__(f"{code}: {sentence}" if sentence else code)
        self.code = code
        self.sentence = sentence or code
        self.fix = fix
        self.connection = ""
        """Where it happened, filled in by whoever holds the adapter."""
        if owner is not None:
            self.owner = owner


class TryLater(PonteError):
    """Nothing was done, and the same call may pass later. `after` in seconds; None: the caller's back-off decides."""

    def __init__(
        self, code: str, sentence: str = "", *, after: float | None = None, fix: str = "", owner: Owner | None = None
    ) -> None:
        super().__init__(code, sentence, fix=fix, owner=owner)
        self.after = after


class Conflict(TryLater):
    """The record changed between our reading and our write: read again, plan again."""


class Rejected(PonteError):
    """A business no. A successful job with an outcome, never retried by itself."""

    owner = Owner.SALESPERSON

    def __init__(self, code: str, reasons: tuple[Reason, ...]) -> None:
        super().__init__(code, ", ".join(reason.code for reason in reasons))
        self.reasons = reasons


class NeedsPerson(PonteError):
    """A person must act before this thing can go on; others go on."""


class Misconfigured(PonteError):
    """The bridge's settings or credentials are wrong: nothing on this connection can pass. Never retried in a loop."""

    owner = Owner.INTEGRATOR


class UnknownOutcome(PonteError):
    """The call may or may not have been carried out. Look, but only after `settles_after` seconds."""

    def __init__(self, code: str, sentence: str = "", *, settles_after: float) -> None:
        super().__init__(code, sentence)
        self.settles_after = settles_after


class NotFound(PonteError):
    """The system answers that this id does not exist."""

    owner = Owner.SALESPERSON
