"""Where containers are described. Nobody else joins these paths; their files are the layers' affair.

lamina/containers/
  <id>/
    record.json                   what it is; never changes. With it the container is there
    incomplete.json               the same of one that is being made, or removed
    state.json                    what became of it
    hostname, hosts, resolv.conf  mounted into it
    script                        of a RUN that has one
  names/<name>                    a link whose text is the id
"""

import os

NAMES = "names"
"""The folder of names among those of containers."""


class Paths:
    """The paths of a folder of containers."""

    def __init__(self, home: str) -> None:
        self.home = home
        self.names = os.path.join(home, NAMES)

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

    def name(self, name: str) -> str:
        """The link of a name."""
        return os.path.join(self.names, name)
