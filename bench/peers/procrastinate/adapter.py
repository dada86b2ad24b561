"""procrastinate, on psycopg. One process and one loop, as its worker is."""

import asyncio
import contextlib
import sys
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "lib"))

import procrastinate
from contract import Adapter, batches, serve, spawn


class Procrastinate(Adapter):
    version = version("procrastinate")

    async def open(self, url, install):
        connector = procrastinate.PsycopgConnector(conninfo=url, min_size=4, max_size=20)
        self.app = procrastinate.App(connector=connector)
        self.ran = None

        @self.app.task(name="work", queue="default")
        async def work(n, at):
            await self.ran({"n": n, "at": at})

        self.work = work
        await self.app.open_async()
        if install:
            await self.app.schema_manager.apply_schema_async()

    async def enqueue_bulk(self, jobs, batch):
        for payloads in batches(jobs, batch):
            await self.work.batch_defer_async(*payloads)

    async def lane(self):
        async def enqueue(payload):
            await self.work.defer_async(**payload)

        return enqueue

    async def start_worker(self, concurrency, other, ran):
        self.ran = ran
        self.worker = spawn(
            self.app.run_worker_async(
                queues=["other" if other else "default"], concurrency=concurrency, install_signal_handlers=False
            )
        )

    async def stop_worker(self):
        # Cancelling it is its way to a graceful stop.
        self.worker.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.worker

    async def unfinished(self):
        row = await self.app.connector.execute_query_one_async(
            "SELECT EXISTS (SELECT FROM procrastinate_jobs WHERE status IN ('todo', 'doing')) AS left"
        )
        return row["left"]


serve(Procrastinate())
