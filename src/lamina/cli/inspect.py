"""`lamina inspect`."""

import argparse
from typing import Any

from ..errors import InvalidArgument, LaminaError, NotFound
from .parser import Parser
from .shell import Shell

_TYPES = ("container", "image", "volume")


def parser(summary: str) -> Parser:
    """Return the command's parser."""
    parser = Parser("lamina inspect [OPTIONS] NAME|ID [NAME|ID...]", summary)
    parser.option("-f", "--format", value="string", help="Format output using a custom template: 'json' or 'TEMPLATE'")
    parser.flag("-s", "--size", help="Display total file sizes if the type is container")
    parser.option("--type", value="string", help="Only inspect objects of the given type: image, container or volume")
    parser.arguments(1, None)
    return parser


def run(options: argparse.Namespace, shell: Shell) -> int:
    """Run the command: what is found is shown, and what is not makes it fail."""
    if options.type not in ("", *_TYPES):
        raise InvalidArgument(f'unknown type: "{options.type}": must be one of "container", "image", "volume"')
    found: list[dict[str, Any]] = []
    missing: list[str] = []
    for name in options.arguments:
        try:
            found.append(_find(shell, name, options))
        except LaminaError as error:
            missing.append(str(error) if not isinstance(error, NotFound) or options.type else f"No such object: {name}")
    shell.out(shown(found, options.format))
    for text in missing:
        shell.warn(f"Error: {text}")
    return 1 if missing else 0


def _find(shell: Shell, name: str, options: argparse.Namespace) -> dict[str, Any]:
    """Return what is known of a container, or else of an image, or else of a volume, of this name."""
    from ..oci.reference import InvalidReference

    wanted = (options.type,) if options.type else _TYPES
    for kind in wanted:
        try:
            if kind == "container":
                return shell.engine.inspect_container(name, sizes=options.size)
            return shell.engine.inspect_image(name) if kind == "image" else shell.engine.inspect_volume(name)
        except (NotFound, InvalidReference):
            if kind == wanted[-1]:
                raise
    raise AssertionError(wanted)


def shown(found: list[dict[str, Any]], form: str) -> str:
    """Return what was found, in a format, or as one JSON list."""
    import msgspec

    if form and form != "json":
        from ..render.template import parse

        template = parse(form)
        return "".join(template.render(one) + "\n" for one in found)
    data = msgspec.json.encode(found)
    return (data if form else msgspec.json.format(data, indent=4)).decode() + "\n"
