"""What tests of builds get."""

import pathlib
from collections.abc import Iterator

import pytest
from tests import traces
from tests.build.workshop import Workshop


@pytest.fixture
def workshop(tmp_path: pathlib.Path) -> Iterator[Workshop]:
    """A place to build in, with the image `base` in its store."""
    with traces.tidy(str(tmp_path)):
        place = Workshop(str(tmp_path))
        place.write({"base": "base\n"})
        place.build("FROM scratch\nCOPY base /base\n", "base")
        yield place
        assert list(place.engine.check()) == []
