"""Every setting, declared once: its name, kind, bounds, default, help, and the commands that take it as an option.

From here come the command line's options, the variables, what is wrong with a value, and the documentation.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from fal_mcp.toolset_table import MORE_TOOLSETS, TOOLSETS

Kind = (
    Literal["text", "words", "switch", "number", "count", "money", "choice", "folder", "folders", "names", "address"]
    | Literal["file", "store", "secrets"]
)
PREFIX = "FAL_MCP_"
_MOST_HOURS = 24 * 30
_LEAST_HOURS = 0.1
"""More often would be a flood: each time is many requests."""
_MOST_PROXIES = 10
_LONGEST_WAIT = 3600.0
_LARGEST_PAGE = 100_000
_MOST_MONEY = 1_000_000.0
_MOST_JOBS = 10_000


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting. `default` is how the help says it; `most` is a number's upper bound, 0 its lower one; one that is
    not 0 is `least` or more."""

    name: str
    kind: Kind
    help: str
    default: str = ""
    most: float = 0.0
    least: float = 0.0
    choices: tuple[str, ...] = ()
    commands: tuple[str, ...] = ("serve",)
    """The commands that take it as an option; by its variable it holds for all."""
    must_exist: bool = False
    field: str = ""
    """Its name in `Settings`, where that is another."""

    @property
    def option(self) -> str:
        return f"--{self.name.replace('_', '-')}"

    @property
    def variable(self) -> str:
        return f"{PREFIX}{self.name.removeprefix('fal_').upper()}"


