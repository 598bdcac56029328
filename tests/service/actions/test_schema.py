"""The schema for editors takes every example, knows every key that is read, and no other."""

import json
from pathlib import Path

import jsonschema_rs
import pytest
import yaml

from flatfare.service.actions import reading

ROOT = Path(__file__).parent.parent.parent.parent
SCHEMA = json.loads((ROOT / "schemas" / "action-1.json").read_text())
EXAMPLES = sorted((ROOT / "examples" / "actions").glob("*.yaml"))


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_it_takes_every_example(file: Path) -> None:
    jsonschema_rs.validate(SCHEMA, yaml.safe_load(file.read_text()))


@pytest.mark.parametrize(
    ("section", "keys"),
    [
        (SCHEMA, reading._KEYS),
        (SCHEMA["properties"]["steps"]["items"], reading._STEP),
        (SCHEMA["properties"]["ladder"]["items"], reading._RUNG),
        (SCHEMA["properties"]["verifiers"]["items"], reading._CHECK),
    ],
)
def test_it_knows_every_key_that_is_read_and_no_other(
    section: dict[str, object], keys: tuple[str, ...]
) -> None:
    assert set(section["properties"]) == set(keys)  # type: ignore[call-overload]


def test_it_refuses_what_is_not_known() -> None:
    document = {**yaml.safe_load(EXAMPLES[0].read_text()), "prize": "1"}
    assert not jsonschema_rs.is_valid(SCHEMA, document)
