"""The price log: own rates, terms and imported updates, a line each, in the order they were made.

The log only grows. A line says from which day it holds; adding one leaves every earlier day as
it was, and adding the same one again changes nothing.
"""

import os
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Protocol

import msgspec

from flatfare.core.errors import BadInput, StoreFailure
from flatfare.prices.catalogue import Trust
from flatfare.prices.statement import Raw, day_us

EXCHANGE = "exchange"
"""The name under which exchange rates stand: provider ``exchange``, the currency as model."""

_TRUST = {"own": Trust.OWN, "imported": Trust.IMPORTED}


class PriceLog(Protocol):
    """Where rates are kept that did not come with Flatfare."""

    def lines(self) -> Sequence[Raw]:
        """Every line, oldest first."""
        ...

    def append(self, lines: Sequence[Raw]) -> None:
        """Add lines, all or none, durably."""
        ...


class _NoLines:
    """A log that is empty and stays so."""

    def lines(self) -> Sequence[Raw]:
        return ()

    def append(self, lines: Sequence[Raw]) -> None:
        raise StoreFailure("There is no price log to add to: name one with --log, or in the configuration.")


NO_LINES: PriceLog = _NoLines()


class FileLog:
    """A log in a file of JSON Lines, appended in one write and synced."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def lines(self) -> Sequence[Raw]:
        try:
            written = self.path.read_bytes()
        except FileNotFoundError:
            return ()
        except OSError as problem:
            raise StoreFailure(f"The price log {self.path} cannot be read: {problem.strerror}.") from None
        found = []
        for number, line in enumerate(written[: _whole(written)].splitlines(), start=1):
            if not line.strip():
                continue
            try:
                found.append(msgspec.json.decode(line, type=dict[str, object]))
            except msgspec.DecodeError:
                raise BadInput(
                    f"Line {number} of the price log {self.path} is no JSON object. "
                    "Restore it: nothing is priced from a log that cannot be read whole."
                ) from None
            _check(found[-1], number, self.path)
        return found

    def append(self, lines: Sequence[Raw]) -> None:
        text = b"".join(msgspec.json.encode(line) + b"\n" for line in lines)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with open(self.path, "a+b") as file:
                file.seek(0)
                written = file.read()
                former = _whole(written)
                file.truncate(former)
                is_ended = not former or written[:former].endswith(b"\n")
                try:
                    file.write(text if is_ended else b"\n" + text)
                    file.flush()
                    os.fsync(file.fileno())
                except OSError:
                    os.ftruncate(file.fileno(), former)  # all or none
                    raise
            if not former:
                _sync(self.path.parent)
        except OSError as problem:
            raise StoreFailure(f"The price log {self.path} cannot be written: {problem.strerror}.") from None


def _whole(written: bytes) -> int:
    """How much of a log was ever said: a last line without its end was cut short, unless it is whole."""
    last = written.rfind(b"\n") + 1
    try:
        msgspec.json.decode(written[last:], type=dict[str, object])
    except msgspec.DecodeError:
        return last
    return len(written)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def lines_of(lines: Iterable[Raw], trust: Trust) -> list[Raw]:
    """The lines of one trust, exchange rates left out."""
    return [
        line
        for line in lines
        if line["provider"] != EXCHANGE and _TRUST.get(str(line.get("trust", "own"))) is trust
    ]


def exchange_lines(lines: Iterable[Raw]) -> list[tuple[str, str, str, str]]:
    """The exchange rates of a log: rows of (currency, day, dollars per unit, source)."""
    return [
        (str(line["model"]), str(line["from"]), str(line["rate"]), str(line.get("source", "own rate")))
        for line in lines
        if line["provider"] == EXCHANGE
    ]


def _check(line: Raw, number: int, path: Path) -> None:
    if not (isinstance(line.get("provider"), str) and isinstance(line.get("model"), str)):
        raise BadInput(f"Line {number} of the price log {path} names no provider and model.")
    if line["provider"] == EXCHANGE and not _is_exchange_rate(line):
        raise BadInput(
            f"Line {number} of the price log {path} is no exchange rate: it has a day as 'from', "
            "and as 'rate' the dollars that one of the currency is worth."
        )


def _is_exchange_rate(line: Raw) -> bool:
    try:
        return day_us(line.get("from")) is not None and Fraction(str(line.get("rate"))) > 0
    except (BadInput, ValueError, ZeroDivisionError):
        return False
