"""`lamina system prune`."""

import argparse

from ..errors import InvalidArgument
from . import pruning
from .image_prune import ALL, DANGLING
from .parser import Parser
from .shell import Shell


def parser(summary: str) -> Parser:
    """Return the command's parser."""
    parser = Parser("lamina system prune [OPTIONS]", summary)
    parser.flag("-a", "--all", help="Remove all unused images, not just dangling ones")
    parser.flag("--volumes", help="Prune anonymous volumes")
    pruning.add_options(parser, '"label=<key>=<value>"')
    return parser


def run(options: argparse.Namespace, shell: Shell) -> int:
    """Run the command."""
    conditions = pruning.conditions(options)
    if options.volumes and conditions.until:
        raise InvalidArgument('the "until" filter is not supported with "--volumes"')
    what = ["all stopped containers", *["all anonymous volumes not used by at least one container"] * options.volumes]
    what.append(ALL if options.all else DANGLING)
    warning = "This will remove:\n" + "".join(f"  - {one}\n" for one in what)
    if not pruning.agreed(options, shell, warning):
        return 0
    containers = shell.engine.prune_containers(conditions)
    pruning.show(shell, "Containers", containers)
    space = containers.space
    if options.volumes:
        volumes = shell.engine.prune_volumes(conditions)
        pruning.show(shell, "Volumes", volumes)
        space += volumes.space
    images = shell.engine.prune_images(conditions, every=options.all)
    pruning.show_images(shell, images)
    pruning.total(shell, space + images.space)
    return 0
