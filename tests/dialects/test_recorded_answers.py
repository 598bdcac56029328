"""The recorded answers of providers with shapes of their own: all are read, however they are cut."""

import base64
import csv
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from flatfare.dialects.meter import Stream, read_whole
from flatfare.dialects.reading import Exchange, Reading
from flatfare.dialects.recognition import Recognised, by_address, by_look

OWN_SHAPES = (
    "anthropic",
    "gemini",
    "vertex",
    "gemini-live",
    "bedrock",
    "cohere",
    "xai-grpc",
    "xai-realtime",
    "ollama",
    "watsonx",
    "aleph-alpha",
    "sagemaker",
)


class Recording:
    """One recorded answer, and how it is read."""

    def __init__(self, file: Path, row: dict[str, str]) -> None:
        self.name = row["file"]
        self.is_stream = row["stream"] == "1"
        kept = json.loads(file.read_text())
        text = kept["response_body_text"]
        is_binary = kept["response_body_encoding"] == "base64"
        self.body = base64.b64decode(text) if is_binary else text.encode()
        self.recognised = self._recognise(kept)
        sent = kept["request_body"]
        request = sent if isinstance(sent, str) else json.dumps(sent)
        self.exchange: Exchange = self.recognised.exchange(
            request.encode(),
            kept["request_url_path"] or "",
            kept["response_status"],
            kept.get("usage_headers") or {},
        )

    def _recognise(self, kept: dict[str, str]) -> Recognised:
        host, path, method = kept["request_host"], kept["request_url_path"], kept["request_method"]
        found = by_address(host, path, method) if host else None
        if found is None:
            found = by_look(json.loads(self.body.splitlines()[0]), self.is_stream)
        assert found is not None, self.name
        return found

    def read(self, cuts: Iterator[int] | None = None) -> Reading:
        """The reading of the body, cut where it is said; at once by default."""
        if not self.is_stream:
            return read_whole(self.recognised.route, self.body, self.exchange)
        stream = Stream(self.recognised.route, self.exchange)
        start = 0
        for cut in cuts or ():
            stream.feed(self.body[start:cut])
            start = cut
        stream.feed(self.body[start:])
        return stream.finish()


@pytest.fixture(scope="session")
def recordings(shared: Callable[..., Path]) -> list[Recording]:
    index = shared("recorded", "index.csv")
    with index.open() as lines:
        rows = [row for row in csv.DictReader(lines) if row["provider"] in OWN_SHAPES]
    return [Recording(index.parent / row["file"], row) for row in rows]


def test_every_answer_is_read_or_says_why_not(recordings):
    """Three embeddings of Gemini count nothing: they are counted offline."""
    unread = {
        recording.name: reading.reason
        for recording in recordings
        if not (reading := recording.read()).parts and not reading.is_free
    }
    assert set(unread.values()) <= {"the embeddings come without counts"}
    assert len(unread) <= 3


def test_no_leaf_is_negative_and_none_is_zero(recordings):
    for recording in recordings:
        for part in recording.read().parts:
            assert part.usage, recording.name
            assert all(count > 0 for count in part.usage.values()), recording.name


def test_streams_cut_into_pieces_of_any_size_read_as_the_whole(recordings):
    for recording in recordings:
        if recording.is_stream:
            whole = recording.read()
            for size in (1, 7, 4096):
                cuts = iter(range(size, len(recording.body), size))
                assert recording.read(cuts) == whole, (recording.name, size)


def _cut_everywhere(recording: Recording, step: int) -> None:
    whole = recording.read()
    for cut in range(0, len(recording.body), step):
        assert recording.read(iter((cut,))) == whole, (recording.name, cut)


def test_short_streams_cut_in_two_at_any_byte_read_as_the_whole(recordings):
    by_provider: dict[str, Recording] = {}
    for recording in recordings:
        provider = recording.name.partition("/")[0]
        shortest = by_provider.get(provider)
        if recording.is_stream and (shortest is None or len(recording.body) < len(shortest.body)):
            by_provider[provider] = recording
    for recording in by_provider.values():
        _cut_everywhere(recording, max(1, len(recording.body) // 400))


@pytest.mark.soak
def test_every_stream_cut_in_two_at_every_byte_reads_as_the_whole(recordings):
    for recording in recordings:
        if recording.is_stream:
            _cut_everywhere(recording, max(1, len(recording.body) // 20_000))


def test_a_body_cut_short_is_read_or_refused_and_never_fails(recordings):
    for recording in recordings:
        for part in (3, 50, 99):
            end = len(recording.body) * part // 100
            if recording.is_stream:
                stream = Stream(recording.recognised.route, recording.exchange)
                stream.feed(recording.body[:end])
                reading = stream.finish()
            else:
                reading = read_whole(recording.recognised.route, recording.body[:end], recording.exchange)
            assert reading.parts or reading.reason, (recording.name, part)
