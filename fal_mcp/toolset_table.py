"""The toolsets: each one's name, whether it is there unless told otherwise, and the modules that make its tools.

Data and nothing else, so that settings know the names without importing a single tool.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Toolset:
    """`makers`: modules below `toolsets` whose `tools` makes them, in the order that they are listed in.

    After a colon stands what `tools` is called with: the `models`, or the toolset's `name`.
    """

    is_usual: bool
    makers: tuple[str, ...]


TABLE: Mapping[str, Toolset] = {
    "models": Toolset(True, ("discovery:models",)),
    "jobs": Toolset(True, ("jobs:models", "batch_and_chain:models", "run_again:models")),
    "storage": Toolset(True, ("storage",)),
    "usage": Toolset(True, ("reports.usage:name", "reports.analytics:name", "platform:name")),
    "compare": Toolset(False, ("compare_models:models",)),
    "realtime": Toolset(False, ("realtime:models",)),
    "requests": Toolset(False, ("platform:name",)),
    "serverless": Toolset(
        False, ("serverless.toolset", "platform:name", "reports.usage:name", "reports.analytics:name")
    ),
    "compute": Toolset(False, ("compute", "platform:name")),
    "keys": Toolset(False, ("keys", "platform:name")),
    "account": Toolset(False, ("platform:name", "reports.csv_reports:name")),
    "organization": Toolset(False, ("reports.usage:name", "platform:name", "reports.csv_reports:name")),
    "workflows": Toolset(False, ("platform:name", "workflows:models")),
    "assets": Toolset(False, ("platform:name",)),
    "docs": Toolset(False, ("docs",)),
}
TOOLSETS = tuple(name for name, toolset in TABLE.items() if toolset.is_usual)
"""Which there are unless told otherwise."""
MORE_TOOLSETS = tuple(name for name, toolset in TABLE.items() if not toolset.is_usual)
"""Which there are only where they are asked for."""
