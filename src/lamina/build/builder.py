"""A build from its first line to its image: Docker's classic builder, step by step (moby, daemon/builder).

Each instruction is an image on top of the one before it. One that was made before, on the same image and of the
same text and files, is taken as it is; after the first that was not, no other is looked for in that stage.
"""

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, TypeVar

import msgspec
from msgspec.structs import replace

from ..containers.life import Containers
from ..dockerfile import expand, parser
from ..dockerfile.expand import BadSubstitution
from ..dockerfile.instructions import Add, Copy, Dockerfile, Instruction, Label, Stage
from ..dockerfile.mistakes import Malformed
from ..errors import InvalidArgument, NotFound
from ..events import Event, Output, Problem, Report, Status
from ..images.images import ImageNotFound
from ..lock import Lease
from ..oci import config, digest, platform, reference
from ..oci.digest import Digest
from ..oci.reference import Reference
from ..store.names import find
from ..store.store import Store
from ..tar.root import Root
from . import steps
from .arguments import EPOCH, Arguments
from .context import Context
from .dispatch import Dispatch
from .inputs import Inputs, opened
from .plan import Plan, plan
from .plan import find as find_stage
from .steps import State, Steps

if TYPE_CHECKING:
    from ..transfer.places import Connect

_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_One = TypeVar("_One", bound=Instruction)
SCRATCH = "scratch"
"""The name of the empty image."""


class BaseNotFound(NotFound):
    """The image of a FROM or a --from is not in the store."""

    def __init__(self, name: str) -> None:
        super().__init__(f"No such image: {name}: pull, load or build it first")


_ROOT = ("", "0", "0:0", "root", "root:root")
"""What `--chown` may say without root."""


class Options(msgspec.Struct, frozen=True):
    """How to build.

    Attributes:
        names: what the image is to be called.
        target: the last stage wanted, by name or number; empty for the file's last.
        arguments: of ARG; None for a name without a value.
        labels: for the image, beside those of the file.
        cached: whether steps made before will do.
        network: of RUN: `none` or `host`.
        pull: whether images to start from are fetched from their registries: `never`, those that are `missing`, or
            `always`.
    """

    names: tuple[Reference, ...] = ()
    target: str = ""
    arguments: dict[str, str | None] = {}
    labels: dict[str, str] = {}
    cached: bool = True
    network: str = "host"
    pull: str = "never"


def build(
    store: Store, containers: Containers, inputs: Inputs, options: Options, report: Report, connect: "Connect"
) -> Digest:
    """Build an image; return its id. Steps made before a failure are found again by the next build.

    Args:
        store: where to.
        containers: of that store.
        inputs: the Dockerfile and the context.
        options: how.
        report: hears of the steps, and what their processes write, as `Output`.
        connect: makes a client of registries, for images to start from.

    Raises:
        Malformed: the Dockerfile cannot be read.
        RunFailed: a command ended with an error.
        BaseNotFound: an image to start from is not there.
    """
    with store.writing() as lease, opened(inputs, store, lease) as given:
        file = parser.parse(given.dockerfile, given.name)
        for warning in file.warnings:
            report(Problem(warning))
        one = _Build(store, lease, file, given.name, options, lambda *what: _pull(store, connect, report, *what))
        now = int(time.time()) if one.epoch is None else one.epoch
        dispatch = Dispatch(
            store, containers, lease, one.steps, given.context, one.origin, options.network, now, report
        )
        return one.run(dispatch)


