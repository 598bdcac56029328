"""Labels: free key=value attribution on calls and tasks.

Keys are short and plain, values are text; a set of labels has one canonical
writing, so that equal labels are equal text everywhere.
"""

import json
import re
from collections.abc import Mapping

from flatfare.core.errors import BadInput

KEY_LENGTH_MAX = 64
VALUE_LENGTH_MAX = 512
COUNT_MAX = 64

_KEY = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-/]*")


def checked(labels: Mapping[str, str]) -> dict[str, str]:
    """The labels, refused with a sentence where a key or value cannot be one."""
    if len(labels) > COUNT_MAX:
        raise BadInput(f"Found {len(labels)} labels on one record: at most {COUNT_MAX} fit.")
    for key, value in labels.items():
        if not _KEY.fullmatch(key) or len(key) > KEY_LENGTH_MAX:
            raise BadInput(
                f"Found the label key {key[:80]!r}: a key has letters, digits, '_', '-', '.' or '/', "
                f"and at most {KEY_LENGTH_MAX} of them."
            )
        if len(value) > VALUE_LENGTH_MAX or any(ord(character) < 32 for character in value):
            raise BadInput(
                f"Found a value of {len(value)} characters for the label {key!r}: "
                f"a value is plain text of at most {VALUE_LENGTH_MAX}."
            )
    return dict(labels)


def parse(text: str) -> dict[str, str]:
    """Labels from ``team=search,feature=summary``.

    >>> parse("team=search, feature=summary")
    {'team': 'search', 'feature': 'summary'}
    """
    labels = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        key, equals, value = part.partition("=")
        if not equals:
            raise BadInput(f"Found {part!r} where a label was expected: write key=value.")
        labels[key.strip()] = value.strip()
    return checked(labels)


def canonical(labels: Mapping[str, str]) -> str:
    """One writing per set of labels: JSON with sorted keys and no spaces.

    >>> canonical({"team": "a", "domain": "b"})
    '{"domain":"b","team":"a"}'
    """
    return json.dumps(dict(labels), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
