"""Types that msgspec does not know by itself: the models of pydantic, where that is in use."""

from __future__ import annotations

import sys
from typing import Any


def to_builtin(value: Any) -> Any:
    """Return a value that can be written in place of this one; raises `NotImplementedError`."""
    base = _model()
    if base is not None and isinstance(value, base):
        return value.model_dump(mode="json")
    raise NotImplementedError(f"Encoding objects of type {type(value).__name__} is unsupported")


def from_builtin(kind: type, value: Any) -> Any:
    """Return what was written as `value`; raises what the type itself raises."""
    base = _model()
    if base is not None and isinstance(kind, type) and issubclass(kind, base):
        model: Any = kind
        return model.model_validate(value)
    raise NotImplementedError(f"Decoding objects of type {kind} is unsupported")


def _model() -> Any:
    # Never imported here: whoever has a model has imported it.
    module = sys.modules.get("pydantic")
    return getattr(module, "BaseModel", None)
