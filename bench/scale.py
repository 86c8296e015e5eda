"""Logarithmic scales of plots."""

import math
from collections.abc import Iterable

_LEAST, _MOST = 1e-99, 1e99


class Scale:
    """Values to places on a line, from `start` to `end`; what is smaller than any figure, such as 0, lies at the start.

    The ends are the powers of ten around the values, or where those span less, 1, 2 or 5 times one.
    """

    def __init__(self, values: Iterable[float], line: tuple[float, float]) -> None:
        self.start, self.end = line
        found = [value for value in values if _LEAST < value < _MOST] or [1.0]
        self._low, self._high = _below(min(found)), _above(max(found))
        if self._low == self._high:
            self._high *= 10

    def __call__(self, value: float) -> float:
        """Return the place of a value."""
        if not value > self._low:
            return self.start
        low, high = math.log(self._low), math.log(self._high)
        share = (math.log(min(value, self._high)) - low) / (high - low)
        return self.start + share * (self.end - self.start)

    @property
    def ticks(self) -> list[float]:
        """Where to draw lines: at powers of ten, or at 1, 2 and 5 times those where they would be few."""
        steps = [float(f"{step}e{power}") for power in self._powers() for step in (1, 2, 5)]
        inside = [step for step in steps if self._low <= step <= self._high]
        return inside if self._high / self._low <= 100 else [step for step in inside if f"{step:e}"[0] == "1"]

    def _powers(self) -> range:
        return range(math.floor(math.log10(self._low)) - 1, math.ceil(math.log10(self._high)) + 1)


def _below(value: float) -> float:
    """Return the largest of 1, 2 and 5 times the powers of ten that is no larger than a value."""
    power = math.floor(math.log10(value))
    return max(step for step in _steps(power) if step <= value)


def _above(value: float) -> float:
    return min(step for step in _steps(math.floor(math.log10(value))) if step >= value)


def _steps(power: int) -> list[float]:
    return [float(f"{step}e{power + over}") for over in (-1, 0, 1) for step in (1, 2, 5)]
