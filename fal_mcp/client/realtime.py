"""fal's realtime way of running a model: a connection held open, one answer for each input.

The address carries a token of two minutes; the key itself is never sent here. What may have been paid for is never
sent twice.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager, contextmanager, suppress
from urllib.parse import urlencode

import anyio
import anyio.to_thread
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidProxy, InvalidStatus, ProxyError
from websockets.protocol import State

from fal_mcp import __version__
from fal_mcp.client import answers
from fal_mcp.client.endpoint_id import app_of
from fal_mcp.client.frames import IDLE, LARGEST, masked, packed, read
from fal_mcp.client.http import Http
from fal_mcp.config import Hosts
from fal_mcp.errors import FalError, MaybeReceived, NotAuthorised, NotFound, ServiceFailed, Unreachable
from fal_mcp.json_values import JsonMapping, JsonObject, NotJson, is_object, parsed

TOKEN_SECONDS = 120
LONGEST_OPEN = 90.0
"""Seconds; a runner may have to start first."""
_PATH = "/realtime"
# A pool of answers that nobody asked for is only memory; the connection then waits, and fal with it.
_MOST_WAITING_FRAMES = 4
_LARGE = 1024 * 1024
"""Bytes, or characters, of a frame that is read in a thread."""
_GOODBYE = 3.0
"""Seconds for the other side to say goodbye too; then the connection is cut."""
_LONGEST_GOODBYE = 5.0
_TOO_LARGE = 1009
_REFUSED = frozenset({401, 403})
_NO_SUCH_PATH = frozenset({404, 405})


class Line:
    """One connection, for one input at a time. Opened again, with a fresh token, where fal ended it in between."""

    def __init__(self, opened: Callable[[], Awaitable[ClientConnection]], http: Http | None = None) -> None:
        self.answered = 0
        self._http = http
        self._refusals = 0
        self._opened = opened
        self._socket: ClientConnection | None = None

    async def ask(self, arguments: JsonMapping, seconds: float) -> JsonObject:
        """Send one input and return the answer to it, within so many seconds. Files in it are bytes.

        Raises:
            MaybeReceived: no answer came; it was not sent again, because it may be paid for.
            Unreachable: the connection had to be opened again and could not be; the input was not run.
            NotAuthorised: a fresh token would not do either.
            FalError: fal says that it failed, or the answer cannot be read.
        """
        # Packed before a connection is opened: what cannot be packed costs nothing.
        frame, deadline = packed(arguments), anyio.current_time() + seconds
        while True:
            try:
                await self._open_by(deadline, seconds)
                answer = await self._asked(frame, deadline, seconds)
            except NotAuthorised:
                # What was refused has not run, and the token may only have been too old: a fresh one is tried, once.
                self._refusals += 1
                if self._refusals > 1:
                    self._refusals = 0
                    raise
            else:
                self.answered, self._refusals = self.answered + 1, 0
                return answer

    async def open(self) -> None:
        """Be ready for an input.

        Raises:
            NotAuthorised: fal refused the connection.
            NotFound: the app has no realtime path.
            Unreachable: fal could not be reached.
        """
        if self._socket is not None and not await self._is_usable(self._socket):
            await self.close()
        if self._socket is None:
            self._socket = await self._opened()

    async def close(self) -> None:
        """Say goodbye, if there is anybody to say it to."""
        # First, so that whoever asks while it closes opens another.
        socket, self._socket = self._socket, None
        if socket is not None:
            with anyio.move_on_after(_LONGEST_GOODBYE, shield=True), suppress(Exception):
                await socket.close()

    async def _open_by(self, deadline: float, seconds: float) -> None:
        with anyio.CancelScope(deadline=deadline):
            return await self.open()
        raise Unreachable(f"{seconds:.3g} seconds passed before a connection was open; the input was not run.")

    async def _asked(self, frame: bytes, deadline: float, seconds: float) -> JsonObject:
        assert self._socket is not None
        try:
            with anyio.fail_after(deadline - anyio.current_time()):
                with suppress(ConnectionClosed):
                    # Why it is closed was said before, and is read below.
                    await self._socket.send(frame)
                return await self._next(self._socket)
        except BaseException as error:
            # The answer may still come, and would be taken for that of the next input.
            await self.close()
            if lost := self._lost(error, seconds):
                raise lost from error
            raise

    async def _is_usable(self, socket: ClientConnection) -> bool:
        """Whether an input can be sent. What came in unasked is nobody's answer, and is dropped."""
        try:
            # Only what is there already: to wait here would be to take the next answer.
            with anyio.move_on_after(0):
                while True:
                    frame = await socket.recv()
                    # What says that it is over is short.
                    if len(frame) <= _LARGE:
                        read(frame)
        except NotAuthorised:
            self._refusals += 1
            return False
        except Exception:
            # Whatever it is, another connection is the answer to it.
            return False
        return socket.state is State.OPEN

    def _lost(self, error: BaseException, seconds: float) -> FalError | None:
        where = f"answer {self.answered + 1} came; {self.answered} came before it"
        match error:
            case TimeoutError():
                return MaybeReceived(f"{seconds:.3g} seconds passed before {where}.")
            case ConnectionClosed() if error.sent is not None and error.sent.code == _TOO_LARGE:
                return MaybeReceived(f"fal's answer is larger than {LARGEST} bytes, and was not taken.")
            case ConnectionClosed():
                return MaybeReceived(f"The connection ended before {where}.")
            case FalError() if error.error_type == IDLE:
                return MaybeReceived(f"fal ended the connection as idle before {where}.")
            case ServiceFailed():
                return MaybeReceived(error.message)
            case Exception() if not isinstance(error, FalError):
                return MaybeReceived(f"The connection broke before {where}.")
            case _:
                return None

    async def _next(self, socket: ClientConnection) -> JsonObject:
        while True:
            frame = await socket.recv()
            answer = await anyio.to_thread.run_sync(self._read, frame) if len(frame) > _LARGE else self._read(frame)
            if answer is not None:
                return answer

    def _read(self, frame: bytes | str) -> JsonObject | None:
        if self._http is None or not self._http.holds_a_key(frame):
            return read(frame)
        if isinstance(frame, str):
            return read(self._http.masked(frame))
        return masked(read(frame), self._http.masked)


