"""Stands between a host and the server that it starts, and writes down what the server hears: lines, signals, the end.

    python heard.py LOG COMMAND ...

Standard library only. An interrupt of the whole group is left to the server itself, which is in it too.
"""

import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import FrameType


def main(log: Path, command: list[str]) -> int:
    """Pass everything on until the server has ended."""
    lock = threading.Lock()

    def note(line: bytes) -> None:
        with lock, log.open("ab") as file:
            file.write(line.rstrip(b"\n") + b"\n")

    with subprocess.Popen(command, stdin=subprocess.PIPE) as server:

        def hear(number: int, _: FrameType | None) -> None:
            note(signal.Signals(number).name.encode())
            if number != signal.SIGINT:
                server.send_signal(number)

        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, hear)

        def pass_on() -> None:
            assert server.stdin
            for line in sys.stdin.buffer:
                note(line)
                try:
                    server.stdin.write(line)
                    server.stdin.flush()
                except OSError:
                    return
            note(b"the end")
            server.stdin.close()

        threading.Thread(target=pass_on, daemon=True).start()
        return server.wait()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
