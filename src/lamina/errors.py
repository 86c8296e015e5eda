"""What can go wrong, as classes of what the caller can do about it.

    LaminaError
    ├── InvalidArgument      the input is malformed: change it
    ├── NotFound             the thing named does not exist
    ├── AlreadyExists        the name is taken
    ├── Conflict             the thing is in use: stop or remove the holder first
    ├── FailedPrecondition   the system is not in the state the call needs
    ├── PermissionDenied     the caller may not do this
    ├── Unavailable          try again later, or start what is missing
    ├── ResourceExhausted    a disk, a quota or a limit is full
    ├── NotSupported         valid, but not offered here
    ├── Cancelled            the caller asked to stop
    └── DataLoss             stored or received bytes are not what their digest says

A package derives its own class next to the code that raises it. Each class carries the HTTP status that an
API answers with and the exit status of a command that ends with it.
"""

from typing import ClassVar


class LaminaError(Exception):
    """Base of every error that lamina raises on purpose; its text is one line for a person."""

    http_status: ClassVar[int] = 500
    exit_status: ClassVar[int] = 1


class InvalidArgument(LaminaError):
    """The input is malformed; the message says what was expected."""

    http_status = 400


class NotFound(LaminaError):
    """What was named does not exist."""

    http_status = 404


class AlreadyExists(LaminaError):
    """The name or the place is taken."""

    http_status = 409


class Conflict(LaminaError):
    """What was named is in use; the message names the holder."""

    http_status = 409


class FailedPrecondition(LaminaError):
    """The system is not in the state that the call needs."""

    http_status = 412


class PermissionDenied(LaminaError):
    """The caller lacks a right; the message says which."""

    http_status = 403


class Unavailable(LaminaError):
    """Something the call needs is missing or busy."""

    http_status = 503


class ResourceExhausted(LaminaError):
    """A disk, a quota or a bound on sizes is exceeded."""

    http_status = 507


class NotSupported(LaminaError):
    """The request is valid, but not offered here."""

    http_status = 501


class Cancelled(LaminaError):
    """The caller asked to stop."""

    http_status = 499
    exit_status = 130


class DataLoss(LaminaError):
    """Stored or received bytes are not what their digest or their format says."""
