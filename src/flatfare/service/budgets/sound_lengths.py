"""How long a recording plays at most, where its format sets an end to it.

A file may say that it is shorter than it is, so nothing that it merely says is taken. Uncompressed WAVE plays
as long as its bytes last at its own rate. MP3 has no rate below 8 kbit/s. In MP4, Ogg, WebM and FLAC a few
bytes may play for hours: of these nothing sound can be said.
"""

from fractions import Fraction

_MP3_BYTES_A_SECOND = 1000
"""The lowest rate of the format's tables: 8 kbit/s, MPEG 2 and 2.5, layer III (ISO 13818-3)."""

_FRAMES = 3  # that must follow one another for a file to be taken for MP3
_RATES_1 = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_RATES_2 = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_SAMPLES = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}


def seconds_at_most(file: bytes) -> Fraction | None:
    """Seconds that a recording plays at most; None where nothing sound can be said."""
    if file.startswith(b"RIFF") and file[8:12] == b"WAVE":
        return _of_wave(file)
    if _is_mp3(file):
        return Fraction(len(file), _MP3_BYTES_A_SECOND)
    return None


def _of_wave(file: bytes) -> Fraction | None:
    """Of samples that are not compressed, from the one description that stands before them."""
    if (
        file[12:16] != b"fmt "
        or file.count(b"fmt ") > 1
        or int.from_bytes(file[16:20], "little") not in (16, 18, 40)
    ):
        return None
    kind, channels = int.from_bytes(file[20:22], "little"), int.from_bytes(file[22:24], "little")
    rate, frame = int.from_bytes(file[24:28], "little"), int.from_bytes(file[32:34], "little")
    bits = int.from_bytes(file[34:36], "little")
    is_plain = (kind == 1 and bits in (8, 16, 24, 32)) or (kind == 3 and bits in (32, 64))
    if not is_plain or not channels or not rate or frame != channels * bits // 8:
        return None
    return Fraction(len(file), frame * rate)


def _is_mp3(file: bytes) -> bool:
    at = 0
    if file.startswith(b"ID3") and len(file) > 10 and not any(size & 0x80 for size in file[6:10]):
        at = 10 + (file[6] << 21 | file[7] << 14 | file[8] << 7 | file[9])
        at += 10 if file[5] & 0x10 else 0
    elif file[4:8] == b"ftyp":
        return False
    for _ in range(_FRAMES):
        length = _frame(file[at : at + 4])
        if length is None or at + length > len(file):
            return False
        at += length
    return True


def _frame(head: bytes) -> int | None:
    """Bytes of a frame of layer III; None for anything else."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE6 != 0xE2:
        return None
    version, rate, sampling = head[1] >> 3 & 3, head[2] >> 4, head[2] >> 2 & 3
    if version == 1 or rate in (0, 15) or sampling == 3:
        return None
    kbits = (_RATES_1 if version == 3 else _RATES_2)[rate]
    return (144 if version == 3 else 72) * kbits * 1000 // _SAMPLES[version][sampling] + (head[2] >> 1 & 1)
