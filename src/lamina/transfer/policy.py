"""What is kept of what has passed: `policy.json` in the store's own folder; without it, the defaults."""

import msgspec

from ..files import replace
from ..oci import codec

_GB = 1_000_000_000
_DAY = 86_400


class Policy(msgspec.Struct, frozen=True):
    """Bounds on what is kept beside the images.

    Attributes:
        layers: bytes of layers as they came, compressed; the oldest go first. A push sends them again as they are.
        partial: bytes of layers that came in part; likewise.
        age: seconds after which what came in part goes.
    """

    layers: int = 0
    partial: int = 10 * _GB
    age: int = 7 * _DAY


def read(path: str) -> Policy:
    """Return the policy of a store.

    Raises:
        InvalidDocument: the file is malformed.
    """
    try:
        with open(path, "rb") as file:
            return codec.decode(file.read(codec.LIMIT + 1), Policy, path)
    except FileNotFoundError:
        return Policy()


def change(path: str, layers: int | None, partial: int | None, age: int | None) -> Policy:
    """Set what is given, and return the policy then; None leaves a bound as it is."""
    old = read(path)
    new = Policy(*(a if b is None else b for a, b in ((old.layers, layers), (old.partial, partial), (old.age, age))))
    if new != old:
        replace(path, codec.encode(new), 0o600)
    return new
