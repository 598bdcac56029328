"""Flatfare: the meter, the contract and the receipt for LLM work.

What stands here is the face of the package; everything else may move.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flatfare.service.costing.metering import Metered, meter
    from flatfare_sdk import headers, signal, task, verdict, wrap

__version__ = "0.1.0"

__all__ = ["Metered", "__version__", "headers", "meter", "signal", "task", "verdict", "wrap"]

_PLACES = {
    "Metered": "flatfare.service.costing.metering",
    "meter": "flatfare.service.costing.metering",
    # recording, of the distribution flatfare-sdk that comes along
    "headers": "flatfare_sdk",
    "signal": "flatfare_sdk",
    "task": "flatfare_sdk",
    "verdict": "flatfare_sdk",
    "wrap": "flatfare_sdk",
}


def __getattr__(name: str) -> object:
    """Import what is asked for when it is asked for: ``import flatfare`` alone costs nothing."""
    if name not in _PLACES:
        raise AttributeError(f"module 'flatfare' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_PLACES[name]), name)
