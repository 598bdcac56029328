"""Recordings: held for as long as their bytes can play, and never for less."""

import math
import struct
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flatfare.dialects.openai_shape import read_request
from flatfare.service.budgets.bounding import Bound, Bounds
from flatfare.service.budgets.forms import fields_of
from flatfare.service.budgets.sound_lengths import seconds_at_most
from flatfare.service.costing.metering import standard_book

NOW_US = 1_795_000_000_000_000
BOUNDS = Bounds(standard_book())
KIND = b"multipart/form-data; boundary=XyZ"


def wave(seconds: float, *, rate: int = 16_000, channels: int = 1, bits: int = 16, kind: int = 1) -> bytes:
    frame = channels * bits // 8
    data = b"\x00" * int(seconds * rate * frame)
    head = struct.pack("<HHIIHH", kind, channels, rate, rate * frame, frame, bits)
    chunks = b"fmt " + struct.pack("<I", 16) + head + b"data" + struct.pack("<I", 8) + data
    return b"RIFF" + struct.pack("<I", len(chunks) + 4) + b"WAVE" + chunks


def mp3(frames: int, head: bytes = b"\xff\xfb\x90\x00", length: int = 417) -> bytes:
    """By default 128 kbit/s at 44.1 kHz: 26 ms a frame."""
    return (head + b"\x00" * (length - 4)) * frames


def form(file: bytes, model: str = "whisper-1", *, more: tuple[tuple[str, str], ...] = ()) -> bytes:
    parts = [("model", model), *more]
    texts = [f'--XyZ\r\nContent-Disposition: form-data; name="{n}"\r\n\r\n{v}\r\n' for n, v in parts]
    head = '--XyZ\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n'
    kind = "Content-Type: audio/wav\r\n\r\n"
    return "".join((*texts, head, kind)).encode() + file + b"\r\n--XyZ--\r\n"


def bound(body: bytes, provider: str = "openai", kind: bytes = KIND) -> Bound:
    asked = read_request(body, "/v1/audio/transcriptions")
    return BOUNDS.of(provider, "audio.transcriptions", asked, body, NOW_US, kind)


def test_uncompressed_sound_lasts_as_long_as_its_bytes_at_its_rate() -> None:
    for more in ({}, {"rate": 44_100, "channels": 2}, {"bits": 24}, {"bits": 32, "kind": 3}):
        found = seconds_at_most(wave(20, **more))  # type: ignore[arg-type]
        assert found is not None
        assert 20 <= found < Fraction(201, 10)


def test_compressed_sound_lasts_as_long_as_at_the_lowest_rate_there_is() -> None:
    assert seconds_at_most(mp3(100)) == Fraction(41_700, 1000) > Fraction(26, 10)
    slowest = mp3(100, b"\xff\xe3\x18\x00", 72)  # 8 kbit/s at 8 kHz: 72 ms a frame
    assert seconds_at_most(slowest) == Fraction(72, 10)
    tagged = b"ID3\x04\x00\x00\x00\x00\x01\x00" + b"\x00" * 128 + mp3(9)
    assert seconds_at_most(tagged) == Fraction(len(tagged), 1000)


@pytest.mark.parametrize(
    "file",
    [
        b"",
        b"OggS" + b"\x00" * 100,
        b"fLaC" + b"\x00" * 100,
        b"\x1aE\xdf\xa3" + b"\x00" * 100,
        b"\x00\x00\x00\x20ftypM4A " + b"\x00" * 100,
        wave(1, kind=0x55),  # MP3 within WAVE
        wave(1)[:36] + b"fmt " + wave(1)[36:],
        wave(1).replace(struct.pack("<HH", 2, 16), struct.pack("<HH", 4, 16), 1),
        mp3(2),
        b"ID3\x04\x00\x00\x00\x00\x00\x00fLaC" + b"\x00" * 100,
    ],
)
def test_of_what_may_play_for_hours_in_few_bytes_nothing_is_said(file: bytes) -> None:
    assert seconds_at_most(file) is None
    assert bound(form(file)).most_nano is None


@given(
    st.sampled_from([wave(0.01), mp3(4), b"ID3\x04\x00\x10\x00\x00\x00\x05"]),
    st.binary(max_size=60),
    st.integers(0, 80),
)
def test_no_bytes_make_it_fail(head: bytes, rest: bytes, kept: int) -> None:
    found = seconds_at_most(head[:kept] + rest)
    assert found is None or found > 0


def test_a_recording_is_held_by_the_second() -> None:
    """Whisper: $0.006 a minute; the second is rounded, and a short one may count as ten."""
    assert bound(form(wave(90))).most_nano == math.ceil(92 * 6_000_000 / 60)
    assert bound(form(wave(0.5))).most_nano == 10 * 100_000
    groq = bound(form(wave(90), "whisper-large-v3"), "groq")
    assert groq.most_nano == math.ceil(92 * 111_000_000 / 3600)


def test_what_hears_by_tokens_hears_no_more_than_fits_its_window() -> None:
    """16,000 tokens heard at $6 a million, 2,000 written at $10; its form may be of any kind of sound."""
    found = bound(form(b"OggS any", "gpt-4o-transcribe", more=(("language", "en"),)))
    assert found.most_nano == 16_000 * 6000 + 2000 * 10_000


@pytest.mark.parametrize(
    ("model", "more"),
    [
        ("gpt-4o-transcribe", (("chunking_strategy", "auto"),)),
        ("gpt-4o-transcribe-diarize", ()),
        ("whisper-1", (("url", "https://example.org/a.wav"),)),
        ("whisper-1", (("something_new", "1"),)),
        ("whisper-1", (("model", "gpt-transcribe"),)),
    ],
)
def test_what_may_be_more_than_one_file_heard_once_has_no_bound(
    model: str, more: tuple[tuple[str, str], ...]
) -> None:
    assert bound(form(wave(1), model, more=more)).most_nano is None


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (b"", form(wave(1))),
        (b"application/json", form(wave(1))),
        (b"multipart/form-data; boundary=Other", form(wave(1))),
        (b"multipart/form-data; boundary=XyZ; boundary=Other", form(wave(1))),
        (KIND, b"preamble\r\n" + form(wave(1))),
        (KIND, form(wave(1))[:-4]),
        (KIND, form(wave(1)).replace(b'name="file"', b'name="file"; name="model"')),
        (KIND, form(wave(1)).replace(b"Content-Type", b"Content-Transfer-Encoding")),
        (KIND, b"--XyZ\r\n\r\n" * 100 + b"--XyZ--"),
    ],
)
def test_a_form_that_readers_may_differ_on_is_not_read(kind: bytes, body: bytes) -> None:
    assert fields_of(kind, body) is None
    assert bound(body, kind=kind).most_nano is None


def test_a_form_is_read_whole() -> None:
    file = wave(0.1) + b"\r\n--not the line"
    listed = (("timestamp_granularities[]", "word"), ("timestamp_granularities[]", "segment"))
    found = fields_of(b'Multipart/Form-Data; boundary="XyZ"', form(file, more=listed))
    assert found == {"model": b"whisper-1", "file": file, "timestamp_granularities[]": b"segment"}
