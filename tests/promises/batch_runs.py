"""A process that carries out a bulk run in batches, to be killed and started again."""

import asyncio
import sys
from pathlib import Path

from tests.runner.batch_rig import job_of, rows, run_job
from tests.runner.rig import settings_for


def main() -> None:
    """``folder port count``: carry out so many rows."""
    folder, port, count = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    settings = settings_for(folder, port)
    asyncio.run(run_job(settings, job_of(settings, folder), rows(count)))
