"""Literals of Go source text to values: numbers, quoted strings, characters."""

from .values import from_bytes

_SIMPLE = {"a": 7, "b": 8, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11, "\\": 92}
_CODES = {"x": (2, 16), "u": (4, 16), "U": (8, 16)}


def number(text: str) -> int | float:
    """Return the value of a number as written in Go: `12`, `1_000`, `0x1f`, `017`, `1.5`, `1e3`, `0x1p4`.

    Raises:
        ValueError: this is no number.
    """
    digits = text.lstrip("+-").lower()
    wrong = f'illegal number syntax: "{text}"'
    if digits.isdecimal():
        wrong = f'integer overflow: "{text}"'  # what Go says of all that looks like an integer and is none
    try:
        value = _integer(text, digits) if _is_integer(digits) else _float(text, digits)
    except (ValueError, OverflowError) as error:
        raise ValueError(wrong) from error
    if isinstance(value, float) and value - value != 0:
        raise ValueError(wrong)
    if isinstance(value, int) and not -(1 << 63) <= value < 1 << 64:
        raise ValueError(f'integer overflow: "{text}"')
    return value


def _is_integer(digits: str) -> bool:
    if digits[:2] == "0x":
        return "p" not in digits
    return digits[:2] in ("0o", "0b") or not ("." in digits or "e" in digits)


def _integer(text: str, digits: str) -> int:
    octal = len(digits) > 1 and digits[0] == "0" and digits[1] in "0123456789_"
    return int(text, 8 if octal else 0)


def _float(text: str, digits: str) -> float:
    return float.fromhex(text) if digits[:2] == "0x" else float(text)


def string(text: str) -> str:
    """Return the value of a string with its quotes, plain or raw.

    Raises:
        ValueError: it holds an escape that Go does not know.
    """
    if text[0] == "`":
        return text[1:-1].replace("\r", "")
    return _unescape(text[1:-1], '"') if "\\" in text else text[1:-1]


def rune(text: str) -> int:
    """Return the code point of a character with its quotes.

    Raises:
        ValueError: this is not one character.
    """
    value = _unescape(text[1:-1], "'")
    if not value:
        raise ValueError("invalid syntax")
    if len(value) > 1:
        raise ValueError("malformed character constant: " + text)
    return ord(value)


def _unescape(text: str, quote: str) -> str:
    parts: list[str] = []
    pending = bytearray()  # escapes of single bytes, which may make up a character together
    at = 0
    while at < len(text):
        if text[at] == "\\":
            code, at, whole = _escape(text, at + 1, quote)
            if not whole:
                pending.append(code)
                continue
            char = chr(code)
        else:
            char = text[at]
            at += 1
        parts += [from_bytes(bytes(pending)), char]
        pending.clear()
    return "".join(parts) + from_bytes(bytes(pending))


def _escape(text: str, at: int, quote: str) -> tuple[int, int, bool]:
    """Return the code of an escape, where it ends, and whether it is a character or a mere byte."""
    kind = text[at : at + 1]
    if kind == quote:
        return ord(quote), at + 1, True
    if kind in _SIMPLE:
        return _SIMPLE[kind], at + 1, True
    start, (length, base) = (at + 1, _CODES[kind]) if kind in _CODES else (at, (3, 8))
    digits = text[start : start + length]
    allowed = "01234567" if base == 8 else "0123456789abcdefABCDEF"
    if len(digits) < length or not all(char in allowed for char in digits):
        raise ValueError("invalid syntax")
    code = int(digits, base)
    whole = kind in ("u", "U")
    if code > (0x10FFFF if whole else 0xFF) or 0xD800 <= code <= 0xDFFF:
        raise ValueError("invalid syntax")
    return code, start + length, whole
