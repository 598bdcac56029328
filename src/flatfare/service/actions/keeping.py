"""Inputs and outputs that an action keeps: sealed where there is a key for texts, as other texts are."""

import base64
import json
import os

from flatfare.core.errors import BadInput
from flatfare.service.access.secret_box import KEY_VARIABLE, found_box

_MARK = "sealed:"


def kept(text: str, run_id: str, what: str) -> str:
    """The text as it is written to the book."""
    box = found_box(os.environ)
    if box is None:
        return text
    return _MARK + base64.b64encode(box.seal(text.encode(), _place(run_id, what))).decode()


def read(text: str | None, run_id: str, what: str) -> str | None:
    """The text that was written; None where there is none. ``BadInput`` where it does not open."""
    if text is None or not text.startswith(_MARK):
        return text
    box = found_box(os.environ)
    if box is None:
        raise BadInput(f"What is kept of run {run_id} is sealed, and its key is not here: {KEY_VARIABLE}.")
    return box.open(base64.b64decode(text.removeprefix(_MARK)), _place(run_id, what)).decode()


def text_of_input(text: str | None, run_id: str) -> str:
    """Every text of an input that was kept, as verifiers look quotations up in it."""
    given = read(text, run_id, "input")
    values = {} if given is None else json.loads(given)["values"]
    return "\n\n".join(value for value in values.values() if isinstance(value, str))


def is_sealing() -> bool:
    """Whether what is kept is sealed here."""
    return found_box(os.environ) is not None


def _place(run_id: str, what: str) -> str:
    return f"run {run_id} {what}"
