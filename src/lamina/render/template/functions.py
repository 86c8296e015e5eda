"""The functions of a template: Go's own, and those that the docker client adds.

Strings are counted and cut in bytes, as in Go. `call`, which needs functions as values, is not offered.
"""

import functools
from collections.abc import Callable, Mapping
from typing import TypeAlias

import msgspec

from . import gojson, verbs
from .values import NO_VALUE, CallError, StringMap, from_bytes, to_bytes, truth, type_name

Functions: TypeAlias = "dict[str, Function]"


class Function(msgspec.Struct, frozen=True):
    """A function and the Go types of its arguments; `rest` is the type of any number of further ones."""

    call: Callable[..., object]
    takes: tuple[str, ...] = ()
    rest: str | None = None


@functools.cache
def builtin() -> Functions:
    """Return the functions that templates may call, by name; nobody changes the mapping."""
    return {
        "and": Function(_lazy, ("any",), "any"),
        "or": Function(_lazy, ("any",), "any"),
        "not": Function(_not, ("any",)),
        "eq": Function(_eq, ("any",), "any"),
        "ne": Function(lambda left, right: not _eq(left, right), ("any", "any")),
        "lt": Function(_lt, ("any", "any")),
        "le": Function(lambda left, right: _lt(left, right) or _eq(left, right), ("any", "any")),
        "gt": Function(lambda left, right: not (_lt(left, right) or _eq(left, right)), ("any", "any")),
        "ge": Function(lambda left, right: not _lt(left, right), ("any", "any")),
        "len": Function(_len, ("any",)),
        "index": Function(_index, ("any",), "any"),
        "slice": Function(_slice, ("any",), "any"),
        "print": Function(lambda *values: verbs.sprint(values), rest="any"),
        "println": Function(lambda *values: " ".join(map(verbs.display, values)) + "\n", rest="any"),
        "printf": Function(lambda form, *values: verbs.sprintf(form, values), ("string",), "any"),
        "html": Function(_html, rest="any"),
        "js": Function(_js, rest="any"),
        "urlquery": Function(_urlquery, rest="any"),
        "json": Function(_json, ("any",)),
        "split": Function(lambda text, mark: text.split(mark) if mark else list(text), ("string", "string")),
        "join": Function(_join, ("any", "string")),
        "lower": Function(str.lower, ("string",)),
        "upper": Function(str.upper, ("string",)),
        "title": Function(_title, ("string",)),
        "pad": Function(_pad, ("string", "int", "int")),
        "truncate": Function(_truncate, ("string", "int")),
    }


def heading() -> Functions:
    """Return what replaces some functions in the line of headers, so that a header stays as it is."""
    one = Function(lambda text: text, ("string",))
    two = Function(lambda text, _: text, ("string", "string"))
    cut = Function(lambda text, _: text, ("string", "int"))
    return dict.fromkeys(("json", "title", "lower", "upper"), one) | {"split": two, "join": two, "truncate": cut}


def row_json(row: object) -> Functions:
    """Return the `json` that escapes HTML in a whole row and nowhere else, as Docker's lists do."""
    return {"json": Function(lambda value: _json(value, html=value is row), ("any",))}


def _lazy(*_: object) -> object:
    raise AssertionError("the runner evaluates these itself, only as far as needed")


def _not(value: object) -> bool:
    return not truth(value)


def _kind(value: object) -> str:
    return type_name(value) if isinstance(value, bool | int | float | str) else ""


def _eq(left: object, *others: object) -> bool:
    if not others:
        raise CallError("missing argument for comparison")
    return any(_equal(left, other) for other in others)


def _equal(left: object, right: object) -> bool:
    if left is None or right is None:
        return left is right
    if _kind(left) != _kind(right):
        raise CallError("incompatible types for comparison")
    if not _kind(left):
        if type_name(left) == type_name(right):
            raise CallError(f"non-comparable type {verbs.display(right)}: {type_name(right)}")
        names = verbs.display(left), type_name(left), type_name(right), verbs.display(right)
        raise CallError("non-comparable types {}: {}, {}: {}".format(*names))
    return left == right


def _lt(left: object, right: object) -> bool:
    if not _kind(left) or not _kind(right) or (isinstance(left, bool) and isinstance(right, bool)):
        raise CallError("invalid type for comparison")
    if isinstance(left, str) and isinstance(right, str):
        return to_bytes(left) < to_bytes(right)
    if _kind(left) != _kind(right):
        raise CallError("incompatible types for comparison")
    assert isinstance(left, int | float)
    assert isinstance(right, int | float)
    return left < right


