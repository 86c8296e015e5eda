"""Go's `fmt`: how it prints a value, and its `printf`.

Offered: the verbs `v s d q x X t c U b o O e E f F g G T %`, the flags `+ - # 0` and space, width, precision,
`*` and `[n]`. Not offered: `%p`, `%#v`, and hexadecimal floats.
"""

import functools
import re
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from .values import CallError, entries, to_bytes, type_name

_LARGEST_WIDTH = 1_000_000
_NOTHING: Final = object()
_ESCAPES = {"\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v", "\\": "\\\\"}


def display(value: object) -> str:
    """Return a value as `%v` prints it: `map[a:b]`, `[x y]`, `<nil>`, `1e+06`."""
    if isinstance(value, str):
        return value
    return _formatted(_Spec("v"), value)


def sprint(values: Sequence[object]) -> str:
    """Return the values as `print` does: a space between two of which none is a string."""
    parts: list[str] = []
    for i, value in enumerate(values):
        if i and not isinstance(value, str) and not isinstance(values[i - 1], str):
            parts.append(" ")
        parts.append(display(value))
    return "".join(parts)


def quote(text: str, mark: str = '"') -> str:
    """Return a string as `%q` prints it."""
    return mark + "".join(_quoted(char, mark) for char in text) + mark


def shortest(value: float, floor: int, ceiling: int) -> str:
    """Return the fewest digits that read back as this finite number, without an exponent if floor <= it < ceiling."""
    places = 0
    while float(text := f"{value:.{places}e}") != value:
        places += 1
    mantissa, _, power = text.partition("e")
    if not floor <= (exponent := int(power)) < ceiling:
        return f"{mantissa}e{power}"
    if exponent >= places:
        return mantissa.replace(".", "") + "0" * (exponent - places)
    return f"{value:.{places - exponent}f}"


def sprintf(form: str, values: Sequence[object]) -> str:
    """Return the values in a format; what does not fit shows up in the text, as `%!d(string=x)` does in Go.

    Raises:
        CallError: a verb is not offered here.
    """
    arguments = _Arguments(values)
    parts: list[str] = []
    end = 0
    for match in _directives().finditer(form):
        parts += [form[end : match.start()], _directive(match, arguments)]
        end = match.end()
    parts.append(form[end:])
    if not arguments.reordered and arguments.next < len(values):
        rest = ", ".join(f"{type_name(v)}={display(v)}" if v is not None else "<nil>" for v in values[arguments.next :])
        parts.append(f"%!(EXTRA {rest})")
    return "".join(parts)


class _Spec(msgspec.Struct, frozen=True):
    verb: str
    flags: str = ""
    width: int = 0
    precision: int | None = None


class _Arguments:
    def __init__(self, values: Sequence[object]) -> None:
        self.values = values
        self.next = 0
        self.reordered = False

    def take(self) -> object:
        """Return the next argument, or _NOTHING."""
        self.next += 1
        return self.values[self.next - 1] if self.next <= len(self.values) else _NOTHING


@functools.cache
def _directives() -> re.Pattern[str]:
    return re.compile(r"%([-+# 0]*)(\*|[0-9]{1,9})?(?:(\.)(\*|[0-9]{1,9})?)?(?:\[([0-9]{1,9})\])?(.?)", re.DOTALL)


def _directive(match: re.Match[str], arguments: _Arguments) -> str:
    flags, width, dot, precision, place, verb = match.groups(default="")
    before: list[str] = []
    wide = _number(width, "WIDTH", arguments, before) or 0
    if wide < 0:
        flags, wide = flags + "-", -wide
    exact = _number(precision, "PREC", arguments, before) if precision else 0 if dot else None
    if not verb:
        return "".join([*before, "%!(NOVERB)"])
    if verb == "%":
        return "%"
    if place:
        arguments.reordered = True
        if not 0 < int(place) <= len(arguments.values):
            return f"%!{verb}(BADINDEX)"
        arguments.next = int(place) - 1
    value = arguments.take()
    if value is _NOTHING:
        return "".join([*before, f"%!{verb}(MISSING)"])
    return "".join([*before, _formatted(_Spec(verb, flags, wide, exact), value)])


def _number(text: str, what: str, arguments: _Arguments, before: list[str]) -> int | None:
    """Return a width or a precision, which `*` takes from the arguments."""
    if not text:
        return None
    number = arguments.take() if text == "*" else int(text)
    if type(number) is int and abs(number) <= _LARGEST_WIDTH and (what == "WIDTH" or number >= 0):
        return number
    before.append(f"%!(BAD{what})")
    return None


