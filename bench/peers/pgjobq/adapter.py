"""pgjobq, on asyncpg. It hands out jobs one by one; side by side they run in as many tasks, as in its example."""

import asyncio
import contextlib
import json
import sys
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "lib"))

import anyio
import asyncpg
from contract import Adapter, batches, serve, spawn
from pgjobq import connect_to_queue, create_queue, migrate_to_latest_version

class PgJobQ(Adapter):
    version = version("pgjobq")

    async def open(self, url, install):
        self.pool = await asyncpg.create_pool(url, min_size=4, max_size=20)
        if install:
            await migrate_to_latest_version(self.pool)
            for name in ("work", "other"):
                await create_queue(name, self.pool)
        self.stack = contextlib.AsyncExitStack()
        self.queue = await self.stack.enter_async_context(connect_to_queue("work", self.pool))

    async def enqueue_bulk(self, jobs, batch):
        for payloads in batches(jobs, batch):
            async with self.queue.send(*(json.dumps(p).encode() for p in payloads)):
                pass

    async def lane(self):
        async def enqueue(payload):
            async with self.queue.send(json.dumps(payload).encode()):
                pass

        return enqueue

    async def start_worker(self, concurrency, other, ran):
        self.worker = spawn(self.work(concurrency, "other" if other else "work", ran))

    async def work(self, concurrency, name, ran):
        async def one_by_one(queue):
            async with queue.receive(batch_size=max(1, 200 // concurrency)) as stream:
                async for handle in stream:
                    async with handle.acquire() as job:
                        await ran(json.loads(job.body))

        # Its keeper of deadlines raises when a job is completed meanwhile, and the worker ends with it.
        async with connect_to_queue(name, self.pool) as queue, anyio.create_task_group() as workers:
            for _ in range(concurrency):
                workers.start_soon(one_by_one, queue)

    async def stop_worker(self):
        self.worker.cancel()
        # Its shutdown may hang when jobs are out; the process ends soon after.
        await asyncio.wait([self.worker], timeout=5)

    async def unfinished(self):
        return await self.pool.fetchval("SELECT EXISTS (SELECT FROM pgjobq.jobs)")


serve(PgJobQ())
