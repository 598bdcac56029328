"""Facts about vendors that sell outcomes: unit, list price, who decides; data with source and date."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from flatfare.core.money import nano_of, parse_amount


@dataclass(frozen=True, slots=True)
class Vendor:
    """One vendor's way of billing."""

    key: str
    name: str
    unit: str
    is_one_per_conversation: bool
    price_nano: int | None = None
    price_note: str | None = None
    decides: str | None = None
    rule: str | None = None
    reversible: str | None = None
    source: str | None = None
    checked: str | None = None
    also: tuple[str, ...] = ()


def vendor_of(name: str) -> Vendor:
    """The vendor of this name; one that is not listed bills a unit once for each conversation."""
    plain = name.strip().lower().replace(" ", "-").replace("_", "-")
    found = next((one for one in listed() if plain == one.key or plain in one.also), None)
    return found or Vendor(plain, name.strip(), "outcome", True)


@cache
def listed() -> tuple[Vendor, ...]:
    """The vendors that facts are known of."""
    import yaml

    text = files("flatfare.data").joinpath("vendors.yaml").read_text(encoding="utf-8")
    return tuple(_vendor(entry) for entry in yaml.safe_load(text))


def _vendor(entry: Mapping[str, object]) -> Vendor:
    price = entry.get("price")
    also = entry.get("also", [])
    assert isinstance(also, list)

    def text(name: str) -> str | None:
        return None if entry.get(name) is None else str(entry[name])

    return Vendor(
        key=str(entry["key"]),
        name=str(entry["name"]),
        unit=str(entry["unit"]),
        is_one_per_conversation=entry["one_per"] == "conversation",
        price_nano=None if price is None else nano_of(parse_amount(str(price))[0]),
        price_note=text("price_note"),
        decides=text("decides"),
        rule=text("rule"),
        reversible=text("reversible"),
        source=text("source"),
        checked=text("checked"),
        also=tuple(map(str, also)),
    )
