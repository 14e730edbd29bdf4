"""The emulator on a loopback port."""

from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager

import anyio
import uvicorn

from fal_mcp.emulator.app import App
from fal_mcp.emulator.emulator import Emulator
from fal_mcp.machine.loopback import listener, port_of

_LONGEST_GOODBYE = 5.0


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Generator[None]:
        # Ctrl-C belongs to whoever runs us.
        yield


@asynccontextmanager
async def serve(
    fal: Emulator, port: int = 0, *, ssl_certfile: str | None = None, ssl_keyfile: str | None = None
) -> AsyncGenerator[str]:
    """Listen on 127.0.0.1 and give the URL; port 0 takes any that is free. Real sockets: in-process transports hand
    over a stream only when it is complete."""
    with listener(port) as listening:
        config = uvicorn.Config(
            App(fal),
            log_level="critical",
            access_log=False,
            # It has a clock of its own.
            date_header=False,
            lifespan="off",
            ws="websockets-sansio",
            # Longer than a client keeps a connection: what is written into one as it closes counts as sent.
            timeout_keep_alive=75,
            # Streams that a client holds open would keep it up for as long.
            timeout_graceful_shutdown=1,
            ssl_certfile=ssl_certfile,
            ssl_keyfile=ssl_keyfile,
        )
        server, raised = _Server(config), None
        async with anyio.create_task_group() as tasks:
            fal.tasks = tasks

            stopped = anyio.Event()

            async def run() -> None:
                await server.serve(sockets=[listening])
                stopped.set()

            tasks.start_soon(run)
            try:
                yield f"{'https' if ssl_certfile else 'http'}://127.0.0.1:{port_of(listening)}"
            except (GeneratorExit, anyio.get_cancelled_exc_class()):
                raise
            except BaseException as error:
                # Whoever listens here expects their own error, and no group with it inside.
                raised = error
            finally:
                fal.close()
                server.should_exit = True
                with anyio.move_on_after(_LONGEST_GOODBYE, shield=True):
                    await stopped.wait()
                tasks.cancel_scope.cancel()
        if raised is not None:
            raise raised
