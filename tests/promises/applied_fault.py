"""A plugin of pytest: ``-p tests.promises.applied_fault`` with ``FLATFARE_FAULT=NAME`` breaks one thing.

In the process of the tests it is broken before any of them is read; in those of a gateway by the
rig's prelude, see ``tests/gateway/rig_gateway.py``. One example that fails is enough: none is made smaller.
"""

import os
from pathlib import Path

from hypothesis import Phase, settings

if name := os.environ.get("FLATFARE_FAULT"):
    exec((Path(__file__).parent / "faults" / f"{name}.py").read_text(), {"__name__": name})
    settings.register_profile("fault", phases=(Phase.explicit, Phase.generate))
    settings.load_profile("fault")
