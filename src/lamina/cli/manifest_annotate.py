"""`lamina manifest annotate`."""

import argparse

from ..errors import InvalidArgument, NotFound
from . import registries
from .parser import Parser
from .shell import Shell


def parser(summary: str) -> Parser:
    """Return the command's parser."""
    parser = Parser("lamina manifest annotate [OPTIONS] MANIFEST_LIST MANIFEST", summary)
    parser.values("--annotation", value="list", help="Add an annotation to the image's entry (name=value)")
    parser.option("--arch", value="string", help="Set architecture")
    parser.option("--os", value="string", help="Set operating system")
    parser.values("--os-features", value="list", help="Set operating system feature")
    parser.option("--os-version", value="string", help="Set operating system version")
    parser.option("--variant", value="string", help="Set architecture variant")
    parser.arguments(2, 2)
    return parser


def run(options: argparse.Namespace, shell: Shell) -> int:
    """Run the command."""
    import msgspec

    from ..oci import reference
    from ..oci.platform import Platform

    name, wanted = (reference.parse(text).tagged() for text in options.arguments)
    kept = registries.drafts(shell)
    draft = kept.get(name)
    part = next((one for one in draft.parts if _is(wanted, one.name, one.descriptor.digest)), None)
    if part is None:
        raise NotFound(f"manifest for image {wanted.familiar} does not exist in {name.familiar}")
    set_ = {
        field: value
        for field, value in {
            "architecture": options.arch,
            "os": options.os,
            "os_features": tuple(options.os_features),
            "os_version": options.os_version,
            "variant": options.variant,
        }.items()
        if value
    }
    platform = msgspec.structs.replace(part.descriptor.platform or Platform(), **set_)
    annotations = {**(part.descriptor.annotations or {}), **_annotations(options.annotation)}
    described = msgspec.structs.replace(part.descriptor, platform=platform, annotations=annotations or None)
    kept.put(draft.with_part(msgspec.structs.replace(part, descriptor=described)))
    return 0


def _is(wanted: object, name: str, digest: str) -> bool:
    return str(wanted) == name or getattr(wanted, "digest", "") == digest


def _annotations(texts: list[str]) -> dict[str, str]:
    if any("=" not in text for text in texts):
        raise InvalidArgument("an annotation has the form name=value")
    return {name: value for name, _, value in (text.partition("=") for text in texts)}
