"""The contract between the benchmark and its adapters, for adapters in Python. bench/README.md has it in words.

An adapter gives `serve` an object with the methods of `Adapter`; loops, clocks and counting are done here, so that they
are the same for every library in Python.
"""

import asyncio
import json
import os
import sys
import time
import traceback

import uvloop

# How late a timer may be by itself.
TIMER_NS = 2_000_000
# Between the first jobs and those that are measured, so that a worker sleeps again.
SETTLE = 2.0


class Unsupported(Exception):
    """What a system has nothing for."""


def spawn(work):
    """A worker's task. If it fails, so does the adapter: nobody would wait for its jobs in vain."""

    def tell(task):
        if not task.cancelled() and task.exception():
            traceback.print_exception(task.exception())
            sys.stderr.flush()
            os._exit(1)

    task = asyncio.create_task(work)
    task.add_done_callback(tell)
    return task


class Adapter:
    """A system under measurement, by its public API."""

    version = ""

    async def open(self, url, install):
        """Connects; with `install`, makes what the system needs in an empty database."""

    async def enqueue_bulk(self, jobs, batch):
        """Enqueues jobs {n, at: 0} in calls of at most `batch`, all committed at its end."""

    async def lane(self):
        """One of up to 16 enqueuers of single jobs: gives an async function of one payload."""

    async def start_worker(self, concurrency, other, ran):
        """Its handler does nothing but `await ran(payload)`; with `other`, it serves a queue without jobs."""

    async def stop_worker(self):
        """Lets it finish what it has and ends it."""

    async def unfinished(self):
        """Whether the database has a job that is not over."""


def batches(jobs, batch):
    """Payloads of so many jobs, in lists of at most `batch`."""
    for first in range(0, jobs, batch):
        yield [{"n": n, "at": 0} for n in range(first, min(jobs, first + batch))]


class Seen:
    """What the handler of one worker has seen."""

    def __init__(self, hold=False):
        self.count, self.wanted, self.waited = 0, None, []
        self.told, self.free = asyncio.Event(), asyncio.Event()
        if not hold:
            self.free.set()

    async def ran(self, payload):
        """All that a handler does."""
        if payload["at"]:
            self.waited.append(max(0, (time.monotonic_ns() - payload["at"]) // 1000))
        self.count += 1
        if self.wanted is not None and self.count >= self.wanted:
            self.told.set()
        if not self.free.is_set():
            await self.free.wait()

    async def until(self, jobs):
        """Returns once so many have run."""
        self.wanted = jobs
        self.told.clear()
        if self.count < jobs:
            await self.told.wait()


async def flat_out(adapter, lanes, seconds):
    """Every lane enqueues as fast as it can."""
    enqueuers = [await adapter.lane() for _ in range(lanes)]
    start = time.monotonic()

    async def run(enqueue, first):
        n = first
        while time.monotonic() - start < seconds:
            await enqueue({"n": n, "at": 0})
            n += lanes
        return (n - first) // lanes

    jobs = sum(await asyncio.gather(*(run(e, first) for first, e in enumerate(enqueuers))))
    return {"jobs": jobs, "seconds": time.monotonic() - start}


async def paced(adapter, lanes, rate, jobs, warm=0):
    """All lanes together enqueue `rate` a second. A job that is late because its lane was busy has waited since then."""
    enqueuers = [await adapter.lane() for _ in range(lanes)]
    for enqueue in enqueuers:
        for n in range(warm):
            await enqueue({"n": n, "at": 0})
    await asyncio.sleep(SETTLE)
    start = time.monotonic_ns()

    async def run(enqueue, first):
        for n in range(first, jobs, lanes):
            due = start + int((n + 1) / rate * 1e9)
            left = (due - time.monotonic_ns()) / 1e9
            if left > 0:
                await asyncio.sleep(left)
            at = time.monotonic_ns()
            await enqueue({"n": n, "at": due if at - due > TIMER_NS else at})

    await asyncio.gather(*(run(e, first) for first, e in enumerate(enqueuers)))
    return {"jobs": jobs, "seconds": (time.monotonic_ns() - start) / 1e9}


class Session:
    """Commands to one adapter."""

    def __init__(self, adapter):
        self.adapter, self.seen = adapter, Seen()

    async def answer(self, command):
        """The answer to one."""
        what = command.pop("do")
        if what == "hello":
            return {"version": self.adapter.version}
        if what == "enqueue_single":
            return await flat_out(self.adapter, **command)
        if what == "pace":
            return await paced(self.adapter, **command)
        if what == "start_worker":
            self.seen = Seen(command.get("hold", False))
            return await self.adapter.start_worker(
                command["concurrency"], command.get("other_queue", False), self.seen.ran
            )
        if what == "await":
            await self.seen.until(command["jobs"])
            return {"jobs": self.seen.count}
        if what == "waited":
            waited, self.seen.waited = self.seen.waited, []
            return {"us": waited}
        if what == "let_go":
            return self.seen.free.set()
        if what == "unfinished":
            return {"unfinished": await self.adapter.unfinished()}
        return await getattr(self.adapter, what)(**command)


async def main(adapter):
    """Answers commands until there are no more."""
    session, loop = Session(adapter), asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        try:
            answer = await session.answer(json.loads(line)) or {}
        except Unsupported as why:
            answer = {"unsupported": str(why)}
        except Exception as error:  # whatever it is, it is the answer
            traceback.print_exc()
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


def serve(adapter):
    """Ends an adapter's program."""
    uvloop.run(main(adapter))
    # A library's thread or task must not keep the process.
    sys.stdout.flush()
    os._exit(0)
