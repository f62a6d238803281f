"""Nested values as plain JSON, and as one level of dotted names."""

import json
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from typing import Any


def plain(value: Any) -> Any:
    """Return the value with dataclasses as dicts, fit for JSON."""
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


def flat(value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested mappings as one level of dotted names; lists as JSON."""
    items: dict[str, Any] = {}
    for key, item in value.items():
        if isinstance(item, Mapping) and item:
            items |= flat(item, f"{prefix}{key}.")
        else:
            items[f"{prefix}{key}"] = json.dumps(item) if isinstance(item, (list, dict)) else item
    return items
