"""What the prune commands share: the question, the filters, and what they say in the end."""

import argparse
import sys
from typing import TYPE_CHECKING

from ..errors import InvalidArgument
from .moments import moment
from .parser import Parser, pair
from .shell import Shell

if TYPE_CHECKING:
    from ..engine.pruning import Conditions, Pruned, PrunedImages


def add_options(parser: Parser, filters: str) -> None:
    """Add the options of a prune command."""
    parser.values("--filter", value="filter", help=f"Provide filter values (e.g. {filters})", parse=pair)
    parser.flag("-f", "--force", help="Do not prompt for confirmation")
    parser.arguments(0, 0)


def conditions(options: argparse.Namespace, *, until: bool = True) -> "Conditions":
    """Return what the filters say.

    Raises:
        InvalidArgument: there is no such filter.
    """
    from ..engine.pruning import Conditions

    bound, labels, without = 0, [], []
    for text in options.filter:
        name, _, value = text.partition("=")
        if name == "until" and until:
            bound = moment(value, "until")
        elif name == "label":
            labels.append(value)
        elif name == "label!":
            without.append(value)
        else:
            raise InvalidArgument(f"invalid filter '{name}'")
    return Conditions(bound, tuple(labels), tuple(without))


def agreed(options: argparse.Namespace, shell: Shell, warning: str) -> bool:
    """Ask whether to go on, unless that is settled."""
    if options.force:
        return True
    shell.out(f"WARNING! {warning}\nAre you sure you want to continue? [y/N] ")
    sys.stdout.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def show(shell: Shell, what: str, pruned: "Pruned") -> None:
    """Say which things went."""
    if pruned.names:
        shell.out(f"Deleted {what}:\n" + "".join(f"{name}\n" for name in pruned.names) + "\n")


def show_images(shell: Shell, pruned: "PrunedImages") -> None:
    """Say which images went."""
    lines = [f"untagged: {one.untagged}" if one.untagged else f"deleted: {one.deleted}" for one in pruned.removed]
    if lines:
        shell.out("Deleted Images:\n" + "".join(f"{line}\n" for line in lines) + "\n")


def total(shell: Shell, space: int) -> None:
    """Say how many bytes came back."""
    from ..render import units

    shell.line(f"Total reclaimed space: {units.size(space)}")
