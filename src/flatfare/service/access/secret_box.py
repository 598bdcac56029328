"""The box in which secrets and texts are kept: opened only with a key that is kept elsewhere.

AES-256 in GCM: what was changed, cut, or moved to another place does not open. The key
is the environment's, or in a file that only its owner can read; it is never in the book.
"""

import base64
import binascii
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from flatfare.core.errors import BadInput
from flatfare.store.durable import make_file, make_folder

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_VARIABLE = "FLATFARE_SECRET_KEY"
KEY_FILE_VARIABLE = "FLATFARE_SECRET_KEY_FILE"
KEY_BYTES = 32
_NONCE_BYTES = 12
_MARK = b"FS1"  # the form of what is sealed


class SecretBox:
    """Seals and opens with one key."""

    def __init__(self, key: bytes) -> None:
        self._cipher = _cipher(key)

    def seal(self, plain: bytes, place: str) -> bytes:
        """The bytes, to be opened only here and only as what stands at ``place``."""
        nonce = os.urandom(_NONCE_BYTES)
        return _MARK + nonce + self._cipher.encrypt(nonce, plain, place.encode())

    def open(self, sealed: bytes, place: str) -> bytes:
        """What was sealed for this place; ``BadInput`` where it does not open."""
        from cryptography.exceptions import InvalidTag

        start = len(_MARK) + _NONCE_BYTES
        if not sealed.startswith(_MARK) or len(sealed) < start:
            raise BadInput(f"What is kept for {place} was not sealed by this version of flatfare.")
        try:
            return self._cipher.decrypt(sealed[len(_MARK) : start], sealed[start:], place.encode())
        except InvalidTag:
            raise BadInput(
                f"What is kept for {place} does not open: it was sealed with another key, or changed."
            ) from None


def found_box(environment: Mapping[str, str]) -> SecretBox | None:
    """The box of the environment's key, or of the key file; None where there is neither.

    Raises ``BadInput`` for a key of the wrong form, or a file that others can read.
    """
    text = environment.get(KEY_VARIABLE)
    if text:
        return SecretBox(_decoded(text, KEY_VARIABLE))
    file = key_file(environment)
    try:
        mode = file.stat().st_mode
    except FileNotFoundError:
        if environment.get(KEY_FILE_VARIABLE):
            raise BadInput(f"There is no key file {file}, which {KEY_FILE_VARIABLE} names.") from None
        return None
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise BadInput(f"The key file {file} can be read by others: chmod 600 {file}")
    return SecretBox(_decoded(file.read_text(encoding="ascii", errors="replace"), str(file)))


def key_file(environment: Mapping[str, str]) -> Path:
    """Where the key is, if it is in a file."""
    named = environment.get(KEY_FILE_VARIABLE)
    if named:
        return Path(named)
    home = environment.get("XDG_CONFIG_HOME") or Path(environment.get("HOME", "~")) / ".config"
    return Path(home) / "flatfare" / "secret.key"


def made_box(environment: Mapping[str, str]) -> tuple[SecretBox, Path | None]:
    """The box that is there, or one with a new key; with the file that was made for it."""
    file = key_file(environment)
    if environment.get(KEY_VARIABLE) or file.exists():
        box = found_box(environment)
        assert box is not None
        return box, None
    key = os.urandom(KEY_BYTES)
    cipher = SecretBox(key)
    try:
        make_folder(file.parent, 0o700)
        if not make_file(file, base64.b64encode(key) + b"\n"):  # another process was faster
            return made_box(environment)
    except OSError as problem:
        raise BadInput(
            f"The key file {file} cannot be made: {problem.strerror}. Set {KEY_VARIABLE} instead."
        ) from None
    return cipher, file


def _decoded(text: str, where: str) -> bytes:
    try:
        key = base64.b64decode(text.strip().replace("-", "+").replace("_", "/"), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY_BYTES:
        raise BadInput(
            f"Found no key in {where}: expected {KEY_BYTES} random bytes in base64. Make one: "
            "openssl rand -base64 32"
        )
    return key


def _cipher(key: bytes) -> "AESGCM":
    try:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    except ImportError:
        raise BadInput("Sealing needs an extra: pip install 'flatfare[sealed]'") from None
    return AESGCM(key)
