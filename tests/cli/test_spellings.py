"""Values on the command line: docker's spellings, and docker's words for what is none."""

from collections.abc import Callable
from typing import Any

import pytest

from lamina.cli import spellings
from lamina.containers.host import Restart
from lamina.runtime.devices import Device
from lamina.runtime.values import Rlimit


@pytest.mark.parametrize(
    ("parse", "text", "value"),
    [
        (spellings.size, "64m", 64 << 20),
        (spellings.size, "1g", 1 << 30),
        (spellings.size, "0", 0),
        (spellings.swap, "-1", -1),
        (spellings.swap, "2k", 2048),
        (spellings.whole, "-5", -5),
        (spellings.whole, "+5", 5),
        (spellings.nano_cpus, "1.5", 1_500_000_000),
        (spellings.nano_cpus, "1/2", 500_000_000),
        (spellings.nano_cpus, "1e1", 10_000_000_000),
        (spellings.duration, "1m30s", 90_000_000_000),
        (spellings.duration, "-1s", -1_000_000_000),
        (spellings.rlimit, "nofile=5:10", Rlimit("nofile", 5, 10)),
        (spellings.rlimit, "core=0", Rlimit("core", 0, 0)),
        (spellings.rlimit, "core=-1", Rlimit("core", -1, -1)),
        (spellings.rlimit, "nofile=5:-1", Rlimit("nofile", 5, -1)),
        (spellings.device, "/dev/x", Device("/dev/x", "/dev/x")),
        (spellings.device, "/dev/x:r", Device("/dev/x", "/dev/x", "r")),
        (spellings.device, "/dev/x:/dev/y", Device("/dev/x", "/dev/y")),
        (spellings.device, "/dev/x:/dev/y:wm", Device("/dev/x", "/dev/y", "wm")),
        (spellings.restart, "", Restart()),
        (spellings.restart, "always", Restart("always")),
        (spellings.restart, "on-failure:3", Restart("on-failure", 3)),
        (spellings.host, "a:1.2.3.4", "a:1.2.3.4"),
        (spellings.host, "a:::1", "a:::1"),
        (spellings.host, "a:host-gateway", "a:host-gateway"),
        (spellings.address, " ::1", "::1"),
        (spellings.domain, ".", "."),
        (spellings.domain, "a-b.example.com", "a-b.example.com"),
        (spellings.sysctl, "net.x=1", "net.x=1"),
        (spellings.sysctl, "kernel.sem=1 2", "kernel.sem=1 2"),
    ],
)
def test_values(parse: Callable[[str], Any], text: str, value: object) -> None:
    assert parse(text) == value


@pytest.mark.parametrize(
    ("parse", "text", "why"),
    [
        (spellings.size, "x", "invalid size: 'x'"),
        (spellings.size, "-1", "invalid size: '-1'"),
        (spellings.swap, "-2", "invalid size: '-2'"),
        (spellings.whole, "x", 'strconv.ParseInt: parsing "x": invalid syntax'),
        (spellings.whole, "1" * 20, f'strconv.ParseInt: parsing "{"1" * 20}": value out of range'),
        (spellings.whole, "9223372036854775808", 'parsing "9223372036854775808": value out of range'),
        (spellings.nano_cpus, "x", "failed to parse x as a rational number"),
        (spellings.nano_cpus, "1/0", "failed to parse 1/0 as a rational number"),
        (spellings.nano_cpus, "0.0000000001", "value is too precise"),
        (spellings.duration, "x", 'time: invalid duration "x"'),
        (spellings.duration, "5", 'time: missing unit in duration "5"'),
        (spellings.rlimit, "nofile", "invalid ulimit argument: nofile"),
        (spellings.rlimit, "nofile=x", 'strconv.ParseInt: parsing "x": invalid syntax'),
        (spellings.rlimit, "nofile=1:", 'strconv.ParseInt: parsing "": invalid syntax'),
        (spellings.rlimit, "bogus=1", "invalid ulimit type: bogus"),
        (spellings.rlimit, "infinity=1", "invalid ulimit type: infinity"),
        (spellings.rlimit, "nofile=5:3", "ulimit soft limit must be less than or equal to hard limit: 5 > 3"),
        (spellings.rlimit, "nofile=-1:3", "ulimit soft limit must be less than or equal to hard limit: -1 > 3"),
        (
            spellings.rlimit,
            "nofile=1:2:3",
            "too many limit value arguments - 1:2:3, can only have up to two, `soft[:hard]`",
        ),
        (spellings.device, "null", "null is not an absolute path"),
        (spellings.device, "", "bad format for path: "),
        (spellings.device, "/dev/null:/dev/x:q", "bad mode specified: q"),
        (spellings.device, "/dev/null:bad", "bad is not an absolute path"),
        (spellings.device, "/dev/null:/dev/x:rw:z", "bad format for path: /dev/null:/dev/x:rw:z"),
        (spellings.restart, "on-failure:x", "invalid restart policy format: maximum retry count must be an integer"),
        (spellings.restart, "a:b:c", "invalid restart policy format: maximum retry count must be an integer"),
        (spellings.host, "x", 'bad format for add-host: "x"'),
        (spellings.host, ":1.2.3.4", 'bad format for add-host: ":1.2.3.4"'),
        (spellings.host, "x:y", 'invalid IP address in add-host: "y"'),
        (spellings.address, "x", "IP address is not correctly formatted: x"),
        (spellings.domain, "a b", "a b is not a valid domain"),
        (spellings.sysctl, "x", "sysctl 'x' is not allowed"),
        (spellings.sysctl, "kernel.hostname=x", "sysctl 'kernel.hostname=x' is not allowed"),
    ],
)
def test_no_values(parse: Callable[[str], Any], text: str, why: str) -> None:
    with pytest.raises(ValueError) as error:  # noqa: PT011 - its text is compared
        parse(text)
    assert str(error.value).endswith(why)
