"""Names of images as Docker normalises them; most cases are those of distribution's own tests."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from lamina.oci import reference
from lamina.oci.reference import InvalidReference, Reference

HEX = "0123456789abcdef" * 4
DIGEST = f"sha256:{HEX}"


@pytest.mark.parametrize(
    ("text", "canonical", "familiar"),
    [
        ("busybox", "docker.io/library/busybox", "busybox"),
        ("library/busybox", "docker.io/library/busybox", "busybox"),
        ("docker.io/busybox", "docker.io/library/busybox", "busybox"),
        ("docker.io/library/busybox", "docker.io/library/busybox", "busybox"),
        ("index.docker.io/busybox", "docker.io/library/busybox", "busybox"),
        ("index.docker.io/library/busybox", "docker.io/library/busybox", "busybox"),
        ("index.docker.io/me/app", "docker.io/me/app", "me/app"),
        ("docker.io/library/library", "docker.io/library/library", "library"),
        ("library", "docker.io/library/library", "library"),
        ("fooo/bar", "docker.io/fooo/bar", "fooo/bar"),
        ("library/fooo/bar", "docker.io/library/fooo/bar", "library/fooo/bar"),
        ("nonlibrary/ubuntu", "docker.io/nonlibrary/ubuntu", "nonlibrary/ubuntu"),
        ("other/library", "docker.io/other/library", "other/library"),
        ("ubuntu-12.04-base", "docker.io/library/ubuntu-12.04-base", "ubuntu-12.04-base"),
        ("127.0.0.1:8000/private/moonbase", "127.0.0.1:8000/private/moonbase", "127.0.0.1:8000/private/moonbase"),
        ("127.0.0.1:8000/privatebase", "127.0.0.1:8000/privatebase", "127.0.0.1:8000/privatebase"),
        ("example.com/privatebase", "example.com/privatebase", "example.com/privatebase"),
        ("example.com:8000/library/x", "example.com:8000/library/x", "example.com:8000/library/x"),
        ("localhost", "docker.io/library/localhost", "localhost"),
        ("localhost/x", "localhost/x", "localhost/x"),
        ("localhost:5000/x", "localhost:5000/x", "localhost:5000/x"),
        ("host/x", "docker.io/host/x", "host/x"),
        ("Foo/bar", "Foo/bar", "Foo/bar"),
        ("FOO/bar", "FOO/bar", "FOO/bar"),
        ("192.168.0.1", "docker.io/library/192.168.0.1", "192.168.0.1"),
        ("192.168.0.1:80", "docker.io/library/192.168.0.1:80", "192.168.0.1:80"),
        ("[fc00::1]:5000/docker", "[fc00::1]:5000/docker", "[fc00::1]:5000/docker"),
        ("[fc00::1]/docker:1", "[fc00::1]/docker:1", "[fc00::1]/docker:1"),
        ("a__b/c---d.e_f", "docker.io/a__b/c---d.e_f", "a__b/c---d.e_f"),
        ("xn--n3h.com/myimage:xn--n3h.com", "xn--n3h.com/myimage:xn--n3h.com", "xn--n3h.com/myimage:xn--n3h.com"),
        ("busybox:1", "docker.io/library/busybox:1", "busybox:1"),
        ("busybox:_A.-", "docker.io/library/busybox:_A.-", "busybox:_A.-"),
        ("localhost:5000/x:5000", "localhost:5000/x:5000", "localhost:5000/x:5000"),
        (f"busybox@{DIGEST}", f"docker.io/library/busybox@{DIGEST}", f"busybox@{DIGEST}"),
        (f"me/x:1@{DIGEST}", f"docker.io/me/x:1@{DIGEST}", f"me/x:1@{DIGEST}"),
        (f"sha256:{HEX}", f"docker.io/library/sha256:{HEX}", f"sha256:{HEX}"),
        (f"docker.io/{HEX}", f"docker.io/library/{HEX}", HEX),
        ("x:" + "t" * 128, "docker.io/library/x:" + "t" * 128, "x:" + "t" * 128),
    ],
)
def test_forms(text: str, canonical: str, familiar: str) -> None:
    parsed = reference.parse(text)
    assert str(parsed) == canonical
    assert parsed.familiar == familiar


def test_parts() -> None:
    assert reference.parse(f"h.x:1/a/b:2@{DIGEST}") == Reference("h.x:1", "a/b", "2", DIGEST)
    assert reference.parse("a") == Reference("docker.io", "library/a")


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":",
        "@",
        "/",
        ":tag",
        f"@{DIGEST}",
        "x:",
        "x@",
        "x/",
        "/x",
        "x:/y",
        "x:a:b/",
        "x y",
        "x\n",
        "x:1\n",
        "-docker",
        "docker-",
        "-docker/docker",
        "-docker.io/docker/docker",
        "docker-.io/docker",
        "docker///docker",
        "docker.io/docker///docker",
        "a..b",
        "a___b",
        "a._b",
        "https://github.com/docker/docker",
        "[fc00::1]",
        "[fc00::1]:5000",
        "fc00::1:5000/debian",
        "[fe80::1%eth0]:5000/debian",
        "[2001:db8:3:4::192.0.2.33]:5000/debian",
        "a.com:port/x",
        "x:-1",
        "x:.1",
        "x:t@g",
        "x:" + "t" * 129,
        "x@sha256:abc",
        f"x@{DIGEST.upper()}",
        f"x@md5:{HEX}",
        f"x@{DIGEST}@{DIGEST}",
        "../x",
        "a/../b",
        "x:\u0661",
        "\u00fc/x",
    ],
)
def test_invalid(text: str) -> None:
    with pytest.raises(InvalidReference, match=r"^invalid reference format") as caught:
        reference.parse(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("docker/Docker", r"repository name \(docker/Docker\) must be lowercase"),
        ("Busybox", r"repository name \(library/Busybox\) must be lowercase"),
        (HEX, "cannot specify 64-byte hexadecimal strings"),
        ("a/" * 127 + "b", "repository name must not be longer than 255 characters"),
        ("x@sha256:1", "invalid digest 'sha256:1'"),
        ("x:a b", "a tag has up to 128 of the characters"),
    ],
)
def test_the_message_says_why(text: str, why: str) -> None:
    with pytest.raises(InvalidReference, match=why):
        reference.parse(text)


def test_the_longest_name() -> None:
    longest = "docker.io/" + "a/" * 122 + "b"
    assert len(longest) == 255
    assert str(reference.parse(longest)) == longest


@pytest.mark.parametrize(
    ("text", "expected"), [("x", "x:latest"), ("x:1", "x:1"), (f"x@{DIGEST}", f"x@{DIGEST}"), ("a.b/x", "a.b/x:latest")]
)
def test_latest_is_the_tag_of_none(text: str, expected: str) -> None:
    assert reference.parse(text).tagged().familiar == expected


_part = st.from_regex(r"[a-z0-9]{1,4}((\.|_|__|-{1,3})[a-z0-9]{1,3}){0,2}", fullmatch=True)
_path = st.lists(_part, min_size=1, max_size=4).map("/".join)
_host = st.from_regex(r"([a-zA-Z0-9]{1,3}(-[a-z]{1,2})?\.){1,2}[a-z]{2}|localhost|[A-Z]{1,3}|\[::1\]", fullmatch=True)
_domain = st.builds(lambda host, port: host + port, _host, st.sampled_from(["", ":1", ":5000"]))
_tag = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,9}", fullmatch=True)
_suffix = st.builds(lambda tag, at: tag + at, st.just("") | _tag.map(":{}".format), st.sampled_from(["", f"@{DIGEST}"]))


@given(st.just("") | _domain.map("{}/".format), _path, _suffix)
def test_round_trip(domain: str, path: str, suffix: str) -> None:
    assume(domain or "/" not in path or "." not in path.partition("/")[0])  # it would be a domain
    parsed = reference.parse(domain + path + suffix)
    assert reference.parse(str(parsed)) == parsed
    assert reference.parse(parsed.familiar) == parsed
    assert str(parsed).endswith(path + suffix)
    assert parsed.domain == domain.rstrip("/") or not domain


@given(st.text(alphabet="aA0./:@_-[]", max_size=12) | st.text())
def test_any_text_is_a_reference_or_refused(text: str) -> None:
    try:
        parsed = reference.parse(text)
    except InvalidReference as error:
        assert "\n" not in str(error)  # noqa: PT017
        return
    assert reference.parse(str(parsed)) == parsed


@pytest.mark.parametrize("text", ["a" * 1_000_000, "a-" * 500_000, "A." * 500_000 + "/x", "a/" * 500_000 + "!"])
def test_a_huge_name_is_refused_at_once(text: str) -> None:
    with pytest.raises(InvalidReference) as caught:
        reference.parse(text)
    assert len(str(caught.value)) < 1000
