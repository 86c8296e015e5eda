"""Names for containers whose makers gave them none: an adjective and a material."""

import os

_HOW = """
airy amber bold brisk calm clear crisp deft early even fair fine firm fleet frank glad grand hardy keen kind light
lively lucid mellow neat noble plain prime quick quiet rapid ready sharp sleek smooth solid spry steady still stout
sunny supple sure swift tidy vivid warm wise
"""
_WHAT = """
agate alder ash aspen basalt birch brass bronze cedar chalk clay cobalt copper coral cotton elm felt fir flax flint
glass gneiss granite gravel hazel iron ivory jasper larch linen loam maple marble mica nickel oak onyx opal paper
pearl pine quartz reed sand satin shale silk silver slate steel teak tin topaz walnut willow wool zinc
"""


def suggest() -> str:
    """Return a name; another one each time, most likely."""
    how, what = _HOW.split(), _WHAT.split()
    number = int.from_bytes(os.urandom(6), "big")
    return f"{how[number % len(how)]}_{what[number // len(how) % len(what)]}{number % 97}"
