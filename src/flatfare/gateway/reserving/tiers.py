"""The tier at which a provider serves requests that name none, as its answers say.

OpenAI serves them at the one that the project is set to, Azure at the deployment's: priority may
be held until an answer says otherwise. An answer at priority is believed at once; what was heard
of standard rates holds as long as answers go on saying it.
"""

from collections import OrderedDict

from flatfare.gateway.admission import Admitted
from flatfare.gateway.records import Result
from flatfare.gateway.wire import Request
from flatfare.service.budgets.terms import OWN_DEFAULT, UNSAID

HEARD_US = 900_000_000
"""So long is an answer's tier taken for that of the next: a project's setting is changed now and then."""

_PROJECT_HEADERS = (b"openai-project", b"openai-organization")
_STANDARD = frozenset((None, "default", "standard"))
_MODELS_MAX = 4096

Unsaid = tuple[str, str]
"""A provider's name and a model: a request that names no tier."""


class DefaultTiers:
    """What answers said of late, of one worker's calls."""

    def __init__(self) -> None:
        self._standard_until_us: OrderedDict[Unsaid, int] = OrderedDict()

    def unsaid(self, admitted: Admitted, request: Request) -> Unsaid | None:
        """What is to be heard of a request; None where it names a tier, or may be of any project."""
        upstream, asked = admitted.place.upstream, admitted.asked
        if asked.service_tier not in UNSAID or upstream.priced_as not in OWN_DEFAULT or asked.model is None:
            return None
        if upstream.provider.default_tier is not None or admitted.reach.dress.is_client_s:
            return None
        if any(header in request.fields for header in _PROJECT_HEADERS):
            return None
        return upstream.name, asked.model

    def of(self, unsaid: Unsaid, at_us: int) -> str | None:
        """``standard`` where it was served so of late, or None."""
        return "standard" if self._standard_until_us.get(unsaid, 0) > at_us else None

    def hear(self, unsaid: Unsaid, result: Result) -> None:
        """Take in at which tier such a request was served."""
        if result.status != "ok" or result.figures.cost_nano is None:
            return
        if result.service_tier not in _STANDARD:
            self._standard_until_us.pop(unsaid, None)
            return
        self._standard_until_us[unsaid] = result.ended_at_us + HEARD_US
        self._standard_until_us.move_to_end(unsaid)
        if len(self._standard_until_us) > _MODELS_MAX:
            self._standard_until_us.popitem(last=False)
