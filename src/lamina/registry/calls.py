"""One request as handlers see it, and what they share: its query, its body within bounds, its pages."""

from typing import TYPE_CHECKING
from urllib.parse import urlencode

from aiohttp import web

from .bodies import Arriving
from .codes import PageInvalid
from .repository import Repository

if TYPE_CHECKING:
    from .service import Service


class Call:
    """A request for something in a repository, or for none; `reference` is as it stands in the path."""

    def __init__(self, service: "Service", request: web.BaseRequest, name: str, reference: str) -> None:
        self.service = service
        self.request = request
        self.reference = reference
        self.user = ""
        self.identity = ""
        self.repository = Repository(service.storage, name, service.cache)

    @property
    def name(self) -> str:
        """The repository's name."""
        return self.repository.name

    def query(self, key: str) -> str:
        """Return a parameter of the query, or nothing."""
        return self.request.query.get(key, "")

    def url(self, path: str) -> str:
        """Return the URL of a path below `/v2/`."""
        return f"{self.service.settings.host}{self.service.settings.prefix}v2/{path}"

    def body(self, limit: int, what: str) -> Arriving:
        """Return the body, of up to `limit` bytes; 0 is no limit."""
        return Arriving(self.request, limit, self.service.settings.idle, what)

    def page(self) -> tuple[int, str]:
        """Return how many rows are asked for, -1 for all, and after which.

        Raises:
            PageInvalid: the number is none.
        """
        number = self.query("n")
        if not number:
            return -1, self.query("last")
        if not (number.isascii() and number.isdigit()) or len(number) > 18:
            raise PageInvalid(f"n is {number[:50]!r}: expected a number that is not negative", {"n": number[:50]})
        return int(number), self.query("last")

    def next_page(self, path: str, **query: object) -> dict[str, str]:
        """Return the header that leads to the next page."""
        return {"Link": f'<{self.url(path)}?{urlencode(query)}>; rel="next"'}
