"""The long run, by hand: `python -m tests.safety [COMMAND...]` kills each command at every one of its changes."""

import sys
import tempfile

from bench import images
from tests.safety.arena import Arena
from tests.safety.test_killed import COMMANDS


def main() -> None:
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        arena = Arena(f"{folder}/work", images.tiny(f"{folder}/tiny.tar").path)
        for name in sys.argv[1:] or COMMANDS:
            at = 1
            while arena.attack(COMMANDS[name], at=at):
                arena.judge(COMMANDS[name])
                at += 1
            arena.judge(COMMANDS[name])
            print(f"{name}: {at - 1} points", flush=True)
        print(f"{arena.kills} kills, nothing left behind")
        arena.close()


if __name__ == "__main__":
    main()
