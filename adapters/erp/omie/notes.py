"""What stands in an order's observations (obs_venda): ours up to the mark, finance's after it.

Omie's order has no free field for a revision, and the observations are where finance writes why it refuses:

    our notes                    The mark bears a digest of what stands above it, so that our own notes are told from a person's
    [ponte]                      even when somebody writes between them. What people wrote to an earlier revision moves above the
    what people wrote before     mark when a new one is written: nothing of it is lost, and only what is new counts as a reason.
    [ponte r2 1f0a9c]
    what people wrote since
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

_MARK = re.compile(r"\[ponte r(\d+) ([0-9a-f]{6})\]")
_EARLIER = "[ponte]"


@dataclass(frozen=True)
class Notes:
    revision: int
    """0: no mark of ours."""
    theirs: str
    """What people wrote since the mark; with ours among it where they wrote into ours."""
    earlier: str = ""
    """What people wrote to earlier revisions."""

    @property
    def kept(self) -> str:
        return _joined(self.earlier, self.theirs)


def write_notes(ours: str, revision: int, kept: str = "") -> str:
    """`kept`: of the notes that this replaces."""
    above = _joined(ours, _EARLIER, kept) if kept.strip() else ours.strip()
    return _joined(above, f"[ponte r{revision} {_digest(above)}]")


def read_notes(text: str) -> Notes:
    text = text.replace("\r\n", "\n")
    marked = _MARK.search(text)
    if marked is None:
        return Notes(0, text.strip())
    above, below = text[: marked.start()].strip(), text[marked.end() :].strip()
    if _digest(above) != marked[2]:
        return Notes(int(marked[1]), _joined(above.replace(_EARLIER, ""), below))
    return Notes(int(marked[1]), below, above.partition(_EARLIER)[2].strip())


def _joined(*parts: str) -> str:
    return "\n".join(part.strip() for part in parts if part.strip())


def _digest(text: str) -> str:
    """Over the words alone: line ends do not survive every screen."""
    return hashlib.sha256(" ".join(text.replace("|", " ").split()).encode()).hexdigest()[:6]
