"""Readers of what strangers write: any text is understood or refused, and nothing else happens."""

import contextlib
import json

from hypothesis import given
from hypothesis import strategies as st

from lamina.errors import InvalidArgument
from lamina.registry import configuration, documents, names, ranges, routes, tokens
from lamina.registry.codes import Refusal, UploadInvalid
from lamina.registry.tokens import State

PARTS = st.sampled_from(
    ["a", "b1", "..", "", "A", "%2f", "blobs", "uploads", "manifests", "tags", "list", "referrers", "_catalog"]
)
PATHS = st.lists(PARTS, max_size=8).map(lambda parts: "/v2/" + "/".join(parts))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=10,
)
KEYS = st.sampled_from(
    ["schemaVersion", "mediaType", "config", "layers", "manifests", "subject", "annotations", "artifactType"]
)


@given(PATHS | st.text(max_size=60))
def test_paths(path: str) -> None:
    with contextlib.suppress(Refusal):
        route = routes.parse(path)
        if route is not None and route.name:
            assert names.repository(route.name) == route.name
            assert path.startswith(f"/v2/{route.name}/")


@given(st.text(alphabet="bytes=-0123456789, ", max_size=20), st.integers(0, 10**6))
def test_ranges(text: str, size: int) -> None:
    with contextlib.suppress(Refusal):
        found = ranges.parse(text, size)
        if found is not None:
            assert 0 <= found[0] < found[0] + found[1] <= size


@given(st.text(alphabet="bytes -/0123456789", max_size=20))
def test_pieces(text: str) -> None:
    with contextlib.suppress(Refusal):
        start, size = ranges.piece(text)
        assert start >= 0
        assert size > 0


@given(st.binary(max_size=50) | st.dictionaries(KEYS, JSON).map(lambda value: json.dumps(value).encode()))
def test_manifests(data: bytes) -> None:
    with contextlib.suppress(Refusal):
        documents.parse(data)


@given(st.text(max_size=20), st.text(max_size=20), st.integers(0, 1 << 60), st.binary(min_size=1, max_size=20))
def test_tokens_come_back(name: str, identity: str, offset: int, secret: bytes) -> None:
    state = State(name, identity, offset, "2026-01-01T00:00:00Z")
    token = tokens.pack(state, secret)
    assert tokens.unpack(token, secret) == state
    with contextlib.suppress(UploadInvalid):
        tokens.unpack(token, secret + b"x")
        raise AssertionError("a token of another secret was taken")


@given(st.text(max_size=80))
def test_what_is_no_token(text: str) -> None:
    with contextlib.suppress(UploadInvalid):
        tokens.unpack(text, b"secret")
        raise AssertionError("it was taken")


@given(st.text(alphabet="0123456789.hmsnuµ", max_size=10))
def test_durations(text: str) -> None:
    with contextlib.suppress(InvalidArgument):
        assert configuration.seconds(text) >= 0
