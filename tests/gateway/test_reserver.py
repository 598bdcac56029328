"""A worker's side of reservations: it finds the treasurer again while it lives, and leaves nothing behind."""

import asyncio
import contextlib
from pathlib import Path

import pytest

from flatfare.gateway.reserving.reserver import Reserver


@pytest.mark.parametrize("how", ["closes", "is left"])
def test_a_reserver_that_is_closed_does_not_come_again(how: str, tmp_path: Path) -> None:
    """Otherwise the end of its own connection would be the beginning of another that nobody ends."""

    async def work() -> None:
        joined: list[asyncio.StreamWriter] = []

        def accept(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            joined.append(writer)

        server = await asyncio.start_unix_server(accept, tmp_path / "treasurer")
        reserver = Reserver(tmp_path / "treasurer", "one")
        reserver.lost()  # as at its beginning: it looks for the treasurer
        async with asyncio.timeout(5):
            while not joined:
                await asyncio.sleep(0.001)
            if how == "is left":
                joined[0].close()
                while len(joined) < 2:
                    await asyncio.sleep(0.001)
        reserver.close()
        count = len(joined)
        await asyncio.sleep(0.2)
        assert len(joined) == count
        for one in joined:
            one.close()
            with contextlib.suppress(OSError):
                await one.wait_closed()
        server.close()

    asyncio.run(work())
