"""What can go wrong, as the error codes of the specification (distribution-spec, Error Codes).

The statuses are CNCF distribution's, but where the specification speaks for another one.
"""

from typing import ClassVar

from ..errors import LaminaError


class Refusal(LaminaError):
    """A request that gets an error document; `headers` go with it."""

    http_status = 500
    code: ClassVar[str] = "UNKNOWN"

    def __init__(self, message: str, detail: object = None, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.detail = detail
        self.headers = headers or {}


class Unsupported(Refusal):
    """The operation is not offered, or switched off."""

    http_status, code = 405, "UNSUPPORTED"


class Unauthorized(Refusal):
    """Nobody in particular asks, or somebody who cannot prove it."""

    http_status, code = 401, "UNAUTHORIZED"


class Denied(Refusal):
    """The one who asks has not the right."""

    http_status, code = 403, "DENIED"


class TooManyRequests(Refusal):
    """A limit on what goes on at a time is reached."""

    http_status, code = 429, "TOOMANYREQUESTS"


class Unavailable(Refusal):
    """The storage does not answer as it should."""

    http_status, code = 503, "UNAVAILABLE"


class StorageFull(Refusal):
    """There is no room left."""

    http_status, code = 507, "UNAVAILABLE"


class NameInvalid(Refusal):
    """A repository's name breaks the grammar."""

    http_status, code = 400, "NAME_INVALID"


class NameUnknown(Refusal):
    """There is no such repository."""

    http_status, code = 404, "NAME_UNKNOWN"


class TagInvalid(Refusal):
    """A tag breaks the grammar."""

    http_status, code = 400, "TAG_INVALID"


class PageInvalid(Refusal):
    """A page's size is no number, or too large."""

    http_status, code = 400, "PAGINATION_NUMBER_INVALID"


class DigestInvalid(Refusal):
    """A text is no digest, or bytes are not those that a digest names."""

    http_status, code = 400, "DIGEST_INVALID"


class SizeInvalid(Refusal):
    """A body is not as long as it was said to be."""

    http_status, code = 400, "SIZE_INVALID"


class TooLarge(Refusal):
    """A body goes on after the bound set for it."""

    http_status, code = 413, "SIZE_INVALID"


class ManifestUnknown(Refusal):
    """A repository has no such manifest."""

    http_status, code = 404, "MANIFEST_UNKNOWN"


class ManifestInvalid(Refusal):
    """A document is no manifest."""

    http_status, code = 400, "MANIFEST_INVALID"


class ManifestBlobUnknown(Refusal):
    """A manifest names what its repository does not have."""

    http_status, code = 400, "MANIFEST_BLOB_UNKNOWN"


class BlobUnknown(Refusal):
    """A repository has no such blob."""

    http_status, code = 404, "BLOB_UNKNOWN"


class UploadUnknown(Refusal):
    """There is no such upload, or no more."""

    http_status, code = 404, "BLOB_UPLOAD_UNKNOWN"


class UploadInvalid(Refusal):
    """An upload cannot go on in this way."""

    http_status, code = 400, "BLOB_UPLOAD_INVALID"


class RangeInvalid(Refusal):
    """A piece does not continue what has arrived, or lies outside of what there is."""

    http_status, code = 416, "RANGE_INVALID"
