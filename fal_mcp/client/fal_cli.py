"""fal's own command line, run as a program for what no API of fal's can do: deploy, scale, and set secrets.

The key goes to it in its environment, which holds little else: what it runs sees none of this server's other secrets.
"""

import json
import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from pathlib import Path

import anyio
import anyio.abc

from fal_mcp.client.hints import NO_KEY
from fal_mcp.errors import MaybeReceived, NotAuthorised, RequestRejected, Unreachable
from fal_mcp.text import cut, one_line

_KEPT = 200
"""Lines of what it says."""
_LONGEST_LINE = 500
_LONGEST_PIECE = 64 * 1024
_SHOWN = 8
_GOODBYE_SECONDS = 5
_PASSED_ON = (
    *("PATH", "HOME", "USER", "LANG", "LC_ALL", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR"),
    *("HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "https_proxy", "http_proxy", "no_proxy"),
    *("SYSTEMROOT", "USERPROFILE", "APPDATA", "LOCALAPPDATA", "TEMP", "TMP"),
)
"""What a program needs to find its files, its language and the network."""
_PLAIN = {"NO_COLOR": "1", "TERM": "dumb", "COLUMNS": "400", "PYTHONIOENCODING": "utf-8", "PYTHONUNBUFFERED": "1"}


_MAY_BE = "What it had begun at fal may be there all the same: list_app_events shows it. Look before you repeat it."
_SECRET_SECONDS = 60.0
_READS_ITS_ARGUMENTS = "import json, sys; from fal.cli import main; sys.exit(main(json.load(sys.stdin)))"


def _none(name: str) -> None:
    return None


async def _unheard(line: str) -> None:
    return


@dataclass(frozen=True, slots=True)
class Said:
    """The last lines that it said, cleaned and without the key, and how many there were."""

    lines: tuple[str, ...]
    count: int


class FalCli:
    """fal's command line: the `command` that is it, where it is installed. `variable` looks up what is passed on."""

    def __init__(
        self, command: Sequence[str] | None, key: str | None, variable: Callable[[str], str | None] = _none
    ) -> None:
        self._command = command
        self._key = key
        self._variable = variable

    def need(self) -> None:
        """Refuse, before anybody is asked anything, what cannot be run.

        Raises:
            RequestRejected: it is not installed; the hint says how it is.
            NotAuthorised: there is no key.
        """
        if self._command is None:
            raise RequestRejected(
                "This needs fal's own command line, which is not installed beside this server, and knows no stand-in.",
                hint="Whoever runs the server can install it with: pip install 'fal-mcp[serverless]'. Without it, "
                "`fal deploy` and `fal apps scale` do the same in a terminal.",
            )
        if self._key is None:
            raise NotAuthorised(NO_KEY)

    @property
    def is_there(self) -> bool:
        """Whether it can be run at all."""
        return self._command is not None and self._key is not None

    async def set_secret(self, name: str, value: str) -> None:
        """Give a secret of the account's apps a value. It is among nobody's arguments, and in nothing that is told.

        Raises:
            RequestRejected: it failed; what it said is not told, as it may hold the value.
            Unreachable: it took too long.
        """
        # `fal secrets set` takes the value among its arguments, which every user of the machine may read: so Python is
        # started in its place, and has fal's command line read the same words from its standard input.
        command = tuple(self._command or ())
        if command[-2:] != ("-m", "fal"):
            raise RequestRejected("This command line of fal's takes a value only where others can read it.")
        words = json.dumps(["secrets", "set", f"{name}={value}"]).encode()
        same = FalCli((*command[:-2], "-c", _READS_ITS_ARGUMENTS), self._key, self._variable)
        try:
            await same.run((), _unheard, seconds=_SECRET_SECONDS, folder=None, standard_input=words)
        except RequestRejected:
            raise RequestRejected(
                f"The secret {name!r} was not set: fal's command line failed.",
                hint="The user can see why with `fal secrets list` in a terminal, which needs the same key.",
            ) from None
        except Unreachable:
            raise MaybeReceived(
                f"Whether the secret {name!r} was set is not known: fal's command line took too long and was ended.",
                hint="Set it again: the same value twice changes nothing. list_secrets shows when it was set.",
                retryable=True,
            ) from None

    async def run(
        self,
        arguments: Sequence[str],
        say: Callable[[str], Awaitable[None]],
        *,
        seconds: float,
        folder: Path | None,
        standard_input: bytes | None = None,
    ) -> Said:
        """Run it with these arguments in `folder`, each line it says told to `say`. It, and all that it began, is
        killed when the time is up or the call is cancelled.

        Raises:
            RequestRejected: it failed; the message has its last words.
            Unreachable: it took longer than `seconds`.
        """
        self.need()
        lines, count, code = deque[str](maxlen=_KEPT), 0, None
        process = await self._started(arguments, folder, has_input=standard_input is not None)
        try:
            with anyio.move_on_after(seconds):
                if standard_input is not None:
                    await _handed(process, standard_input)
                async with aclosing(_lines(process)) as output:
                    async for whole in output:
                        # Cleaned first: a key with something invisible in it is a key all the same.
                        if line := cut(self._without_key(one_line(whole, len(whole))), _LONGEST_LINE):
                            lines.append(line)
                            count += 1
                            await say(line)
                code = await process.wait()
        finally:
            with anyio.move_on_after(_GOODBYE_SECONDS, shield=True):
                if code is None:
                    _kill(process)
                await process.aclose()
        if code is None:
            raise Unreachable(
                f"fal's command line took longer than {seconds:.0f} s and was ended. {_last(lines)}",
                hint=_MAY_BE,
                retryable=False,
            )
        if code != 0:
            raise RequestRejected(f"fal's command line failed with exit code {code}. {_last(lines)}", hint=_MAY_BE)
        return Said(tuple(lines), count)

    async def _started(
        self, arguments: Sequence[str], folder: Path | None, *, has_input: bool = False
    ) -> anyio.abc.Process:
        try:
            return await anyio.open_process(
                [*(self._command or ()), *arguments],
                # It asks before it changes things; with nobody there it fails at once, and does not wait.
                stdin=subprocess.PIPE if has_input else subprocess.DEVNULL,
                stderr=subprocess.STDOUT,
                cwd=folder,
                env=self._environment(),
                # A group of its own, so that a build it begins can be killed with it.
                start_new_session=True,
            )
        except OSError as error:
            raise RequestRejected(
                f"fal's command line cannot be started: {error.strerror}.", hint="Install it anew."
            ) from error

    def _environment(self) -> dict[str, str]:
        passed_on = {name: value for name in _PASSED_ON if (value := self._variable(name))}
        return {**passed_on, **_PLAIN, "FAL_KEY": self._key or ""}

    def _without_key(self, text: str) -> str:
        whole = self._key or ""
        for part in filter(None, (whole, whole.partition(":")[2])):
            text = text.replace(part, "<key>")
        return text


async def _handed(process: anyio.abc.Process, content: bytes) -> None:
    assert process.stdin is not None
    # One that ends before it reads says in its own words why.
    with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
        await process.stdin.send(content)
        await process.stdin.aclose()


async def _lines(process: anyio.abc.Process) -> AsyncGenerator[str]:
    assert process.stdout is not None
    rest = b""
    async for chunk in process.stdout:
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield line.decode("utf-8", "replace")
        # A progress bar without a line's end must not gather in memory for as long as a build takes.
        if len(rest) > _LONGEST_PIECE:
            yield rest.decode("utf-8", "replace")
            rest = b""
    yield rest.decode("utf-8", "replace")


def _kill(process: anyio.abc.Process) -> None:
    with suppress(ProcessLookupError):
        if sys.platform == "win32":
            process.kill()
        else:
            # Killed and not asked: a build that asks back would hold the call, and its stdin is nobody.
            os.killpg(process.pid, signal.SIGKILL)


def _last(lines: deque[str]) -> str:
    return "It said: " + "\n".join(list(lines)[-_SHOWN:]) if lines else "It said nothing."
