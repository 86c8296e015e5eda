"""Patterns of fnmatch(3), as find(1) and shells have them: `*` matches a slash and a leading dot, too."""

import re

_NEVER = "(?!)"
_CLASSES = {
    "alnum": "a-zA-Z0-9",
    "alpha": "a-zA-Z",
    "blank": " \\t",
    "digit": "0-9",
    "lower": "a-z",
    "punct": "!-/:-@\\[-`{-~",
    "space": "\\s",
    "upper": "A-Z",
    "xdigit": "0-9A-Fa-f",
}


def regex(pattern: str) -> str:
    """Return a regular expression, for `re.DOTALL` and a whole text, that matches what a pattern does.

    A star takes no more than it needs and never thinks again, so that the time does not grow with their number.
    """
    parts = [""]
    at = 0
    while at < len(pattern):
        char = pattern[at]
        at += 1
        if char == "*":
            parts.append("")
        elif char == "?":
            parts[-1] += "."
        elif char == "[" and (end := _end(pattern, at)):
            parts[-1] += _set(pattern[at:end])
            at = end + 1
        elif char == "\\":
            parts[-1] += re.escape(pattern[at]) if at < len(pattern) else _NEVER
            at += 1
        else:
            parts[-1] += re.escape(char)
    first, *inner = parts
    last = f".*{inner.pop()}" if inner else ""
    return first + "".join(f"(?>.*?{part})" for part in inner if part) + last


def _end(pattern: str, at: int) -> int:
    """Return where the set that begins at a place ends, 0 if it does not: then the bracket stands for itself."""
    at += pattern[at : at + 1] in ("!", "^")
    at += pattern[at : at + 1] == "]"
    while at < len(pattern) and pattern[at] != "]":
        inner = pattern.find(":]", at + 2) if pattern.startswith("[:", at) else -1
        at = inner + 2 if inner >= 0 else at + 1 + (pattern[at] == "\\")
    return at if at < len(pattern) else 0


def _set(text: str) -> str:
    """Return a set of characters without its brackets as one of a regular expression."""
    negated = text[:1] in ("!", "^")
    text = text[negated:]
    out: list[str] = []
    at = 0
    while at < len(text):
        end = text.find(":]", at + 2) if text.startswith("[:", at) else -1
        if end >= 0 and (known := _CLASSES.get(text[at + 2 : end])):
            out.append(known)
            at = end + 2
            continue
        first, at = _char(text, at)
        if text[at : at + 1] == "-" and at + 1 < len(text):
            last, at = _char(text, at + 1)
            out += [f"{re.escape(first)}-{re.escape(last)}"] * (first <= last)
        else:
            out.append(re.escape(first))
    if not out:
        return "." if negated else _NEVER
    return f"[{'^' * negated}{''.join(out)}]"


def _char(text: str, at: int) -> tuple[str, int]:
    """Return the character at a place, and where the next one is; a backslash takes the next one as it is."""
    at += text[at] == "\\" and at + 1 < len(text)
    return text[at], at + 1
