"""Which proxy leads to a host, as HTTPS_PROXY and NO_PROXY say it to docker (golang.org/x/net/http/httpproxy).

    example.com     the host, and all below it           10.0.0.0/8      a network
    .example.com    all below it                         10.1.2.3        an address
    host:5000       the host at that port                *               everything

This machine is never reached by a proxy.
"""

import ipaddress

from ..errors import InvalidArgument
from . import origins
from .origins import Origin
from .settings import Proxies


def choose(proxies: Proxies, origin: Origin) -> str:
    """Return the URL of the proxy that leads to a host, or nothing.

    Raises:
        InvalidArgument: it is no URL of http or https; what it says is not shown.
    """
    url = proxies.https if origin.scheme == "https" else proxies.http
    if not url or origins.is_local(origin.host) or any(_covers(rule.strip(), origin) for rule in proxies.without):
        return ""
    url = url if "://" in url else f"http://{url}"
    try:
        origins.of_url(url)
    except InvalidArgument as error:
        raise InvalidArgument(f"the proxy for {origin.scheme} is no URL of http:// or https://") from error
    return url


def _covers(rule: str, origin: Origin) -> bool:
    """Tell whether a rule is about a host."""
    if not rule or rule == "*":
        return bool(rule)
    try:
        return ipaddress.ip_address(origin.host) in ipaddress.ip_network(rule.strip("[]"), strict=False)
    except ValueError:
        host, colon, port = rule.lower().rpartition(":")
        if not colon or not port.isdecimal():
            host, port = rule.lower(), ""
        if port and int(port) != origin.port:
            return False
        host = host.removeprefix("*").strip("[]")
        return origin.host.endswith(host) if host.startswith(".") else f".{origin.host}".endswith(f".{host}")
