"""Go's durations."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamina.dockerfile.duration import BadDuration, nanoseconds


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0),
        ("-0", 0),
        ("1ns", 1),
        ("1us", 1_000),
        ("1µs", 1_000),
        ("1μs", 1_000),
        ("1ms", 1_000_000),
        ("1s", 1_000_000_000),
        ("1m", 60_000_000_000),
        ("1h", 3_600_000_000_000),
        ("1h2m3.5s", 3_723_500_000_000),
        ("+.5s", 500_000_000),
        ("5.s", 5_000_000_000),
        ("-1.5ms", -1_500_000),
        ("0.000000001s", 1),
        ("0.0000000019s", 1),
        ("9223372036854775807ns", 2**63 - 1),
        ("1.0000000000000000000000000000001s", 1_000_000_000),
    ],
)
def test_values(text: str, value: int) -> None:
    assert nanoseconds(text) == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1",
        "s",
        ".s",
        "1x",
        "1 s",
        "1s ",
        "--1s",
        "1sx",
        "1mms",
        "1S",
        "٣s",
        "9223372036854775808ns",
        "9" * 5000 + "h",
        "0s0",
    ],
)
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(BadDuration, match="is no duration"):
        nanoseconds(text)


@given(st.integers(0, 99), st.integers(0, 59), st.integers(0, 59), st.integers(0, 999_999_999))
def test_written_out_and_read_again(hours: int, minutes: int, seconds: int, rest: int) -> None:
    text = f"{hours}h{minutes}m{seconds}.{rest:09}s"
    assert nanoseconds(text) == ((hours * 60 + minutes) * 60 + seconds) * 1_000_000_000 + rest
