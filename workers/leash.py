"""Start a command that ends when its supervisor does: `python leash.py SUPERVISOR_PID COMMAND...`. Standard library only.

On Linux the kernel sends the command SIGTERM when the supervisor dies, a SIGKILL included. Elsewhere the next start finds what
is left (`workers.supervisor`). A wrapper and not a hook in the fork: hooks run Python code between fork and exec, which may
deadlock when the supervisor has threads.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main(supervisor: int, command: list[str]) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        # it may have died before we asked to be told
        if os.getppid() != supervisor:
            sys.exit(1)
    try:
        os.execvp(command[0], command)
    except OSError as error:
        sys.exit(f"{command[0]}: {error.strerror}")


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
