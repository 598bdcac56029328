"""Terms in the price log that hold for no call here, since they are for another organisation.

That a log has the terms of several organisations is no fault; that none of them are this one's is told.
"""

from collections.abc import Iterator

from flatfare.config import Settings
from flatfare.core.errors import BadInput, StoreFailure
from flatfare.service.costing.pricing import price_log_of
from flatfare.service.doctoring import Finding


def idle_terms(settings: Settings) -> Iterator[Finding]:
    """A warning where terms for an organisation stand in the log, and none for that of the settings."""
    log = price_log_of(settings)
    try:
        named = [str(line["organisation"]) for line in log.lines() if line.get("organisation")]
    except (BadInput, StoreFailure) as problem:
        yield Finding("warning", "prices", str(problem), "Nothing is priced until it can be read.")
        return
    if not named or settings.organisation in named:
        return
    whose = ", ".join(dict.fromkeys(named))
    own = f"name {settings.organisation!r}" if settings.organisation else "name no organisation"
    yield Finding(
        "warning",
        "prices",
        f"{len(named):,} rates or terms in {log.path} are for {whose}, and the settings {own}: no call here "
        "is priced with them",
        f"If the calls here are its own, say so in flatfare.yaml: organisation: {named[-1]}. For "
        "those on record then: flatfare adjust reprice --since DAY --reason TEXT",
    )


def why_idle(settings: Settings, organisation: str) -> str | None:
    """Why terms for the organisation would hold for no call here, and what to do; None where they hold."""
    if organisation == settings.organisation:
        return None
    found = (
        f"the settings name {settings.organisation!r}"
        if settings.organisation
        else "the settings name no organisation"
    )
    return (
        f"Found --organisation {organisation!r}, and {found}: these terms would hold for no call here. "
        "Leave --organisation out, and they hold for every call. Where the price log is shared with other "
        f"organisations, say whose calls these are, in flatfare.yaml: organisation: {organisation}"
    )