def _len(value: object) -> int:
    if isinstance(value, str):
        return len(to_bytes(value))
    if isinstance(value, Mapping | list | tuple):
        return len(value)
    raise CallError("len of nil pointer" if value is None else f"len of type {type_name(value)}")


def _index(value: object, *places: object) -> object:
    for i, place in enumerate(places):
        if isinstance(value, Mapping):
            if not isinstance(place, str):
                found = f"has type {type_name(place)}; should be string"
                raise CallError(f"value {found if place is not None else 'is nil; should be of type string'}")
            value = value.get(place, "" if isinstance(value, StringMap) else None)
        elif isinstance(value, list | tuple):
            value = value[_place(place, len(value), "slice index out of range")]
        elif isinstance(value, str):
            data = to_bytes(value)
            value = data[_place(place, len(data), "string index out of range")]
        elif value is None:
            raise CallError("index of nil pointer" if i else "index of untyped nil")
        else:
            raise CallError(f"can't index item of type {type_name(value)}")
    if value is None and not places:
        raise CallError("index of untyped nil")
    return value


def _place(place: object, length: int, past: str | None = None) -> int:
    """Return an index checked against a length; the length itself passes unless `past` says what is wrong with it."""
    if isinstance(place, bool) or not isinstance(place, int):
        raise CallError("cannot index slice/array with " + ("nil" if place is None else f"type {type_name(place)}"))
    if not 0 <= place <= length:
        raise CallError(f"index out of range: {place}")
    if place == length and past:
        raise CallError(f"reflect: {past}")
    return place


def _slice(value: object, *places: object) -> object:
    if value is None:
        raise CallError("slice of untyped nil")
    if len(places) > 3:
        raise CallError(f"too many slice indexes: {len(places)}")
    if not isinstance(value, str | list | tuple):
        raise CallError(f"can't slice item of type {type_name(value)}")
    data = to_bytes(value) if isinstance(value, str) else value
    if len(places) == 3 and isinstance(value, str):
        raise CallError("cannot 3-index slice a string")
    bounds = [_place(place, len(data)) for place in places]
    start, end, *limit = [*bounds, *[0, len(data)][len(bounds) :]]
    for low, high in ((start, end), (end, *limit)) if limit else ((start, end),):
        if low > high:
            raise CallError(f"invalid slice index: {low} > {high}")
    cut = data[start:end]
    return from_bytes(cut) if isinstance(cut, bytes) else cut


def _text(values: tuple[object, ...]) -> str:
    return verbs.sprint([NO_VALUE if value is None else value for value in values])


def _html(*values: object) -> str:
    marks = {"\0": "\ufffd", '"': "&#34;", "'": "&#39;", "&": "&amp;", "<": "&lt;", ">": "&gt;"}
    return "".join(marks.get(char, char) for char in _text(values))


def _js(*values: object) -> str:
    special = {"\\": "\\\\", "'": "\\'", '"': '\\"'}
    return "".join(special.get(char) or _js_char(char) for char in _text(values))


def _js_char(char: str) -> str:
    if char in "<>&=" or char < " " or not (char.isprintable() or char == "\x7f"):
        return f"\\u{ord(char):04X}"
    return char


def _urlquery(*values: object) -> str:
    return "".join(_query_char(chr(code)) for code in to_bytes(_text(values)))


def _query_char(char: str) -> str:
    if (char.isascii() and char.isalnum()) or char in "-_.~":
        return char
    return "+" if char == " " else f"%{ord(char):02X}"


def _json(value: object, html: bool = False) -> str:
    try:
        return gojson.encode(value, html)
    except ValueError as error:
        raise CallError(str(error)) from error


def _join(values: object, mark: str) -> str:
    if values is None:
        return ""
    if isinstance(values, Mapping):
        return mark.join(sorted(map(verbs.display, values.values())))
    if not isinstance(values, list | tuple):
        raise CallError(f"expected slice, got {type_name(values)}")
    return mark.join(map(verbs.display, values))


def _title(text: str) -> str:
    before = " "
    parts = []
    for char in text:
        starts = not (before.isalnum() or before == "_") if before.isascii() else before.isspace()
        parts.append(char.title() if starts else char)
        before = char
    return "".join(parts)


def _pad(text: str, before: int, after: int) -> str:
    if text and min(before, after) < 0:
        raise CallError("strings: negative Repeat count")
    return " " * before + text + " " * after if text else text


def _truncate(text: str, length: int) -> str:
    data = to_bytes(text)
    if length < 0:
        raise CallError(f"runtime error: slice bounds out of range [:{length}]")
    return from_bytes(data[:length]) if length < len(data) else text
