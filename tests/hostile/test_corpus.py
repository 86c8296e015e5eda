"""Every tar of the corpus through every door, into every kind of store: nothing outside changes, nothing stays."""

from collections.abc import Iterator

import pytest
from tests.hostile.corpus import ALL
from tests.hostile.doors import LAYERS, House, house

from lamina.snapshot import probe

pytestmark = [pytest.mark.root, pytest.mark.overlay]


@pytest.fixture(scope="module", params=probe.DRIVERS)
def place(request: pytest.FixtureRequest) -> Iterator[House]:
    with house(request.param) as found:
        yield found


@pytest.mark.parametrize("name", ALL)
def test_a_tar(place: House, name: str) -> None:
    case = ALL[name]
    said = place.attack(case.make(place.outside))
    place.judge()
    for door, text in said.items():
        assert text.isprintable(), door
        if door in LAYERS:
            assert case.refused in text, (door, text)
            assert bool(case.refused) == bool(text), (door, text)
    place.clear()
