"""The options of `run` and `create` about health checks."""

import argparse
from typing import TYPE_CHECKING

from . import spellings
from .granting import BadOption
from .parser import Parser

if TYPE_CHECKING:
    from ..oci.config import Health


def add_options(parser: Parser) -> None:
    """Add them all."""
    parser.option("--health-cmd", value="string", help="Command to run to check health")
    spans = {
        "--health-interval": "Time between running the check (ms|s|m|h)",
        "--health-timeout": "Maximum time to allow one check to run (ms|s|m|h)",
        "--health-start-period": "Start period for the container to initialize before failures count (ms|s|m|h)",
    }
    for name, text in spans.items():
        parser.option(name, value="duration", help=text, default=0, parse=spellings.duration)
    retries = "Consecutive failures needed to report unhealthy"
    parser.option("--health-retries", value="int", help=retries, default=0, parse=spellings.whole)
    parser.flag("--no-healthcheck", help="Disable any container-specified HEALTHCHECK")


def check(options: argparse.Namespace) -> "Health | None":
    """Return the health check that the options ask for; None for the image's.

    Raises:
        BadOption: they contradict each other.
    """
    from ..oci.config import Health

    test = ["CMD-SHELL", options.health_cmd] if options.health_cmd else None
    spans = {name: getattr(options, f"health_{name}") for name in ("interval", "timeout", "start_period", "retries")}
    for name, value in spans.items():
        if value < 0:
            raise BadOption(f"--health-{name.replace('_', '-')} cannot be negative")
    if options.no_healthcheck:
        if test or any(spans.values()):
            raise BadOption("--no-healthcheck conflicts with --health-* options")
        return Health(test=["NONE"])
    return Health(test=test, **spans) if test or any(spans.values()) else None