TABLE: tuple[Setting, ...] = (
    Setting(
        "list",
        "words",
        "Model tools to list: search (none), pinned, all, mine (own apps), or categories and globs over ids.",
        default="pinned",
        field="listed",
    ),
    Setting(
        "pin",
        "words",
        "Which models are pinned: globs over ids.",
        default="one or two for each task",
        field="pins",
    ),
    Setting(
        "only",
        "words",
        "Which models may be run at all: globs over ids.",
        default="*",
        commands=("serve", "run"),
    ),
    Setting(
        "toolsets",
        "words",
        "Which toolsets there are besides the models, or all.",
        default=",".join(TOOLSETS),
        choices=(*TOOLSETS, *MORE_TOOLSETS, "all"),
    ),
    Setting(
        "read_only",
        "switch",
        "Leave out and refuse everything but what only reads.",
        default="off",
        commands=("serve", "run", "jobs"),
    ),
    Setting(
        "page_size",
        "count",
        "Tools on one page of the list, for hosts that read no more than the first; 0 is all on one.",
        default="100",
        most=_LARGEST_PAGE,
    ),
    Setting(
        "max_cost",
        "money",
        "The most that one call may cost, in USD.",
        default="no limit",
        most=_MOST_MONEY,
        commands=("serve", "run"),
    ),
    Setting(
        "session_budget",
        "money",
        "The most that this server may spend until it ends, in USD.",
        default="no limit",
        most=_MOST_MONEY,
    ),
    Setting(
        "daily_budget",
        "money",
        "The most that may be spent on one UTC day, in USD.",
        default="no limit",
        most=_MOST_MONEY,
        commands=("serve", "run"),
    ),
    Setting(
        "daily_budget_each",
        "money",
        "The most that each of several callers may spend on one UTC day, in USD, unless they have a budget of their "
        "own.",
        default="no limit",
        most=_MOST_MONEY,
    ),
    Setting(
        "max_running",
        "count",
        "How many jobs may be at fal at once; more wait here, and callers take turns. 0 is no limit.",
        default="0",
        most=_MOST_JOBS,
    ),
    Setting(
        "max_running_each",
        "count",
        "The same for each of several callers.",
        default="0",
        most=_MOST_JOBS,
    ),
    Setting(
        "max_waiting",
        "count",
        "How many jobs may wait here for their turn; more are refused at once, with when to come back.",
        default="500",
        most=_MOST_JOBS,
    ),
    Setting(
        "approve_over",
        "money",
        "Ask the user about what costs more than this, in USD.",
        default="never ask",
        most=_MOST_MONEY,
        commands=("serve", "run"),
    ),
    Setting(
        "allow_unpriced",
        "switch",
        "Let through what cannot be priced although a limit is set.",
        default="off",
        commands=("serve", "run"),
    ),
    Setting(
        "allow_dir",
        "folders",
        "A folder whose files may be read; repeatable.",
        default="the current one, and over HTTP none",
        commands=("serve", "run"),
        must_exist=True,
        field="allow_dirs",
    ),
    Setting(
        "output_dir",
        "folder",
        "A folder that what comes out is saved in.",
        default="none; for run the current one",
        commands=("serve", "run", "jobs"),
    ),
    Setting(
        "secret_env",
        "names",
        "A variable whose value set_secret may send to fal; repeatable.",
        default="any but this server's own, and over HTTP none",
    ),
    Setting(
        "previews",
        "switch",
        "Whether the model sees small pictures of what came out.",
        default="on",
    ),
    Setting(
        "wait",
        "number",
        "Seconds that a call waits for its job before it answers with the job's id.",
        default="50",
        most=_LONGEST_WAIT,
    ),
    Setting(
        "task_grace",
        "number",
        "The same for a client that takes MCP tasks: after that it gets a task.",
        default="12",
        most=_LONGEST_WAIT,
        commands=(),
    ),
    Setting(
        "on_disconnect",
        "choice",
        "What becomes of a running job whose call breaks off.",
        default="detach",
        choices=("detach", "cancel"),
    ),
    Setting(
        "data_dir",
        "folder",
        "Where the ledger of paid work is kept.",
        default="the user's data folder",
        commands=("serve", "run", "jobs", "look"),
        field="data",
    ),
    Setting(
        "store",
        "store",
        "The PostgreSQL database that the ledger is kept in, for servers of several machines; needs fal-mcp[team].",
        default="a file in the data folder",
        commands=("serve", "run", "jobs", "look"),
    ),
    Setting(
        "state_keys",
        "secrets",
        "Secrets of 32 characters or more, the same at every server, that seal the state of questions: the first "
        "seals, all open. To change one, add the new one last everywhere, then put it first, then drop the old one.",
        default="with a store what follows from fal's key, else one for each start",
        commands=(),
    ),
    Setting(
        "record_arguments",
        "switch",
        "Whether the ledger keeps what models were given.",
        default="on",
        commands=("serve", "run"),
        field="records_arguments",
    ),
    Setting(
        "refresh_hours",
        "number",
        "How often fal's catalog is fetched anew, in hours, 0.1 or more; 0 is never.",
        default="6",
        most=_MOST_HOURS,
        least=_LEAST_HOURS,
    ),
    Setting(
        "models",
        "folder",
        "A folder of model documents in place of fal's live catalog.",
        default="none",
        commands=("serve", "run", "models", "emulate", "look"),
        must_exist=True,
    ),
    Setting(
        "tokens",
        "file",
        "The file of those who may call over HTTP; fal-mcp token makes it.",
        default="none: one person's server",
        commands=("serve", "token", "jobs", "look"),
    ),
    Setting(
        "issuer",
        "address",
        "The OAuth 2.1 issuer whose tokens are taken over HTTP, as it names itself.",
        default="none",
    ),
    Setting(
        "public_url",
        "address",
        "The address of MCP here as users have it, for which an issuer's tokens have to be.",
        default="none",
    ),
    Setting(
        "own_keys",
        "switch",
        "Over HTTP each caller pays with a fal key of its own, sent as X-Fal-Key.",
        default="off",
    ),
    Setting(
        "allow_host",
        "names",
        "A name that HTTP requests may be for, besides this machine's; repeatable.",
        default="none",
        field="allow_hosts",
    ),
    Setting(
        "allow_origin",
        "names",
        "An origin whose pages may call over HTTP, such as https://app.example.com; repeatable.",
        default="none",
        field="allow_origins",
    ),
    Setting(
        "trust_proxy",
        "count",
        "How many proxies stand before this server and write X-Forwarded-For.",
        default="0",
        most=_MOST_PROXIES,
    ),
    Setting(
        "log_format",
        "choice",
        "How the log on standard error is written: text for people, or JSON, one object a line.",
        default="text",
        choices=("text", "json"),
    ),
    Setting(
        "log_level",
        "choice",
        "From where on the log tells; info has a line for each request over HTTP and each step of a job.",
        default="info over HTTP, else warning",
        choices=("debug", "info", "warning", "error"),
    ),
    Setting(
        "fal_url",
        "address",
        "A stand-in for fal, with one path prefix per fal host below this URL.",
        default="fal itself",
        commands=("serve", "run", "jobs", "models", "look", "fal"),
        field="hosts",
    ),
)
BY_NAME: Mapping[str, Setting] = {setting.name: setting for setting in TABLE}


def taken_by(command: str) -> tuple[Setting, ...]:
    """The settings that a command takes as options."""
    return tuple(setting for setting in TABLE if command in setting.commands)
