"""`lamina build`."""

import argparse
import os
import sys
from typing import TYPE_CHECKING, Any

from ..errors import FailedPrecondition, InvalidArgument, LaminaError, NotSupported
from ..events import Event, Output
from .parser import Parser
from .shell import Shell

if TYPE_CHECKING:
    from ..oci.reference import Reference

_NETWORKS = {"default": "host", "": "host", "host": "host", "none": "none"}


def parser(summary: str) -> Parser:
    """Return the command's parser."""
    parser = Parser("lamina build [OPTIONS] PATH | -", summary, ["lamina image build"])
    parser.values("--build-arg", value="list", help="Set build-time variables")
    parser.option("-f", "--file", value="string", help="Name of the Dockerfile (Default is 'PATH/Dockerfile')")
    parser.option("--iidfile", value="string", help="Write the image ID to the file")
    parser.values("--label", value="list", help="Set metadata for an image")
    parser.option("--network", value="string", help="Set the networking mode for the RUN instructions: none or host")
    parser.flag("--no-cache", help="Do not use cache when building the image")
    parser.flag("--pull", help="Always attempt to pull a newer version of the image")
    parser.flag("-q", "--quiet", help="Suppress the build output and print image ID on success")
    parser.values("-t", "--tag", value="list", help="Name and optionally a tag in the 'name:tag' format")
    parser.option("--target", value="string", help="Set the target build stage to build")
    parser.arguments(1, 1)
    return parser


def run(options: argparse.Namespace, shell: Shell) -> int:
    """Run the command; a RUN that fails gives it its exit status."""
    inputs, wanted = _inputs(options), _options(options, shell)
    held: list[bytes] = []
    if options.quiet:
        shell.quiet = True
        shell.engine.report = lambda event: _hold(event, held, shell)
    if options.iidfile:
        shell.require_folder(options.iidfile)
        _forget(options.iidfile)
    try:
        image_id = shell.engine.build(inputs, wanted)
    except LaminaError as error:
        from ..build.execute import RunFailed

        sys.stderr.buffer.write(b"".join(held))
        if isinstance(error, RunFailed) or error.exit_status == 1:
            raise
        raise FailedPrecondition(
            str(error)
        ) from error  # why a process did not start is told by the status of run alone
    if options.iidfile:
        from ..files import replace

        replace(os.path.abspath(options.iidfile), image_id.encode())
    if options.quiet:
        shell.line(image_id)
    return 0


def _inputs(options: argparse.Namespace) -> Any:
    """Return what is to be built, by the path or `-`, and -f."""
    from ..build.inputs import Inputs

    where, file = options.arguments[0], options.file
    if where.startswith(("http://", "https://", "git://", "git@", "github.com/")):
        raise NotSupported(f"the context {where} is remote, which is not supported yet: fetch it and name the folder")
    if where == "-":
        if file == "-":
            raise InvalidArgument("invalid argument: can't use stdin for both build context and dockerfile")
        return Inputs(stream=sys.stdin.buffer, dockerfile=file)
    if not os.path.isdir(where):
        raise InvalidArgument(f"unable to prepare context: path {where!r} not found, or not a folder")
    if file == "-":
        return Inputs(folder=where, stream=sys.stdin.buffer)
    return Inputs(folder=where, dockerfile=os.path.abspath(file) if file else "")


def _options(options: argparse.Namespace, shell: Shell) -> Any:
    from ..build.builder import Options
    from ..oci import reference

    if options.network not in _NETWORKS:
        raise NotSupported(f"network {options.network!r} is not supported: there are none and host")
    names = tuple(_name(text) for text in options.tag)
    if by_digest := next((name for name in names if name.digest), None):
        raise reference.InvalidReference(str(by_digest), "an image cannot be tagged by digest")
    return Options(
        names=tuple(dict.fromkeys(names)),
        target=options.target,
        arguments={name: _value(name, equals, value, shell) for name, equals, value in _pairs(options.build_arg)},
        labels={name: value for name, _, value in _pairs(options.label)},
        cached=not options.no_cache,
        network=_NETWORKS[options.network],
        pull="always" if options.pull else "missing",
    )


def _name(text: str) -> "Reference":
    from ..oci import reference
    from .granting import BadOption

    try:
        return reference.parse(text).tagged()
    except reference.InvalidReference as error:
        raise BadOption(f'invalid argument "{text}" for "-t, --tag" flag: {error}') from error


def _pairs(texts: list[str]) -> list[tuple[str, str, str]]:
    return [text.partition("=") for text in texts]


def _value(name: str, equals: str, value: str, shell: Shell) -> str | None:
    """Return the value of a build argument; a bare name takes the environment's."""
    return value if equals else shell.environment.get(name)


def _hold(event: Event, held: list[bytes], shell: Shell) -> None:
    """Keep the output, for the case that the build fails."""
    if isinstance(event, Output):
        held.append(event.data)
    else:
        shell.report(event)


def _forget(path: str) -> None:
    """Remove the file of an earlier build, so that a failed one leaves none."""
    if os.path.lexists(path):
        os.unlink(path)
