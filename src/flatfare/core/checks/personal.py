"""Personal data: what rules can tell of it in a text, and what only may be it.

What carries a check digit that holds, or a shape that nothing else has, is ``sure``; a number
that could as well be something else is not. Names and postal addresses are not told by rules.
Reasons and evidence say where it stands and never repeat it.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date

from flatfare.core.checks.finding import Ruling, abstained, failed, passed
from flatfare.core.checks.submission import Json


@dataclass(frozen=True, slots=True)
class Trace:
    """Personal data of one kind, at its place in characters."""

    kind: str
    start: int
    end: int
    is_sure: bool


Shape = tuple[str, Callable[[str], bool | None]]
"""A pattern, and what is said of a text of that pattern: it is, it is not, or (None) it may be."""


def _digits(text: str) -> str:
    return "".join(filter(str.isdigit, text))


def _luhn(text: str) -> bool:
    """ISO/IEC 7812-1, annex B."""
    doubled = [int(digit) * (1 + place % 2) for place, digit in enumerate(reversed(_digits(text)))]
    return sum(value - 9 if value > 9 else value for value in doubled) % 10 == 0


def _card(text: str) -> bool:
    digits = _digits(text)
    return 13 <= len(digits) <= 19 and digits[0] in "23456" and len(set(digits)) > 1 and _luhn(digits)


# Lengths: SWIFT IBAN Registry, release 99.
_IBAN_LENGTHS = {
    "AD": 24, "AE": 23, "AT": 20, "BE": 16, "BG": 22, "BR": 29, "CH": 21, "CY": 28, "CZ": 24, "DE": 22,
    "DK": 18, "EE": 20, "ES": 24, "FI": 18, "FR": 27, "GB": 22, "GI": 23, "GR": 27, "HR": 21, "HU": 28,
    "IE": 22, "IL": 23, "IS": 26, "IT": 27, "LI": 21, "LT": 20, "LU": 20, "LV": 21, "MC": 27, "MT": 31,
    "NL": 18, "NO": 15, "PL": 28, "PT": 25, "RO": 24, "RS": 22, "SA": 24, "SE": 24, "SI": 19, "SK": 24,
    "SM": 27, "TR": 26, "UA": 29,
}  # fmt: skip


def _iban(text: str) -> bool:
    """ISO 13616: the country's length, and the remainder by 97 is 1."""
    plain = re.sub(r"\s", "", text).upper()
    length = _IBAN_LENGTHS.get(plain[:2], 0)
    if not 0 < length <= len(plain):
        return False
    moved = plain[4:length] + plain[:4]  # what follows may be the next word
    return int("".join(str(int(sign, 36)) for sign in moved)) % 97 == 1


def _phone(text: str) -> bool | None:
    digits = _digits(text)
    if text.lstrip().startswith(("+", "00")):
        return 8 <= len(digits) <= 15  # ITU-T E.164
    if re.fullmatch(r"\(?[2-9]\d\d\)?[ .-]?[2-9]\d\d[.-]\d{4}", text):
        return True  # North American Numbering Plan, as it is written there
    return None if 9 <= len(digits) <= 12 and not re.fullmatch(r"\d{4}-\d\d-\d\d.*", text) else False


def _us_ssn(text: str) -> bool:
    """Social Security Administration: no 000, 666 or 9xx area, no 00 group, no 0000 serial."""
    area, group, serial = text.split("-")
    return area not in ("000", "666") and area < "900" and group != "00" and serial != "0000"


def _uk_nino(text: str) -> bool:
    """HMRC manual NIM39110: prefixes that are not given out."""
    return text[:2].upper() not in {"BG", "GB", "NK", "KN", "TN", "NT", "ZZ"}


def _fr_nir(text: str) -> bool:
    """INSEE: the key is 97 less the remainder of the number by 97; Corsica counts as 19 and 18."""
    plain = re.sub(r"\s", "", text).upper().replace("2A", "19").replace("2B", "18")
    return plain.isdigit() and 97 - int(plain[:13]) % 97 == int(plain[13:])


