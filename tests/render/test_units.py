"""Sizes and spans of time, in the words of Docker."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamina.errors import InvalidArgument
from lamina.render import units

UNITS = ("B", "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB")


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0B"),
        (1, "1B"),
        (999, "999B"),
        (1000, "1kB"),
        (1024, "1.02kB"),
        (1240, "1.24kB"),
        (6_481_234, "6.48MB"),
        (409_234_567, "409MB"),
        (999_499, "999kB"),
        (999_999, "1e+03kB"),  # as docker does
        (1_000_000, "1MB"),
        (2**63, "9.22EB"),
        (10**30, "1e+06YB"),
    ],
)
def test_size(count: int, text: str) -> None:
    assert units.size(count) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0B"), (1023, "1023B"), (1024, "1KiB"), (1572864, "1.5MiB"), (2**40 - 1, "1024GiB"), (123456789, "117.7MiB")],
)
def test_binary_size(count: int, text: str) -> None:
    assert units.binary_size(count) == text


@given(st.integers(0, 10**24), st.integers(0, 10**24))
def test_larger_counts_never_look_smaller(first: int, second: int) -> None:
    def shown(count: int) -> float:
        text = units.size(count)
        number = text.rstrip("kMGTPEZYB")
        return float(number) * 1000.0 ** UNITS.index(text[len(number) :])

    small, large = sorted((first, second))
    assert shown(small) <= shown(large) * (1 + 1e-12)
    assert shown(large) == pytest.approx(large, rel=0.006)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("0", 0),
        ("512", 512),
        ("512b", 512),
        ("10m", 10 * 2**20),
        ("10M", 10 * 2**20),
        ("10MB", 10 * 2**20),
        ("10MiB", 10 * 2**20),
        ("64 kb", 64 * 2**10),
        ("1.5g", 3 * 2**29),
        (".5k", 512),
        ("1.9", 1),
        ("2t", 2**41),
        ("2PiB", 2**51),
        ("1e3", 1000),
        ("1 ", 1),
    ],
)
def test_parse_size(text: str, count: int) -> None:
    assert units.parse_size(text) == count


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "invalid size: ''"),
        ("m", "invalid size: 'm'"),
        ("-1", "invalid size: '-1'"),
        ("1..2", "invalid size: '1..2'"),
        ("nan", "invalid size: 'nan'"),
        ("1_0", "invalid size: '1_0'"),
        ("1x", "invalid suffix: 'x'"),
        ("1bb", "invalid suffix: 'bb'"),
        ("1kx", "invalid suffix: 'kx'"),
        ("1kib ", "invalid size"),
        ("1 k b", "invalid suffix: 'k b'"),
        ("1\u0661", "invalid suffix"),
        ("8192p", "invalid size: '8192p' is more than 8EiB"),
        ("1e999", "invalid size: '1e999' is more than 8EiB"),
    ],
)
def test_parse_size_refuses(text: str, reason: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        units.parse_size(text)
    assert reason in str(caught.value)


@given(st.text())
def test_parse_size_raises_nothing_else(text: str) -> None:
    with contextlib.suppress(units.InvalidSize):
        assert 0 <= units.parse_size(text) < 1 << 63


@pytest.mark.parametrize("unit", ["k", "m", "g", "t", "p"])
def test_sizes_read_back(unit: str) -> None:
    assert units.binary_size(units.parse_size(f"3{unit}")) == f"3{unit.upper()}iB"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "Less than a second"),
        (0.9, "Less than a second"),
        (1, "1 second"),
        (1.99, "1 second"),
        (59.9, "59 seconds"),
        (60, "About a minute"),
        (119, "About a minute"),
        (120, "2 minutes"),
        (3599, "59 minutes"),
        (3600, "About an hour"),
        (5399, "About an hour"),
        (5400, "2 hours"),
        (47.4 * 3600, "47 hours"),
        (47.5 * 3600, "2 days"),
        (13.9 * 86400, "13 days"),
        (14 * 86400, "2 weeks"),
        (59 * 86400, "8 weeks"),
        (60 * 86400, "2 months"),
        (729 * 86400, "24 months"),
        (730 * 86400, "2 years"),
        (3 * 365 * 86400, "3 years"),
    ],
)
def test_duration(seconds: float, text: str) -> None:
    assert units.duration(seconds) == text
    assert units.ago(seconds) == text + " ago"
