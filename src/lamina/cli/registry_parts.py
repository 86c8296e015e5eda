"""What the registry needs besides lamina: the extra `registry`."""

from importlib.util import find_spec

from ..errors import Unavailable

_PARTS = ("aiohttp", "bcrypt", "jwt", "yaml", "prometheus_client")


def need() -> None:
    """Check that all is installed.

    Raises:
        Unavailable: something is missing; the message says how to get it.
    """
    missing = [name for name in _PARTS if find_spec(name) is None]
    if missing:
        raise Unavailable(f"the registry needs {', '.join(missing)}: pip install 'lamina[registry]'")