class Realtime:
    """fal's realtime host."""

    def __init__(self, http: Http, hosts: Hosts) -> None:
        self._http = http
        self._hosts = hosts

    @asynccontextmanager
    async def opened(self, endpoint_id: str, *, max_buffering: int | None = None) -> AsyncGenerator[Line]:
        """An open connection; `max_buffering`, 1 to 60, is how many inputs fal lets wait before it drops the oldest.

        Raises:
            FalError: as for `Line.open`; and there is no key.
        """
        self._http.need_key()

        async def connected() -> ClientConnection:
            return await self._connected(endpoint_id, max_buffering)

        line = Line(connected, self._http)
        try:
            await line.open()
            yield line
        finally:
            await line.close()

    async def _connected(self, endpoint_id: str, max_buffering: int | None) -> ClientConnection:
        path = endpoint_id if endpoint_id.endswith(_PATH) else f"{endpoint_id}{_PATH}"
        buffering = {} if max_buffering is None else {"max_buffering": str(max_buffering)}
        query = urlencode({"fal_jwt_token": await self._token(endpoint_id), **buffering})
        base = f"ws{self._hosts.run.removeprefix('http')}"
        secured: JsonObject = {"ssl": self._http.tls} if base.startswith("wss") else {}
        with opening(endpoint_id):
            return await _Connect(
                f"{base}/{path}?{query}",
                # A compressed frame of a kilobyte may unpack to a gigabyte.
                compression=None,
                open_timeout=LONGEST_OPEN,
                max_size=LARGEST,
                max_queue=_MOST_WAITING_FRAMES,
                close_timeout=_GOODBYE,
                user_agent_header=f"fal-mcp/{__version__}",
                **secured,
            )

    async def _token(self, endpoint_id: str) -> str:
        # The token is for this app alone: it stands in an address, which proxies write into their logs.
        body = {"allowed_apps": [app_of(endpoint_id).rsplit("/", 1)[-1]], "token_expiration": TOKEN_SECONDS}
        return _token_in((await self._http.ask(f"{self._hosts.rest}/tokens/", body)).content)


@contextmanager
def opening(endpoint_id: str) -> Generator[None]:
    """The door of websockets: whatever it raises before a connection is open, as ours. No input has been sent by then.

    Raises:
        FalError: fal refused the connection; the kind says why.
        Unreachable: there is none.
    """
    try:
        yield
    except FalError:
        raise
    except InvalidStatus as error:
        raise _rejection(endpoint_id, error) from error
    except (InvalidProxy, ProxyError, ImportError) as error:
        raise Unreachable(
            f"No realtime connection to {endpoint_id!r} could be opened through the proxy that the environment names.",
            hint="Correct HTTPS_PROXY, HTTP_PROXY or ALL_PROXY where this server is configured, or unset it. A SOCKS "
            "proxy needs the package python-socks.",
            retryable=False,
        ) from error
    except Exception as error:
        raise Unreachable(f"No realtime connection to {endpoint_id!r} could be opened.") from error


class _Connect(connect):
    """Follows no redirect: an input, and what it costs, goes where fal is and nowhere else."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


def _token_in(answer: bytes) -> str:
    """A bare string, or an object that an old proxy wraps it in."""
    try:
        value = parsed(answer)
    except NotJson:
        value = None
    fields = value if is_object(value) else {"token": value}
    token = fields.get("token") or fields.get("detail")
    if not isinstance(token, str):
        raise ServiceFailed("fal gave no token for a realtime connection.")
    return token


def _rejection(endpoint_id: str, error: InvalidStatus) -> FalError:
    response = error.response
    status, headers = response.status_code, {name.lower(): value for name, value in response.headers.raw_items()}
    if status in _NO_SUCH_PATH:
        hint = "Run it with run_model. Models made for realtime say so on their page at fal.ai."
        return NotFound(f"{endpoint_id!r} has no realtime endpoint.", status=status, hint=hint)
    if status in _REFUSED:
        hint = "Check FAL_KEY; a model without a realtime endpoint may be refused so too: try it with run_model."
        return NotAuthorised(f"fal refused a realtime connection to {endpoint_id!r}.", status=status, hint=hint)
    return answers.rejection(status, headers, bytes(response.body or b""))
