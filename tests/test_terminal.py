"""The command line: the same engine for somebody at a terminal, with words and exit codes for people and scripts."""

import json
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest

from fal_mcp.config import Settings
from fal_mcp.emulator import Emulator, Failure, Reply, Script
from fal_mcp.errors import NotReadable
from fal_mcp.machine.key_store import KeyStore
from fal_mcp.outputs.outcome import Outcome
from fal_mcp.terminal import jobs, models, run
from fal_mcp.terminal.run import arguments_of
from tests.conftest import KEY, UNKNOWN_KEY

FLUX = "fal-ai/flux/dev"
BOUND = 60
Capsys = pytest.CaptureFixture[str]


async def fal_mcp(settings: Settings, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    root = settings.hosts.queue.removesuffix("/queue")
    command = [sys.executable, "-m", "fal_mcp", *arguments, "--fal-url", root, "--data-dir", str(folder / "data")]
    environment = {"FAL_KEY": settings.key or "", "PATH": "/usr/bin:/bin", "HOME": str(folder)}
    environment["PYTHONPATH"] = ":".join(sys.path)

    def run() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False
        )

    return await anyio.to_thread.run_sync(run)


async def test_a_model_runs_and_its_file_is_saved_here(fal: Emulator, settings: Settings, tmp_path: Path):
    done = await fal_mcp(settings, tmp_path, "run", FLUX, "prompt=a pier", "num_inference_steps=4", "seed=7")
    assert done.returncode == 0, done.stderr
    (job,) = fal.jobs.values()
    assert job.input == {"prompt": "a pier", "num_inference_steps": 4, "seed": 7}
    assert await anyio.Path(tmp_path / "flux-dev_a-pier_7-1.png").is_file()
    listed = await fal_mcp(settings, tmp_path, "jobs")
    assert "completed" in listed.stdout and FLUX in listed.stdout


async def test_json_is_for_scripts(fal: Emulator, settings: Settings, tmp_path: Path):
    done = await fal_mcp(settings, tmp_path, "run", FLUX, "prompt=x", "--json")
    assert json.loads(done.stdout)["status"] == "completed"


async def test_a_batch_reads_a_line_a_run(fal: Emulator, settings: Settings, tmp_path: Path):
    await anyio.Path(tmp_path / "b.jsonl").write_text('{"prompt": "a"}\n{"prompt": "b"}\n', "utf-8")
    done = await fal_mcp(settings, tmp_path, "run", FLUX, "seed=1", "--batch", "b.jsonl", "--json")
    assert done.returncode == 0 and len(json.loads(done.stdout)["items"]) == 2
    assert sorted(job.input["prompt"] for job in fal.jobs.values()) == ["a", "b"]


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["run", FLUX, "prompt=x", "num_images=99"], 2, "$.num_images"),
        (["run", FLUX, "prompt"], 2, "key=value"),
        (["run", "fal-ai/no-such", "prompt=x"], 1, "not found"),
        (["run", FLUX, "prompt=x", "--max-cost", "0.001"], 1, "--max-cost"),
    ],
)
async def test_what_is_wrong_is_said_with_an_exit_code(
    fal: Emulator, settings: Settings, tmp_path: Path, arguments: list[str], code: int, says: str
):
    done = await fal_mcp(settings, tmp_path, *arguments)
    assert (done.returncode, says in done.stderr) == (code, True), done.stderr
    assert fal.jobs == {} and "Traceback" not in done.stderr


async def test_a_failure_is_an_exit_code_too(fal: Emulator, settings: Settings, tmp_path: Path):
    fal.script(FLUX, Script(failure=Failure()))
    done = await fal_mcp(settings, tmp_path, "run", FLUX, "prompt=x")
    assert done.returncode == 1 and "Internal Server Error" in done.stderr


@pytest.fixture
def mine(settings: Settings, tmp_path: Path) -> Settings:
    """Settings of a command: a ledger and an output folder of its own."""
    out = tmp_path / "out"
    return replace(settings, data=tmp_path / "data", output_dir=out, refresh_hours=0.0, may_ask_for_folders=True)


def release(fal: Emulator) -> None:
    """Let every held job go on."""
    for job in fal.jobs.values():
        job.release()


async def ran(settings: Settings, *pairs: str, began: list[str] | None = None, **wish: Any) -> int:
    with anyio.fail_after(BOUND):
        return await run.run(settings, run.Wish(FLUX, list(pairs), **wish), [] if began is None else began)


