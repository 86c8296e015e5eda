"""How the containers are that have a health check.

There is no daemon to look after that. Each gets a prober at its start (`probing`), which runs the probes, and ends with
the container or with who watches that: the conmon, or the runner in the foreground. Whoever asks reads what the prober
has noted.
"""

import msgspec

from ..oci import config
from ..runtime import health
from .life import Containers
from .records import LIVE, Record


def check_of(record: Record) -> config.Health | None:
    """Return the check of a container, None if it has none."""
    found = record.config.healthcheck
    return found if found and found.test and found.test[0] != "NONE" else None


def state(containers: Containers, record: Record) -> health.Health | None:
    """Return how a container is; None for one without a check, or that has not run. One that has ended is unhealthy."""
    found = health.read(containers.run_root, record.id) if check_of(record) else None
    if found and containers.state(record.id).status not in LIVE:
        return msgspec.structs.replace(found, status=health.UNHEALTHY)
    return found
