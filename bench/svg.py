"""SVG as text, as little of it as plots need."""

from collections.abc import Iterable


def element(name: str, *children: str, **attributes: str | float) -> str:
    """Return an element; numbers are rounded, and `_` in names stands for `-`; `class_` is class.

    Children are elements already; for text see `text`.
    """
    said = "".join(f' {_name(key)}="{_value(value)}"' for key, value in attributes.items())
    return f"<{name}{said}>{''.join(children)}</{name}>" if children else f"<{name}{said}/>"


def text(content: str, x: float, y: float, **attributes: str | float) -> str:
    """Return some text at a point."""
    return element("text", escape(content), x=x, y=y, **attributes)


def tip(content: str) -> str:
    """Return what is told about the element that it is in, when somebody points there."""
    return element("title", escape(content))


def path(points: Iterable[tuple[float, float]], **attributes: str | float) -> str:
    """Return a line through points."""
    return element("path", d="M" + "L".join(f"{_value(x)} {_value(y)}" for x, y in points), **attributes)


def document(width: float, height: float, title: str, style: str, *children: str) -> str:
    """Return a whole picture."""
    body = "\n".join((tip(title), element("style", style), *children))
    box = f"0 0 {_value(width)} {_value(height)}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" viewBox="{box}" width="{_value(width)}"'
        f' height="{_value(height)}">\n{body}\n</svg>\n'
    )


def escape(content: str) -> str:
    """Return text for use in XML, in an element or an attribute; characters that XML forbids are replaced."""
    marks = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;"}
    return "".join(marks.get(char) or (char if char.isprintable() else "\ufffd") for char in content)


def _name(key: str) -> str:
    return key.rstrip("_").replace("_", "-")


def _value(value: str | float) -> str:
    return escape(value) if isinstance(value, str) else f"{round(value, 1):g}"
