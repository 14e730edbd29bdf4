"""The command line: serve, run, jobs, models, demo, emulate, doctor. The one place that reads the environment."""

import functools
import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import anyio
import typer

from fal_mcp import __version__, bundled
from fal_mcp.config import MORE_TOOLSETS, TOOLSETS, Settings

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Every model on fal as a typed MCP tool. Without a command, serves on standard input and output.",
)

ALL_TOOLSETS = (*TOOLSETS, *MORE_TOOLSETS)
FalUrl = Annotated[str | None, typer.Option(help="A stand-in for fal, one path prefix per fal host below this URL.")]
ListOption = Annotated[
    str | None,
    typer.Option("--list", help="Model tools to list: search (none), pinned, all, or categories and globs."),
]
Toolsets = Annotated[
    str | None, typer.Option(help=f"Which toolsets there are besides the models: {', '.join(ALL_TOOLSETS)}, or all.")
]
ReadOnly = Annotated[bool | None, typer.Option(help="Leave out and refuse everything but what only reads.")]
Pin = Annotated[str | None, typer.Option(help="The models that are pinned: globs over ids, comma-separated.")]
Only = Annotated[str | None, typer.Option(help="What may be run at all: globs over ids, comma-separated.")]
PageSize = Annotated[float | None, typer.Option(help="Tools on one page of the list; 0: all. Default: 100.")]
Models = Annotated[Path | None, typer.Option(help="A folder of model documents in place of fal's live catalog.")]
AllowDir = Annotated[
    list[Path] | None,
    typer.Option(help="A folder whose files may be read; repeatable. Default: none over HTTP, else the current one."),
]
SecretEnv = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME",
        help="A variable whose value set_secret may send to fal; repeatable. Default: none over HTTP, else any.",
    ),
]
OutputDir = Annotated[Path | None, typer.Option(help="A folder that what comes out is saved in.")]
Previews = Annotated[bool | None, typer.Option(help="Whether the model sees small pictures of what came out.")]
DataDir = Annotated[Path | None, typer.Option(help="Where the ledger of paid work is kept.")]
Wait = Annotated[float | None, typer.Option(help="Seconds a call waits for its job before it answers with its id.")]
OnDisconnect = Annotated[
    str | None, typer.Option(help="What becomes of a running job whose call breaks off: detach or cancel.")
]
RecordArguments = Annotated[bool | None, typer.Option(help="Whether the ledger keeps what models were given.")]
MaxCost = Annotated[float | None, typer.Option(help="The most one call may cost, in USD.")]
SessionBudget = Annotated[float | None, typer.Option(help="The most this server may spend until it ends, in USD.")]
DailyBudget = Annotated[float | None, typer.Option(help="The most that may be spent on one UTC day, in USD.")]
ApproveOver = Annotated[float | None, typer.Option(help="Ask the user about what costs more than this, in USD.")]
AllowUnpriced = Annotated[bool | None, typer.Option(help="Let through what cannot be priced although a limit is set.")]
Hours = Annotated[float | None, typer.Option(help="How often fal's catalog is fetched anew; 0: never. Default: 6.")]


@app.callback(invoke_without_command=True)
def main_command(
    context: typer.Context,
    fal_url: FalUrl = None,
    listed: ListOption = None,
    toolsets: Toolsets = None,
    read_only: ReadOnly = None,
    pin: Pin = None,
    only: Only = None,
    page_size: PageSize = None,
    models: Models = None,
    refresh_hours: Hours = None,
    allow_dir: AllowDir = None,
    secret_env: SecretEnv = None,
    output_dir: OutputDir = None,
    previews: Previews = None,
    data_dir: DataDir = None,
    wait: Wait = None,
    on_disconnect: OnDisconnect = None,
    record_arguments: RecordArguments = None,
    max_cost: MaxCost = None,
    session_budget: SessionBudget = None,
    daily_budget: DailyBudget = None,
    approve_over: ApproveOver = None,
    allow_unpriced: AllowUnpriced = None,
    version: Annotated[bool, typer.Option("--version", help="Say the version and stop.")] = False,
) -> None:
    """Serve on standard input and output, unless a command is given."""
    if version:
        typer.echo(__version__)
    elif context.invoked_subcommand is None:
        chosen = {name: value for name, value in context.params.items() if name != "version"}
        _serve(None, **chosen)


@app.command()
def serve(
    context: typer.Context,
    fal_url: FalUrl = None,
    listed: ListOption = None,
    toolsets: Toolsets = None,
    read_only: ReadOnly = None,
    pin: Pin = None,
    only: Only = None,
    page_size: PageSize = None,
    models: Models = None,
    refresh_hours: Hours = None,
    allow_dir: AllowDir = None,
    secret_env: SecretEnv = None,
    output_dir: OutputDir = None,
    previews: Previews = None,
    data_dir: DataDir = None,
    wait: Wait = None,
    on_disconnect: OnDisconnect = None,
    record_arguments: RecordArguments = None,
    max_cost: MaxCost = None,
    session_budget: SessionBudget = None,
    daily_budget: DailyBudget = None,
    approve_over: ApproveOver = None,
    allow_unpriced: AllowUnpriced = None,
    http: Annotated[int | None, typer.Option(metavar="PORT", help="Serve HTTP on 127.0.0.1 instead; 0: any.")] = None,
) -> None:
    """Serve MCP: on standard input and output, or over HTTP on this machine with --http PORT."""
    chosen = {name: value for name, value in context.params.items() if name != "http"}
    _serve(http, **chosen)


