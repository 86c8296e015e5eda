"""Calls that fail: which errors each can end with, and what a command must make of it.

It ends well and did all that it was told, or warns of what it passed over; or it says in a line what failed. The store
is sound, and old or new.
"""

from errno import EIO, EMFILE, ENOMEM, ENOSPC

from tests.safety.arena import Arena, can_fail
from tests.safety.commands import Command
from tests.safety.syscalls import CHANGING_FLAGS, DESCRIPTORS, OPENS
from tests.safety.tracer import Call, Fail

_FULL = ("write", "mkdir", "rename", "link", "mknod", "xattr", "sync", "truncate", "fallocate", "copy_file", "sendfile")
"""What the names of calls have in them that may find no room."""


def errors(call: Call) -> list[int]:
    """Return the errors that a call may end with."""
    found = [EIO, ENOMEM]
    creates = call.name in OPENS and call.args[OPENS[call.name]] & CHANGING_FLAGS
    if creates or any(text in call.name for text in _FULL):
        found.append(ENOSPC)
    if call.name in OPENS or call.name in DESCRIPTORS:
        found.append(EMFILE)
    return found


def attack(arena: Arena, name: str, command: Command, at: int, turn: int = 0) -> str:
    """Let the `at`-th call that can fail do so; assert what must hold then. Return what it was, nothing past the last.

    Args:
        arena: the store.
        name: of the command.
        command: to run.
        at: counted from 1.
        turn: chooses among the errors that are possible there.
    """
    arena.begin(command)
    left = at
    what = ""

    def judge(call: Call) -> Fail | None:
        nonlocal left, what
        left -= 1
        if left:
            return None
        possible = errors(call)
        number = possible[(at + turn) % len(possible)]
        what = f"{call.name} with error {number}"
        return Fail(number)

    done = arena.traced(command, judge, can_fail)
    try:
        assert "Traceback" not in done.said, done.said
        if done.status:
            lines = done.said.strip().splitlines()
            assert lines, f"it ends with {done.status} without a word"
            assert done.status in (1, 125, 126, 127), f"it ends with {done.status}: {done.said}"
        told = "WARNING" in done.said or "quarantined" in done.said  # what cannot be read is as good as damaged
        arena.judge(name, command, done=not done.status and not told)
    except AssertionError as error:
        raise AssertionError(f"{name}: call {at}, {what} ({done.said.strip()}): {error}") from error
    return what
