"""Where statements come from: the reviewed files, the shipped copy of genai-prices, and the price log.

Each layer gives a catalogue per provider, read when first asked for. The compiled form of a
reviewed file is used only while it agrees with the file it was made from.
"""

import hashlib
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Protocol

import msgspec

from flatfare.core.errors import BadInput
from flatfare.prices.catalogue import Catalogue, Trust, mapping_of
from flatfare.prices.names import provider_of
from flatfare.prices.statement import Raw, texts

DATA = Path(__file__).parent / "data"
EXCHANGE_FILE = "exchange.yaml"
EVERY_PROVIDER = "*"
OWN_SOURCE = "own rate"
_NAMING = ("same_as", "free", "also", "match")


class Layer(Protocol):
    """One source of statements."""

    def catalogue(self, provider: str) -> Catalogue | None:
        """What it says about a provider; None where it says nothing."""
        ...

    def providers(self) -> Iterable[str]:
        """Every provider it knows."""
        ...


class ReviewedLayer:
    """Our reviewed corrections: one YAML file per provider."""

    def __init__(self, folder: Path = DATA) -> None:
        self._folder = folder
        self._read: dict[str, Catalogue | None] = {}

    def catalogue(self, provider: str) -> Catalogue | None:
        if not _is_plain(provider):
            return None
        if provider not in self._read:
            raw = self._raw(self._folder / f"{provider}.yaml") or self._under_another_name(provider)
            self._read[provider] = None if raw is None else Catalogue(raw, Trust.REVIEWED, "reviewed data")
        return self._read[provider]

    def providers(self) -> Iterable[str]:
        return sorted(path.stem for path in self._folder.glob("*.yaml") if path.name != EXCHANGE_FILE)

    def _under_another_name(self, provider: str) -> Raw | None:
        path = self._other_names.get(provider)
        return None if path is None else self._raw(path)

    @cached_property
    def _other_names(self) -> Mapping[str, Path]:
        """The file that speaks of a provider under another name."""
        found: dict[str, Path] = {}
        for compiled in sorted(self._folder.glob("compiled/*.json")):
            path = self._folder / f"{compiled.stem}.yaml"
            raw = self._raw(path)
            for name in texts(raw["also"]) if raw and raw.get("also") else ():
                found.setdefault(name, path)
        return found

    def _raw(self, path: Path) -> Raw | None:
        try:
            written = path.read_bytes()
        except OSError:
            return None
        compiled = compiled_path(path)
        try:
            read = msgspec.json.decode(compiled.read_bytes(), type=Compiled)
        except (OSError, msgspec.DecodeError):
            return read_yaml(written, path.name)
        return read.content if read.made_from == fingerprint(written) else read_yaml(written, path.name)


class ShippedLayer:
    """The copy of genai-prices that this version of Flatfare was shipped with: it never changes by itself."""

    def __init__(self, folder: Path = DATA / "shipped") -> None:
        self._folder = folder
        self._read: dict[str, Catalogue | None] = {}

    def catalogue(self, provider: str) -> Catalogue | None:
        if not _is_plain(provider):
            return None
        if provider not in self._read:
            path = self._folder / f"{provider}.json"
            raw = msgspec.json.decode(path.read_bytes()) if path.exists() else None
            self._read[provider] = Catalogue(raw, Trust.SHIPPED, str(raw["source"])) if raw else None
        return self._read[provider]

    def providers(self) -> Iterable[str]:
        return sorted(path.stem for path in self._folder.glob("*.json"))


class StatedLayer:
    """Statements given line by line: a price log's own rates and terms, or what an update appended."""

    def __init__(self, lines: Iterable[Raw], trust: Trust) -> None:
        self._trust = trust
        self._raw: dict[str, dict[str, object]] = {}
        self._read: dict[str, Catalogue] = {}
        for line in lines:
            self._take(line)

    def catalogue(self, provider: str) -> Catalogue | None:
        raw = self._raw.get(provider)
        if raw is None:
            return None
        if provider not in self._read:
            self._read[provider] = Catalogue(raw, self._trust, OWN_SOURCE)
        return self._read[provider]

    def providers(self) -> Iterable[str]:
        return sorted(self._raw)

    def _take(self, line: Raw) -> None:
        provider, model = provider_of(str(line["provider"])), str(line["model"]).lower()
        raw = self._raw.setdefault(provider, {"provider": provider, "models": {}, "always": []})
        statement = {
            key: value
            for key, value in line.items()
            if key not in {"provider", "model", "trust", "recorded_at", *_NAMING}
        }
        always, models = raw["always"], raw["models"]
        assert isinstance(always, list)
        assert isinstance(models, dict)
        if model == "*" and not any(key in line for key in _NAMING):
            always.append(statement)
            return
        entry = models.setdefault(model, {"prices": []})
        for key in _NAMING:
            if key in line:
                entry[key] = line[key]
        if "rates" in statement or "times" in statement or "minimum" in statement:
            entry["prices"].append(statement)


class Compiled(msgspec.Struct):
    """A reviewed file as it is read at start-up."""

    made_from: str
    content: dict[str, object]


def compiled_path(path: Path) -> Path:
    """Where the compiled form of a reviewed file lies."""
    return path.parent / "compiled" / f"{path.stem}.json"


def fingerprint(written: bytes) -> str:
    """What tells whether a compiled form is stale."""
    return hashlib.sha256(written).hexdigest()


def read_yaml(written: bytes, name: str) -> dict[str, object]:
    """A reviewed file as text throughout: no number passes through a float."""
    import yaml

    loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
    try:
        # BaseLoader makes nothing but text, lists and mappings.
        content = yaml.load(written, Loader=loader)
    except yaml.YAMLError as problem:
        raise BadInput(f"{name}: cannot be read as YAML: {problem}") from None
    if not isinstance(content, dict):
        raise BadInput(f"{name}: found {type(content).__name__} where a mapping was expected.")
    return content


def exchange_rows() -> list[tuple[str, str, str, str]]:
    """The reviewed exchange rates: rows of (currency, day, dollars per unit, source)."""
    try:
        written = (DATA / EXCHANGE_FILE).read_bytes()
    except FileNotFoundError:  # no rate is reviewed yet: those of the log count alone
        return []
    content = read_yaml(written, EXCHANGE_FILE)
    rows = []
    for currency, days in content.items():
        for day in days if isinstance(days, list) else [days]:
            row = mapping_of(day, f"{EXCHANGE_FILE}: {currency}")
            if not {"from", "rate"} <= set(row):
                raise BadInput(f"{EXCHANGE_FILE}: {currency}: a row has from and rate, found {sorted(row)}.")
            rows.append((currency, str(row["from"]), str(row["rate"]), str(row.get("source", ""))))
    return rows


def _is_plain(provider: str) -> bool:
    """Whether it can be a file's name: names come from outside, and memory of them is kept."""
    plain = provider.replace("-", "").replace("_", "").replace(".", "")
    return plain.isascii() and plain.isalnum() and len(provider) <= 64 and provider != "exchange"