async def test_nothing_is_begun_where_nothing_can_be_saved(fal: Emulator, mine: Settings, capsys: Capsys):
    for name in ("output_dir", "data"):
        code = await ran(replace(mine, **{name: Path("/proc/nowhere")}), "prompt=x")
        assert code == 1 and "/proc/nowhere" in capsys.readouterr().err
    assert fal.jobs == {}


async def test_what_is_begun_and_left_is_found_waited_for_and_saved(fal: Emulator, mine: Settings, capsys: Capsys):
    fal.script(FLUX, Script(hold_running=True))
    began: list[str] = []
    assert await ran(mine, "prompt=a pier", is_detached=True, began=began) == 0
    assert began[0] in capsys.readouterr().out
    short = began[0].removeprefix("job_")[:8]
    assert await jobs.listed(mine, 20, False) == 0
    line = capsys.readouterr().out
    assert "a pier" in line and "$0.0" in line and began[0] in line
    release(fal)
    assert await jobs.save(mine, short, False) == 0
    assert "Saved as" in capsys.readouterr().out and len(fal.jobs) == 1
    assert await jobs.listed(mine, 20, True) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["state"], row["prompt"]) == ("completed", "a pier") and row["saved"]
    assert await jobs.look(mine, short, True) == 0
    assert json.loads(capsys.readouterr().out)["status"] == "completed"
    assert await jobs.cancel(mine, short, True) == 1 and "already" in capsys.readouterr().out


async def test_a_job_is_cancelled_by_the_beginning_of_its_id(fal: Emulator, mine: Settings, capsys: Capsys):
    fal.script(FLUX, Script(hold_in_queue=True))
    began: list[str] = []
    await ran(mine, "prompt=x", is_detached=True, began=began)
    assert await jobs.cancel(replace(mine, read_only=True), began[0], True) == 1, "cancelling is more than reading"
    assert await jobs.cancel(mine, began[0][:12], True) == 0
    assert await jobs.look(mine, "job_nothing", False) == 1
    assert "fal-mcp jobs" in capsys.readouterr().err


async def test_a_run_asks_first_and_can_be_told_yes(fal: Emulator, mine: Settings, capsys: Capsys):
    dear = replace(mine, approve_over=0.0)
    assert await ran(dear, "prompt=x") == 1
    said = capsys.readouterr().err
    assert "--yes" in said and "--approve-over" in said and "the user" not in said and fal.jobs == {}
    assert await ran(dear, "prompt=x", says_yes=True) == 0 and len(fal.jobs) == 1


async def test_the_same_again_is_joined_and_fresh_runs_anew(fal: Emulator, mine: Settings):
    fal.script(FLUX, Script(hold_running=True))
    for is_fresh in (False, False, True):
        await ran(mine, "prompt=x", "seed=1", is_detached=True, is_fresh=is_fresh)
    assert len(fal.jobs) == 2
    release(fal)


async def test_a_batch_says_where_each_is_and_what_it_cost(
    fal: Emulator, mine: Settings, tmp_path: Path, capsys: Capsys
):
    file = tmp_path / "b.jsonl"
    await anyio.Path(file).write_text('\ufeff{"prompt": "a"}\n\n{"prompt": "b"}\n', "utf-8")
    assert await ran(mine, batch=file) == 0
    said = capsys.readouterr().out
    assert said.count("Saved as") == 2 and "2 runs, about $0.04." in said
    await anyio.Path(file).write_text('{"prompt": "a"}\n{"prompt": "b"\n', "utf-8")
    assert await ran(mine, batch=file) == 2 and "Line 2 is no JSON" in capsys.readouterr().err


async def test_a_failure_in_a_batch_is_that_ones_alone(fal: Emulator, mine: Settings, tmp_path: Path, capsys: Capsys):
    fal.script(FLUX, Script(failure=Failure()))
    file = tmp_path / "b.jsonl"
    await anyio.Path(file).write_text('{"prompt": "a"}\n{"prompt": "b"}\n', "utf-8")
    assert await ran(mine, batch=file, as_json=True) == 1
    assert [item["status"] for item in json.loads(capsys.readouterr().out)["items"]] == ["failed", "failed"]


