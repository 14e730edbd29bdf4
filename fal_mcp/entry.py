"""The console script: a host that asks at once is answered at once, then the command line is loaded.

Imports nothing of weight itself: what a host's first questions wait for is these lines and `first_answers`.
"""

import os
import sys
from types import ModuleType
from typing import cast

_INTERRUPTED = 130


def main() -> None:
    """Answer what can be answered from the last start, and hand over to the command line."""
    # httpx has a command line of its own, and with it come rich and pygments: 3 MB that no server needs.
    sys.modules.setdefault("httpx._main", cast(ModuleType, None))
    try:
        from fal_mcp.server import first_answers

        first_answers.begin(sys.argv[1:], os.environ)
        from fal_mcp import cli

        cli.main()
    except KeyboardInterrupt:
        # Also while modules are being imported, where nobody else would catch it.
        _leave()
    except SystemExit as end:
        if end.code == _INTERRUPTED:
            _leave()
        raise


def _leave() -> None:
    """End at once: what was open is closed by now, and to take all modules apart takes longer than all before it."""
    import logging

    # What was logged last is on its way still.
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(_INTERRUPTED)
