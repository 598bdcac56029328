"""Where a board's figures come from: each source with its files, its address and its licence."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePath

from flatfare.core.moments import datetime_of
from flatfare.store.origins import ImportedFile


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file of a source as it was read."""

    name: str
    rows: int
    rejected: int
    day: str
    hash: str


@dataclass(frozen=True, slots=True)
class Source:
    """One source of figures; address and licence are as they were given at the import."""

    name: str
    url: str | None
    licence: str | None
    files: tuple[SourceFile, ...]


def sources_of(names: Sequence[str], imported: Iterable[ImportedFile]) -> list[Source]:
    """The named sources, in their order; one that was never imported, such as a gateway, has no files."""
    files = list(imported)
    return [_source(name, [file for file in files if file.source == name]) for name in names]


def _source(name: str, files: list[ImportedFile]) -> Source:
    return Source(
        name,
        next((file.url for file in reversed(files) if file.url), None),
        next((file.licence for file in reversed(files) if file.licence), None),
        tuple(
            SourceFile(
                PurePath(file.file).name,  # a folder on somebody's machine is nobody else's business
                file.rows_read,
                file.rows_rejected,
                datetime_of(file.at_us).date().isoformat(),
                file.file_hash,
            )
            for file in files
        ),
    )
