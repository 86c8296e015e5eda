"""Compare lamina's speed and memory with its peers': `python -m bench [NAME...]`.

All stores lie on one ext4 over a loop file in memory, which has been written once before anything is measured: a
virtual machine gets much of its memory from its host only then, and the first to use it would pay. The contestants
take turns within a round, so that what else the machine does falls on all of them. A first round warms up and does not
count. Figures are medians. Lamina takes part with its default storage driver, and with the other one beside it.

^C ends what is under way, and nothing is left: no mount, no daemon, no container. What had been measured is told.
"""

import argparse
import contextlib
import datetime
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from types import FrameType

from tests import disks

from . import contestants, crowd, machine, peaks, plot, registry, report, results, scaling
from .measuring import Bench, Stuff, compared, say
from .operations import OPERATIONS
from .report import PEERS, Row
from .transfer import TRANSFERS

TABLE = {operation.name: operation for operation in (*OPERATIONS, *TRANSFERS)}
GROUPS: dict[str, tuple[str, int, Callable[[Bench], Iterator[Row]]]] = {
    "memory": ("lamina's memory at its peak, in each operation", 8, peaks.memory),
    "registry": ("lamina's registry and docker-registry", 6, registry.rows),
    "scale-layers": ("images of 1 to 200 layers", 6, scaling.layers),
    "scale-files": ("layers of 1,000 to 200,000 files", 12, scaling.files),
    "scale-size": ("layers of 10 MB to 4 GB", 14, scaling.size),
    "scale-pulls": ("1 to 8 pulls at a time", 6, scaling.pulls),
    "scale-containers": ("1 to 50 containers from one image", 8, crowd.containers),
    "scale-images": ("stores of 1 to 1,000 images", 8, scaling.store),
}
"""What each is about, the GiB of disk that it needs, and what measures it."""

_TABLE_DISK = 8
_SPARE = 2 << 30


def main() -> None:
    """Print the tables; the exit status is 1 where a target is missed and `--strict` given."""
    args = _parser().parse_args()
    chosen = _chosen(args.names)
    absent = contestants.missing()
    peers = tuple(peer for peer in (PEERS if args.peers is None else args.peers) if peer not in absent)
    disk = (
        max([GROUPS[name][1] for name in chosen if name in GROUPS] + [_TABLE_DISK] * any(map(TABLE.get, chosen))) << 30
    )
    named = [absent[peer] for peer in args.peers or () if peer in absent]
    if reasons := [reason for reason in (disks.missing(), _tight(disk), *named) if reason]:
        sys.exit("bench: " + "; ".join(reasons))
    for reason in absent.values():
        say(f"not here: {reason}")
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    found = results.Results(now, machine.commit(), args.rounds, machine.facts(disk), [])
    try:
        with _ended_by_signals(), disks.ext4(disk) as folder:
            if machine.gives_memory_back():
                say(f"free memory goes back to the host, figures will vary: write 11 to {machine.REPORTING}")
            say("writing the disk once")
            warm(f"{folder}/warm", int(disk * 0.9))
            for row in measured(folder, chosen, peers, args.rounds):
                found.rows.append(row)
                print(_line(row), file=sys.stderr, flush=True)
    finally:
        print("\n".join(filter(None, (report.table(found.rows), report.scales(found.rows)))), end="")
        print(report.absences(found.rows), file=sys.stderr, end="")
        if args.json:
            results.write(found, args.json)
        if args.svg:
            results.save(plot.draw(found).encode(), args.svg)
    sys.exit(args.strict and not report.met(found.rows))


def measured(disk: str, chosen: list[str], peers: tuple[str, ...], rounds: int) -> Iterator[Row]:
    """Yield the rows of all that is chosen; each group has stores of its own, which are gone when it ends."""
    stuff = Stuff(f"{disk}/stuff")
    os.makedirs(stuff.folder)
    if operations := [TABLE[name] for name in chosen if name in TABLE]:
        with _stores(disk, peers) as tools:
            for operation in operations:
                say(operation.parts[0].about)
                yield from compared(operation, Bench(tools, stuff, rounds))
    for name in chosen:
        if name in GROUPS:
            about, _, measure = GROUPS[name]
            say(about)
            with _stores(disk, peers) as tools:
                yield from measure(Bench(tools, stuff, rounds))


def warm(path: str, size: int) -> None:
    """Write a file of so many bytes, and remove it."""
    with open(path, "wb") as file:
        file.writelines(bytes(1 << 20) for _ in range(size >> 20))
        os.fsync(file.fileno())
    os.unlink(path)


@contextlib.contextmanager
def _stores(disk: str, peers: tuple[str, ...]) -> Iterator[dict[str, contestants.Contestant]]:
    folder = f"{disk}/stores"
    with contestants.entered(folder, peers) as tools:
        yield tools
    shutil.rmtree(folder)


@contextlib.contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Let the first SIGINT or SIGTERM end the block as an error does; later ones do not disturb the clearing up."""

    def end(number: int, _: FrameType | None) -> None:
        for each in (signal.SIGINT, signal.SIGTERM):
            signal.signal(each, signal.SIG_IGN)
        say("ending")
        sys.exit(128 + number)

    before = {each: signal.signal(each, end) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _line(row: Row) -> str:
    """Return a row as it stands alone, while the rest is measured."""
    about = f"{row.about}, {row.at:g} {row.axis}" if row.axis else row.about
    return f"{about}: " + ", ".join(f"{who} {report.amount(row.median(who), row.unit)}" for who in report.names([row]))


def _tight(disk: int) -> str:
    """Return why the disk has no room in memory, or nothing."""
    short = machine.available() < disk + _SPARE
    return f"{disk >> 30} GiB of memory for the disk, and {_SPARE >> 30} more, are not free" if short else ""


def _chosen(names: list[str]) -> list[str]:
    """Return what names stand for, each once and in the order of the table."""
    every = [*TABLE, *GROUPS]
    wanted = {"table": list(TABLE), "all": every}
    found = {each for name in names or ["table"] for each in wanted.get(name, [name])}
    return [name for name in every if name in found]


def _parser() -> argparse.ArgumentParser:
    abouts = {name: operation.parts[0].about for name, operation in TABLE.items()}
    groups = {"table": "all of the above: the default"} | {name: about for name, (about, _, _) in GROUPS.items()}
    groups["all"] = "everything"
    lists = ("".join(f"  {name:<18}{about}\n" for name, about in each.items()) for each in (abouts, groups))
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        epilog="names:\n" + "\n".join(lists),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    choices = [*abouts, *groups]
    parser.add_argument(
        "names", nargs="*", metavar="NAME", choices=[*choices, []], help="what to measure; table if none"
    )
    parser.add_argument("-n", "--rounds", type=int, default=3, help="rounds to take the median of (3)")
    parser.add_argument("--peers", nargs="*", choices=PEERS, help="whom to compare with (all that are here)")
    parser.add_argument("--json", metavar="FILE", help="write all figures and facts about the machine to a file, too")
    parser.add_argument(
        "--svg", metavar="FILE", help="draw the figures, too; python -m bench.plot does it from the JSON"
    )
    parser.add_argument("--strict", action="store_true", help="fail where a target is missed")
    return parser


if __name__ == "__main__":
    main()
