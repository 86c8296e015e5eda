"""Transcripts of a shell: what was typed, what came out, and how it ended.

    $ lamina tag tiny:1 other
    $ lamina images -q other nobody
    ! lamina: 'lamina images' requires at most 1 argument
    [1]
    $ cat > Dockerfile <<END
    > FROM tiny:1
    > END

Standard output as it is, then lines of standard error behind `! `, then the exit status if it is not 0. A command
goes on in lines that begin with `> `. Ids, times and names that differ from run to run are replaced by words: an id
by `id1___…` of its own width, so that tables stay aligned; those that a transcript has literally must stay the same.
"""

import re
import subprocess
from typing import NamedTuple

_ID = re.compile(r"(?<![0-9a-f])(?:[0-9a-f]{64}|[0-9a-f]{12})(?![0-9a-f])")
_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z| \+0000 UTC)")
_AGO = re.compile(r"(?:Less than a second|About an? (?:minute|hour)|\d+ (?:second|minute|hour)s?)(?: ago)?")
_YEARS = re.compile(r"\d+ years ago")
_NAME = re.compile(r"\b[a-z]{2,8}_[a-z]{3,8}\d{1,2}\b")


class Entry(NamedTuple):
    """One command of a transcript."""

    command: str
    output: str


def read(text: str) -> list[Entry]:
    """Return the commands of a transcript."""
    entries: list[Entry] = []
    for line in text.splitlines(keepends=True):
        if line.startswith("$ "):
            entries.append(Entry(line[2:], ""))
        elif line.startswith("> ") and not entries[-1].output:
            entries[-1] = Entry(entries[-1].command + line[2:], "")
        else:
            entries[-1] = Entry(entries[-1].command, entries[-1].output + line)
    return entries


def write(entries: list[Entry]) -> str:
    """Return the text of a transcript."""
    return "".join("$ " + entry.command[:-1].replace("\n", "\n> ") + "\n" + entry.output for entry in entries)


def play(entries: list[Entry], env: dict[str, str], folder: str) -> list[Entry]:
    """Type the commands again; return them with what comes out now."""
    return [Entry(entry.command, _run(entry.command, env, folder)) for entry in entries]


def _run(command: str, env: dict[str, str], folder: str) -> str:
    done = subprocess.run(
        ["sh", "-c", command], stdin=subprocess.DEVNULL, capture_output=True, text=True, env=env, cwd=folder, timeout=60
    )
    output = done.stdout + ("" if done.stdout.endswith("\n") or not done.stdout else " (no line feed)\n")
    output += "".join(f"! {line}".rstrip() + "\n" for line in done.stderr.splitlines())
    return output + (f"[{done.returncode}]\n" if done.returncode else "")


class Words:
    """Replaces what differs from run to run by words; `known` is left alone, `places` maps texts to words for them."""

    def __init__(self, known: str, places: dict[str, str]) -> None:
        self._known = known
        self._places = places
        self._ids: dict[str, str] = {}

    def __call__(self, text: str) -> str:
        for place, word in self._places.items():
            text = text.replace(place, word)
        text = _ID.sub(lambda found: self._id(found[0]), text)
        text = _TIME.sub(lambda found: found[0] if found[0] in self._known else "<time>", text)
        text = _NAME.sub(lambda found: found[0] if found[0] in self._known else "<name>", text)
        text = _YEARS.sub("<years> ago", _AGO.sub("<now>", text))
        return re.sub(r" {3,}(?=\S)", "   ", text) if "<now>" in text or "ago>" in text else text

    def _id(self, text: str) -> str:
        if text in self._known:
            return text
        word = self._ids.setdefault(text[:12], f"id{len(self._ids) + 1}")
        return word.ljust(len(text), "_")
