"""JSON as Go's encoder writes it: keys in order, whole floats without a point, and `<`, `>`, `&` escaped if asked.

Docker escapes them in whole rows (`--format json`), and not in what the template function `json` is given.
"""

import functools
from collections.abc import Mapping

from .values import entries
from .verbs import shortest


def encode(value: object, html: bool = False) -> str:
    """Return a value of None, bool, int, float, str, lists and mappings as compact JSON; callables are left out.

    Raises:
        ValueError: a float is infinite or no number.
    """
    parts: list[str] = []
    _write(value, html, parts)
    return "".join(parts)


def _write(value: object, html: bool, parts: list[str]) -> None:
    if isinstance(value, Mapping):
        mark = "{"
        for key, each in entries(value):
            parts += [mark, _string(key, html), ":"]
            _write(each, html, parts)
            mark = ","
        parts.append("}" if mark == "," else "{}")
    elif isinstance(value, list | tuple):
        mark = "["
        for each in value:
            parts.append(mark)
            _write(each, html, parts)
            mark = ","
        parts.append("]" if mark == "," else "[]")
    else:
        parts.append(_scalar(value, html))


def _scalar(value: object, html: bool) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        if value - value != 0:
            raise ValueError(f"json: unsupported value: {'NaN' if value != value else f'{value:+}'.replace('i', 'I')}")
        mantissa, mark, power = shortest(value, -6, 21).partition("e")
        return mantissa + mark + (f"{int(power):+}" if mark else "")
    return _string(value if isinstance(value, str) else str(value), html)


def _string(text: str, html: bool) -> str:
    return '"' + text.translate(_escapes(html)) + '"'


@functools.cache
def _escapes(html: bool) -> dict[int, str]:
    table = {code: f"\\u{code:04x}" for code in (*range(32), 0x2028, 0x2029, *(map(ord, "<>&") if html else ()))}
    table |= dict.fromkeys(range(0xD800, 0xE000), "\\ufffd")  # what is no UTF-8 in Go
    return table | {ord(char): "\\" + name for char, name in zip('\b\f\n\r\t"\\', 'bfnrt"\\', strict=True)}
