"""The harness is tested with the fixtures that it offers."""

from tests.compat.conftest import docker, installed, podman, skopeo, tidy, tiny

__all__ = ["docker", "installed", "podman", "skopeo", "tidy", "tiny"]
