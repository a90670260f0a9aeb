"""A server as from far away: what is sent arrives later, in order, and none of it is lost."""

import asyncio
import contextlib
import multiprocessing
from multiprocessing.connection import Connection


class FarRelay:
    """Forwards connections to a port of this machine, in a process of its own; a journey there and back takes *seconds*
    longer.
    """

    def __init__(self, target: int, seconds: float) -> None:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        self._process = context.Process(
            target=_run, args=(target, seconds / 2, theirs), daemon=True
        )
        self._process.start()
        self.port: int = ours.recv()

    def close(self) -> None:
        """End."""
        self._process.terminate()
        self._process.join()


def _run(target: int, half: float, told: Connection) -> None:
    asyncio.run(_forward(target, half, told))


async def _forward(target: int, half: float, told: Connection) -> None:
    loop = asyncio.get_running_loop()

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while piece := await reader.read(65_536):
                loop.call_later(half, writer.write, piece)
        loop.call_later(half, writer.close)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", target)
        await asyncio.gather(pump(reader, far_writer), pump(far_reader, writer))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    told.send(server.sockets[0].getsockname()[1])
    await server.serve_forever()
