"""The output is JSON that a JSON Schema accepts.

Drafts 4, 6, 7, 2019-09 and 2020-12, by `$schema` (2020-12 where there is none). Formats
(`date`, `email` …) are checked unless `formats: false`. Nothing is fetched: a schema refers
to itself only. Patterns run in an engine whose time is linear in the text, so none can hang;
look-around and back references are refused when the check is made. A document that holds one
key twice is no JSON here, since two readers may read two documents.

```yaml
kind: json-schema
parameters: {schema: {type: object, required: [total], properties: {total: {type: number}}}}
```

Needs `pip install 'flatfare[verifiers]'` (jsonschema-rs).
"""

import functools
import json
from typing import TYPE_CHECKING

from flatfare.core.checks.exact import shortened
from flatfare.core.checks.finding import Ruling, failed, passed
from flatfare.core.checks.submission import Json, NothingThere, Submission, canonical, value_at
from flatfare.core.errors import BadInput, BadUsage
from flatfare.verifiers.kinds import Kind, OnOutput

if TYPE_CHECKING:
    import jsonschema_rs

ERRORS_MAX = 50


class JsonSchema(OnOutput, frozen=True, kw_only=True):
    """The schema, as a mapping or as a text of JSON."""

    schema: dict[str, object] | bool
    formats: bool = True

    def check(self) -> None:
        """The schema is one."""
        _compiled(json.dumps(self.schema, sort_keys=True), self.formats)


def judge(submission: Submission, parameters: JsonSchema) -> Ruling:
    """Ask the schema about the output."""
    try:
        value = value_at(submission.output, parameters.at)
    except NothingThere as problem:
        return failed(str(problem))
    validator = _compiled(json.dumps(parameters.schema, sort_keys=True), parameters.formats)
    reasons, keywords = [], set()
    for error, _ in zip(validator.iter_errors(value), range(ERRORS_MAX), strict=False):
        keywords.add("/".join(map(str, error.schema_path)))
        place = "/" + "/".join(map(str, error.instance_path))
        reasons.append(f"At {place}: {shortened(str(error.message), 200)}.")
    if reasons:
        broken: list[Json] = [*sorted(keywords)]
        return failed(*sorted(reasons), details={"keywords": broken})
    return passed("The schema accepts the output.", details={"bytes": len(canonical(value).encode())})


@functools.lru_cache(64)
def _compiled(schema: str, formats: bool) -> "jsonschema_rs.Validator":
    try:
        import jsonschema_rs
    except ImportError:
        raise BadUsage("JSON Schema needs jsonschema-rs: pip install 'flatfare[verifiers]'.") from None
    try:
        return jsonschema_rs.validator_for(
            json.loads(schema),
            validate_formats=formats,
            offline=True,
            pattern_options=jsonschema_rs.RegexOptions(),
        )
    except (ValueError, jsonschema_rs.ReferencingError) as problem:
        first = str(problem).split("\n", 1)[0]
        raise BadInput(f"'schema' is no JSON Schema that can be used here: {first}.") from None


KIND = Kind("json-schema", JsonSchema, judge, engines=("jsonschema-rs",))
