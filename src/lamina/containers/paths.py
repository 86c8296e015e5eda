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
"""

import os

NAMES = "names"
"""The folder of names among those of containers."""

MONITORED = "monitored"
"""The folder of conmons, likewise."""


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
