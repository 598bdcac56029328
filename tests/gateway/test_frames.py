"""A record is read back as it was written or not at all, whatever happens to the bytes around it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flatfare.gateway.frames import HEAD_BYTES, RECORD_BYTES_MAX, framed, salt_of, scan

SALT = salt_of("20261121T000000000000-00112233")
records = st.lists(st.binary(max_size=60), max_size=8)


@given(records)
def test_what_was_written_is_read(written: list[bytes]) -> None:
    data = b"".join(framed(record, SALT) for record in written)
    scanned = scan(data, SALT)
    assert scanned.records == written
    assert (scanned.consumed, scanned.gaps) == (len(data), [])


@given(records, st.integers(0, 500))
def test_a_torn_end_is_left_out_and_nothing_else(written: list[bytes], cut: int) -> None:
    data = b"".join(framed(record, SALT) for record in written)[:cut]
    scanned = scan(data, SALT)
    assert scanned.records == written[: len(scanned.records)]
    assert scanned.consumed == sum(len(record) + HEAD_BYTES for record in scanned.records)
    assert scanned.gaps == []
    if len(scanned.records) < len(written):
        assert scanned.consumed + len(written[len(scanned.records)]) + HEAD_BYTES > len(data)


@given(st.lists(st.binary(min_size=1, max_size=60), min_size=3, max_size=8), st.data())
def test_a_damaged_byte_costs_one_record(written: list[bytes], data: st.DataObject) -> None:
    frames = [framed(record, SALT) for record in written]
    hit = data.draw(st.integers(0, len(frames) - 2))
    position = data.draw(st.integers(0, len(frames[hit]) - 1))
    flip = data.draw(st.integers(1, 255))
    damaged = bytearray(frames[hit])
    damaged[position] ^= flip
    begin = sum(map(len, frames[:hit]))
    scanned = scan(b"".join([*frames[:hit], bytes(damaged), *frames[hit + 1 :]]), SALT)
    assert scanned.records == written[:hit] + written[hit + 1 :]
    assert scanned.gaps == [(begin, begin + len(frames[hit]))]


@given(st.binary(max_size=300))
def test_noise_is_never_a_record(noise: bytes) -> None:
    assert scan(noise, SALT).records == []


def test_a_frame_inside_a_damaged_record_is_not_taken_for_one() -> None:
    """A client chooses its labels: they could spell a whole frame, but not with this worker's seed."""
    forged = framed(b"a forged record", salt_of("some other worker"))
    data = bytearray(framed(b"labels: " + forged, SALT) + framed(b"next", SALT))
    data[HEAD_BYTES] ^= 1
    assert scan(bytes(data), SALT).records == [b"next"]


def test_a_length_that_no_record_has_is_damage() -> None:
    too_long = framed(bytes(RECORD_BYTES_MAX + 1), SALT)
    scanned = scan(too_long + framed(b"next", SALT), SALT)
    assert scanned.records == [b"next"]
    assert scanned.gaps == [(0, len(too_long))]


@pytest.mark.parametrize("other", ["", "20261121T000000000000-00112234"])
def test_another_workers_records_are_not_read(other: str) -> None:
    assert scan(framed(b"record", SALT), salt_of(other)).records == []
