// BullMQ, with Redis as its store. Sixteen lanes have a queue object and so a connection each.

import { Queue, Worker } from 'bullmq'
import { Redis } from 'ioredis'
import { batches, serve, versionOf } from '../lib/contract.mjs'

const OPTIONS = { removeOnComplete: true }
let url, queue, worker

const connect = () => new Redis(url, { maxRetriesPerRequest: null })

serve({
  version: versionOf('bullmq', import.meta.url),

  async open(where) {
    url = where
    queue = new Queue('work', { connection: connect() })
    await queue.waitUntilReady()
  },

  async enqueueBulk(jobs, batch) {
    for (const payloads of batches(jobs, batch)) {
      await queue.addBulk(payloads.map(data => ({ name: 'work', data, opts: OPTIONS })))
    }
  },

  async lane() {
    const own = new Queue('work', { connection: connect() })
    await own.waitUntilReady()
    return payload => own.add('work', payload, OPTIONS)
  },

  async startWorker(concurrency, other, ran) {
    worker = new Worker(other ? 'other' : 'work', job => ran(job.data), { connection: connect(), concurrency })
    worker.on('error', error => console.error(error))
    await worker.waitUntilReady()
  },

  stopWorker: () => worker.close(),

  async unfinished() {
    const counts = await queue.getJobCounts('wait', 'active', 'delayed', 'prioritized')
    return Object.values(counts).some(count => count > 0)
  }
})
