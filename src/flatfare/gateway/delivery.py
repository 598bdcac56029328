"""One answer on its way to the client: its head as it came, its pieces as they come, its end last.

A whole answer is held until its cost can stand in its head, within a bound of time and
size. The end of every answer waits until it is told that the result is kept; where the
length says the end, that is the last piece.
"""

from collections.abc import Mapping, Sequence

from flatfare.gateway.listener import ClientConnection
from flatfare.gateway.policies import UsageHidden
from flatfare.gateway.wire import Headers, Request, head, passed_on, status_line

HELD_BYTES_MAX = 1 << 20
_LENGTH = frozenset((b"content-length",))
_NONE: frozenset[bytes] = frozenset()
_WITHOUT_BODY = (204, 304)


class Delivery:
    """Passes one answer on to one client."""

    __slots__ = (
        "_client",
        "_dropped",
        "_fields",
        "_has_body",
        "_headers",
        "_held",
        "_held_bytes",
        "_hidden",
        "_is_ending",
        "_last",
        "_left_to_send",
        "_own",
        "_reason",
        "_request",
        "_status",
        "_uses_chunks",
        "is_head_sent",
    )

    def __init__(
        self,
        client: ClientConnection,
        request: Request,
        status: int,
        reason: bytes,
        headers: Headers,
        fields: Mapping[bytes, bytes],
        own: Sequence[tuple[bytes, bytes]],
        *,
        hides_usage: bool,
        is_ending: bool,
    ) -> None:
        self._client = client
        self._request = request
        self._status = status
        self._reason = reason
        self._headers = headers
        self._fields = fields
        self._own = own  # the gateway's headers
        self._is_ending = is_ending
        self._hidden = UsageHidden() if hides_usage else None
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._last = b""
        self._uses_chunks = False
        self.is_head_sent = False
        length = None if hides_usage else fields.get(b"content-length")
        self._left_to_send = None if length is None else int(length)
        self._dropped = _LENGTH if hides_usage else _NONE
        self._has_body = status not in _WITHOUT_BODY and request.method != "HEAD"
        if length is None and self._has_body and request.minor_version:
            self._uses_chunks = True

    @property
    def is_delimited(self) -> bool:
        """Whether the client sees where the answer ends without the connection's end."""
        return self._uses_chunks or self._left_to_send is not None or not self._has_body

    @property
    def is_all_passed_on(self) -> bool:
        """Whether the client was sent all that came so far of the answer's body."""
        holds = bool(self._held or self._last or (self._hidden is not None and self._hidden.holds))
        return self.is_head_sent and not holds

    @property
    def keeps_alive(self) -> bool:
        """Whether the connection serves further requests."""
        request = self._request
        is_kept = request.keep_alive and bool(request.minor_version)
        return is_kept and self.is_delimited and not self._is_ending

    def release(self) -> None:
        """Send the head and what is held, and hold no more."""
        if self.is_head_sent:
            return
        self.is_head_sent = True
        self._client.write(self._head())
        held, self._held = self._held, []
        for piece in held:
            self._write(piece)

    def pass_on(self, piece: bytes) -> None:
        """A piece of the body."""
        if self._hidden is not None:
            piece = self._hidden.feed(piece)
        if not piece:
            return
        if self.is_head_sent:
            self._write(piece)
            return
        self._held.append(piece)
        self._held_bytes += len(piece)
        if self._held_bytes > HELD_BYTES_MAX:
            self.release()

    def end(self, trailers: Headers, cost: bytes | None) -> None:
        """Its result is kept: what is left of it, or all of it with its cost in the head."""
        out = []
        if not self.is_head_sent:
            self.is_head_sent = True
            out.append(self._head(cost))
        body = self._last + b"".join(self._held)
        if self._hidden is not None:
            body += self._hidden.finish()
        if self._uses_chunks:
            if body:
                out.append(b"%x\r\n%b\r\n" % (len(body), body))
            out.append(b"0\r\n")
            out += [name + b": " + value + b"\r\n" for name, value in trailers]
            out.append(b"\r\n")
        elif self._has_body:
            out.append(body)
        self._client.write(b"".join(out))

    def break_off(self) -> None:
        """It broke off: what came of it, and no end, so that nobody takes it for whole."""
        self.release()
        if self._last:
            self._client.write(self._last)
        if self.is_delimited:
            self._client.close()
        else:
            self._client.abort()

    def _write(self, piece: bytes) -> None:
        if self._uses_chunks:
            piece = b"%x\r\n%b\r\n" % (len(piece), piece)
        elif self._left_to_send is not None:
            # With a length the client knows the end by itself: the last of it waits for the journal.
            self._left_to_send -= len(piece)
            if self._left_to_send <= 0:
                self._last += piece
                return
        self._client.write(piece)

    def _head(self, cost: bytes | None = None) -> bytes:
        kept = passed_on(self._headers, self._fields.get(b"connection", b""), self._dropped)
        if self._uses_chunks:
            kept.append((b"Transfer-Encoding", b"chunked"))
            # It announces what follows the body: clients that wait for trailers go by it (RFC 9110, 6.6.2).
            kept += [pair for pair in self._headers if pair[0].lower() == b"trailer"]
        if not self.keeps_alive:
            kept.append((b"Connection", b"close"))
        kept += self._own
        if cost is not None:
            kept.append((b"flatfare-cost", cost))
        return head(status_line(self._status, self._reason), kept)
