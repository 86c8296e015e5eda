"""`python -m lamina.cli`."""

from .main import run

run()
