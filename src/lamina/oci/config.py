"""Image configs: what a container of an image runs, and what the image is made of.

    Image                 image-spec config.md, with the fields that Docker adds
    ├── config            RunConfig: Docker's container.Config
    ├── container_config  RunConfig of the step that made it: the build cache compares it
    ├── rootfs            diff ids, base first
    └── history           a row an instruction, oldest first

The fields of a RunConfig stand in the order in which Docker writes them, and those that Docker writes only
when set are UNSET here by default. The keys of an image are sorted, as Docker sorts them.
"""

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, UnsetType

from . import codec
from .digest import Digest, InvalidDigest
from .digest import parse as parse_digest
from .platform import Platform

Int64 = Annotated[int, msgspec.Meta(ge=-(1 << 63), le=(1 << 63) - 1)]
"""Go's `int64`: what is read must be what can be written."""

Empty = dict[str, Any]
"""Go's `struct{}`: the values of a JSON object that is a set."""


class Health(msgspec.Struct, frozen=True, omit_defaults=True, rename="pascal"):
    """A health check; durations in nanoseconds, zero means inherit."""

    test: list[str] | None = None
    interval: Int64 = 0
    timeout: Int64 = 0
    start_period: Int64 = 0
    start_interval: Int64 = 0
    retries: Int64 = 0


class RunConfig(msgspec.Struct, frozen=True, rename="pascal"):
    """What a container runs, and as whom, where, and with what around it."""

    hostname: str = ""
    domainname: str = ""
    user: str = ""
    attach_stdin: bool = False
    attach_stdout: bool = False
    attach_stderr: bool = False
    exposed_ports: dict[str, Empty] | UnsetType | None = UNSET
    tty: bool = False
    open_stdin: bool = False
    stdin_once: bool = False
    env: list[str] | None = None
    cmd: list[str] | None = None
    healthcheck: Health | UnsetType | None = UNSET
    args_escaped: bool | UnsetType = UNSET
    image: str = ""
    volumes: dict[str, Empty] | None = None
    working_dir: str = ""
    entrypoint: list[str] | None = None
    network_disabled: bool | UnsetType = UNSET
    mac_address: str | UnsetType = UNSET
    on_build: list[str] | None = None
    labels: dict[str, str] | None = None
    stop_signal: str | UnsetType = UNSET
    stop_timeout: Int64 | UnsetType | None = UNSET
    shell: list[str] | UnsetType | None = UNSET


class History(msgspec.Struct, frozen=True, omit_defaults=True):
    """One step of an image; a step without `empty_layer` has the next layer of the rootfs."""

    created: str = ""
    created_by: str = ""
    author: str = ""
    comment: str = ""
    empty_layer: bool = False


class RootFS(msgspec.Struct, frozen=True):
    """The layers of an image, base first."""

    type: str = "layers"
    diff_ids: list[Digest] = []


class Image(msgspec.Struct, frozen=True):
    """A whole config; its keys are in the order of their names."""

    architecture: str = ""
    author: str | UnsetType = UNSET
    comment: str | UnsetType = UNSET
    config: RunConfig | UnsetType | None = UNSET
    container: str | UnsetType = UNSET
    container_config: RunConfig | UnsetType | None = UNSET
    created: str | None = None
    docker_version: str | UnsetType = UNSET
    history: list[History] | UnsetType | None = UNSET
    os: str = ""
    os_features: list[str] | UnsetType = msgspec.field(default=UNSET, name="os.features")
    os_version: str | UnsetType = msgspec.field(default=UNSET, name="os.version")
    parent: str | UnsetType = UNSET
    rootfs: RootFS | None = None
    variant: str | UnsetType = UNSET

    @property
    def run(self) -> RunConfig:
        """The config of its containers, also where the document has none."""
        return self.config or RunConfig()

    @property
    def diff_ids(self) -> list[Digest]:
        """The digests of the layers, base first."""
        return self.rootfs.diff_ids if self.rootfs else []

    @property
    def steps(self) -> list[History]:
        """The history, oldest first."""
        return self.history or []

    @property
    def platform(self) -> Platform:
        """Where the image runs."""
        return Platform(self.architecture, self.os, self.variant or "")


def parse(raw: bytes, what: str = "image config") -> Image:
    """Return the typed view of a config's bytes.

    Raises:
        InvalidDocument: not a config, without layers' list, with a wrong digest, or with more history than layers.
    """
    image = codec.decode(raw, Image, what)
    if image.rootfs is None:
        raise codec.InvalidDocument(f"{what} is invalid: it has no rootfs")
    try:
        for diff_id in image.diff_ids:
            parse_digest(diff_id)
    except InvalidDigest as error:
        raise codec.InvalidDocument(f"{what} is invalid: {error}") from error
    if sum(not step.empty_layer for step in image.steps) > len(image.diff_ids):
        raise codec.InvalidDocument(f"{what} is invalid: too many non-empty layers in its history")
    return image
