// The contract between the benchmark and its adapters, for adapters in Node. bench/README.md has it in words.
//
// An adapter gives `serve` an object with the functions below; loops, clocks and counting are done here, so that they
// are the same for every library in Node.
//
//   version                               the release that is measured
//   open(url, install)                    connects; with `install`, makes what the system needs in an empty database
//   enqueueBulk(jobs, batch)              enqueues jobs {n, at: 0} in calls of at most `batch`, all committed at its end
//   lane()                                one of up to 16 enqueuers of single jobs: gives a function of one job
//   startWorker(concurrency, other, ran)  its handler does nothing but `return ran(payload)`; with `other`, it serves a
//                                         queue in which there never are any jobs
//   stopWorker()                          lets it finish what it has and ends it
//   unfinished()                          whether the database has a job that is not over

import { createInterface } from 'node:readline'
import { readFileSync } from 'node:fs'

/** The version of an installed package, from beside the adapter that asks. */
export function versionOf(name, from) {
  return JSON.parse(readFileSync(new URL(`./node_modules/${name}/package.json`, from), 'utf8')).version
}

/** What a system has nothing for. */
export class Unsupported extends Error {}

/** Payloads of so many jobs, in arrays of at most `batch`. */
export function * batches(jobs, batch) {
  for (let from = 0; from < jobs; from += batch) {
    yield Array.from({ length: Math.min(batch, jobs - from) }, (_, n) => ({ n: from + n, at: 0 }))
  }
}

/** Nanoseconds of the machine's monotonic clock: the same in every process. A double holds them for 104 days. */
const now = () => Number(process.hrtime.bigint())

/** What the handler of one worker has seen. */
class Seen {
  constructor(hold) {
    this.count = 0
    this.wanted = Infinity
    this.waited = []
    this.held = hold ? new Promise(resolve => { this.letGo = resolve }) : undefined
    this.ran = payload => {
      if (payload.at > 0) this.waited.push(Math.max(0, Math.round((now() - payload.at) / 1000)))
      if (++this.count >= this.wanted) this.tell()
      return this.held
    }
  }

  until(jobs) {
    return new Promise(resolve => {
      this.wanted = jobs
      this.tell = resolve
      if (this.count >= jobs) resolve()
    })
  }
}

/** Every lane enqueues as fast as it can. */
async function flatOut(adapter, { lanes, seconds }) {
  const open = await Promise.all(Array.from({ length: lanes }, () => adapter.lane()))
  const start = performance.now()
  let jobs = 0
  await Promise.all(open.map(async (enqueue, first) => {
    for (let n = first; performance.now() - start < seconds * 1000; n += lanes) {
      await enqueue({ n, at: 0 })
      jobs++
    }
  }))
  return { jobs, seconds: (performance.now() - start) / 1000 }
}

// How late a timer may be by itself.
const TIMER_NS = 2e6
/** Between the first jobs and those that are measured, so that a worker sleeps again. */
const SETTLE_MS = 2000

/** All lanes together enqueue `rate` jobs a second. A job that is late because its lane was busy has waited since then. */
async function paced(adapter, { lanes, rate, jobs, warm = 0 }) {
  const open = await Promise.all(Array.from({ length: lanes }, () => adapter.lane()))
  for (const enqueue of open) {
    for (let n = 0; n < warm; n += 1) await enqueue({ n, at: 0 })
  }
  await new Promise(resolve => setTimeout(resolve, SETTLE_MS))
  const start = now()
  await Promise.all(open.map(async (enqueue, first) => {
    for (let n = first; n < jobs; n += lanes) {
      const due = start + (n + 1) / rate * 1e9
      const left = (due - now()) / 1e6
      if (left > 0) await new Promise(resolve => setTimeout(resolve, left))
      const at = now()
      await enqueue({ n, at: at - due > TIMER_NS ? due : at })
    }
  }))
  return { jobs, seconds: (now() - start) / 1e9 }
}

/** Answers commands until there are no more. */
export async function serve(adapter) {
  let seen = new Seen(false)
  const commands = {
    hello: () => ({ version: adapter.version }),
    open: ({ url, install }) => adapter.open(url, install),
    enqueue_bulk: ({ jobs, batch }) => adapter.enqueueBulk(jobs, batch),
    enqueue_single: command => flatOut(adapter, command),
    pace: command => paced(adapter, command),
    start_worker: ({ concurrency, hold, other_queue: other }) => {
      seen = new Seen(hold)
      return adapter.startWorker(concurrency, other ?? false, seen.ran)
    },
    await: async ({ jobs }) => {
      await seen.until(jobs)
      return { jobs: seen.count }
    },
    waited: () => ({ us: seen.waited.splice(0) }),
    let_go: () => seen.letGo(),
    unfinished: async () => ({ unfinished: await adapter.unfinished() }),
    stop_worker: () => adapter.stopWorker()
  }
  for await (const line of createInterface({ input: process.stdin })) {
    let answer
    try {
      const command = JSON.parse(line)
      const result = await commands[command.do](command)
      answer = result && typeof result === 'object' && Object.getPrototypeOf(result) === Object.prototype ? result : {}
    } catch (error) {
      answer = error instanceof Unsupported ? { unsupported: error.message } : { error: String(error?.stack ?? error) }
    }
    process.stdout.write(JSON.stringify(answer) + '\n')
  }
  process.exit(0)
}
