"""`fal-mcp jobs` and `fal-mcp usage`."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from fal_mcp.cli.options import AsJson, Yes, help_alone, takes
from fal_mcp.cli.start import quiet, ran
from fal_mcp.json_values import JsonObject

jobs_app = typer.Typer(help="What was run: list, get, wait, cancel, save.")


Everybody = Annotated[
    bool,
    typer.Option("--all", help="Of everybody who shares this ledger, with whose it is; others' prompts are left out."),
]
Limit = Annotated[int, typer.Option(min=1, max=1000, help="How many, the newest first.")]


@jobs_app.callback(invoke_without_command=True)
@takes("jobs")
def jobs_command(
    chosen: JsonObject,
    context: typer.Context,
    limit: Limit = 20,
    everybody: Everybody = False,
    as_json: AsJson = False,
) -> None:
    """List what was run from this machine, unless a command is given."""
    if context.invoked_subcommand is None:
        _list(chosen, limit, everybody, as_json)


@jobs_app.command("list", short_help="List jobs with state and cost.")
@takes("jobs")
def list_jobs(chosen: JsonObject, limit: Limit = 20, everybody: Everybody = False, as_json: AsJson = False) -> None:
    """List jobs with what they were asked for, their state and cost."""
    _list(chosen, limit, everybody, as_json)


def _list(chosen: JsonObject, limit: int, everybody: bool, as_json: bool) -> None:
    from fal_mcp.terminal import everybody as all_jobs
    from fal_mcp.terminal import jobs

    raise typer.Exit(ran((all_jobs if everybody else jobs).listed, quiet(chosen), limit, as_json))


JobId = Annotated[str, typer.Argument(metavar="JOB", help="The job's id, or its beginning.")]


@jobs_app.command("get")
@takes("jobs")
def get_job(chosen: JsonObject, job_id: JobId, as_json: AsJson = False) -> None:
    """Say how a job stands, or what came out."""
    from fal_mcp.terminal import jobs

    raise typer.Exit(ran(jobs.look, quiet(chosen), job_id, as_json))


@jobs_app.command("wait", short_help="Wait for a job.")
@takes("jobs")
def wait_for_job(chosen: JsonObject, job_id: JobId, as_json: AsJson = False) -> None:
    """Wait for a job; Ctrl-C ends the waiting and not the job."""
    from fal_mcp.terminal import jobs

    raise typer.Exit(ran(jobs.wait, quiet(chosen), job_id, as_json))


@jobs_app.command("save", short_help="Save a job's files.")
@takes("jobs")
def save_job(chosen: JsonObject, job_id: JobId, as_json: AsJson = False) -> None:
    """Save a job's files in the current folder, or in --output-dir."""
    from fal_mcp.terminal import jobs

    settings = quiet(chosen)
    settings = replace(settings, output_dir=settings.output_dir or Path.cwd())
    raise typer.Exit(ran(jobs.save, settings, job_id, as_json))


@jobs_app.command("cancel", short_help="Cancel a job at fal.")
@takes("jobs")
def cancel_job(chosen: JsonObject, job_id: JobId, yes: Yes = False) -> None:
    """Cancel a job at fal. In the queue it then costs nothing; one that runs may be billed."""
    from fal_mcp.terminal import jobs

    raise typer.Exit(ran(jobs.cancel, quiet(chosen), job_id, yes))


ledger_app = typer.Typer(help="The ledger of paid work.")


@ledger_app.callback(invoke_without_command=True)
def ledger_commands(context: typer.Context) -> None:
    """The ledger of paid work."""
    help_alone(context)


@ledger_app.command("accept", short_help="Open the budgets again after damage.")
@takes("look")
def accept_ledger(chosen: JsonObject) -> None:
    """Open the budgets again after a damaged ledger was set aside."""
    from fal_mcp.terminal import jobs

    raise typer.Exit(ran(jobs.accept, quiet(chosen)))


@takes("look")
def usage(
    chosen: JsonObject,
    days: Annotated[int, typer.Option(min=1, max=30, help="How many days back.")] = 7,
    everybody: Annotated[
        bool, typer.Option("--all", help="By day and owner, of everybody who shares this ledger.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Say what was spent from this machine, by model."""
    from fal_mcp.terminal import everybody as all_jobs
    from fal_mcp.terminal import jobs

    raise typer.Exit(ran((all_jobs if everybody else jobs).usage, quiet(chosen), days, as_json))
