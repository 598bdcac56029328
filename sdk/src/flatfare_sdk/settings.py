"""Where events go: from the environment, or as ``configure`` says."""

import hashlib
import os
from collections.abc import Mapping
from typing import NamedTuple

DEFAULT_URL = "http://127.0.0.1:4180"
SPOOL_BYTES_MAX = 256 * 1024 * 1024  # about a million events


class Settings(NamedTuple):
    """How events are kept and sent."""

    url: str = DEFAULT_URL
    key: str | None = None
    folder: str = ""  # the spool of this address and key
    is_on: bool = True
    spool_bytes_max: int = SPOOL_BYTES_MAX
    exit_s: float = 2.0  # how long the end of the program may be put off to send what is left

    def __repr__(self) -> str:
        return f"Settings(url={self.url!r}, folder={self.folder!r}, is_on={self.is_on})"  # the key stays out


def spool_root(environment: Mapping[str, str]) -> str:
    """The folder of the spools, one for each address and key: below the user's state folder, if not given."""
    if given := environment.get("FLATFARE_SPOOL"):
        return os.path.abspath(given)
    state = environment.get("XDG_STATE_HOME") or os.path.join(os.path.expanduser("~"), ".local", "state")
    return os.path.join(state, "flatfare", "spool")


def settings(
    environment: Mapping[str, str], url: str | None = None, key: str | None = None, spool: str | None = None
) -> Settings:
    """Settings from the environment, but for what is given.

    Events for one address and key lie apart from those for another: they are never sent with
    a key that is not theirs. The folder's name tells the key to nobody.
    """
    url = (url or environment.get("FLATFARE_URL") or DEFAULT_URL).strip().rstrip("/")
    key = (key or environment.get("FLATFARE_KEY") or "").strip() or None
    whose = hashlib.sha256(f"{url}\0{key or ''}".encode("utf-8", "replace")).hexdigest()[:16]
    root = os.path.abspath(spool) if spool else spool_root(environment)
    return Settings(
        url=url,
        key=key,
        folder=os.path.join(root, whose),
        is_on=environment.get("FLATFARE_OFF", "").strip().lower() not in ("1", "true", "yes", "on"),
        spool_bytes_max=_number(environment.get("FLATFARE_SPOOL_BYTES"), SPOOL_BYTES_MAX),
    )


def _number(text: str | None, otherwise: int) -> int:
    return int(text) if text and text.strip().isdigit() else otherwise
