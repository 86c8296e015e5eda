import math
import pathlib
import re
import subprocess
import sys
from xml.etree import ElementTree

import pytest
from bench import plot, results
from bench.report import Row
from bench.results import Results
from bench.scale import Scale
from hypothesis import given
from hypothesis import strategies as st

SVG = "{http://www.w3.org/2000/svg}"

figures = st.lists(st.floats(-1e9, 1e9), max_size=4)
contestants = st.sampled_from(["lamina", "lamina-erofs", "dockerd", "skopeo", 'an "<&>\x00 other'])
rows = st.builds(
    Row,
    st.text(max_size=8),
    st.text(max_size=20),
    st.sampled_from(["s", "ms", "MB", "/s", "MB/s"]),
    rounds=st.dictionaries(contestants, figures, max_size=5),
    axis=st.sampled_from(["", "layers", "<files>"]),
    at=st.floats(0, 1e6),
)


def of(*rows: Row) -> Results:
    return Results("2026-01-31T12:00:00+00:00", "4f2c" * 10, 3, {"processor": "A & B"}, list(rows))


def drawn(*rows: Row) -> ElementTree.Element:
    return ElementTree.fromstring(plot.draw(of(*rows)))


def texts(root: ElementTree.Element) -> list[str]:
    return [element.text or "" for element in root.iter(f"{SVG}text")]


def test_a_row_is_a_group_of_bars() -> None:
    root = drawn(Row("load", "load <app>", "s", (), {"lamina": [0.5], "podman": [2, 9, 1]}))
    bars = {bar[0].text: float(bar.get("width", "")) for bar in root.iter(f"{SVG}rect") if len(bar)}
    assert list(bars) == ["lamina: 0.500 s", "podman: 2.00 s"]
    assert bars["lamina: 0.500 s"] < bars["podman: 2.00 s"]
    assert {"load <app>", "0.500 s", "2.00 s", "lamina", "podman"} <= set(texts(root))


def test_a_series_is_a_line_for_each_contestant() -> None:
    series = [
        Row("scale-layers", "load", "s", (), {"lamina": [at], "podman": [at * 2]}, axis="layers", at=at)
        for at in (1, 10, 100)
    ]
    lines = {line.get("class"): line.get("d", "") for line in drawn(*series).iter(f"{SVG}path")}
    assert list(lines) == ["line-podman", "line-lamina"]  # ours is above
    points = [[float(number) for number in point.split()] for point in lines["line-lamina"][1:].split("L")]
    assert points[1][0] - points[0][0] == pytest.approx(points[2][0] - points[1][0], abs=0.2)
    assert points[0][1] > points[1][1] > points[2][1]


def test_figures_of_different_units_have_charts_of_their_own() -> None:
    found = texts(drawn(Row("a", "a", "s", (), {"lamina": [1]}), Row("b", "b", "MB", (), {"lamina": [1]})))
    assert "Seconds: less is better" in found
    assert "MB of memory: less is better" in found


def test_nothing_measured_is_a_picture_still() -> None:
    caption = texts(drawn())[-2:]
    assert caption == ["Medians of 3 rounds, 2026-01-31, commit 4f2c4f2c4f2c", "processor A & B"]
    assert texts(drawn(Row("a", "nobody", "s", (), {"lamina": []})))[-2:] == caption


def test_one_sample_of_nothing_has_a_bar() -> None:
    [bar] = [bar for bar in drawn(Row("a", "a", "s", (), {"lamina": [0]})).iter(f"{SVG}rect") if len(bar)]
    assert float(bar.get("width", "")) == 1


def test_a_figure_that_is_not_above_0_is_no_point_of_a_line() -> None:
    series = [Row("a", "a", "MB", (), {"lamina": [value]}, axis="x", at=at) for at, value in ((1, -5), (2, 3), (4, 6))]
    assert len(list(drawn(*series).iter(f"{SVG}circle"))) == 2


def test_it_has_colours_for_dark_pages() -> None:
    style = drawn(Row("a", "a", "s", (), {"lamina": [1]})).find(f"{SVG}style")
    assert style is not None
    light, _, dark = (style.text or "").partition("@media(prefers-color-scheme:dark)")
    assert all(".of-lamina{" in part and ".ground{" in part for part in (light, dark))


@given(st.lists(rows, max_size=6))
def test_whatever_was_measured_is_valid_and_inside(found: list[Row]) -> None:
    text = plot.draw(of(*found))
    assert plot.draw(of(*found)) == text
    root = ElementTree.fromstring(text)
    width, height = float(root.get("width", "")), float(root.get("height", ""))
    for element in root.iter():
        for key in ("x", "x1", "x2", "cx", "width"):
            assert 0 <= float(element.get(key, 0)) <= width
        for key in ("y", "y1", "y2", "cy", "height"):
            assert 0 <= float(element.get(key, 0)) <= height
        assert not re.search("nan|inf", element.get("d", ""))


@given(st.lists(st.floats(1e-9, 1e12), min_size=1), st.floats(0, 1e15))
def test_scales_keep_order_and_ends(values: list[float], other: float) -> None:
    scale = Scale(values, (10, 110))
    places = [scale(value) for value in sorted(values)]
    assert places == sorted(places)
    assert 10 <= places[0] <= places[-1] <= 110.001
    assert 10 <= scale(other) <= 110.001
    assert len(scale.ticks) >= 2


@pytest.mark.parametrize(
    ("values", "ticks"),
    [
        ([0.03, 40], [0.1, 1, 10]),
        ([3, 30], [2, 5, 10, 20, 50]),
        ([1], [1, 2, 5, 10]),
        ([0, -1, math.inf], [1, 2, 5, 10]),
    ],
)
def test_ticks(values: list[float], ticks: list[float]) -> None:
    assert Scale(values, (0, 1)).ticks == ticks


def test_the_command_line(tmp_path: pathlib.Path) -> None:
    results.write(of(Row("a", "a", "s", (), {"lamina": [1]})), str(tmp_path / "results.json"))
    command = [sys.executable, "-m", "bench.plot", str(tmp_path / "results.json"), str(tmp_path / "out" / "plot.svg")]
    subprocess.run(command, check=True)
    assert (tmp_path / "out" / "plot.svg").read_text().startswith("<svg")
    (tmp_path / "results.json").write_text("nothing")
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert "no results of bench" in done.stderr
    assert "Traceback" not in done.stderr


def test_values_too_small_and_too_large_lie_at_the_ends() -> None:
    scale = Scale([5e-324, 3, 1e308], (0, 1))
    assert scale.ticks == [2, 5]
    assert (scale(5e-324), scale(1e308)) == (0, 1)
