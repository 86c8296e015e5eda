"""All that a user sees of a store, as lines that are the same after the same commands: no ids, no times.

image sh -c echo x|ENV A=1         by its history
tag made:1 = sh -c echo x|ENV A=1
container one of tiny:1            with `is exited 0` and each change as lines of their own
volume old a b/c                   with the files in it
"""

import os
import re
import zlib
from collections.abc import Iterator

from lamina.engine import Engine
from lamina.oci.digest import Digest

NAMED = ("one", "two", "live", "old", "new")
"""Names of containers and volumes that are chosen by us; others are by chance."""

STATE = " is "
"""What is in the lines about what became of containers."""


def of(engine: Engine) -> set[str]:
    """Return the lines of a store."""
    images = {image.id: _image(engine, image.id) for image in engine.images()}
    lines = {f"image {text}" for text in images.values()}
    lines |= {f"tag {tag} = {images[one.id]}" for one in engine.images() for tag in one.tags}
    for one in engine.containers():
        name = f"container {_name(one.record.name)}"
        lines.add(f"{name} of {images.get(one.record.image_id, 'nothing')}")
        lines.add(f"{name}{STATE}{one.state.status} {one.state.exit_code}")
        lines |= {f"{name} {text}" for text in _changes(engine, one.record.id)}
    for volume in engine.volumes():
        name = f"volume {_name(volume.volume.name)}{' of nobody' * (volume.volume.anonymous and not volume.users)}"
        lines |= {name, f"{name} has {' '.join(_files(volume.volume.path))}".removesuffix(" has ")}
    return lines


def lasting(lines: set[str]) -> set[str]:
    """Return the lines but for those on what became of containers."""
    return {line for line in lines if not (line.startswith("container") and STATE in line)}


def durable(lines: set[str], *, runs: bool) -> set[str]:
    """Return the lines that must outlive a loss of power: what a container's process wrote is its own affair.

    So is what a registry has.
    """
    theirs = re.compile("^registry " + "|^container [^ ]+ [CAD] " * runs)
    return {line for line in lasting(lines) if not theirs.search(line)}


def difference(found: set[str], wanted: set[str]) -> str:
    """Say what is different."""
    return f"too much: {sorted(found - wanted)}, missing: {sorted(wanted - found)}"


def _image(engine: Engine, image_id: Digest) -> str:
    config = engine._store.images.get(image_id)
    steps = [step.created_by or step.comment or "" for step in config.history or ()]
    return "|".join(re.sub(r"[0-9a-f]{12,64}", "*", step)[-40:] for step in steps) + f" ({len(config.diff_ids)})"


def _changes(engine: Engine, container: str) -> Iterator[str]:
    upper = engine._store.driver.folder(engine._store.mounts.get(container).mount_id)
    for change in engine.diff(container):
        path = os.path.join(upper, "diff", os.fsdecode(change.path))
        yield f"{change.kind.letter} {os.fsdecode(change.path)}{_hash(path)}"


def _hash(path: str) -> str:
    """Return a number of a file's bytes; nothing of what is no file."""
    if not os.path.isfile(path) or os.path.islink(path):
        return ""
    with open(path, "rb") as file:
        return f" ({zlib.crc32(file.read()):x})"


def _name(name: str) -> str:
    return name if name in NAMED else "*"


def _files(path: str) -> list[str]:
    found = []
    for folder, _, names in os.walk(path):
        for name in names:
            place = os.path.join(folder, name)
            found.append(os.path.relpath(place, path) + _hash(place))
    return sorted(found)
