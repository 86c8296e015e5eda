"""Where a stage of a build stands: the image so far, and what the next step makes of it.

The texts and configs of steps are those of Docker's classic builder (moby, daemon/builder/dockerfile), so that
`history` reads the same.
"""

import contextlib
from collections.abc import Sequence

import msgspec
from msgspec.structs import replace

from ..containers.commits import Base, Committed, Statement, add, child, commit
from ..errors import LaminaError
from ..images.images import ImageNotFound
from ..images.steps import key
from ..layers.layers import Layer
from ..lock import Lease
from ..oci import codec, config, digest, times
from ..oci.digest import Digest
from ..oci.platform import Platform
from ..oci.reference import Reference
from ..store.lifecycle import create_built
from ..store.names import name_image
from ..store.store import Store
from .arguments import StageArguments
from .configure import DEFAULT_SHELL


class State(msgspec.Struct):
    """A stage under way.

    Attributes:
        image_id: the image so far; None for scratch.
        image: its config.
        layer: its top layer; None for an image without layers.
        run: the config of the next image.
        arguments: what ARG has declared.
        author: of MAINTAINER.
        cmd_set: whether CMD was given in the stage.
        missed: whether a step had to be made, so that those after it are not looked for.
    """

    image_id: Digest | None
    image: config.Image | None
    layer: Layer | None
    run: config.RunConfig
    arguments: StageArguments
    author: str = ""
    cmd_set: bool = False
    missed: bool = False

    @property
    def base(self) -> Base:
        """The image so far, as a commit wants it."""
        return Base(self.image_id, self.image)

    @property
    def env(self) -> list[str]:
        """The variables of ENV."""
        return self.run.env or []


class Steps:
    """Makes steps, or finds them made before.

    Args:
        store: of the images.
        lease: keeps their layers.
        platform: of images from scratch.
        epoch: seconds since the epoch that all images and files get as their time; None for now.
        cached: whether steps made before will do.
    """

    def __init__(self, store: Store, lease: Lease, platform: Platform, epoch: int | None, *, cached: bool) -> None:
        self._store = store
        self._lease = lease
        self._platform = platform
        self._epoch = epoch
        self._cached = cached

    def find(self, state: State, step: config.RunConfig) -> bool:
        """Go on to the image that a step made before; return whether there is one."""
        if not self._cached or state.missed:
            return False
        platform = state.image.platform if state.image is not None else self._platform
        name = key(state.image_id, step, str(platform))
        with self._store.lock():
            found = self._store.steps.find(name, state.image_id)
        if found is None or not self._take(state, found):
            state.missed = True
            return False
        return True

    def _take(self, state: State, image_id: Digest) -> bool:
        """Go on to an image; return whether it is whole."""
        try:
            image = self._store.images.get(image_id)
            layers = self.keep(image)
        except LaminaError:
            return False
        self._move(state, image_id, image, layers[-1] if layers else None)
        return True

    def keep(self, image: config.Image) -> list[Layer]:
        """Keep an image's layers as long as the build lasts, and return them.

        Raises:
            LayerNotFound: one is missing.
        """
        chain_ids = digest.chains(image.diff_ids)
        present = self._store.rely_on(self._lease, chain_ids)
        if len(present) < len(chain_ids):
            self._store.layers.get(chain_ids[len(present)])
        return present

    def describe(self, state: State, step: config.RunConfig) -> None:
        """Make an image with another config and no layer."""
        image = child(state.image, None, self._statement(state, step))
        self._done(state, add(self._store, self._lease, state.base, state.layer, image))

    def commit(self, state: State, step: config.RunConfig, container: str) -> None:
        """Make an image of what changed in a writable layer."""
        made = commit(self._store, self._lease, container, state.base, self._statement(state, step))
        self._done(state, made)

    def finish(self, state: State, names: Sequence[Reference]) -> Digest:
        """Return the image of a stage, with some names; it is there again if somebody has deleted it meanwhile.

        Its layers cannot have gone, since the lease keeps them.
        """
        assert state.image_id is not None, "a stage from scratch without steps"
        try:
            if state.image_id not in self._store.images:
                raise ImageNotFound(state.image_id)
            for name in names:
                name_image(self._store, name, state.image_id)
        except ImageNotFound:
            raw = codec.encode(state.image) if state.image is not None else b""
            if digest.of(raw) != state.image_id:  # it is not one that was built here
                raise
            create_built(self._store, self._lease, raw, None, names)
        return state.image_id

    def _statement(self, state: State, step: config.RunConfig) -> Statement:
        return Statement(
            run=state.run,
            step=step,
            created_by=" ".join(step.cmd or []),
            author=state.author,
            created=times.now() if self._epoch is None else times.rfc3339(self._epoch * 10**9),
            latest=self._epoch,
        )

    def _done(self, state: State, made: Committed) -> None:
        self._move(state, made.image_id, made.image, made.layer)

    def _move(self, state: State, image_id: Digest, image: config.Image, layer: Layer | None) -> None:
        state.image_id, state.image, state.layer = image_id, image, layer
        state.run = replace(state.run, image=image_id)


def noted(run: config.RunConfig, *words: str) -> config.RunConfig:
    """Return the config of a step that runs nothing: its text stands where a command would."""
    return replace(run, cmd=[*(run.shell or DEFAULT_SHELL), *words])


def ran(run: config.RunConfig, words: Sequence[str], arguments: list[str], keys: list[str]) -> config.RunConfig:
    """Return the config of a RUN, as the history has it: with the arguments that it saw.

    Args:
        run: the config before it.
        words: the command.
        arguments: all `NAME=value` that it sees besides ENV.
        keys: those of them that make it another step.
    """
    prefix = [f"|{len(keys)}", *keys] if arguments else []
    return replace(run, cmd=[*prefix, *words], entrypoint=None)


def epoch(text: str | None) -> int | None:
    """Return the seconds of SOURCE_DATE_EPOCH, None for one that is not set or no number."""
    with contextlib.suppress(TypeError, ValueError):
        return max(0, int(text or ""))
    return None
