"""Where everything is kept: CNCF distribution's layout, and what lamina adds to it.

docker/registry/v2/
  blobs/<algorithm>/<2 hex>/<hex>/data     the bytes of a layer, a config, a manifest
  repositories/<name>/
    _layers/<algorithm>/<hex>/link         the repository has this blob
    _manifests/
      revisions/<algorithm>/<hex>/link     the repository has this manifest
      tags/<tag>/current/link              what the tag stands for
      tags/<tag>/index/<algorithm>/<hex>/link  what it ever stood for
    _uploads/<uuid>/
      data                                 what has arrived
      startedat                            when the upload began, RFC 3339 in whole seconds
      digest                               of a large upload, what has arrived: `<boot id> <size> <digest>`
      hashstates/                          distribution's; removed with the upload, never written
    _referrers/<algorithm>/<hex>/          manifests whose subject this is; can be made anew
      <algorithm>-<hex>                    a manifest's descriptor, as JSON
    _referrers/complete                    all manifests have been looked at
    _mediatypes/<algorithm>/<hex>          what a manifest was pushed as, where its text does not say
lamina/
  gate, lock                               locks between pushes and garbage collection
  secret                                   what upload tokens are signed with, where none is configured
  token.key                                what the registry's own tokens are signed with
  trash/                                   folders on their way out

A link is the digest and nothing else. Distribution passes over folders of a repository whose names begin with `_` and
that it does not know. Documents are named by their path below `repositories/`; blobs by their digest.
"""

from ..oci.digest import Digest, split

ROOT = "docker/registry/v2"
REPOSITORIES = f"{ROOT}/repositories"
BLOBS = f"{ROOT}/blobs"
OWN = "lamina"
TRASH = f"{OWN}/trash"


def blob(digest: Digest) -> str:
    """Return the folder of a blob, below the storage's own."""
    algorithm, encoded = split(digest)
    return f"{BLOBS}/{algorithm}/{encoded[:2]}/{encoded}"


def layers(name: str) -> str:
    """Return the folder of links to blobs."""
    return f"{name}/_layers"


def layer(name: str, digest: Digest) -> str:
    """Return the link that says that a repository has a blob."""
    return f"{layers(name)}/{_parted(digest)}/link"


def manifests(name: str) -> str:
    """Return the folder that tells a repository from a mere prefix of others."""
    return f"{name}/_manifests"


def revisions(name: str) -> str:
    """Return the folder of links to manifests."""
    return f"{manifests(name)}/revisions"


def revision(name: str, digest: Digest) -> str:
    """Return the link that says that a repository has a manifest."""
    return f"{revisions(name)}/{_parted(digest)}/link"


def tags(name: str) -> str:
    """Return the folder of tags."""
    return f"{manifests(name)}/tags"


def tag(name: str, tag: str) -> str:
    """Return the folder of one tag."""
    return f"{tags(name)}/{tag}"


def current(name: str, tag: str) -> str:
    """Return the link to what a tag stands for."""
    return f"{tags(name)}/{tag}/current/link"


def history(name: str, tag: str) -> str:
    """Return the folder of links to what a tag ever stood for."""
    return f"{tags(name)}/{tag}/index"


def past(name: str, tag: str, digest: Digest) -> str:
    """Return the link that says that a tag once stood for a manifest."""
    return f"{history(name, tag)}/{_parted(digest)}/link"


def referrers(name: str, subject: Digest) -> str:
    """Return the folder of descriptors of manifests that have a subject."""
    return f"{all_referrers(name)}/{_parted(subject)}"


def referrer(name: str, subject: Digest, digest: Digest) -> str:
    """Return the descriptor of a manifest that has a subject."""
    return f"{referrers(name, subject)}/{digest.replace(':', '-')}"


def all_referrers(name: str) -> str:
    """Return the folder of the whole index of referrers."""
    return f"{name}/_referrers"


def complete(name: str) -> str:
    """Return the mark that says that the index of referrers knows all manifests."""
    return f"{all_referrers(name)}/complete"


def media_type(name: str, digest: Digest) -> str:
    """Return what a manifest was pushed as, if its text does not say."""
    return f"{name}/_mediatypes/{_parted(digest)}"


def uploads(name: str) -> str:
    """Return the folder of uploads."""
    return f"{name}/_uploads"


def upload(name: str, identity: str) -> str:
    """Return the folder of one upload."""
    return f"{uploads(name)}/{identity}"


def _parted(digest: Digest) -> str:
    return digest.replace(":", "/")
