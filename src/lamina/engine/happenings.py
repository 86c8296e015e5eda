"""Which events somebody wants to hear of: the filters of `docker events`.

Source: moby, daemon/events/filter.go.
"""

from collections.abc import Callable, Mapping, Sequence

from ..errors import InvalidArgument
from ..oci import reference
from ..store.journal import CONTAINER, IMAGE, VOLUME, Event

Accepts = Callable[[Event, str], bool]

_NEVER = ("config", "daemon", "network", "node", "plugin", "secret", "service")
"""Filters by things that are not here: nothing matches them."""


def matching(filters: Mapping[str, Sequence[str]]) -> Callable[[Event], bool]:
    """Return what tells whether an event is wanted.

    Args:
        filters: names and values. An event must match one value of each name, and all values of `label`.

            type        `container`, `image` or `volume`
            event       the action; `exec_create`, `exec_start` and `health_status` without what follows the colon
            container   the beginning of an id or a name
            image       an id or a name, also of the image of a container
            volume      a name, or the beginning of it
            label       `name` or `name=value` of a container or an image
            scope       `local` is all

    Raises:
        InvalidArgument: there is no such filter.
    """
    for name in filters:
        if name not in _filters():
            raise InvalidArgument(f"invalid filter '{name}'")
    return lambda event: all(_matches(event, name, values) for name, values in filters.items() if values)


def _matches(event: Event, name: str, values: Sequence[str]) -> bool:
    accepts = _filters()[name]
    every = all if name == "label" else any
    return every(accepts(event, value) for value in values)


def _filters() -> dict[str, Accepts]:
    return {
        "type": lambda event, value: event.type == value,
        "event": lambda event, value: value in (event.action, event.action.partition(":")[0]),
        "container": lambda event, value: event.type == CONTAINER and _begins(event, value),
        "image": _is_of_image,
        "volume": lambda event, value: event.type == VOLUME and _begins(event, value),
        "label": _has_label,
        "scope": lambda _, value: value == "local",
        **dict.fromkeys(_NEVER, lambda _, __: False),
    }


def _begins(event: Event, value: str) -> bool:
    return event.id.startswith(value) or event.attributes.get("name", "").startswith(value)


def _is_of_image(event: Event, value: str) -> bool:
    if event.type not in (CONTAINER, IMAGE):
        return False
    name = event.attributes.get("image" if event.type == CONTAINER else "name", "")
    return value in (event.id, name, _without_tag(event.id), _without_tag(name))


def _without_tag(name: str) -> str:
    try:
        return reference.parse(name).familiar_name
    except InvalidArgument:
        return name


def _has_label(event: Event, text: str) -> bool:
    name, equals, value = text.partition("=")
    return name in event.attributes and (not equals or event.attributes[name] == value)
