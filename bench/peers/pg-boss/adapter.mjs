// pg-boss. Two local workers, so that one fetches while the other works; each runs a batch side by side.

import { PgBoss } from 'pg-boss'
import { batches, serve, versionOf } from '../lib/contract.mjs'

const WORKERS = 2
let boss

serve({
  version: versionOf('pg-boss', import.meta.url),

  async open(url, install) {
    boss = new PgBoss({ connectionString: url, max: 20, useListenNotify: true })
    boss.on('error', error => console.error(error))
    await boss.start()
    if (install) {
      for (const queue of ['work', 'other']) await boss.createQueue(queue, { notify: true })
    }
  },

  async enqueueBulk(jobs, batch) {
    for (const payloads of batches(jobs, batch)) {
      await boss.insert('work', payloads.map(data => ({ data })))
    }
  },

  lane: () => payload => boss.send('work', payload),

  async startWorker(concurrency, other, ran) {
    const options = {
      batchSize: Math.ceil(concurrency / WORKERS),
      localConcurrency: WORKERS,
      pollingIntervalSeconds: 0.5,
      burstWhenBatchFull: true
    }
    await boss.work(other ? 'other' : 'work', options, async jobs => {
      await Promise.all(jobs.map(job => ran(job.data)))
    })
  },

  stopWorker: () => boss.offWork('work', { wait: true }),

  async unfinished() {
    const sql = "SELECT EXISTS (SELECT FROM pgboss.job WHERE name = 'work' AND state < 'completed') AS left"
    const { rows } = await boss.getDb().executeSql(sql)
    return rows[0].left
  }
})
