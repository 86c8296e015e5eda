"""Which extended attributes of an entry its inode has: those that a file system would have stored.

`tar.apply` asks the kernel, and passes over what that does not take; here nobody is asked. What the kernel cannot read
back is left out, as it would make the file unusable: of a capability (capabilities(7)) and of a list of access (acl(5))
that is one whose form is wrong.
"""

import errno
import os
import struct

from ..erofs.layout import PREFIXES, split
from ..tar.apply import OVERLAY
from ..tar.header import DIRECTORY, REGULAR, SYMLINK, Entry

_MAX_NAME, _MAX_VALUE = 255, 0xFFFF
_USER, _TRUSTED, _SECURITY = (PREFIXES[prefix] for prefix in (b"user.", b"trusted.", b"security."))
_DEFAULT = PREFIXES[b"system.posix_acl_default"]
_CAPABILITY = {0x02000000: 20, 0x03000000: 24}
_ACL_VERSION = 2


def kept(entry: Entry) -> dict[bytes, bytes]:
    """Return the attributes of an entry that its inode has.

    Raises:
        OSError: the kernel would refuse one.
    """
    found: dict[bytes, bytes] = {}
    for key, value in entry.xattrs.items():
        if key.startswith(OVERLAY):
            continue
        if not 0 < len(key) <= _MAX_NAME:
            raise OSError(errno.ERANGE, os.strerror(errno.ERANGE))
        if len(value) > _MAX_VALUE:
            raise OSError(errno.E2BIG, os.strerror(errno.E2BIG))
        if _is_kept(entry.type, key, value):
            found[key] = value
    return found


def _is_kept(kind: bytes, key: bytes, value: bytes) -> bool:
    prefix, name = split(key)
    if prefix == _USER:
        return bool(name) and kind in (REGULAR, DIRECTORY)
    if prefix in (_TRUSTED, _SECURITY):
        return bool(name) and (key != b"security.capability" or _is_capability(value))
    if not prefix or name or kind == SYMLINK or not _is_acl(value):
        return False
    if prefix == _DEFAULT and kind != DIRECTORY:
        raise OSError(errno.EACCES, os.strerror(errno.EACCES))
    return True


def _is_capability(value: bytes) -> bool:
    return len(value) >= 4 and _CAPABILITY.get(int.from_bytes(value[:4], "little") & 0xFF000000) == len(value)


def _is_acl(value: bytes) -> bool:
    """Tell whether entries of a list of access follow its version, each of a known kind."""
    if len(value) < 4 or int.from_bytes(value[:4], "little") != _ACL_VERSION or (len(value) - 4) % 8:
        return False
    tags = [tag for tag, _, _ in struct.iter_unpack("<HHI", value[4:])]
    return all(tag in (1, 2, 4, 8, 16, 32) for tag in tags)
