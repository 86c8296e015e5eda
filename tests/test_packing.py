"""Streams compressed by threads: the same bytes for any number of them, and others read them."""

import gzip
import io
import random
import subprocess
import threading
import tracemalloc
from collections.abc import Callable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests import peers

from lamina import compression, packing
from lamina.packing import LEVELS, PIECE, Recipe, packed, recipe_of, usual

zstd = compression.zstd()

_RANDOM = random.Random(1)
TEXT = b"".join(_RANDOM.randbytes(500) + b"abc" * 200 for _ in range(5 * PIECE // 1100))
RECIPES = [Recipe(name, level, whole) for name in LEVELS for level in (1, 3) for whole in (False, True)]


def pack(data: bytes, recipe: Recipe, threads: int = 1, step: int = PIECE) -> bytes:
    target = io.BytesIO()
    with packed(target, recipe, threads) as writer:
        for at in range(0, len(data), step):
            writer.write(data[at : at + step])
    return target.getvalue()


@pytest.mark.parametrize("recipe", [one for one in RECIPES if not one.whole], ids=str)
def test_the_bytes_do_not_depend_on_threads_nor_on_how_they_come(recipe: Recipe) -> None:
    expected = pack(TEXT, recipe)
    for threads, step in ((2, PIECE), (3, 100_000), (8, 3 * PIECE + 1), (1, len(TEXT))):
        assert pack(TEXT, recipe, threads, step) == expected


class _Lent:
    """A bank of so many processors: what is lent, and has been."""

    def __init__(self, most: int) -> None:
        self.most, self.now, self.ever = most, 0, 0
        self._lock = threading.Lock()

    def spare(self) -> Callable[[], None] | None:
        with self._lock:
            if self.now == self.most:
                return None
            self.now, self.ever = self.now + 1, self.ever + 1
            return self._back

    def _back(self) -> None:
        with self._lock:
            self.now -= 1


@pytest.mark.parametrize("most", [0, 1, 2])
def test_another_thread_has_a_piece_only_if_a_processor_is_lent_for_it(most: int) -> None:
    lent, target, before = _Lent(most), io.BytesIO(), threading.active_count()
    with packed(target, Recipe("gzip", 1), 3, lent.spare) as writer:
        writer.write(TEXT)
        assert threading.active_count() <= before + most
    assert target.getvalue() == pack(TEXT, Recipe("gzip", 1))
    assert lent.now == 0
    assert bool(lent.ever) is bool(most)


def test_what_was_lent_is_given_back_whatever_happens() -> None:
    lent = _Lent(2)
    with pytest.raises(ZeroDivisionError):
        _fail(io.BytesIO(), Recipe("gzip", 1), lent.spare)
    assert lent.now == 0
    assert lent.ever


@pytest.mark.parametrize("size", [0, 1, PIECE - 1, PIECE, PIECE + 1, len(TEXT)])
@pytest.mark.parametrize("level", LEVELS["gzip"])
def test_one_member_that_others_read(level: int, size: int) -> None:
    data = pack(TEXT[:size], Recipe("gzip", level), 2)
    assert subprocess.run(["gzip", "-dc"], input=data, capture_output=True, check=True).stdout == TEXT[:size]
    single = compression._decompressor("gzip")[0]()
    single.decompress(data)
    assert single.eof
    assert not single.unused_data
    assert data[3:8] == bytes(5)  # neither name nor time


@pytest.mark.parametrize("size", [0, 1, len(TEXT)])
def test_one_frame_that_others_read(size: int) -> None:
    peers.need(peers.Tool("zstd").missing())
    data = pack(TEXT[:size], Recipe("zstd", 3), 2)
    assert subprocess.run(["zstd", "-dc"], input=data, capture_output=True, check=True).stdout == TEXT[:size]
    single = zstd.ZstdDecompressor()
    single.decompress(data)
    assert single.eof
    assert not single.unused_data


@settings(max_examples=20)
@given(st.lists(st.integers(0, 3 * PIECE), max_size=6), st.booleans())
@example([PIECE, PIECE], False)
def test_any_pieces_come_back(sizes: list[int], views: bool) -> None:
    target = io.BytesIO()
    data = TEXT
    with packed(target, Recipe("gzip", 1), 2) as writer:
        for number, size in enumerate(sizes):
            part = data[number : number + size]
            writer.write(memoryview(bytearray(part)) if views else part)
    expected = b"".join(data[number : number + size] for number, size in enumerate(sizes))
    assert gzip.decompress(target.getvalue()) == expected


def test_what_is_written_may_be_changed_at_once() -> None:
    target, buffer = io.BytesIO(), bytearray(TEXT)
    with packed(target, Recipe("gzip", 1), 4) as writer:
        writer.write(memoryview(buffer))
        buffer[:] = bytes(len(buffer))
    assert gzip.decompress(target.getvalue()) == TEXT


@pytest.mark.parametrize("name", LEVELS)
def test_pieces_cost_less_than_a_hundredth(name: str) -> None:
    level = {"gzip": 1, "zstd": 3}[name]
    data = TEXT * 4
    assert len(pack(data, Recipe(name, level))) < 1.01 * len(pack(data, Recipe(name, level, whole=True)))


@pytest.mark.parametrize("recipe", RECIPES, ids=str)
def test_a_block_that_fails_leaves_no_end_and_no_thread(recipe: Recipe) -> None:
    target, before = io.BytesIO(), threading.active_count()
    with pytest.raises(ZeroDivisionError):
        _fail(target, recipe)
    assert threading.active_count() == before
    with pytest.raises(compression.Corrupt):
        compression.decompressed(io.BytesIO(target.getvalue() or b"\x1f\x8b\x08")).read()


def _fail(target: io.BytesIO, recipe: Recipe, *spare: packing.Spare) -> None:
    with packed(target, recipe, 3, *spare) as writer:
        writer.write(TEXT)
        raise ZeroDivisionError


def test_an_error_of_the_target_is_raised() -> None:
    class Full(io.BytesIO):
        def write(self, data: object, /) -> int:
            raise OSError(28, "no space left")

    with pytest.raises(OSError, match="no space left"), packed(Full(), Recipe("gzip", 1), 2) as writer:
        writer.write(TEXT)


def test_memory_is_bounded() -> None:
    class Nowhere:
        def write(self, data: bytes | memoryview, /) -> None:
            pass

    piece = random.Random(2).randbytes(PIECE)
    tracemalloc.start()
    try:
        with packed(Nowhere(), Recipe("gzip", 1), 2) as writer:
            for number in range(64):
                writer.write(bytes([number]) + piece[1:])
        assert tracemalloc.get_traced_memory()[1] < 10 * PIECE
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("recipe", RECIPES, ids=str)
def test_a_recipe_is_known_by_what_is_noted_of_it(recipe: Recipe) -> None:
    assert recipe_of(recipe.maker) == recipe


@pytest.mark.parametrize(
    "maker", ["", "gzip", "gzip isal 0.1 level 1", "lz4 1 level 1", "gzip level", "isal 1 level 1"]
)
def test_what_others_made_is_not_known(maker: str) -> None:
    assert recipe_of(maker) is None
    assert recipe_of(Recipe("gzip", 1).maker.replace("level 1", "level 11")) is None


def test_pieces_are_usual() -> None:
    assert usual("gzip", 1) == Recipe("gzip", 1)
    assert usual("zstd", 3).whole is (zstd.CompressionParameter.nb_workers.bounds()[1] == 0)


def test_threads_are_those_that_there_are_processors_for() -> None:
    assert 1 <= packing.processors() <= 4
