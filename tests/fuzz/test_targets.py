"""What the fuzzers run, on what they have found and on some thousand inputs of every test run."""

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fuzz import registry
from tests.fuzz.targets import DATA, TARGETS, attempt

FOUND = sorted((DATA / "fuzz").glob("*/*"))
_BITS = [
    b"",
    b"\0",
    b"\xff",
    b"\n",
    b"-1",
    b"99999999999999999999",
    b'"',
    b"[" * 2000,
    b"{}",
    b"\\ud800",
    b"../",
    b"null",
]


@pytest.mark.parametrize("path", FOUND, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_what_was_found(path: Path) -> None:
    assert attempt(path.parent.name, path.read_bytes()).isprintable()


@pytest.mark.parametrize("name", TARGETS)
def test_seeds_are_taken(name: str) -> None:
    """So that fuzzing begins with what is right; some are wrong on purpose."""
    said = [attempt(name, seed) for seed in TARGETS[name].seeds()]
    assert said
    assert "" in said or name in ("tar-split", "archive-list", "archive-index", "archive", "record", "dockerfile")


def test_a_registry_answers_the_seeds() -> None:
    answered = [registry.request(seed) for seed in registry.REQUESTS]
    assert all(len(statuses) == 1 and statuses[0] < 300 for statuses in answered), answered
    assert registry.claims(registry.CLAIMS) == [200]


@pytest.mark.parametrize("name", TARGETS)
def test_any_bytes_are_read_or_refused(name: str) -> None:
    seeds = TARGETS[name].seeds()
    inputs = st.binary() | st.builds(_spoiled, st.sampled_from(seeds), st.integers(0, 1 << 32))

    @settings(max_examples=60)
    @given(inputs)
    def is_read_or_refused(data: bytes) -> None:
        assert attempt(name, data).isprintable() or name == "format"

    is_read_or_refused()


def _spoiled(data: bytes, seed: int) -> bytes:
    """Return some bytes with a few places cut, doubled, flipped, or replaced."""
    chance = random.Random(seed)
    for _ in range(chance.randint(1, 4)):
        at = chance.randint(0, len(data))
        end = min(len(data), at + chance.choice([0, 1, 8, 512]))
        data = data[:at] + chance.choice([chance.choice(_BITS), data[at:end] * 2, chance.randbytes(2)]) + data[end:]
    return data