class _Build:
    def __init__(
        self,
        store: Store,
        lease: Lease,
        file: Dockerfile,
        name: str,
        options: Options,
        pull: Callable[[str, str], object],
    ) -> None:
        self._store = store
        self._lease = lease
        self._file = file
        self._name = name
        self._options = options
        self._pull = pull
        self._arguments = Arguments(options.arguments)
        self._platform = platform.host()
        self.epoch = steps.epoch(options.arguments.get(EPOCH))
        self.steps = Steps(store, lease, self._platform, self.epoch, cached=options.cached)
        self._done: list[tuple[Stage, State]] = []
        self._step = 0

    def run(self, dispatch: Dispatch) -> Digest:
        for one in self._file.arguments:
            for name, value in self._expanded(one, self._arguments.for_from()).variables:
                self._arguments.declare_global(name, value)
        planned = self._with_labels(plan(self._file, self._options.target, self._arguments.for_from()))
        for one in self._file.arguments:
            self._say_step(dispatch, planned, one.source)
        for stage in planned.stages:
            self._done.append((stage, self._stage(dispatch, planned, stage)))
        if unused := self._arguments.unused():
            dispatch.say(f"[Warning] One or more build-args [{' '.join(unused)}] were not consumed")
        return self._finish(dispatch, self._done[-1][1])

    def _with_labels(self, planned: Plan) -> Plan:
        """Add the labels of the command line as the last instructions."""
        labels = tuple(Label(0, f"LABEL {k}={v}", ((k, v),)) for k, v in sorted(self._options.labels.items()))
        *stages, last = planned.stages
        last = replace(last, instructions=(*last.instructions, *labels))
        return Plan([*stages, last], planned.steps + len(labels))

    def _say_step(self, dispatch: Dispatch, planned: Plan, source: str) -> None:
        self._step += 1
        dispatch.say(f"Step {self._step}/{planned.steps} : {source}")

    def _stage(self, dispatch: Dispatch, planned: Plan, stage: Stage) -> State:
        self._say_step(dispatch, planned, stage.source)
        state = self._begin(stage)
        if triggers := state.run.on_build:
            state.run = replace(state.run, on_build=None)
            dispatch.say(f"# Executing {len(triggers)} build trigger{'s' * (len(triggers) > 1)}")
            for text in triggers:
                self._do(dispatch, parser.trigger(text), state)
        _say_image(dispatch, state)
        for one in stage.instructions:
            self._say_step(dispatch, planned, one.source)
            self._do(dispatch, one, state)
            _say_image(dispatch, state)
        return state

    def _do(self, dispatch: Dispatch, one: Instruction, state: State) -> None:
        if not isinstance(one, Label) or one.line:  # labels of the command line are taken as they are
            one = self._expanded(one, state.arguments.visible(state.env))
        if isinstance(one, Add | Copy) and one.chown not in _ROOT and not self._store.privileged:
            what = f"--chown={one.chown} needs root: without it all files of an image belong to root"
            raise Malformed(self._name, one.line, what)
        dispatch.do(one, state)

    def _expanded(self, one: _One, env: Mapping[str, str]) -> _One:
        try:
            return expand.expanded(one, env, self._file.escape)
        except BadSubstitution as error:
            raise Malformed(self._name, one.line, str(error)) from error

    def _begin(self, stage: Stage) -> State:
        """Start a stage: from an earlier one, from an image, or from nothing."""
        earlier = self._earlier(stage.base) if not stage.base.isdigit() else None
        arguments = self._arguments.stage()
        if earlier is not None:
            state = State(earlier.image_id, earlier.image, earlier.layer, earlier.run, arguments)
        elif stage.base == SCRATCH:
            state = State(None, None, None, config.RunConfig(), arguments)
        else:
            image_id, image = self._image(stage.base, stage.platform)
            layers = self.steps.keep(image)
            state = State(image_id, image, layers[-1] if layers else None, image.run, arguments)
        env = state.env if any(text.startswith("PATH=") for text in state.env) else [*state.env, _PATH]
        state.run = replace(state.run, env=env, image=state.image_id or "", open_stdin=False, stdin_once=False)
        return state

    def _earlier(self, text: str) -> State | None:
        """Return the stage that a name or a number means, as it ended."""
        found = find_stage([stage for stage, _ in self._done], text)
        return next((state for stage, state in self._done if stage is found), None)

    def _image(self, name: str, wanted: str = "") -> tuple[Digest, config.Image]:
        image_id = self._found(name, wanted)
        image = self._store.images.get(image_id)
        if wanted and not platform.parse(wanted).runs(image.platform):
            raise InvalidArgument(
                f"image with reference {name} was found but does not match the specified platform: "
                f"wanted {wanted}, actual: {image.platform}"
            )
        return image_id, image

    def _found(self, name: str, wanted: str) -> Digest:
        """Return the image of a name, fetched if it is to be."""
        image_id: Digest | None = None
        with contextlib.suppress(ImageNotFound):
            image_id = find(self._store, name)
        is_id = image_id is not None and self._store.references.get(reference.parse(name).tagged()) is None
        if not is_id and (self._options.pull == "always" or (image_id is None and self._options.pull == "missing")):
            self._pull(name, wanted)
            return find(self._store, name)
        if image_id is None:
            raise BaseNotFound(name)
        return image_id

    @contextlib.contextmanager
    def origin(self, text: str) -> Iterator[Context]:
        """Open the files of a stage or an image, for COPY --from."""
        state = self._earlier(text)
        if state is not None:
            layer = state.layer
        elif text.isdigit():
            raise InvalidArgument(f"invalid from flag value {text}: there is no such earlier stage")
        elif text == SCRATCH:
            layer = None
        else:
            layers = self.steps.keep(self._image(text)[1])
            layer = layers[-1] if layers else None
        with contextlib.ExitStack() as stack:
            if layer is not None:
                root = stack.enter_context(self._store.layers.tree(layer))
            else:
                root = stack.enter_context(Root(stack.enter_context(self._store.temporary_folder(self._lease))))
            yield Context(root, f"the files of {text}")

    def _finish(self, dispatch: Dispatch, state: State) -> Digest:
        """Give the image its names."""
        if state.image_id is None:
            raise InvalidArgument("No image was generated. Is your Dockerfile empty?")
        image_id = self.steps.finish(state, self._options.names)
        dispatch.say(f"Successfully built {digest.short(image_id)}")
        for name in self._options.names:
            dispatch.say(f"Successfully tagged {name.familiar}")
        return image_id


def _pull(store: Store, connect: "Connect", report: Report, name: str, wanted: str) -> None:
    """Fetch an image; what there is to say of it is part of what the build prints."""

    def say(event: Event) -> None:
        if isinstance(event, Status):
            event = Output(f"{event.subject}: {event.text}\n".removeprefix(": ").encode())
        report(event)

    from ..transfer import pull  # noqa: PLC0415 - few builds fetch

    pull.verb(store, connect, name, say, wanted)


def _say_image(dispatch: Dispatch, state: State) -> None:
    dispatch.say(f" ---> {digest.short(state.image_id or '')}")
