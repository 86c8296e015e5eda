"""Digests, and the chain ids that the image specification makes of them."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamina.errors import InvalidArgument
from lamina.oci import digest
from lamina.oci.digest import Digest

A = Digest("sha256:" + "a" * 64)
B = Digest("sha256:" + "b" * 64)
C = Digest("sha256:" + "c" * 64)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        (b"abc", "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (bytes(1024), digest.EMPTY_LAYER),
    ],
)
def test_of(data: bytes, expected: str) -> None:
    assert digest.of(data) == expected


@pytest.mark.parametrize("text", [A, "sha384:" + "0" * 96, "sha512:" + "9" * 128])
def test_parse(text: str) -> None:
    assert digest.parse(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":",
        "sha256",
        "sha256:",
        "a" * 64,
        "sha256:" + "a" * 63,
        "sha256:" + "a" * 65,
        "sha256:" + "A" * 64,
        "sha256:" + "g" * 64,
        "sha256:" + "\u0661" * 64,
        "sha256:" + "a" * 63 + "\n",
        "SHA256:" + "a" * 64,
        "sha512:" + "a" * 64,
        "md5:" + "a" * 32,
        "sha256:" + "../" * 21 + "a",
        "../sha256:" + "a" * 64,
        " sha256:" + "a" * 64,
    ],
)
def test_no_digests(text: str) -> None:
    with pytest.raises(digest.InvalidDigest) as caught:
        digest.parse(text)
    assert isinstance(caught.value, InvalidArgument)
    assert "\n" not in str(caught.value)


def test_a_long_text_is_cut_in_the_message() -> None:
    with pytest.raises(digest.InvalidDigest) as caught:
        digest.parse("x" * 100_000)
    assert len(str(caught.value)) < 250


@given(st.binary())
def test_of_is_a_digest(data: bytes) -> None:
    found = digest.of(data)
    assert digest.parse(found) == found
    assert digest.split(found) == ("sha256", hashlib.sha256(data).hexdigest())
    assert digest.encoded(found) == hashlib.sha256(data).hexdigest()
    assert digest.short(found) == hashlib.sha256(data).hexdigest()[:12]


@given(st.text())
def test_any_text_is_a_digest_or_refused(text: str) -> None:
    try:
        assert digest.parse(text) == text
    except digest.InvalidDigest:
        assert digest.split(Digest(text))[0] not in ("sha256", "sha384", "sha512") or len(text) != 71


@pytest.mark.parametrize(("text", "expected"), [("0af", True), ("", False), ("0AF", False), ("0 a", False)])
def test_is_hex(text: str, expected: bool) -> None:
    assert digest.is_hex(text) is expected


class TestChains:
    """ChainID(L0) = DiffID(L0); ChainID(L0|...|Ln) = Digest(ChainID(L0|...|Ln-1) + " " + DiffID(Ln))."""

    def test_base(self) -> None:
        assert digest.chain(None, A) == A
        assert digest.chains([A]) == [A]
        assert digest.chains([]) == []

    def test_computed_by_sha256sum(self) -> None:
        # printf 'sha256:aaa... sha256:bbb...' | sha256sum, and the same with what that says and sha256:ccc...
        assert digest.chains([A, B, C]) == [
            A,
            "sha256:ccd722928bd92476ba1745586fed6e45a102504185ad88cd89e01ff116fd146c",
            "sha256:c1377126441fb2f5ec2c21ae2a60255331d639e830f0ee1b40a36e52d4c40588",
        ]

    def test_order_counts(self) -> None:
        assert digest.chains([A, B])[-1] != digest.chains([B, A])[-1]

    def test_one_layer_twice(self) -> None:
        assert len(set(digest.chains([A, A, A]))) == 3

    @given(st.lists(st.binary(max_size=4).map(digest.of), min_size=1, max_size=6))
    def test_each_is_made_of_the_one_below(self, diff_ids: list[Digest]) -> None:
        found = digest.chains(diff_ids)
        for below, diff_id, chain_id in zip(found, diff_ids[1:], found[1:], strict=False):
            assert chain_id == "sha256:" + hashlib.sha256(f"{below} {diff_id}".encode()).hexdigest()
