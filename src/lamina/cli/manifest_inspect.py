"""`lamina manifest inspect`."""

import argparse
import base64
import json
import sys
from typing import TYPE_CHECKING, Any

from ..errors import InvalidArgument
from . import registries
from .parser import Parser
from .shell import Shell

if TYPE_CHECKING:
    from ..oci.manifest import Descriptor
    from ..oci.platform import Platform
    from ..oci.reference import Reference
    from ..remote.registry import Registry


def parser(summary: str) -> Parser:
    """Return the command's parser."""
    parser = Parser("lamina manifest inspect [OPTIONS] IMAGE[:TAG|@DIGEST]", summary)
    parser.option("--platform", value="string", help="Show one platform's manifest of an index: os/arch[/variant]")
    parser.flag("--raw", help="Print the very bytes that the registry has")
    parser.flag(
        "-v", "--verbose", help="Show an image's name, descriptor and platform besides; of an index, each image's"
    )
    registries.insecure(parser)
    parser.arguments(1, 1)
    return parser


def run(options: argparse.Namespace, shell: Shell) -> int:
    """Run the command."""
    from ..content import choosing
    from ..oci import codec, platform, reference
    from ..remote.registry import Registry

    if options.verbose and options.raw:
        raise InvalidArgument("--raw and --verbose exclude each other")
    named = reference.parse(options.arguments[0]).tagged()
    with registries.client(shell, named.domain if options.insecure else "") as client:
        repository = Registry(named, client)
        found, raw = repository.fetch(named.digest or named.tag)
        if options.platform:
            found = choosing.choose(repository, found, platform.parse(options.platform))[-1]
            _, raw = repository.fetch(found.digest)
        if options.verbose:
            shown = json.dumps(_verbose(repository, named, found, raw), indent="\t", ensure_ascii=False)
            shell.line(codec.as_go(shown))
            return 0
    if options.raw:
        sys.stdout.flush()
        sys.stdout.buffer.write(raw)
    else:
        shell.line(json.dumps(json.loads(raw), indent=4, ensure_ascii=False))
    return 0


def _verbose(
    repository: "Registry", named: "Reference", found: "Descriptor", raw: bytes
) -> dict[str, Any] | list[dict[str, Any]]:
    """Return what docker tells of an image, or of all images of an index."""
    from ..oci import manifest
    from ..oci.manifest import Index
    from ..remote import drafts

    value = manifest.parse(raw, f"manifest for {named.familiar}")
    if not isinstance(value, Index):
        return _image(str(named), found, drafts.platform_of(repository, value), raw)
    images = []
    for child in value.manifests:
        _, raw = repository.fetch(child.digest)
        images.append(_image(f"{named}@{child.digest}", child, child.platform, raw))
    return images


def _image(name: str, found: "Descriptor", platform: "Platform | None", raw: bytes) -> dict[str, Any]:
    from ..oci import mediatypes

    descriptor: dict[str, Any] = {"mediaType": found.media_type, "digest": found.digest, "size": found.size}
    if platform is not None:
        descriptor["platform"] = _in_order(platform)
    kind = "SchemaV2Manifest" if found.media_type == mediatypes.DOCKER_MANIFEST else "OCIManifest"
    return {"Ref": name, "Descriptor": descriptor, "Raw": base64.b64encode(raw).decode(), kind: json.loads(raw)}


def _in_order(platform: "Platform") -> dict[str, Any]:
    """Return a platform's fields in the order that docker has."""
    import msgspec

    known = msgspec.to_builtins(platform)
    return {
        name: known[name] for name in ("architecture", "os", "os.version", "os.features", "variant") if name in known
    }
