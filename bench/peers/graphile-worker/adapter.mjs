// Graphile Worker. One process; the settings are those with which its page on performance was measured.

import { Logger, makeWorkerUtils, run } from 'graphile-worker'
import pg from 'pg'
import { batches, serve, versionOf } from '../lib/contract.mjs'

const QUIET = new Logger(() => (level, message) => { if (level === 'error') console.error(message) })
let pool, utils, runner, preset

serve({
  version: versionOf('graphile-worker', import.meta.url),

  async open(url, install) {
    // For the enqueuers; the worker has a pool of its own.
    pool = new pg.Pool({ connectionString: url, max: 16 })
    preset = url
    utils = await makeWorkerUtils({ pgPool: pool, logger: QUIET })
    if (install) await utils.migrate()
  },

  async enqueueBulk(jobs, batch) {
    for (const payloads of batches(jobs, batch)) {
      await utils.addJobs(payloads.map(payload => ({ identifier: 'work', payload })))
    }
  },

  lane: () => payload => utils.addJob('work', payload),

  async startWorker(concurrency, other, ran) {
    runner = await run({
      preset: {
        worker: {
          connectionString: preset,
          concurrentJobs: concurrency,
          maxPoolSize: 25,
          localQueue: { size: Math.max(500, concurrency) },
          completeJobBatchDelay: 0,
          failJobBatchDelay: 0,
          logger: QUIET
        }
      },
      noHandleSignals: true,
      // Its way to another queue: a task that no job names.
      taskList: { [other ? 'other' : 'work']: payload => ran(payload) },
      parsedCronItems: []
    })
  },

  stopWorker: () => runner.stop(),

  async unfinished() {
    const { rows } = await pool.query('SELECT EXISTS (SELECT FROM graphile_worker.jobs) AS left')
    return rows[0].left
  }
})
