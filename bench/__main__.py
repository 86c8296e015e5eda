"""Compare lamina's speed and memory with dockerd's and podman's: `python -m bench [OPERATION...]`.

All stores lie on one ext4 over a loop file in memory, which has been written once before anything is measured: a
virtual machine gets much of its memory from its host only then, and the first to use it would pay. The contestants
take turns within a round, so that what else the machine does falls on all of them. A first round warms up and does not
count. Figures are medians.
"""

import argparse
import contextlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterator

from tests import disks
from tests.peers import Docker, Podman

from . import alone, contestants, images, machine, report
from .contestants import PEERS, Contestant
from .operations import OPERATIONS, Operation, Rounds, Stuff
from .report import Row
from .transfer import TRANSFERS

ALL = (*OPERATIONS, *TRANSFERS)
DISK = 6 << 30
_WARM = int(DISK * 0.9)
_GROUPS = {"memory": "peaks of load and build", "scale": "stores of 20 and of 2,000 images"}


def main() -> None:
    """Print the table; the exit status is 1 where a target is missed and `--strict` given."""
    args = _parser().parse_args()
    chosen = args.operations or [*(operation.name for operation in ALL), *_GROUPS]
    absent = {"dockerd": Docker.missing(), "podman": Podman.missing()}
    if reasons := [reason for reason in (disks.missing(), _tight(), *(absent[peer] for peer in args.peers)) if reason]:
        sys.exit("bench: " + "; ".join(reasons))
    facts = machine.facts()
    rows: list[Row] = []
    with disks.ext4(DISK) as disk:
        say("writing the disk once")
        warm(f"{disk}/warm")
        for row in measured(disk, chosen, tuple(args.peers), args.rounds):
            rows.append(row)
            print(report.table([row]).splitlines()[1], file=sys.stderr, flush=True)
    print(report.table(rows), end="")
    if args.json:
        found = {"machine": facts, "rounds": args.rounds, "rows": report.document(rows)}
        with open(args.json, "w") as file:
            json.dump(found, file, indent=1)
            file.write("\n")
    sys.exit(args.strict and not all(row.met for row in rows))


def measured(disk: str, chosen: list[str], peers: tuple[str, ...], rounds: int) -> Iterator[Row]:
    """Yield the rows of all operations chosen."""
    say("making images")
    os.makedirs(f"{disk}/stuff")
    tiny = images.tiny(f"{disk}/tiny.tar")
    app = images.app(f"{disk}/app.tar", images.debian())
    stuff = Stuff(app.path, tiny.path, f"{disk}/stuff")
    with contestants.entered(disk, peers) as tools:
        for operation in ALL:
            if operation.name in chosen:
                say(operation.about)
                yield compared(operation, tools, stuff, rounds)
    if "memory" in chosen:
        yield from alone.memory(stuff, rounds, say)
    if "scale" in chosen:
        yield from alone.scale(stuff, rounds, say)


def compared(operation: Operation, tools: dict[str, Contestant], stuff: Stuff, rounds: int) -> Row:
    """Time an operation, all contestants once in each round."""
    row = Row(operation.name, operation.about, "s", operation.target, {name: [] for name in tools})
    with contextlib.ExitStack() as stack:
        prepared: dict[str, Rounds] = {}
        for name, tool in tools.items():
            prepared[name] = stack.enter_context(contextlib.closing(operation.rounds(name, tool, stuff)))
        works = {name: next(steps) for name, steps in prepared.items()}
        for number in range(rounds + 1):
            for name, steps in prepared.items():
                took = timed(works[name])
                if number:
                    row.rounds[name].append(took)
                works[name] = next(steps)  # what was done is undone now, not when others had their turn
    return row


def timed(work: Callable[[], object]) -> float:
    """Return the seconds that some work takes, with nothing left to be written to the disk before."""
    os.sync()
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def warm(path: str) -> None:
    """Write a file over most of the disk, and remove it."""
    with open(path, "wb") as file:
        file.writelines(bytes(1 << 20) for _ in range(_WARM >> 20))
        os.fsync(file.fileno())
    os.unlink(path)


def say(text: str) -> None:
    """Tell whoever waits what is going on."""
    print(f"{time.strftime('%H:%M:%S')}  {text}", file=sys.stderr, flush=True)


def _tight() -> str:
    """Return why the disk has no room in memory, or nothing."""
    free = machine.available()
    return f"{DISK >> 30} GiB of memory for the disk, and 2 more, are not free" if free < DISK + (2 << 30) else ""


def _parser() -> argparse.ArgumentParser:
    names = {operation.name: operation.about for operation in ALL} | _GROUPS
    text = "operations:\n" + "".join(f"  {name:<10}{about}\n" for name, about in names.items())
    parser = argparse.ArgumentParser(
        prog="python -m bench", epilog=text, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "operations", nargs="*", metavar="OPERATION", choices=[*names, []], help="all, if none is given"
    )
    parser.add_argument("-n", "--rounds", type=int, default=5, help="rounds to take the median of (5)")
    parser.add_argument("--peers", nargs="*", default=list(PEERS), choices=PEERS, help="whom to compare with (all)")
    parser.add_argument("--json", metavar="FILE", help="write all figures and facts about the machine to a file, too")
    parser.add_argument("--strict", action="store_true", help="fail where a target is missed")
    return parser


if __name__ == "__main__":
    main()
