"""Forests to draw: the one of the golden files, and any other."""

import hashlib
from collections.abc import Sequence
from typing import Literal

from hypothesis import strategies as st

from lamina.render.forest import Node

Kind = Literal["image", "layer", "container"]


def node(key: str, size: int, *children: Node, names: Sequence[str] = (), kind: Kind = "image") -> Node:
    """Return a node whose id is the SHA-256 of a key."""
    digest = hashlib.sha256(key.encode()).hexdigest()
    return Node(digest, size, tuple(names), kind, f"RUN make {key}", children)


def eleven() -> list[Node]:
    """Return eleven images: five on one base, six on another, with one image of 0 bytes between."""
    ubuntu = node("precise", 194_533, node("trusty", 84_340_000, names=["ubuntu:14.04"]), node("branch", 9_700_000))
    ubuntu = node("precise", 194_533, *ubuntu.children, names=["ubuntu:12.04"])
    ubuntu = node("first", 131_500_000, node("second", 24_900, ubuntu))
    debian = node(
        "base",
        84_970_000,
        node("mysql", 148_200_000, names=["mysql:5.6"]),
        node("mongo", 118_700_000, names=["mongo:2.2"]),
        node(
            "between",
            0,
            node("wheezy", 2_420_000, names=["debian:wheezy"]),
            node("jessie", 40_170_000, names=["debian:jessie"]),
        ),
    )
    return [ubuntu, debian]


def running() -> list[Node]:
    """Return an image of three layers with two containers, and one with many names."""
    containers = [node("db", 12_345, names=["db"], kind="container"), node("web", 0, names=["web"], kind="container")]
    app = node("two", 1_300, node("three", 70, *containers, names=["app:1"]), kind="layer")
    names = [f"registry.example.com:5000/a/very/long/path/app:{i}" for i in range(9)]
    return [node("one", 1_000_000, app, kind="layer"), node("many", 5, names=names)]


def star(count: int) -> list[Node]:
    """Return one base with so many images on it."""
    return [node("base", 80_000_000, *(node(f"s{i}", i * 10_000, names=[f"s{i}:1"]) for i in range(count)))]


def line(count: int) -> list[Node]:
    """Return so many images one on the other, the uppermost named."""
    found = node("0", 1, names=["top:1"])
    for i in range(1, count):
        found = node(str(i), i, found)
    return [found]


@st.composite
def forests(draw: st.DrawFn, most: int = 60) -> list[Node]:
    """Return any forest of images, layers and containers with up to so many nodes, and ids that tell them apart."""
    shape = draw(st.lists(st.integers(0, 1 << 20), max_size=most))
    near = draw(st.booleans())
    children: list[list[Node]] = [[] for _ in range(len(shape) + 1)]
    for i in range(len(shape), 0, -1):
        parent = (i - shape[i - 1] % min(i, 3) - 1) if near else shape[i - 1] % i  # 0: a root
        names = draw(st.lists(st.text(max_size=50), max_size=6)) if shape[i - 1] % 7 == 0 else []
        size = draw(st.integers(0, 1 << 40))
        kind: Kind = "image" if children[i] or names else draw(st.sampled_from(["image", "layer", "container"]))
        children[parent].insert(0, node(str(i), size, *children[i], names=names, kind=kind))
    return children[0]
