"""Manifests and indexes: told apart by what they hold, and refused where they could be taken for either."""

import json
from typing import Any

import pytest

from lamina.oci import manifest, mediatypes
from lamina.oci.codec import LIMIT, InvalidDocument, encode
from lamina.oci.manifest import Descriptor, Index, Manifest
from lamina.oci.platform import Platform
from lamina.streams import TooLarge

DIGEST = "sha256:" + "ab" * 32
CONFIG = {"mediaType": mediatypes.OCI_CONFIG, "digest": DIGEST, "size": 2}
LAYER = {"mediaType": mediatypes.OCI_LAYER_GZIP, "digest": "sha256:" + "cb" * 32, "size": 3}
MANIFEST = {"schemaVersion": 2, "mediaType": mediatypes.OCI_MANIFEST, "config": CONFIG, "layers": [LAYER, LAYER]}
INDEX = {
    "schemaVersion": 2,
    "mediaType": mediatypes.OCI_INDEX,
    "manifests": [
        {
            "mediaType": mediatypes.OCI_MANIFEST,
            "digest": DIGEST,
            "size": 7,
            "platform": {"architecture": "arm", "os": "linux", "variant": "v7", "os.version": "1"},
        }
    ],
}


def parse(document: object) -> Manifest | Index:
    return manifest.parse(json.dumps(document).encode(), "it")


def test_manifest() -> None:
    value = parse(MANIFEST)
    assert isinstance(value, Manifest)
    assert [child.size for child in manifest.children(value)] == [2, 3, 3], "the config first"
    assert value.layers[0] == Descriptor(mediatypes.OCI_LAYER_GZIP, value.layers[0].digest, 3)


def test_index() -> None:
    value = parse(INDEX)
    assert isinstance(value, Index)
    (child,) = manifest.children(value)
    assert child.platform == Platform("arm", "linux", "v7", "1")


@pytest.mark.parametrize("document", [MANIFEST, INDEX])
def test_what_is_parsed_goes_out_as_it_came(document: object) -> None:
    assert json.loads(encode(parse(document))) == document


@pytest.mark.parametrize("document", [MANIFEST, INDEX])
def test_the_media_type_may_be_left_out(document: dict[str, Any]) -> None:
    plain = {key: value for key, value in document.items() if key != "mediaType"}
    assert type(parse(plain)) is type(parse(document))


@pytest.mark.parametrize(
    ("document", "why"),
    [
        ({**MANIFEST, "manifests": []}, "it is ambiguous: it has both manifests and layers"),
        ({**INDEX, "layers": []}, "it is ambiguous: it has both manifests and layers"),
        ({**MANIFEST, "mediaType": mediatypes.OCI_INDEX}, "it is ambiguous: its media type"),
        ({**MANIFEST, "mediaType": mediatypes.DOCKER_LIST}, "it is ambiguous: its media type"),
        ({**INDEX, "mediaType": mediatypes.DOCKER_MANIFEST}, "it is ambiguous: its media type"),
        ({**MANIFEST, "schemaVersion": 1}, "it has schemaVersion 1; only 2 is supported"),
        ({**MANIFEST, "schemaVersion": "2"}, "it is invalid"),
        ({"config": CONFIG, "layers": []}, "it has schemaVersion 0"),
        ({"schemaVersion": 2}, "it is invalid: .*config"),
        ({**MANIFEST, "layers": None}, "it is invalid: .*layers"),
        ({**MANIFEST, "config": None}, "it is invalid: .*config"),
        ({**MANIFEST, "config": {**CONFIG, "digest": "sha256:12"}}, "it: invalid digest 'sha256:12'"),
        ({**MANIFEST, "layers": [{**LAYER, "digest": "../../etc/passwd"}]}, "it: invalid digest"),
        ({**MANIFEST, "layers": [{**LAYER, "size": -1}]}, "it: descriptor of sha256:cb.* has a negative size"),
        ({**MANIFEST, "layers": [{**LAYER, "size": 1.5}]}, "it is invalid: .*size"),
        ({**INDEX, "manifests": [{**INDEX["manifests"][0], "digest": ""}]}, "it: invalid digest"),  # type: ignore[index]
        ({**INDEX, "manifests": {}}, "it is invalid: .*manifests"),
        ([], "it is invalid"),
        (1, "it is invalid"),
    ],
)
def test_refused(document: object, why: str) -> None:
    with pytest.raises(InvalidDocument, match=f"^{why}"):
        parse(document)


def test_too_large() -> None:
    with pytest.raises(TooLarge):
        parse({**MANIFEST, "annotations": {"a": "x" * LIMIT}})


def test_nested_too_deep() -> None:
    raw = b'{"schemaVersion":2,"config":' + b'{"a":' * 100_000 + b"1" + b"}" * 100_000 + b"}"
    with pytest.raises(InvalidDocument, match="nested too deep"):
        manifest.parse(raw, "it")
