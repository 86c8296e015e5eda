"""The picture of an image store: the forest as SVG, each tree's base below and what stands on it above.

A box is a layer: its names, its id, its size, and a bar for its share of the largest one. The picture brings all it
needs and shows well on light and dark pages: what lies under text has its own colour, and the rest is a middle grey.
"""

from collections.abc import Sequence

from .forest import Node, flatten, is_top, printable, short, summary, totals
from .forest_layout import LINE, PADDING, Box, Edge, layout
from .units import size

_MARGIN = 20
_FOOT = 64
_STYLE = """
.lf{font:12px ui-monospace,"DejaVu Sans Mono",Menlo,Consolas,"Liberation Mono",monospace}
.lf-edge{fill:none;stroke:#8f98a5;stroke-width:2}
.lf rect{stroke-width:1}
.lf-foot rect{fill:#f7f9fb;stroke:#a3adba}.lf-foot text{fill:#2a3441}
.lf-named rect{fill:#1b5fc1;stroke:#0f4391}.lf-named text{fill:#fff}.lf-named .lf-bar{fill:#9cc7ff}
.lf-shared rect{fill:#cfe3fb;stroke:#6d9ed6}.lf-shared text{fill:#12304f}.lf-shared .lf-bar{fill:#3d7cc4}
.lf-own rect{fill:#eef1f5;stroke:#a3adba}.lf-own text{fill:#2a3441}.lf-own .lf-bar{fill:#8592a3}
.lf-container rect{fill:#d8f3e1;stroke:#3a9a62}.lf-container text{fill:#0e3a21}.lf-container .lf-bar{fill:#3a9a62}
.lf .lf-bar{stroke:none}
.lf-name{font-weight:bold}
"""
_KINDS = {
    "named": "named image",
    "shared": "shared layer",
    "own": "layer of one image",
    "container": "container",
}


def draw(forest: Sequence[Node]) -> str:
    """Return the forest as an SVG document; the same forest always gives the same text.

    A box has a tooltip with the whole id, all names, the bytes, and the command that made the layer.
    """
    picture = layout(forest)
    kinds = _classes(forest)
    largest = max((box.node.size for box in picture.boxes), default=0)
    line = summary(totals(forest))
    legend = [kind for kind in _KINDS if kind in kinds]
    width = max(picture.width, _foot_width(legend, line)) + 2 * _MARGIN
    height = picture.height + _FOOT + 3 * _MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="lf" role="img" viewBox="0 0 {width} {height}"',
        f' width="{width}" height="{height}">\n<title>{escape(line)}</title>\n<style>{_STYLE}</style>\n',
        f'<g transform="translate({_MARGIN},{_MARGIN})">\n',
        *map(_edge, picture.edges),
        *(_box(box, kind, largest) for box, kind in zip(picture.boxes, kinds, strict=True)),
        "</g>\n",
        _foot(legend, line, picture.height + 2 * _MARGIN),
        "</svg>\n",
    ]
    return "".join(parts)


def escape(text: str) -> str:
    """Return a text for use in XML, in an element or an attribute; characters that XML forbids are replaced."""
    marks = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;"}
    return "".join(marks.get(char) or (char if char.isprintable() or char == "\n" else "\ufffd") for char in text)


def _classes(forest: Sequence[Node]) -> list[str]:
    """Return the class of each node, by how many of those that a user would list need it."""
    nodes = flatten(forest)
    users = [int(is_top(node)) for node, _ in nodes]
    for i in range(len(nodes) - 1, -1, -1):
        if nodes[i][1] >= 0:
            users[nodes[i][1]] += users[i]
    return [
        "container" if node.kind == "container" else "named" if node.names else "shared" if count > 1 else "own"
        for (node, _), count in zip(nodes, users, strict=True)
    ]


def _edge(edge: Edge) -> str:
    return f'<path class="lf-edge" d="M{" L".join(f"{x} {y}" for x, y in edge.points)}"/>\n'


def _box(box: Box, kind: str, largest: int) -> str:
    radius = 11 if kind == "container" else 4
    right, base = box.x + box.width - PADDING, box.y + box.height - PADDING
    names = [
        f'<text class="lf-name" x="{box.x + PADDING}" y="{box.y + PADDING + 6 + LINE * i}">{escape(name)}</text>'
        for i, name in enumerate(box.names)
    ]
    share = (box.width - 2 * PADDING) * box.node.size // largest if largest else 0
    bar = f'<rect class="lf-bar" x="{box.x + PADDING}" y="{base + 4}" width="{share}" height="2"/>'
    return (
        f'<g class="lf-{kind}"><title>{escape(_tooltip(box.node))}</title>'
        f'<rect x="{box.x}" y="{box.y}" width="{box.width}" height="{box.height}" rx="{radius}"/>'
        + "".join(names)
        + f'<text x="{box.x + PADDING}" y="{base}">{escape(short(box.node.id))}</text>'
        + f'<text x="{right}" y="{base}" text-anchor="end">{size(box.node.size)}</text>'
        + (bar if share > 1 else "")
        + "</g>\n"
    )


def _tooltip(node: Node) -> str:
    lines = [f"{node.kind} {printable(node.id)}", *map(printable, node.names), f"{node.size} bytes of its own"]
    return "\n".join([*lines, printable(node.created_by)] if node.created_by else lines)


def _foot(kinds: Sequence[str], line: str, top: int) -> str:
    """Return what the colours mean, and the totals, on a ground of their own."""
    parts = [f'<rect x="{_MARGIN}" y="{top}" width="{_foot_width(kinds, line)}" height="{_FOOT}" rx="4"/>']
    x = _MARGIN + 12
    for kind in kinds:
        radius = 7 if kind == "container" else 3
        swatch = f'<rect x="{x}" y="{top + 13}" width="16" height="14" rx="{radius}"/>'
        parts += [f'<g class="lf-{kind}">{swatch}</g>', f'<text x="{x + 22}" y="{top + 24}">{_KINDS[kind]}</text>']
        x += _legend_width(kind)
    parts.append(f'<text class="lf-name" x="{_MARGIN + 12}" y="{top + 48}">{escape(line)}</text>')
    return f'<g class="lf-foot">{"".join(parts)}</g>\n'


def _legend_width(kind: str) -> int:
    return 22 + 8 * len(_KINDS[kind]) + 14


def _foot_width(kinds: Sequence[str], line: str) -> int:
    return max(8 * len(line), sum(map(_legend_width, kinds))) + 24
