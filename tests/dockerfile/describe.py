"""Instructions as plain JSON values, for the data files: the class is named, fields at their defaults are left out."""

from typing import Any

import msgspec


def plain(value: object) -> Any:
    if isinstance(value, msgspec.Struct):
        return {type(value).__name__: _fields(value)}
    if isinstance(value, tuple):
        return [plain(item) for item in value]
    return value


def _fields(value: msgspec.Struct) -> dict[str, Any]:
    known = {field.name: field.default for field in msgspec.structs.fields(value)}
    return {
        name: plain(getattr(value, name))
        for name, default in known.items()
        if default is msgspec.NODEFAULT or getattr(value, name) != default
    }
