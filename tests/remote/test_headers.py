"""Headers as they come from strangers."""

import pytest

from lamina.remote import headers
from lamina.remote.headers import Challenge, Span


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('Basic realm="here"', [Challenge("basic", {"realm": "here"})]),
        ("BASIC realm=here", [Challenge("basic", {"realm": "here"})]),
        (
            'Bearer realm="https://a/t",service="s",scope="repository:a:pull,push repository:b:pull"',
            [
                Challenge(
                    "bearer",
                    {"realm": "https://a/t", "service": "s", "scope": "repository:a:pull,push repository:b:pull"},
                )
            ],
        ),
        ('Negotiate, Basic realm="x"', [Challenge("negotiate", {}), Challenge("basic", {"realm": "x"})]),
        (r'Bearer realm="a\"b\\c" , Service = s', [Challenge("bearer", {"realm": 'a"b\\c', "service": "s"})]),
        ('Bearer realm="a",realm="b"', [Challenge("bearer", {"realm": "a"})]),
        ('realm="a"', []),
        ("", []),
        (",,", []),
        ('Bearer realm="open', [Challenge("bearer", {"realm": '"open'})]),
    ],
)
def test_challenges(text: str, expected: list[Challenge]) -> None:
    if text.endswith('"open'):
        expected = [Challenge("bearer", {})]  # what is not closed is nothing
    assert headers.challenges(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('</v2/a/tags/list?n=1&last=b>; rel="next"', "/v2/a/tags/list?n=1&last=b"),
        ("<x>;rel=next", "x"),
        ('<x>; rel="prev", <y>; rel="next"', "y"),
        ('<x>; title="a"; rel=next', "x"),
        ('<x>; rel="nextone"', ""),
        ("<x>", ""),
        ("", ""),
        ("<<x>; rel=next", "x"),
        ("<x; rel=next", ""),
    ],
)
def test_next_page(text: str, expected: str) -> None:
    assert headers.next_page(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("bytes 5-9/10", Span(5, 9, 10)),
        ("bytes 5-9/*", Span(5, 9, None)),
        ("bytes 9-5/10", None),
        ("bytes 5-10/10", None),
        ("bytes */10", None),
        ("5-9/10", None),
        ("bytes \u0665-\u0669/*", None),
        ("bytes " + "9" * 5000 + "-1/*", None),
    ],
)
def test_content_range(text: str, expected: Span | None) -> None:
    assert headers.content_range(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("0-9", 10), ("bytes=0-9", 10), ("0-0", None), ("1-9", None), ("", None), ("0-x", None), ("0--1", None)],
)
def test_received(text: str, expected: int | None) -> None:
    assert headers.received(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("3", 3),
        (" 0.5 ", 0.5),
        ("Sun, 09 Sep 2001 01:47:00 GMT", 20),
        ("Sun, 09 Sep 2001 01:00:00 GMT", 0),
        ("-1", None),
        ("soon", None),
        ("", None),
        ("1e9", None),
        ("Sun, 99 Sep 99999 01:00:00 GMT", None),
    ],
)
def test_seconds(text: str, expected: float | None) -> None:
    assert headers.seconds(text, 1_000_000_000) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('299 - "one"', ["one"]),
        ('299 - "one, two", 299 - "three"', ["one, two", "three"]),
        (r'299 - "a \"word\""', ['a "word"']),
        ('299 - "caf\u00c3\u00a9"', ["caf\u00e9"]),
        ('299 - "caf\u00e9"', ["caf\u00e9"]),
        ('110 - "stale", 299 - "one"', ["one"]),
        ('299 proxy "one"', []),
        ('299 - "one" "Wed, 21 Oct 2015 07:28:00 GMT"', []),
        ('299 - "one', []),
        ("299 - one", []),
        ("", []),
        ('299 - "' + "x" * 5000 + '"', []),
    ],
)
def test_warnings(text: str, expected: list[str]) -> None:
    assert headers.warnings(text) == expected