def _serve(http: int | None, *, listed: str | None, **chosen: Any) -> None:
    settings = _settings(list=listed, **chosen)
    if http is None:
        settings = replace(
            settings,
            allow_dirs=settings.allow_dirs or _here(),
            may_ask_for_folders=True,
            secret_env=settings.secret_env or None,
        )
    _check_selection(settings)
    if http is None:
        from fal_mcp.server import stdio

        _run(stdio.serve, settings)
    else:
        from fal_mcp.server import http as over_http

        _run(over_http.serve, settings, http, _say_where)


@app.command()
def demo(
    out: Annotated[Path | None, typer.Option(help="Where the files go; default: ./fal-mcp-demo.")] = None,
) -> None:
    """Show the whole thing without a key: a local fal, this server, and three models called over MCP."""
    from fal_mcp import demo as show

    raise typer.Exit(anyio.run(show.run, out or Path("fal-mcp-demo")))


@app.command()
def emulate(
    port: Annotated[int, typer.Option(help="The port on 127.0.0.1; 0 takes any that is free.")] = 0,
    models: Models = None,
) -> None:
    """Run a local stand-in for fal: queue, results, storage and catalog. Its key is 'emulator:emulator'."""
    from fal_mcp import emulator

    folder = _settings(models=models).models or bundled.schemas() / "models"
    _run(_emulate, emulator.Emulator(models_dirs=[folder]), port)


Pairs = Annotated[list[str] | None, typer.Argument(metavar="KEY=VALUE…", help="Arguments; KEY:=JSON for JSON.")]


@app.command(name="run")
def run_model(
    endpoint_id: str,
    pairs: Pairs = None,
    stream: Annotated[bool, typer.Option("--stream", help="Stream it, for models that stream.")] = False,
    sync: Annotated[bool, typer.Option("--sync", help="Run it without the queue, for fast models.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the whole answer as JSON.")] = False,
    batch: Annotated[Path | None, typer.Option(help="A file with one JSON object of arguments a line.")] = None,
    fal_url: FalUrl = None,
    models: Models = None,
    output_dir: OutputDir = None,
    data_dir: DataDir = None,
    max_cost: MaxCost = None,
    approve_over: ApproveOver = None,
    allow_unpriced: AllowUnpriced = None,
) -> None:
    """Run a model and save what comes out in the current folder, or in --output-dir."""
    from fal_mcp.terminal import run

    settings = _settings(
        fal_url=fal_url,
        models=models,
        output_dir=output_dir or Path.cwd(),
        data_dir=data_dir,
        max_cost=max_cost,
        approve_over=approve_over,
        allow_unpriced=allow_unpriced,
        refresh_hours=0.0,
    )
    settings = replace(settings, allow_dirs=(Path.cwd(),), may_ask_for_folders=True)
    try:
        given = run.arguments_of(pairs or [])
        runs = run.batch_of(batch, given) if batch else [given]
    except (ValueError, OSError) as error:
        typer.echo(f"The arguments cannot be read: {error}", err=True)
        raise typer.Exit(2) from error
    mode = "stream" if stream else "sync" if sync else "queue"
    work = functools.partial(run.run, settings, endpoint_id, runs, mode=mode, as_json=as_json)
    try:
        code = anyio.run(work)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    raise typer.Exit(code)


@app.command(name="jobs")
def list_jobs(
    fal_url: FalUrl = None,
    data_dir: DataDir = None,
    limit: Annotated[int, typer.Option(help="How many, the newest first.")] = 20,
) -> None:
    """List what was run from this machine, with its state and cost."""
    import anyio

    from fal_mcp.errors import FalError
    from fal_mcp.jobs.job import Job, owner_of
    from fal_mcp.jobs.ledger import Ledger

    settings = _settings(fal_url=fal_url, data_dir=data_dir)
    owner = owner_of(settings.key)

    async def listed() -> list[Job]:
        ledger = Ledger(settings.ledger_file, first_owner=owner if settings.key else None)
        try:
            return await ledger.listed(owner, limit=limit)
        finally:
            await ledger.aclose()

    try:
        jobs = anyio.run(listed)
    except FalError as error:
        typer.echo(f"{error.message} {error.hint}", err=True)
        raise typer.Exit(1) from None
    if not settings.key:
        typer.echo("Jobs are kept by key, and FAL_KEY is not set here.", err=True)
    for job in jobs:
        cost = f"{job.cost:.4g} USD" if job.cost is not None else "cost not known"
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(job.created))
        typer.echo(f"{when}  {job.state:<9}  {job.endpoint_id}  {cost}  {job.job_id}")


