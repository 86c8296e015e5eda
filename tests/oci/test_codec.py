"""JSON from outside: bounds, errors in one line, and the order of keys that goes out."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamina.oci import codec
from lamina.oci.codec import InvalidDocument
from lamina.oci.manifest import Descriptor
from lamina.oci.platform import Platform
from lamina.streams import TooLarge


class Pair(msgspec.Struct):
    first: int
    second: str = ""


def test_decode() -> None:
    assert codec.decode(b'{"second":"x","other":[1],"first":1}', Pair, "it") == Pair(1, "x")


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"", "truncated"),
        (b"{", "truncated"),
        (b"[]", "Expected `object`, got `array`"),
        (b"{}", "missing required field `first`"),
        (b'{"first":"1"}', r"Expected `int`, got `str` - at `\$.first`"),
        (b'{"first":1}{}', "malformed"),
        (b'{"first":1,"second":"\xff"}', "utf-8"),
        (b"\xff\xfe{\0}\0", "malformed"),
        (b"null", "got `null`"),
    ],
)
def test_what_is_wrong_is_told_in_a_line(raw: bytes, why: str) -> None:
    with pytest.raises(InvalidDocument, match=f"^the thing is invalid: .*{why}") as caught:
        codec.decode(raw, Pair, "the thing")
    assert "\n" not in str(caught.value)


def test_size_is_bounded() -> None:
    short = b'{"first":1}'
    assert codec.decode(short + b" " * (codec.LIMIT - len(short)), Pair, "it") == Pair(1)
    with pytest.raises(TooLarge, match="it is larger than 4194304 bytes"):
        codec.decode(short + b" " * (codec.LIMIT - len(short) + 1), Pair, "it")


@pytest.mark.parametrize("depth", [2_000, codec.LIMIT // 2 - 20])
@pytest.mark.parametrize("kind", [dict[str, Any], Pair, Descriptor])
@pytest.mark.parametrize(("left", "right"), [(b"[", b"]"), (b'{"a":', b"}")])
def test_depth_is_bounded(depth: int, kind: type, left: bytes, right: bytes) -> None:
    depth = min(depth, (codec.LIMIT - 20) // len(left + right))
    with pytest.raises(InvalidDocument, match="it is nested too deep"):
        codec.decode(b'{"x":' + left * depth + right * depth + b"}", kind, "it")


def test_fields_go_out_in_their_order_and_compact() -> None:
    value = Descriptor("t", codec.decode(b'"d"', str, "it"), 3, annotations={"z": "1", "a": "2"})  # type: ignore[arg-type]
    assert codec.encode(value) == b'{"mediaType":"t","digest":"d","size":3,"annotations":{"z":"1","a":"2"}}'
    assert codec.encode(Platform("amd64", "linux")) == b'{"architecture":"amd64","os":"linux"}'


_json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(_json)
def test_any_value_comes_back(value: object) -> None:
    raw = codec.encode(value)
    assert codec.decode(raw, object, "it") == value
    assert json.loads(raw) == value


@given(st.binary() | _json.map(codec.encode))
def test_any_bytes_are_a_document_or_refused(raw: bytes) -> None:
    try:
        codec.decode(raw, Pair, "it")
    except InvalidDocument as error:
        assert str(error).startswith("it is ")  # noqa: PT017
