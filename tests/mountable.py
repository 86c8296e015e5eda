"""Small EROFS images to mount, whose contents lie in another file."""

from pathlib import Path

from lamina.erofs.directory import Folder, Meta
from lamina.erofs.layout import Device
from lamina.erofs.writer import Writer
from lamina.mount import Image


def image(home: Path, number: int) -> Image:
    """Write an image with the files `b`, `c` and one named by a number, and return it; the number is in all of them."""
    (home / f"{number}.tar").write_bytes((b"content %d" % number).ljust(512))
    writer, root = Writer(), Folder(Meta())
    node = writer.file(Meta(), 9, 0)
    root.names |= {b"%d" % number: node, b"b": node, b"c": node}
    writer.finish(root, [Device(1)])
    with open(home / f"{number}.erofs", "wb") as file:
        writer.write(file)
    return Image(f"{number}.erofs", (f"{number}.tar",))
