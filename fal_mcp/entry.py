"""The console script: a host that asks at once is answered at once, then the command line is loaded.

Imports nothing of weight itself: what a host's first three questions wait for is these lines and `first_answers`.
"""

import os
import sys


def main() -> None:
    """Answer what can be answered from the last start, and hand over to the command line."""
    try:
        from fal_mcp.server import first_answers

        first_answers.begin(sys.argv[1:], os.environ)
        from fal_mcp import cli

        cli.main()
    except KeyboardInterrupt:
        # Also while modules are being imported, where nobody else would catch it.
        sys.exit(130)
