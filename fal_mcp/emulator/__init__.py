"""A local fal: a double of the real one for anybody's tests, the demo, and working without a key.

Written from `docs/facts.md` alone: it imports none of `openapi`, `catalog`, `client` and `tools`, so that it cannot
share their mistakes. fal's own `fal-client` drives it in the tests.
"""

from fal_mcp.emulator.bill import Charge
from fal_mcp.emulator.documents import starter_models
from fal_mcp.emulator.emulator import Call, Emulator, Line, StoredFile
from fal_mcp.emulator.job import Job
from fal_mcp.emulator.script import Failure, Live, Reply, Script
from fal_mcp.emulator.server import serve

__all__ = [
    "Call",
    "Charge",
    "Emulator",
    "Failure",
    "Job",
    "Line",
    "Live",
    "Reply",
    "Script",
    "StoredFile",
    "serve",
    "starter_models",
]
