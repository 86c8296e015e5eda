r"""Text with tabs to columns, as `tabwriter` aligns those of the docker client.

A cell ends at a tab; what follows the last tab of a line is no cell and is not padded. Cells one above the other in
lines without a gap are one column: as wide as its widest cell and 3 spaces, and 10 at least. A form feed ends all
columns. Widths are those of a terminal: 2 for East Asian wide characters, 0 for combining ones, 1 for the others.
"""

MIN_WIDTH = 10
PADDING = 3
_JOINER = "\u200d"


def align(text: str) -> str:
    """Return the text with spaces for tabs."""
    return "\n".join("\n".join(_aligned(section)) for section in text.split("\f"))


def width(text: str) -> int:
    """Return how many places a terminal gives to a text."""
    if text.isascii():
        return sum(char >= " " and char != "\x7f" for char in text)
    import unicodedata  # noqa: PLC0415 - the tables of all characters, for the few texts that need them

    total = 0
    before = ""
    for char in text:
        joined = before == _JOINER or "\u1160" <= char <= "\u11ff" or "\U0001f3fb" <= char <= "\U0001f3ff"
        before = char
        if joined or unicodedata.category(char) in ("Mn", "Me", "Mc", "Cf", "Cc"):
            continue  # a part of the sign before it
        total += 2 if unicodedata.east_asian_width(char) in ("W", "F") else 1
    return total


def _aligned(section: str) -> list[str]:
    lines = [line.replace("\v", "\t").split("\t") for line in section.split("\n")]
    widths: list[list[int]] = [[] for _ in lines]
    blocks = [(0, 0, len(lines))]  # a column, and lines that have the cells to its left in common
    while blocks:
        column, first, last = blocks.pop()
        start = first
        while start < last:
            end = start
            while end < last and len(lines[end]) - 1 > column:
                end += 1
            if end > start:
                broad = max(MIN_WIDTH, *(width(line[column]) + PADDING for line in lines[start:end]))
                for each in widths[start:end]:
                    each.append(broad)
                blocks.append((column + 1, start, end))
            start = end + 1
    return ["".join(map(_padded, line, [*wide, 0])) for line, wide in zip(lines, widths, strict=True)]


def _padded(cell: str, wide: int) -> str:
    return cell + " " * (wide - width(cell))
