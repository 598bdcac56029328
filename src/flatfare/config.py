"""Configuration: flags before environment before file before defaults; secrets print as stars.

The file is ``./flatfare.yaml``, else the one in the user's configuration folder.
``${NAME}`` in it is the environment's value of that name.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from flatfare.core.errors import BadInput

FILE_NAME = "flatfare.yaml"
_KNOWN = {
    "listen",
    "database",
    "lake",
    "providers",
    "currency",
    "prices",
    "deployments",
    "cost_that_counts",
    "time_zone",
}
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


class Secret(str):
    """Text that never prints itself."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'****'"


@dataclass(frozen=True, slots=True)
class Provider:
    """An upstream that the gateway may reach."""

    name: str
    base_url: str
    dialect: str
    api_key: Secret | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """All that can be set, with its defaults."""

    listen: str = "127.0.0.1:4180"
    database: str = "sqlite:///flatfare.db"
    lake: str = "./lake"
    currency: str = "USD"
    cost_that_counts: str = "reported"  # reported, else computed; or computed
    time_zone: str = "UTC"
    providers: Mapping[str, Provider] = field(default_factory=dict)
    deployments: Mapping[str, str] = field(default_factory=dict)  # deployment name → model
    prices: str | None = None  # a file of own rates
    file: Path | None = None  # where this was read from


def load_settings(
    file: Path | None = None,
    environment: Mapping[str, str] | None = None,
    **flags: str | None,
) -> Settings:
    """Settings from all their places; a flag given as None does not count.

    Raises ``BadInput`` naming the file and the key that is wrong.
    """
    environment = os.environ if environment is None else environment
    found = _find(file, environment)
    values = _read(found, environment) if found else {}
    chosen: dict[str, object] = {}
    for name in ("listen", "database", "lake", "currency", "cost_that_counts", "time_zone", "prices"):
        value = flags.get(name) or environment.get(f"FLATFARE_{name.upper()}") or values.get(name)
        if value is not None:
            chosen[name] = str(value)
    if chosen.get("cost_that_counts", "reported") not in ("reported", "computed"):
        raise BadInput(
            f"Found cost_that_counts: {chosen['cost_that_counts']!r}: it is either 'reported' or 'computed'."
        )
    return Settings(
        **chosen,  # type: ignore[arg-type]
        providers=_providers(values.get("providers"), found),
        deployments={str(key): str(model) for key, model in _mapping(values, "deployments", found).items()},
        file=found,
    )


def _find(file: Path | None, environment: Mapping[str, str]) -> Path | None:
    if file is not None:
        if not file.is_file():
            raise BadInput(f"There is no configuration file {file}.")
        return file
    home = Path(environment.get("XDG_CONFIG_HOME") or Path(environment.get("HOME", "~")) / ".config")
    return next(
        (place for place in (Path(FILE_NAME), home / "flatfare" / FILE_NAME) if place.is_file()), None
    )


def _read(file: Path, environment: Mapping[str, str]) -> dict[str, object]:
    import yaml

    try:
        values = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as problem:
        raise BadInput(f"The configuration {file} cannot be read: {problem}") from problem
    if not isinstance(values, dict):
        raise BadInput(f"The configuration {file} holds no settings: write lines like 'lake: ./lake'.")
    for key in values:
        if key not in _KNOWN:
            raise BadInput(
                f"The configuration {file} sets {key!r}, which is not known. Known: {sorted(_KNOWN)}."
            )
    return {key: _filled(value, file, environment) for key, value in values.items()}


def _filled(value: object, file: Path, environment: Mapping[str, str]) -> object:
    """The value with each ``${NAME}`` in its place."""
    if isinstance(value, dict):
        return {key: _filled(part, file, environment) for key, part in value.items()}
    if not isinstance(value, str):
        return value

    def look_up(match: re.Match[str]) -> str:
        return environment.get(match[1], "")

    return _VARIABLE.sub(look_up, value)


def _mapping(values: Mapping[str, object], key: str, file: Path | None) -> dict[str, object]:
    found = values.get(key) or {}
    if not isinstance(found, dict):
        raise BadInput(f"The configuration {file} gives {key} as {found!r}: write name: value below it.")
    return found


def _providers(values: object, file: Path | None) -> dict[str, Provider]:
    providers = {}
    for name, given in _mapping({"providers": values}, "providers", file).items():
        if not isinstance(given, dict) or not given.get("base_url"):
            raise BadInput(f"The configuration {file} gives the provider {name!r} no base_url.")
        key = given.get("api_key")
        providers[name] = Provider(
            name=name,
            base_url=str(given["base_url"]),
            dialect=str(given.get("dialect") or name),
            api_key=Secret(key) if key else None,
        )
    return providers
