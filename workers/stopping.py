"""A worker that was told to stop begins nothing new, lets what runs go on for a little while, and then hands it back.

    SIGTERM ---- FREE_SECONDS ----> the next call of whatever still runs raises: its event is due again, for another worker
            `-- a bell that rings now is left: its event stays due

Stopping anywhere is safe, since a kill is. Handing back saves the others the wait for a lease to run out.
"""

from __future__ import annotations

import time

from adapters.errors import TryLater

FREE_SECONDS = 10.0
"""With the longest deadline of a call this must stay below the supervisor's grace for a worker."""


class Stopping:
    def __init__(self) -> None:
        self._since: float | None = None

    def begin(self) -> None:
        """From a signal handler: nothing here waits or locks."""
        if self._since is None:
            self._since = time.monotonic()

    @property
    def asked(self) -> bool:
        return self._since is not None

    def check(self) -> None:
        """Before each call to the outside."""
        if self._since is not None and time.monotonic() - self._since > FREE_SECONDS:
            raise TryLater("stopping", "this worker is being stopped", after=0.0, fix="nothing to do: another one goes on")


stopping = Stopping()
"""Of this process."""
