"""The house: who may import whom, and which library is let in at which door."""

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import fal_mcp

PACKAGE = Path(fal_mcp.__file__).parent

MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "text": set(),
    "json_values": set(),
    "addresses": set(),
    "bundled": set(),
    "key": set(),
    "traces": set(),
    "logs": {"text"},
    "toolset_table": set(),
    "settings_table": {"toolset_table"},
    "setting_values": {"settings_table"},
    "standard_folders": {"errors"},
    "config": {"key", "setting_values", "settings_table", "standard_folders", "toolset_table"},
    "machine": {"errors", "text"},
    "openapi": {"errors", "text"},
    "catalog": {"openapi", "text"},
    "client": {"config", "errors", "text"},
    "jobs": {"client", "errors", "logs", "text"},
    "outputs": {"machine", "jobs", "client", "errors", "text"},
    "runs": {"outputs", "machine", "jobs", "catalog", "client", "openapi", "errors", "text"},
    "tools": {"runs", "outputs", "catalog", "client", "openapi", "errors", "text"},
    "toolsets": {
        *("tools", "runs", "outputs", "machine", "jobs", "catalog", "client", "openapi", "bundled", "errors", "text"),
        *("config", "toolset_table"),
    },
    "refresh": {"catalog", "client", "errors"},
    # Who calls, and how anybody knows: above the client, which fetches an issuer's keys through a function it is given.
    "team": {"errors", "key"},
    "ways_to_fal": {"client", "config", "errors", "runs"},
    "paid_work": {"client", "config", "jobs", "team"},
    "catalog_source": {"bundled", "catalog", "config"},
    "catalog_exchange": {"catalog", "errors", "jobs"},
    "freshness": {"catalog", "catalog_exchange", "client", "config", "errors", "refresh"},
    "engine": {
        *(
            "toolsets",
            "tools",
            "runs",
            "machine",
            "refresh",
            "freshness",
            "jobs",
            "catalog",
            "catalog_source",
            "catalog_exchange",
            "client",
            "config",
            "errors",
            "paid_work",
            "team",
            "ways_to_fal",
        ),
    },
    "install": set(),
    "terminal": {
        *(
            "install",
            "engine",
            "tools",
            "runs",
            "outputs",
            "machine",
            "jobs",
            "refresh",
            "catalog",
            "client",
            "openapi",
        ),
        *(
            "bundled",
            "catalog_source",
            "config",
            "settings_table",
            "key",
            "emulator",
            "errors",
            "text",
            "team",
            "ways_to_fal",
        ),
    },
    "server": {
        *(
            "engine",
            "toolsets",
            "tools",
            "runs",
            "outputs",
            "machine",
            "refresh",
            "jobs",
            "paid_work",
            "catalog",
            "client",
            "openapi",
        ),
        *("config", "bundled", "errors", "logs", "text", "team"),
    },
    "emulator": {"bundled", "machine"},
    "demo": {"emulator", "bundled"},
    "cli": {
        *(
            "catalog_source",
            "settings_table",
            "install",
            "logs",
            "terminal",
            "machine",
            "engine",
            "server",
            "toolsets",
            "catalog",
            "config",
            "bundled",
            "demo",
        ),
    },
    "entry": {"cli", "server"},
    "__main__": {"entry"},
    # The client as a library; each name is imported when it is asked for.
    "__init__": {"client", "config", "errors"},
}
EVERYWHERE = {"json_values", "addresses", "traces"}
"""What anybody may use: they know nothing of this project."""
DOORS: dict[str, set[str]] = {
    "mcp": {"server", "demo", "client"},
    "mcp_types": {"server", "demo", "client"},
    # The engine names it in a type only: what stands in for the network is handed through it.
    "httpx": {"client", "machine", "server", "engine", "ways_to_fal", "demo", "emulator"},
    "cryptography": {"client", "emulator"},
    "jsonschema": {"openapi", "emulator"},
    "uvicorn": {"server", "emulator"},
    "httptools": {"server"},
    "jwt": {"team"},
    "sse_starlette": {"server"},
    "starlette": {"emulator", "server"},
    "PIL": {"emulator", "outputs"},
    "filetype": {"machine"},
    "websockets": {"client"},
    "msgpack": {"client", "emulator"},
    "json5": {"install"},
    "tomlkit": {"install"},
    "ruamel": {"install"},
    "opentelemetry": {"traces"},
    "prometheus_client": {"server"},
    "sqlite3": {"jobs", "catalog"},
    "psycopg": {"jobs"},
    "rich": {"demo", "terminal"},
    "typer": {"cli"},
}


def imports(file: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def name_of(file: Path) -> str:
    """As it is imported, below the package."""
    return ".".join(file.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")


def neighbours() -> dict[str, set[str]]:
    """Which file imports which, whenever and for whatever: in a function and for types only count too."""
    files = {name_of(file): imports(file) for file in PACKAGE.rglob("*.py")}
    asked = {name: {one.removeprefix("fal_mcp.") for one in names} for name, names in files.items()}
    return {
        name: {file for file in (one if one in files else one.rpartition(".")[0] for one in names) if file in files}
        - {name}
        for name, names in asked.items()
    }


def circle(graph: dict[str, set[str]]) -> list[str]:
    """Files that import each other in a circle; none where there is no circle."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return error.args[1]
    return []


def layer(name: str) -> str:
    part = name.split(".")[1]
    return part if part in MAY_IMPORT else "__init__"


def home(file: Path) -> str:
    first = file.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def test_no_module_imports_upwards():
    """Read it as who asks whom: nothing points up."""
    wrong = [
        f"{file.relative_to(PACKAGE)} imports {name}"
        for file in PACKAGE.rglob("*.py")
        for name in imports(file)
        if name.startswith("fal_mcp.")
        and layer(name) not in {home(file), "__init__", *EVERYWHERE}
        and layer(name) not in MAY_IMPORT[home(file)]
    ]
    assert wrong == []


def test_no_file_imports_another_in_a_circle():
    """A circle is one module in several files: none of them can be read, tested or moved without the others."""
    assert circle(neighbours()) == []


def test_each_library_comes_in_at_its_own_door():
    """Each library is let in at one door, so that a new major of it is one place's business."""
    wrong = [
        f"{file.relative_to(PACKAGE)} imports {name}"
        for file in PACKAGE.rglob("*.py")
        for name in imports(file)
        if (library := name.split(".")[0]) in DOORS and home(file) not in DOORS[library]
    ]
    assert wrong == []


def test_the_environment_is_read_in_one_place():
    """`os.environ` is the command line's and its entry's; the demo only passes on where Python finds the package."""
    readers = {home(f) for f in PACKAGE.rglob("*.py") if "os.environ" in f.read_text("utf-8")}
    assert readers <= {"cli", "demo", "entry"}
