-- 0007 queues: bounds, leases and timeouts as settings of queues and kinds; what remains of deleted queues.
--
-- Locks: takes howdah.queue and howdah.worker for a moment, and howdah.deferred for as long as its new index takes
-- (a second for a million scheduled jobs), during which delayed enqueues and retries wait.

ALTER TABLE howdah.queue
  -- At most so many unfinished jobs; NULL: any number. Those who enqueue into a bounded queue do so one after another.
  ADD COLUMN max_jobs   integer CHECK (max_jobs BETWEEN 1 AND 1000000),
  -- How long after its worker's last heartbeat a job is given to others; NULL: as the worker says.
  ADD COLUMN lease_ms   integer CHECK (lease_ms BETWEEN 100 AND 86400000),
  -- How long an attempt may take; NULL: as long as it likes.
  ADD COLUMN timeout_ms bigint  CHECK (timeout_ms >= 1);

-- Names of queues that were deleted, for their history: the row of howdah.queue is gone, and the name is free. An
-- enqueue that had read the queue before may still add jobs under its id; the keeper cancels them. `was` is the row of
-- howdah.queue: what was set about the history still holds.
CREATE TABLE howdah.deleted_queue (
  id         integer PRIMARY KEY,
  name       text COLLATE "C" NOT NULL,
  deleted_at timestamptz NOT NULL,
  deleted_by text NOT NULL,
  was        jsonb NOT NULL
);

-- unfinished, cancel_waiting: the scheduled jobs of one queue.
CREATE INDEX deferred_queue ON howdah.deferred (queue_id);

-- How often a silent worker lost some of its jobs and stayed registered for the sake of the others.
ALTER TABLE howdah.worker ADD COLUMN robbed integer NOT NULL DEFAULT 0;

-- The planner takes an empty table that it knows nothing of for ten pages.
ANALYZE howdah.deleted_queue;

-- These have other arguments or other columns now.
DROP FUNCTION IF EXISTS howdah.create_queue(text);
DROP FUNCTION IF EXISTS howdah.heartbeat(bigint);
DROP FUNCTION IF EXISTS howdah.rescue_lease(bigint, bigint, text, text);