def test_json_is_json_whatever_a_model_says(mine: Settings, capsys: Capsys):
    output = {"score": float("nan"), "most": float("inf"), "text": "a\ud83d\x1b[2Jb", "[bold]": 1}
    outcome = Outcome(data={"status": "completed", "output": output})
    assert run.report([outcome], run.Wish(FLUX, [], as_json=True), mine) == 0

    def refuse(name: str) -> float:
        raise AssertionError(name)

    assert json.loads(capsys.readouterr().out, parse_constant=refuse)["output"]["score"] is None


async def test_what_a_model_says_cannot_draw_on_the_screen(fal: Emulator, mine: Settings, capsys: Capsys):
    fal.script(FLUX, Script(output={"text": "red \x1b[31m\u202egnp [bold]x[/bold]", "output": "\x9b2J"}))
    await ran(mine, "prompt=x")
    said = capsys.readouterr().out
    assert "\x1b" not in said and "\u202e" not in said and "\x9b" not in said and "[bold]x[/bold]" in said


async def test_usage_sums_by_model(fal: Emulator, mine: Settings, capsys: Capsys):
    await ran(mine, "prompt=x")
    # What fal refuses is no run.
    fal.script(FLUX, Script(submit=Reply(status=403, body={"detail": "No access to this model."})))
    await ran(mine, "prompt=y")
    capsys.readouterr()
    assert await jobs.usage(mine, 7, True) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["models"][0]["runs"] == 1 and said["usd"] > 0


async def interrupted(settings: Settings, folder: Path, fal: Emulator, *arguments: str) -> tuple[int, str]:
    """The command, ended by Ctrl-C once fal has a job."""
    root = settings.hosts.queue.removesuffix("/queue")
    environment = {"FAL_KEY": settings.key or "", "PATH": "/usr/bin:/bin", "HOME": str(folder)}
    environment |= {"PYTHONPATH": ":".join(sys.path), "FAL_MCP_URL": root, "FAL_MCP_DATA_DIR": str(folder / "data")}
    command = [sys.executable, "-m", "fal_mcp", *arguments]
    process = await anyio.open_process(command, cwd=folder, env=environment, stdin=subprocess.DEVNULL)
    async with process:
        assert process.stderr is not None
        with anyio.fail_after(BOUND):
            # It follows the job by its status stream from the moment that it waits for it.
            await fal.until(lambda: any("/status" in call.path for call in fal.calls))
            await fal.until(lambda: any(job.state == "IN_PROGRESS" for job in fal.jobs.values()))
            said = await process.stderr.receive()
            process.send_signal(signal.SIGINT)
            async for chunk in process.stderr:
                said += chunk
            return await process.wait(), said.decode()


async def test_an_interrupt_says_what_goes_on_and_how_to_get_at_it(fal: Emulator, settings: Settings, tmp_path: Path):
    fal.script(FLUX, Script(hold_running=True))
    code, said = await interrupted(settings, tmp_path, fal, "run", FLUX, "prompt=x")
    assert code == 130 and "Traceback" not in said
    assert "goes on at fal and is billed" in said and "-m fal_mcp jobs wait job_" in said
    release(fal)