ledger_app = typer.Typer(help="The ledger of paid work.", no_args_is_help=True)
app.add_typer(ledger_app, name="ledger")


@ledger_app.callback()
def ledger_commands() -> None:
    """The ledger of paid work."""


@ledger_app.command("accept")
def accept_ledger(fal_url: FalUrl = None, data_dir: DataDir = None) -> None:
    """Open the budgets again after a damaged ledger was set aside."""
    import anyio

    from fal_mcp.errors import FalError
    from fal_mcp.jobs.ledger import Ledger

    async def accept() -> str | None:
        ledger = Ledger(_settings(fal_url=fal_url, data_dir=data_dir).ledger_file)
        try:
            return await ledger.accept()
        finally:
            await ledger.aclose()

    try:
        aside = anyio.run(accept)
    except FalError as error:
        typer.echo(f"{error.message} {error.hint}", err=True)
        raise typer.Exit(1) from None
    typer.echo(f"Budgets are open again. What was damaged is in {aside}." if aside else "Nothing was set aside.")


webhook_app = typer.Typer(help="fal's callbacks.", no_args_is_help=True)
app.add_typer(webhook_app, name="webhook")


@webhook_app.callback()
def webhook_commands() -> None:
    """fal's callbacks."""


@webhook_app.command("verify")
def verify_webhook(
    headers: Annotated[Path, typer.Argument(help="A JSON object of the delivery's headers.")],
    body: Annotated[Path, typer.Argument(help="The delivery's body, byte for byte.")],
    fal_url: FalUrl = None,
) -> None:
    """Check with fal's published keys that a saved delivery is fal's; within five minutes of it."""
    from fal_mcp.terminal import webhook

    raise typer.Exit(anyio.run(webhook.verify, _settings(fal_url=fal_url), headers, body))


models_app = typer.Typer(help="fal's catalog as this machine has it.", no_args_is_help=True)
app.add_typer(models_app, name="models")


@models_app.command("refresh")
def refresh_models(fal_url: FalUrl = None) -> None:
    """Fetch fal's catalog now."""
    from fal_mcp.terminal import refresh

    raise typer.Exit(anyio.run(refresh.run, _settings(fal_url=fal_url)))


@models_app.command("search")
def search_models(query: str, fal_url: FalUrl = None, models: Models = None, limit: int = 10) -> None:
    """Find models for a task in plain words."""
    from fal_mcp.catalog.catalog import Catalog
    from fal_mcp.catalog.search import Search
    from fal_mcp.engine import source_of

    catalog = Catalog(source_of(_settings(fal_url=fal_url, models=models)))
    for hit in Search(catalog, catalog.ids).find(query)[:limit]:
        endpoint = catalog.get(hit.endpoint_id)
        typer.echo(f"{hit.endpoint_id}  {endpoint.description[:90] if endpoint else ''}")


@app.command(name="doctor")
def say_what_is_set(fal_url: FalUrl = None, models: Models = None) -> None:
    """Say what is set, name every model document that gives no tool, and what fal changed in its Platform API."""
    from fal_mcp.terminal import doctor

    anyio.run(doctor.run, _settings(fal_url=fal_url, models=models))


def _here() -> tuple[Path, ...]:
    """The current folder, unless it is one that holds everything or was deleted under us."""
    try:
        here = Path.cwd()
    except FileNotFoundError:
        return ()
    return () if here in (Path.home(), Path(here.anchor)) else (here,)


def _check_selection(settings: Settings) -> None:
    """Name what in --list and --only means nothing. Words that always mean something cost no look at the catalog."""
    if set(settings.listed) <= {"search", "pinned", "all"} and settings.only == ("*",):
        return
    from fal_mcp.catalog.catalog import Catalog
    from fal_mcp.engine import source_of
    from fal_mcp.toolsets.selection import Selection

    selection = Selection(settings.listed, settings.pins, settings.only)
    if problems := selection.problems(Catalog(source_of(settings))):
        typer.echo(f"fal-mcp cannot start: {' '.join(problems)}", err=True)
        raise typer.Exit(2)


async def _emulate(fal: Any, port: int) -> None:
    from fal_mcp.emulator import serve as serve_emulator

    async with serve_emulator(fal, port=port) as url:
        typer.echo(f"A local fal is listening on {url} (key: emulator:emulator). Stop it with Ctrl-C.")
        await anyio.sleep_forever()


def _say_where(url: str) -> None:
    typer.echo(f"Serving MCP on {url}", err=True)


def _settings(**chosen: Any) -> Settings:
    try:
        return Settings.from_env(os.environ, **chosen)
    except ValueError as error:
        typer.echo(f"fal-mcp cannot start: {error}", err=True)
        raise typer.Exit(2) from error


def _run(function: Any, *arguments: Any) -> None:
    try:
        anyio.run(function, *arguments)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


def main() -> None:
    """The console script."""
    app()
