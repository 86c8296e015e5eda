"""Removing images, by Docker's rules: what has no name left goes, with all that only it needs.

Source: moby, daemon/images/image_delete.go.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from ..errors import Conflict
from ..images.references import by_image
from ..oci import digest, reference
from ..oci.digest import Digest
from ..store.journal import IMAGE
from ..store.lifecycle import chain, take_out
from ..store.names import find, labels
from ..store.store import Store


class ImageInUse(Conflict):
    """An image cannot be removed; the message names the holder."""


class User(NamedTuple):
    """A container, and the image that it was made from."""

    container: str
    image_id: Digest
    running: bool


class Removed(NamedTuple):
    """One thing that was removed: a name (`untagged`), or an image or layer (`deleted`)."""

    untagged: str = ""
    deleted: Digest | None = None


def remove(
    store: Store,
    users: Callable[[], Iterable[User]],
    text: str,
    *,
    force: bool = False,
    prune: bool = True,
    spare: Callable[[Sequence[str], bool], bool] = lambda _, __: False,
) -> list[Removed]:
    """Remove a name, and the image with its last one.

    Args:
        store: of the image.
        users: yields all containers; asked with the lock held.
        text: a reference or an id. Given an id, all names go, if they are of one repository or with `force`.
        force: also if stopped containers use the image, or it has names in several repositories.
        prune: also the images that it was built on, as long as they have no names.
        spare: tells of its names, and whether a container was made from it, if it is to stay all the same.

    Raises:
        ImageNotFound: there is none.
        ImageInUse: something needs it.
        ImageDamaged: what an image stands on cannot be read now.
    """
    with store.writing() as lease:
        with store.lock():  # nobody names, uses or builds on what is about to go
            removal = _Removal(store, list(users()))
            removal.plan(text, force=force, prune=prune, spare=spare)
            gone = [one.deleted for one in removal.removed if one.deleted]
            chains = {image_id: chain(store, image_id) for image_id in gone}
            names = [one.untagged for one in removal.removed if one.untagged]
            events = list(removal.events())
            tops = take_out(store, lease, gone, names)
            for action, image_id, attributes in events:
                store.journal.note(IMAGE, action, image_id, attributes)
        layers = store.release(lease, tops)
        return list(_with_layers(removal.removed, chains, layers))


def _with_layers(removed: list[Removed], chains: dict[Digest, list[Digest]], layers: list[Digest]) -> Iterator[Removed]:
    """Yield what was removed, and after each image the layers that went with it."""
    left = list(chains)
    for one in removed:
        yield one
        if one.deleted:
            left.remove(one.deleted)
            kept = {chain_id for image_id in left for chain_id in chains[image_id]}
            mine = [chain_id for chain_id in layers if chain_id in chains[one.deleted] and chain_id not in kept]
            yield from (Removed(deleted=chain_id) for chain_id in mine)


class _Removal:
    """What is to be removed: `plan` finds it out, and changes nothing. The caller holds the lock."""

    def __init__(self, store: Store, users: list[User]) -> None:
        self._store = store
        self._users = users
        self._names = by_image(store.references.all())
        self._parents = {image_id: store.images.parent(image_id, sure=True) for image_id in store.images}
        self.removed: list[Removed] = []

    def plan(self, text: str, *, force: bool, prune: bool, spare: Callable[[Sequence[str], bool], bool]) -> None:
        image_id = find(self._store, text)
        names = self._of(image_id)
        user = self._user(image_id)
        if spare(names, user is not None):
            raise ImageInUse(f"conflict: {digest.short(image_id)} has come to be used")
        if digest.encoded(image_id).startswith(text.removeprefix("sha256:")):
            if _is_single(names):
                self._check_containers(image_id, force=force)
                self._untag(names)
            self._delete(image_id, force=force, prune=prune, quiet=False)
            return
        if user and not force and _is_single(names):
            raise ImageInUse(
                f'conflict: unable to remove repository reference "{text}" (must force) - container '
                f"{user.container[:12]} is using its referenced image {digest.short(image_id)}"
            )
        name = reference.parse(text).tagged()
        self._untag([_familiar(name)])
        left = [other for other in names if other != _familiar(name)]
        same = [other for other in left if _repository(other) == name.familiar_name]
        if not name.digest and all("@" in other for other in same):
            self._untag(same)
            left = [other for other in left if other not in same]
        if not left:
            self._delete(image_id, force=force, prune=prune, quiet=True)

    def events(self) -> Iterator[tuple[str, Digest, dict[str, str]]]:
        """Yield what will have happened, to which images, and the attributes of the events."""
        owners = {name: image_id for image_id, names in self._names.items() for name in names}
        for one in self.removed:
            image_id = one.deleted or owners[one.untagged]
            action = "delete" if one.deleted else "untag"
            yield action, image_id, {**labels(self._store, image_id), "name": image_id}

    def _of(self, image_id: Digest) -> list[str]:
        gone = {one.untagged for one in self.removed}
        return [name for name in self._names.get(image_id, []) if name not in gone]

    def _untag(self, names: list[str]) -> None:
        self.removed += [Removed(untagged=name) for name in names]

    def _delete(self, image_id: Digest, *, force: bool, prune: bool, quiet: bool) -> None:
        """Delete an image, and those it stands on for as long as nobody wants them."""
        current: Digest | None = image_id
        while current in self._parents:
            conflict = self._conflict(current, force=force)
            if conflict is not None:
                if not quiet or (self._is_dangling(current) and not self._user(current)):
                    raise conflict
                return
            self._untag(self._of(current))
            self.removed.append(Removed(deleted=current))
            parent = self._parents.pop(current)
            current, force, quiet = (parent if prune else None), False, True

    def _conflict(self, image_id: Digest, *, force: bool) -> ImageInUse | None:
        short = digest.short(image_id)
        if children := self._children(image_id):
            what = ", ".join(children[:3]) + (", ..." if len(children) > 3 else "")
            return ImageInUse(
                f"conflict: unable to delete {short} (cannot be forced) - image has dependent child images: {what}"
            )
        try:
            self._check_containers(image_id, force=force)
        except ImageInUse as error:
            return error
        if not force and self._of(image_id):
            names = ", ".join(self._of(image_id))
            return ImageInUse(
                f"conflict: unable to delete {short} (must be forced) - image is referenced in multiple repositories: "
                f"{names}"
            )
        return None

    def _check_containers(self, image_id: Digest, *, force: bool) -> None:
        short = digest.short(image_id)
        for user in self._users:
            if user.image_id == image_id and (user.running or not force):
                state, remedy = ("running", "cannot be forced") if user.running else ("stopped", "must be forced")
                raise ImageInUse(
                    f"conflict: unable to delete {short} ({remedy}) - image is being used by {state} container "
                    f"{user.container[:12]}"
                )

    def _user(self, image_id: Digest) -> User | None:
        return next((user for user in self._users if user.image_id == image_id), None)

    def _children(self, image_id: Digest) -> list[str]:
        return [digest.short(other) for other, parent in self._parents.items() if parent == image_id]

    def _is_dangling(self, image_id: Digest) -> bool:
        return not self._children(image_id) and not self._of(image_id)


def _is_single(names: list[str]) -> bool:
    """Tell whether an image has one name, or one tag and digests of the same repository."""
    if len(names) <= 1:
        return len(names) == 1
    tags = [name for name in names if "@" not in name]
    return len(tags) <= 1 and len({_repository(name) for name in names}) == 1


def _repository(text: str) -> str:
    return reference.parse(text).familiar_name


def _familiar(name: reference.Reference) -> str:
    if name.digest:
        return f"{name.familiar_name}@{name.digest}"
    return name.familiar
