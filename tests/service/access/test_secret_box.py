"""The box: what is sealed opens with its key, in its place, unchanged, and not otherwise."""

import base64
import os
import stat
from pathlib import Path

import pytest

from flatfare.core.errors import BadInput
from flatfare.service.access.secret_box import SecretBox, found_box, made_box

KEY = bytes(range(32))


def test_what_is_sealed_opens() -> None:
    box = SecretBox(KEY)
    sealed = box.seal(b"a secret", "place")
    assert b"a secret" not in sealed
    assert box.open(sealed, "place") == b"a secret"
    assert box.seal(b"a secret", "place") != sealed


@pytest.mark.parametrize("how", ["another key", "another place", "changed", "cut", "no seal"])
def test_what_is_not_as_it_was_sealed_does_not_open(how: str) -> None:
    sealed = SecretBox(KEY).seal(b"a secret", "place")
    box = SecretBox(bytes(32)) if how == "another key" else SecretBox(KEY)
    data = {
        "changed": sealed[:-1] + bytes([sealed[-1] ^ 1]),
        "cut": sealed[:-1],
        "no seal": b"a secret",
    }.get(how, sealed)
    with pytest.raises(BadInput) as problem:
        box.open(data, "elsewhere" if how == "another place" else "place")
    assert "a secret" not in str(problem.value)


def test_the_key_is_the_environment_s(tmp_path: Path) -> None:
    sealed = SecretBox(KEY).seal(b"x", "p")
    for text in (base64.b64encode(KEY), base64.urlsafe_b64encode(KEY) + b"\n"):
        box = found_box({"FLATFARE_SECRET_KEY": text.decode()})
        assert box is not None
        assert box.open(sealed, "p") == b"x"
    assert found_box({"HOME": str(tmp_path)}) is None


@pytest.mark.parametrize("text", ["short", base64.b64encode(bytes(31)).decode(), "é" * 44])
def test_a_key_of_the_wrong_form_is_not_repeated(text: str) -> None:
    with pytest.raises(BadInput, match="openssl rand -base64 32") as problem:
        found_box({"FLATFARE_SECRET_KEY": text})
    assert text not in str(problem.value)


def test_a_key_file_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    environment = {"HOME": str(tmp_path)}
    box, made = made_box(environment)
    assert made == tmp_path / ".config" / "flatfare" / "secret.key"
    assert stat.S_IMODE(made.stat().st_mode) == 0o600
    sealed = box.seal(b"x", "p")
    again, nothing_made = made_box(environment)
    assert nothing_made is None
    assert again.open(sealed, "p") == b"x"
    found = found_box(environment)
    assert found is not None
    assert found.open(sealed, "p") == b"x"


def test_a_key_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    _, made = made_box({"HOME": str(tmp_path)})
    assert made is not None
    made.chmod(0o640)
    with pytest.raises(BadInput, match="chmod 600"):
        found_box({"HOME": str(tmp_path)})


def test_a_key_file_that_is_named_must_be_there(tmp_path: Path) -> None:
    file = tmp_path / "own.key"
    with pytest.raises(BadInput, match="There is no key file"):
        found_box({"FLATFARE_SECRET_KEY_FILE": str(file)})
    file.write_bytes(base64.b64encode(os.urandom(32)))
    file.chmod(0o400)
    assert found_box({"FLATFARE_SECRET_KEY_FILE": str(file)}) is not None
