"""PgQueuer, on asyncpg: one connection for the worker, as its guide has it, and a pool for those who enqueue."""

import json
import sys
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "lib"))

import asyncpg
from contract import Adapter, batches, serve, spawn
from pgqueuer.db import AsyncpgDriver, AsyncpgPoolDriver
from pgqueuer.qm import QueueManager
from pgqueuer.queries import Queries


class PgQueuer(Adapter):
    version = version("pgqueuer")

    async def open(self, url, install):
        self.url = url
        self.pool = await asyncpg.create_pool(url, min_size=1, max_size=16)
        self.queries = Queries(AsyncpgPoolDriver(self.pool))
        if install:
            await self.queries.install()

    async def enqueue_bulk(self, jobs, batch):
        for payloads in batches(jobs, batch):
            bodies = [json.dumps(p).encode() for p in payloads]
            await self.queries.enqueue(["work"] * len(bodies), bodies, [0] * len(bodies))

    async def lane(self):
        async def enqueue(payload):
            await self.queries.enqueue("work", json.dumps(payload).encode())

        return enqueue

    async def start_worker(self, concurrency, other, ran):
        self.manager = QueueManager(Queries(AsyncpgDriver(await asyncpg.connect(self.url))))

        @self.manager.entrypoint("other" if other else "work")
        async def work(job):
            await ran(json.loads(job.payload))

        # It wants room for two batches.
        self.worker = spawn(
            self.manager.run(batch_size=concurrency // 2, max_concurrent_tasks=concurrency)
        )

    async def stop_worker(self):
        self.manager.shutdown.set()
        await self.worker

    async def unfinished(self):
        return await self.pool.fetchval("SELECT EXISTS (SELECT FROM pgqueuer)")


serve(PgQueuer())
