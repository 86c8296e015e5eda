"""The names in folders, sorted; large folders are remembered until they change."""

import os
import time
from collections import OrderedDict

_LARGE = 500
_FOLDERS = 64
_SMALL = 64 << 10  # bytes of a folder that is read at once
_SETTLED = 0.1  # seconds after which a change gets another time of modification on every file system in use


class Listings:
    """Sorted names in folders, without those that begin with a dot."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, tuple[int, list[str]]] = OrderedDict()

    def at_hand(self, folder: str) -> list[str] | None:
        """Return the names in a folder if that takes no time: they are remembered, or the folder is small."""
        try:
            found = os.stat(folder)
        except (FileNotFoundError, NotADirectoryError):
            return []
        changed, names = self._known.get(folder, (0, []))
        if changed == found.st_mtime_ns:
            return names
        return self.names(folder) if found.st_size < _SMALL else None

    def names(self, folder: str) -> list[str]:
        """Return the names in a folder by their bytes; none if there is no such folder."""
        try:
            changed = os.stat(folder).st_mtime_ns
            names = sorted(name for name in os.listdir(folder) if name[0] != ".")
        except (FileNotFoundError, NotADirectoryError):
            return []
        if len(names) >= _LARGE and time.time() - changed / 10**9 > _SETTLED:
            self._known[folder] = (changed, names)
            self._known.move_to_end(folder)
            if len(self._known) > _FOLDERS:
                self._known.popitem(last=False)
        return names