def _de_tax(text: str) -> bool | None:
    """Identification number, ISO 7064 MOD 11,10; only one digit repeats among the first ten."""
    digits = _digits(text)
    product = 10
    for digit in digits[:10]:
        total = (int(digit) + product) % 10 or 10
        product = total * 2 % 11
    if digits[0] == "0" or len(set(digits[:10])) not in (8, 9) or (11 - product) % 10 != int(digits[10]):
        return False
    return True if " " in text else None


def _es_id(text: str) -> bool:
    """DNI and NIE: the letter is the number's remainder by 23."""
    plain = re.sub(r"[\s-]", "", text).upper()
    number = plain[:-1].translate(str.maketrans("XYZ", "012"))
    return "TRWAGMYFPDXBNJZSQVHLCKE"[int(number) % 23] == plain[-1]


_ODD_LETTERS = (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23)
_ODD_VALUES = dict(zip("ABCDEFGHIJKLMNOPQRSTUVWXYZ", _ODD_LETTERS, strict=True)) | dict(
    zip("0123456789", _ODD_LETTERS, strict=False)
)


def _it_code(text: str) -> bool:
    """Codice fiscale, ministerial decree of 23 December 1976."""
    plain = text.upper()
    even = sum(int(sign) if sign.isdigit() else ord(sign) - ord("A") for sign in plain[1:15:2])
    odd = sum(_ODD_VALUES[sign] for sign in plain[0:15:2])
    return chr((even + odd) % 26 + ord("A")) == plain[15]


def _nl_bsn(text: str) -> bool | None:
    """Burgerservicenummer, the test of eleven; nine digits of an order number pass it too, one in eleven."""
    digits = _digits(text)
    weights = (9, 8, 7, 6, 5, 4, 3, 2, -1)
    total = sum(int(digit) * weight for digit, weight in zip(digits, weights, strict=True))
    return None if total % 11 == 0 and int(digits) else False


