"""The verbs of lamina, on one object: `Engine`.

    from lamina.engine import Engine

    with Engine("/var/lib/lamina") as engine:
        for image in engine.images():
            print(image.names, image.size)

No verb prints, exits or reads the environment. Long ones report to a callable: see `lamina.events`.
"""

from .engine import Engine

__all__ = ["Engine"]
