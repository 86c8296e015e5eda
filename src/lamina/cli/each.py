"""Commands that do one thing to each of several containers."""

from collections.abc import Callable, Iterable

from ..errors import LaminaError
from .shell import Shell


def each(shell: Shell, names: Iterable[str], act: Callable[[str], object]) -> int:
    """Do something to each container; print its name, or the result if there is one. What fails makes it all fail."""
    status = 0
    for name in names:
        try:
            result = act(name)
        except LaminaError as error:
            shell.warn(f"Error: {error}")
            status = 1
        else:
            shell.line(name if result is None else str(result))
    return status
