"""What a provider says in a session on its way to the client: as it came, and held back while it is counted.

Nothing is changed or left out; where the gateway ends the session, it does so between two frames.
"""

from flatfare.gateway.listener import ClientConnection
from flatfare.gateway.messages import Boundary, close_frame


class Passage:
    """The way from one provider to one client."""

    __slots__ = ("_boundary", "_client", "_held", "_held_bytes", "_whole_bytes", "is_held")

    def __init__(self, client: ClientConnection) -> None:
        self._client = client
        self._boundary = Boundary()
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._whole_bytes = 0  # of what is held, up to where the last frame ends
        self.is_held = False

    def pass_on(self, data: bytes) -> None:
        """Bytes as they come."""
        whole = self._boundary.last_in(data)
        if not self.is_held:
            self._client.write(data)
            return
        if whole:
            self._whole_bytes = self._held_bytes + whole
        self._held.append(data)
        self._held_bytes += len(data)

    def hold(self) -> None:
        """From now on the client hears nothing."""
        self.is_held = True

    def release(self) -> None:
        """What was held goes out, and nothing is held any more."""
        self.is_held = False
        held = self._take()
        if held:
            self._client.write(held)

    def close(self, code: int, reason: str) -> None:
        """What was held goes out as far as its frames are whole, and then the word that this is the end."""
        self.is_held = False
        whole = self._whole_bytes
        self._client.write(self._take()[:whole] + close_frame(code, reason))

    def _take(self) -> bytes:
        held, self._held = b"".join(self._held), []
        self._held_bytes = self._whole_bytes = 0
        return held
