"""Where containers are described. Nobody else joins these paths; their files are the layers' affair.

lamina/containers/
  <id>/
    record.json                   what it is; never changes. With it the container is there
    incomplete.json               the same of one that is being made, or removed
    state.json                    what became of it
    hostname, hosts, resolv.conf  mounted into it
    script                        of a RUN that has one
    life                          locked while its process is started, or its end is noted
    log                           what its process printed, in lines of conmon's k8s-file format
  names/<name>                    a link whose text is the id
  monitored/<id>                  the conmon of one that runs by itself

volumes/                          Docker's own layout
  <name>/
    _data/                        the files; with the folder above it the volume is there
    opts.json                     options of Docker's local driver; lamina writes none
lamina/volumes/
  <name>.json                     labels, time, and whether it was made for one container
"""

import os

NAMES = "names"
"""The folder of names among those of containers."""

MONITORED = "monitored"
"""The folder of conmons, likewise."""

DATA = "_data"
"""The folder of files in that of a volume."""


OF_DOCKER = ("metadata.db", "backingFsBlockDev")
"""What dockerd keeps beside volumes."""


class Paths:
    """The paths of a folder of containers."""

    def __init__(self, home: str) -> None:
        self.home = home
        self.names = os.path.join(home, NAMES)
        self.monitored = os.path.join(home, MONITORED)

    def any_monitored(self) -> bool:
        """Tell whether any container was left to a conmon."""
        try:
            return bool(os.listdir(self.monitored))
        except FileNotFoundError:
            return False

    def folder(self, container: str) -> str:
        """The folder of a container."""
        return os.path.join(self.home, container)

    def record(self, container: str) -> str:
        """The file that says what a container is."""
        return os.path.join(self.home, container, "record.json")

    def incomplete(self, container: str) -> str:
        """The same file of a container that is being made or removed."""
        return os.path.join(self.home, container, "incomplete.json")

    def state(self, container: str) -> str:
        """The file that says what became of a container."""
        return os.path.join(self.home, container, "state.json")

    def files(self, container: str) -> list[str]:
        """The files of a container that is there."""
        names = ("record.json", "state.json", "hostname", "hosts", "resolv.conf", "script", "life", "log")
        return [os.path.join(self.home, container, name) for name in names]

    def life(self, container: str) -> str:
        """The file that is locked while a container's process is started, or its end is noted."""
        return os.path.join(self.home, container, "life")

    def log(self, container: str) -> str:
        """The file with what a container's process printed."""
        return os.path.join(self.home, container, "log")

    def monitor(self, container: str) -> str:
        """The file that names a container's conmon."""
        return os.path.join(self.monitored, container)

    def name(self, name: str) -> str:
        """The link of a name."""
        return os.path.join(self.names, name)


class VolumePaths:
    """The paths of volumes.

    Args:
        home: Docker's folder of volumes.
        facts: the folder of what only lamina knows of them.
    """

    def __init__(self, home: str, facts: str) -> None:
        self.home = home
        self.facts_home = facts

    def folder(self, volume: str) -> str:
        """The folder of a volume; with it the volume is there."""
        return os.path.join(self.home, volume)

    def data(self, volume: str) -> str:
        """The files of a volume."""
        return os.path.join(self.home, volume, DATA)

    def options(self, volume: str) -> str:
        """The file with the options of Docker's local driver."""
        return os.path.join(self.home, volume, "opts.json")

    def facts(self, volume: str) -> str:
        """The file that says what dockerd keeps in metadata.db."""
        return os.path.join(self.facts_home, f"{volume}.json")
