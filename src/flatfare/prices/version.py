"""What a set of prices is called: whose model, since when, who says so, and a digest of the rates themselves.

Prices of one name are the same prices, wherever and whenever they are looked up; a rate, a minimum or a
currency that differs makes another name, and a release that says the same again does not.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from math import gcd
from typing import NamedTuple

from flatfare.core.moments import iso
from flatfare.core.pricing import Rate
from flatfare.core.usage import Count
from flatfare.prices.catalogue import Trust

LAYERS: Mapping[Trust, str] = {
    Trust.OWN: "own",
    Trust.REVIEWED: "reviewed",
    Trust.IMPORTED: "updated",
    Trust.SHIPPED: "shipped",
}
"""What each layer is called."""

ALWAYS = "always"
"""Stands for the day where the source names none."""

BETWEEN = ","
"""Stands between the prices of a call that several models served."""

DIGITS = 12
NAME_LENGTH_MAX = 80
"""Of a provider and of a model: names may come from outside, and the digest covers them whole."""


_ODD = re.compile(r"[^\w./:@*?+-]", re.ASCII)
_VERSION = re.compile(
    rf"(?P<provider>[^/]+)/(?P<model>.+)@(?P<since>\d{{4}}-\d\d-\d\d|{ALWAYS})"
    rf":(?P<layer>{'|'.join(LAYERS.values())}):(?P<digest>[0-9a-f]{{{DIGITS}}})"
)


def version_name(
    provider: str,
    model: str,
    since_us: int | None,
    trust: int,
    currency: str,
    rates: Mapping[str, Rate],
    minimums: Mapping[str, Count],
) -> str:
    """The name of these prices; ``since_us`` is the moment from which all of them hold.

    >>> version_name("openai", "gpt-4o", None, 3, "USD", {"input": Rate(2_500_000_000, 1_000_000)}, {})
    'openai/gpt-4o@always:own:f657c04faeed'
    """
    since = ALWAYS if since_us is None else iso(since_us)[:10]
    name = f"{_plain(provider).replace('/', '_')}/{_plain(model)}"
    says = [f"{provider}/{model}", currency]
    says += sorted(f"{unit} {_lowest(rate)}" for unit, rate in rates.items())
    says += sorted(f"at least {count} {unit}" for unit, count in minimums.items())
    digest = hashlib.sha256("\n".join(says).encode("utf-8", "surrogatepass")).hexdigest()
    return f"{name}@{since}:{LAYERS[Trust(trust)]}:{digest[:DIGITS]}"


class Named(NamedTuple):
    """What a version says by itself."""

    provider: str
    model: str
    since: str  # a day, or ``always``
    layer: str


def named(text: str) -> Named | None:
    """What a version says by itself; None where the text is none.

    >>> named("openai/gpt-4o@2026-01-05:own:0123456789ab")
    Named(provider='openai', model='gpt-4o', since='2026-01-05', layer='own')
    """
    found = _VERSION.fullmatch(text)
    if found is None:
        return None
    return Named(found["provider"], found["model"], found["since"], found["layer"])


def joined(versions: Sequence[str]) -> str | None:
    """The versions of a call's parts as one text, each once; None where no prices were used."""
    if len(versions) == 1:
        return versions[0]
    return BETWEEN.join(dict.fromkeys(versions)) or None


def _plain(name: str) -> str:
    """The name as it stands in a version: short, and without what separates."""
    return _ODD.sub("_", name)[:NAME_LENGTH_MAX] or "_"


def _lowest(rate: Rate) -> str:
    """The rate in lowest terms: 2.50 per million is 0.0025 per thousand."""
    common = gcd(rate.amount_nano, rate.per)
    return f"{rate.amount_nano // common}/{rate.per // common}"
