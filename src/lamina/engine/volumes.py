"""What volumes there are, and which containers have them."""

from collections.abc import Iterable
from typing import Any

import msgspec

from ..containers.life import Containers
from ..containers.volumes import Volume, VolumeNotFound


class VolumeSummary(msgspec.Struct, frozen=True):
    """One volume of a list, and the ids of the containers that have it."""

    volume: Volume
    users: list[str]


def summaries(containers: Containers) -> list[VolumeSummary]:
    """Return all volumes, by name."""
    return list(_summaries(containers))


def _summaries(containers: Containers) -> Iterable[VolumeSummary]:
    users = containers.volumes.all_users()
    for name in containers.volumes:
        try:
            yield VolumeSummary(containers.volumes.get(name), users.get(name, []))
        except VolumeNotFound:
            continue  # removed meanwhile


def describe(volume: Volume) -> dict[str, Any]:
    """Return a volume as `docker volume inspect` shows it."""
    return {
        "CreatedAt": volume.created,
        "Driver": "local",
        "Labels": volume.labels,
        "Mountpoint": volume.path,
        "Name": volume.name,
        "Options": volume.options,
        "Scope": "local",
    }
