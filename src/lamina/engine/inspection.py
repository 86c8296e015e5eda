"""All that is known of one thing, in the shape of Docker's API."""

import os
from typing import Any

import msgspec

from .. import __version__
from ..containers import health
from ..containers.life import Containers
from ..containers.mounts import Point
from ..containers.records import LIVE, PAUSED, RESTARTING, Record
from ..events import Report
from ..oci import config, platform, times
from ..oci.digest import Digest
from ..store.store import Store
from . import hostconfig
from .containers import size_of
from .listing import Sizes, references


def image(store: Store, image_id: Digest, report: Report) -> dict[str, Any]:
    """Return an image as `docker image inspect` shows it."""
    found = store.images.get(image_id)
    sizes = Sizes(store.layers)
    chain_ids = list(sizes.chains(found.diff_ids))
    texts = references(store, report).get(image_id, [])
    result: dict[str, Any] = {
        "Id": image_id,
        "RepoTags": [text for text in texts if "@" not in text],
        "RepoDigests": [text for text in texts if "@" in text],
        "Parent": store.images.parent(image_id) or "",
        "Comment": found.comment or _last_comment(found),
        "Created": found.created,
        "DockerVersion": found.docker_version or "",
        "Author": found.author or "",
        "Config": msgspec.to_builtins(found.run),
        "Architecture": found.architecture,
    }
    if found.variant:
        result["Variant"] = found.variant
    result["Os"] = found.os
    result["Size"] = sizes.total(found.diff_ids)
    result["GraphDriver"] = {
        "Data": store.driver.metadata(store.layers.get(chain_ids[-1]).cache_id) if chain_ids else None,
        "Name": store.driver_name,
    }
    result["RootFS"] = {"Type": "layers", "Layers": found.diff_ids} if found.diff_ids else {"Type": "layers"}
    result["Metadata"] = {"LastTagTime": store.images.last_updated(image_id) or times.rfc3339(times.ZERO)}
    return result


def _last_comment(found: config.Image) -> str:
    return found.steps[-1].comment if found.steps else ""


def container(containers: Containers, record: Record, *, sizes: bool) -> dict[str, Any]:
    """Return a container as `docker container inspect` shows it."""
    store = containers.store
    folder = containers.records.folder(record.id)
    path, *args = record.command
    writable = store.mounts.get(record.id)
    result: dict[str, Any] = {
        "Id": record.id,
        "Created": record.created,
        "Path": path,
        "Args": args,
        "State": _state(containers, record),
        "Image": record.image_id,
        "ResolvConfPath": os.path.join(folder, "resolv.conf"),
        "HostnamePath": os.path.join(folder, "hostname"),
        "HostsPath": os.path.join(folder, "hosts"),
        "LogPath": log if os.path.exists(log := containers.records.log(record.id)) else "",
        "Name": f"/{record.name}",
        "RestartCount": containers.state(record.id).restarts,
        "Driver": store.driver_name,
        "Platform": "linux",
        "MountLabel": "",
        "ProcessLabel": "",
        "AppArmorProfile": "",
        "ExecIDs": None,
        "HostConfig": hostconfig.describe(record.host),
        "GraphDriver": {"Data": store.driver.metadata(writable.mount_id), "Name": store.driver_name},
        "Mounts": [_mount(containers, point) for point in record.mounts],
        "Config": msgspec.to_builtins(record.config),
        "NetworkSettings": {"Networks": {record.host.network: {}}},
    }
    if sizes:
        size, below = size_of(containers, record.id)
        result |= {"SizeRw": size, "SizeRootFs": size + below}
    return result


def _state(containers: Containers, record: Record) -> dict[str, Any]:
    state = containers.state(record.id)
    never = times.rfc3339(times.ZERO)
    found = health.state(containers, record)
    return {
        "Status": state.status,
        "Running": state.status in LIVE,
        "Paused": state.status == PAUSED,
        "Restarting": state.status == RESTARTING,
        "OOMKilled": state.oom_killed,
        "Dead": False,
        "Pid": containers.process(record.id) if state.status in LIVE else 0,
        "ExitCode": state.exit_code,
        "Error": state.error,
        "StartedAt": state.started or never,
        "FinishedAt": (state.finished if state.status not in LIVE else "") or never,
        **({"Health": msgspec.to_builtins(found)} if found else {}),
    }


def _mount(containers: Containers, point: Point) -> dict[str, Any]:
    volume = {"Name": point.name} if point.name else {}
    source = containers.volumes.path(point.name) if point.name else point.source
    driver = {"Driver": "local"} if point.name else {}
    return {
        "Type": point.kind,
        **volume,
        "Source": source,
        "Destination": point.destination,
        **driver,
        "Mode": point.mode,
        "RW": not point.readonly,
        "Propagation": point.propagation,
    }


def system(store: Store) -> dict[str, Any]:
    """Return what `docker info` says, as far as it is so without a daemon."""
    host = platform.host()
    uname = os.uname()
    return {
        "ServerVersion": __version__,
        "Driver": store.driver_name,
        "DriverStatus": [["Chosen because", store.driver_reason]],
        "DockerRootDir": store.paths.root,
        "Images": sum(1 for _ in store.images),
        "Containers": sum(1 for _ in store.mounts),
        "OSType": host.os,
        "Architecture": uname.machine,
        "KernelVersion": uname.release,
        "OperatingSystem": _pretty_name(),
        "NCPU": len(os.sched_getaffinity(0)),
        "MemTotal": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "Name": uname.nodename,
        "Warnings": [],
    }


def _pretty_name() -> str:
    """Return the name of the operating system (os-release(5))."""
    try:
        with open("/etc/os-release", encoding="utf-8", errors="replace") as file:
            facts = dict(line.strip().split("=", 1) for line in file if "=" in line)
    except OSError:
        return "Linux"
    return facts.get("PRETTY_NAME", "Linux").strip('"')
