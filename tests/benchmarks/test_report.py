import pytest
from bench import report
from bench.report import Row, Target


def row(*targets: Target, **rounds: list[float]) -> Row:
    return Row("load", "load app", "s", targets, rounds)


def point(at: float, **rounds: list[float]) -> Row:
    return Row("scale-layers", "load", "s", (), rounds, axis="layers", at=at, growth=1.1)


def test_lamina_is_measured_by_the_best_peer() -> None:
    found = row(Target(0.5), lamina=[9, 2, 1], dockerd=[8], podman=[4, 5, 3])
    assert (found.ratio, found.met) == (0.5, True)
    assert row(Target(0.4), lamina=[2], dockerd=[8], podman=[4]).met is False


def test_not_by_itself_nor_by_who_does_only_a_part() -> None:
    found = row(Target(0.5), lamina=[2], skopeo=[1], podman=[4])
    found.rounds["lamina-erofs"] = [1]
    assert (found.ratio, found.met) == (0.5, True)


def test_or_by_the_one_that_the_target_names() -> None:
    found = row(Target(2, "podman"), lamina=[6], dockerd=[1], podman=[4])
    assert (found.ratio, found.met) == (1.5, True)


def test_or_by_an_amount() -> None:
    found = row(Target(0.06, "", "s"), lamina=[0.07], dockerd=[0.1])
    assert found.ratio == pytest.approx(0.7)
    assert found.met is False


def test_all_targets_must_be_met_that_something_tells_of() -> None:
    both = Target(0.5), Target(3, "skopeo")
    assert row(*both, lamina=[2], podman=[4], skopeo=[1]).met is True
    assert row(*both, lamina=[2], podman=[4], skopeo=[0.5]).met is False
    assert row(*both, lamina=[2], podman=[4]).met is True


def test_where_more_is_better_the_best_peer_has_most() -> None:
    rounds = {"lamina": [12.0], "docker-registry": [2.0], "other": [1.0]}
    found = Row("registry", "GET", "/s", (Target(6),), rounds, more=True)
    assert (found.ratio, found.met) == (6, True)
    found.rounds["lamina"] = [11.9]
    assert found.met is False


def test_without_peers_nothing_is_told() -> None:
    found = row(Target(0.5), lamina=[1])
    assert (found.ratio, found.met) == (None, None)


def test_without_a_target_there_is_a_ratio() -> None:
    found = row(lamina=[1], podman=[2])
    assert (found.ratio, found.met) == (0.5, None)


def test_the_table_shows_who_took_part() -> None:
    first = row(Target(0.5), lamina=[1.5], dockerd=[8], podman=[0.25])
    assert report.table([first, Row("load", "peak", "MB", (Target(120, "", "MB"),)), point(1, buildah=[1])]) == (
        "operation  lamina  dockerd   podman  ratio  target  met\n"
        "load app   1.50 s   8.00 s  0.250 s   6.00   0.5 x   NO\n"
        "peak            -        -        -      -  120 MB    -\n"
    )


def test_a_series_is_a_table_of_its_own_the_smallest_first() -> None:
    rows = [point(100, lamina=[4], podman=[1]), point(10, lamina=[0.4]), row(lamina=[1])]
    assert report.scales(rows) == (
        "load, layers           lamina  podman  target  met\n"
        "          10          0.400 s       -       -    -\n"
        "         100           4.00 s  1.00 s       -    -\n"
        "grows with the power     1.00       -    1.10  yes\n"
    )


def test_nothing_measured_is_no_table() -> None:
    assert (report.table([]), report.scales([])) == ("", "")


@pytest.mark.parametrize(
    ("values", "power"),
    [((1, 10, 100), 1), ((5, 5, 5), 0), ((7, 1, 100), 2), ((1, 10, None), 1), ((1, None, None), None)],
)
def test_growth_is_that_at_the_end(values: tuple[float | None, ...], power: float | None) -> None:
    series = [point(10**at, lamina=[] if value is None else [value]) for at, value in enumerate(values)]
    assert report.growth(series, "lamina") == (power if power is None else pytest.approx(power))
    assert report.bounded(series) is (None if power is None else power <= 1.1)


def test_a_figure_of_nothing_has_no_growth() -> None:
    assert report.growth([point(1, lamina=[0]), point(2, lamina=[-1])], "lamina") is None


def test_a_missed_target_or_a_cost_that_grows_is_a_failure() -> None:
    good = row(Target(0.5), lamina=[1], podman=[4])
    assert report.met([good, point(1, lamina=[1]), point(10, lamina=[9])])
    assert not report.met([good, point(1, lamina=[1]), point(10, lamina=[90])])
    assert not report.met([row(Target(0.1), lamina=[1], podman=[4])])


def test_who_is_absent_is_told_with_the_reason() -> None:
    found = point(200, lamina=[1])
    found.absent["dockerd"] = "max depth exceeded"
    assert report.absences([found, found, row(lamina=[1])]) == "200 layers: dockerd: max depth exceeded\n"


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (None, "s", "-"),
        (0.0456, "s", "0.046 s"),
        (12, "s", "12.00 s"),
        (1234.5, "MB", "1,234 MB"),
        (12.34, "MB", "12.3 MB"),
        (0.5, "ms", "0.50 ms"),
        (-3, "MB", "-3.00 MB"),
    ],
)
def test_amounts(value: float | None, unit: str, text: str) -> None:
    assert report.amount(value, unit) == text