def _pl_pesel(text: str) -> bool:
    """PESEL: weights 1, 3, 7, 9, and a date of birth whose month tells the century."""
    weights = (1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1)
    total = sum(int(digit) * weight for digit, weight in zip(text, weights, strict=True))
    century = {0: 1900, 1: 2000, 2: 2100, 3: 2200, 4: 1800}[int(text[2]) // 2]
    month = int(text[2]) % 2 * 10 + int(text[3])
    return total % 10 == 0 and _is_date(century + int(text[:2]), month, int(text[4:6]))


def _se_number(text: str) -> bool:
    """Personnummer: Luhn over ten digits that begin with a date; a coordination number adds 60 to the day."""
    digits = _digits(text)[-10:]
    day = int(digits[4:6])
    return _luhn(digits) and _is_date(2000 + int(digits[:2]), int(digits[2:4]), day - 60 if day > 60 else day)


def _be_number(text: str) -> bool:
    """Rijksregisternummer: 97 less the remainder by 97, with a 2 before it for births since 2000."""
    digits = _digits(text)
    key = int(digits[9:])
    return any(97 - int(century + digits[:9]) % 97 == key for century in ("", "2"))


def _is_date(year: int, month: int, day: int) -> bool:
    try:
        date(year, month, day)
    except ValueError:
        return False
    return True


def _surely(_: str) -> bool:
    return True


SHAPES: Mapping[str, Shape] = {
    "email": (r"[\w.%+-]{1,64}@(?:[\w-]{1,63}\.){1,8}[^\W\d_]{2,24}\b", _surely),
    "iban": (r"\b[A-Za-z]{2}\d\d(?:[ ]?[A-Za-z0-9]){11,30}\b", _iban),
    "card": (r"\b\d(?:[ -]?\d){12,18}\b", _card),
    "us-ssn": (r"\b\d{3}-\d\d-\d{4}\b", _us_ssn),
    "uk-nino": (r"\b[A-CEGHJ-PR-TW-Za-ceghj-pr-tw-z]{2} ?\d\d ?\d\d ?\d\d ?[A-Da-d]\b", _uk_nino),
    "fr-nir": (r"\b[12] ?\d\d ?[01]\d ?(?:\d\d|2[AB]) ?\d{3} ?\d{3} ?\d\d\b", _fr_nir),
    "de-tax": (r"\b\d\d ?\d{3} ?\d{3} ?\d{3}\b", _de_tax),
    "es-id": (r"\b(?:\d{8}|[XYZxyz]-?\d{7})-?[A-Za-z]\b", _es_id),
    "it-code": (r"\b[A-Za-z]{6}\d\d[A-EHLMPR-Ta-ehlmpr-t]\d\d[A-Za-z]\d{3}[A-Za-z]\b", _it_code),
    "nl-bsn": (r"\b\d{9}\b", _nl_bsn),
    "pl-pesel": (r"\b\d{11}\b", _pl_pesel),
    "se-number": (r"\b(?:\d\d)?\d{6}[-+]\d{4}\b", _se_number),
    "be-number": (r"\b\d\d\.\d\d\.\d\d-\d{3}\.\d\d\b", _be_number),
    "phone": (r"(?<![\w.])(?:\+|\(|00)?\d(?:[ ()./-]{0,2}\d){6,14}\b", _phone),
}
"""What rules can tell. Where two overlap, the earlier one and the surer one stands."""

UNTOLD = ("name", "address", "birth-date")
"""What only a model or a person can tell."""


def traces(text: str, kinds: tuple[str, ...] = tuple(SHAPES)) -> list[Trace]:
    """Personal data in the text, in order of place, none over another.

    >>> [(trace.kind, trace.is_sure) for trace in traces("Write to ada@example.com")]
    [('email', True)]
    """
    found = sorted(_all_traces(text, kinds), key=lambda trace: not trace.is_sure)
    kept: list[Trace] = []
    for trace in found:
        if all(trace.end <= other.start or other.end <= trace.start for other in kept):
            kept.append(trace)
    return sorted(kept, key=lambda trace: trace.start)


def _all_traces(text: str, kinds: tuple[str, ...]) -> Iterator[Trace]:
    for kind in SHAPES:
        if kind in kinds:
            pattern, is_it = SHAPES[kind]
            for match in re.finditer(pattern, text):
                verdict = is_it(match[0])
                if verdict is not False:
                    yield Trace(kind, match.start(), match.end(), verdict is True)


def judged(text: str, kinds: tuple[str, ...], allowed: frozenset[str]) -> Ruling:
    """Fails where personal data is left in, abstains where something may be or cannot be told by rules."""
    told = tuple(kind for kind in kinds if kind in SHAPES)
    found = [trace for trace in traces(text, told) if not _is_allowed(text[trace.start : trace.end], allowed)]
    sure = [trace for trace in found if trace.is_sure]
    details: dict[str, Json] = {"found": [[t.kind, t.start, t.end, t.is_sure] for t in found]}
    if sure:
        return failed(*(f"An item of kind {_place(trace)} is left in." for trace in sure), details=details)
    if found:
        return abstained(
            *(f"What may be one of kind {_place(trace)} is left in." for trace in found), details=details
        )
    untold = [kind for kind in kinds if kind in UNTOLD]
    if untold:
        return abstained(
            f"Rules cannot tell whether any of these is left in: {', '.join(untold)}.", details=details
        )
    return passed(f"None of these is left in: {', '.join(told)}.", details=details)


def _is_allowed(found: str, allowed: frozenset[str]) -> bool:
    lowered = found.casefold()
    return lowered in allowed or any(entry.startswith("@") and lowered.endswith(entry) for entry in allowed)


def _place(trace: Trace) -> str:
    return f"{trace.kind}, at characters {trace.start} to {trace.end},"