@pytest.mark.parametrize(
    ("arguments", "env", "code", "says"),
    [
        (["run", FLUX, "prompt=x"], {"FAL_MCP_READ_ONLY": "1"}, 2, "--read-only"),
        (["run", FLUX, "prompt=x"], {"FAL_MCP_MAX_COTS": "0.0001"}, 2, "FAL_MCP_MAX_COST?"),
        (["run", FLUX, "prompt=x"], {"FAL_MCP_MAX_COST": "0.0001"}, 1, "$0.0001"),
        (["run", FLUX, "prompt=x"], {"FAL_MCP_OUTPUT_DIR": "/proc/x"}, 1, "/proc/x"),
        (["run", FLUX, "prompt=x"], {"HOME": "/dev/null"}, 1, "/dev/null"),
        (["run", FLUX, "prompt=x"], {"FAL_KEY": "'a:b'"}, 2, "quotes"),
        (["run", FLUX, "prompt=x"], {"ALL_PROXY": "socks5://127.0.0.1:1"}, 1, "ALL_PROXY"),
        (["run", FLUX, "prompt=x", "--sync", "--batch", "b"], {}, 2, "--sync"),
        (["run", FLUX, "prompt=x", "--max-cost", "nan"], {}, 2, "--max-cost is nan"),
        (["jobs"], {"HOME": "/dev/null"}, 1, "/dev/null"),
        (["jobs", "--limit", "-1"], {}, 2, "--limit"),
        (["serve", "--http", "99999"], {}, 2, "--http"),
        (["serve", "--data-dir", "/proc/x"], {}, 2, "/proc/x"),
        (["serve", "--http", "PORT"], {}, 1, "The port is in use"),
        (["emulate", "--port", "PORT"], {}, 1, "The port is in use"),
        (["emulate", "--speed", "warp"], {}, 2, "instant, quick, real"),
        (["demo", "--out", "/proc/x"], {}, 1, "/proc/x"),
        (["models", "show", "fal-ai/flux/def"], {}, 1, "fal-ai/flux/dev"),
        (["models", "search", "zzzzqqq"], {}, 1, "Nothing among"),
        (["whoami"], {"FAL_KEY": ""}, 1, "set FAL_KEY"),
        (["webhook", "verify", "/nonexistent", "/nonexistent"], {}, 2, "cannot be read"),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_whatever_is_wrong_is_a_sentence_and_an_exit_code(
    fal: Emulator, settings: Settings, tmp_path: Path, arguments: list[str], env: dict[str, str], code: int, says: str
):
    root = settings.hosts.queue.removesuffix("/queue")
    arguments = [root.rsplit(":")[-1] if each == "PORT" else each for each in arguments]
    whole = {"FAL_KEY": settings.key or "", "PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "FAL_MCP_URL": root}
    whole |= {"PYTHONPATH": ":".join(sys.path), **env}
    command = [sys.executable, "-m", "fal_mcp", *arguments]

    def go() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=tmp_path,
            env=whole,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            stdin=subprocess.DEVNULL,
        )

    done = await anyio.to_thread.run_sync(go)
    assert (done.returncode, says in done.stderr) == (code, True), done.stderr
    assert "Traceback" not in done.stderr and fal.jobs == {}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--pin", "nope/*"], "Of --pin: 'nope/*' is no model of the catalog."),
        (["--pin", "fal-ai/flux/dev", "--pin", "fal-ai/flux/dve"], "Did you mean 'fal-ai/flux/dev'"),
        (["--only", "all"], "cannot start: 'all' is no model"),
        (["--only", "text-to-image"], "cannot start: 'text-to-image' is no model"),
        (["--list", "nope"], "cannot start: 'nope' is neither a category nor a model"),
        (["--pin", "fal-ai/flux/dev", "--list", "text-to-image"], ""),
    ],
)
async def test_what_names_no_model_is_said_at_the_start(
    settings: Settings, tmp_path: Path, options: list[str], said: str
):
    result = await fal_mcp(settings, tmp_path, "serve", *options)
    assert said in result.stderr if said else "no model" not in result.stderr


SCREENS: dict[str, dict[str, str]] = {
    "ascii": {"LANG": "C", "PYTHONIOENCODING": "ascii"},
    "latin": {"PYTHONIOENCODING": "latin-1"},
    "strict": {"PYTHONIOENCODING": "ascii:strict"},
    "no columns": {"COLUMNS": "0"},
    "odd columns": {"COLUMNS": "\u00b2", "LINES": "-1"},
    "few columns": {"COLUMNS": "3"},
    "unknown terminal": {"TERM": "nonsense"},
}


@pytest.mark.parametrize("screen", SCREENS)
@pytest.mark.parametrize("command", [["jobs"], ["models", "show", FLUX]])
def test_whatever_the_screen_is_something_is_said(tmp_path: Path, screen: str, command: list[str]):
    env = {"FAL_KEY": KEY, "PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "PYTHONPATH": ":".join(sys.path)}
    whole = {**env, "FAL_MCP_URL": "http://127.0.0.1:9", **SCREENS[screen]}
    line = [sys.executable, "-m", "fal_mcp", *command]
    done = subprocess.run(line, env=whole, cwd=tmp_path, capture_output=True, timeout=BOUND, check=False)
    assert (
        (done.stdout + done.stderr).strip()
        and b"should not have" not in done.stderr
        and b"Traceback" not in done.stderr
    )


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no full device here")
def test_a_full_disk_behind_the_output_is_one_sentence(tmp_path: Path):
    env = {"FAL_KEY": KEY, "PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "PYTHONPATH": ":".join(sys.path)}
    line = [sys.executable, "-m", "fal_mcp", "models", "show", FLUX]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(line, env=env, stdout=full, stderr=subprocess.PIPE, timeout=BOUND, check=False)
    assert done.returncode == 1 and done.stderr.decode().splitlines() == ["The disk is full."]


async def test_help_of_a_run_lists_the_models_own_arguments(settings: Settings, tmp_path: Path):
    done = await fal_mcp(settings, tmp_path, "run", FLUX, "--help")
    assert "num_inference_steps  integer, 1 to 50, default 28" in done.stdout and "--detach" in done.stdout


def test_a_model_is_shown_with_what_it_takes_and_an_example(starter: Path, capsys: Capsys):
    assert models.show(Settings(models=starter), FLUX, False) == 0
    said = capsys.readouterr().out
    assert "prompt  string, required" in said and "Example:\n  fal-mcp run fal-ai/flux/dev prompt=" in said
    assert models.show(Settings(models=starter), FLUX, True) == 0
    assert json.loads(capsys.readouterr().out)["arguments"]["properties"]["prompt"]
    assert models.search(Settings(models=starter), "animate a photo", 3, True) == 0
    assert len(json.loads(capsys.readouterr().out)) == 3


def test_a_key_is_kept_in_the_keychain_or_in_a_file_of_ones_own(tmp_path: Path):
    class Chain:
        def __init__(self, is_locked: bool = False) -> None:
            self.kept: dict[tuple[str, str], str] = {}
            self.is_locked = is_locked

        def get_password(self, service: str, user: str) -> str | None:
            return self.kept.get((service, user))

        def set_password(self, service: str, user: str, password: str) -> None:
            if self.is_locked:
                raise RuntimeError("locked")
            self.kept[(service, user)] = password

        def delete_password(self, service: str, user: str) -> None:
            del self.kept[(service, user)]

    chain, locked = Chain(), Chain(is_locked=True)
    assert KeyStore(tmp_path / "a", chain).keep("a:b") == "the system's keychain"
    assert "a:b" not in (tmp_path / "a" / "key.json").read_text() and KeyStore(tmp_path / "a", chain).key() == "a:b"
    assert (
        KeyStore(tmp_path / "a", chain).forget() and chain.kept == {} and KeyStore(tmp_path / "a", chain).key() is None
    )
    assert "only you can read" in KeyStore(tmp_path / "b", locked).keep("a:b")
    assert KeyStore(tmp_path / "b").key() == "a:b" and KeyStore(tmp_path / "b").forget()
    assert not KeyStore(tmp_path / "b").forget()
    for damaged in ("{", "[" * 16_000):
        (tmp_path / "b" / "key.json").write_text(damaged)
        with pytest.raises(NotReadable, match="it is damaged"):
            KeyStore(tmp_path / "b").key()


async def test_login_tries_the_key_and_keeps_it_only_if_fal_takes_it(settings: Settings, tmp_path: Path):
    root = settings.hosts.queue.removesuffix("/queue")
    whole = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "PYTHONPATH": ":".join(sys.path), "FAL_MCP_URL": root}
    file = tmp_path / ".config" / "fal-mcp" / "key.json"

    async def typed(command: str, text: str) -> subprocess.CompletedProcess[str]:
        steps = [sys.executable, "-m", "fal_mcp", command]

        def go() -> subprocess.CompletedProcess[str]:
            return subprocess.run(
                steps, cwd=tmp_path, env=whole, capture_output=True, text=True, timeout=60, check=False, input=text
            )

        return await anyio.to_thread.run_sync(go)

    for text, code, says in (
        ("\n", 2, "No key was given"),
        ('"a:b"\n', 2, "quotes"),
        (f"{UNKNOWN_KEY}\n", 1, "does not take this key"),
    ):
        done = await typed("login", text)
        assert (done.returncode, says in done.stderr, file.exists()) == (code, True, False), done.stderr
    done = await typed("login", f"{KEY}\n")
    assert done.returncode == 0 and "scope API" in done.stdout and KEY not in done.stdout
    assert file.stat().st_mode & 0o777 == 0o600
    assert (await typed("logout", "")).returncode == 0 and not file.exists()


def test_pairs_are_text_unless_they_say_json():
    found: dict[str, Any] = arguments_of(["prompt=a=b", 'loras:=[{"path": "x"}]', "seed=7"])
    assert found == {"prompt": "a=b", "loras": [{"path": "x"}], "seed": "7"}
    with pytest.raises(ValueError, match="key=value"):
        arguments_of(["prompt"])
