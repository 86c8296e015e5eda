"""Instants as Go writes and reads them."""

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamina.oci import times
from lamina.oci.times import InvalidTime

END = 253402300800 * 10**9
INSTANTS = st.integers(times.ZERO, END - 1)
EPOCH = datetime.datetime(1970, 1, 1)


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (times.ZERO, "0001-01-01T00:00:00Z"),
        (1795489451023313175, "2026-11-24T03:04:11.023313175Z"),
        (1795489451023313100, "2026-11-24T03:04:11.0233131Z"),
        (1795489451500000000, "2026-11-24T03:04:11.5Z"),
        (-1, "1969-12-31T23:59:59.999999999Z"),
        (951782400 * 10**9, "2000-02-29T00:00:00Z"),
        (END - 1, "9999-12-31T23:59:59.999999999Z"),
    ],
)
def test_rfc3339(nanoseconds: int, text: str) -> None:
    assert times.rfc3339(nanoseconds) == text
    assert times.parse_rfc3339(text) == nanoseconds


@given(INSTANTS)
def test_round_trip(nanoseconds: int) -> None:
    assert times.parse_rfc3339(times.rfc3339(nanoseconds)) == nanoseconds


@given(INSTANTS, st.integers(-1439, 1439))
def test_the_calendar_is_that_of_datetime(nanoseconds: int, offset: int) -> None:
    moment = EPOCH + datetime.timedelta(seconds=nanoseconds // 10**9)
    assert times.spelled(nanoseconds) == moment.isoformat(" ") + " +0000 UTC"
    zone = f"{'-' if offset < 0 else '+'}{abs(offset) // 60:02}:{abs(offset) % 60:02}"
    local = nanoseconds // 10**9 * 10**9 - offset * 60 * 10**9
    text = moment.isoformat() + zone
    if times.ZERO <= local < END:
        assert times.parse_rfc3339(text) == local
    else:
        with pytest.raises(InvalidTime):
            times.parse_rfc3339(text)


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("2020-01-01T00:00:00.123456789999Z", "2020-01-01T00:00:00.123456789Z"),
        ("2020-01-01T00:00:00.5+01:00", "2019-12-31T23:00:00.5Z"),
        ("2020-01-01T00:00:00-00:00", "2020-01-01T00:00:00Z"),
        ("2024-02-29T00:00:00-05:30", "2024-02-29T05:30:00Z"),
    ],
)
def test_other_spellings(text: str, same: str) -> None:
    assert times.rfc3339(times.parse_rfc3339(text)) == same


@pytest.mark.parametrize(
    "text",
    [
        "",
        "T",
        "2020-01-01",
        "2020-01-01T00:00:00",
        "2020-01-01T00:00:00z",
        "2020-01-01t00:00:00Z",
        "2020-01-01 00:00:00Z",
        "2020-01-01T00:00:00.Z",
        "2020-01-01T00:00:00.",
        "2020-01-01T24:00:00Z",
        "2020-01-01T00:60:00Z",
        "2020-01-01T00:00:60Z",
        "2020-00-01T00:00:00Z",
        "2020-13-01T00:00:00Z",
        "2020-01-00T00:00:00Z",
        "2020-01-32T00:00:00Z",
        "2020-04-31T00:00:00Z",
        "2023-02-29T00:00:00Z",
        "1900-02-29T00:00:00Z",
        "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+00:01",
        "2020-01-01T00:00:00+24:00",
        "2020-01-01T00:00:00+00:60",
        "2020-01-01T00:00:00+0100",
        "2020-01-01T00:00:00+01",
        "2020-01-01T00:00:00*01:00",
        "2020-01-01T00:00:00Z ",
        " 2020-01-01T00:00:00Z",
        "2020-01-01T00:00:0\u0661Z",
        "+020-01-01T00:00:00Z",
    ],
)
def test_no_times(text: str) -> None:
    with pytest.raises(InvalidTime):
        times.parse_rfc3339(text)


@given(st.text(alphabet="0123456789-:.TZ+", max_size=40) | st.text())
def test_any_text_is_a_time_or_refused(text: str) -> None:
    try:
        times.rfc3339(times.parse_rfc3339(text))
    except InvalidTime as error:
        assert repr(text) in str(error) or "not within" in str(error)  # noqa: PT017


@pytest.mark.parametrize("nanoseconds", [times.ZERO - 1, END])
def test_years_have_four_digits(nanoseconds: int) -> None:
    with pytest.raises(InvalidTime):
        times.rfc3339(nanoseconds)
