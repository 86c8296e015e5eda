"""What a container is asked to be, settled with its image."""

import pytest

from lamina.containers import settings
from lamina.containers.settings import InvalidSetting, Wish
from lamina.oci.config import RunConfig


@pytest.mark.parametrize(
    "wish",
    [Wish(name=name) for name in ("a", "-a", "a b", "a/b", "//ab", "../x", "ab\n", "ä1")]
    + [Wish(network="bridge"), Wish(working_dir="relative")],
)
def test_wishes_that_are_refused(wish: Wish) -> None:
    with pytest.raises(InvalidSetting):
        settings.check(wish)


@pytest.mark.parametrize(
    ("image", "wish", "command"),
    [
        ((["/e"], ["c"]), Wish(), (["/e"], ["c"])),
        ((["/e"], ["c"]), Wish(command=["d"]), (["/e"], ["d"])),
        ((["/e"], ["c"]), Wish(entrypoint=["/f"]), (["/f"], None)),
        ((["/e"], ["c"]), Wish(entrypoint=["/f"], command=["d"]), (["/f"], ["d"])),
        ((["/e"], ["c"]), Wish(entrypoint=[], command=["d"]), (None, ["d"])),
        ((None, None), Wish(command=["d"]), (None, ["d"])),
        ((["/e"], ["c"]), Wish(entrypoint=[]), None),
        ((None, None), Wish(), None),
        (([], []), Wish(), None),
    ],
)
def test_what_is_run(
    image: tuple[list[str] | None, list[str] | None], wish: Wish, command: tuple[list[str] | None, list[str]] | None
) -> None:
    base = RunConfig(entrypoint=image[0], cmd=image[1])
    if command is None:
        with pytest.raises(InvalidSetting, match="no command specified"):
            settings.settle(wish, base, "image", "0" * 64)
        return
    settled = settings.settle(wish, base, "image", "0" * 64)
    assert (settled.entrypoint, settled.cmd) == command


def test_the_rest_of_a_config() -> None:
    image = RunConfig(cmd=["/c"], user="web", env=["A=1", "B=2"], labels={"a": "1", "b": "2"}, working_dir="/w")
    wish = Wish(env=["B=3", "A", "C=4", "D"], labels={"b": "3"}, network="none", terminal=True)
    settled = settings.settle(wish, image, "image", "0123456789abcdef" * 4)
    assert settled.env == ["B=3", "C=4"]
    assert settled.labels == {"a": "1", "b": "3"}
    assert (settled.user, settled.working_dir, settled.hostname) == ("web", "/w", "0123456789ab")
    found = settings.environment(settled, "/home/web")
    assert found[1:] == ("HOSTNAME=0123456789ab", "TERM=xterm", "B=3", "C=4", "HOME=/home/web")
    assert found[0].startswith("PATH=")


def test_an_environment_is_the_images_before_ours() -> None:
    run = RunConfig(hostname="h", env=["HOME=/own", "PATH=/bin"])
    assert settings.environment(run, "/home") == ("PATH=/bin", "HOSTNAME=h", "HOME=/own")
