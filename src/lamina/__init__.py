"""Docker's image system as a library: layers, stores, union mounts, builds, containers.

Nothing is imported here, so that a program pays only for the parts it uses: start at `lamina.engine.Engine`.
"""

__version__ = "0.1.0"
