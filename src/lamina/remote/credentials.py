"""Who a person is to registries. Secrets are in no text that a value shows."""

from typing import Protocol

import msgspec

from ..oci.reference import DEFAULT_DOMAIN

HUB = "https://index.docker.io/v1/"
"""The name under which everybody keeps what Docker Hub knows them by."""


class Credential(msgspec.Struct, frozen=True):
    """A name with its password, or a token that stands for both."""

    username: str = ""
    password: str = ""
    identity_token: str = ""
    registry_token: str = ""

    def __repr__(self) -> str:
        return f"Credential({self.username!r}, ...)"

    __str__ = __repr__


class Keychain(Protocol):
    """Where credentials are."""

    def find(self, host: str) -> Credential | None:
        """Return what is known for a registry (`docker.io`, `host:port`), or None.

        Raises:
            LaminaError: what is kept there cannot be read.
        """
        ...


class Nobody(Keychain):
    """Knows no credentials."""

    def find(self, host: str) -> Credential | None:
        return None


class One(Keychain):
    """Knows one registry's."""

    def __init__(self, host: str, credential: Credential) -> None:
        self._host, self._credential = host, credential

    def find(self, host: str) -> Credential | None:
        return self._credential if host == self._host else None


class Several(Keychain):
    """Asks some keychains in turn, until one knows a registry."""

    def __init__(self, *keychains: Keychain) -> None:
        self._keychains = keychains

    def find(self, host: str) -> Credential | None:
        return next(filter(None, (keychain.find(host) for keychain in self._keychains)), None)


def key(host: str) -> str:
    """Return the name under which a registry's credentials are kept."""
    return HUB if host == DEFAULT_DOMAIN else host
