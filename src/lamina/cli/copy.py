"""`lamina copy`: an image from one place to another, its blobs as they are."""

import argparse
import contextlib
import tempfile
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from ..errors import InvalidArgument
from . import registries
from .parser import Parser
from .shell import Shell

if TYPE_CHECKING:
    from ..archive.places import Finished, Named
    from ..content.contract import Source, Target
    from ..remote.client import Client

_KINDS = ("docker://", "oci:", "oci-archive:", "docker-archive:", "store:")

_OF_ONE = {"docker-archive:": "a Docker archive", "store:": "the store"}
"""What has room for one platform of an image."""


class Place(NamedTuple):
    """A place as it was written: its kind, and a path or a name; of a path also the image's name there."""

    kind: str
    where: str
    name: str = ""


def parser(summary: str) -> Parser:
    """Return the command's parser."""
    parser = Parser("lamina copy [OPTIONS] SOURCE DESTINATION", summary, ["lamina image copy"])
    parser.flag("-a", "--all", help="Copy all platforms of an index, and the index itself")
    parser.option("--platform", value="string", help="Copy this platform of an index: os/arch[/variant]")
    parser.flag("-q", "--quiet", help="Only print the digest")
    parser.arguments(2, 2)
    return parser


def run(options: argparse.Namespace, shell: Shell) -> int:
    """Run the command."""
    from ..archive.places import Finished
    from ..content import choosing
    from ..oci import mediatypes, platform

    if options.all and options.platform:
        raise InvalidArgument("--all and --platform exclude each other")
    shell.quiet = options.quiet
    source_place, target_place = map(_read, options.arguments)
    wanted = platform.parse(options.platform) if options.platform else platform.host()
    with registries.client(shell) as client, _source(source_place, shell, client) as (source, found):
        way = [found.descriptor] if options.all else choosing.choose(source, found.descriptor, wanted)
        root = found.descriptor if options.all else way[-1]
        if target_place.kind in _OF_ONE and root.media_type in mediatypes.INDEXES:
            raise InvalidArgument(f"{_OF_ONE[target_place.kind]} has one platform of an image: leave --all away")
        _write(target_place, source, Finished(root, way[-1], found.name), shell, client)
    shell.line(root.digest)
    return 0


def _read(text: str) -> Place:
    """Return the place that a text means; one without a kind is the store."""
    for kind in _KINDS:
        if text.startswith(kind):
            rest = text.removeprefix(kind)
            where, name = rest, ""
            if kind not in ("docker://", "store:"):
                where, _, name = rest.partition(":")
            if not where:
                raise InvalidArgument(f"{text!r} says no place: {kind}{'NAME' if '/' in kind else 'PATH'} is expected")
            return Place(kind, where, name)
    if "://" in text:
        raise InvalidArgument(f"{text!r} is of no known kind: {', '.join(_KINDS)}")
    return Place("store:", text)


@contextlib.contextmanager
def _source(place: Place, shell: Shell, client: "Client") -> "Iterator[tuple[Source, Named]]":
    from ..archive import places
    from ..oci import reference
    from ..remote.registry import Registry

    if place.kind == "docker://":
        named = reference.parse(place.where).tagged()
        repository = Registry(named, client)
        name = str(named) if named.tag else ""
        yield repository, places.Named(repository.resolve(named.digest or named.tag), name)
    elif place.kind == "store:":
        with tempfile.NamedTemporaryFile(suffix=".tar") as file:
            shell.engine.save([place.where], file)
            file.flush()
            named = reference.parse(place.where).tagged()
            with places.archive(file.name, "") as (source, found):
                yield source, found._replace(name=str(named))
    else:
        opened = places.layout if place.kind == "oci:" else places.archive
        with opened(place.where, place.name) as (source, found):
            yield source, found


def _write(place: Place, source: "Source", done: "Finished", shell: Shell, client: "Client") -> None:
    """Move an image to where it is to go."""
    from ..archive import places
    from ..content.layout import Layout
    from ..oci import reference
    from ..remote.registry import Registry

    if place.kind == "docker://":
        _into_registry(place.where, source, done, shell, client)
    elif place.kind == "store:" and isinstance(source, Registry):
        shell.engine.pull(f"{source.reference}@{done.root.digest}", into=place.where)
    elif place.kind == "store:":
        with tempfile.TemporaryDirectory() as folder:
            layout = Layout(folder)
            _move(source, layout, done, shell, client)
            layout.tag(done.root, str(reference.parse(place.where).tagged()))
            shell.engine.load_folder(folder, "")
    elif place.kind == "oci:":
        layout = Layout(place.where)
        _move(source, layout, done, shell, client)
        tag = reference.parse(done.name).tag if done.name else ""
        layout.tag(done.root, place.name or tag or reference.DEFAULT_TAG)
    else:
        with places.writing(place.where, for_docker=place.kind == "docker-archive:") as archive:
            _move(source, archive.target, done, shell, client, workers=1)
            archive.finish(source, done._replace(name=place.name or done.name))


def _into_registry(name: str, source: "Source", done: "Finished", shell: Shell, client: "Client") -> None:
    from ..oci import reference
    from ..remote.registry import Registry

    named = reference.parse(name).tagged()
    if named.digest and named.digest != done.root.digest:
        raise InvalidArgument(f"{named.familiar} cannot be the name of {done.root.digest}: a digest is not chosen")
    target = Registry(named, client)
    _move(source, target, done, shell, client)
    if named.tag:
        target.tag(done.root, named.tag)


def _move(
    source: "Source", target: "Target", done: "Finished", shell: Shell, client: "Client", workers: int = 4
) -> None:
    from ..remote.moving import move

    move(source, target, done.root, shell.report, workers, client.cancel)
