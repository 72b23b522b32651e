"""JSON values → typed dataclasses, with every type checked: a file may have been edited by hand."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from ragcli.errors import InputError

Decoded = TypeVar("Decoded")

_PLAIN = {str: "a text", int: "a whole number", bool: "true or false"}


def decode(kind: type[Decoded], value: object, name: str) -> Decoded:
    """Make an instance of the dataclass ``kind`` of a JSON object; ``name`` is its own in messages.

    Fields may be texts, numbers, truth values, ``None``, other such dataclasses, and tuples and
    mappings of these; keys that are no fields are passed over, and a field with a default need not
    be there. Raises ``InputError`` for a missing key and a value of another type.
    """
    decoded: Decoded = _decode(kind, value, name)
    return decoded


def _decode(kind: Any, value: Any, name: str) -> Any:  # noqa: ANN401
    if is_dataclass(kind):
        return _decode_object(kind, value, name)
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is UnionType:
        return _decode_union(arguments, value, name)
    if origin is tuple:
        items = _expect(value, list, "a list", name)
        return tuple(_decode(arguments[0], item, f"{name}[{n}]") for n, item in enumerate(items))
    if origin is dict:
        held = _expect(value, dict, "an object", name)
        return {key: _decode(arguments[1], item, f"{name}.{key}") for key, item in held.items()}
    if kind is float:
        return _decode_number(value, name)
    return _expect(value, kind, _PLAIN[kind], name)


def _decode_object(kind: Any, value: object, name: str) -> Any:  # noqa: ANN401
    held: Mapping[str, object] = _expect(value, dict, "an object", name)
    hints = _hints(kind)
    missing = [f.name for f in fields(kind) if f.name not in held and f.default is MISSING]
    if missing:
        raise InputError(f"{name} lacks {', '.join(missing)}")
    return kind(
        **{
            field.name: _decode(hints[field.name], held[field.name], f"{name}.{field.name}")
            for field in fields(kind)
            if field.name in held
        }
    )


@cache
def _hints(kind: Any) -> dict[str, Any]:  # noqa: ANN401
    return get_type_hints(kind)


def _decode_union(kinds: tuple[Any, ...], value: object, name: str) -> object:
    if value is None and NoneType in kinds:
        return None
    wanted = [kind for kind in kinds if kind is not NoneType]
    for kind in wanted[:-1]:
        if type(value) is kind:
            return value
    return _decode(wanted[-1], value, name)


def _decode_number(value: object, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise InputError(f"{name} is not a number")
    return float(value)


def _expect(value: Any, kind: type, told: str, name: str) -> Any:  # noqa: ANN401
    if type(value) is not kind:
        raise InputError(f"{name} is not {told}")
    return value
