"""How the requests about one repository find their way: reading to the mirrors first, writing to the registry alone."""

import itertools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeVar

from ..errors import Cancelled, LaminaError
from ..oci.reference import Reference
from . import answers, origins
from .answers import Broken, InvalidAnswer, RegistryUnavailable
from .origins import Origin, Place
from .request import Body, Request, Scopes
from .upload import Wire

if TYPE_CHECKING:
    from .client import Client
    from .connections import Answer
    from .tokens import Authorizer

T = TypeVar("T")
Take = Callable[["Answer"], T]
"""Makes something of a good answer, and closes it."""


class Asking:
    """Requests about a repository. Paths are those below it: `tags/list`."""

    def __init__(self, reference: Reference, client: "Client") -> None:
        self._reference = reference
        self._client = client
        self._places = origins.places(reference.domain, client.settings)
        scope = f"repository:{reference.path}"
        self._pull, self._push = frozenset({f"{scope}:pull"}), frozenset({f"{scope}:pull,push"})

    def reach(self) -> None:
        """Find out how the registry itself is spoken to; see `Registry.reach`."""
        self._client.origin(self._places[-1])

    def read(
        self,
        method: str,
        path: str,
        what: str,
        take: Take[T],
        more: Mapping[str, str] | None = None,
        mirrored: Callable[[Place], None] = lambda _: None,
    ) -> T:
        """Ask the mirrors, then the registry; return what `take` makes of the first answer that it can take.

        Args:
            method: GET or HEAD.
            path: below the repository.
            what: names what is asked for in messages.
            take: gets the answer; what it raises at a mirror leads to the next one.
            more: headers.
            mirrored: hears which mirror it was, if it was one.
        """
        *mirrors, last = self._places
        for place in mirrors:
            if not self._client.is_down(place):
                try:
                    taken = take(self._mirrored(place, Request(method, path, self._pull, more or {}), what))
                    mirrored(place)
                    return taken
                except Cancelled:
                    raise
                except LaminaError:
                    continue
        request = Request(method, path, self._pull, more or {})
        for attempt in itertools.count(1):
            try:
                return take(self._asked(last, request, what, self._reference.domain))
            except Broken:
                if attempt >= self._client.settings.attempts:
                    raise
            self._client.wait(attempt)
        raise AssertionError("unreachable")

    def write(
        self,
        method: str,
        path: str,
        what: str,
        more: Mapping[str, str] | None = None,
        body: Body | None = None,
        scopes: Scopes = frozenset(),
    ) -> "Answer":
        """Ask the registry itself, which may have to know us for further scopes; return its good answer."""
        wanted = (self._pull if method == "HEAD" else self._push) | scopes
        request = Request(method, path, wanted, more or {}, body)
        return self._asked(self._places[-1], request, what, self._reference.domain)

    def wire(self) -> Wire:
        """Return what an upload talks by."""
        authorizer = self._authorizer(self._places[-1], self._reference.domain)

        def ask(method: str, url: str, more: Mapping[str, str], body: Body | None, tries: int) -> "Answer":
            return self._client.open(Request(method, url, self._push, more, body), authorizer, tries=tries)

        return Wire(ask, self._client.wait, self._client.elsewhere, self._client.settings.attempts)

    def inner(self, answer: "Answer", target: str, what: str) -> str:
        """Return the path that an answer points to; it has to be one of the repository, at the same host.

        Raises:
            InvalidAnswer: it is not.
        """
        url = self._client.elsewhere(answer, target)
        begin = self._url(origins.of_url(answer.url), "")
        if not url.startswith(begin):
            raise InvalidAnswer(f"{what}: the registry's list goes on elsewhere: {url[:200]!r}")
        return url.removeprefix(begin)

    def _mirrored(self, place: Place, request: Request, what: str) -> "Answer":
        """Ask a mirror, once; one that does not answer is not asked again."""
        try:
            return self._asked(place, request, what, place.host, tries=1)
        except RegistryUnavailable:
            self._client.pass_over(place)
            raise

    def _asked(self, place: Place, request: Request, what: str, domain: str, tries: int = 0) -> "Answer":
        authorizer = self._authorizer(place, domain)
        request = request._replace(url=self._url(authorizer.origin, request.url))
        answer = self._client.open(request, authorizer, tries=tries)
        if answer.status in (200, 201, 202, 204, 206):
            return answer
        with answer:
            raise answers.error(answer, what)

    def _authorizer(self, place: Place, domain: str) -> "Authorizer":
        return self._client.authorizer(self._client.origin(place), domain)

    def _url(self, origin: Origin, path: str) -> str:
        return f"{origin}/v2/{self._reference.path}/{path}"
