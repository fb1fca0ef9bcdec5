"""How often Python looks for garbage that refers to itself, in a process that works batches of records.

A batch of a hundred records is some ten thousand objects, none of them garbage until it ends, and all that was imported never is.
Looked for at Python's own pace, 12 to 20 % of a first load's CPU goes into finding nothing (measured on a loaded machine).
"""

from __future__ import annotations

import gc

YOUNG = 20_000
"""New objects until the young ones are looked through; Python's own figure is 700."""


def look_less_often() -> None:
    """To be called once all is imported, which is not looked through again. Again: what came since is left out as well."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, 10, 10)
