"""A function of your own judges: named by where it is imported from.

It takes the submission, and `arguments` by name. It returns true or false, a pair of that and a
reason, a `Ruling`, or nothing where it cannot tell. If it raises, the verifier abstains and says
what was raised. It runs in this process with its rights: name code that you trust, and use
`command` for code that you do not. The source of its module is part of the version.

```yaml
kind: python-callable
parameters: {call: "checks.contracts:cites_the_clause", arguments: {clause: 7}}
```
"""

import importlib
import inspect
from collections.abc import Callable, Mapping

from flatfare.core.checks.finding import Ruling, abstained, failed, passed
from flatfare.core.checks.submission import Submission
from flatfare.core.errors import BadInput
from flatfare.verifiers.kinds import Kind, Parameters


class PythonCallable(Parameters, frozen=True, kw_only=True):
    """Where the function is, and what else it is given."""

    call: str
    arguments: Mapping[str, object] = {}

    def check(self) -> None:
        """The function is there."""
        _function(self.call)

    def material(self) -> str:
        """The source of the function's module."""
        module = inspect.getmodule(_function(self.call))
        try:
            return inspect.getsource(module) if module else ""
        except (OSError, TypeError):
            return ""  # it has no source: an extension


def judge(submission: Submission, parameters: PythonCallable) -> Ruling:
    """Ask the function."""
    try:
        said = _function(parameters.call)(submission, **parameters.arguments)
    except Exception as problem:  # noqa: BLE001 - somebody else's code: whatever it raises, nothing was judged
        return abstained(f"{parameters.call} raised {type(problem).__name__}: {problem}")
    reason = f"{parameters.call} says so."
    if isinstance(said, tuple) and len(said) == 2:
        said, reason = said[0], str(said[1])
    if isinstance(said, Ruling):
        return said
    if said is None:
        return abstained(reason)
    if not isinstance(said, bool):
        return abstained(
            f"{parameters.call} returned a {type(said).__name__}: expected true, false or nothing."
        )
    return passed(reason) if said else failed(reason)


def _function(call: str) -> Callable[..., object]:
    module, colon, name = call.partition(":")
    if not colon or not module or not name:
        raise BadInput(f"'call' is {call!r}: write it like 'package.module:function'.")
    try:
        found: object = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as problem:
        raise BadInput(f"'call' is {call!r}, which is not there: {problem}.") from None
    if not callable(found):
        raise BadInput(f"'call' is {call!r}, which is not a function.")
    return found


KIND = Kind("python-callable", PythonCallable, judge)
