"""What a conmon runs at a container's end: `python -m lamina.containers.ended ROOT DRIVER RUN_ROOT RUNTIME ID`.

It notes the end, removes what goes with it, and starts again what is to be. Its own failure loses nothing: the conmon
ends, and the next command finds a container whose conmon is gone.
"""

import contextlib
import os
import sys

from .. import sharing
from ..errors import LaminaError
from ..runtime import bundle
from ..store.store import Store
from .detached import restart_after, settle
from .life import Containers


def main() -> None:
    """Do it; the exit status is 1 if somebody else has to."""
    root, driver, run_root, runtime, container = sys.argv[1:]
    store = Store(root, driver)
    containers = Containers(store, run_root, runtime)
    store.recoverers.append(containers.recover)
    bundle.leave(run_root, container)  # this namespace is the container's, and may be that of its next start
    with contextlib.suppress(LaminaError):
        sharing.withdraw(store.mounts.mount(store.mounts.get(container)).holders, os.getppid())
    try:
        delay = settle(containers, container, os.getppid())
        if delay is not None:
            restart_after(containers, container, delay)
    except LaminaError:
        sys.exit(1)


if __name__ == "__main__":
    main()