def _formatted(spec: _Spec, value: object, inside: bool = False) -> str:
    if spec.verb == "T":
        return _padded(spec, type_name(value))
    if spec.verb == "p" or (spec.verb == "v" and "#" in spec.flags) or (spec.verb in "xX" and isinstance(value, float)):
        raise CallError(f"%{spec.flags}{spec.verb} of {type_name(value)} is not offered")
    if isinstance(value, Mapping):
        shown = [_formatted(spec, key) + ":" + _formatted(spec, each, True) for key, each in entries(value)]
        return "map[" + " ".join(shown) + "]"
    if isinstance(value, list | tuple):
        return "[" + " ".join(_formatted(spec, each, True) for each in value) + "]"
    if value is None and (spec.verb == "v" or inside):
        return "<nil>" if inside else _padded(spec, "<nil>")
    text = None if value is None else _scalar(spec, value)
    if text is not None:
        return text
    return f"%!{spec.verb}(" + ("<nil>)" if value is None else _bad(spec, value))


def _bad(spec: _Spec, value: object) -> str:
    """Return what Go says of a value that a verb cannot show; it keeps the width."""
    return f"{type_name(value)}={_formatted(_Spec('v', spec.flags, spec.width, spec.precision), value)})"


def _scalar(spec: _Spec, value: object) -> str | None:
    """Return a value in a verb, or nothing if they do not fit."""
    if isinstance(value, bool):
        return _padded(spec, "true" if value else "false") if spec.verb in "tv" else None
    if isinstance(value, int):
        return _integer(spec, value)
    if isinstance(value, float):
        return _float(spec, value)
    return _string(spec, value if isinstance(value, str) else str(value))


def _string(spec: _Spec, value: str) -> str | None:
    if spec.verb in "xX":
        data = to_bytes(value)[: spec.precision]
        text = data.hex(" ") if " " in spec.flags else data.hex()
        text = ("0x" if "#" in spec.flags and data else "") + text
        return _padded(spec, text.upper() if spec.verb == "X" else text)
    if spec.verb not in "svq":
        return None
    value = value[: spec.precision]
    if spec.verb == "q":
        raw = "#" in spec.flags and "`" not in value and all(char.isprintable() or char == "\t" for char in value)
        value = f"`{value}`" if raw else quote(value)
    return _padded(spec, value)


def _integer(spec: _Spec, value: int) -> str | None:
    if spec.verb in "cqU":
        if spec.verb == "U":
            return _padded(spec, f"U+{value:0{spec.precision or 4}X}")
        char = chr(value) if 0 <= value <= 0x10FFFF and not 0xD800 <= value <= 0xDFFF else "\ufffd"
        return _padded(spec, char if spec.verb == "c" else quote(char, "'"))
    form = {"d": "d", "v": "d", "b": "b", "o": "o", "O": "o", "x": "x", "X": "X"}.get(spec.verb)
    if form is None:
        return None
    digits = format(abs(value), form)
    if spec.precision is not None:
        digits = "" if value == 0 == spec.precision else digits.rjust(spec.precision, "0")
    prefix = {"x": "0x", "X": "0X", "o": "0", "b": "0b"}.get(spec.verb, "") if "#" in spec.flags else ""
    if spec.verb == "O":
        prefix = "0o"
    zeros = spec.precision is None
    return _padded(spec, digits, _sign(spec, value < 0) + prefix, zeros)


def _float(spec: _Spec, value: float) -> str | None:
    if spec.verb not in "veEfFgG":
        return None
    magnitude = abs(value)
    if magnitude != magnitude or magnitude == float("inf"):
        word = "NaN" if value != value else "Inf"
        sign = _sign(spec, value < 0) or ("+" if word == "Inf" else "")
        return _padded(spec, word, sign)
    if spec.verb in "eEfF":
        text = format(magnitude, f".{6 if spec.precision is None else spec.precision}{spec.verb}")
    else:
        exact = spec.precision
        text = shortest(magnitude, -4, 6) if exact is None else format(magnitude, f".{exact or 1}g")
    negative = value < 0 or str(value).startswith("-")
    return _padded(spec, text.upper() if spec.verb in "EG" else text, _sign(spec, negative), zeros=True)


def _sign(spec: _Spec, negative: bool) -> str:
    return "-" if negative else "+" if "+" in spec.flags else " " if " " in spec.flags else ""


def _padded(spec: _Spec, text: str, before: str = "", zeros: bool = False) -> str:
    missing = max(spec.width - len(before) - len(text), 0)
    if "-" in spec.flags:
        return before + text + " " * missing
    if zeros and "0" in spec.flags:
        return before + "0" * missing + text
    return " " * missing + before + text


def _quoted(char: str, mark: str) -> str:
    if char == mark:
        return "\\" + mark
    if char in _ESCAPES:
        return _ESCAPES[char]
    if char.isprintable():
        return char
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is no UTF-8
        return f"\\x{code - 0xDC00:02x}"
    return f"\\x{code:02x}" if code < 0x80 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
