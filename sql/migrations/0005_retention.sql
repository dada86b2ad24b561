-- 0005 retention: how long what has ended is kept, by outcome and by queue, and what happens when that is over.
--
-- Locks: access exclusive on config and queue, for a moment: enqueuers wait for the commit of this migration.

-- Settings of the installation: NULL is as history_retention says. '0' is until the next chance. There is a greatest
-- length because a time that is so far back must still be a time.
UPDATE howdah.config SET history_retention = least(history_retention, '1000 years'), dead_retention = least(dead_retention, '1000 years');
ALTER TABLE howdah.config
  DROP CONSTRAINT config_history_retention_check,
  DROP CONSTRAINT config_dead_retention_check,
  ADD CONSTRAINT config_history_retention_check CHECK (history_retention BETWEEN '0' AND '1000 years'),
  ADD CONSTRAINT config_dead_retention_check CHECK (dead_retention BETWEEN '0' AND '1000 years'),
  ADD COLUMN completed_retention interval CHECK (completed_retention BETWEEN '0' AND '1000 years'),
  ADD COLUMN cancelled_retention interval CHECK (cancelled_retention BETWEEN '0' AND '1000 years'),
  ADD COLUMN expired_retention   interval CHECK (expired_retention   BETWEEN '0' AND '1000 years'),
  -- NULL: for ever.
  ADD COLUMN archive_retention   interval CHECK (archive_retention   BETWEEN '0' AND '1000 years');

-- Settings of a queue: NULL is as the installation's say.
--   on_removal      delete; archive: into howdah.archive first; hold: nothing goes until an application calls
--                   howdah.remove_held
--   before_removal  a function of one jsonb that is called with the jobs, in the transaction that removes them: if it
--                   raises, they stay, and it is tried again later; see howdah.remove_jobs
ALTER TABLE howdah.queue
  ADD COLUMN completed_retention interval CHECK (completed_retention BETWEEN '0' AND '1000 years'),
  ADD COLUMN cancelled_retention interval CHECK (cancelled_retention BETWEEN '0' AND '1000 years'),
  ADD COLUMN expired_retention   interval CHECK (expired_retention   BETWEEN '0' AND '1000 years'),
  ADD COLUMN dead_retention      interval CHECK (dead_retention      BETWEEN '0' AND '1000 years'),
  ADD COLUMN on_removal          text NOT NULL DEFAULT 'delete' CHECK (on_removal IN ('delete', 'archive', 'hold')),
  ADD COLUMN before_removal      text CHECK (octet_length(before_removal) BETWEEN 1 AND 256);

-- What was removed from queues that archive. No key and no constraint but of columns: whatever comes again, by whatever
-- mistake, there is nothing that it could collide with.
CREATE TABLE howdah.archive (
  id           bigint      NOT NULL,
  queue        text        NOT NULL,
  kind         text        NOT NULL,
  state        text        NOT NULL,
  attempt      smallint    NOT NULL,
  max_attempts smallint    NOT NULL,
  priority     smallint    NOT NULL,
  enqueued_at  timestamptz NOT NULL,
  claimed_at   timestamptz,
  ended_at     timestamptz NOT NULL,
  run_ms       integer,
  worker       text,
  reason       text,
  payload      jsonb       NOT NULL,
  options      jsonb,
  result       jsonb,
  failures     jsonb,
  archived_at  timestamptz NOT NULL
);
-- people: a job by its id.
CREATE INDEX archive_id ON howdah.archive (id);
-- prune_archive: the oldest.
CREATE INDEX archive_archived_at ON howdah.archive (archived_at);

-- Queues whose jobs could not be removed: what went wrong last, and when it is tried again.
CREATE TABLE howdah.removal_failure (
  queue_id  integer PRIMARY KEY,
  failures  integer     NOT NULL,
  failed_at timestamptz NOT NULL,
  retry_at  timestamptz NOT NULL,
  message   text        NOT NULL
);

-- The four slots of the history ring. `since`: nothing that is in the slot ended before. What is removed by rows is
-- found by walking over the pages of howdah.receipt_N, some at each tick: `page` is where the walk goes on (NULL: it is
-- not under way), `pass_at` when it last began, `pass_for` for which queues and outcomes. `remains`: it has passed by rows that go by themselves.
-- `clean_for`: a walk after the slot was left found that none are left, of these queues and outcomes.
CREATE TABLE howdah.history_slot (
  slot      smallint    PRIMARY KEY,
  since     timestamptz NOT NULL,
  left_at   timestamptz,
  page      bigint,
  pass_at   timestamptz NOT NULL DEFAULT '-infinity',
  pass_for  bigint,
  remains   boolean     NOT NULL DEFAULT true,
  clean_for bigint
) WITH (fillfactor = 20);
INSERT INTO howdah.history_slot (slot, since, left_at)
SELECT s, '-infinity', CASE WHEN s <> r.slot THEN clock_timestamp() END FROM generate_series(0, 3) s, howdah.ring r WHERE r.name = 'history';

-- When to look again at a partition of jobs that waits for some of them to be archived.
ALTER TABLE howdah.idle_job_slot ADD COLUMN look_at timestamptz;

-- prune_dead: the oldest of a queue.
CREATE INDEX dead_queue_died_at ON howdah.dead (queue_id, died_at);
DROP INDEX howdah.dead_died_at;

ANALYZE howdah.archive, howdah.history_slot, howdah.removal_failure;
