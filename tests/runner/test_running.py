"""An action is carried out whole: quoted, held, attempted, verified, settled or voided, with its receipt."""

import asyncio
import json
from pathlib import Path

from flatfare.runner.running import Order
from flatfare.service import selling
from tests.runner.rig import CONTRACT, DOLLAR, shop


def test_a_verified_run_is_billed_its_price(tmp_path: Path) -> None:
    async def scene() -> None:
        async with shop(tmp_path) as own:
            result = await own.runner.run(Order("contract-review", {"contract": CONTRACT}, customer="acme"))
            assert result.run.state == "done", result
            assert result.run.ending == "verified", result
            assert json.loads(result.output or "")["risks"]
            with own.book() as book:
                sale = selling.sale_of(book, result.run.task_id)
                assert (sale.settlement, sale.settled_nano) == ("settled", 5 * DOLLAR)
                assert selling.verify(book) == []

    asyncio.run(scene())
