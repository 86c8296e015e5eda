"""Trying a name and a password at a registry, before they are stored."""

from ..errors import InvalidArgument
from ..oci.reference import DEFAULT_DOMAIN
from . import answers, origins
from .answers import Unauthorized
from .client import Client
from .credentials import Credential, One
from .request import Request
from .settings import Settings


def login(settings: Settings, host: str, credential: Credential) -> Credential:
    """Return what to store for a registry that knows us: what was given, or a token in place of the password.

    Raises:
        InvalidArgument: they cannot be sent.
        Unauthorized: the registry does not know us.
        RegistryUnavailable: it cannot be reached.
    """
    if ":" in credential.username or not f"{credential.username}{credential.password}".isprintable():
        raise InvalidArgument("a username has no colon, and neither it nor the password has control characters")
    with Client(settings, One(host, credential)) as client:
        place = origins.places(host, settings)[-1]
        origin = client.origin(place)
        authorizer = client.authorizer(origin, host, offline=True)
        what = f"{'Docker Hub' if host == DEFAULT_DOMAIN else host}"
        try:
            with client.open(Request("GET", f"{origin}/v2/"), authorizer) as answer:
                if answer.status != 200:
                    raise answers.error(answer, what)
        except Unauthorized as error:
            raise Unauthorized(f"login to {what} failed: it does not accept this username and password") from error
    if authorizer.refresh_token:
        return Credential(credential.username, identity_token=authorizer.refresh_token)
    return credential
