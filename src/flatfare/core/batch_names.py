"""Names of requests in a batch that say which task and attempt they are made for.

A batch's answers come hours later and carry nothing of the request but its name, so the name
carries whose it is. Providers allow 64 letters, digits, dashes and underscores (Anthropic's
``custom_id``: 1 to 64 of ``[a-zA-Z0-9_-]``, docs 2026-11).
"""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode

from flatfare.core.identity import Id

OWN_LENGTH = 16
_MARK = "ff-"
_LENGTH = 64


def request_name(task_id: str, attempt_id: str, own: str) -> str:
    """The name of a request; ``own`` tells it from the others of its attempt, 16 characters.

    >>> request_name("018bcfe5-6800-7000-8000-000000000000", "71212a66-70ed-4877-8fee-b0aa964abf4c", "0" * 16)
    'ff-AYvP5WgAcACAAAAAAAAAAAcSEqZnDtSHeP7rCqlkq_TA-0000000000000000'
    """
    if len(own) != OWN_LENGTH:
        raise ValueError(f"expected {OWN_LENGTH} characters, found {len(own)}")
    return f"{_MARK}{_short(task_id)}{_short(attempt_id)}-{own}"


def named_in(name: str) -> tuple[str, str] | None:
    """The task and the attempt that a name says; None for a name that somebody else gave.

    >>> named_in("ff-AYvP5WgAcACAAAAAAAAAAAcSEqZnDtSHeP7rCqlkq_TA-0000000000000000")
    ('018bcfe5-6800-7000-8000-000000000000', '71212a66-70ed-4877-8fee-b0aa964abf4c')
    >>> named_in("row-17") is None
    True
    """
    if len(name) != _LENGTH or not name.startswith(_MARK) or name[47] != "-":
        return None
    try:
        return _long(name[3:25]), _long(name[25:47])
    except (ValueError, binascii.Error):
        return None


def _short(uuid_text: str) -> str:
    return urlsafe_b64encode(Id(uuid_text).bytes).decode().rstrip("=")


def _long(short: str) -> str:
    return str(Id(bytes=urlsafe_b64decode(short + "==")))
