-- A fresh installation of howdah, made of the files in sql/ by `howdah migrate sql`. Run it once, with psql.
BEGIN;
CREATE SCHEMA howdah;
-- 0001 queue: the rooms a job passes through.
--
-- A job is written once, into howdah.job. From then on only narrow rows move: a ticket stands for a run of
-- consecutive ids that wait, a lease for what one claim took, a receipt for what finished. A job's state is
-- the room that holds its id; howdah.jobs shows them all.
--
-- Locks: creates new objects only. Safe while an application runs.

-- Which migrations this schema has had, and which functions and views it has now.
CREATE TABLE howdah.migration (
  version    integer PRIMARY KEY,
  name       text NOT NULL,
  applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE TABLE howdah.code (
  one        boolean PRIMARY KEY DEFAULT true CHECK (one),
  hash       text NOT NULL,
  release    text NOT NULL,
  applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- An id is (block << 7) | position. One enqueue call takes as many blocks as it needs, so the jobs of a call
-- have ids in their order, and a run of ids (a ticket) never leaves its block.
CREATE SEQUENCE howdah.block_seq AS bigint MINVALUE 1 MAXVALUE 70368744177663;

-- A lease id is (n << 2) | slot: the low bits name the partition, so that a fence check opens one table.
CREATE SEQUENCE howdah.lease_seq AS bigint MINVALUE 1 MAXVALUE 1152921504606846975;

-- Settings of the whole installation: one row, changed with plain UPDATE, heard within seconds.
CREATE TABLE howdah.config (
  one               boolean PRIMARY KEY DEFAULT true CHECK (one),
  history_retention interval NOT NULL DEFAULT '1 day'   CHECK (history_retention > '0'),
  dead_retention    interval NOT NULL DEFAULT '30 days' CHECK (dead_retention > '0')
);
INSERT INTO howdah.config DEFAULT VALUES;

-- Settings of a queue. Ids are small because every ticket carries one.
CREATE TABLE howdah.queue (
  id                integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name              text COLLATE "C" NOT NULL UNIQUE,
  created_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
  max_attempts      smallint NOT NULL DEFAULT 20      CHECK (max_attempts BETWEEN 1 AND 1000),
  retry_base_ms     integer  NOT NULL DEFAULT 2000    CHECK (retry_base_ms >= 1),
  retry_factor      real     NOT NULL DEFAULT 2.0     CHECK (retry_factor BETWEEN 1 AND 100),
  retry_cap_ms      bigint   NOT NULL DEFAULT 21600000 CHECK (retry_cap_ms >= 1),
  retry_jitter      real     NOT NULL DEFAULT 0.1     CHECK (retry_jitter BETWEEN 0 AND 1),
  max_payload_bytes integer  NOT NULL DEFAULT 1048576 CHECK (max_payload_bytes BETWEEN 2 AND 67108864),
  paused_at         timestamptz,
  paused_by         text,
  pause_reason      text,
  -- The slot of howdah.ticket that new jobs go to: kept here because enqueue reads this row anyway.
  fresh_slot        smallint NOT NULL DEFAULT 0,
  CONSTRAINT queue_name_is_short CHECK (octet_length(name) BETWEEN 1 AND 128 AND name !~ '[[:cntrl:]]')
);
INSERT INTO howdah.queue (name) VALUES ('default');

-- What was asked for. Inserted once, never updated. Wide columns last; with eight columns the null bitmap
-- still fits the header's padding. `options` holds what few jobs have (trace context, timeout, ...).
-- A ring of eight partitions by id: `rotate` moves the sequence on to the next one and truncates the last.
CREATE TABLE howdah.job (
  id           bigint      NOT NULL,
  enqueued_at  timestamptz NOT NULL,
  queue_id     integer     NOT NULL,
  priority     smallint    NOT NULL,
  max_attempts smallint    NOT NULL,
  kind         text COLLATE "C" NOT NULL,
  payload      jsonb       NOT NULL,
  options      jsonb
) PARTITION BY LIST (((id >> 33) & 7));
CREATE TABLE howdah.job_0 PARTITION OF howdah.job FOR VALUES IN (0);
CREATE TABLE howdah.job_1 PARTITION OF howdah.job FOR VALUES IN (1);
CREATE TABLE howdah.job_2 PARTITION OF howdah.job FOR VALUES IN (2);
CREATE TABLE howdah.job_3 PARTITION OF howdah.job FOR VALUES IN (3);
CREATE TABLE howdah.job_4 PARTITION OF howdah.job FOR VALUES IN (4);
CREATE TABLE howdah.job_5 PARTITION OF howdah.job FOR VALUES IN (5);
CREATE TABLE howdah.job_6 PARTITION OF howdah.job FOR VALUES IN (6);
CREATE TABLE howdah.job_7 PARTITION OF howdah.job FOR VALUES IN (7);
-- claim, find: a job by its id.
CREATE UNIQUE INDEX job_0_id ON howdah.job_0 (id);
CREATE UNIQUE INDEX job_1_id ON howdah.job_1 (id);
CREATE UNIQUE INDEX job_2_id ON howdah.job_2 (id);
CREATE UNIQUE INDEX job_3_id ON howdah.job_3 (id);
CREATE UNIQUE INDEX job_4_id ON howdah.job_4 (id);
CREATE UNIQUE INDEX job_5_id ON howdah.job_5 (id);
CREATE UNIQUE INDEX job_6_id ON howdah.job_6 (id);
CREATE UNIQUE INDEX job_7_id ON howdah.job_7 (id);

-- The few jobs that outlived their partition (scheduled far ahead, long dead): moved here by `rotate`.
CREATE TABLE howdah.job_kept (LIKE howdah.job, PRIMARY KEY (id));

-- Runs of jobs that wait to be claimed. Slots 0 and 1 are a ring for what is enqueued, in order of id: a
-- claimer scans them from the front that it remembers. Slots 2 and 3 are a ring for what comes back (due,
-- released, rescued), whose ids are old, and which is scanned from its beginning. `attempt` counts the
-- attempts that were made.
CREATE TABLE howdah.ticket (
  first_id bigint   NOT NULL,
  queue_id integer  NOT NULL,
  slot     smallint NOT NULL,
  priority smallint NOT NULL,
  jobs     smallint NOT NULL,
  attempt  smallint NOT NULL,
  kind     text COLLATE "C" NOT NULL
) PARTITION BY LIST (slot);
CREATE TABLE howdah.ticket_0 PARTITION OF howdah.ticket FOR VALUES IN (0);
CREATE TABLE howdah.ticket_1 PARTITION OF howdah.ticket FOR VALUES IN (1);
CREATE TABLE howdah.ticket_2 PARTITION OF howdah.ticket FOR VALUES IN (2);
CREATE TABLE howdah.ticket_3 PARTITION OF howdah.ticket FOR VALUES IN (3);
-- claim: the first tickets of a queue. cancel, jobs: the ticket that holds an id.
CREATE INDEX ticket_order ON howdah.ticket (queue_id, priority, first_id);

-- What one claim took, as runs of ids with the attempt that each is in. The id is the fencing token. A row
-- shrinks as its jobs are settled and goes with the last one.
CREATE TABLE howdah.lease (
  id         bigint      NOT NULL,
  worker_id  bigint      NOT NULL,
  queue_id   integer     NOT NULL,
  claimed_at timestamptz NOT NULL,
  first_ids  bigint[]    NOT NULL,
  counts     smallint[]  NOT NULL,
  attempts   smallint[]  NOT NULL
) PARTITION BY LIST (((id & 3)));
CREATE TABLE howdah.lease_0 PARTITION OF howdah.lease FOR VALUES IN (0) WITH (fillfactor = 70, toast_tuple_target = 8160);
CREATE TABLE howdah.lease_1 PARTITION OF howdah.lease FOR VALUES IN (1) WITH (fillfactor = 70, toast_tuple_target = 8160);
CREATE TABLE howdah.lease_2 PARTITION OF howdah.lease FOR VALUES IN (2) WITH (fillfactor = 70, toast_tuple_target = 8160);
CREATE TABLE howdah.lease_3 PARTITION OF howdah.lease FOR VALUES IN (3) WITH (fillfactor = 70, toast_tuple_target = 8160);
-- complete, fail, release: the fence check.
CREATE UNIQUE INDEX lease_0_id ON howdah.lease_0 (id);
CREATE UNIQUE INDEX lease_1_id ON howdah.lease_1 (id);
CREATE UNIQUE INDEX lease_2_id ON howdah.lease_2 (id);
CREATE UNIQUE INDEX lease_3_id ON howdah.lease_3 (id);

-- Jobs completed inside a caller's transaction while their lease still holds others: keeps the lease row
-- free of that transaction's lock. The worker's next flush takes them out of the lease.
CREATE TABLE howdah.settled (
  lease_id bigint NOT NULL,
  job_id   bigint NOT NULL,
  PRIMARY KEY (lease_id, job_id)
);

-- How jobs ended: one row per lease and flush. `span` finds the row of an id. outcome: 1 completed,
-- 2 cancelled, 3 expired. `run_ms` follows the ids in the order of their runs.
CREATE TABLE howdah.receipt (
  slot       smallint    NOT NULL,
  outcome    smallint    NOT NULL,
  queue_id   integer     NOT NULL,
  worker_id  bigint,
  at         timestamptz NOT NULL,
  claimed_at timestamptz,
  span       int8range   NOT NULL,
  first_ids  bigint[]    NOT NULL,
  counts     smallint[]  NOT NULL,
  attempts   smallint[]  NOT NULL,
  run_ms     integer[]
) PARTITION BY LIST (slot);
CREATE TABLE howdah.receipt_0 PARTITION OF howdah.receipt FOR VALUES IN (0);
CREATE TABLE howdah.receipt_1 PARTITION OF howdah.receipt FOR VALUES IN (1);
CREATE TABLE howdah.receipt_2 PARTITION OF howdah.receipt FOR VALUES IN (2);
CREATE TABLE howdah.receipt_3 PARTITION OF howdah.receipt FOR VALUES IN (3);
-- jobs, find: the receipt of an id.
CREATE INDEX receipt_span ON howdah.receipt USING gist (span);

-- One row per failed attempt.
CREATE TABLE howdah.failure (
  slot      smallint    NOT NULL,
  job_id    bigint      NOT NULL,
  attempt   smallint    NOT NULL,
  at        timestamptz NOT NULL,
  worker_id bigint,
  run_ms    integer,
  error_kind text       NOT NULL,
  message   text        NOT NULL
) PARTITION BY LIST (slot);
CREATE TABLE howdah.failure_0 PARTITION OF howdah.failure FOR VALUES IN (0);
CREATE TABLE howdah.failure_1 PARTITION OF howdah.failure FOR VALUES IN (1);
CREATE TABLE howdah.failure_2 PARTITION OF howdah.failure FOR VALUES IN (2);
CREATE TABLE howdah.failure_3 PARTITION OF howdah.failure FOR VALUES IN (3);
-- jobs show: the history of a job.
CREATE INDEX failure_job ON howdah.failure (job_id, attempt);

-- Runs of jobs that are due later: scheduled ones and retries.
CREATE TABLE howdah.deferred (
  due_at   timestamptz NOT NULL,
  first_id bigint   PRIMARY KEY,
  queue_id integer  NOT NULL,
  priority smallint NOT NULL,
  jobs     smallint NOT NULL,
  attempt  smallint NOT NULL,
  kind     text COLLATE "C" NOT NULL
);
-- promote: what is due, and when the next one is.
CREATE INDEX deferred_due ON howdah.deferred (due_at, first_id);

-- Jobs whose last attempt failed, or that were discarded. They can be looked into and sent again.
CREATE TABLE howdah.dead (
  job_id   bigint PRIMARY KEY,
  queue_id integer NOT NULL,
  priority smallint NOT NULL,
  attempt  smallint NOT NULL,
  kind     text COLLATE "C" NOT NULL,
  died_at  timestamptz NOT NULL,
  reason   text NOT NULL
);
-- prune: the oldest.
CREATE INDEX dead_died_at ON howdah.dead (died_at);

-- One row per worker process, so that holding ten thousand jobs costs what holding one does.
CREATE TABLE howdah.worker (
  id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name          text NOT NULL CHECK (octet_length(name) BETWEEN 1 AND 256),
  started_at    timestamptz NOT NULL,
  heartbeat_at  timestamptz NOT NULL,
  heartbeat_ms  integer NOT NULL CHECK (heartbeat_ms BETWEEN 10 AND 3600000),
  lease_ms      integer NOT NULL CHECK (lease_ms BETWEEN 100 AND 86400000),
  stopping      boolean NOT NULL DEFAULT false,
  backend_pid   integer,
  backend_start timestamptz,
  version       text,
  queues        text[] NOT NULL DEFAULT '{}',
  kinds         text[]
) WITH (fillfactor = 50);

-- Workers that sleep until they are notified. Enqueuers read it and never write it.
CREATE TABLE howdah.sleeper (
  queue_id  integer NOT NULL,
  worker_id bigint  NOT NULL,
  PRIMARY KEY (queue_id, worker_id)
) WITH (fillfactor = 50);

-- Wishes to cancel what is running, until the worker has heard them.
CREATE TABLE howdah.cancel_request (
  job_id       bigint PRIMARY KEY,
  lease_id     bigint NOT NULL,
  worker_id    bigint NOT NULL,
  requested_at timestamptz NOT NULL
);

-- The keeper's office: who does the chores, in which term, until when, and when it looks again by itself.
-- An enqueuer of a job that is due before `wakes_at` notifies it.
CREATE TABLE howdah.keeper (
  one        boolean PRIMARY KEY DEFAULT true CHECK (one),
  term       bigint NOT NULL DEFAULT 0,
  worker_id  bigint,
  expires_at timestamptz NOT NULL DEFAULT '-infinity',
  wakes_at   timestamptz NOT NULL DEFAULT 'infinity'
) WITH (fillfactor = 20);
INSERT INTO howdah.keeper DEFAULT VALUES;

-- Which slot of each ring is written now, and when each job partition was found without live jobs.
CREATE TABLE howdah.ring (
  name  text PRIMARY KEY,
  slot  smallint NOT NULL,
  since timestamptz NOT NULL DEFAULT clock_timestamp()
);
INSERT INTO howdah.ring (name, slot) VALUES ('ticket', 0), ('returned', 2), ('lease', 0), ('history', 0), ('job', 0);
CREATE TABLE howdah.idle_job_slot (
  slot       smallint PRIMARY KEY,
  idle_since timestamptz NOT NULL
);

-- The planner takes an empty table that it knows nothing of for ten pages, and plans the views for a thousand jobs
-- in each of their forty partitions.
ANALYZE howdah.job, howdah.job_kept, howdah.ticket, howdah.lease, howdah.settled, howdah.receipt, howdah.failure,
        howdah.deferred, howdah.dead, howdah.worker, howdah.sleeper;
INSERT INTO howdah.migration (version, name) VALUES (1, 'queue');
-- 0002 options: what few jobs have, and what of it must be kept beside the job.
--
-- The rarely used settings of a job are in howdah.job.options, so that jobs without any pay nothing. Every table
-- here is empty until somebody uses its feature, and is asked by the bounds of a run, so that jobs that do not use
-- it cost one probe of an empty index for each run.
--
-- Locks: takes howdah.queue and howdah.failure for a moment. Safe while an application runs.

ALTER TABLE howdah.queue
  ADD COLUMN retry_policy   text   NOT NULL DEFAULT 'exponential' CHECK (retry_policy IN ('constant', 'linear', 'exponential')),
  ADD COLUMN retry_floor_ms bigint NOT NULL DEFAULT 0             CHECK (retry_floor_ms >= 0),
  ADD COLUMN on_expiry      text   NOT NULL DEFAULT 'expired'     CHECK (on_expiry IN ('expired', 'dead'));

-- The causes of an error, outermost first: a JSON array of strings, or NULL if there is only the message.
ALTER TABLE howdah.failure ADD COLUMN causes jsonb;

-- Settings of a kind, where they differ from those of its queue. NULL: as the queue says.
CREATE TABLE howdah.kind (
  name           text COLLATE "C" PRIMARY KEY,
  lease_ms       integer CHECK (lease_ms BETWEEN 100 AND 86400000),
  timeout_ms     bigint  CHECK (timeout_ms >= 1),
  retry_policy   text    CHECK (retry_policy IN ('constant', 'linear', 'exponential')),
  retry_base_ms  integer CHECK (retry_base_ms >= 1),
  retry_factor   real    CHECK (retry_factor BETWEEN 1 AND 100),
  retry_floor_ms bigint  CHECK (retry_floor_ms >= 0),
  retry_cap_ms   bigint  CHECK (retry_cap_ms >= 1),
  retry_jitter   real    CHECK (retry_jitter BETWEEN 0 AND 1)
);

-- Who has a unique key. scope: live (until its job has ended), period (until expires_at), forever.
CREATE TABLE howdah.unique_key (
  kind       text COLLATE "C" NOT NULL,
  key        text COLLATE "C" NOT NULL CHECK (octet_length(key) BETWEEN 1 AND 512),
  job_id     bigint NOT NULL,
  scope      text   NOT NULL CHECK (scope IN ('live', 'period', 'forever')),
  expires_at timestamptz CHECK ((expires_at IS NOT NULL) = (scope = 'period')),
  PRIMARY KEY (kind, key)
);
-- ended: the keys of a run.
CREATE INDEX unique_key_job ON howdah.unique_key (job_id);
-- prune: periods that are over.
CREATE INDEX unique_key_expires ON howdah.unique_key (expires_at) WHERE expires_at IS NOT NULL;

-- Jobs that somebody waits for. Who waits renews the row; who ends the job deletes it and notifies.
CREATE TABLE howdah.waiter (
  job_id     bigint PRIMARY KEY,
  expires_at timestamptz NOT NULL
) WITH (fillfactor = 70);

-- What handlers returned. A ring with the history.
CREATE TABLE howdah.result (
  slot   smallint    NOT NULL,
  job_id bigint      NOT NULL,
  at     timestamptz NOT NULL,
  result jsonb       NOT NULL
) PARTITION BY LIST (slot);
CREATE TABLE howdah.result_0 PARTITION OF howdah.result FOR VALUES IN (0);
CREATE TABLE howdah.result_1 PARTITION OF howdah.result FOR VALUES IN (1);
CREATE TABLE howdah.result_2 PARTITION OF howdah.result FOR VALUES IN (2);
CREATE TABLE howdah.result_3 PARTITION OF howdah.result FOR VALUES IN (3);
-- jobs, wait_for: the result of a job.
CREATE INDEX result_job ON howdah.result (job_id);

-- Jobs that must not start after a time. The keeper ends those that still wait then; a claim looks for itself.
CREATE TABLE howdah.expiry (
  job_id     bigint PRIMARY KEY,
  expires_at timestamptz NOT NULL
);
-- expire: what is due, and when the next one is.
CREATE INDEX expiry_due ON howdah.expiry (expires_at, job_id);

ANALYZE howdah.kind, howdah.unique_key, howdah.waiter, howdah.result, howdah.expiry;

-- These have other arguments now.
DROP FUNCTION IF EXISTS howdah.fail(bigint, bigint[], text[], text[], text[], bigint[], integer[]);
DROP FUNCTION IF EXISTS howdah.complete(bigint, bigint[], integer[]);
DROP FUNCTION IF EXISTS howdah.complete_in(bigint, bigint, integer);
DROP FUNCTION IF EXISTS howdah.complete_leases(bigint[], integer[], integer[]);
DROP FUNCTION IF EXISTS howdah.retry_delay(integer, integer);
INSERT INTO howdah.migration (version, name) VALUES (2, 'options');
-- 0003 routing: howdah.claim also takes kinds by prefix, and leaves kinds alone.
--
-- Its list of arguments has grown, so the old function goes; the new one comes with the functions of this release, in
-- the same transaction. Calls with five arguments go on to work.
--
-- Locks: none that an application would notice.

DROP FUNCTION IF EXISTS howdah.claim(bigint, text, integer, text[], bigint[]);
INSERT INTO howdah.migration (version, name) VALUES (3, 'routing');
-- 0004 observe: what attempts say of themselves while they run.
--
-- Locks: creates new objects only. Safe while an application runs.

-- How far a job is, and where its next attempt can go on. One row for each job that says so, written over and
-- over: pages are left half empty, so that a new version of a row finds its place beside the old one.
CREATE TABLE howdah.progress (
  job_id     bigint PRIMARY KEY,
  attempt    smallint NOT NULL,
  at         timestamptz NOT NULL,
  percent    real CHECK (percent BETWEEN 0 AND 100),
  message    text,
  checkpoint jsonb
) WITH (fillfactor = 50);

-- What was logged inside of an attempt: one row per line, in the slots of the history ring.
CREATE TABLE howdah.log (
  slot    smallint    NOT NULL,
  job_id  bigint      NOT NULL,
  attempt smallint    NOT NULL,
  line    smallint    NOT NULL,
  at      timestamptz NOT NULL,
  level   text        NOT NULL,
  target  text        NOT NULL,
  message text        NOT NULL
) PARTITION BY LIST (slot);
CREATE TABLE howdah.log_0 PARTITION OF howdah.log FOR VALUES IN (0);
CREATE TABLE howdah.log_1 PARTITION OF howdah.log FOR VALUES IN (1);
CREATE TABLE howdah.log_2 PARTITION OF howdah.log FOR VALUES IN (2);
CREATE TABLE howdah.log_3 PARTITION OF howdah.log FOR VALUES IN (3);
-- jobs show: the lines of a job.
CREATE INDEX log_job ON howdah.log (job_id, attempt, at, line);

ANALYZE howdah.progress, howdah.log;
INSERT INTO howdah.migration (version, name) VALUES (4, 'observe');
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
INSERT INTO howdah.migration (version, name) VALUES (5, 'retention');
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
INSERT INTO howdah.migration (version, name) VALUES (7, 'queues');
-- 0008 flow: limits, orders, rates and fair shares; the room of what is blocked.
--
-- What a job must pass when it is claimed are its gates: a limit (limit:KEY), an order (order:KEY), its share of the
-- queue (fair:KEY). They stand on its ticket, so that jobs without any cost nothing. A job that does not get through
-- waits apart, as a row of howdah.deferred that is due at infinity and names the gate; whoever frees the gate makes it
-- ready again.
--
-- Locks: takes howdah.ticket and howdah.deferred for a moment: enqueuers wait for the commit of this migration.

ALTER TABLE howdah.ticket
  ADD COLUMN gates text[],
  -- When it came back among the ready ones; NULL: it has been there since it was enqueued.
  ADD COLUMN ready_at timestamptz;
-- Ageing: for each aging_ms that a job is ready it counts as one priority higher. NULL: it does not.
ALTER TABLE howdah.queue ADD COLUMN aging_ms bigint CHECK (aging_ms BETWEEN 1 AND 31557600000);
ALTER TABLE howdah.deferred
  ADD COLUMN gates text[],
  -- What the run is blocked by; NULL: nothing, it is only not due.
  ADD COLUMN gate  text COLLATE "C";
-- release: the first of those that a gate blocks. claim: the lanes of a fair queue.
CREATE INDEX deferred_gate ON howdah.deferred (gate, priority, first_id) WHERE gate IS NOT NULL;

-- The rules of limits and rates, and the weights of shares. scope: queue, kind, key (of limit_key; a name that ends with *
-- is a rule for each key that begins so), share (of fair_key).
CREATE TABLE howdah.flow_rule (
  scope          text    NOT NULL CHECK (scope IN ('queue', 'kind', 'key', 'share')),
  name           text COLLATE "C" NOT NULL CHECK (octet_length(name) BETWEEN 1 AND 256),
  -- So many may run at the same time; NULL: any number.
  max_running    integer CHECK (max_running BETWEEN 0 AND 100000),
  -- So many tokens come in every rate_period_ms, and so many may be saved up; a start takes one, or the job's weight.
  rate           integer CHECK (rate BETWEEN 1 AND 1000000000),
  rate_period_ms bigint  CHECK (rate_period_ms BETWEEN 1 AND 31557600000),
  rate_burst     integer CHECK (rate_burst BETWEEN 1 AND 1000000000),
  -- How many jobs of the share are started in its turn.
  weight         integer CHECK (weight BETWEEN 1 AND 1000),
  PRIMARY KEY (scope, name),
  CONSTRAINT rate_is_whole CHECK ((rate IS NULL) = (rate_period_ms IS NULL) AND (rate IS NULL) = (rate_burst IS NULL)),
  CONSTRAINT weight_is_of_shares CHECK ((weight IS NOT NULL) = (scope = 'share')),
  CONSTRAINT share_has_a_weight_only CHECK (scope <> 'share' OR (max_running IS NULL AND rate IS NULL))
);

-- Who has passed a gate that counts: a row for each gate of each running job. It belongs to the lease: where that is
-- gone, the row counts for nothing, whatever has gone wrong.
CREATE TABLE howdah.slot (
  lease_id bigint NOT NULL,
  job_id   bigint NOT NULL,
  gate     text COLLATE "C" NOT NULL,
  PRIMARY KEY (lease_id, job_id, gate)
);
-- admit: how many have passed.
CREATE INDEX slot_gate ON howdah.slot (gate, lease_id);

-- Jobs with an ordering key that have not ended, in their order. passed_by: it failed, and lets the others go first until
-- it is due again.
CREATE TABLE howdah.ordered (
  key       text COLLATE "C" NOT NULL,
  job_id    bigint NOT NULL,
  passed_by boolean NOT NULL DEFAULT false,
  PRIMARY KEY (key, job_id)
);
-- ended: the orders of a run.
CREATE INDEX ordered_job ON howdah.ordered (job_id);

-- How far each rate is used up: at `full_at` all its tokens would be there again. Written by whoever has the gate's lock.
CREATE TABLE howdah.gate (
  name    text COLLATE "C" PRIMARY KEY,
  full_at timestamptz NOT NULL
) WITH (fillfactor = 20);

-- When the keeper is to look whom it can let through a gate. Rows are added and deleted, never updated, and no two
-- exclude each other: so nobody who adds one waits for a transaction that has added another.
CREATE TABLE howdah.gate_look (
  gate    text COLLATE "C" NOT NULL,
  look_at timestamptz NOT NULL
);
-- open_gates: which, and when the next one is. watch_gate: whether one is there.
CREATE INDEX gate_look_at ON howdah.gate_look (look_at);
CREATE INDEX gate_look_gate ON howdah.gate_look (gate, look_at);

-- Where the keeper's round over all gates that block somebody goes on.
CREATE TABLE howdah.gate_round (
  one  boolean PRIMARY KEY DEFAULT true CHECK (one),
  gate text COLLATE "C" NOT NULL
) WITH (fillfactor = 20);
INSERT INTO howdah.gate_round (gate) VALUES ('');

-- Whose turn it is in a queue of shares: where the last claim stopped, as the hash of a fair_key. Sequences, because a row
-- that is written at each claim would rot while a snapshot is held. Which one a claim uses: see claim_in_turn.
CREATE SEQUENCE howdah.turn_0 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_1 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_2 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_3 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_4 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_5 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_6 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_7 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_8 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_9 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_10 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_11 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_12 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_13 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_14 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_15 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_16 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_17 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_18 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_19 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_20 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_21 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_22 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_23 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_24 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_25 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_26 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_27 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_28 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_29 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_30 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_31 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_32 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_33 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_34 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_35 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_36 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_37 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_38 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_39 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_40 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_41 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_42 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_43 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_44 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_45 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_46 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_47 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_48 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_49 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_50 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_51 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_52 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_53 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_54 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_55 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_56 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_57 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_58 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_59 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_60 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_61 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_62 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_63 AS bigint MINVALUE 0;

-- rule_of: the rules for all keys that begin so.
CREATE INDEX flow_rule_prefix ON howdah.flow_rule (scope, name) WHERE right(name, 1) = '*';

ANALYZE howdah.flow_rule, howdah.slot, howdah.ordered, howdah.gate, howdah.gate_look;

-- These have other arguments or other columns now.
DROP FUNCTION IF EXISTS howdah.single_out(bigint, boolean);
DROP FUNCTION IF EXISTS howdah.take_range(integer[], text, text[], jsonpath, bigint[], bigint, bigint);
DROP FUNCTION IF EXISTS howdah.lease_jobs(bigint, integer, bigint[], smallint[], bigint[]);
DROP FUNCTION IF EXISTS howdah.defer(timestamptz, bigint, integer, integer, text, integer, integer);
INSERT INTO howdah.migration (version, name) VALUES (8, 'flow');
-- 0009 cron: schedules, and what they have fired.
--
-- Locks: creates new objects only. Safe while an application runs.

-- A schedule enqueues a job at each of its slots: the points in time that its expression has in its zone. Its settings
-- are changed with howdah.set_schedule. The keeper reads what is due, works out the next slot (PostgreSQL cannot read
-- cron expressions), and calls howdah.fire_schedule.
CREATE TABLE howdah.schedule (
  name         text COLLATE "C" PRIMARY KEY CHECK (octet_length(name) BETWEEN 1 AND 128 AND name !~ '[[:cntrl:]]'),
  expression   text     NOT NULL,
  timezone     text     NOT NULL DEFAULT 'UTC',
  queue        text     NOT NULL DEFAULT 'default',
  kind         text     NOT NULL,
  payload      jsonb    NOT NULL DEFAULT '{}',
  priority     smallint NOT NULL DEFAULT 5 CHECK (priority BETWEEN 0 AND 9),
  -- NULL: as the queue says.
  max_attempts smallint CHECK (max_attempts BETWEEN 1 AND 1000),
  options      jsonb,
  -- Not NULL: while a job with this key has not ended, a firing enqueues none.
  unique_key   text     CHECK (octet_length(unique_key) BETWEEN 1 AND 512),
  -- What becomes of slots that are more than grace_ms over: none is fired, the last one, or the last max_missed.
  missed       text     NOT NULL DEFAULT 'skip' CHECK (missed IN ('skip', 'one', 'all')),
  max_missed   integer  NOT NULL DEFAULT 100 CHECK (max_missed BETWEEN 1 AND 1000),
  grace_ms     integer  NOT NULL DEFAULT 60000 CHECK (grace_ms BETWEEN 1000 AND 86400000),
  paused_at    timestamptz,
  paused_by    text,
  pause_reason text,
  -- From here on nothing is a setting.
  created_at   timestamptz NOT NULL,
  -- Goes up with whatever is changed, so that what was worked out before is not done after.
  turn         bigint      NOT NULL DEFAULT 1,
  -- What @every counts from: when the expression or the zone was set.
  every_from   timestamptz NOT NULL,
  -- Slots until here, included, are dealt with.
  after_at     timestamptz NOT NULL,
  -- The first slot after that. NULL: paused, or not worked out yet.
  next_at      timestamptz,
  -- When the keeper is to look at it.
  look_at      timestamptz NOT NULL DEFAULT '-infinity',
  failures     integer     NOT NULL DEFAULT 0,
  error        text,
  error_at     timestamptz,
  -- What a program has declared at last, and the highest number that one gave its declaration.
  declared     jsonb,
  revision     integer     NOT NULL DEFAULT 0
) WITH (fillfactor = 50);
-- due_schedules: what is due, and when the next one is.
CREATE INDEX schedule_look ON howdah.schedule (look_at);

-- The newest thousand or so firings of each schedule. how: due; missed, when it was too late; by hand. hit: the unique
-- key was held, and job_id is the job that has it.
CREATE TABLE howdah.firing (
  schedule text COLLATE "C" NOT NULL,
  due_at   timestamptz NOT NULL,
  fired_at timestamptz NOT NULL,
  how      text        NOT NULL CHECK (how IN ('due', 'missed', 'by hand')),
  job_id   bigint      NOT NULL,
  hit      boolean     NOT NULL
);
-- No slot is ever fired twice.
CREATE UNIQUE INDEX firing_slot ON howdah.firing (schedule, due_at) WHERE how <> 'by hand';
-- schedules, prune_firings: the newest of a schedule.
CREATE INDEX firing_newest ON howdah.firing (schedule, fired_at);

ANALYZE howdah.schedule, howdah.firing;
INSERT INTO howdah.migration (version, name) VALUES (9, 'cron');
-- 0010 workflows: jobs that wait for other jobs, and named graphs of them.
--
-- What a job waits for was asked for with it, and stays in job.options (depends_on) for as long as the job. What it still
-- waits for are the rows of howdah.dependency. While there are any it is blocked: a row of howdah.deferred of its own, due
-- at infinity, with the gate 'dependencies'. Who ends a parent deletes its rows, and lets go of the children that have none.
--
-- Locks: creates new objects only. Safe while an application runs.

-- What blocked jobs still wait for. No row is ever updated, so xmax tells who is being deleted: see howdah.let_go.
CREATE TABLE howdah.dependency (
  parent_id  bigint NOT NULL,
  job_id     bigint NOT NULL,
  -- What becomes of the job when the parent dies, is cancelled or expires.
  on_failure text   NOT NULL CHECK (on_failure IN ('cancel', 'run', 'hold')),
  PRIMARY KEY (parent_id, job_id)
);
-- let_go: what a job still waits for.
CREATE INDEX dependency_job ON howdah.dependency (job_id, parent_id);

-- Blocked jobs that the keeper has to look at: something happened to a parent in a transaction that did not see what another
-- was doing. No key, since nobody may wait for anybody here. `until`: when every transaction before it is over, one more
-- look sees all that was missed.
CREATE TABLE howdah.second_look (
  job_id  bigint      NOT NULL,
  since   timestamptz NOT NULL,
  look_at timestamptz NOT NULL,
  looks   integer     NOT NULL DEFAULT 0,
  until   xid8
);
-- look_again: whose time has come.
CREATE INDEX second_look_at ON howdah.second_look (look_at);

-- Named graphs of jobs. They go when nothing is left of their jobs.
CREATE TABLE howdah.workflow (
  id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name         text COLLATE "C" NOT NULL CHECK (octet_length(name) BETWEEN 1 AND 256),
  created_at   timestamptz NOT NULL,
  cancelled_at timestamptz,
  -- When prune looks whether anything is left of its jobs.
  prune_at     timestamptz NOT NULL
);
CREATE INDEX workflow_prune ON howdah.workflow (prune_at);

-- The jobs of workflows by their names. callback: on_complete or on_end, which wait for all the others.
CREATE TABLE howdah.workflow_job (
  workflow_id bigint NOT NULL,
  name        text COLLATE "C" NOT NULL,
  job_id      bigint NOT NULL,
  callback    boolean NOT NULL DEFAULT false,
  PRIMARY KEY (workflow_id, name)
);
-- parent_results: the name of a job.
CREATE UNIQUE INDEX workflow_job_id ON howdah.workflow_job (job_id);

-- The planner takes an empty table that it knows nothing of for ten pages.
ANALYZE howdah.dependency, howdah.second_look, howdah.workflow, howdah.workflow_job;

-- This has another argument now.
DROP FUNCTION IF EXISTS howdah.ended(bigint[], smallint[], boolean);
INSERT INTO howdah.migration (version, name) VALUES (10, 'workflows');
-- 0011 steps: what the steps of a job have given, and signals that jobs wait for.
--
-- A job without steps has no row in any of these, and costs one probe of an empty index when it ends.
--
-- Locks: access exclusive on config, for a moment. Else creates new objects only.

-- The steps of jobs that have not ended well: kept by the attempt that has done them, and read by the next one. `n`
-- counts them in the order in which they were kept, `bytes` sums what they hold up to this one.
--   kind      step: something was done; sleep: until wakes_at; signal: waits for the one of that name until wakes_at
--   state     done, waiting (a sleep or signal that is not over), timed out (a signal that did not come)
CREATE TABLE howdah.step (
  job_id   bigint      NOT NULL,
  n        integer     NOT NULL,
  attempt  smallint    NOT NULL,
  kind     text        NOT NULL CHECK (kind IN ('step', 'sleep', 'signal')),
  state    text        NOT NULL CHECK (state IN ('done', 'waiting', 'timed out')),
  at       timestamptz NOT NULL,
  wakes_at timestamptz,
  bytes    bigint      NOT NULL,
  name     text COLLATE "C" NOT NULL CHECK (octet_length(name) BETWEEN 1 AND 128),
  result   jsonb,
  PRIMARY KEY (job_id, name)
);
-- add_step: how many there are, and how large they are. forget_steps: those after one.
CREATE INDEX step_order ON howdah.step (job_id, n);
-- deliver: who waits for a signal.
CREATE INDEX step_awaits ON howdah.step (name, job_id) WHERE kind = 'signal' AND state = 'waiting';

-- The steps of jobs that have ended well. A ring with the history.
CREATE TABLE howdah.past_step (
  slot     smallint    NOT NULL,
  job_id   bigint      NOT NULL,
  n        integer     NOT NULL,
  attempt  smallint    NOT NULL,
  kind     text        NOT NULL,
  state    text        NOT NULL,
  at       timestamptz NOT NULL,
  wakes_at timestamptz,
  name     text COLLATE "C" NOT NULL,
  result   jsonb
) PARTITION BY LIST (slot);
CREATE TABLE howdah.past_step_0 PARTITION OF howdah.past_step FOR VALUES IN (0);
CREATE TABLE howdah.past_step_1 PARTITION OF howdah.past_step FOR VALUES IN (1);
CREATE TABLE howdah.past_step_2 PARTITION OF howdah.past_step FOR VALUES IN (2);
CREATE TABLE howdah.past_step_3 PARTITION OF howdah.past_step FOR VALUES IN (3);
-- jobs show: the steps of a job.
CREATE INDEX past_step_job ON howdah.past_step (job_id, n);

-- Signals that were sent, until they expire. job_id: the one job that hears it; 0: all that wait for the name.
-- `delivered`: the keeper has seen that nobody waits for it who has not got it. Whoever comes later looks here.
CREATE TABLE howdah.signal (
  name       text COLLATE "C" NOT NULL CHECK (octet_length(name) BETWEEN 1 AND 128),
  job_id     bigint      NOT NULL,
  sent_at    timestamptz NOT NULL,
  expires_at timestamptz NOT NULL,
  delivered  boolean     NOT NULL DEFAULT false,
  payload    jsonb       NOT NULL,
  PRIMARY KEY (name, job_id)
);
-- deliver_signals: what the keeper has not looked at.
CREATE INDEX signal_new ON howdah.signal (sent_at) WHERE NOT delivered;
-- prune: what has expired.
CREATE INDEX signal_expires ON howdah.signal (expires_at);

-- How long a signal is kept if its sender does not say.
ALTER TABLE howdah.config
  ADD COLUMN signal_retention interval NOT NULL DEFAULT '7 days' CHECK (signal_retention BETWEEN '0' AND '1000 years');

-- The planner takes an empty table that it knows nothing of for ten pages.
ANALYZE howdah.step, howdah.past_step, howdah.signal;
INSERT INTO howdah.migration (version, name) VALUES (11, 'steps');
-- 0012 why: what a worker takes, for who asks why a job is not running.
--
-- Locks: takes howdah.worker for a moment. Safe while an application runs.

-- The filter of a worker that claims only what matches it.
ALTER TABLE howdah.worker ADD COLUMN filter text;

DROP FUNCTION IF EXISTS howdah.start_worker(text, integer, integer, text[], text[], text);
INSERT INTO howdah.migration (version, name) VALUES (12, 'why');
-- 0013 graphs: jobs that wait for whole workflows.
--
-- The end of a workflow is a job of the kind howdah.workflow that no worker runs: it is blocked until all jobs of the workflow
-- have ended, and then ends by itself, completed or cancelled. It is made when somebody first waits for the workflow.
--
-- Locks: takes howdah.dependency and howdah.workflow for a moment. Safe while an application runs.

-- end_id: that job; NULL: nobody waits for the workflow.
ALTER TABLE howdah.workflow ADD COLUMN end_id bigint;
CREATE UNIQUE INDEX workflow_end ON howdah.workflow (end_id) WHERE end_id IS NOT NULL;
-- wait_again: the callbacks of a workflow.
CREATE INDEX workflow_callback ON howdah.workflow_job (workflow_id) WHERE callback;

-- note: as run, and if the parent fails that is noted in howdah.failed_parent.
ALTER TABLE howdah.dependency DROP CONSTRAINT dependency_on_failure_check,
  ADD CONSTRAINT dependency_on_failure_check CHECK (on_failure IN ('cancel', 'run', 'hold', 'note'));

-- The parents that have failed of jobs that are the ends of workflows: history may have forgotten them when the last job ends.
-- No key, since nobody may wait for anybody here. They go with the workflow.
CREATE TABLE howdah.failed_parent (
  job_id    bigint NOT NULL,
  parent_id bigint NOT NULL
);
-- let_go, end_workflows: whether anything of a workflow has failed.
CREATE INDEX failed_parent_job ON howdah.failed_parent (job_id);

-- The planner takes an empty table that it knows nothing of for ten pages.
ANALYZE howdah.failed_parent;

-- This takes several parents now.
DROP FUNCTION IF EXISTS howdah.refuse_circle(bigint, bigint);
INSERT INTO howdah.migration (version, name) VALUES (13, 'graphs');
-- 0014 roles: which roles this schema was given by howdah.create_roles; none until somebody calls it.
--
-- Locks: creates new objects only. Safe while an application runs.

-- prefix: the roles are prefix_owner, prefix_producer, ...
CREATE TABLE howdah.access (
  one    boolean PRIMARY KEY DEFAULT true CHECK (one),
  prefix text NOT NULL
);
INSERT INTO howdah.migration (version, name) VALUES (14, 'roles');
-- 0016 operations: what people do to many jobs at once, as rows that anybody can go on with, and who did what; errors in
-- groups of the same cause.
--
-- Locks: takes howdah.config for a moment, and howdah.failure for as long as its new index takes (some 3 s for 100,000
-- failures), during which failures wait. Safe while an application runs.

-- An action on all jobs that a search means. It is done in steps, each a transaction that takes some jobs and moves `before`:
-- whoever crashes has done a step or not.
CREATE TABLE howdah.operation (
  id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  action     text        NOT NULL,
  settings   jsonb       NOT NULL,
  -- As somebody typed it, and as howdah.search takes it.
  search     text        NOT NULL,
  compiled   jsonb       NOT NULL,
  made_at    timestamptz NOT NULL,
  made_by    text        NOT NULL,
  reason     text,
  -- running; stopped: a step failed, and the next one begins where it did; done; cancelled.
  state      text        NOT NULL DEFAULT 'running' CHECK (state IN ('running', 'stopped', 'done', 'cancelled')),
  -- Every job from this id on has been dealt with.
  before     bigint      NOT NULL,
  looked     bigint      NOT NULL DEFAULT 0,
  matched    bigint      NOT NULL DEFAULT 0,
  changed    bigint      NOT NULL DEFAULT 0,
  steps      bigint      NOT NULL DEFAULT 0,
  stepped_at timestamptz NOT NULL,
  ended_at   timestamptz,
  ended_by   text,
  error      text,
  -- The keeper goes on with it, since nobody else did.
  adopted    boolean     NOT NULL DEFAULT false
) WITH (fillfactor = 50);
-- prune_audit: the oldest that have ended. people: those that go on.
CREATE INDEX operation_ended ON howdah.operation (ended_at);

-- Actions on jobs that were named by their ids.
CREATE TABLE howdah.command (
  id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  action   text        NOT NULL,
  settings jsonb       NOT NULL,
  job_ids  bigint[]    NOT NULL,
  changed  bigint      NOT NULL,
  made_at  timestamptz NOT NULL,
  made_by  text        NOT NULL,
  reason   text
);
-- prune_audit: the oldest.
CREATE INDEX command_made_at ON howdah.command (made_at);

ALTER TABLE howdah.config
  ADD COLUMN audit_retention interval NOT NULL DEFAULT '90 days' CHECK (audit_retention BETWEEN '0' AND '1000 years');

-- Which errors are the same. These are functions of the release like all others; they are here because the index needs them.
CREATE OR REPLACE FUNCTION howdah.error_shape(message text) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN regexp_replace(regexp_replace(left(split_part(error_shape.message, E'\n', 1), 300),
    '"[^"]*"|`[^`]*`|(?<![[:alnum:]])''[^'']*''(?![[:alnum:]])', '"*"', 'g'),
    '[[:alnum:]_]*[0-9][[:alnum:]_]*([-.:/][[:alnum:]_]+)*', '#', 'g');
END $$;
CREATE OR REPLACE FUNCTION howdah.fingerprint(error_kind text, message text) RETURNS bigint
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN ('x' || substr(md5(fingerprint.error_kind || E'\n' || howdah.error_shape(fingerprint.message)), 1, 16))::bit(64)::bigint;
END $$;
-- error_groups: from one group to the next, and the newest of each.
CREATE INDEX failure_fingerprint ON howdah.failure (howdah.fingerprint(error_kind, message), at);

-- The planner takes an empty table that it knows nothing of for ten pages.
ANALYZE howdah.operation, howdah.command;
INSERT INTO howdah.migration (version, name) VALUES (16, 'operations');
-- 0019 watch: what happened last, found without a look at what happened before.
--
-- Locks: takes howdah.receipt and howdah.failure for as long as their new indexes take (some 1 s for a million rows), during
-- which jobs cannot end. Safe while an application runs.

-- tail: what ended, and what failed, in the last seconds. A row of howdah.receipt is a claim's worth of jobs.
CREATE INDEX receipt_at ON howdah.receipt (at);
CREATE INDEX failure_at ON howdah.failure (at);
INSERT INTO howdah.migration (version, name) VALUES (19, 'watch');
-- 0020 stats: how many attempts ended and how, as the workers report it, by minute, by hour and since ever; and how full the queues were.
--
-- Locks: creates new objects, and takes howdah.config for a moment. Safe while an application runs.

-- What was reported within a minute, kept for a day: of few columns, since there are many of them.
CREATE TABLE howdah.stat_minute (
  at        timestamptz NOT NULL,
  queue_id  integer     NOT NULL,
  kind      text        NOT NULL,
  completed bigint      NOT NULL,
  -- Attempts that failed, and are tried again.
  retried   bigint      NOT NULL,
  -- Put off by their handlers, or waiting for a signal; not counted as attempts.
  snoozed   bigint      NOT NULL,
  dead      bigint      NOT NULL,
  cancelled bigint      NOT NULL,
  -- Given back unended, by a worker that stopped.
  released  bigint      NOT NULL,
  -- Whose lease was lost, or that were given up after their time was over.
  lost      bigint      NOT NULL,
  -- Of all of them together: how long they ran, and how long jobs had waited for their first attempt.
  run_ms    bigint      NOT NULL,
  wait_ms   bigint      NOT NULL,
  PRIMARY KEY (at, queue_id, kind)
) WITH (fillfactor = 70);

-- What was reported within an hour, kept for config.stats_retention.
--   runs   how many ran how long: the first number is of those under 1 ms, and number n + 1 of those from 2^(n-1) to 2^n ms; the
--          last, the 24th, of all that took longer
--   waits  the same of how long jobs that began their first attempt had waited since they were enqueued
CREATE TABLE howdah.stat_hour (
  LIKE howdah.stat_minute,
  runs  bigint[] NOT NULL,
  waits bigint[] NOT NULL,
  PRIMARY KEY (at, queue_id, kind)
) WITH (fillfactor = 70);

-- What workers report. Rows are added and taken away by fold_stats, and never changed: a ring of two partitions, which is truncated, so
-- that many workers leave nothing behind while a snapshot is held.
CREATE TABLE howdah.stat_report (
  slot smallint NOT NULL,
  LIKE howdah.stat_hour
) PARTITION BY LIST (slot);
CREATE TABLE howdah.stat_report_0 PARTITION OF howdah.stat_report FOR VALUES IN (0);
CREATE TABLE howdah.stat_report_1 PARTITION OF howdah.stat_report FOR VALUES IN (1);
INSERT INTO howdah.ring (name, slot) VALUES ('stat_report', 0);

-- What was reported within a day of UTC: the sum of its hours, and kept as long. Days are few where hours are many.
CREATE TABLE howdah.stat_day (
  LIKE howdah.stat_hour,
  PRIMARY KEY (at, queue_id, kind)
) WITH (fillfactor = 70);

-- What was reported since ever, which never becomes less.
CREATE TABLE howdah.stat_total (
  LIKE howdah.stat_hour,
  PRIMARY KEY (queue_id, kind)
) WITH (fillfactor = 50);

-- What was in a queue at some time of a minute, kept for a day.
CREATE TABLE howdah.stat_depth (
  at         timestamptz NOT NULL,
  queue_id   integer     NOT NULL,
  -- When exactly.
  seen_at    timestamptz NOT NULL,
  -- Jobs that are ready, running, scheduled or blocked; at least so many, if there are more than were counted.
  unfinished bigint      NOT NULL,
  more       boolean     NOT NULL,
  PRIMARY KEY (at, queue_id)
);

ALTER TABLE howdah.config
  ADD COLUMN stats_retention interval NOT NULL DEFAULT '90 days' CHECK (stats_retention BETWEEN '0' AND '1000 years');

-- The planner takes an empty table that it knows nothing of for ten pages.
ANALYZE howdah.stat_report_0, howdah.stat_report_1, howdah.stat_minute, howdah.stat_hour, howdah.stat_day, howdah.stat_total, howdah.stat_depth;
INSERT INTO howdah.migration (version, name) VALUES (20, 'stats');
-- 0021 quiet: a queue that is paused for a while, a worker that is told to claim no more.
--
-- Locks: takes howdah.queue and howdah.worker for a moment: enqueuers wait for the commit of this migration. Safe while an application runs.

-- When the pause ends by itself; NULL: not before somebody resumes it.
ALTER TABLE howdah.queue ADD COLUMN resume_at timestamptz;
-- resume_due: those whose time has come.
CREATE INDEX queue_resume_at ON howdah.queue (resume_at) WHERE resume_at IS NOT NULL;
-- It has another argument now.
DROP FUNCTION IF EXISTS howdah.pause_queue(text, text, text);

-- What somebody has told a worker; NULL: nothing.
ALTER TABLE howdah.worker ADD COLUMN told text CHECK (told IN ('quiet', 'stop'));
-- It returns one more column.
DROP FUNCTION IF EXISTS howdah.heartbeat(bigint);
INSERT INTO howdah.migration (version, name) VALUES (21, 'quiet');
SET LOCAL check_function_bodies = off;
-- howdah.act(action, job_ids, settings, made_by, reason) -> bigint
-- Does something to these jobs and notes who did it, in one transaction; see howdah.start_operation for the arguments.
--   job_ids  at most 1,000
-- Returns how many were changed; the others are in a state that the action is not for, or do not exist. One job is
-- changed once, however often it is given.
-- Writes: command, and see act_on. Locks: what act_on locks. Errors: HD001 unknown queue, HD002 invalid argument, HD005 the queue
-- is full, HD012 the transaction is not READ COMMITTED: then nothing was changed or noted.
CREATE OR REPLACE FUNCTION howdah.act(action text, job_ids bigint[], settings jsonb DEFAULT '{}', made_by text DEFAULT NULL, reason text DEFAULT NULL) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  v_ids     bigint[] := ARRAY(SELECT DISTINCT i FROM unnest(act.job_ids) i WHERE i IS NOT NULL ORDER BY 1);
  v_changed bigint;
BEGIN
  PERFORM howdah.must_read_committed(), howdah.check_action(act.action, act.settings);
  IF cardinality(v_ids) > 1000 THEN
    RAISE EXCEPTION 'job_ids must be at most 1000, not %', cardinality(v_ids) USING ERRCODE = 'HD002', COLUMN = 'job_ids', HINT = 'Call it several times.';
  END IF;
  v_changed := howdah.act_on(act.action, v_ids, act.settings,
    howdah.action_states(act.action, '{scheduled,blocked,ready,running,completed,cancelled,expired,dead}'));
  INSERT INTO howdah.command (action, settings, job_ids, changed, made_at, made_by, reason)
  VALUES (act.action, act.settings, v_ids, v_changed, howdah.now(), howdah.who_acts(act.made_by), left(act.reason, 1024));
  RETURN v_changed;
END $$;
-- howdah.act_on(action, job_ids, settings, states) -> bigint
-- Does something to those of these jobs (each given once) that are in one of these states when it comes to them. Returns
-- how many were changed. Internal to act and step_operation, which have checked the arguments.
-- Writes: see retry_many, cancel_many, purge_dead, delete, change, reschedule. Locks: rows of the rooms, in the order of ids; waits
-- for whoever has them. Errors: HD005 the queue is full.
CREATE OR REPLACE FUNCTION howdah.act_on(action text, job_ids bigint[], settings jsonb, states text[]) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_done bigint := 0;
  v_some record;
  v_next bigint := 0;
  v_id   bigint;
BEGIN
  IF cardinality(act_on.job_ids) = 0 THEN
    RETURN 0;
  ELSIF act_on.action = 'retry' THEN
    RETURN (SELECT r.retried FROM howdah.retry_many(states => act_on.states, ids => act_on.job_ids, most => 10000) r);
  ELSIF act_on.action = 'cancel' THEN
    -- More than once only if jobs kept moving.
    FOR round IN 1..10 LOOP
      EXIT WHEN v_next IS NULL;
      SELECT * INTO v_some FROM howdah.cancel_many(states => act_on.states, ids => act_on.job_ids, most => 10000, after => v_next);
      v_done := v_done + v_some.cancelled + v_some.cancelling;
      v_next := v_some.next;
    END LOOP;
    RETURN v_done;
  ELSIF act_on.action = 'purge' AND 'dead' = ANY (act_on.states) THEN
    v_done := (SELECT p.purged FROM howdah.purge_dead(ids => act_on.job_ids, most => 10000) p);
  END IF;
  IF act_on.states <@ '{dead}' AND act_on.action = 'purge' THEN
    RETURN v_done;
  END IF;
  FOR v_id IN
    -- A dead job of a deleted queue is history: it can be deleted, or moved.
    SELECT j.id FROM howdah.find_jobs(act_on.job_ids) j
     WHERE act_on.action IN ('purge', 'move') OR EXISTS (SELECT FROM howdah.queue q WHERE q.id = j.queue_id) ORDER BY j.id LOOP
    CONTINUE WHEN NOT howdah.may_act_on(v_id, act_on.states);
    CASE act_on.action
      WHEN 'purge' THEN PERFORM howdah.delete(v_id);
      WHEN 'priority' THEN PERFORM howdah.change(v_id, priority => (act_on.settings ->> 'priority')::integer);
      WHEN 'move' THEN PERFORM howdah.change(v_id, queue => act_on.settings ->> 'queue');
      WHEN 'reschedule' THEN PERFORM howdah.reschedule(v_id, (act_on.settings ->> 'run_at')::timestamptz, (act_on.settings ->> 'delay')::interval);
    END CASE;
    v_done := v_done + 1;
  END LOOP;
  RETURN v_done;
END $$;
-- howdah.action_states(action, states) -> text[]
-- In which states jobs are that an action is for; of `states`, if they are given. Where it would be a surprise, a state
-- has to be named: retry is for dead jobs, and for scheduled ones (at once, then) if that is said; purge for dead ones, and
-- for any but running ones if that is said; priority and move for those that wait, and for dead ones if that is said.
-- Internal. Errors: HD002 if it is for none of them.
CREATE OR REPLACE FUNCTION howdah.action_states(action text, states text[]) RETURNS text[]
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_usual text[];
  v_more  text[] := '{}';
  v_kept  text[];
BEGIN
  CASE action_states.action
    WHEN 'retry' THEN v_usual := '{dead}'; v_more := '{scheduled}';
    WHEN 'cancel' THEN v_usual := '{scheduled,blocked,ready,running}';
    WHEN 'purge' THEN v_usual := '{dead}'; v_more := '{scheduled,blocked,ready,completed,cancelled,expired}';
    WHEN 'reschedule' THEN v_usual := '{scheduled,blocked,ready}';
    ELSE v_usual := '{scheduled,blocked,ready}'; v_more := '{dead}';
  END CASE;
  IF action_states.states IS NULL THEN
    RETURN v_usual;
  END IF;
  v_kept := ARRAY(SELECT s FROM unnest(v_usual || v_more) s WHERE s = ANY (action_states.states));
  IF v_kept = '{}' THEN
    RAISE EXCEPTION '% is not for jobs that are %', action_states.action, coalesce(nullif(array_to_string(action_states.states, ' or '), ''), 'in no state')
      USING ERRCODE = 'HD002', COLUMN = 'search', HINT = format('It is for jobs that are %s.', array_to_string(v_usual || v_more, ', '));
  END IF;
  RETURN v_kept;
END $$;
-- howdah.cancel_operation(id, made_by) -> boolean
-- Ends an operation; what it has done is done. Returns whether it was under way; NULL: there is none.
-- Writes: operation. Locks: its row, and waits for a step that is being done. Errors: none.
CREATE OR REPLACE FUNCTION howdah.cancel_operation(id bigint, made_by text DEFAULT NULL) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
  UPDATE howdah.operation p SET state = 'cancelled', ended_at = howdah.now(), ended_by = left(coalesce(cancel_operation.made_by, session_user::text), 256)
   WHERE p.id = cancel_operation.id AND p.state IN ('running', 'stopped');
  RETURN CASE WHEN FOUND THEN true WHEN EXISTS (SELECT FROM howdah.operation p WHERE p.id = cancel_operation.id) THEN false END;
END $$;
-- howdah.check_action(action, settings) -> void
-- Refuses an action that there is not, and settings that are not its own:
--   retry, cancel, purge  {}
--   priority              {"priority": 0 to 9}
--   move                  {"queue": name}
--   reschedule            {"run_at": time} or {"delay": length of time}
-- Internal. Reads: queue. Errors: HD001 unknown queue, HD002 invalid argument.
CREATE OR REPLACE FUNCTION howdah.check_action(action text, settings jsonb) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_queue text := check_action.settings ->> 'queue';
  v_names text[];
BEGIN
  v_names := CASE check_action.action WHEN 'retry' THEN '{}' WHEN 'cancel' THEN '{}' WHEN 'purge' THEN '{}' WHEN 'priority' THEN '{priority}'
                                      WHEN 'move' THEN '{queue}' WHEN 'reschedule' THEN '{run_at,delay}' END;
  IF v_names IS NULL THEN
    RAISE EXCEPTION 'there is no action %', coalesce(quote_literal(left(check_action.action, 100)), 'NULL')
      USING ERRCODE = 'HD002', COLUMN = 'action', HINT = 'There are retry, cancel, purge, priority, move and reschedule.';
  END IF;
  IF jsonb_typeof(check_action.settings) IS DISTINCT FROM 'object'
     OR (SELECT count(*) FILTER (WHERE n = ANY (v_names)) <> least(cardinality(v_names), 1) OR count(*) > least(cardinality(v_names), 1)
           FROM jsonb_object_keys(check_action.settings) n) THEN
    RAISE EXCEPTION 'settings of % must be an object with %', check_action.action, CASE v_names WHEN '{}' THEN 'nothing in it' ELSE array_to_string(v_names, ' or ') END
      USING ERRCODE = 'HD002', COLUMN = 'settings';
  END IF;
  IF v_queue IS NOT NULL AND NOT EXISTS (SELECT FROM howdah.queue q WHERE q.name = v_queue) THEN
    PERFORM howdah.unknown_queue(v_queue);
  END IF;
  BEGIN
    PERFORM howdah.check_job('any', coalesce((check_action.settings ->> 'priority')::integer, 5), (check_action.settings ->> 'run_at')::timestamptz,
                             (check_action.settings ->> 'delay')::interval, NULL, NULL);
  EXCEPTION WHEN data_exception THEN
    RAISE EXCEPTION 'settings of % are not valid: %', check_action.action, SQLERRM USING ERRCODE = 'HD002', COLUMN = 'settings';
  END;
END $$;
-- howdah.continue_operations() -> text
-- Does a step of an operation whose process has not done one for a minute: it has ended, or nobody looks. From then on the keeper goes on
-- with it to its end; whoever comes back may do steps beside it, since they are done one after another.
-- One that was stopped by an error waits for a person. Returns what it did; NULL: there is none. Internal to rotate.
-- Writes: operation, and see act_on. Locks: the operation's row, if nobody has it; what act_on locks.
CREATE OR REPLACE FUNCTION howdah.continue_operations() RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  o howdah.operation;
BEGIN
  IF current_setting('transaction_isolation') <> 'read committed' THEN
    RETURN NULL;
  END IF;
  SELECT * INTO o FROM howdah.operation p
   WHERE p.state = 'running' AND (p.adopted OR p.stepped_at < howdah.now() - interval '1 minute')
   ORDER BY p.id LIMIT 1 FOR UPDATE SKIP LOCKED;
  IF NOT FOUND THEN
    RETURN NULL;
  END IF;
  UPDATE howdah.operation p SET adopted = true WHERE p.id = o.id AND NOT p.adopted;
  o := howdah.step_operation(o.id);
  RETURN CASE WHEN o.state = 'stopped' THEN format('could not go on with operation %s: %s', o.id, o.error)
    ELSE format('went on with operation %s: %s of %s jobs changed', o.id, o.changed, o.matched) END;
END $$;
-- howdah.may_act_on(job_id, states) -> boolean
-- Whether a job is in one of these states, and stays there until the caller's transaction ends: if it waits or is dead its row is
-- locked, and what has ended does not come back. Never for one that runs. Internal.
-- Writes and locks: see single_out; dead.
CREATE OR REPLACE FUNCTION howdah.may_act_on(job_id bigint, states text[]) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
DECLARE
  v_state text := (howdah.single_out(may_act_on.job_id)).state;
BEGIN
  IF v_state IS NULL THEN
    PERFORM FROM howdah.dead x WHERE x.job_id = may_act_on.job_id FOR UPDATE;
    v_state := CASE WHEN FOUND THEN 'dead' ELSE howdah.state(may_act_on.job_id) END;
    -- If it is back in a room by now, it moved while we looked.
    IF NOT FOUND AND v_state NOT IN ('completed', 'cancelled', 'expired') THEN
      RETURN false;
    END IF;
  END IF;
  RETURN coalesce(v_state = ANY (may_act_on.states), false);
END $$;
-- howdah.note(action, of, made_by, reason, changes, changed) -> void
-- A row of howdah.audit without jobs, in the transaction that does it. Internal: what people do calls it, and note_command.
--   of       of what: {"queue": "mail"}
--   made_by  who, see who_acts
--   reason   why; NULL: the setting howdah.reason, if there is one
--   changes  what has been set, by name; only the names are kept of what is longer than some 4000 bytes
--   changed  how many jobs it was about
-- Writes: command. Locks: none. Errors: none.
CREATE OR REPLACE FUNCTION howdah.note(action text, of jsonb, made_by text DEFAULT NULL, reason text DEFAULT NULL, changes jsonb DEFAULT '{}',
  changed bigint DEFAULT 0) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
  INSERT INTO howdah.command (action, settings, job_ids, changed, made_at, made_by, reason)
  VALUES (note.action, note.of || CASE WHEN octet_length(note.changes::text) <= 4000 THEN note.changes
            ELSE jsonb_build_object('set', (SELECT left(string_agg(k, ' '), 4000) FROM jsonb_object_keys(note.changes) k)) END,
          '{}', note.changed, howdah.now(),
          howdah.who_acts(note.made_by), left(coalesce(note.reason, nullif(current_setting('howdah.reason', true), '')), 1024))
$$;
-- howdah.note_changes(action, of, was, now) -> void
-- Notes who has changed settings, with those that are not what they were; nothing if none is. Internal.
--   of        of what: {"queue": "mail"}
--   was, now  all settings before and after; NULL: none were, or are
-- Writes: command. Locks: none. Errors: none.
CREATE OR REPLACE FUNCTION howdah.note_changes(action text, of jsonb, was jsonb, now jsonb) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
  SELECT howdah.note(note_changes.action, note_changes.of, changes => jsonb_object_agg(k, note_changes.now -> k))
    FROM jsonb_object_keys(coalesce(note_changes.was, '{}') || coalesce(note_changes.now, '{}')) k
   WHERE note_changes.was -> k IS DISTINCT FROM note_changes.now -> k AND NOT note_changes.of ? k
  HAVING count(*) > 0
$$;
-- howdah.note_command(action, settings, made_by, reason, changed) -> void
-- Notes that somebody has done something of which Howdah does not know, such as a switch of the application: a row of howdah.audit
-- without jobs. Call it in the transaction that does it. What the functions of this schema change is noted by themselves.
--   action    what, 1 to 64 bytes: stop_letters
--   settings  of what, an object: {"tenant": "acme"}
--   made_by   who; NULL: the setting howdah.made_by of the transaction, else the user of the session
--   reason    why; NULL: the setting howdah.reason, if there is one
--   changed   of how many jobs
-- Writes: command. Locks: none. Errors: HD002 invalid argument.
CREATE OR REPLACE FUNCTION howdah.note_command(action text, settings jsonb, made_by text DEFAULT NULL, reason text DEFAULT NULL,
  changed bigint DEFAULT 0) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF note_command.action IS NULL OR octet_length(note_command.action) NOT BETWEEN 1 AND 64 THEN
    RAISE EXCEPTION 'action must be 1 to 64 bytes' USING ERRCODE = 'HD002', COLUMN = 'action';
  END IF;
  IF jsonb_typeof(note_command.settings) IS DISTINCT FROM 'object' OR octet_length(note_command.settings::text) > 4096 THEN
    RAISE EXCEPTION 'settings must be an object of at most 4096 bytes' USING ERRCODE = 'HD002', COLUMN = 'settings';
  END IF;
  PERFORM howdah.note(note_command.action, note_command.settings, note_command.made_by, note_command.reason, changed => coalesce(note_command.changed, 0));
END $$;
-- howdah.operation_search(action, search) -> jsonb
-- The jobs of a search that an operation begun now would be about, as a search: those that are in a state that it is for, and
-- were enqueued before now; what is said of times is meant from now. For a dry run: howdah.search(howdah.operation_search(...)).
-- Reads: block_seq. Errors: HD002 invalid argument.
CREATE OR REPLACE FUNCTION howdah.operation_search(action text, search jsonb) RETURNS jsonb
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_states text[];
BEGIN
  PERFORM howdah.check_search(operation_search.search);
  IF operation_search.search ? 'states' THEN
    v_states := ARRAY(SELECT jsonb_array_elements_text(operation_search.search -> 'states'));
  END IF;
  RETURN operation_search.search || jsonb_build_object(
    'states', to_jsonb(howdah.action_states(operation_search.action, v_states)), 'now', howdah.micros(howdah.now()),
    'upto_id', least((operation_search.search ->> 'upto_id')::bigint, howdah.last_id()));
END $$;
-- howdah.prune_audit(most) -> text
-- Removes operations that have ended and commands that were given longer ago than audit_retention, at most `most` of each.
-- Returns what it did; NULL: nothing. Internal to prune. Writes: operation, command. Locks: those rows.
CREATE OR REPLACE FUNCTION howdah.prune_audit(most integer) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off AS $$
DECLARE
  v_before   timestamptz := (SELECT howdah.now() - c.audit_retention FROM howdah.config c);
  v_ended    bigint;
  v_commands bigint;
BEGIN
  DELETE FROM howdah.operation o WHERE o.id = ANY (ARRAY(
    SELECT p.id FROM howdah.operation p WHERE p.ended_at < v_before ORDER BY p.ended_at LIMIT prune_audit.most));
  GET DIAGNOSTICS v_ended = ROW_COUNT;
  DELETE FROM howdah.command o WHERE o.id = ANY (ARRAY(
    SELECT c.id FROM howdah.command c WHERE c.made_at < v_before ORDER BY c.made_at LIMIT prune_audit.most));
  GET DIAGNOSTICS v_commands = ROW_COUNT;
  RETURN CASE WHEN v_ended + v_commands > 0 THEN format('pruned %s operations and %s commands', v_ended, v_commands) END;
END $$;
-- howdah.start_operation(action, search, compiled, settings, made_by, reason) -> bigint
-- Begins something that is to be done to all jobs that a search means; nothing is done to them before
-- howdah.step_operation is called.
--   action    retry, cancel, purge, priority, move, reschedule
--   search    as somebody typed it, for those who read it later
--   compiled  the same as howdah.search takes it
--   settings  of the action: {"priority": 3}, {"queue": "mail"}, {"run_at": "2026-01-31T10:00Z"}, {"delay": "1 hour"}
--   made_by   who; NULL: the setting howdah.made_by of the transaction, else the user of the session
--   reason    why; may be NULL
-- Which jobs: those that fit when their turn comes, in a state that the action is for (see howdah.action_states), and were
-- enqueued before now. "now" and ages in the search are meant from this moment.
-- Returns the operation's id. Writes: operation. Locks: none. Errors: HD001 unknown queue, HD002 invalid argument.
CREATE OR REPLACE FUNCTION howdah.start_operation(action text, search text, compiled jsonb, settings jsonb DEFAULT '{}',
  made_by text DEFAULT NULL, reason text DEFAULT NULL) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  v_search jsonb;
  v_id     bigint;
BEGIN
  PERFORM howdah.check_action(start_operation.action, start_operation.settings);
  v_search := howdah.operation_search(start_operation.action, start_operation.compiled);
  INSERT INTO howdah.operation (action, settings, search, compiled, made_at, made_by, reason, before, stepped_at)
  VALUES (start_operation.action, start_operation.settings, left(coalesce(start_operation.search, ''), 8192), v_search, howdah.now(),
          howdah.who_acts(start_operation.made_by), left(start_operation.reason, 1024), (v_search ->> 'upto_id')::bigint + 1, howdah.now())
  RETURNING operation.id INTO v_id;
  RETURN v_id;
END $$;
-- howdah.step_operation(id, most) -> operation
-- Goes on with an operation by one step, in the caller's transaction: call it again, each time in a transaction of its own,
-- until the state is not 'running'. Anybody may, at any time: steps of one operation are done one after another, and each
-- begins where the last one that was committed ended. So every job is dealt with once, whoever crashes.
--   most  how many jobs are changed in one step, 1 to 1,000
-- If a step fails (a queue is full, a lock is waited for too long), nothing of it remains, the state is 'stopped' and the error
-- is in the row; the next call tries again from there. One that has ended, or was cancelled, is returned as it is.
-- Returns the operation as it is then; a row of NULLs: there is none.
-- Writes: operation, and see act_on. Locks: the operation's row, and waits for whoever does a step; what act_on locks.
-- Errors: HD002 invalid argument, HD012 the transaction is not READ COMMITTED.
CREATE OR REPLACE FUNCTION howdah.step_operation(id bigint, most integer DEFAULT 200) RETURNS howdah.operation
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  o       howdah.operation;
  s       record;
  v_error text;
BEGIN
  PERFORM howdah.must_read_committed(), howdah.check_most(step_operation.most, 1000, NULL);
  SELECT * INTO o FROM howdah.operation p WHERE p.id = step_operation.id FOR UPDATE;
  IF NOT FOUND OR o.state IN ('done', 'cancelled') THEN
    RETURN o;
  END IF;
  BEGIN
    SELECT * INTO s FROM howdah.search(o.compiled, o.before, step_operation.most);
    o.changed := o.changed + howdah.act_on(o.action, s.ids, o.settings, ARRAY(SELECT jsonb_array_elements_text(o.compiled -> 'states')));
  EXCEPTION WHEN OTHERS THEN
    v_error := SQLERRM;
  END;
  o.stepped_at := howdah.now();
  o.steps := o.steps + 1;
  o.error := v_error;
  IF v_error IS NOT NULL THEN
    o.state := 'stopped';
  ELSE
    o.state := CASE WHEN s.next IS NULL THEN 'done' ELSE 'running' END;
    o.ended_at := CASE WHEN s.next IS NULL THEN howdah.now() END;
    o.before := coalesce(s.next, 0);
    o.looked := o.looked + s.looked;
    o.matched := o.matched + cardinality(s.ids);
  END IF;
  UPDATE howdah.operation p SET changed = o.changed, stepped_at = o.stepped_at, steps = o.steps, error = o.error, state = o.state, ended_at = o.ended_at,
         before = o.before, looked = o.looked, matched = o.matched WHERE p.id = o.id;
  RETURN o;
END $$;
-- howdah.who_acts(told) -> text
-- Who does something: who it is told to be, else whom the setting howdah.made_by of the transaction names, else the user of the
-- session. Internal. Errors: none.
CREATE OR REPLACE FUNCTION howdah.who_acts(told text) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
RETURN left(coalesce(who_acts.told, nullif(current_setting('howdah.made_by', true), ''), session_user::text), 256);
-- howdah.ask_to_cancel(job_ids) -> integer
-- Asks for the end of those of these jobs that run; one notification for each worker. Returns how many were asked that
-- had not been. Internal. Writes: cancel_request. Locks: none that a worker waits for.
CREATE OR REPLACE FUNCTION howdah.ask_to_cancel(job_ids bigint[]) RETURNS integer
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_asked   integer;
  v_workers bigint;
BEGIN
  WITH asked AS (
    INSERT INTO howdah.cancel_request (job_id, lease_id, worker_id, requested_at)
    SELECT r.first_id + g, l.id, l.worker_id, howdah.now()
      FROM howdah.lease l, unnest(l.first_ids, l.counts) r(first_id, jobs), generate_series(0, r.jobs - 1) g
     WHERE r.first_id + g = ANY (ask_to_cancel.job_ids)
       AND NOT EXISTS (SELECT FROM howdah.settled s WHERE s.lease_id = l.id AND s.job_id = r.first_id + g)
    ON CONFLICT (job_id) DO UPDATE SET lease_id = excluded.lease_id, worker_id = excluded.worker_id
    RETURNING worker_id)
  SELECT (SELECT count(*) FROM asked), (SELECT count(pg_notify('howdah.cancel', w.worker_id::text)) FROM (SELECT DISTINCT worker_id FROM asked) w)
    INTO v_asked, v_workers;
  RETURN v_asked;
END $$;
-- howdah.cancel_many(queue, kind, states, filter, ids, most, after, upto) -> (cancelled, cancelling, next, upto)
-- Cancels every job of a selection, some at a time. Call it again with after => next and upto => upto until next is
-- NULL, each time in a transaction of its own:
--   queue, kind  only these; NULL: any
--   states       of scheduled, ready, running; NULL: all three
--   filter       a predicate on attributes: see howdah.check_filter
--   ids          only these jobs, at most 10,000
--   most         how many runs of up to 128 jobs are looked at in one call, 1 to 10,000
-- Returns
--   cancelled    how many waited, and will certainly not run
--   cancelling   how many run: their workers are told, as by howdah.cancel
--   next         NULL: every job of the selection that was enqueued before the first call has been dealt with, also if
--                it went from one state to another meanwhile
--   upto         jobs with greater ids are left alone: those that are enqueued after the first call
-- A job that waits and was committed after its place had been passed by, though it took its id early, is left alone too.
-- Writes: ticket, deferred, receipt (one for up to 500 runs), cancel_request; one notification for each worker.
-- Locks: tickets and deferred rows, and waits for whoever has them: a claim for a moment, howdah.find_for_update for
-- the length of its transaction.
-- Errors: HD001 unknown queue, HD002 invalid argument, HD012 the transaction is not READ COMMITTED.
-- Cost: of a run, however many jobs it has; with a filter, of every job that is looked at, unless the index of
-- howdah.index_attributes finds them.
CREATE OR REPLACE FUNCTION howdah.cancel_many(queue text DEFAULT NULL, kind text DEFAULT NULL, states text[] DEFAULT NULL,
  filter text DEFAULT NULL, ids bigint[] DEFAULT NULL, most integer DEFAULT 1000, after bigint DEFAULT 0,
  INOUT upto bigint DEFAULT NULL, OUT cancelled bigint, OUT cancelling bigint, OUT next bigint)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  v_states text[] := howdah.check_states(cancel_many.states, '{scheduled,blocked,ready,running}');
  v_filter jsonpath := howdah.check_filter(cancel_many.filter);
  v_queues integer[] := howdah.selected_queues(cancel_many.queue);
  v_step   record;
  v_range  record;
BEGIN
  PERFORM howdah.must_read_committed(), howdah.check_most(cancel_many.most, 10000, cancel_many.ids);
  upto := coalesce(cancel_many.upto, howdah.last_id());
  cancelled := 0;
  cancelling := 0;
  FOR v_step IN SELECT * FROM howdah.steps(v_queues, v_states, v_filter, cancel_many.ids, coalesce(cancel_many.after, 0), upto, cancel_many.most) LOOP
    v_range := howdah.cancel_range(v_queues, cancel_many.kind, v_states, v_filter, v_step.job_ids, v_step.first, v_step.last);
    cancelled := cancelled + v_range.cancelled;
    cancelling := cancelling + v_range.cancelling;
    next := CASE WHEN v_range.finished THEN v_step.next ELSE v_step.first END;
    EXIT WHEN NOT v_range.finished;
  END LOOP;
END $$;
-- howdah.cancel_range(queues, kind, states, filter, ids, after, upto) -> (cancelled, cancelling, finished)
-- Cancels what matches among the jobs with ids from after + 1 to upto (ends of blocks), until one look at all rooms
-- at the same moment finds none that waits or has not been asked. finished: false if jobs kept moving. Internal.
-- Writes: ticket, deferred, receipt, cancel_request; one notification for each worker.
-- Locks: tickets and deferred rows, and waits for whoever has them.
CREATE OR REPLACE FUNCTION howdah.cancel_range(queues integer[], kind text, states text[], filter jsonpath, ids bigint[], after bigint, upto bigint,
  OUT cancelled bigint, OUT cancelling bigint, OUT finished boolean)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_running bigint[];
  v_waiting bigint;
BEGIN
  cancelled := 0;
  cancelling := 0;
  FOR round IN 1..10 LOOP
    SELECT cancelled + e.jobs INTO cancelled
      FROM (SELECT array_agg(t.queue_id) AS queues, array_agg(t.first_id) AS firsts, array_agg(t.jobs) AS counts, array_agg(t.attempt) AS attempts
              FROM howdah.take_range(cancel_range.queues, cancel_range.kind, cancel_range.states, cancel_range.filter, cancel_range.ids,
                                     cancel_range.after, cancel_range.upto) t) a,
           LATERAL howdah.end_runs(2, a.queues, a.firsts, a.counts, a.attempts) e(jobs);
    -- What is left: what runs, and what came back from running while we looked.
    SELECT array_agg(l.first_id) FILTER (WHERE l.lease_id IS NOT NULL), count(*) FILTER (WHERE l.lease_id IS NULL)
      INTO v_running, v_waiting
      FROM howdah.left_in_range(cancel_range.queues, cancel_range.kind, cancel_range.states, cancel_range.filter, cancel_range.ids,
                                cancel_range.after, cancel_range.upto) l;
    IF v_running IS NOT NULL THEN
      cancelling := cancelling + howdah.ask_to_cancel(v_running);
    ELSIF v_waiting = 0 THEN
      finished := true;
      RETURN;
    END IF;
  END LOOP;
  finished := false;
END $$;
-- howdah.check_most(most, highest, ids) -> void
-- Refuses a number of jobs at a time that is out of range, and more ids than one call can take. Internal. Errors: HD002.
CREATE OR REPLACE FUNCTION howdah.check_most(most integer, highest integer, ids bigint[]) RETURNS void
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF check_most.most IS NULL OR check_most.most NOT BETWEEN 1 AND check_most.highest THEN
    RAISE EXCEPTION 'most must be 1 to %, not %', check_most.highest, coalesce(check_most.most::text, 'NULL')
      USING ERRCODE = 'HD002', COLUMN = 'most';
  END IF;
  IF cardinality(check_most.ids) > 10000 THEN
    RAISE EXCEPTION 'ids must be at most 10000, not %', cardinality(check_most.ids)
      USING ERRCODE = 'HD002', COLUMN = 'ids', HINT = 'Call it several times.';
  END IF;
END $$;
-- howdah.check_states(states, allowed) -> text[]
-- Refuses states that an operation is not for; all that are allowed for NULL. Internal. Errors: HD002.
CREATE OR REPLACE FUNCTION howdah.check_states(states text[], allowed text[]) RETURNS text[]
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_bad text;
BEGIN
  SELECT coalesce(s, 'NULL') INTO v_bad FROM unnest(check_states.states) s WHERE s IS NULL OR s <> ALL (check_states.allowed) LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION 'states must be of %, not %', array_to_string(check_states.allowed, ', '), quote_literal(left(v_bad, 100))
      USING ERRCODE = 'HD002', COLUMN = 'states';
  END IF;
  RETURN coalesce(check_states.states, check_states.allowed);
END $$;
-- howdah.end_runs(outcome, queue_ids, first_ids, counts, attempts) -> bigint
-- Records that runs of jobs that waited have ended, up to 500 runs in one receipt. Returns how many jobs that were.
-- outcome: 2 cancelled, 3 expired. Internal. Writes: receipt, and see howdah.ended.
CREATE OR REPLACE FUNCTION howdah.end_runs(outcome integer, queue_ids integer[], first_ids bigint[], counts smallint[], attempts smallint[])
RETURNS bigint LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
  INSERT INTO howdah.receipt (slot, outcome, queue_id, at, span, first_ids, counts, attempts)
  SELECT g.slot, end_runs.outcome, k.queue_id, howdah.now(), int8range(min(k.first_id), max(k.first_id + k.jobs)),
         array_agg(k.first_id ORDER BY k.first_id), array_agg(k.jobs ORDER BY k.first_id), array_agg(k.attempt ORDER BY k.first_id)
    FROM (SELECT u.*, (row_number() OVER (PARTITION BY u.queue_id ORDER BY u.first_id) - 1) / 500 AS part
            FROM unnest(end_runs.queue_ids, end_runs.first_ids, end_runs.counts, end_runs.attempts)
                 u(queue_id, first_id, jobs, attempt)) k, howdah.ring g
   WHERE g.name = 'history' GROUP BY g.slot, k.queue_id, k.part;
  PERFORM howdah.ended(end_runs.first_ids, end_runs.counts, failed => true);
  RETURN (SELECT coalesce(sum(c), 0) FROM unnest(end_runs.counts) c);
END $$;
-- howdah.last_id() -> bigint
-- The greatest id that a job may have by now: what is enqueued from here on has greater ones. Internal.
CREATE OR REPLACE FUNCTION howdah.last_id() RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN (SELECT s.last_value << 7 | 127 FROM howdah.block_seq s);
END $$;
-- howdah.left_in_range(queues, kind, states, filter, ids, after, upto) -> (first_id, lease_id)
-- What of howdah.live_in_range matches: ids of jobs, or the first ids of their runs where nothing has to match.
-- Internal.
CREATE OR REPLACE FUNCTION howdah.left_in_range(queues integer[], kind text, states text[], filter jsonpath, ids bigint[], after bigint, upto bigint)
RETURNS TABLE (first_id bigint, lease_id bigint) LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_firsts bigint[];
  v_counts integer[];
  v_leases bigint[];
BEGIN
  SELECT array_agg(l.first_id), array_agg(l.jobs), array_agg(l.lease_id) INTO v_firsts, v_counts, v_leases
    FROM howdah.live_in_range(left_in_range.queues, left_in_range.states, left_in_range.after, left_in_range.upto) l;
  IF left_in_range.kind IS NULL AND left_in_range.filter IS NULL AND left_in_range.ids IS NULL THEN
    RETURN QUERY SELECT u.first_id, u.lease_id FROM unnest(v_firsts, v_leases) u(first_id, lease_id);
  ELSE
    RETURN QUERY
      SELECT m.id, u.lease_id FROM howdah.matching(v_firsts, v_counts, left_in_range.filter, left_in_range.kind) m(id)
        JOIN unnest(v_firsts, v_counts, v_leases) u(first_id, jobs, lease_id)
          ON u.first_id >> 7 = m.id >> 7 AND m.id >= u.first_id AND m.id < u.first_id + u.jobs
       WHERE left_in_range.ids IS NULL OR m.id = ANY (left_in_range.ids);
  END IF;
END $$;
-- howdah.live_in_range(queues, states, after, upto) -> (first_id, jobs, lease_id)
-- The jobs with ids from after + 1 to upto that wait, or that run and have not been asked to end, of one moment: a job
-- on its way from one room to another is seen in one of them. lease_id is NULL for those that wait. Internal.
CREATE OR REPLACE FUNCTION howdah.live_in_range(queues integer[], states text[], after bigint, upto bigint)
RETURNS TABLE (first_id bigint, jobs integer, lease_id bigint) LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
    SELECT t.first_id, t.jobs::integer, NULL::bigint FROM howdah.ticket t
     WHERE 'ready' = ANY (live_in_range.states) AND t.queue_id = ANY (live_in_range.queues) AND t.priority = ANY ('{0,1,2,3,4,5,6,7,8,9}')
       AND t.first_id > live_in_range.after AND t.first_id <= live_in_range.upto
    UNION ALL
    SELECT d.first_id, d.jobs, NULL FROM howdah.deferred d
     WHERE howdah.waits_as(d.gate) = ANY (live_in_range.states) AND d.queue_id = ANY (live_in_range.queues)
       AND d.first_id > live_in_range.after AND d.first_id <= live_in_range.upto
    UNION ALL
    SELECT r.first_id + g, 1, l.id
      FROM howdah.lease l, unnest(l.first_ids, l.counts) r(first_id, jobs), generate_series(0, r.jobs - 1) g
     WHERE 'running' = ANY (live_in_range.states) AND l.queue_id = ANY (live_in_range.queues)
       AND r.first_id > live_in_range.after AND r.first_id <= live_in_range.upto
       AND NOT EXISTS (SELECT FROM howdah.settled s WHERE s.lease_id = l.id AND s.job_id = r.first_id + g)
       AND NOT EXISTS (SELECT FROM howdah.cancel_request c WHERE c.job_id = r.first_id + g AND c.lease_id = l.id);
END $$;
-- howdah.pieces(first_ids, counts, ids) -> (run, first_id, jobs, taken)
-- Cuts runs of jobs into the pieces that consist of `ids` only and those that hold none of them. `run` is the first id
-- of the run that a piece is of. Internal. Reads nothing.
CREATE OR REPLACE FUNCTION howdah.pieces(first_ids bigint[], counts smallint[], ids bigint[])
RETURNS TABLE (run bigint, first_id bigint, jobs smallint, taken boolean) LANGUAGE plpgsql IMMUTABLE
SET search_path = pg_catalog, pg_temp SET jit = off AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
    SELECT e.run, min(e.id), count(*)::smallint, e.taken
      FROM (SELECT r.first_id AS run, r.first_id + g AS id, i.id IS NOT NULL AS taken,
                   g - row_number() OVER (PARTITION BY r.first_id, i.id IS NOT NULL ORDER BY g) AS island
              FROM unnest(pieces.first_ids, pieces.counts) r(first_id, jobs) CROSS JOIN LATERAL generate_series(0, r.jobs - 1) g
              LEFT JOIN (SELECT DISTINCT u FROM unnest(pieces.ids) u) i(id) ON i.id = r.first_id + g) e
     GROUP BY e.run, e.island, e.taken;
END $$;
-- howdah.promote_range(queues, kind, states, filter, ids, after, upto) -> bigint
-- Makes scheduled jobs with ids from after + 1 to upto ready, if that state is among the states. Returns how many.
-- Internal to retry_many. Writes: deferred, ticket, cancel_request. Locks: rows of deferred, and waits for whoever has them.
CREATE OR REPLACE FUNCTION howdah.promote_range(queues integer[], kind text, states text[], filter jsonpath, ids bigint[], after bigint, upto bigint)
RETURNS bigint LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  v_jobs  bigint := 0;
  v_some  bigint;
  v_woken bigint;
BEGIN
  IF NOT 'scheduled' = ANY (promote_range.states) THEN
    RETURN 0;
  END IF;
  -- Until one look finds none: somebody may have split a run while we waited for it.
  FOR round IN 1..10 LOOP
    WITH back AS (
      INSERT INTO howdah.ticket (first_id, queue_id, slot, priority, jobs, attempt, kind, gates, ready_at)
      SELECT t.first_id, t.queue_id, r.slot, t.priority, t.jobs, t.attempt, t.job_kind, t.gates, howdah.now()
        FROM howdah.take_range(promote_range.queues, promote_range.kind, '{scheduled}', promote_range.filter, promote_range.ids,
                               promote_range.after, promote_range.upto) t, howdah.ring r WHERE r.name = 'returned'
      RETURNING queue_id, first_id, jobs
    ), wanted AS (
      -- Whoever sends them again does not want them cancelled.
      DELETE FROM howdah.cancel_request c USING back b WHERE c.job_id >= b.first_id AND c.job_id < b.first_id + b.jobs)
    SELECT coalesce(sum(b.jobs), 0), count(howdah.wake(b.queue_id)) INTO v_some, v_woken
      FROM (SELECT queue_id, sum(jobs) AS jobs FROM back GROUP BY queue_id) b;
    v_jobs := v_jobs + v_some;
    EXIT WHEN NOT EXISTS (SELECT FROM howdah.left_in_range(promote_range.queues, promote_range.kind, '{scheduled}', promote_range.filter,
                                                           promote_range.ids, promote_range.after, promote_range.upto));
  END LOOP;
  RETURN v_jobs;
END $$;
-- howdah.purge_dead(queue, kind, filter, ids, most, after, upto) -> (purged, next, upto)
-- Deletes every dead job of a selection for good, some at a time: payload, failures and all. Called like
-- howdah.cancel_many, with the same arguments.
--   most    how many dead jobs are looked at in one call, 1 to 10,000
--   purged  how many are gone
-- Writes: dead, and see howdah.erase. Locks: those rows, and waits for whoever has them.
-- Errors: HD001 unknown queue, HD002 invalid argument, HD012 the transaction is not READ COMMITTED.
CREATE OR REPLACE FUNCTION howdah.purge_dead(queue text DEFAULT NULL, kind text DEFAULT NULL, filter text DEFAULT NULL,
  ids bigint[] DEFAULT NULL, most integer DEFAULT 1000, after bigint DEFAULT 0,
  INOUT upto bigint DEFAULT NULL, OUT purged bigint, OUT next bigint)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  v_filter jsonpath := howdah.check_filter(purge_dead.filter);
  v_queues integer[] := howdah.selected_queues(purge_dead.queue);
  v_step   record;
  v_dead   bigint[];
BEGIN
  PERFORM howdah.must_read_committed(), howdah.check_most(purge_dead.most, 10000, purge_dead.ids);
  upto := coalesce(purge_dead.upto, howdah.last_id());
  purged := 0;
  FOR v_step IN SELECT * FROM howdah.steps(v_queues, '{dead}', v_filter, purge_dead.ids, coalesce(purge_dead.after, 0), upto, purge_dead.most) LOOP
    v_dead := howdah.take_dead(v_queues, purge_dead.kind, v_filter, v_step.job_ids, v_step.first, v_step.last);
    PERFORM howdah.erase(v_dead);
    purged := purged + cardinality(v_dead);
    next := v_step.next;
  END LOOP;
END $$;
-- howdah.retry_many(queue, kind, states, filter, ids, most, after, upto) -> (retried, next, upto)
-- Runs every job of a selection again, or sooner, some at a time: dead ones start over with all their attempts,
-- scheduled ones are due at once. Called like howdah.cancel_many, with the same arguments.
--   states   of dead, scheduled; NULL: dead only
--   most     how many dead jobs, or runs of scheduled ones, are looked at in one call, 1 to 10,000
--   retried  how many are ready now
-- A dead job whose unique key another job has stays dead; one that had expired does not expire again.
-- Writes: dead, deferred, ticket, unique_key, job. Locks: those rows, and waits for whoever has them.
-- Errors: HD001 unknown queue, HD002 invalid argument, HD012 the transaction is not READ COMMITTED.
CREATE OR REPLACE FUNCTION howdah.retry_many(queue text DEFAULT NULL, kind text DEFAULT NULL, states text[] DEFAULT NULL,
  filter text DEFAULT NULL, ids bigint[] DEFAULT NULL, most integer DEFAULT 1000, after bigint DEFAULT 0,
  INOUT upto bigint DEFAULT NULL, OUT retried bigint, OUT next bigint)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  v_states text[] := howdah.check_states(coalesce(retry_many.states, '{dead}'), '{dead,scheduled}');
  v_filter jsonpath := howdah.check_filter(retry_many.filter);
  -- Dead jobs of deleted queues are history: they would only be cancelled.
  v_queues integer[] := ARRAY(SELECT s FROM unnest(howdah.selected_queues(retry_many.queue)) s WHERE EXISTS (SELECT FROM howdah.queue q WHERE q.id = s));
  v_step   record;
  v_ids    bigint[];
  v_firsts bigint[] := '{}';
  v_lasts  bigint[] := '{}';
  v_dead   bigint[] := '{}';
BEGIN
  PERFORM howdah.must_read_committed(), howdah.check_most(retry_many.most, 10000, retry_many.ids);
  upto := coalesce(retry_many.upto, howdah.last_id());
  FOR v_step IN SELECT * FROM howdah.steps(v_queues, v_states, v_filter, retry_many.ids, coalesce(retry_many.after, 0), upto, retry_many.most) LOOP
    IF 'dead' = ANY (v_states) THEN
      v_dead := v_dead || howdah.take_dead(v_queues, retry_many.kind, v_filter, v_step.job_ids, v_step.first, v_step.last, true);
    END IF;
    v_firsts := v_firsts || v_step.first;
    v_lasts := v_lasts || v_step.last;
    v_ids := v_ids || v_step.job_ids;
    next := v_step.next;
  END LOOP;
  -- All dead jobs before what starting them over locks (callbacks of their workflows), as everywhere.
  PERFORM howdah.start_over(v_dead);
  retried := cardinality(v_dead) + coalesce((
    SELECT sum(howdah.promote_range(v_queues, retry_many.kind, v_states, v_filter, k.ids, u.first, u.last))
      FROM unnest(v_firsts, v_lasts) u(first, last)
      -- Where ids are known each range is one block.
      LEFT JOIN (SELECT (i >> 7 << 7) - 1 AS first, array_agg(i) AS ids FROM unnest(v_ids) i GROUP BY 1) k ON k.first = u.first), 0);
END $$;
-- howdah.selected_queues(queue) -> integer[]
-- The ids of a queue (also of those of that name that were deleted and have a history), or of all for NULL. Internal. Errors: HD001 unknown queue.
CREATE OR REPLACE FUNCTION howdah.selected_queues(queue text) RETURNS integer[]
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_queues integer[] := ARRAY(SELECT q.id FROM howdah.all_queues q WHERE selected_queues.queue IS NULL OR q.name = selected_queues.queue);
BEGIN
  IF v_queues = '{}' THEN
    PERFORM howdah.unknown_queue(selected_queues.queue);
  END IF;
  RETURN v_queues;
END $$;
-- howdah.steps(queues, states, filter, ids, after, upto, most) -> (first, last, job_ids, next)
-- What one call of an operation on many jobs deals with: ranges of ids, from first + 1 to last, both ends of blocks, in
-- order.
-- Where the jobs are known, by their ids or by the index of attributes, a range for each of the next `most` blocks
-- that hold one; else one range of `most` runs, to be looked through. next: where the call after this goes on, when
-- this range is done; NULL: it was the last. No rows: nothing is left. Internal.
CREATE OR REPLACE FUNCTION howdah.steps(queues integer[], states text[], filter jsonpath, ids bigint[], after bigint, upto bigint, most integer)
RETURNS TABLE (first bigint, last bigint, job_ids bigint[], next bigint) LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_ids  bigint[] := coalesce(steps.ids, howdah.rare_matches(steps.filter));
  v_last bigint;
BEGIN
  IF v_ids IS NULL THEN
    v_last := howdah.walk(steps.queues, steps.states, steps.after, steps.upto, steps.most);
    IF v_last IS NOT NULL THEN
      RETURN QUERY SELECT steps.after, v_last, NULL::bigint[], CASE WHEN v_last < steps.upto THEN v_last END;
    END IF;
    RETURN;
  END IF;
  RETURN QUERY
    SELECT (b.block << 7) - 1, b.block << 7 | 127, b.ids, CASE WHEN b.more THEN b.block << 7 | 127 END
      FROM (SELECT i >> 7 AS block, array_agg(i) AS ids, lead(i >> 7) OVER (ORDER BY i >> 7) IS NOT NULL AS more
              FROM unnest(v_ids) i WHERE i > steps.after AND i <= steps.upto GROUP BY i >> 7) b
     ORDER BY b.block LIMIT steps.most;
END $$;
-- howdah.take_dead(queues, kind, filter, ids, after, upto, again) -> bigint[]
-- Takes dead jobs with ids from after + 1 to upto out of their room; returns their ids in order, '{}' if there are none.
--   again  they are to run again: those whose unique key another job has stay dead
-- Internal. Writes: dead, unique_key. Locks: those rows, and waits for whoever has them.
CREATE OR REPLACE FUNCTION howdah.take_dead(queues integer[], kind text, filter jsonpath, ids bigint[], after bigint, upto bigint, again boolean DEFAULT false) RETURNS bigint[]
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_ids bigint[];
BEGIN
  SELECT coalesce(array_agg(x.job_id), '{}') INTO v_ids FROM howdah.dead x
   WHERE x.job_id > take_dead.after AND x.job_id <= take_dead.upto AND x.queue_id = ANY (take_dead.queues)
     AND (take_dead.kind IS NULL OR x.kind = take_dead.kind) AND (take_dead.ids IS NULL OR x.job_id = ANY (take_dead.ids));
  IF take_dead.filter IS NOT NULL THEN
    v_ids := ARRAY(SELECT m FROM howdah.matching(v_ids, array_fill(1, ARRAY[cardinality(v_ids)]), take_dead.filter) m);
  END IF;
  IF take_dead.again THEN
    -- The jobs before their keys, as everywhere: else each of two might wait for the other.
    v_ids := ARRAY(SELECT x.job_id FROM howdah.dead x WHERE x.job_id = ANY (v_ids) ORDER BY x.job_id FOR UPDATE);
    v_ids := howdah.take_keys_again(v_ids);
  END IF;
  -- Once more by the queue: somebody may have moved one while we waited.
  WITH gone AS (DELETE FROM howdah.dead x WHERE x.job_id = ANY (v_ids) AND x.queue_id = ANY (take_dead.queues) RETURNING x.job_id)
  SELECT coalesce(array_agg(g.job_id ORDER BY g.job_id), '{}') INTO v_ids FROM gone g;
  RETURN v_ids;
END $$;
-- howdah.take_range(queues, kind, states, filter, ids, after, upto)
--   -> (queue_id, priority, job_kind, attempt, first_id, jobs, gates)
-- Takes the jobs that wait (states ready, scheduled, blocked) with ids from after + 1 to upto out of their tickets and deferred
-- rows, as runs. Both bounds are ends of blocks. Without kind, filter and ids a run is taken without a look at its jobs.
-- Internal. Writes: ticket, deferred. Locks: those rows, and waits for whoever has them.
CREATE OR REPLACE FUNCTION howdah.take_range(queues integer[], kind text, states text[], filter jsonpath, ids bigint[], after bigint, upto bigint)
RETURNS TABLE (queue_id integer, priority smallint, job_kind text, attempt smallint, first_id bigint, jobs smallint, gates text[]) LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_all    boolean := take_range.filter IS NULL AND take_range.ids IS NULL;
  v_ids    bigint[];
  v_blocks bigint[];
  r        record;
BEGIN
  IF NOT v_all THEN
    SELECT array_agg(m.id), array_agg(DISTINCT m.id >> 7) INTO v_ids, v_blocks
      FROM (SELECT array_agg(r.first_id) AS firsts, array_agg(r.jobs::integer) AS counts FROM (
              SELECT t.first_id, t.jobs FROM howdah.ticket t
               WHERE 'ready' = ANY (take_range.states) AND t.queue_id = ANY (take_range.queues) AND t.priority = ANY ('{0,1,2,3,4,5,6,7,8,9}')
                 AND t.first_id > take_range.after AND t.first_id <= take_range.upto AND (take_range.kind IS NULL OR t.kind = take_range.kind)
              UNION ALL
              SELECT d.first_id, d.jobs FROM howdah.deferred d
               WHERE howdah.waits_as(d.gate) = ANY (take_range.states) AND d.first_id > take_range.after AND d.first_id <= take_range.upto
                 AND d.queue_id = ANY (take_range.queues) AND (take_range.kind IS NULL OR d.kind = take_range.kind)) r) a,
           LATERAL howdah.matching(a.firsts, a.counts, take_range.filter) m(id)
     WHERE take_range.ids IS NULL OR m.id = ANY (take_range.ids);
    IF v_ids IS NULL THEN
      RETURN;
    END IF;
  END IF;
  -- In the order of their ids, as whoever deals with one after the other: else each of two might wait for the other.
  FOR r IN
    SELECT t.first_id, t.queue_id, t.priority, true AS ready FROM howdah.ticket t
     WHERE 'ready' = ANY (take_range.states) AND t.queue_id = ANY (take_range.queues) AND t.priority = ANY ('{0,1,2,3,4,5,6,7,8,9}')
       AND t.first_id > take_range.after AND t.first_id <= take_range.upto AND (take_range.kind IS NULL OR t.kind = take_range.kind)
       AND (v_all OR t.first_id >> 7 = ANY (v_blocks))
    UNION ALL
    SELECT d.first_id, d.queue_id, d.priority, false FROM howdah.deferred d
     WHERE d.first_id > take_range.after AND d.first_id <= take_range.upto AND d.queue_id = ANY (take_range.queues)
       AND howdah.waits_as(d.gate) = ANY (take_range.states)
       AND (take_range.kind IS NULL OR d.kind = take_range.kind) AND (v_all OR d.first_id >> 7 = ANY (v_blocks))
     ORDER BY first_id
  LOOP
    IF r.ready THEN
      PERFORM FROM howdah.ticket t WHERE t.queue_id = r.queue_id AND t.priority = r.priority AND t.first_id = r.first_id FOR UPDATE;
    ELSE
      PERFORM FROM howdah.deferred d WHERE d.first_id = r.first_id FOR UPDATE;
    END IF;
  END LOOP;
  IF 'ready' = ANY (take_range.states) THEN
    RETURN QUERY
      WITH gone AS (
        DELETE FROM howdah.ticket t
         WHERE t.queue_id = ANY (take_range.queues) AND t.priority = ANY ('{0,1,2,3,4,5,6,7,8,9}')
           AND t.first_id > take_range.after AND t.first_id <= take_range.upto AND (take_range.kind IS NULL OR t.kind = take_range.kind)
           AND (v_all OR t.first_id >> 7 = ANY (v_blocks)) RETURNING t.*),
      cut AS MATERIALIZED (
        SELECT p.* FROM (SELECT array_agg(g.first_id) AS firsts, array_agg(g.jobs) AS counts FROM gone g) a,
               LATERAL howdah.pieces(a.firsts, a.counts, v_ids) p WHERE NOT v_all),
      rest AS (
        INSERT INTO howdah.ticket (first_id, queue_id, slot, priority, jobs, attempt, kind, gates, ready_at)
        SELECT c.first_id, g.queue_id, r.slot, g.priority, c.jobs, g.attempt, g.kind, g.gates, g.ready_at
          FROM cut c JOIN gone g ON g.first_id = c.run, howdah.ring r WHERE NOT c.taken AND r.name = 'returned')
      SELECT g.queue_id, g.priority, g.kind, g.attempt, coalesce(c.first_id, g.first_id), coalesce(c.jobs, g.jobs), g.gates
        FROM gone g LEFT JOIN cut c ON c.run = g.first_id WHERE v_all OR c.taken;
  END IF;
  IF take_range.states && '{scheduled,blocked,ready}' THEN
    RETURN QUERY
      WITH gone AS (
        DELETE FROM howdah.deferred d
         WHERE d.first_id > take_range.after AND d.first_id <= take_range.upto AND d.queue_id = ANY (take_range.queues)
           AND howdah.waits_as(d.gate) = ANY (take_range.states)
           AND (take_range.kind IS NULL OR d.kind = take_range.kind) AND (v_all OR d.first_id >> 7 = ANY (v_blocks)) RETURNING d.*),
      cut AS MATERIALIZED (
        SELECT p.* FROM (SELECT array_agg(g.first_id) AS firsts, array_agg(g.jobs) AS counts FROM gone g) a,
               LATERAL howdah.pieces(a.firsts, a.counts, v_ids) p WHERE NOT v_all),
      taken AS (
        SELECT g.queue_id, g.priority, g.kind, g.attempt, coalesce(c.first_id, g.first_id) AS first_id, coalesce(c.jobs, g.jobs) AS jobs, g.gates
          FROM gone g LEFT JOIN cut c ON c.run = g.first_id WHERE v_all OR c.taken),
      rest AS (
        INSERT INTO howdah.deferred (due_at, first_id, queue_id, priority, jobs, attempt, kind, gates, gate)
        SELECT g.due_at, c.first_id, g.queue_id, g.priority, c.jobs, g.attempt, g.kind, g.gates, g.gate
          FROM cut c JOIN gone g ON g.first_id = c.run WHERE NOT c.taken)
      SELECT * FROM taken;
  END IF;
END $$;
-- howdah.walk(queues, states, after, upto, most) -> bigint
-- How far the next batch of a walk over jobs goes: to the end of the block of the most-th run behind `after` in the
-- rooms of these states (scheduled, ready, running, dead). NULL: nothing is left up to `upto`.
-- A job's id never changes, however it moves between the rooms, and a run of ids never leaves its block. So a walk
-- by blocks that deals with all rooms at each step meets every job, and none twice. Internal.
-- Cost: one index descent for each queue, priority and partition, and `most` entries of each at most.
CREATE OR REPLACE FUNCTION howdah.walk(queues integer[], states text[], after bigint, upto bigint, most integer) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off AS $$
#variable_conflict use_column
BEGIN
  RETURN (SELECT max(n.first_id) | 127 FROM (
    SELECT r.first_id FROM (
      (SELECT d.first_id FROM howdah.deferred d
        WHERE howdah.waits_as(d.gate) = ANY (walk.states) AND d.first_id > walk.after AND d.first_id <= walk.upto AND d.queue_id = ANY (walk.queues)
        ORDER BY d.first_id LIMIT walk.most)
      UNION ALL
      SELECT t.first_id FROM unnest(walk.queues) q(id), generate_series(0, 9) p, LATERAL (
        SELECT k.first_id FROM howdah.ticket k
         WHERE 'ready' = ANY (walk.states) AND k.queue_id = q.id AND k.priority = p AND k.first_id > walk.after AND k.first_id <= walk.upto
         ORDER BY k.first_id LIMIT walk.most) t
      UNION ALL
      SELECT u.first_id FROM howdah.lease l, unnest(l.first_ids) u(first_id)
       WHERE 'running' = ANY (walk.states) AND l.queue_id = ANY (walk.queues) AND u.first_id > walk.after AND u.first_id <= walk.upto
      UNION ALL
      (SELECT x.job_id FROM howdah.dead x
        WHERE 'dead' = ANY (walk.states) AND x.job_id > walk.after AND x.job_id <= walk.upto AND x.queue_id = ANY (walk.queues)
        ORDER BY x.job_id LIMIT walk.most)) r
     ORDER BY r.first_id LIMIT walk.most) n);
END $$;
-- howdah.by_age(queue_id, aging_ms, most, fronts, kinds, prefixes, except_kinds) -> (slot, priority, first_id), in order
-- The tickets of a queue whose priorities rise with time, in the order in which they are due: by the priority that each
-- has come to by now, and of those that have come to the same one the oldest first. Internal to howdah.claim, which locks
-- those that it takes: what has been split or taken by then is passed over.
--   aging_ms  for each such span a job is one priority higher; none is higher than 0
--   most      how many tickets of each priority to look at, new ones and those that came back
--   fronts    as for howdah.claim
-- Reads only. Cost: one index descent for each priority and table, and a look at the job of each ticket that never came back.
CREATE OR REPLACE FUNCTION howdah.by_age(queue_id integer, aging_ms bigint, most integer, fronts bigint[], kinds text[],
  prefixes text[], except_kinds text[])
RETURNS TABLE (slot smallint, priority smallint, first_id bigint)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
    SELECT a.slot, a.priority, a.first_id
      FROM generate_series(0, 9) p, (VALUES (0), (2)) s(first_slot), LATERAL (
             SELECT t.slot, t.priority, t.first_id, t.ready_at FROM howdah.ticket t
              WHERE t.slot IN (s.first_slot, s.first_slot + 1) AND t.queue_id = by_age.queue_id AND t.priority = p
                AND t.first_id >= CASE WHEN s.first_slot = 0 THEN by_age.fronts[p + 1] ELSE 0 END
                AND (by_age.kinds IS NULL OR t.kind = ANY (by_age.kinds) OR t.kind ^@ ANY (by_age.prefixes))
                AND (by_age.except_kinds IS NULL OR t.kind <> ALL (by_age.except_kinds))
              ORDER BY t.first_id LIMIT by_age.most) a,
           LATERAL (SELECT coalesce(a.ready_at, (SELECT j.enqueued_at FROM howdah.find_job(a.first_id) j)) AS ready_at) r
     ORDER BY greatest(0, a.priority - floor(extract(epoch FROM howdah.now() - r.ready_at) * 1000 / by_age.aging_ms)), r.ready_at, a.first_id;
END $$;
-- howdah.claim(worker_id, queue, jobs, kinds, fronts, prefixes, except_kinds) -> lease_id, id, kind, payload, attempt, ...
-- Takes up to `jobs` jobs off the front of a queue, in order of priority and then of enqueueing, under one
-- lease. Whoever holds the lease id may settle them, until the worker's heartbeat is overdue. In a queue with ageing
-- (aging_ms) the first of them go by what their priority has risen to.
--   worker_id  from howdah.start_worker
--   queue      its name; a queue that does not exist yet or is paused has no jobs
--   jobs       1 to 500. Fewer come back if some of them have expired, which is then noted.
--   kinds      only these and what begins with one of `prefixes`; both NULL: any
--   fronts     ten ids, one for each priority 0 to 9: where the caller saw the live front of the queue.
--              What was enqueued before it is not looked at, so that dead tickets are not walked over;
--              leave it out now and then to find what was committed late. NULL: from the very front.
--   prefixes, except_kinds  kinds that begin so, and kinds to leave alone whatever else is said; NULL: none
-- Jobs with gates (see gates_of) or of a kind that has a rule are let through one ticket at a time, see claim_gated.
-- Writes: ticket (deletes; splits the last one), lease; for jobs with gates see admit and claim_in_turn. Leaves job
-- untouched. The attempt is counted here.
-- Locks: ticket rows, skipping what others have locked; never waits for another claimer.
-- Errors: HD002 invalid argument, HD004 the worker is not registered (any more), HD012 there are gates to pass and the
-- transaction is not READ COMMITTED.
-- Cost: one index descent for each priority and table, one row lock and one delete for each ticket. Tickets of other kinds
-- that wait in front are read and passed over: kinds that often wait long belong into a queue of their own.
CREATE OR REPLACE FUNCTION howdah.claim(worker_id bigint, queue text DEFAULT 'default', jobs integer DEFAULT 1,
  kinds text[] DEFAULT NULL, fronts bigint[] DEFAULT NULL, prefixes text[] DEFAULT NULL, except_kinds text[] DEFAULT NULL)
RETURNS TABLE (lease_id bigint, id bigint, kind text, payload jsonb, attempt smallint, max_attempts smallint,
               priority smallint, enqueued_at timestamptz, options jsonb)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
-- A plan made while the tables were empty would read them whole for ever after: hold it to the indexes.
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_queue    integer;
  v_aging    bigint;
  v_known    boolean;
  v_ruled    boolean;
  v_shared   boolean;
  v_limited  text[];
  v_want     integer := claim.jobs;
  v_tokens   integer;
  v_left     integer;
  v_gone     integer;
  v_looked   integer := 0;
  v_turn     record;
  v_busy     text[] := '{}';
  v_take     integer;
  v_part     bigint;
  v_rows     bigint;
  v_now      timestamptz := howdah.now();
  v_lease    bigint;
  v_kinds    text[] := CASE WHEN claim.prefixes IS NULL THEN claim.kinds ELSE coalesce(claim.kinds, '{}') END;
  v_fronts   bigint[] := coalesce(claim.fronts, '{0,0,0,0,0,0,0,0,0,0}');
  -- New tickets and those that came back: two scans, merged by priority and id. One row of each is looked
  -- at ahead; the loser of the last comparison stays locked until the commit, and is simply not taken.
  fresh CURSOR FOR SELECT t.ctid AS tid, t.slot, t.priority, t.first_id, t.jobs, t.attempt, t.kind, t.gates
    FROM unnest(v_fronts) WITH ORDINALITY f(front, n), LATERAL (
      SELECT ctid, * FROM howdah.ticket
       WHERE slot IN (0, 1) AND queue_id = v_queue AND priority = f.n - 1 AND first_id >= f.front
         AND (v_kinds IS NULL OR kind = ANY (v_kinds) OR kind ^@ ANY (claim.prefixes))
         AND (claim.except_kinds IS NULL OR kind <> ALL (claim.except_kinds))
       ORDER BY first_id FOR UPDATE SKIP LOCKED) t;
  again CURSOR FOR SELECT t.ctid AS tid, t.slot, t.priority, t.first_id, t.jobs, t.attempt, t.kind, t.gates
    FROM howdah.ticket t
   WHERE slot IN (2, 3) AND queue_id = v_queue
     AND (v_kinds IS NULL OR kind = ANY (v_kinds) OR kind ^@ ANY (claim.prefixes))
     AND (claim.except_kinds IS NULL OR kind <> ALL (claim.except_kinds))
   ORDER BY queue_id, priority, first_id FOR UPDATE SKIP LOCKED;
  aged CURSOR FOR SELECT t.ctid AS tid, t.slot, t.priority, t.first_id, t.jobs, t.attempt, t.kind, t.gates
    FROM howdah.by_age(v_queue, v_aging, least(v_left, 100), v_fronts, v_kinds, claim.prefixes, claim.except_kinds) o, LATERAL (
      SELECT ctid, * FROM howdah.ticket k
       WHERE k.slot = o.slot AND k.queue_id = v_queue AND k.priority = o.priority AND k.first_id = o.first_id FOR UPDATE SKIP LOCKED) t;
  a          record;
  b          record;
  t          record;
  v_tids0    tid[] := '{}';
  v_tids1    tid[] := '{}';
  v_tids2    tid[] := '{}';
  v_tids3    tid[] := '{}';
  v_firsts   bigint[] := '{}';
  v_counts   smallint[] := '{}';
  v_attempts smallint[] := '{}';
BEGIN
  IF claim.jobs IS NULL OR claim.jobs NOT BETWEEN 1 AND 500 THEN
    RAISE EXCEPTION 'jobs must be 1 to 500, not %', coalesce(claim.jobs::text, 'NULL') USING ERRCODE = 'HD002', COLUMN = 'jobs';
  END IF;
  IF cardinality(v_fronts) <> 10 THEN
    RAISE EXCEPTION 'fronts must hold ten ids, one for each priority' USING ERRCODE = 'HD002', COLUMN = 'fronts';
  END IF;
  SELECT q.id, q.aging_ms, EXISTS (SELECT FROM howdah.worker w WHERE w.id = claim.worker_id), EXISTS (SELECT FROM howdah.flow_rule),
         EXISTS (SELECT FROM howdah.deferred d WHERE d.gate > 'fair:' || q.id || ':' AND d.gate < 'fair:' || q.id || ';')
    INTO v_queue, v_aging, v_known, v_ruled, v_shared FROM howdah.queue q WHERE q.name = claim.queue AND q.paused_at IS NULL;
  IF v_known IS NOT TRUE THEN
    IF NOT EXISTS (SELECT FROM howdah.worker w WHERE w.id = claim.worker_id) THEN
      PERFORM howdah.unknown_worker(claim.worker_id);
    END IF;
    RETURN;
  END IF;
  IF v_ruled THEN
    SELECT r.room, r.tokens INTO v_want, v_tokens FROM howdah.queue_room(v_queue, v_want) r;
    IF v_want = 0 THEN
      RETURN;
    END IF;
    v_limited := ARRAY(SELECT f.name FROM howdah.flow_rule f WHERE f.scope = 'kind');
  END IF;
  v_left := v_want;
  IF v_shared THEN
    -- Those that have no share get half of each claim, so that neither starves the other.
    v_lease := howdah.next_lease();
    v_turn := howdah.claim_in_turn(v_lease, v_queue, (v_want + (random() < 0.5)::integer) / 2, v_kinds, claim.prefixes, claim.except_kinds, v_limited);
    v_firsts := v_firsts || v_turn.first_ids;
    v_counts := v_counts || v_turn.counts;
    v_attempts := v_attempts || v_turn.attempts;
    v_left := v_left - coalesce((SELECT sum(n) FROM unnest(v_turn.counts) n), 0);
  END IF;
  LOOP
    IF v_aging IS NOT NULL THEN
      OPEN aged;
      FETCH aged INTO a;
      SELECT NULL::tid AS tid, NULL::smallint AS priority, NULL::bigint AS first_id INTO b;
    ELSE
      OPEN fresh;
      OPEN again;
      FETCH fresh INTO a;
      FETCH again INTO b;
    END IF;
    -- What goes aside is not claimed: a claim moves some hundred rows, or some thousand if it finds nothing else.
    WHILE v_left > 0 AND v_looked < CASE WHEN v_firsts = '{}' THEN 3000 ELSE 300 END LOOP
      IF b.tid IS NULL OR (a.tid IS NOT NULL AND (a.priority, a.first_id) < (b.priority, b.first_id)) THEN
        EXIT WHEN a.tid IS NULL;
        t := a;
      ELSE
        t := b;
      END IF;
      v_take := least(t.jobs, v_left);
      v_gone := v_take;
      IF t.gates IS NOT NULL OR t.kind = ANY (v_limited) THEN
        v_lease := coalesce(v_lease, howdah.next_lease());
        v_looked := v_looked + 1;
        v_shared := v_shared OR coalesce(t.gates[1] ^@ 'fair:', false);
        SELECT g.taken, g.gone, g.busy INTO v_take, v_gone, v_busy
          FROM howdah.claim_gated(v_lease, v_queue, t.first_id, t.jobs, t.priority, t.attempt, t.kind, t.gates, coalesce(t.kind = ANY (v_limited), false), v_left, v_busy) g;
      END IF;
      IF v_take > 0 THEN
        v_firsts := v_firsts || t.first_id;
        v_counts := v_counts || v_take::smallint;
        v_attempts := v_attempts || (t.attempt + 1)::smallint;
      END IF;
      IF v_gone = 0 THEN NULL;
      ELSIF v_gone < t.jobs THEN
        UPDATE howdah.ticket SET first_id = first_id + v_gone, jobs = jobs - v_gone WHERE ctid = t.tid AND slot = t.slot;
      ELSIF t.slot = 0 THEN v_tids0 := v_tids0 || t.tid;
      ELSIF t.slot = 1 THEN v_tids1 := v_tids1 || t.tid;
      ELSIF t.slot = 2 THEN v_tids2 := v_tids2 || t.tid;
      ELSE v_tids3 := v_tids3 || t.tid;
      END IF;
      v_left := v_left - v_take;
      EXIT WHEN v_left = 0;
      IF v_aging IS NOT NULL THEN FETCH aged INTO a;
      ELSIF t.slot < 2 THEN FETCH fresh INTO a;
      ELSE FETCH again INTO b;
      END IF;
    END LOOP;
    IF v_tids0 <> '{}' THEN DELETE FROM howdah.ticket WHERE slot = 0 AND ctid = ANY (v_tids0); END IF;
    IF v_tids1 <> '{}' THEN DELETE FROM howdah.ticket WHERE slot = 1 AND ctid = ANY (v_tids1); END IF;
    IF v_tids2 <> '{}' THEN DELETE FROM howdah.ticket WHERE slot = 2 AND ctid = ANY (v_tids2); END IF;
    IF v_tids3 <> '{}' THEN DELETE FROM howdah.ticket WHERE slot = 3 AND ctid = ANY (v_tids3); END IF;
    IF v_aging IS NULL THEN
      CLOSE fresh;
      CLOSE again;
      EXIT;
    END IF;
    CLOSE aged;
    EXIT WHEN v_left = 0;
    -- Those that were seen were few, or others have taken them: the rest in plain order.
    v_aging := NULL;
    v_tids0 := '{}';
    v_tids1 := '{}';
    v_tids2 := '{}';
    v_tids3 := '{}';
  END LOOP;
  IF v_shared AND v_left > 0 THEN
    v_lease := coalesce(v_lease, howdah.next_lease());
    v_turn := howdah.claim_in_turn(v_lease, v_queue, v_left, v_kinds, claim.prefixes, claim.except_kinds, v_limited);
    v_firsts := v_firsts || v_turn.first_ids;
    v_counts := v_counts || v_turn.counts;
    v_attempts := v_attempts || v_turn.attempts;
    v_left := v_left - coalesce((SELECT sum(n) FROM unnest(v_turn.counts) n), 0);
  END IF;
  IF v_left = v_want THEN
    RETURN;
  END IF;
  v_lease := coalesce(v_lease, howdah.next_lease());
  INSERT INTO howdah.lease (id, worker_id, queue_id, claimed_at, first_ids, counts, attempts)
    VALUES (v_lease, claim.worker_id, v_queue, v_now, v_firsts, v_counts, v_attempts);
  -- Usually all of them are in one partition of howdah.job. Named by a variable it is the only one that is opened,
  -- which is half of the cost of a small claim. Else, and if any have outlived their partition: one by one.
  v_part := (v_firsts[1] >> 33) & 7;
  IF NOT EXISTS (SELECT FROM howdah.job_kept) AND NOT EXISTS (SELECT FROM unnest(v_firsts) f WHERE ((f >> 33) & 7) <> v_part) THEN
    RETURN QUERY
      SELECT v_lease, j.id, j.kind, j.payload, r.attempt, j.max_attempts, j.priority, j.enqueued_at, j.options
        FROM unnest(v_firsts, v_counts, v_attempts) r(first_id, jobs, attempt), LATERAL (
          SELECT * FROM howdah.job
           WHERE ((job.id >> 33) & 7) = v_part AND job.id >= r.first_id AND job.id < r.first_id + r.jobs
           ORDER BY job.id) j
       WHERE j.options IS NULL OR NOT j.options ? 'expires_at' OR (j.options ->> 'expires_at')::timestamptz > v_now;
  ELSE
    RETURN QUERY
      SELECT v_lease, j.id, j.kind, j.payload, r.attempt, j.max_attempts, j.priority, j.enqueued_at, j.options
        FROM unnest(v_firsts, v_counts, v_attempts) r(first_id, jobs, attempt), generate_series(0, r.jobs - 1) g,
             LATERAL howdah.find_job(r.first_id + g) j
       WHERE j.options IS NULL OR NOT j.options ? 'expires_at' OR (j.options ->> 'expires_at')::timestamptz > v_now;
  END IF;
  GET DIAGNOSTICS v_rows = ROW_COUNT;
  IF v_tokens IS NOT NULL THEN
    PERFORM howdah.spend_queue(v_queue, v_firsts, v_counts);
  END IF;
  IF v_rows < v_want - v_left THEN
    PERFORM howdah.expire_claimed(v_lease, v_now);
  END IF;
END $$;
-- howdah.claim_gated(lease_id, queue_id, first_id, jobs, priority, attempt, kind, gates, ruled, want, busy) -> (taken, gone, busy)
-- What a claim does with a ticket that has gates, or whose kind has a rule: lets its first jobs through, at most `want`, has
-- others go aside, or puts the whole into the lane of its share. The caller has locked the ticket.
--   ruled  its kind has a rule
--   busy   gates where this claim has met somebody: it does not come to them again
--   taken  how many jobs go into the lease that is being made
--   gone   how many of the first jobs leave the ticket, these included
-- Internal to claim. Writes: deferred, and see admit. Locks: see admit.
CREATE OR REPLACE FUNCTION howdah.claim_gated(lease_id bigint, queue_id integer, first_id bigint, jobs integer, priority integer, attempt integer,
  kind text, gates text[], ruled boolean, want integer, INOUT busy text[], OUT taken integer, OUT gone integer)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_gates text[] := claim_gated.gates || CASE WHEN claim_gated.ruled THEN ARRAY['kind:' || claim_gated.kind] END;
BEGIN
  taken := 0;
  gone := 0;
  IF claim_gated.gates[1] ^@ 'fair:' THEN
    -- It came back, or became due.
    gone := claim_gated.jobs;
    INSERT INTO howdah.deferred (due_at, first_id, queue_id, priority, jobs, attempt, kind, gates, gate)
      VALUES ('infinity', claim_gated.first_id, claim_gated.queue_id, claim_gated.priority, claim_gated.jobs, claim_gated.attempt, claim_gated.kind,
              claim_gated.gates, howdah.lane_of(claim_gated.queue_id, substr(claim_gated.gates[1], 6)));
  ELSIF NOT v_gates && claim_gated.busy THEN
    SELECT p.taken, p.taken + p.aside INTO taken, gone
      FROM howdah.admit(claim_gated.lease_id, claim_gated.queue_id, claim_gated.first_id, claim_gated.jobs, claim_gated.priority, claim_gated.attempt,
        claim_gated.kind, claim_gated.gates, claim_gated.want) p;
    IF gone = 0 THEN
      busy := claim_gated.busy || ARRAY(SELECT g FROM unnest(v_gates) g WHERE NOT g ^@ 'weight:');
    END IF;
  END IF;
END $$;
-- howdah.claim_queues(worker_id, queues, jobs, kinds, fronts, prefixes, except_kinds) -> n, lease_id, id, kind, payload, ...
-- Claims from several queues in one statement, so that a worker of a thousand queues need not send a thousand: a lease
-- for each that has jobs. n is the place of the queue in `queues`.
--   queues, jobs  names, and up to how many jobs of each
--   fronts        ten ids for each of the queues, one after the other; NULL: from the very front
--   the rest as for howdah.claim
-- Writes, locks, errors: as so many calls of howdah.claim. Cost: of those too, but a queue in which nothing waits costs
-- three probes of an index.
CREATE OR REPLACE FUNCTION howdah.claim_queues(worker_id bigint, queues text[], jobs integer[], kinds text[] DEFAULT NULL,
  fronts bigint[] DEFAULT NULL, prefixes text[] DEFAULT NULL, except_kinds text[] DEFAULT NULL)
RETURNS TABLE (n integer, lease_id bigint, id bigint, kind text, payload jsonb, attempt smallint, max_attempts smallint,
               priority smallint, enqueued_at timestamptz, options jsonb)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v record;
BEGIN
  IF cardinality(claim_queues.queues) IS DISTINCT FROM cardinality(claim_queues.jobs) THEN
    RAISE EXCEPTION 'jobs must have a number for each of the queues' USING ERRCODE = 'HD002', COLUMN = 'jobs';
  END IF;
  IF cardinality(claim_queues.fronts) <> 10 * cardinality(claim_queues.queues) THEN
    RAISE EXCEPTION 'fronts must hold ten ids for each of the queues' USING ERRCODE = 'HD002', COLUMN = 'fronts';
  END IF;
  IF NOT EXISTS (SELECT FROM howdah.worker w WHERE w.id = claim_queues.worker_id) THEN
    PERFORM howdah.unknown_worker(claim_queues.worker_id);
  END IF;
  FOR v IN
    SELECT u.n::integer, u.queue, u.jobs
      FROM unnest(claim_queues.queues, claim_queues.jobs) WITH ORDINALITY u(queue, jobs, n)
     WHERE EXISTS (
      SELECT FROM howdah.queue q
       WHERE q.name = u.queue AND (EXISTS (SELECT FROM howdah.ticket t WHERE t.queue_id = q.id)
          OR EXISTS (SELECT FROM howdah.deferred d WHERE d.gate > 'fair:' || q.id || ':' AND d.gate < 'fair:' || q.id || ';')))
     -- As they are named, and not as the planner likes it.
     ORDER BY u.n
  LOOP
    RETURN QUERY SELECT v.n, c.* FROM howdah.claim(claim_queues.worker_id, v.queue, v.jobs, claim_queues.kinds,
      claim_queues.fronts[v.n * 10 - 9 : v.n * 10], claim_queues.prefixes, claim_queues.except_kinds) c;
  END LOOP;
END $$;
-- howdah.claim_where(worker_id, queue, jobs, filter, kinds, after, since, before, most, prefixes, except_kinds)
--   -> lease_id, id, kind, payload, attempt, ..., next, newest
-- As howdah.claim, of the jobs whose attributes match a filter (see howdah.check_filter) only. Takes them out of their
-- tickets; the rest stays for others, in its order. One call looks at a bounded number of jobs, and so may find none
-- although there are some: call it again from where it stopped, at once.
--   jobs    1 to 500
--   after   where to go on: what `next` was; NULL: from the front
--   since   what was enqueued with ids up to this is not looked at: seen in an earlier walk, and attributes never change.
--           Leave it out now and then to find what was committed late. What came back is always looked at.
--   before  only what is ahead of this place is looked at: how a long walk hears of jobs that have come in front of it
--   most    how many jobs to look at, 1 to 10,000
--   prefixes, except_kinds  as for howdah.claim
-- The rows are those of howdah.claim and, in each of them:
--   next    NULL: everything was looked at
--   newest  no job that is enqueued after this call has an id up to this one
-- When nothing was found there is one row, whose id is NULL, with these two.
-- Order: as claim, of what lies behind `after`. Jobs with a fair_key that wait for their turn are not looked at.
-- Writes: ticket, lease. Locks: the tickets of jobs that match, skipping what others have locked; never waits, unless the queue
-- has a rule of its own, see queue_room. Jobs with gates: see admit.
-- Errors: HD002 invalid argument, HD004 the worker is not registered (any more), HD012 as howdah.claim.
-- Cost: 3 us for each job that is looked at. No other claim pays for this.
CREATE OR REPLACE FUNCTION howdah.claim_where(worker_id bigint, queue text, jobs integer, filter text, kinds text[] DEFAULT NULL,
  after bigint DEFAULT NULL, since bigint DEFAULT 0, before bigint DEFAULT NULL, most integer DEFAULT 2000,
  prefixes text[] DEFAULT NULL, except_kinds text[] DEFAULT NULL)
RETURNS TABLE (lease_id bigint, id bigint, kind text, payload jsonb, attempt smallint, max_attempts smallint,
               priority smallint, enqueued_at timestamptz, options jsonb, next bigint, newest bigint)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_filter jsonpath := howdah.check_filter(claim_where.filter);
  v_queue  integer;
  v_room   integer := claim_where.jobs;
  v_tokens integer;
  v_limited text[];
  v_look   record;
  v_step   integer := least(greatest(128, 2 * claim_where.jobs), claim_where.most);
  v_left   integer := claim_where.most;
  v_lease  bigint;
  v_rows   bigint;
  v_now    timestamptz := howdah.now();
BEGIN
  IF claim_where.jobs IS NULL OR claim_where.jobs NOT BETWEEN 1 AND 500 THEN
    RAISE EXCEPTION 'jobs must be 1 to 500, not %', coalesce(claim_where.jobs::text, 'NULL') USING ERRCODE = 'HD002', COLUMN = 'jobs';
  END IF;
  PERFORM howdah.check_most(claim_where.most, 10000, NULL);
  IF NOT EXISTS (SELECT FROM howdah.worker w WHERE w.id = claim_where.worker_id) THEN
    PERFORM howdah.unknown_worker(claim_where.worker_id);
  END IF;
  newest := howdah.last_id();
  SELECT q.id INTO v_queue FROM howdah.queue q WHERE q.name = claim_where.queue AND q.paused_at IS NULL;
  IF FOUND THEN
    IF EXISTS (SELECT FROM howdah.flow_rule) THEN
      SELECT r.room, r.tokens INTO v_room, v_tokens FROM howdah.queue_room(v_queue, v_room) r;
      IF v_room = 0 THEN
        RETURN NEXT;
        RETURN;
      END IF;
      v_limited := ARRAY(SELECT f.name FROM howdah.flow_rule f WHERE f.scope = 'kind');
    END IF;
    next := claim_where.after;
    -- Not more than is likely to be needed at first: where most jobs match, the rest would be looked at for nothing.
    LOOP
      v_look := howdah.look_for(v_queue, v_room, v_filter, claim_where.kinds, next, claim_where.since, claim_where.before, v_step,
        claim_where.prefixes, claim_where.except_kinds);
      next := v_look.next;
      v_left := v_left - v_step;
      EXIT WHEN v_look.ids IS NOT NULL OR next IS NULL OR v_left <= 0;
      v_step := v_left;
    END LOOP;
    v_lease := howdah.lease_jobs(claim_where.worker_id, v_queue, v_look.first_ids, v_look.counts, v_look.ids, v_limited);
  END IF;
  IF v_lease IS NULL THEN
    RETURN NEXT;
    RETURN;
  END IF;
  RETURN QUERY
    SELECT v_lease, j.id, j.kind, j.payload, r.attempt, j.max_attempts, j.priority, j.enqueued_at, j.options, next, newest
      FROM howdah.lease l, unnest(l.first_ids, l.counts, l.attempts) WITH ORDINALITY r(first_id, jobs, attempt, n),
           generate_series(0, r.jobs - 1) g, LATERAL howdah.find_job(r.first_id + g) j
     WHERE (l.id & 3) = (v_lease & 3) AND l.id = v_lease
       AND (j.options IS NULL OR NOT j.options ? 'expires_at' OR (j.options ->> 'expires_at')::timestamptz > v_now)
     ORDER BY r.n, j.id;
  GET DIAGNOSTICS v_rows = ROW_COUNT;
  IF v_tokens IS NOT NULL THEN
    PERFORM howdah.spend_queue(v_queue, l.first_ids, l.counts) FROM howdah.lease l WHERE (l.id & 3) = (v_lease & 3) AND l.id = v_lease;
  END IF;
  IF v_rows < cardinality(v_look.ids) THEN
    PERFORM howdah.expire_claimed(v_lease, v_now);
    IF v_rows = 0 THEN
      lease_id := NULL;
      RETURN NEXT;
    END IF;
  END IF;
END $$;
-- howdah.expire_claimed(lease_id, at) -> void
-- Ends the jobs of a lease that had expired at the time of the claim. Internal to howdah.claim, which does not return
-- them. Writes: lease; and see expire_jobs.
CREATE OR REPLACE FUNCTION howdah.expire_claimed(lease_id bigint, at timestamptz) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_ids      bigint[];
  v_attempts smallint[];
BEGIN
  SELECT array_agg(j.id) INTO v_ids
    FROM howdah.lease l, unnest(l.first_ids, l.counts) r(first_id, jobs), generate_series(0, r.jobs - 1) g,
         LATERAL howdah.find_job(r.first_id + g) j
   WHERE (l.id & 3) = (expire_claimed.lease_id & 3) AND l.id = expire_claimed.lease_id
     AND (j.options ->> 'expires_at')::timestamptz <= expire_claimed.at;
  SELECT array_agg(t.job_id), array_agg((t.attempt - 1)::smallint) INTO v_ids, v_attempts
    FROM howdah.take_from_lease(expire_claimed.lease_id, v_ids) t WHERE v_ids IS NOT NULL;
  PERFORM howdah.expire_jobs(v_ids, v_attempts);
END $$;
-- howdah.lease_jobs(worker_id, queue_id, first_ids, counts, ids, limited) -> bigint
-- Takes these jobs out of these tickets of a queue, as far as nobody else has them, and makes a lease of them, with the
-- attempt counted, as far as their gates let them through; limited: kinds that have a rule. What else the tickets hold stays. Returns the lease; NULL: there was nothing to take.
-- Internal to claim_where. Writes: ticket, lease, and see admit. Locks: tickets, skipping what others have locked.
CREATE OR REPLACE FUNCTION howdah.lease_jobs(worker_id bigint, queue_id integer, first_ids bigint[], counts smallint[], ids bigint[],
  limited text[] DEFAULT NULL) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_held     bigint[];
  v_firsts   bigint[];
  v_counts   smallint[];
  v_attempts smallint[];
  v_lease    bigint;
  c          record;
BEGIN
  -- A ticket that has changed since it was seen is left alone.
  SELECT array_agg(t.first_id) INTO v_held
    FROM unnest(lease_jobs.first_ids, lease_jobs.counts) w(first_id, jobs), generate_series(0, 9) p, LATERAL (
      SELECT k.first_id FROM howdah.ticket k
       WHERE k.queue_id = lease_jobs.queue_id AND k.priority = p AND k.first_id = w.first_id AND k.jobs = w.jobs FOR UPDATE SKIP LOCKED) t;
  IF v_held IS NULL THEN
    RETURN NULL;
  END IF;
  v_lease := howdah.next_lease();
  FOR c IN
    WITH gone AS (
      DELETE FROM howdah.ticket k WHERE k.queue_id = lease_jobs.queue_id AND k.priority = ANY ('{0,1,2,3,4,5,6,7,8,9}') AND k.first_id = ANY (v_held)
      RETURNING k.*),
    cut AS MATERIALIZED (
      SELECT p.* FROM (SELECT array_agg(g.first_id) AS firsts, array_agg(g.jobs) AS counts FROM gone g) a,
             LATERAL howdah.pieces(a.firsts, a.counts, lease_jobs.ids) p),
    rest AS (
      INSERT INTO howdah.ticket (first_id, queue_id, slot, priority, jobs, attempt, kind, gates, ready_at)
      SELECT c.first_id, g.queue_id, r.slot, g.priority, c.jobs, g.attempt, g.kind, g.gates, g.ready_at
        FROM cut c JOIN gone g ON g.first_id = c.run, howdah.ring r WHERE NOT c.taken AND r.name = 'returned')
    SELECT c.first_id, c.jobs, g.attempt, g.priority, g.kind, g.gates, g.ready_at, NULL::integer AS taken, NULL::integer AS aside
      FROM cut c JOIN gone g ON g.first_id = c.run WHERE c.taken ORDER BY g.priority, c.first_id
  LOOP
    c.taken := c.jobs;
    IF c.gates IS NOT NULL OR c.kind = ANY (lease_jobs.limited) THEN
      SELECT p.taken, p.aside INTO c.taken, c.aside
        FROM howdah.admit(v_lease, lease_jobs.queue_id, c.first_id, c.jobs, c.priority, c.attempt, c.kind, c.gates, c.jobs) p;
      -- Somebody is at the gate: later.
      INSERT INTO howdah.ticket (first_id, queue_id, slot, priority, jobs, attempt, kind, gates, ready_at)
      SELECT c.first_id + c.taken, lease_jobs.queue_id, r.slot, c.priority, c.jobs - c.taken, c.attempt, c.kind, c.gates, c.ready_at
        FROM howdah.ring r WHERE r.name = 'returned' AND c.taken + c.aside < c.jobs;
    END IF;
    IF c.taken > 0 THEN
      v_firsts := v_firsts || c.first_id;
      v_counts := v_counts || c.taken::smallint;
      v_attempts := v_attempts || (c.attempt + 1)::smallint;
    END IF;
  END LOOP;
  IF v_firsts IS NULL THEN
    RETURN NULL;
  END IF;
  INSERT INTO howdah.lease (id, worker_id, queue_id, claimed_at, first_ids, counts, attempts)
    VALUES (v_lease, lease_jobs.worker_id, lease_jobs.queue_id, howdah.now(), v_firsts, v_counts, v_attempts);
  RETURN v_lease;
END $$;
-- howdah.look_for(queue_id, jobs, filter, kinds, after, since, before, most, prefixes, except_kinds)
--   -> (ids, first_ids, counts, next)
-- Looks for ready jobs that match, in the order in which they are claimed, and locks nothing: see howdah.claim_where.
--   ids                which jobs match, at most `jobs`
--   first_ids, counts  the tickets that hold them
-- Internal. A place in the order is a priority and an id: priority << 56 | id.
-- Cost: two index entries for each ticket, one row for each job.
CREATE OR REPLACE FUNCTION howdah.look_for(queue_id integer, jobs integer, filter jsonpath, kinds text[], after bigint, since bigint, before bigint, most integer,
  prefixes text[], except_kinds text[], OUT ids bigint[], OUT first_ids bigint[], OUT counts smallint[], OUT next bigint)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_priority integer := coalesce(look_for.after >> 56, 0);
  v_id       bigint := coalesce(look_for.after & ((1::bigint << 56) - 1), 0);
  v_firsts   bigint[];
  v_counts   integer[];
  v_places   bigint[];
  v_kinds    text[];
  v_seen     bigint;
BEGIN
  -- Of `most` tickets, those whose jobs are the first `most`.
  SELECT array_agg(s.first_id), array_agg(s.jobs), array_agg(s.priority::bigint << 56 | s.first_id), array_agg(s.kind), count(*)
    INTO v_firsts, v_counts, v_places, v_kinds, v_seen
    FROM (SELECT t.*, sum(t.jobs) OVER (ORDER BY t.priority, t.first_id) - t.jobs AS before FROM (
            SELECT u.* FROM (
              SELECT k.* FROM generate_series(v_priority, coalesce(look_for.before >> 56, 9)) p, LATERAL (
                SELECT priority, first_id, jobs, kind FROM howdah.ticket
                 WHERE slot IN (0, 1) AND queue_id = look_for.queue_id AND priority = p
                   AND first_id > greatest(look_for.since, CASE WHEN p = v_priority THEN v_id ELSE 0 END)
                 ORDER BY first_id LIMIT look_for.most) k
              UNION ALL
              (SELECT priority, first_id, jobs, kind FROM howdah.ticket
                WHERE slot IN (2, 3) AND queue_id = look_for.queue_id AND (priority, first_id) > (v_priority, v_id)
                ORDER BY priority, first_id LIMIT look_for.most)) u
            WHERE look_for.before IS NULL OR (u.priority::bigint << 56 | u.first_id) < look_for.before
            ORDER BY u.priority, u.first_id LIMIT look_for.most) t) s
   WHERE s.before < look_for.most;
  IF v_seen = 0 THEN
    RETURN;
  END IF;
  WITH hit AS (
    SELECT m.id, u.place, u.first_id, u.jobs, row_number() OVER (ORDER BY u.place, m.id) AS n
      FROM howdah.matching(v_firsts, v_counts, look_for.filter) m(id)
      JOIN unnest(v_firsts, v_counts, v_places, v_kinds) u(first_id, jobs, place, kind)
        ON u.first_id >> 7 = m.id >> 7 AND m.id >= u.first_id AND m.id < u.first_id + u.jobs
     WHERE ((look_for.kinds IS NULL AND look_for.prefixes IS NULL) OR u.kind = ANY (look_for.kinds) OR u.kind ^@ ANY (look_for.prefixes))
       AND (look_for.except_kinds IS NULL OR u.kind <> ALL (look_for.except_kinds)))
  SELECT array_agg(h.id ORDER BY h.n) FILTER (WHERE h.n <= look_for.jobs), min(h.place) FILTER (WHERE h.n > look_for.jobs) - 1
    INTO ids, next FROM hit h;
  SELECT array_agg(u.first_id ORDER BY u.place), array_agg(u.jobs ORDER BY u.place) INTO first_ids, counts
    FROM unnest(v_firsts, v_counts, v_places) u(first_id, jobs, place)
   WHERE EXISTS (SELECT FROM unnest(ids) i WHERE i >= u.first_id AND i < u.first_id + u.jobs);
  -- What was passed over begins anew from the ticket where more was found, else from the last one.
  IF next IS NULL AND (SELECT sum(c) FROM unnest(v_counts) c) >= look_for.most THEN
    SELECT max(p) INTO next FROM unnest(v_places) p;
  END IF;
END $$;
-- howdah.next_lease() -> bigint
-- The id of a lease that is to be made, in the partition that is written now: milliseconds << 22 | number << 2 | slot.
-- The commit of a claim does not wait for the disk, so a crash may undo it, and the sequence with it, while a worker still
-- holds what it was told: the time makes sure that no other claim gets the same id afterwards. Not howdah.now(), which
-- may stand still. 41 bits of milliseconds last for 69 years; then they begin anew. Internal to claims.
CREATE OR REPLACE FUNCTION howdah.next_lease() RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_ms bigint := date_part('epoch', clock_timestamp()) * 1000;
BEGIN
  RETURN ((v_ms - 1750000000000) & 2199023255551) << 22 | ((nextval('howdah.lease_seq') & 1048575) << 2)
       | (SELECT r.slot FROM howdah.ring r WHERE r.name = 'lease');
END $$;
-- howdah.unknown_worker(worker_id) -> never returns
-- Says that a worker is not registered, or no longer. Errors: HD004. Internal.
CREATE OR REPLACE FUNCTION howdah.unknown_worker(worker_id bigint) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RAISE EXCEPTION 'worker % is not registered', coalesce(unknown_worker.worker_id::text, 'NULL')
    USING ERRCODE = 'HD004', COLUMN = 'worker_id',
      HINT = 'Its heartbeat was overdue and its jobs were given to others. Register again: SELECT howdah.start_worker(''name'')';
END $$;
-- howdah.check_expression(expression) -> void
-- Refuses what cannot be a cron expression at a glance: its length, its characters, the number of its fields. The rest
-- is for the keeper, which can read them. Cheap for whatever it is given. Internal to check_schedule.
-- Errors: HD002 with COLUMN expression.
CREATE OR REPLACE FUNCTION howdah.check_expression(expression text) RETURNS void
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF octet_length(check_expression.expression) NOT BETWEEN 1 AND 256 THEN
    PERFORM howdah.option_refused('expression', format('must be 1 to 256 bytes, not %s', octet_length(check_expression.expression)));
  END IF;
  IF check_expression.expression !~* '^ *(@(yearly|annually|monthly|weekly|daily|midnight|hourly)|@every +([0-9]{1,9}[wdhms])+|([0-9a-z*,/?#+-]+ +){4,5}[0-9a-z*,/?#+-]+) *$' THEN
    PERFORM howdah.option_refused('expression', format(
      'must be five fields (minute, hour, day, month, weekday), six with seconds first, @hourly, @daily and the like, or @every 90s; not %L',
      left(check_expression.expression, 100)));
  END IF;
END $$;
-- howdah.check_schedule(schedule) -> void
-- Refuses a schedule that could not be fired, as far as can be told here. Internal to set_schedule.
-- Reads: queue. Errors: HD001 unknown queue, HD002 (COLUMN names the setting).
CREATE OR REPLACE FUNCTION howdah.check_schedule(schedule howdah.schedule) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_most integer;
  -- As a value of its own: what comes from a table may be compressed.
  v_size integer := pg_column_size((check_schedule.schedule).payload #> '{}');
BEGIN
  PERFORM howdah.check_expression((check_schedule.schedule).expression);
  PERFORM howdah.check_timezone((check_schedule.schedule).timezone);
  PERFORM howdah.check_job((check_schedule.schedule).kind, (check_schedule.schedule).priority, NULL, NULL,
    (check_schedule.schedule).max_attempts, (check_schedule.schedule).options);
  IF (check_schedule.schedule).options ?| '{id,expires_at,unique,schedule}' THEN
    PERFORM howdah.option_refused('options', 'of a schedule are for each of its jobs: id, expires_at, unique and schedule make no sense');
  END IF;
  SELECT q.max_payload_bytes INTO v_most FROM howdah.queue q WHERE q.name = (check_schedule.schedule).queue;
  IF NOT FOUND THEN
    PERFORM howdah.unknown_queue((check_schedule.schedule).queue);
  ELSIF v_size > v_most THEN
    PERFORM howdah.payload_refused((check_schedule.schedule).queue, v_size, v_most);
  END IF;
END $$;
-- howdah.check_timezone(timezone) -> void
-- Refuses what is no name of a time zone. Internal to check_schedule. Errors: HD002 with COLUMN timezone.
CREATE OR REPLACE FUNCTION howdah.check_timezone(timezone text) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  -- PostgreSQL also takes rules such as FOO+3, which are the wrong way round for most people.
  IF check_timezone.timezone ~ '^[A-Za-z][A-Za-z0-9_+/-]{0,99}$' AND (check_timezone.timezone !~ '[0-9+-]' OR check_timezone.timezone ~ '/') THEN
    PERFORM howdah.now() AT TIME ZONE check_timezone.timezone;
    RETURN;
  END IF;
  RAISE invalid_parameter_value;
EXCEPTION WHEN invalid_parameter_value THEN
  RAISE EXCEPTION 'timezone must be an IANA name, not %', quote_literal(left(check_timezone.timezone, 100))
    USING ERRCODE = 'HD002', COLUMN = 'timezone', HINT = 'Such as Europe/Berlin or UTC; see pg_timezone_names.';
END $$;
-- howdah.declare_schedule(name, settings, revision) -> boolean
-- What a program does with its schedules when it starts: makes the schedule, or changes what it declares now and did not
-- declare before. So one that declares what was declared last changes nothing, and what others have set by
-- howdah.set_schedule stays over its restarts; a pause stays in any case.
--   settings  as for howdah.set_schedule; null is the default
--   revision  of the declaration, 0 or more; what has a lower one than the last that was put in force is not heard
-- Of two releases with the same revision, the one that started last is heard: each start writes once, and nothing goes
-- back and forth by itself. Returns whether it was something new.
-- Writes: schedule. Locks: its row, and an advisory lock of its name. Errors: as howdah.set_schedule.
CREATE OR REPLACE FUNCTION howdah.declare_schedule(name text, settings jsonb, revision integer DEFAULT 0) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  v_declared jsonb;
  v_revision integer;
BEGIN
  PERFORM howdah.check_number('revision', to_jsonb(declare_schedule.revision), 0, 2147483647);
  PERFORM howdah.check_settings('schedule', declare_schedule.settings);
  -- Of two who declare one that is new, too, the later revision is heard.
  PERFORM pg_advisory_xact_lock('howdah.schedule'::regclass::oid::bigint << 32 | (hashtext(declare_schedule.name)::bigint & 4294967295));
  SELECT s.declared, s.revision INTO v_declared, v_revision FROM howdah.schedule s WHERE s.name = declare_schedule.name FOR NO KEY UPDATE;
  IF FOUND AND (v_revision > declare_schedule.revision OR (v_declared = declare_schedule.settings AND v_revision = declare_schedule.revision)) THEN
    RETURN false;
  END IF;
  PERFORM howdah.set_schedule(declare_schedule.name, coalesce((
    SELECT jsonb_object_agg(e.key, e.value) FROM jsonb_each(declare_schedule.settings) e WHERE e.value IS DISTINCT FROM v_declared -> e.key), '{}'));
  UPDATE howdah.schedule s SET declared = declare_schedule.settings, revision = declare_schedule.revision WHERE s.name = declare_schedule.name;
  RETURN true;
END $$;
-- howdah.delete_schedule(schedule) -> boolean
-- Deletes a schedule and the history of its firings; the jobs that it has enqueued stay. Returns false if there is none.
-- A program that declares it makes it again when it starts: to stop one for good, pause it.
-- Writes: schedule, firing, command. Locks: its row. Errors: none.
CREATE OR REPLACE FUNCTION howdah.delete_schedule(schedule text) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
  DELETE FROM howdah.schedule s WHERE s.name = delete_schedule.schedule;
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  DELETE FROM howdah.firing f WHERE f.schedule = delete_schedule.schedule;
  PERFORM howdah.note('delete_schedule', jsonb_build_object('schedule', delete_schedule.schedule));
  RETURN true;
END $$;
-- howdah.due_schedules(worker_id, term, most) -> jsonb
-- What the keeper has to look at: {now, next_ms, due: [...]}, times in microseconds since 1970.
--   now      the queue's clock, by which the keeper plans
--   next_ms  milliseconds until the next schedule is due; null if there is none
--   due      at most `most` schedules that are due, or whose next slot is not known; those that somebody is changing
--            are left for the next look
-- Writes: nothing. Locks: those rows, for a moment, skipping what others have locked.
-- Errors: HD011 another keeper was elected. Cost: two index probes if nothing is due.
CREATE OR REPLACE FUNCTION howdah.due_schedules(worker_id bigint, term bigint, most integer DEFAULT 100) RETURNS jsonb
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_now timestamptz := howdah.now();
  v_due jsonb;
BEGIN
  PERFORM howdah.must_be_keeper(due_schedules.worker_id, due_schedules.term);
  WITH due AS MATERIALIZED (
    SELECT * FROM howdah.schedule s WHERE s.look_at <= v_now ORDER BY s.look_at LIMIT due_schedules.most FOR NO KEY UPDATE SKIP LOCKED)
  SELECT jsonb_agg(jsonb_build_object('name', d.name, 'turn', d.turn, 'expression', d.expression, 'timezone', d.timezone,
           'every_from', howdah.micros(d.every_from), 'after_at', howdah.micros(d.after_at), 'missed', d.missed,
           'max_missed', d.max_missed, 'grace_ms', d.grace_ms)) INTO v_due FROM due d;
  RETURN jsonb_build_object('now', howdah.micros(v_now), 'due', coalesce(v_due, '[]'), 'next_ms', (
    SELECT greatest(1, ceil(extract(epoch FROM s.look_at - v_now) * 1000))::bigint
      FROM howdah.schedule s WHERE s.look_at > v_now AND s.look_at < 'infinity' ORDER BY s.look_at LIMIT 1));
END $$;
-- howdah.fire_schedule(worker_id, term, schedule, turn, due, missed, through, next_at) -> bigint[]
-- Enqueues the jobs of slots of a schedule and moves it on to its next slot, in one transaction: a keeper that is killed
-- has done all of it or nothing. Called by the keeper, with what it has worked out from howdah.due_schedules.
--   turn     of the schedule when it was read. If it is another one by now, another keeper was faster or somebody has
--            changed the schedule, and nothing is done
--   due      the slots to fire, in order; at most 1000
--   missed   how many of the first of them are fired too late
--   through  slots until here, included, are dealt with, whether they are in `due` or not
--   next_at  the first slot after that
-- Returns the jobs; NULL if nothing was done.
-- Writes: schedule, firing, and see fire_slot. Locks: the schedule's row; if somebody else has it, nothing is done.
-- Errors: HD002 what was worked out makes no sense, HD011 another keeper was elected, and those of enqueueing.
CREATE OR REPLACE FUNCTION howdah.fire_schedule(
  worker_id bigint, term bigint, schedule text, turn bigint, due timestamptz[], missed integer, through timestamptz, next_at timestamptz)
RETURNS bigint[] LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  v_schedule howdah.schedule;
  v_jobs     bigint[] := '{}';
  v_last     timestamptz;
  v_at       timestamptz;
BEGIN
  PERFORM howdah.must_be_keeper(fire_schedule.worker_id, fire_schedule.term);
  SELECT * INTO v_schedule FROM howdah.schedule s
   WHERE s.name = fire_schedule.schedule AND s.turn = fire_schedule.turn AND s.paused_at IS NULL FOR NO KEY UPDATE SKIP LOCKED;
  IF NOT FOUND THEN
    RETURN NULL;
  END IF;
  v_last := v_schedule.after_at;
  IF fire_schedule.due IS NULL OR cardinality(fire_schedule.due) > 1000 OR fire_schedule.through IS NULL OR fire_schedule.through < v_last
     OR fire_schedule.next_at IS NULL OR fire_schedule.next_at <= fire_schedule.through OR fire_schedule.through > greatest(v_last, howdah.now()) THEN
    PERFORM howdah.option_refused('next_at', 'must be after the slots that are dealt with, and those after the ones before and not later than now');
  END IF;
  FOREACH v_at IN ARRAY fire_schedule.due LOOP
    IF v_at IS NULL OR v_at <= v_last OR v_at > fire_schedule.through THEN
      PERFORM howdah.option_refused('due', 'must be slots in order, after those that are dealt with');
    END IF;
    v_jobs := v_jobs || (SELECT f.job_id FROM howdah.fire_slot(v_schedule, v_at,
      CASE WHEN cardinality(v_jobs) < fire_schedule.missed THEN 'missed' ELSE 'due' END) f);
    v_last := v_at;
  END LOOP;
  UPDATE howdah.schedule s
     SET turn = s.turn + 1, after_at = fire_schedule.through, next_at = fire_schedule.next_at, look_at = fire_schedule.next_at,
         failures = 0, error = NULL, error_at = NULL
   WHERE s.name = fire_schedule.schedule;
  IF cardinality(v_jobs) > 1 OR v_schedule.turn % 32 = 0 THEN
    PERFORM howdah.prune_firings(fire_schedule.schedule);
  END IF;
  RETURN v_jobs;
END $$;
-- howdah.fire_slot(schedule, due_at, how) -> (job_id, hit)
-- Enqueues the job of one slot, and notes that it is fired: both or neither. The job knows the slot by its option
-- `schedule`. Internal to fire_schedule and run_schedule.
-- Writes: firing, and see enqueue_many and enqueue_unique. Errors: theirs; 23505 the slot was fired before.
CREATE OR REPLACE FUNCTION howdah.fire_slot(schedule howdah.schedule, due_at timestamptz, how text, OUT job_id bigint, OUT hit boolean)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  s         howdah.schedule := fire_slot.schedule;
  v_options jsonb := coalesce(s.options, '{}') || jsonb_build_object('schedule', jsonb_build_object('name', s.name, 'due_at', fire_slot.due_at));
BEGIN
  IF s.unique_key IS NULL THEN
    SELECT m.first_id, false INTO fire_slot.job_id, fire_slot.hit
      FROM howdah.enqueue_many(s.kind, ARRAY[s.payload], s.queue, s.priority, NULL, NULL, s.max_attempts, v_options) m;
  ELSE
    SELECT u.id, u.hit INTO fire_slot.job_id, fire_slot.hit
      FROM howdah.enqueue_unique(s.kind, s.payload, s.unique_key, 'live', NULL, 'keep', s.queue, s.priority, NULL, NULL, s.max_attempts, v_options) u;
  END IF;
  INSERT INTO howdah.firing (schedule, due_at, fired_at, how, job_id, hit)
    VALUES (s.name, fire_slot.due_at, howdah.now(), fire_slot.how, fire_slot.job_id, fire_slot.hit);
END $$;
-- howdah.micros(at) -> bigint
-- A point in time as microseconds since 1970: the reverse of howdah.at_micros. NULL for NULL.
CREATE OR REPLACE FUNCTION howdah.micros(at timestamptz) RETURNS bigint
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN (extract(epoch FROM micros.at) * 1000000)::bigint;
END $$;
-- howdah.must_be_keeper(worker_id, term) -> void
-- Refuses what only the keeper in office may do. Reads: keeper. Errors: HD011 another keeper was elected. Internal.
CREATE OR REPLACE FUNCTION howdah.must_be_keeper(worker_id bigint, term bigint) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
  IF NOT EXISTS (SELECT FROM howdah.keeper k
                  WHERE k.term = must_be_keeper.term AND k.worker_id = must_be_keeper.worker_id AND k.expires_at >= howdah.now()) THEN
    RAISE EXCEPTION 'the keeper''s term % is over', must_be_keeper.term USING ERRCODE = 'HD011';
  END IF;
END $$;
-- howdah.pause_schedule(schedule, by, reason) -> boolean
-- Fires no slot until resume_schedule, over restarts and whatever programs declare. Slots that pass meanwhile are not
-- missed, they are left out. Returns whether it was running before.
-- Writes: schedule, command. Errors: HD002 unknown schedule; by (256 bytes) or reason (1024) is too long.
CREATE OR REPLACE FUNCTION howdah.pause_schedule(schedule text, by text DEFAULT NULL, reason text DEFAULT NULL) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  v_was timestamptz;
BEGIN
  PERFORM howdah.check_pause(pause_schedule.by, pause_schedule.reason);
  SELECT s.paused_at INTO v_was FROM howdah.schedule s WHERE s.name = pause_schedule.schedule FOR NO KEY UPDATE;
  IF NOT FOUND THEN
    PERFORM howdah.unknown_schedule(pause_schedule.schedule);
  END IF;
  UPDATE howdah.schedule s
     SET paused_at = coalesce(s.paused_at, howdah.now()), paused_by = howdah.who_acts(pause_schedule.by),
         pause_reason = pause_schedule.reason, turn = s.turn + 1, next_at = NULL, look_at = 'infinity'
   WHERE s.name = pause_schedule.schedule;
  PERFORM howdah.note('pause_schedule', jsonb_build_object('schedule', pause_schedule.schedule), pause_schedule.by, pause_schedule.reason);
  RETURN v_was IS NULL;
END $$;
-- howdah.prune_firings(schedule) -> void
-- Forgets all firings of a schedule but the newest 1000. Called now and then while it fires. Internal.
-- Writes: firing. Cost: reads up to 1000 entries of an index.
CREATE OR REPLACE FUNCTION howdah.prune_firings(schedule text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
BEGIN
  DELETE FROM howdah.firing f WHERE f.schedule = prune_firings.schedule AND f.fired_at < (
    SELECT n.fired_at FROM howdah.firing n WHERE n.schedule = prune_firings.schedule ORDER BY n.fired_at DESC OFFSET 999 LIMIT 1);
END $$;
-- howdah.restart_schedule(name, every_from, after_at) -> void
-- Lets the keeper work out anew when a schedule is due, and tells it so. Does nothing to one that is paused, but that
-- what was worked out before holds no more. Internal.
-- Writes: schedule. Notifies the keeper at commit.
CREATE OR REPLACE FUNCTION howdah.restart_schedule(name text, every_from timestamptz, after_at timestamptz) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
  UPDATE howdah.schedule s
     SET turn = s.turn + 1, every_from = restart_schedule.every_from, after_at = restart_schedule.after_at, next_at = NULL,
         look_at = CASE WHEN s.paused_at IS NULL THEN '-infinity'::timestamptz ELSE 'infinity' END, failures = 0, error = NULL, error_at = NULL
   WHERE s.name = restart_schedule.name;
  PERFORM pg_notify('howdah.due', 'cron');
END $$;
-- howdah.resume_schedule(schedule) -> boolean
-- Lets a paused schedule go on with the first slot after now. Returns whether it was paused.
-- Writes: schedule, command. Errors: HD002 unknown schedule.
CREATE OR REPLACE FUNCTION howdah.resume_schedule(schedule text) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  v_was  timestamptz;
  v_from timestamptz;
BEGIN
  SELECT s.paused_at, s.every_from INTO v_was, v_from FROM howdah.schedule s WHERE s.name = resume_schedule.schedule FOR NO KEY UPDATE;
  IF NOT FOUND THEN
    PERFORM howdah.unknown_schedule(resume_schedule.schedule);
  END IF;
  IF v_was IS NOT NULL THEN
    UPDATE howdah.schedule s SET paused_at = NULL, paused_by = NULL, pause_reason = NULL WHERE s.name = resume_schedule.schedule;
    PERFORM howdah.restart_schedule(resume_schedule.schedule, v_from, howdah.now());
    PERFORM howdah.note('resume_schedule', jsonb_build_object('schedule', resume_schedule.schedule));
  END IF;
  RETURN v_was IS NOT NULL;
END $$;
-- howdah.run_schedule(schedule) -> (job_id, hit)
-- Enqueues the job of a schedule now, also if it is paused, and changes nothing about when it is due.
--   job_id  the job
--   hit     the schedule has a unique key, which that job has had before: none was enqueued
-- Writes: firing, command, and see enqueue_many and enqueue_unique. Locks: the schedule cannot be deleted until the caller's
-- transaction ends; it is fired meanwhile.
-- Errors: HD001 unknown queue, HD002 unknown schedule, HD005 the queue is full.
CREATE OR REPLACE FUNCTION howdah.run_schedule(schedule text, OUT job_id bigint, OUT hit boolean)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_schedule howdah.schedule;
BEGIN
  SELECT * INTO v_schedule FROM howdah.schedule s WHERE s.name = run_schedule.schedule FOR KEY SHARE;
  IF NOT FOUND THEN
    PERFORM howdah.unknown_schedule(run_schedule.schedule);
  END IF;
  SELECT f.job_id, f.hit INTO run_schedule.job_id, run_schedule.hit FROM howdah.fire_slot(v_schedule, howdah.now(), 'by hand') f;
  PERFORM howdah.prune_firings(run_schedule.schedule),
    howdah.note('run_schedule', jsonb_build_object('schedule', run_schedule.schedule, 'job', run_schedule.job_id));
END $$;
-- howdah.schedule_failed(worker_id, term, schedule, turn, message) -> boolean
-- Notes that a schedule could not be worked out or fired, where people see it, and lets the keeper try again: after a
-- second, two, four ... half a minute. Its slot is not lost. Returns whether it was noted: not if the schedule was changed
-- meanwhile, or somebody is changing it.
-- Writes: schedule. Locks: its row, if nobody else has it. Errors: HD011 another keeper was elected.
CREATE OR REPLACE FUNCTION howdah.schedule_failed(worker_id bigint, term bigint, schedule text, turn bigint, message text) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
  PERFORM howdah.must_be_keeper(schedule_failed.worker_id, schedule_failed.term);
  PERFORM FROM howdah.schedule s WHERE s.name = schedule_failed.schedule AND s.turn = schedule_failed.turn FOR NO KEY UPDATE SKIP LOCKED;
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  UPDATE howdah.schedule s
     SET failures = s.failures + 1, error = left(schedule_failed.message, 1000), error_at = howdah.now(),
         look_at = howdah.now() + make_interval(secs => least(30, 2 ^ least(s.failures, 5)))
   WHERE s.name = schedule_failed.schedule;
  RETURN true;
END $$;
-- howdah.set_schedule(name, settings) -> jsonb
-- Makes a schedule, or changes settings of one:
--   SELECT howdah.set_schedule('nightly', '{"expression": "0 3 * * *", "timezone": "Europe/Berlin", "kind": "report"}')
--   settings  an object with the settings to change; the others stay. null: back to the default.
--     expression    five fields, or six with seconds first; @hourly and the like; @every 90s. A new one needs it
--     timezone      an IANA name; UTC
--     kind          of the jobs. A new one needs it
--     payload, queue, priority, max_attempts, options   of the jobs, as for howdah.enqueue
--     unique_key    null; else, while the job of a firing has not ended, the next firing enqueues none
--     missed        what becomes of slots that nobody fired in time: skip (none is fired), one (the last one is), all
--                   (the last max_missed are); skip
--     max_missed    1 to 1000; 100
--     grace_ms      how late a slot may be fired without being missed, a second to a day; a minute
-- A change of the expression or the zone holds from now on: no slot before it is fired any more. What a program declares
-- (howdah.declare_schedule) goes before only if it declares something else than before. A pause stays.
-- Returns all settings. Whether an expression makes sense is for the keeper to say, within a second: the column error of
-- howdah.schedules.
-- Writes: schedule and command, if something differs. Locks: its row; the keeper passes it over meanwhile.
-- Errors: HD001 unknown queue, HD002 (COLUMN names the setting).
CREATE OR REPLACE FUNCTION howdah.set_schedule(name text, settings jsonb) RETURNS jsonb
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  v_now     timestamptz := howdah.now();
  v_old     howdah.schedule;
  v_new     howdah.schedule;
  v_changes jsonb;
  v_field   text;
  v_made    boolean := false;
BEGIN
  IF set_schedule.name IS NULL OR octet_length(set_schedule.name) NOT BETWEEN 1 AND 128 OR set_schedule.name ~ '[[:cntrl:]]' THEN
    PERFORM howdah.option_refused('name', format('must be 1 to 128 bytes without control characters, not %s bytes',
      coalesce(octet_length(set_schedule.name)::text, 'NULL')));
  END IF;
  PERFORM howdah.check_settings('schedule', set_schedule.settings);
  SELECT * INTO v_old FROM howdah.schedule s WHERE s.name = set_schedule.name FOR NO KEY UPDATE;
  FOREACH v_field IN ARRAY '{expression,kind}'::text[] LOOP
    IF set_schedule.settings -> v_field = 'null' OR (v_old.name IS NULL AND NOT set_schedule.settings ? v_field) THEN
      PERFORM howdah.option_refused(v_field, 'is what a schedule cannot be without');
    END IF;
  END LOOP;
  IF v_old.name IS NULL THEN
    INSERT INTO howdah.schedule (name, expression, kind, created_at, every_from, after_at)
      VALUES (set_schedule.name, set_schedule.settings ->> 'expression', set_schedule.settings ->> 'kind', v_now, v_now, v_now)
      ON CONFLICT DO NOTHING;
    v_made := FOUND;
    SELECT * INTO v_old FROM howdah.schedule s WHERE s.name = set_schedule.name FOR NO KEY UPDATE;
  END IF;
  SELECT coalesce(jsonb_object_agg(e.key, e.value), '{}') INTO v_changes FROM jsonb_each(set_schedule.settings) e
   WHERE e.value IS DISTINCT FROM howdah.settings_of('schedule', set_schedule.name) -> e.key;
  IF v_changes <> '{}' THEN
    PERFORM howdah.change_settings('schedule', set_schedule.name, v_changes);
  END IF;
  SELECT * INTO v_new FROM howdah.schedule s WHERE s.name = set_schedule.name;
  PERFORM howdah.check_schedule(v_new);
  IF (v_new.expression, v_new.timezone) IS DISTINCT FROM (v_old.expression, v_old.timezone) THEN
    PERFORM howdah.restart_schedule(set_schedule.name, v_now, v_now);
  ELSIF v_changes <> '{}' OR v_new.created_at = v_now THEN
    -- What stood in the way may be mended.
    PERFORM howdah.restart_schedule(set_schedule.name, v_new.every_from, v_new.after_at);
  END IF;
  IF v_made OR v_changes <> '{}' THEN
    PERFORM howdah.note('set_schedule', jsonb_build_object('schedule', set_schedule.name),
      changes => CASE WHEN v_made THEN set_schedule.settings ELSE v_changes END);
  END IF;
  RETURN howdah.settings_of('schedule', set_schedule.name);
END $$;
-- howdah.unknown_schedule(name) -> never returns
-- Says that a schedule does not exist. Errors: HD002 with COLUMN schedule. Internal.
CREATE OR REPLACE FUNCTION howdah.unknown_schedule(name text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RAISE EXCEPTION 'there is no schedule named %', coalesce(quote_literal(left(unknown_schedule.name, 100)), 'NULL')
    USING ERRCODE = 'HD002', COLUMN = 'schedule', HINT = 'SELECT name FROM howdah.schedules';
END $$;
-- howdah.change(job_id, payload, priority, queue, max_attempts) -> text
-- Changes a job that waits or is dead, in the caller's transaction; NULL leaves a value as it is. The one place where a
-- job is written a second time.
-- Returns the state that it is in; NULL: there is no such job.
-- Writes: job, and ticket, deferred or dead. Locks: its row, and waits for whoever has it; if it stands for other jobs
-- too, they wait for this commit: see howdah.isolate. Partitions of jobs do not turn until this commit.
-- Errors: HD001 unknown queue, HD002 invalid argument; HD005 the queue that it should move to is full; HD007 the job runs or has ended; HD012 the transaction is not
-- READ COMMITTED.
CREATE OR REPLACE FUNCTION howdah.change(job_id bigint, payload jsonb DEFAULT NULL, priority integer DEFAULT NULL, queue text DEFAULT NULL,
  max_attempts integer DEFAULT NULL)
RETURNS text LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  w       record;
  v_queue howdah.queue;
  v_state text;
  v_size  integer;
  j       howdah.job;
BEGIN
  PERFORM howdah.must_read_committed(), howdah.check_job('any', coalesce(change.priority, 5), NULL, NULL, change.max_attempts, NULL);
  IF change.queue IS NOT NULL AND NOT EXISTS (SELECT FROM howdah.queue q WHERE q.name = change.queue) THEN
    PERFORM howdah.unknown_queue(change.queue);
  END IF;
  -- An attempt may fail while we look, and its job wait or be dead: each round sees the newest.
  FOR round IN 1..5 LOOP
    w := howdah.single_out(change.job_id);
    v_state := w.state;
    EXIT WHEN v_state IS NOT NULL;
    PERFORM FROM howdah.dead x WHERE x.job_id = change.job_id FOR UPDATE;
    IF FOUND THEN
      v_state := 'dead';
      EXIT;
    END IF;
    v_state := howdah.state(change.job_id);
    IF v_state IS NULL THEN
      RETURN NULL;
    END IF;
    IF round = 5 OR v_state NOT IN ('ready', 'scheduled', 'blocked', 'dead') THEN
      PERFORM howdah.not_waiting(change.job_id, v_state, 'changed');
    END IF;
  END LOOP;
  -- Looked at with the job in hand: while we waited for it somebody may have moved it to another queue.
  SELECT * INTO j FROM howdah.find_job(change.job_id);
  SELECT q.* INTO v_queue FROM howdah.queue q
   WHERE CASE WHEN change.queue IS NULL THEN q.id = j.queue_id ELSE q.name = change.queue END;
  IF NOT FOUND THEN
    -- The one that is named, or the job's own, which was deleted.
    PERFORM howdah.unknown_queue(coalesce(change.queue, (SELECT d.name FROM howdah.deleted_queue d WHERE d.id = j.queue_id)));
  END IF;
  -- Out of an array, where it has its full size, however a table of the caller's has compressed it.
  v_size := (SELECT pg_column_size(u) FROM unnest(ARRAY[change.payload]) u);
  IF v_size > v_queue.max_payload_bytes THEN
    PERFORM howdah.payload_refused(v_queue.name, v_size, v_queue.max_payload_bytes);
  END IF;
  IF j.queue_id <> v_queue.id AND v_state <> 'dead' THEN
    PERFORM howdah.make_room(v_queue, 1);
  END IF;
  j.payload := coalesce(change.payload, j.payload);
  j.priority := coalesce(change.priority, j.priority);
  j.queue_id := v_queue.id;
  j.max_attempts := coalesce(change.max_attempts, j.max_attempts);
  PERFORM howdah.rewrite_job(j);
  IF v_state = 'dead' THEN
    UPDATE howdah.dead x SET queue_id = v_queue.id, priority = coalesce(change.priority, x.priority) WHERE x.job_id = change.job_id;
  ELSIF v_state IN ('scheduled', 'blocked') THEN
    UPDATE howdah.deferred d SET queue_id = v_queue.id, priority = coalesce(change.priority, d.priority) WHERE d.first_id = change.job_id;
  ELSIF v_state = 'ready' AND (v_queue.id <> w.queue_id OR coalesce(change.priority, w.priority) <> w.priority) THEN
    PERFORM howdah.drop_waiting(change.job_id, v_state, w.queue_id, w.priority);
    PERFORM howdah.put_back(ARRAY[change.job_id], ARRAY[w.attempt]);
  END IF;
  RETURN v_state;
END $$;
-- howdah.crowded(ids) -> setof bigint
-- Which of these jobs wait in a run with others: the ones to isolate before they are locked.
-- Reads: ticket, deferred, job. Locks: none. Errors: none.
CREATE OR REPLACE FUNCTION howdah.crowded(ids bigint[]) RETURNS SETOF bigint
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
BEGIN
  RETURN QUERY
    SELECT i FROM unnest(crowded.ids) i, LATERAL howdah.find_job(i) j
     WHERE EXISTS (SELECT FROM howdah.ticket k WHERE k.queue_id = j.queue_id AND k.priority = j.priority
                      AND k.first_id BETWEEN (i >> 7 << 7) AND i AND i < k.first_id + k.jobs AND k.jobs > 1)
        OR EXISTS (SELECT FROM howdah.deferred d WHERE d.first_id BETWEEN (i >> 7 << 7) AND i AND i < d.first_id + d.jobs AND d.jobs > 1);
END $$;
-- howdah.delete(job_id) -> text
-- Deletes a job without a trace, in the caller's transaction: its payload and failures too, wherever it waits, when it
-- is dead, and when it has ended (a handler that has called complete_in may delete its own job).
-- A unique key that it had is free, whatever its scope.
-- Returns the state that it was in; NULL: there is no such job.
-- Writes: ticket, deferred or dead, unique_key, and see howdah.erase. Locks: that row, or the job's own if it has ended, and waits
-- for whoever has it; if it stands for other jobs too, they wait for this commit: see howdah.isolate.
-- Errors: HD007 the job is running; HD012 the transaction is not READ COMMITTED.
CREATE OR REPLACE FUNCTION howdah.delete(job_id bigint) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  w       record;
  v_state text;
BEGIN
  PERFORM howdah.must_read_committed();
  -- A dead job before its key, and a key before a job that waits, as everywhere.
  PERFORM FROM howdah.dead x WHERE x.job_id = delete.job_id FOR UPDATE;
  DELETE FROM howdah.unique_key u WHERE u.job_id = delete.job_id;
  -- A job moves between rooms while we look. Each round sees the newest state.
  FOR round IN 1..5 LOOP
    w := howdah.single_out(delete.job_id);
    IF w.state IS NOT NULL THEN
      PERFORM howdah.drop_waiting(delete.job_id, w.state, w.queue_id, w.priority), howdah.erase(ARRAY[delete.job_id]);
      RETURN w.state;
    END IF;
    DELETE FROM howdah.dead x WHERE x.job_id = delete.job_id;
    IF FOUND THEN
      PERFORM howdah.erase(ARRAY[delete.job_id]);
      RETURN 'dead';
    END IF;
    IF howdah.is_running(delete.job_id) THEN
      PERFORM howdah.not_waiting(delete.job_id, 'running', 'deleted');
    END IF;
    -- Of several who delete it one has deleted it.
    PERFORM FROM howdah.job j WHERE ((j.id >> 33) & 7) = ((delete.job_id >> 33) & 7) AND j.id = delete.job_id FOR UPDATE;
    PERFORM FROM howdah.job_kept k WHERE k.id = delete.job_id FOR UPDATE;
    v_state := howdah.state(delete.job_id);
    IF v_state IS NULL OR v_state IN ('completed', 'cancelled', 'expired') THEN
      PERFORM howdah.erase(ARRAY[delete.job_id]);
      RETURN v_state;
    END IF;
  END LOOP;
  PERFORM howdah.not_waiting(delete.job_id, 'running', 'deleted');
END $$;
-- howdah.drop_waiting(job_id, state, queue_id, priority) -> void
-- Deletes the row that howdah.single_out has given to a job. Internal. Writes: ticket or deferred.
CREATE OR REPLACE FUNCTION howdah.drop_waiting(job_id bigint, state text, queue_id integer, priority smallint) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
BEGIN
  IF drop_waiting.state = 'ready' THEN
    DELETE FROM howdah.ticket k
     WHERE k.queue_id = drop_waiting.queue_id AND k.priority = drop_waiting.priority AND k.first_id = drop_waiting.job_id;
  END IF;
  -- One that is ready may wait for its turn there.
  IF drop_waiting.state <> 'ready' OR NOT FOUND THEN
    DELETE FROM howdah.deferred d WHERE d.first_id = drop_waiting.job_id;
  END IF;
END $$;
-- howdah.erase(job_ids) -> void
-- Deletes what was written of jobs that are in no room any more: payload, history, wishes. What a receipt says of them
-- is numbers, and goes with the history. Internal. Writes: cancel_request, and see erase_jobs and ended.
CREATE OR REPLACE FUNCTION howdah.erase(job_ids bigint[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
BEGIN
  PERFORM howdah.ended(erase.job_ids, array_fill(1::smallint, ARRAY[cardinality(erase.job_ids)]), failed => true), howdah.erase_jobs(erase.job_ids);
  DELETE FROM howdah.cancel_request c WHERE c.job_id = ANY (erase.job_ids);
END $$;
-- howdah.find_for_update(ids) -> rows as in howdah.jobs
-- Those of these jobs that wait (ready or scheduled), locked until the caller's transaction ends: no worker claims them
-- and no timer makes them ready meanwhile, also when they become due. Then decide: howdah.delete, howdah.reschedule,
-- howdah.change, howdah.cancel, or nothing. Finds jobs that were enqueued in the same transaction too.
-- A row may stand for up to 128 jobs, and what is locked is the row: call howdah.isolate(ids) before, on another
-- connection, or the others in it wait as long as this one does.
-- Returns the jobs by id. One that is missing runs, has ended, or does not exist.
-- Writes: ticket or deferred, for a job that was not isolated. Locks: those rows, in the order of their ids; waits for
-- whoever has them: a claim for a moment.
-- Errors: HD002 more than 10,000 ids, HD012 the transaction is not READ COMMITTED.
CREATE OR REPLACE FUNCTION howdah.find_for_update(ids bigint[])
RETURNS TABLE (id bigint, queue text, kind text, state text, attempt smallint, max_attempts smallint, priority smallint,
  enqueued_at timestamptz, due_at timestamptz, worker_id bigint, claimed_at timestamptz, ended_at timestamptz, run_ms integer,
  reason text, payload jsonb, options jsonb)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_found bigint[];
BEGIN
  PERFORM howdah.must_read_committed(), howdah.check_most(1, 1, find_for_update.ids);
  SELECT array_agg(u.i) INTO v_found
    FROM (SELECT DISTINCT i FROM unnest(find_for_update.ids) i ORDER BY i) u, LATERAL howdah.single_out(u.i) s WHERE s.state IS NOT NULL;
  RETURN QUERY SELECT * FROM howdah.jobs_of(v_found);
END $$;
-- howdah.is_running(job_id) -> boolean
-- Whether a lease holds a job that was not completed in a transaction that we see. Internal. Reads: lease, settled.
CREATE OR REPLACE FUNCTION howdah.is_running(job_id bigint) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET jit = off AS $$
BEGIN
  RETURN EXISTS (
    SELECT FROM howdah.lease l, unnest(l.first_ids, l.counts) r(first_id, jobs)
     WHERE is_running.job_id >= r.first_id AND is_running.job_id < r.first_id + r.jobs
       AND NOT EXISTS (SELECT FROM howdah.settled s WHERE s.lease_id = l.id AND s.job_id = is_running.job_id));
END $$;
-- howdah.isolate(ids) -> integer
-- Gives each of these jobs that waits a row of its own, so that whoever locks it then (howdah.find_for_update) makes
-- no other job wait. Call it in a short transaction of its own, before the one that decides. Passes over rows that are
-- locked, and jobs that do not wait. Returns how many jobs have a row of their own now.
-- Writes: ticket, deferred. Locks: their rows, skipping what others have locked; never waits.
-- Errors: HD002 invalid argument, HD012 the transaction is not READ COMMITTED.
CREATE OR REPLACE FUNCTION howdah.isolate(ids bigint[]) RETURNS integer
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM howdah.must_read_committed(), howdah.check_most(1, 1, isolate.ids);
  RETURN (SELECT count(s.state) FROM (SELECT DISTINCT i FROM unnest(isolate.ids) i ORDER BY i) u, LATERAL howdah.single_out(u.i, true) s);
END $$;
-- howdah.lock_deferred(job_id, skip) -> deferred
-- Locks the deferred row that holds a job and returns it; NULLs if there is none. skip: not if somebody else has locked
-- it. Internal. Locks: that row.
CREATE OR REPLACE FUNCTION howdah.lock_deferred(job_id bigint, skip boolean) RETURNS howdah.deferred
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_block bigint := lock_deferred.job_id >> 7 << 7;
  d       howdah.deferred;
BEGIN
  IF lock_deferred.skip THEN
    SELECT k.* INTO d FROM howdah.deferred k WHERE k.first_id BETWEEN v_block AND lock_deferred.job_id
       AND lock_deferred.job_id < k.first_id + k.jobs FOR UPDATE SKIP LOCKED;
  ELSE
    SELECT k.* INTO d FROM howdah.deferred k WHERE k.first_id BETWEEN v_block AND lock_deferred.job_id
       AND lock_deferred.job_id < k.first_id + k.jobs FOR UPDATE;
  END IF;
  RETURN d;
END $$;
-- howdah.lock_ticket(job_id, skip) -> ticket
-- Locks the ticket that holds a job and returns it; NULLs if there is none. skip: not if somebody else has locked it.
-- Internal. Locks: that row.
CREATE OR REPLACE FUNCTION howdah.lock_ticket(job_id bigint, skip boolean) RETURNS howdah.ticket
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_block bigint := lock_ticket.job_id >> 7 << 7;
  t       howdah.ticket;
BEGIN
  IF lock_ticket.skip THEN
    SELECT k.* INTO t FROM howdah.find_job(lock_ticket.job_id) j, howdah.ticket k
     WHERE k.queue_id = j.queue_id AND k.priority = j.priority AND k.first_id BETWEEN v_block AND lock_ticket.job_id
       AND lock_ticket.job_id < k.first_id + k.jobs FOR UPDATE OF k SKIP LOCKED;
  ELSE
    SELECT k.* INTO t FROM howdah.find_job(lock_ticket.job_id) j, howdah.ticket k
     WHERE k.queue_id = j.queue_id AND k.priority = j.priority AND k.first_id BETWEEN v_block AND lock_ticket.job_id
       AND lock_ticket.job_id < k.first_id + k.jobs FOR UPDATE OF k;
  END IF;
  RETURN t;
END $$;
-- howdah.not_waiting(job_id, state, what) -> never returns
-- Says that something cannot be done to a job in this state. Internal. Errors: HD007.
CREATE OR REPLACE FUNCTION howdah.not_waiting(job_id bigint, state text, what text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RAISE EXCEPTION 'job % is % and cannot be %', not_waiting.job_id, not_waiting.state, not_waiting.what
    USING ERRCODE = 'HD007', COLUMN = 'job_id',
      HINT = CASE not_waiting.state WHEN 'running' THEN 'Cancel it: SELECT howdah.cancel(id)' WHEN 'dead' THEN 'Run it again: SELECT howdah.retry(id)'
             ELSE 'It has ended.' END;
END $$;
-- howdah.reschedule(job_id, run_at, delay) -> text
-- Sets when a job that waits is due, in the caller's transaction; exactly one of run_at and delay. Attempts that were
-- made stay counted. Returns the state that it is in then, 'scheduled', or 'ready' if that time is past, or 'blocked' if
-- it waits for other jobs first; NULL: there is no such job.
-- Writes: ticket, deferred. Locks: its row, and waits for whoever has it; if it stands for other jobs too, they wait for
-- this commit: see howdah.isolate.
-- Errors: HD002 invalid argument; HD007 the job does not wait; HD012 the transaction is not READ COMMITTED.
CREATE OR REPLACE FUNCTION howdah.reschedule(job_id bigint, run_at timestamptz DEFAULT NULL, delay interval DEFAULT NULL) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  v_now   timestamptz := howdah.now();
  v_due   timestamptz := coalesce(reschedule.run_at, v_now + reschedule.delay);
  w       record;
  v_state text;
BEGIN
  PERFORM howdah.must_read_committed(), howdah.check_job('any', 0, reschedule.run_at, reschedule.delay, NULL, NULL);
  IF v_due IS NULL THEN
    RAISE EXCEPTION 'give run_at or delay' USING ERRCODE = 'HD002', COLUMN = 'run_at';
  END IF;
  -- An attempt may fail while we look, and its job wait: each round sees the newest.
  FOR round IN 1..5 LOOP
    w := howdah.single_out(reschedule.job_id);
    EXIT WHEN w.state IS NOT NULL;
    v_state := howdah.state(reschedule.job_id);
    IF v_state IS NULL THEN
      RETURN NULL;
    END IF;
    IF round = 5 OR v_state NOT IN ('ready', 'scheduled', 'blocked') THEN
      PERFORM howdah.not_waiting(reschedule.job_id, v_state, 'rescheduled');
    END IF;
  END LOOP;
  IF w.gate = 'dependencies' THEN
    PERFORM howdah.set_due(reschedule.job_id, v_due);
    RETURN 'blocked';
  END IF;
  PERFORM howdah.drop_waiting(reschedule.job_id, w.state, w.queue_id, w.priority);
  IF v_due > v_now THEN
    PERFORM howdah.defer(v_due, reschedule.job_id, 1, w.queue_id, w.kind, w.priority, w.attempt, w.gates);
    RETURN 'scheduled';
  END IF;
  PERFORM howdah.put_back(ARRAY[reschedule.job_id], ARRAY[w.attempt]);
  RETURN 'ready';
END $$;
-- howdah.rewrite_job(job) -> void
-- Writes what was asked for anew, wherever it is kept: the one exception from a job being written once. The caller has
-- taken the job out of the room where it waits, or holds its row there. Internal to change, replace_job and start_over.
-- Writes: job, job_kept. Locks: its row. Partitions of jobs do not turn until the commit.
CREATE OR REPLACE FUNCTION howdah.rewrite_job(job howdah.job) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
DECLARE
  n howdah.job := rewrite_job.job;
BEGIN
  -- While this is held, nobody copies the job as it was to where the long-lived ones are kept.
  PERFORM FROM howdah.ring r WHERE r.name = 'job' FOR SHARE;
  UPDATE howdah.job j SET queue_id = n.queue_id, priority = n.priority, max_attempts = n.max_attempts, payload = n.payload, options = n.options
   WHERE ((j.id >> 33) & 7) = ((n.id >> 33) & 7) AND j.id = n.id;
  UPDATE howdah.job_kept j SET queue_id = n.queue_id, priority = n.priority, max_attempts = n.max_attempts, payload = n.payload, options = n.options
   WHERE j.id = n.id;
END $$;
-- howdah.single_out(job_id, skip) -> (state, due_at, queue_id, priority, kind, attempt, gates, gate)
-- Finds the row of a job that waits and locks it; if the row stands for other jobs too, gives the job one of its own
-- (and the others theirs, which nobody sees before the commit). skip: passes over a row that somebody has locked.
-- state: ready, scheduled or blocked; NULL: the job does not wait (or, with skip, is locked). Internal.
-- Writes: ticket or deferred, only if the row is split. Locks: the row, and waits for whoever has it unless told to skip.
CREATE OR REPLACE FUNCTION howdah.single_out(job_id bigint, skip boolean DEFAULT false, OUT state text, OUT due_at timestamptz,
  OUT queue_id integer, OUT priority smallint, OUT kind text, OUT attempt smallint, OUT gates text[], OUT gate text)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  t howdah.ticket;
  d howdah.deferred;
BEGIN
  -- While we wait for a lock the row may be split, or the job go to another room: each round sees the newest.
  FOR round IN 1..3 LOOP
    t := howdah.lock_ticket(single_out.job_id, single_out.skip);
    IF t.first_id IS NOT NULL THEN
      PERFORM howdah.split_ticket(t, single_out.job_id);
      SELECT 'ready', t.queue_id, t.priority, t.kind, t.attempt, t.gates INTO state, queue_id, priority, kind, attempt, gates;
      RETURN;
    END IF;
    d := howdah.lock_deferred(single_out.job_id, single_out.skip);
    IF d.first_id IS NOT NULL THEN
      PERFORM howdah.split_deferred(d, single_out.job_id);
      SELECT howdah.waits_as(d.gate), d.due_at, d.queue_id, d.priority, d.kind, d.attempt, d.gates, d.gate
        INTO state, due_at, queue_id, priority, kind, attempt, gates, gate;
      RETURN;
    END IF;
  END LOOP;
END $$;
-- howdah.split_deferred(run, job_id) -> void
-- Gives one job of a deferred row that the caller has locked a row of its own, and what is before and behind it theirs.
-- Internal. Writes: deferred, unless the job is alone.
CREATE OR REPLACE FUNCTION howdah.split_deferred(run howdah.deferred, job_id bigint) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  d howdah.deferred := split_deferred.run;
BEGIN
  IF d.jobs = 1 THEN
    RETURN;
  END IF;
  DELETE FROM howdah.deferred k WHERE k.first_id = d.first_id;
  INSERT INTO howdah.deferred (due_at, first_id, queue_id, priority, jobs, attempt, kind, gates, gate)
  SELECT d.due_at, p.first_id, d.queue_id, d.priority, p.jobs, d.attempt, d.kind, d.gates, d.gate
    FROM (VALUES (d.first_id, split_deferred.job_id - d.first_id), (split_deferred.job_id, 1),
                 (split_deferred.job_id + 1, d.first_id + d.jobs - 1 - split_deferred.job_id)) p(first_id, jobs)
   WHERE p.jobs > 0;
END $$;
-- howdah.split_ticket(ticket, job_id) -> void
-- Gives one job of a ticket that the caller has locked a ticket of its own, and what is before and behind it theirs.
-- Internal. Writes: ticket, unless the job is alone.
CREATE OR REPLACE FUNCTION howdah.split_ticket(ticket howdah.ticket, job_id bigint) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  t howdah.ticket := split_ticket.ticket;
BEGIN
  IF t.jobs = 1 THEN
    RETURN;
  END IF;
  DELETE FROM howdah.ticket k WHERE k.slot = t.slot AND k.queue_id = t.queue_id AND k.priority = t.priority AND k.first_id = t.first_id;
  INSERT INTO howdah.ticket (first_id, queue_id, slot, priority, jobs, attempt, kind, gates, ready_at)
  SELECT p.first_id, t.queue_id, r.slot, t.priority, p.jobs, t.attempt, t.kind, t.gates, t.ready_at
    FROM (VALUES (t.first_id, split_ticket.job_id - t.first_id), (split_ticket.job_id, 1),
                 (split_ticket.job_id + 1, t.first_id + t.jobs - 1 - split_ticket.job_id)) p(first_id, jobs), howdah.ring r
   WHERE p.jobs > 0 AND r.name = 'returned';
END $$;
-- howdah.add_dependency(job_id, parent_id) -> text
-- Makes a job that waits (ready, scheduled, blocked) wait for another one too, in the caller's transaction.
-- What becomes of it if that one fails is as its option on_parent_failure says, see howdah.check_options.
-- Returns the state that it is in then: blocked; or, if the parent has ended, what follows from that.
-- Writes: ticket or deferred, job, dependency. Locks: the job's row, and waits for whoever has it; an advisory lock until
-- the transaction ends, so that two of these do not make a circle together.
-- Errors: HD002 invalid argument: an unknown job, or a circle, which is named; HD007 the job does not wait; HD012 the
-- transaction is not READ COMMITTED.
-- Cost: looks at all that the parent waits for, as far as that is 100,000 jobs.
CREATE OR REPLACE FUNCTION howdah.add_dependency(job_id bigint, parent_id bigint) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  w record;
  j howdah.job;
BEGIN
  PERFORM howdah.must_read_committed();
  PERFORM pg_advisory_xact_lock('howdah.dependency'::regclass::oid::bigint << 32);
  PERFORM howdah.refuse_circle(add_dependency.job_id, ARRAY[add_dependency.parent_id]);
  w := howdah.single_out(add_dependency.job_id);
  IF w.state IS NULL THEN
    IF howdah.state(add_dependency.job_id) IS NULL THEN
      PERFORM howdah.option_refused('job_id', format('%s: there is no such job', add_dependency.job_id));
    END IF;
    PERFORM howdah.not_waiting(add_dependency.job_id, howdah.state(add_dependency.job_id), 'made to wait');
  END IF;
  SELECT * INTO j FROM howdah.find_job(add_dependency.job_id);
  j.options := coalesce(j.options, '{}') || jsonb_build_object('depends_on', coalesce(j.options -> 'depends_on', '[]') || to_jsonb(add_dependency.parent_id));
  -- One that was set aside until a signal comes, or a time, is due when that has come, and not when its row says.
  IF w.state = 'scheduled' AND NOT EXISTS (SELECT FROM howdah.step s WHERE s.job_id = j.id AND s.state = 'waiting' AND s.wakes_at = w.due_at) THEN
    j.options := j.options || jsonb_build_object('due_at', w.due_at);
  END IF;
  PERFORM howdah.rewrite_job(j);
  IF w.gate IS DISTINCT FROM 'dependencies' THEN
    PERFORM howdah.drop_waiting(add_dependency.job_id, w.state, w.queue_id, w.priority);
    PERFORM howdah.defer('infinity', add_dependency.job_id, 1, w.queue_id, w.kind, w.priority, w.attempt, w.gates, 'dependencies');
  END IF;
  IF j.options ? 'order_key' THEN
    -- Others of its order might be what it waits for: see join_orders.
    PERFORM howdah.let_pass(j.id);
  END IF;
  PERFORM howdah.wait_for_parents(ARRAY[add_dependency.job_id], ARRAY[add_dependency.parent_id], coalesce(j.options ->> 'on_parent_failure', 'cancel'));
  RETURN howdah.state(add_dependency.job_id);
END $$;
-- howdah.cancel_dependents(first_ids, counts) -> void
-- Cancels the jobs that are to be cancelled when one of these runs of jobs fails, and what is to be cancelled because
-- of them, and so on: all at once, however long the chain is. A job whose row somebody has locked is left to the keeper, with
-- what is below it. Internal to parents_ended.
-- Writes: deferred, dependency, receipt (one for up to 500 runs), and see howdah.ended. Locks: rows of deferred, skipping what
-- others have. Errors: none.
CREATE OR REPLACE FUNCTION howdah.cancel_dependents(first_ids bigint[], counts smallint[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_locked bigint[] := '{}';
  v_below  bigint[];
  v_held   bigint[];
  g        record;
BEGIN
  -- What is locked cuts off what is below it. The second round finds less than the first, and has it locked.
  FOR round IN 1..2 LOOP
    WITH RECURSIVE below(id) AS (
      SELECT d.job_id FROM unnest(cancel_dependents.first_ids, cancel_dependents.counts) r(first_id, jobs), LATERAL (
        SELECT x.job_id FROM howdah.dependency x
         WHERE x.parent_id >= r.first_id AND x.parent_id < r.first_id + r.jobs AND x.on_failure = 'cancel') d
       WHERE d.job_id NOT IN (SELECT l FROM unnest(v_locked) l)
      UNION
      SELECT d.job_id FROM below b, LATERAL (
        SELECT x.job_id FROM howdah.dependency x WHERE x.parent_id = b.id AND x.on_failure = 'cancel') d
       WHERE d.job_id NOT IN (SELECT l FROM unnest(v_locked) l))
    SELECT array_agg(b.id) INTO v_below FROM below b;
    EXIT WHEN v_below IS NULL OR round = 2;
    v_held := ARRAY(SELECT d.first_id FROM howdah.deferred d WHERE d.first_id = ANY (v_below) AND d.gate = 'dependencies'
                       FOR UPDATE SKIP LOCKED);
    v_locked := ARRAY(SELECT u FROM unnest(v_below) u WHERE u NOT IN (SELECT h FROM unnest(v_held) h));
    EXIT WHEN v_locked = '{}';
  END LOOP;
  IF v_below IS NULL THEN
    RETURN;
  END IF;
  DELETE FROM howdah.dependency d WHERE d.ctid = ANY (ARRAY(
    SELECT x.ctid FROM howdah.dependency x WHERE x.job_id = ANY (v_below) FOR UPDATE SKIP LOCKED));
  WITH gone AS (
    DELETE FROM howdah.deferred d WHERE d.first_id = ANY (v_below) RETURNING d.queue_id, d.first_id, d.jobs, d.attempt)
  SELECT array_agg(o.queue_id) AS queues, array_agg(o.first_id) AS firsts, array_agg(o.jobs) AS counts, array_agg(o.attempt) AS attempts
    INTO g FROM gone o;
  -- It calls howdah.ended, which comes back here once, and finds nothing more to cancel.
  PERFORM howdah.end_runs(2, g.queues, g.firsts, g.counts, g.attempts);
END $$;
-- howdah.check_dependencies(field, value) -> void
-- Refuses a depends_on or on_parent_failure that makes no sense. Internal to check_options.
-- Errors: HD002 (invalid argument), naming the option in COLUMN.
CREATE OR REPLACE FUNCTION howdah.check_dependencies(field text, value jsonb) RETURNS void
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_bad jsonb;
BEGIN
  IF check_dependencies.field = 'on_parent_failure' THEN
    IF check_dependencies.value NOT IN ('"cancel"', '"run"', '"hold"') THEN
      PERFORM howdah.option_refused(check_dependencies.field, 'must be cancel, run or hold, not ' || left(check_dependencies.value::text, 100));
    END IF;
    RETURN;
  END IF;
  IF jsonb_typeof(check_dependencies.value) <> 'array' THEN
    PERFORM howdah.option_refused(check_dependencies.field, 'must be an array of ids of jobs, or of workflows such as {"workflow": 5}, not ' || jsonb_typeof(check_dependencies.value));
  END IF;
  IF jsonb_array_length(check_dependencies.value) NOT BETWEEN 1 AND 10000 THEN
    PERFORM howdah.option_refused(check_dependencies.field, 'must name 1 to 10000 jobs, not ' || jsonb_array_length(check_dependencies.value));
  END IF;
  SELECT e INTO v_bad FROM jsonb_array_elements(check_dependencies.value) e
   WHERE jsonb_typeof(e) <> 'number' AND NOT howdah.is_workflow(e) LIMIT 1;
  IF NOT FOUND THEN
    SELECT e INTO v_bad FROM jsonb_array_elements(check_dependencies.value) e
     WHERE CASE WHEN jsonb_typeof(e) = 'number' THEN (e #>> '{}')::numeric NOT BETWEEN 128 AND 9007199254740991 OR scale((e #>> '{}')::numeric) > 0 END LIMIT 1;
  END IF;
  IF v_bad IS NOT NULL THEN
    PERFORM howdah.option_refused(check_dependencies.field, 'must hold ids of jobs, or {"workflow": id}, and not ' || left(v_bad::text, 100));
  END IF;
END $$;
-- howdah.enqueue_blocked(job_ids, queue_id, kind, priority, gates, options) -> void
-- Puts new jobs into the room of what is blocked, until the jobs that their options name have ended. Internal to enqueue_many.
-- Writes: deferred, dependency, second_look. Locks: none that others need.
-- Errors: HD002 (invalid argument) with COLUMN depends_on: a job is unknown; or these are more than a million dependencies.
CREATE OR REPLACE FUNCTION howdah.enqueue_blocked(job_ids bigint[], queue_id integer, kind text, priority integer, gates text[], options jsonb)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  v_parents bigint[] := ARRAY(SELECT DISTINCT p::bigint FROM jsonb_array_elements_text(enqueue_blocked.options -> 'depends_on') p);
BEGIN
  IF cardinality(v_parents)::bigint * cardinality(enqueue_blocked.job_ids) > 1000000 THEN
    PERFORM howdah.option_refused('depends_on', format('names %s jobs for each of %s, and one call takes a million dependencies',
      cardinality(v_parents), cardinality(enqueue_blocked.job_ids)));
  END IF;
  -- A row for each: they may go on one by one.
  INSERT INTO howdah.deferred (due_at, first_id, queue_id, priority, jobs, attempt, kind, gates, gate)
  SELECT 'infinity', u.id, enqueue_blocked.queue_id, enqueue_blocked.priority, 1, 0, enqueue_blocked.kind, enqueue_blocked.gates, 'dependencies'
    FROM unnest(enqueue_blocked.job_ids) u(id);
  PERFORM howdah.wait_for_parents(enqueue_blocked.job_ids, v_parents, coalesce(enqueue_blocked.options ->> 'on_parent_failure', 'cancel'));
END $$;
-- howdah.family(job_id, most) -> (relation, id, name, kind, state)
-- What a job belongs to:
--   workflow  the workflow that it is in: its id and name
--   parent    what it was asked to wait for, and in which state that is; NULL: it ended longer ago than history is kept
--   child     what still waits for it
--   most      how many parents, and how many children, 1 to 10,000
-- Reads: workflow_job, job, dependency, and see states_of. Locks: none. Errors: HD002 invalid argument.
CREATE OR REPLACE FUNCTION howdah.family(job_id bigint, most integer DEFAULT 100)
RETURNS TABLE (relation text, id bigint, name text, kind text, state text)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_parents  bigint[];
  v_children bigint[];
BEGIN
  PERFORM howdah.check_most(family.most, 10000, NULL);
  RETURN QUERY
    SELECT 'workflow', w.id, w.name::text, NULL::text, NULL::text
      FROM howdah.workflow_job k JOIN howdah.workflow w ON w.id = k.workflow_id WHERE k.job_id = family.job_id;
  v_parents := ARRAY(SELECT p.id::bigint FROM howdah.find_job(family.job_id) j
    CROSS JOIN LATERAL jsonb_array_elements_text(j.options -> 'depends_on') WITH ORDINALITY p(id, n) ORDER BY p.n LIMIT family.most);
  v_children := ARRAY(SELECT d.job_id FROM howdah.dependency d WHERE d.parent_id = family.job_id ORDER BY d.job_id LIMIT family.most);
  RETURN QUERY
    SELECT u.relation, u.id, NULL::text, j.kind::text, s.state
      FROM (SELECT 'parent' AS relation, p AS id, n FROM unnest(v_parents) WITH ORDINALITY x(p, n)
            UNION ALL SELECT 'child', c, n FROM unnest(v_children) WITH ORDINALITY x(c, n)) u
      LEFT JOIN howdah.find_jobs(v_parents || v_children) j ON j.id = u.id
      LEFT JOIN howdah.states_of(v_parents || v_children) s ON s.job_id = u.id
     ORDER BY u.relation DESC, u.n;
END $$;
-- howdah.go_on_after(first_ids, counts, failed) -> void
-- What must be done for the jobs that depend on jobs that have ended: see parents_ended. failed NULL: it is looked up, for
-- each of them, what became of it. Internal to howdah.ended. Writes: see parents_ended and look_later. Errors: none.
CREATE OR REPLACE FUNCTION howdah.go_on_after(first_ids bigint[], counts smallint[], failed boolean) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
  IF go_on_after.failed IS NOT NULL THEN
    PERFORM howdah.look_later(howdah.parents_ended(go_on_after.first_ids, go_on_after.counts, go_on_after.failed));
    RETURN;
  END IF;
  PERFORM howdah.look_later(howdah.parents_ended(e.ids, array_fill(1::smallint, ARRAY[cardinality(e.ids)]), e.failed))
     FROM (SELECT array_agg(s.job_id) AS ids, s.state <> 'completed' AS failed
             FROM howdah.states_of(ARRAY(SELECT r.first_id + g FROM unnest(go_on_after.first_ids, go_on_after.counts) r(first_id, jobs),
                                                generate_series(0, r.jobs - 1) g)) s
            WHERE s.ended_at IS NOT NULL GROUP BY 2) e;
END $$;
-- howdah.holds_others(job_id) -> boolean
-- Whether jobs are held until this one completes (on_parent_failure 'hold'). Internal. Reads: dependency. Cost: one index probe.
CREATE OR REPLACE FUNCTION howdah.holds_others(job_id bigint) RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
BEGIN
  RETURN EXISTS (SELECT FROM howdah.dependency d WHERE d.parent_id = holds_others.job_id AND d.on_failure = 'hold');
END $$;
-- howdah.is_workflow(parent) -> boolean
-- Whether an element of depends_on stands for a workflow: {"workflow": id} and no more. Internal. Errors: none.
CREATE OR REPLACE FUNCTION howdah.is_workflow(parent jsonb) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_id jsonb := is_workflow.parent -> 'workflow';
BEGIN
  IF jsonb_typeof(v_id) IS DISTINCT FROM 'number' OR is_workflow.parent - 'workflow' <> '{}' THEN
    RETURN false;
  END IF;
  RETURN (v_id #>> '{}')::numeric BETWEEN 1 AND 9007199254740991 AND scale((v_id #>> '{}')::numeric) = 0;
END $$;
-- howdah.let_go(job_ids, near) -> bigint[]
-- Makes those of these blocked jobs ready that have nothing left to wait for; one that is due later is scheduled; and one that is
-- the end of a workflow ends, if nothing of that has failed: else the keeper ends it, see end_failed.
--   near  a parent that has just ended: its neighbours are asked first, or a job with a thousand parents would have each of
--         them walk over the dead rows of those before
-- Returns those of which that cannot be known now: other parents of theirs are ending in transactions that are not over, or
-- somebody has their row locked. Internal.
-- Two who end the last two parents of a job at the same moment each see the other's row of howdah.dependency. But xmax says
-- that it is being deleted, and one of them looks after the other has written it. No lock is taken to find that out, so an
-- open transaction holds up nobody. After a rollback xmax stays, which costs looks of the keeper and nothing else.
-- Writes: deferred, ticket, and see end_workflows. Locks: rows of deferred, skipping what others have. Errors: none.
CREATE OR REPLACE FUNCTION howdah.let_go(job_ids bigint[], near bigint DEFAULT 0) RETURNS bigint[]
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_now      timestamptz := howdah.now();
  v_unsure   bigint[];
  v_free     bigint[];
  v_locked   bigint[];
  v_ids      bigint[];
  v_ends     bigint[];
  v_later    bigint[];
  v_due      timestamptz[];
  v_made     smallint[];
  v_attempts smallint[];
BEGIN
  SELECT array_agg(c.id) FILTER (WHERE c.waits), array_agg(c.id) FILTER (WHERE NOT c.waits) INTO v_unsure, v_free FROM (
    SELECT u.id, EXISTS (SELECT FROM howdah.dependency d WHERE d.job_id = u.id) AS waits FROM unnest(let_go.job_ids) u(id)
     WHERE NOT EXISTS (SELECT FROM howdah.dependency d WHERE d.job_id = u.id AND d.parent_id > let_go.near AND d.xmax = 0)
       AND NOT EXISTS (SELECT FROM howdah.dependency d WHERE d.job_id = u.id AND d.parent_id < let_go.near AND d.xmax = 0)) c;
  IF v_free IS NOT NULL THEN
    v_locked := ARRAY(SELECT k.first_id FROM howdah.deferred k WHERE k.first_id = ANY (v_free) AND k.gate = 'dependencies'
                         AND NOT EXISTS (SELECT FROM howdah.failed_parent p WHERE p.job_id = k.first_id) FOR UPDATE SKIP LOCKED);
    -- Whoever had them before may have given them more to wait for: a statement that begins now sees it.
    WITH gone AS (
      DELETE FROM howdah.deferred d WHERE d.first_id = ANY (v_locked) AND NOT EXISTS (SELECT FROM howdah.dependency x WHERE x.job_id = d.first_id)
      RETURNING d.first_id, d.attempt),
    due AS (
      SELECT g.first_id, g.attempt, coalesce((j.options ->> 'due_at')::timestamptz, '-infinity') AS at, coalesce(j.options ? 'ends_workflow', false) AS ends
        FROM gone g, LATERAL howdah.find_job(g.first_id) j)
    SELECT array_agg(u.first_id ORDER BY u.first_id) FILTER (WHERE u.at <= v_now AND NOT u.ends),
           array_agg(u.attempt ORDER BY u.first_id) FILTER (WHERE u.at <= v_now AND NOT u.ends),
           array_agg(u.first_id) FILTER (WHERE u.ends),
           array_agg(u.first_id) FILTER (WHERE u.at > v_now AND NOT u.ends), array_agg(u.at) FILTER (WHERE u.at > v_now AND NOT u.ends),
           array_agg(u.attempt) FILTER (WHERE u.at > v_now AND NOT u.ends)
      INTO v_ids, v_attempts, v_ends, v_later, v_due, v_made FROM due u;
    PERFORM howdah.defer(u.at, j.id, 1, j.queue_id, j.kind, j.priority, u.attempt, howdah.gates_of(j.options))
       FROM unnest(v_later, v_due, v_made) u(id, at, attempt), LATERAL howdah.find_job(u.id) j;
    PERFORM howdah.put_back(v_ids, v_attempts);
    IF v_ends IS NOT NULL THEN
      PERFORM howdah.end_workflows(v_ends);
    END IF;
    v_unsure := v_unsure || ARRAY(SELECT k.first_id FROM howdah.deferred k WHERE k.first_id = ANY (v_free) AND k.gate = 'dependencies');
  END IF;
  RETURN coalesce(v_unsure, '{}');
END $$;
-- howdah.look_again(most, since) -> bigint
-- The keeper's look at blocked jobs to whose parents something happened that not everybody could see: tells them of parents
-- that have ended, and lets go of those that have nothing left to wait for. At most `most` notes at a time; since: as in
-- howdah.promote, those that were due before are not looked at.
-- A job that is not sure yet is looked at again after as long as it has waited for that so far, 25 ms to 10 s.
-- Returns the milliseconds until the next look; NULL: there is nothing to look at, which costs one probe of an empty index.
-- Writes: second_look, and see parents_ended and let_go. Locks: rows of second_look, skipping what others have. Errors: none.
CREATE OR REPLACE FUNCTION howdah.look_again(most integer DEFAULT 1000, since timestamptz DEFAULT '-infinity') RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_now    timestamptz := howdah.now();
  v_xmin   xid8;
  v_jobs   bigint[];
  v_since  timestamptz[];
  v_looks  integer[];
  v_until  xid8[];
  v_unsure bigint[];
BEGIN
  IF EXISTS (SELECT FROM howdah.second_look s WHERE s.look_at >= look_again.since AND s.look_at <= v_now) THEN
    WITH gone AS (
      DELETE FROM howdah.second_look s WHERE s.ctid = ANY (ARRAY(
        SELECT k.ctid FROM howdah.second_look k WHERE k.look_at >= look_again.since AND k.look_at <= v_now
         ORDER BY k.look_at LIMIT look_again.most FOR UPDATE SKIP LOCKED))
      RETURNING s.*),
    -- Of several notes about a job, that which has the most to wait for.
    one AS (SELECT g.job_id, min(g.since) AS since, min(g.looks) AS looks,
                   CASE WHEN bool_and(g.until IS NOT NULL) THEN max(g.until::text::numeric)::text::xid8 END AS until
              FROM gone g GROUP BY g.job_id)
    SELECT array_agg(o.job_id), array_agg(o.since), array_agg(o.looks),
           -- Not at the first look: this transaction may be older than the one that left the note.
           array_agg(coalesce(o.until, CASE WHEN o.looks > 0 THEN pg_current_xact_id() END))
      INTO v_jobs, v_since, v_looks, v_until FROM one o;
    -- Before the look: whoever was over by now is seen by it.
    v_xmin := pg_snapshot_xmin(pg_current_snapshot());
    v_unsure := howdah.look_at_parents(v_jobs);
    INSERT INTO howdah.second_look (job_id, since, look_at, looks, until)
    SELECT u.job_id, u.since, v_now + greatest(interval '25 ms', least(v_now - u.since, interval '10 seconds')), u.looks + 1, u.until
      FROM unnest(v_jobs, v_since, v_looks, v_until) u(job_id, since, looks, until)
     WHERE (u.until IS NULL OR u.until > v_xmin OR u.job_id = ANY (v_unsure))
       AND EXISTS (SELECT FROM howdah.dependency d WHERE d.job_id = u.job_id
                   UNION ALL SELECT FROM howdah.deferred k WHERE k.first_id = u.job_id AND k.gate = 'dependencies');
  END IF;
  RETURN (SELECT greatest(1, ceil(extract(epoch FROM s.look_at - v_now) * 1000))
            FROM howdah.second_look s WHERE s.look_at >= look_again.since ORDER BY s.look_at LIMIT 1);
END $$;
-- howdah.look_at_parents(job_ids) -> bigint[]
-- Tells blocked jobs of those parents that have ended, and lets go of the jobs that have nothing left to wait for; what is
-- not blocked any more waits for nothing. A parent of which nothing is left, neither job nor history, counts as failed.
-- Returns those of which not everything can be known now. Internal to look_again.
-- Writes: dependency, and see parents_ended, let_go and end_failed. Errors: none. Cost: see states_of, of all the parents.
CREATE OR REPLACE FUNCTION howdah.look_at_parents(job_ids bigint[]) RETURNS bigint[]
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_parents bigint[];
  v_done    bigint[];
  v_failed  bigint[];
  v_unsure  bigint[] := '{}';
BEGIN
  DELETE FROM howdah.dependency d WHERE d.ctid = ANY (ARRAY(
    SELECT x.ctid FROM howdah.dependency x WHERE x.job_id = ANY (look_at_parents.job_ids)
       AND NOT EXISTS (SELECT FROM howdah.deferred k WHERE k.first_id = x.job_id AND k.gate = 'dependencies') FOR UPDATE SKIP LOCKED));
  v_parents := ARRAY(SELECT DISTINCT d.parent_id FROM howdah.dependency d WHERE d.job_id = ANY (look_at_parents.job_ids));
  SELECT array_agg(p.id) FILTER (WHERE s.state = 'completed'),
         array_agg(p.id) FILTER (WHERE s.state IN ('cancelled', 'expired', 'dead') OR (s.state IS NULL AND NOT EXISTS (SELECT FROM howdah.find_job(p.id))))
    INTO v_done, v_failed FROM unnest(v_parents) p(id) LEFT JOIN howdah.states_of(v_parents) s ON s.job_id = p.id;
  IF v_done IS NOT NULL THEN
    v_unsure := v_unsure || howdah.parents_ended(v_done, array_fill(1::smallint, ARRAY[cardinality(v_done)]), false);
  END IF;
  IF v_failed IS NOT NULL THEN
    v_unsure := v_unsure || howdah.parents_ended(v_failed, array_fill(1::smallint, ARRAY[cardinality(v_failed)]), true);
  END IF;
  v_unsure := v_unsure || howdah.let_go(look_at_parents.job_ids);
  PERFORM howdah.end_failed(look_at_parents.job_ids);
  RETURN v_unsure;
END $$;
-- howdah.look_later(job_ids) -> void
-- Has the keeper look at blocked jobs soon after the commit: something happens to one of their parents in a transaction
-- that cannot see what another does. Notifies it unless it is awake anyway. Internal.
-- Writes: second_look. Locks: none that others need. Errors: none.
CREATE OR REPLACE FUNCTION howdah.look_later(job_ids bigint[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
  INSERT INTO howdah.second_look (job_id, since, look_at)
  SELECT DISTINCT u.id, n.now, n.now FROM unnest(look_later.job_ids) u(id), howdah.now() n(now) WHERE u.id IS NOT NULL;
  IF FOUND THEN
    PERFORM pg_notify('howdah.due', '') FROM howdah.keeper k WHERE k.wakes_at > howdah.now();
  END IF;
END $$;
-- howdah.meet_parents(job_ids, parent_ids) -> void
-- Deals with those of these parents that have ended before the jobs began to wait for them: what has nothing else to wait for
-- is let go at once, or cancelled, as was asked for. Internal; the rows of howdah.dependency are written.
-- Who ends a parent at this moment does not see those rows, and is not seen here: then it is the keeper who lets go.
-- Writes: second_look, and see parents_ended. Locks: none that others need.
-- Errors: HD002 (invalid argument) with COLUMN depends_on: a parent is unknown, or is one of the jobs.
CREATE OR REPLACE FUNCTION howdah.meet_parents(job_ids bigint[], parent_ids bigint[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_unknown bigint;
  v_done    bigint[];
  v_failed  bigint[];
  v_live    boolean;
BEGIN
  SELECT array_agg(s.job_id) FILTER (WHERE s.state = 'completed'),
         array_agg(s.job_id) FILTER (WHERE s.state IN ('cancelled', 'expired', 'dead')),
         bool_or(s.state IN ('scheduled', 'blocked', 'ready', 'running')), min(u.id) FILTER (WHERE s.state IS NULL)
    INTO v_done, v_failed, v_live, v_unknown
    FROM unnest(meet_parents.parent_ids) u(id) LEFT JOIN howdah.states_of(meet_parents.parent_ids) s ON s.job_id = u.id;
  IF v_unknown IS NOT NULL THEN
    RAISE EXCEPTION 'depends_on names the job %, and there is no such job, or it ended longer ago than history is kept', v_unknown
      USING ERRCODE = 'HD002', COLUMN = 'depends_on', HINT = 'If what it stood for is done for good, leave that id out.';
  END IF;
  IF v_done IS NOT NULL THEN
    PERFORM howdah.look_later(howdah.parents_ended(v_done, array_fill(1::smallint, ARRAY[cardinality(v_done)]), false));
  END IF;
  IF v_failed IS NOT NULL THEN
    PERFORM howdah.look_later(howdah.parents_ended(v_failed, array_fill(1::smallint, ARRAY[cardinality(v_failed)]), true));
  END IF;
  IF v_live THEN
    PERFORM howdah.look_later(meet_parents.job_ids);
  ELSIF v_failed IS NOT NULL THEN
    -- One that is held by what has failed: that may be sent again, and end, before anybody sees who waits for it.
    PERFORM howdah.look_later(ARRAY(
      SELECT DISTINCT d.job_id FROM howdah.dependency d WHERE d.job_id = ANY (meet_parents.job_ids) AND d.parent_id = ANY (v_failed)));
  END IF;
END $$;
-- howdah.open_parents(job_id) -> (parent_id, state, held)
-- What a blocked job still waits for, and in which state that is; held: it has failed, and holds the job until it is made good
-- or howdah.unhold is called. state NULL: nothing is left of it. Internal to why and unhold. Locks: none. Cost: see states_of.
CREATE OR REPLACE FUNCTION howdah.open_parents(job_id bigint) RETURNS TABLE (parent_id bigint, state text, held boolean)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_parents bigint[] := ARRAY(SELECT d.parent_id FROM howdah.dependency d WHERE d.job_id = open_parents.job_id);
BEGIN
  RETURN QUERY
    SELECT d.parent_id, s.state, d.on_failure = 'hold' AND coalesce(s.state IN ('dead', 'cancelled', 'expired'), true)
      FROM howdah.dependency d LEFT JOIN howdah.states_of(v_parents) s ON s.job_id = d.parent_id WHERE d.job_id = open_parents.job_id;
END $$;
-- howdah.parent_results(job_id) -> (name, parent_id, state, result)
-- The jobs that a job waits for or has waited for, in the order of depends_on, each with what it is now and what its handler
-- returned; name: in the workflow of the job; of the end of another workflow, its name; else NULL. Of a parent of which no history is left, state and result are NULL.
-- Locks: none. Errors: none; no rows for a job that is not there. Cost: see states_of.
CREATE OR REPLACE FUNCTION howdah.parent_results(job_id bigint)
RETURNS TABLE (name text, parent_id bigint, state text, result jsonb) LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_parents bigint[] := ARRAY(SELECT p.id::bigint FROM howdah.find_job(parent_results.job_id) j,
                                     jsonb_array_elements_text(j.options -> 'depends_on') WITH ORDINALITY p(id, n) ORDER BY p.n);
BEGIN
  RETURN QUERY
    SELECT coalesce((SELECT w.name::text FROM howdah.workflow_job me JOIN howdah.workflow_job w ON w.workflow_id = me.workflow_id
                      WHERE me.job_id = parent_results.job_id AND w.job_id = p.id),
                    (SELECT w.name::text FROM howdah.workflow w WHERE w.end_id = p.id)),
           p.id, s.state, (SELECT r.result FROM howdah.result r WHERE r.job_id = p.id AND s.state = 'completed' LIMIT 1)
      FROM unnest(v_parents) WITH ORDINALITY p(id, n) LEFT JOIN howdah.states_of(v_parents) s ON s.job_id = p.id
     ORDER BY p.n;
END $$;
-- howdah.parents_ended(first_ids, counts, failed) -> bigint[]
-- Tells the jobs that wait for these runs of jobs that they have ended: those that have nothing else to wait for are let go.
--   failed  they are dead, cancelled or expired: what waits for them is cancelled, let go or held, as it was asked for
-- Returns the jobs that the keeper has to look at again, see look_later: their rows are locked by somebody else, or other
-- parents of theirs are ending in transactions that are not over. Internal.
-- Writes: dependency, failed_parent, and see cancel_dependents and let_go. Locks: rows of dependency, skipping what others have.
-- Waits for nobody. Errors: none.
-- Cost: of what waits for these jobs, however deep the graph below them is.
CREATE OR REPLACE FUNCTION howdah.parents_ended(first_ids bigint[], counts smallint[], failed boolean) RETURNS bigint[]
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_children bigint[];
  v_last     bigint;
  v_skipped  bigint[];
BEGIN
  IF parents_ended.failed THEN
    PERFORM howdah.cancel_dependents(parents_ended.first_ids, parents_ended.counts);
  END IF;
  WITH gone AS (
    DELETE FROM howdah.dependency d WHERE d.ctid = ANY (ARRAY(
      SELECT u.ctid FROM unnest(parents_ended.first_ids, parents_ended.counts) r(first_id, jobs), LATERAL (
        SELECT x.ctid FROM howdah.dependency x
         WHERE x.parent_id >= r.first_id AND x.parent_id < r.first_id + r.jobs AND (NOT parents_ended.failed OR x.on_failure IN ('run', 'note'))
           FOR UPDATE SKIP LOCKED) u))
    RETURNING d.job_id, d.parent_id, d.on_failure),
  noted AS (
    INSERT INTO howdah.failed_parent (job_id, parent_id)
    SELECT g.job_id, g.parent_id FROM gone g WHERE parents_ended.failed AND g.on_failure = 'note')
  SELECT array_agg(DISTINCT g.job_id), max(g.parent_id) INTO v_children, v_last FROM gone g;
  IF v_children IS NOT NULL THEN
    v_skipped := howdah.let_go(v_children, v_last);
  END IF;
  -- And those whose rows, here or in howdah.deferred, somebody else has locked.
  RETURN coalesce(v_skipped, '{}') || ARRAY(
    SELECT DISTINCT d.job_id FROM unnest(parents_ended.first_ids, parents_ended.counts) r(first_id, jobs) JOIN LATERAL (
      SELECT x.job_id FROM howdah.dependency x
       WHERE x.parent_id >= r.first_id AND x.parent_id < r.first_id + r.jobs AND (NOT parents_ended.failed OR x.on_failure <> 'hold')) d ON true);
END $$;
-- howdah.refuse_circle(job_id, parent_ids) -> void
-- Refuses dependencies by which a job would wait for itself, over however many others: goes up from the parents to all that
-- they wait for. Internal to add_dependency and insert_nodes. Errors: HD002 (invalid argument) with COLUMN depends_on.
CREATE OR REPLACE FUNCTION howdah.refuse_circle(job_id bigint, parent_ids bigint[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_seen   bigint;
  v_circle boolean;
  v_below  bigint[];
  v_at     bigint;
  v_path   text := refuse_circle.job_id || ' -> ';
BEGIN
  WITH RECURSIVE up(id) AS (
    SELECT u FROM unnest(refuse_circle.parent_ids) u
    UNION
    SELECT d.parent_id FROM up u, LATERAL (SELECT x.parent_id FROM howdah.dependency x WHERE x.job_id = u.id) d)
  SELECT count(*), bool_or(u.id = refuse_circle.job_id) INTO v_seen, v_circle FROM (SELECT id FROM up LIMIT 100001) u;
  IF v_circle THEN
    -- Every parent that is below the job is on a way up to it.
    WITH RECURSIVE down(id) AS (
      SELECT refuse_circle.job_id
      UNION
      SELECT d.job_id FROM down u, LATERAL (SELECT x.job_id FROM howdah.dependency x WHERE x.parent_id = u.id) d)
    SELECT array_agg(u.id) INTO v_below FROM down u;
    v_at := (SELECT min(u) FROM unnest(refuse_circle.parent_ids) u WHERE u = ANY (v_below));
    WHILE v_at <> refuse_circle.job_id LOOP
      v_path := v_path || v_at || ' -> ';
      v_at := (SELECT min(d.parent_id) FROM howdah.dependency d WHERE d.job_id = v_at AND d.parent_id = ANY (v_below));
    END LOOP;
    PERFORM howdah.option_refused('depends_on', format('would make a circle: %s', v_path || refuse_circle.job_id));
  ELSIF v_seen > 100000 THEN
    PERFORM howdah.option_refused('depends_on', format('job %s waits for more than 100000 others, and whether that makes a circle was not looked at to the end',
      refuse_circle.parent_ids[1]));
  END IF;
END $$;
-- howdah.remove_dependency(job_id, parent_id) -> boolean
-- Makes a job wait for another one no more, in the caller's transaction: for what is held because a parent has failed, say.
-- Returns whether it waited for it. It starts once it has nothing else to wait for.
-- Writes: dependency, job, deferred, ticket. Locks: its rows, and waits for whoever has them.
-- Errors: HD012 the transaction is not READ COMMITTED.
CREATE OR REPLACE FUNCTION howdah.remove_dependency(job_id bigint, parent_id bigint) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  w record;
  j howdah.job;
BEGIN
  PERFORM howdah.must_read_committed();
  w := howdah.single_out(remove_dependency.job_id);
  DELETE FROM howdah.dependency d WHERE d.parent_id = remove_dependency.parent_id AND d.job_id = remove_dependency.job_id;
  IF NOT FOUND OR w.gate IS DISTINCT FROM 'dependencies' THEN
    RETURN false;
  END IF;
  SELECT * INTO j FROM howdah.find_job(remove_dependency.job_id);
  j.options := j.options || jsonb_build_object('depends_on', (
    SELECT coalesce(jsonb_agg(p), '[]') FROM jsonb_array_elements(j.options -> 'depends_on') p WHERE p <> to_jsonb(remove_dependency.parent_id)));
  PERFORM howdah.rewrite_job(j);
  PERFORM howdah.look_later(howdah.let_go(ARRAY[remove_dependency.job_id]));
  RETURN true;
END $$;
-- howdah.resolve_parents(parents) -> jsonb
-- The value of depends_on with ids of jobs only: in place of {"workflow": id} the job that ends with that workflow. Internal to
-- enqueue_many. Writes, locks and errors: see workflow_end.
CREATE OR REPLACE FUNCTION howdah.resolve_parents(parents jsonb) RETURNS jsonb
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF NOT resolve_parents.parents @? '$[*] ? (@.type() == "object")' THEN
    RETURN resolve_parents.parents;
  END IF;
  RETURN (SELECT jsonb_agg(CASE WHEN jsonb_typeof(e.p) = 'object' THEN to_jsonb(howdah.workflow_end((e.p ->> 'workflow')::bigint)) ELSE e.p END ORDER BY e.n)
            FROM jsonb_array_elements(resolve_parents.parents) WITH ORDINALITY e(p, n));
END $$;
-- howdah.set_due(job_id, due_at) -> void
-- Sets when a job that waits for other jobs is due afterwards. Internal to reschedule, which has locked its row.
-- Writes: job. Locks: see rewrite_job.
CREATE OR REPLACE FUNCTION howdah.set_due(job_id bigint, due_at timestamptz) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  j howdah.job;
BEGIN
  SELECT * INTO j FROM howdah.find_job(set_due.job_id);
  j.options := j.options || jsonb_build_object('due_at', set_due.due_at);
  PERFORM howdah.rewrite_job(j);
END $$;
-- howdah.states_of(job_ids) -> (job_id, state, ended_at)
-- In which state each of these jobs is, of one moment: a job on its way from one room to another is seen in one of them.
-- Of one that does not exist, or ended longer ago than history is kept, there is no row.
-- Locks: none. Errors: none. Internal.
-- Cost: a probe of each room for each block of 128 ids, and one pass over what runs.
CREATE OR REPLACE FUNCTION howdah.states_of(job_ids bigint[]) RETURNS TABLE (job_id bigint, state text, ended_at timestamptz)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET enable_seqscan = off
  SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  -- No job has a higher id, and a block at the end of all numbers has no end that could be counted.
  v_blocks     bigint[] := ARRAY(SELECT DISTINCT u >> 7 << 7 FROM unnest(states_of.job_ids) u WHERE u <= 9007199254740991 ORDER BY 1);
  v_ids        bigint[] := '{}';
  v_at         bigint[] := '{}';
  v_queues     integer[] := '{}';
  v_priorities smallint[] := '{}';
  v_part       bigint;
  r            record;
BEGIN
  -- What was asked for does not move. A partition that is named by a variable is the only one that is opened.
  FOR v_part IN SELECT DISTINCT (b >> 33) & 7 FROM unnest(v_blocks) b LOOP
    v_ids := v_ids || ARRAY(SELECT j.id FROM howdah.job j WHERE ((j.id >> 33) & 7) = v_part AND j.id = ANY (states_of.job_ids));
    SELECT array_agg(a.block) AS at, array_agg(a.queue_id) AS queues, array_agg(a.priority) AS priorities INTO r
      FROM (SELECT DISTINCT j.id >> 7 << 7 AS block, j.queue_id, j.priority FROM howdah.job j
             WHERE ((j.id >> 33) & 7) = v_part AND j.id = ANY (states_of.job_ids)) a;
    v_at := v_at || r.at;
    v_queues := v_queues || r.queues;
    v_priorities := v_priorities || r.priorities;
  END LOOP;
  SELECT array_agg(k.id) AS ids, array_agg(k.id >> 7 << 7) AS at, array_agg(k.queue_id) AS queues, array_agg(k.priority) AS priorities INTO r
    FROM howdah.job_kept k WHERE k.id = ANY (states_of.job_ids);
  v_ids := v_ids || r.ids;
  v_at := v_at || r.at;
  v_queues := v_queues || r.queues;
  v_priorities := v_priorities || r.priorities;
  RETURN QUERY
    SELECT s.id, s.state, s.at FROM (
      SELECT d.first_id + g AS id, howdah.waits_as(d.gate) AS state, NULL::timestamptz AS at
        FROM unnest(v_blocks) b(block), LATERAL (
          SELECT k.first_id, k.jobs, k.gate FROM howdah.deferred k WHERE k.first_id BETWEEN b.block AND b.block | 127) d, generate_series(0, d.jobs - 1) g
      UNION ALL
      SELECT t.first_id + g, 'ready', NULL
        FROM (SELECT DISTINCT * FROM unnest(v_at, v_queues, v_priorities) u(block, queue_id, priority)) b, LATERAL (
          SELECT k.first_id, k.jobs FROM howdah.ticket k
           WHERE k.queue_id = b.queue_id AND k.priority = b.priority AND k.first_id BETWEEN b.block AND b.block | 127) t, generate_series(0, t.jobs - 1) g
      UNION ALL
      SELECT u.first_id + g, 'running', NULL
        FROM howdah.lease l, unnest(l.first_ids, l.counts) u(first_id, jobs), generate_series(0, u.jobs - 1) g
       WHERE u.first_id >> 7 << 7 = ANY (v_blocks) AND NOT EXISTS (SELECT FROM howdah.settled x WHERE x.lease_id = l.id AND x.job_id = u.first_id + g)
      UNION ALL
      SELECT x.job_id, 'dead', x.died_at FROM howdah.dead x WHERE x.job_id = ANY (states_of.job_ids)
      UNION ALL
      SELECT u.first_id + g, CASE e.outcome WHEN 1 THEN 'completed' WHEN 2 THEN 'cancelled' ELSE 'expired' END, e.at
        FROM (SELECT DISTINCT k.slot, k.ctid AS tid, k.outcome, k.at, k.first_ids, k.counts
                FROM unnest(v_blocks) b(block) JOIN howdah.receipt k ON k.span && int8range(b.block, b.block + 128)) e,
             unnest(e.first_ids, e.counts) u(first_id, jobs), generate_series(0, u.jobs - 1) g
       WHERE u.first_id >> 7 << 7 = ANY (v_blocks)) s
     -- What a receipt says of a job that was deleted is history of nothing.
     -- As a table of hashes, whatever the planner thinks of how many there are.
     WHERE (s.id IN (SELECT i FROM unnest(v_ids) i)) IS TRUE;
END $$;
-- howdah.stop_waiting(first_ids, counts) -> void
-- Forgets what these runs of jobs waited for, which have ended. Internal to howdah.ended.
-- Writes: dependency. Locks: its rows, skipping what others have: those the keeper removes. Errors: none.
CREATE OR REPLACE FUNCTION howdah.stop_waiting(first_ids bigint[], counts smallint[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off AS $$
#variable_conflict use_column
BEGIN
  DELETE FROM howdah.dependency d WHERE d.ctid = ANY (ARRAY(
    SELECT u.ctid FROM unnest(stop_waiting.first_ids, stop_waiting.counts) r(first_id, jobs), LATERAL (
      SELECT x.ctid FROM howdah.dependency x WHERE x.job_id >= r.first_id AND x.job_id < r.first_id + r.jobs FOR UPDATE SKIP LOCKED) u));
  PERFORM howdah.look_later(array_agg(DISTINCT u.job_id))
     FROM unnest(stop_waiting.first_ids, stop_waiting.counts) r(first_id, jobs), LATERAL (
       SELECT x.job_id FROM howdah.dependency x WHERE x.job_id >= r.first_id AND x.job_id < r.first_id + r.jobs) u
   HAVING count(*) > 0;
END $$;
-- howdah.unhold(job_id) -> integer
-- Lets a job go that is held because of parents that are dead, cancelled, expired or gone, in the caller's transaction: it runs
-- as if it had been asked for with on_parent_failure 'run', once what it still waits for has ended.
-- Returns how many parents it does not wait for any more; 0: it is not held; NULL: there is no such job.
-- Writes: dependency, deferred, ticket, command. Locks: its rows, and waits for whoever has them.
-- Errors: HD012 the transaction is not READ COMMITTED. Cost: see states_of, of all that it waits for.
CREATE OR REPLACE FUNCTION howdah.unhold(job_id bigint) RETURNS integer
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  w         record;
  v_removed integer;
BEGIN
  PERFORM howdah.must_read_committed();
  w := howdah.single_out(unhold.job_id);
  IF w.gate IS DISTINCT FROM 'dependencies' THEN
    RETURN (SELECT 0 FROM howdah.find_job(unhold.job_id));
  END IF;
  DELETE FROM howdah.dependency d USING howdah.open_parents(unhold.job_id) f
   WHERE f.held AND d.parent_id = f.parent_id AND d.job_id = unhold.job_id;
  GET DIAGNOSTICS v_removed = ROW_COUNT;
  IF v_removed > 0 THEN
    PERFORM howdah.look_later(howdah.let_go(ARRAY[unhold.job_id])), howdah.note('unhold', jsonb_build_object('job', unhold.job_id));
  END IF;
  RETURN v_removed;
END $$;
-- howdah.wait_for_parents(job_ids, parent_ids, on_failure) -> void
-- Says that blocked jobs wait for parents, all of them for each: see meet_parents. Internal: the caller has put the jobs into
-- howdah.deferred, blocked, each with a row of its own.
-- Writes: dependency, and see meet_parents. Errors: HD002, see meet_parents. Cost: two index entries for each pair.
CREATE OR REPLACE FUNCTION howdah.wait_for_parents(job_ids bigint[], parent_ids bigint[], on_failure text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
  INSERT INTO howdah.dependency (parent_id, job_id, on_failure)
  SELECT p.id, j.id, wait_for_parents.on_failure FROM unnest(wait_for_parents.job_ids) j(id), unnest(wait_for_parents.parent_ids) p(id)
  ON CONFLICT DO NOTHING;
  PERFORM howdah.meet_parents(wait_for_parents.job_ids, wait_for_parents.parent_ids);
END $$;
-- howdah.with_dependencies(options, old) -> jsonb
-- Options with what the old ones say of other jobs that are waited for, and of when the job is due after that, instead of what
-- they say themselves. old NULL: the job waits for none. Internal.
CREATE OR REPLACE FUNCTION howdah.with_dependencies(options jsonb, old jsonb) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF with_dependencies.old IS NULL THEN
    RETURN nullif(with_dependencies.options - '{depends_on,on_parent_failure,due_at}'::text[], '{}');
  END IF;
  RETURN (coalesce(with_dependencies.options, '{}') - '{depends_on,on_parent_failure,due_at}'::text[])
    || (SELECT jsonb_object_agg(o.key, o.value) FROM jsonb_each(with_dependencies.old) o
         WHERE o.key IN ('depends_on', 'on_parent_failure', 'due_at'));
END $$;
-- howdah.doctor(checks, limits, client) -> (name, state, found, proof, fix, detail)
-- Looks for what goes wrong with a queue and with the database under it, and says how to mend it. A row for each finding, or
-- one for a check that found nothing; in the order of howdah.doctor_checks.
--   checks  names of howdah.doctor_checks; NULL: all
--   limits  from where on something is worth saying: {"waiting_ms": 600000}; see howdah.doctor_limits
--   client  what a program says of itself: migration, code, release (what it was built with), at_ms (its clock, in
--           milliseconds since 1970), pooled (whether its sessions change behind its back)
--   state   ok; notice: worth knowing; warning; problem: jobs are late, lost or about to be; unknown: the check failed, or
--           this role may not see enough: found says why
--   found   one sentence with figures
--   proof   a query that shows it; NULL: howdah.doctor itself does
--   fix     what to do, with the very statement, where there is one; detail.sql has the statements alone
--   detail  the figures, for programs
-- A check that fails takes none of the others down. None waits longer than a second for a lock, none reads jobs or what
-- stands for them but at the front of each queue: the cost is that of some claims. Writes nothing. Locks: none that others feel.
-- Errors: HD002 no such check, or no such limit (COLUMN checks or limits).
CREATE OR REPLACE FUNCTION howdah.doctor(checks text[] DEFAULT NULL, limits jsonb DEFAULT NULL, client jsonb DEFAULT NULL)
RETURNS TABLE (name text, state text, found text, proof text, fix text, detail jsonb)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET lock_timeout = '1s' SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_asked   jsonb := jsonb_build_object('client', coalesce(doctor.client, '{}'), 'limits', howdah.doctor_limits(doctor.limits));
  v_unknown text := (SELECT c FROM unnest(doctor.checks) c WHERE NOT EXISTS (SELECT FROM howdah.doctor_checks() k WHERE k.name = c) LIMIT 1);
  v_rows    bigint;
  v_check   record;
BEGIN
  IF v_unknown IS NOT NULL THEN
    RAISE EXCEPTION 'there is no check named %', quote_literal(v_unknown) USING ERRCODE = 'HD002', COLUMN = 'checks',
      HINT = 'there are ' || (SELECT string_agg(k.name, ', ') FROM howdah.doctor_checks() k);
  END IF;
  FOR v_check IN SELECT k.name, k.healthy FROM howdah.doctor_checks() k WHERE doctor.checks IS NULL OR k.name = ANY (doctor.checks) LOOP
    BEGIN
      RETURN QUERY EXECUTE format('SELECT $1, f.state, f.found, f.proof, concat_ws('': '', f.advice, f.sql),
        CASE WHEN f.sql IS NULL THEN f.detail ELSE f.detail || jsonb_build_object(''sql'', f.sql) END FROM howdah.%I($2) f', 'doctor_' || v_check.name)
        USING v_check.name, v_asked;
      GET DIAGNOSTICS v_rows = ROW_COUNT;
      IF v_rows = 0 THEN
        RETURN QUERY SELECT v_check.name, 'ok', v_check.healthy, NULL::text, NULL::text, '{}'::jsonb;
      END IF;
    EXCEPTION WHEN others THEN
      RETURN QUERY SELECT v_check.name, 'unknown', format('it could not be looked at: %s', SQLERRM), NULL::text, NULL::text,
        jsonb_build_object('sqlstate', SQLSTATE, 'error', SQLERRM);
    END;
  END LOOP;
END $$;
-- howdah.doctor_ago(asked, name) -> timestamptz
-- The time so long ago as a limit says that is in milliseconds; a century at most. Internal to doctor.
CREATE OR REPLACE FUNCTION howdah.doctor_ago(asked jsonb, name text) RETURNS timestamptz
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
  SELECT howdah.now() - make_interval(secs => (least(howdah.doctor_limit(asked, name), 3155760000000) / 1000)::double precision)
$$;
-- howdah.doctor_autovacuum(asked) -> findings, see howdah.doctor_checks
-- Autovacuum switched off, for the server or for a table; and tables with more than dead_rows dead rows that it has not come to
-- for ten minutes (those that are emptied by truncation do not need it). Internal to doctor. Reads: the catalog and statistics.
CREATE OR REPLACE FUNCTION howdah.doctor_autovacuum(asked jsonb)
RETURNS TABLE (state text, found text, proof text, advice text, sql text, detail jsonb)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  v_dead   bigint := howdah.doctor_limit(doctor_autovacuum.asked, 'dead_rows');
  v_schema oid := rtrim('howdah.', '.')::regnamespace;
BEGIN
  RETURN QUERY
    SELECT 'problem', format('%s is off for the whole server: dead rows are never cleaned up', s.name), format('SHOW %s', s.name), 'switch it on',
      format(E'ALTER SYSTEM SET %s = on;\nSELECT pg_reload_conf()', s.name), jsonb_build_object('setting', s.name)
      FROM (VALUES ('autovacuum'), ('track_counts')) s(name) WHERE current_setting(s.name) = 'off';
  RETURN QUERY
    SELECT 'warning', format('autovacuum is off for %s tables of the queue: %s', count(*), left(string_agg(c.relname, ', ' ORDER BY c.relname), 200)),
      format('SELECT oid::regclass, reloptions FROM pg_class WHERE relnamespace = %L::regnamespace AND reloptions IS NOT NULL', rtrim('howdah.', '.')), 'switch it on',
      string_agg(format('ALTER TABLE %s RESET (autovacuum_enabled)', c.oid::regclass), E';\n' ORDER BY c.relname),
      jsonb_build_object('tables', jsonb_agg(c.relname ORDER BY c.relname))
      FROM pg_class c CROSS JOIN LATERAL pg_options_to_table(c.reloptions) o
     WHERE c.relnamespace = v_schema AND c.relkind = 'r' AND o.option_name = 'autovacuum_enabled' AND NOT o.option_value::boolean
    HAVING count(*) > 0;
  RETURN QUERY
    SELECT CASE WHEN t.dead > 10 * v_dead THEN 'problem' ELSE 'warning' END,
      format('table %s has %s dead rows beside %s live ones, and was %s', t.relname, t.dead, t.live,
             coalesce('vacuumed ' || howdah.doctor_span(t.vacuumed) || ' ago', 'never vacuumed')),
      format('SELECT n_live_tup, n_dead_tup, last_vacuum, last_autovacuum FROM pg_stat_all_tables WHERE relid = %L::regclass', t.oid::regclass),
      'end what the check horizon names, give autovacuum more workers or a higher autovacuum_vacuum_cost_limit; and now',
      format('VACUUM (ANALYZE) %s', t.oid::regclass), jsonb_build_object('table', t.oid::regclass::text, 'dead_rows', t.dead, 'rows', t.live, 'vacuumed_at', t.vacuumed)
      FROM (SELECT c.oid, c.relname, pg_stat_get_live_tuples(c.oid) AS live, pg_stat_get_dead_tuples(c.oid) AS dead,
                   greatest(pg_stat_get_last_vacuum_time(c.oid), pg_stat_get_last_autovacuum_time(c.oid)) AS vacuumed
              FROM pg_class c WHERE c.relnamespace = v_schema AND c.relkind = 'r' AND c.relname !~ '^(ticket|lease)_[0-3]$') t
     WHERE t.dead > v_dead AND (t.vacuumed IS NULL OR t.vacuumed < howdah.now() - interval '10 minutes')
     ORDER BY t.dead DESC;
END $$;
-- howdah.doctor_bloat(asked) -> findings, see howdah.doctor_checks
-- Tables and indexes that are larger by bloat_bytes than twice what their rows should take, by the statistics: counted rows and
-- the average width of columns. Indexes other than B-trees and the tables that hold large values apart are left out. Internal to
-- doctor. Reads: the catalog, sizes of files, statistics. None of the tables themselves.
CREATE OR REPLACE FUNCTION howdah.doctor_bloat(asked jsonb)
RETURNS TABLE (state text, found text, proof text, advice text, sql text, detail jsonb)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  v_bytes bigint := howdah.doctor_limit(doctor_bloat.asked, 'bloat_bytes');
  v_schema oid := rtrim('howdah.', '.')::regnamespace;
BEGIN
  RETURN QUERY
    WITH large AS MATERIALIZED (
      SELECT c.oid, c.relname, c.relkind, s.bytes, coalesce(i.indrelid, c.oid) AS of, coalesce(i.indkey::smallint[], '{}') AS columns
        FROM pg_class c LEFT JOIN pg_index i ON i.indexrelid = c.oid LEFT JOIN pg_am a ON a.oid = c.relam
        CROSS JOIN LATERAL (SELECT pg_relation_size(c.oid) AS bytes) s
       WHERE c.relnamespace = v_schema AND (c.relkind = 'r' OR (c.relkind = 'i' AND a.amname = 'btree')) AND s.bytes > v_bytes),
    fair AS (
      SELECT l.*, t.relname AS table_name, w.rows, 2 * w.rows * (28 + coalesce(w.width, 100)) AS enough
        FROM large l JOIN pg_class t ON t.oid = l.of
        CROSS JOIN LATERAL (
          SELECT greatest(pg_stat_get_live_tuples(l.of), t.reltuples::bigint, 0) AS rows,
                 (SELECT sum(s.avg_width) FROM pg_stats s JOIN pg_attribute a ON a.attrelid = l.of AND a.attname = s.attname
                   WHERE s.schemaname = rtrim('howdah.', '.') AND s.tablename = t.relname AND (l.relkind = 'r' OR a.attnum = ANY (l.columns))) AS width) w)
    SELECT CASE WHEN f.bytes - f.enough > 10 * v_bytes THEN 'problem' ELSE 'warning' END,
      format('%s %s has %s for about %s rows, which need some %s', CASE f.relkind WHEN 'r' THEN 'table' ELSE 'index' END, f.relname,
             pg_size_pretty(f.bytes), f.rows, pg_size_pretty(f.enough)),
      format('SELECT pg_size_pretty(pg_relation_size(%L)), n_live_tup, n_dead_tup, last_autovacuum FROM pg_stat_all_tables WHERE relid = %L::regclass',
             f.oid::regclass, f.of::regclass),
      CASE WHEN f.relkind = 'r' AND f.table_name ~ '_[0-7]$' THEN 'end what the check horizon names; the keeper truncates it as soon as nothing lives in it, or do it by hand'
           WHEN f.relkind = 'r' THEN 'end what the check horizon names; then give the room back (nobody else can use the table meanwhile)'
           ELSE 'end what the check horizon names; then build it anew (the table can be used meanwhile)' END,
      CASE WHEN f.relkind = 'r' AND f.table_name ~ '_[0-7]$' THEN 'SELECT howdah.rotate()'
           ELSE format(CASE f.relkind WHEN 'r' THEN 'VACUUM (FULL, ANALYZE) %s' ELSE 'REINDEX INDEX CONCURRENTLY %s' END, f.oid::regclass) END,
      jsonb_build_object('relation', f.oid::regclass::text, 'bytes', f.bytes, 'rows', f.rows, 'enough', f.enough, 'dead_rows', pg_stat_get_dead_tuples(f.of))
      FROM fair f WHERE f.bytes - f.enough > v_bytes
       -- After a crash nothing was counted yet: what is full would look empty.
       AND (pg_stat_get_dead_tuples(f.of) > f.rows OR greatest(pg_stat_get_last_vacuum_time(f.of), pg_stat_get_last_autovacuum_time(f.of),
            pg_stat_get_last_analyze_time(f.of), pg_stat_get_last_autoanalyze_time(f.of)) IS NOT NULL)
     ORDER BY f.bytes - f.enough DESC;
END $$;
-- howdah.doctor_checks() -> (name, healthy)
-- What howdah.doctor looks at, in this order, and what it says when nothing is wrong with it. The function behind a check is
-- howdah.doctor_NAME(asked): a row for each finding, none if all is well.
--   asked  {"client": {...}, "limits": {...}}, both whole: see howdah.doctor
--   state, found, proof, detail  as in howdah.doctor
--   advice, sql  what to do, and the statements that do it: each on a line of its own, between them ';'
-- Errors: none.
CREATE OR REPLACE FUNCTION howdah.doctor_checks() RETURNS TABLE (name text, healthy text)
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
  VALUES
    ('schema',      'the schema, its functions and all workers are of one release'),
    ('unserved',    'every queue that has jobs has a worker'),
    ('kinds',       'every kind that waits in front has a worker'),
    ('waiting',     'no job waits for long'),
    ('paused',      'no paused queue has jobs'),
    ('keeper',      'nothing that is due waits for a keeper'),
    ('leases',      'every worker is heard of, and every lease has its worker'),
    ('dead',        'few jobs die'),
    ('schedules',   'every schedule can be worked out, and none is late'),
    ('removal',     'what has ended is removed in time'),
    ('orphans',     'no key, slot or settled job was left behind'),
    ('payloads',    'the payloads of the newest jobs are far from their limits'),
    ('rings',       'every ring turns'),
    ('bloat',       'no table and no index is much larger than its rows'),
    ('indexes',     'every index is there and valid'),
    ('autovacuum',  'autovacuum is on and keeps up'),
    ('horizon',     'nothing keeps old rows from being cleaned up'),
    ('notify',      'the queue of notifications is short'),
    ('connections', 'there are connections to spare'),
    ('wraparound',  'no transaction id is near its end'),
    ('clock',       'the clocks agree, and go forward'),
    ('pooler',      'no pooler stands between workers and the server, as far as can be seen'),
    ('settings',    'no setting endangers jobs or cuts transactions off'),
    ('privileges',  'PUBLIC has no rights, and no worker is a superuser')
$$;
-- howdah.doctor_clock(asked) -> findings, see howdah.doctor_checks
-- Whether the server's clock has gone back (something was written later than now), and whether the asking program's clock differs
-- from it by more than clock_ms. The queue goes by the server's clock alone; a program that says when a job is due goes by its own.
-- Internal to doctor. Reads: worker, ring, schedule, code.
CREATE OR REPLACE FUNCTION howdah.doctor_clock(asked jsonb)
RETURNS TABLE (state text, found text, proof text, advice text, sql text, detail jsonb)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  v_ms     numeric := howdah.doctor_limit(doctor_clock.asked, 'clock_ms');
  v_now    timestamptz := howdah.now();
  v_ahead  numeric := (doctor_clock.asked -> 'client' ->> 'at_ms')::numeric - extract(epoch FROM v_now) * 1000;
  v_future record;
BEGIN
  SELECT t.what, t.at INTO v_future FROM (
    SELECT format('the heartbeat of worker %s', w.name) AS what, w.heartbeat_at AS at FROM howdah.worker w
    UNION ALL SELECT format('the last turn of ring %s', r.name), r.since FROM howdah.ring r
    UNION ALL SELECT format('the last slot of schedule %s', s.name), s.after_at FROM howdah.schedule s
    UNION ALL SELECT 'the installation of the functions', c.applied_at FROM howdah.code c) t
   WHERE isfinite(t.at) ORDER BY t.at DESC LIMIT 1;
  IF v_future.at > v_now + make_interval(secs => (v_ms / 1000)::double precision) THEN
    RETURN QUERY SELECT 'problem', format('the server''s clock has gone back: %s is of %s, which is %s s ahead', v_future.what, howdah.at_text(v_future.at),
        round(extract(epoch FROM v_future.at - v_now)::numeric, 1)),
      'SELECT howdah.now(), (SELECT max(heartbeat_at) FROM howdah.worker), (SELECT max(since) FROM howdah.ring)',
      'have the server''s clock set by a time service that moves it slowly; until it is there again leases last longer and schedules do not fire', NULL::text,
      jsonb_build_object('what', v_future.what, 'at', v_future.at, 'now', v_now);
  END IF;
  IF abs(v_ahead) > v_ms THEN
    RETURN QUERY SELECT 'warning', format('the clock of this program is %s s %s that of the server', round(abs(v_ahead) / 1000, 1), CASE WHEN v_ahead > 0 THEN 'ahead of' ELSE 'behind' END),
      'SELECT howdah.now()', 'have both clocks set by a time service; until then give delays rather than times', NULL::text, jsonb_build_object('ahead_ms', round(v_ahead), 'now', v_now);
  END IF;
END $$;
-- howdah.doctor_connections(asked) -> findings, see howdah.doctor_checks
-- Whether connections_percent of the connections that the server allows to ordinary roles are in use; from 95 % it is a
-- problem, because a worker that must connect again cannot. Internal to doctor. Reads: statistics.
CREATE OR REPLACE FUNCTION howdah.doctor_connections(asked jsonb)
RETURNS TABLE (state text, found text, proof text, advice text, sql text, detail jsonb)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  v_most bigint := current_setting('max_connections')::bigint - current_setting('superuser_reserved_connections')::bigint;
  v_used bigint := (SELECT sum(d.numbackends) FROM pg_stat_database d);
BEGIN
  RETURN QUERY SELECT CASE WHEN 100 * v_used >= 95 * v_most THEN 'problem' ELSE 'warning' END,
    format('%s of %s connections are in use', v_used, v_most),
    'SELECT usename, application_name, state, count(*) FROM pg_stat_activity WHERE backend_type = ''client backend'' GROUP BY 1, 2, 3 ORDER BY 4 DESC',
    'make the pools of applications smaller, put a pooler between them and the server (not for workers), or raise max_connections', NULL::text,
    jsonb_build_object('used', v_used, 'most', v_most)
   WHERE 100 * v_used >= howdah.doctor_limit(doctor_connections.asked, 'connections_percent') * v_most;
END $$;
-- howdah.doctor_dead(asked) -> findings, see howdah.doctor_checks
-- Queues of which more than dead_per_hour jobs have died in the last hour; ten times that is a problem. Internal to doctor.
-- Reads: dead, by its index: at most ten times the limit of each queue.
CREATE OR REPLACE FUNCTION howdah.doctor_dead(asked jsonb)
RETURNS TABLE (state text, found text, proof text, advice text, sql text, detail jsonb)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_limit bigint := howdah.doctor_limit(doctor_dead.asked, 'dead_per_hour');
  v_since timestamptz := howdah.now() - interval '1 hour';
BEGIN
  RETURN QUERY
    SELECT CASE WHEN d.dead > 10 * v_limit THEN 'problem' ELSE 'warning' END,
      format('%s%s jobs of queue %s died in the last hour, the last one %s ago: %s', CASE WHEN d.dead > 10 * v_limit THEN 'more than ' ELSE '' END,
             least(d.dead, 10 * v_limit), q.name, howdah.doctor_span(l.died_at), left(l.reason, 200)),
      format('SELECT kind, reason, count(*) FROM howdah.dead WHERE queue_id = %s AND died_at > howdah.now() - interval ''1 hour'' GROUP BY 1, 2 ORDER BY 3 DESC LIMIT 20', q.id),
      'mend what fails them, and send them again', format('SELECT howdah.retry_many(queue => %L)', q.name),
      jsonb_build_object('queue', q.name, 'dead', d.dead, 'last_job', l.job_id, 'last_kind', l.kind, 'last_reason', left(l.reason, 1000))
      FROM howdah.queue q
      CROSS JOIN LATERAL (SELECT count(*) AS dead FROM (SELECT FROM howdah.dead x WHERE x.queue_id = q.id AND x.died_at > v_since LIMIT 10 * v_limit + 1) n) d
      CROSS JOIN LATERAL (SELECT * FROM howdah.dead x WHERE x.queue_id = q.id ORDER BY x.died_at DESC LIMIT 1) l
     WHERE d.dead > v_limit ORDER BY d.dead DESC;
END $$;
-- howdah.doctor_expected() -> (index, definition)
-- The indexes that migrations make, but for those of keys, as they are made. Whoever adds one in a migration adds it here: a
-- test compares the list with a fresh installation. Internal to doctor.
CREATE OR REPLACE FUNCTION howdah.doctor_expected() RETURNS TABLE (index text, definition text)
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT format('job_%s_id', s), format('UNIQUE INDEX job_%s_id ON howdah.job_%1$s (id)', s) FROM generate_series(0, 7) s
  UNION ALL
  SELECT format('lease_%s_id', s), format('UNIQUE INDEX lease_%s_id ON howdah.lease_%1$s (id)', s) FROM generate_series(0, 3) s
  UNION ALL
  SELECT (regexp_match(d, 'INDEX (\w+) ON'))[1], d FROM (VALUES
    ('INDEX ticket_order ON howdah.ticket (queue_id, priority, first_id)'),
    ('INDEX receipt_span ON howdah.receipt USING gist (span)'),
    ('INDEX failure_job ON howdah.failure (job_id, attempt)'),
    ('INDEX deferred_due ON howdah.deferred (due_at, first_id)'),
    ('INDEX deferred_queue ON howdah.deferred (queue_id)'),
    ('INDEX deferred_gate ON howdah.deferred (gate, priority, first_id) WHERE gate IS NOT NULL'),
    ('INDEX dead_queue_died_at ON howdah.dead (queue_id, died_at)'),
    ('INDEX unique_key_job ON howdah.unique_key (job_id)'),
    ('INDEX unique_key_expires ON howdah.unique_key (expires_at) WHERE expires_at IS NOT NULL'),
    ('INDEX result_job ON howdah.result (job_id)'),
    ('INDEX expiry_due ON howdah.expiry (expires_at, job_id)'),
    ('INDEX log_job ON howdah.log (job_id, attempt, at, line)'),
    ('INDEX queue_resume_at ON howdah.queue (resume_at) WHERE resume_at IS NOT NULL'),
    ('INDEX archive_id ON howdah.archive (id)'),
    ('INDEX archive_archived_at ON howdah.archive (archived_at)'),
    ('INDEX slot_gate ON howdah.slot (gate, lease_id)'),
    ('INDEX ordered_job ON howdah.ordered (job_id)'),
    ('INDEX gate_look_at ON howdah.gate_look (look_at)'),
    ('INDEX gate_look_gate ON howdah.gate_look (gate, look_at)'),
    ('INDEX flow_rule_prefix ON howdah.flow_rule (scope, name) WHERE right(name, 1) = ''*'''),
    ('INDEX schedule_look ON howdah.schedule (look_at)'),
    ('UNIQUE INDEX firing_slot ON howdah.firing (schedule, due_at) WHERE how <> ''by hand'''),
    ('INDEX firing_newest ON howdah.firing (schedule, fired_at)'),
    ('INDEX dependency_job ON howdah.dependency (job_id, parent_id)'),
    ('INDEX second_look_at ON howdah.second_look (look_at)'),
    ('INDEX workflow_prune ON howdah.workflow (prune_at)'),
    ('UNIQUE INDEX workflow_job_id ON howdah.workflow_job (job_id)'),
    ('UNIQUE INDEX workflow_end ON howdah.workflow (end_id) WHERE end_id IS NOT NULL'),
    ('INDEX workflow_callback ON howdah.workflow_job (workflow_id) WHERE callback'),
    ('INDEX failed_parent_job ON howdah.failed_parent (job_id)'),
    ('INDEX step_order ON howdah.step (job_id, n)'),
    ('INDEX step_awaits ON howdah.step (name, job_id) WHERE kind = ''signal'' AND state = ''waiting'''),
    ('INDEX past_step_job ON howdah.past_step (job_id, n)'),
    ('INDEX signal_new ON howdah.signal (sent_at) WHERE NOT delivered'),
    ('INDEX signal_expires ON howdah.signal (expires_at)'),
    ('INDEX operation_ended ON howdah.operation (ended_at)'),
    ('INDEX command_made_at ON howdah.command (made_at)'),
    ('INDEX receipt_at ON howdah.receipt (at)'),
    ('INDEX failure_at ON howdah.failure (at)'),
    ('INDEX failure_fingerprint ON howdah.failure (howdah.fingerprint(error_kind, message), at)')) v(d)
$$;
-- howdah.doctor_fronts() -> setof (queue_id, queue, priority, job_id, kind, since)
-- The first job that is ready at each priority of each queue, and of each queue of shares the first one that waits for its
-- turn; and since when it is ready. Internal to doctor. Reads: ticket, deferred and job, by their indexes: a few pages for
-- each queue and each priority that is in use, however much waits.
CREATE OR REPLACE FUNCTION howdah.doctor_fronts() RETURNS TABLE (queue_id integer, queue text, priority smallint, job_id bigint, kind text, since timestamptz)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  q       record;
  t       record;
  v_after smallint;
BEGIN
  FOR q IN SELECT k.id, k.name FROM howdah.queue k LOOP
    v_after := -1;
    LOOP
      SELECT k.priority, k.first_id, k.kind, k.ready_at INTO t FROM howdah.ticket k
       WHERE k.queue_id = q.id AND k.priority > v_after ORDER BY k.priority, k.first_id LIMIT 1;
      EXIT WHEN NOT FOUND;
      v_after := t.priority;
      RETURN QUERY SELECT q.id, q.name::text, t.priority, t.first_id, t.kind::text,
        coalesce(t.ready_at, (SELECT j.enqueued_at FROM howdah.find_job(t.first_id) j), howdah.now());
    END LOOP;
    RETURN QUERY
      SELECT q.id, q.name::text, d.priority, d.first_id, d.kind::text, coalesce((SELECT j.enqueued_at FROM howdah.find_job(d.first_id) j), howdah.now())
        FROM (SELECT * FROM howdah.deferred k WHERE k.gate >= 'fair:' || q.id || ':' AND k.gate < 'fair:' || q.id || ';'
               ORDER BY k.gate, k.priority, k.first_id LIMIT 1) d;
  END LOOP;
END $$;
-- howdah.doctor_horizon(asked) -> findings, see howdah.doctor_checks
-- What keeps dead rows from being cleaned up, and partitions from being truncated: transactions of this database that have been
-- open for longer than transaction_ms, prepared or not, and see doctor_slots. Internal to doctor. Reads: statistics of sessions.
CREATE OR REPLACE FUNCTION howdah.doctor_horizon(asked jsonb)
RETURNS TABLE (state text, found text, proof text, advice text, sql text, detail jsonb)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  v_late   timestamptz := howdah.doctor_ago(doctor_horizon.asked, 'transaction_ms');
  v_hidden bigint;
  v_xids   bigint;
BEGIN
  RETURN QUERY
    SELECT CASE WHEN a.xact_start <= v_late - 9 * (howdah.now() - v_late) THEN 'problem' ELSE 'warning' END,
      format('session %s of role %s (%s) has had a transaction open for %s and is %s%s', a.pid, a.usename, coalesce(nullif(a.application_name, ''), 'without a name'),
             howdah.doctor_span(a.xact_start), coalesce(a.state, a.backend_type), CASE WHEN a.backend_xmin IS NULL AND a.backend_xid IS NULL THEN '' ELSE ': no row that ended since can be cleaned up' END),
      format('SELECT pid, usename, application_name, client_addr, state, xact_start, state_change, backend_xmin, query FROM pg_stat_activity WHERE pid = %s', a.pid),
      'end it, if it may be ended', format('SELECT pg_terminate_backend(%s)', a.pid),
      jsonb_build_object('pid', a.pid, 'role', a.usename, 'application', a.application_name, 'client', a.client_addr, 'since', a.xact_start, 'state', a.state, 'xids', age(coalesce(a.backend_xmin, a.backend_xid)))
      FROM pg_stat_activity a
     WHERE a.datname = current_database() AND a.pid <> pg_backend_pid() AND a.xact_start <= v_late AND a.backend_type NOT IN ('autovacuum worker', 'walsender')
     ORDER BY a.xact_start;
  RETURN QUERY
    SELECT CASE WHEN p.prepared <= v_late - 9 * (howdah.now() - v_late) THEN 'problem' ELSE 'warning' END,
      format('transaction %s was prepared %s ago by %s and has not ended: its locks are held, and no row that ended since can be cleaned up', p.gid, howdah.doctor_span(p.prepared), p.owner),
      'SELECT * FROM pg_prepared_xacts', 'ask its transaction manager whether to commit; if nobody knows it', format('ROLLBACK PREPARED %L', p.gid),
      jsonb_build_object('gid', p.gid, 'role', p.owner, 'since', p.prepared, 'xids', age(p.transaction))
      FROM pg_prepared_xacts p WHERE p.database = current_database() AND p.prepared <= v_late ORDER BY p.prepared;
  RETURN QUERY SELECT * FROM howdah.doctor_slots(doctor_horizon.asked);
  -- Of sessions of other roles one sees only that they hold something, not since when.
  SELECT count(*), max(age(a.backend_xmin)) INTO v_hidden, v_xids FROM pg_stat_activity a
   WHERE a.datname = current_database() AND a.pid <> pg_backend_pid() AND a.xact_start IS NULL AND a.query = '<insufficient privilege>'
     AND age(a.backend_xmin) >= least(10000, howdah.doctor_limit(doctor_horizon.asked, 'horizon_xids'));
  RETURN QUERY SELECT 'unknown', format('%s sessions of other roles have a transaction open that is up to %s transactions old, and role %s may not see since when', v_hidden, v_xids, current_user),
    'SELECT pid, usename, backend_xmin FROM pg_stat_activity WHERE backend_xmin IS NOT NULL', 'let it see them', format('GRANT pg_read_all_stats TO %I', current_user),
    jsonb_build_object('hidden', v_hidden, 'xids', v_xids) WHERE v_hidden > 0;
END $$;
-- howdah.doctor_indexes(asked) -> findings, see howdah.doctor_checks
-- Indexes that are missing, and indexes of this schema that are not valid, as an interrupted CREATE INDEX CONCURRENTLY leaves
-- them. Internal to doctor. Reads: the catalog.
CREATE OR REPLACE FUNCTION howdah.doctor_indexes(asked jsonb)
RETURNS TABLE (state text, found text, proof text, advice text, sql text, detail jsonb)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  v_schema oid := rtrim('howdah.', '.')::regnamespace;
BEGIN
  RETURN QUERY
    SELECT 'problem', format('index %s is missing: statements that need it read whole tables', e.index),
      format('SELECT indexname FROM pg_indexes WHERE schemaname = %L AND indexname = %L', rtrim('howdah.', '.'), e.index),
      'make it again (who writes to the table waits meanwhile)', 'CREATE ' || e.definition, jsonb_build_object('index', e.index, 'definition', e.definition)
      FROM howdah.doctor_expected() e
     WHERE NOT EXISTS (SELECT FROM pg_class c WHERE c.relnamespace = v_schema AND c.relname = e.index AND c.relkind IN ('i', 'I'));
  RETURN QUERY
    SELECT 'problem', format('index %s of %s is not valid: it is kept up to date and used by nothing', i.indexrelid::regclass, i.indrelid::regclass),
      format('SELECT indisvalid, indisready FROM pg_index WHERE indexrelid = %L::regclass', i.indexrelid::regclass),
      'build it anew (the table can be used meanwhile)', format('REINDEX INDEX CONCURRENTLY %s', i.indexrelid::regclass),
      jsonb_build_object('index', i.indexrelid::regclass::text, 'table', i.indrelid::regclass::text)
      FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
     WHERE c.relnamespace = v_schema AND NOT (i.indisvalid AND i.indisready AND i.indislive)
       -- Somebody is building it at this moment.
       AND NOT EXISTS (SELECT FROM pg_stat_progress_create_index p WHERE p.index_relid = i.indexrelid);
END $$;
-- howdah.doctor_keeper(asked) -> findings, see howdah.doctor_checks
-- Whether somebody does the chores, and whether what is due is made ready: without that nothing scheduled runs, no attempt is
-- tried again, and no job of a dead worker is given to others. Workers that have only just begun have not stood for it yet. Internal to doctor. Reads: keeper, worker, the first row of
-- deferred that is due.
CREATE OR REPLACE FUNCTION howdah.doctor_keeper(asked jsonb)
RETURNS TABLE (state text, found text, proof text, advice text, sql text, detail jsonb)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_late   timestamptz := howdah.doctor_ago(doctor_keeper.asked, 'overdue_ms');
  v_office howdah.keeper;
  v_due    timestamptz := (SELECT d.due_at FROM howdah.deferred d WHERE d.due_at > '-infinity' ORDER BY d.due_at, d.first_id LIMIT 1);
  v_live   bigint := (SELECT count(*) FROM howdah.doctor_live() w WHERE w.started_at <= v_late);
BEGIN
  SELECT * INTO v_office FROM howdah.keeper k;
  IF v_office.expires_at <= v_late AND (v_live > 0 OR v_due <= v_late) THEN
    RETURN QUERY SELECT 'problem',
      format('nobody is the keeper%s: what is due does not become ready, and no job is rescued%s',
             CASE WHEN isfinite(v_office.expires_at) THEN ', for ' || howdah.doctor_span(v_office.expires_at) ELSE '' END,
             CASE WHEN v_due <= v_late THEN format('; the first one has been due for %s', howdah.doctor_span(v_due)) ELSE '' END),
      'SELECT * FROM howdah.keeper', CASE v_live WHEN 0 THEN 'start a worker: one of them takes the office'
        ELSE 'start a worker of the library or `howdah work`: the workers that are there (by SQL alone?) do not take the office' END, NULL::text,
      jsonb_build_object('expired_at', nullif(v_office.expires_at, '-infinity'), 'first_due_at', v_due, 'workers', v_live);
  ELSIF v_due <= v_late THEN
    RETURN QUERY SELECT 'warning', format('jobs that have been due for %s are not ready yet, though worker %s is the keeper', howdah.doctor_span(v_due), v_office.worker_id),
      'SELECT * FROM howdah.deferred WHERE due_at <= howdah.now() ORDER BY due_at LIMIT 20',
      'see what the keeper''s session waits for in pg_stat_activity; do its work by hand meanwhile', 'SELECT * FROM howdah.promote()',
      jsonb_build_object('first_due_at', v_due, 'keeper', v_office.worker_id);
  END IF;
END $$;
-- howdah.doctor_kinds(asked) -> findings, see howdah.doctor_checks
-- Kinds that wait in a queue whose workers all have no handler for them. Looked for among the first 200 rows (of up to 128 jobs
-- each) of each priority: what nobody takes gathers there. Internal to doctor. Reads: see doctor_fronts; ticket, worker.
CREATE OR REPLACE FUNCTION howdah.doctor_kinds(asked jsonb)
RETURNS TABLE (state text, found text, proof text, advice text, sql text, detail jsonb)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_late timestamptz := howdah.doctor_ago(doctor_kinds.asked, 'unserved_ms');
BEGIN
  RETURN QUERY
    SELECT CASE WHEN s.since <= v_late THEN 'problem' ELSE 'notice' END,
      format('no worker of queue %s has a handler for kind %s, of which %s jobs wait in front, the first for %s', u.queue, u.kind, u.jobs, howdah.doctor_span(s.since)),
      format('SELECT name, version, kinds FROM howdah.worker WHERE %L = ANY (queues)', u.queue),
      'deploy a worker that has a handler for it, or cancel what waits',
      format('SELECT howdah.cancel_many(queue => %L, kind => %L)', u.queue, u.kind),
      jsonb_build_object('queue', u.queue, 'kind', u.kind, 'jobs', u.jobs, 'since', s.since, 'job', u.job_id)
      FROM (
        SELECT f.queue, t.kind::text AS kind, sum(t.jobs) AS jobs, min(t.first_id) AS job_id
          FROM howdah.doctor_fronts() f JOIN howdah.queue q ON q.id = f.queue_id
          CROSS JOIN LATERAL (SELECT k.kind, k.jobs, k.first_id FROM howdah.ticket k
                               WHERE k.queue_id = f.queue_id AND k.priority = f.priority ORDER BY k.first_id LIMIT 200) t
         WHERE q.paused_at IS NULL AND EXISTS (SELECT FROM howdah.doctor_live() w WHERE f.queue = ANY (w.queues))
           AND NOT EXISTS (SELECT FROM howdah.doctor_live() w WHERE f.queue = ANY (w.queues) AND (w.kinds IS NULL OR t.kind = ANY (w.kinds)))
         GROUP BY f.queue, t.kind) u
      CROSS JOIN LATERAL (SELECT coalesce((SELECT j.enqueued_at FROM howdah.find_job(u.job_id) j), howdah.now()) AS since) s
     ORDER BY s.since;
END $$;
-- howdah.doctor_leases(asked) -> findings, see howdah.doctor_checks
-- Workers that are silent, workers whose leases are over and were not given to others, and leases whose worker is gone. Internal
-- to doctor. Reads: worker; the first 10,000 rows of lease.
CREATE OR REPLACE FUNCTION howdah.doctor_leases(asked jsonb)
RETURNS TABLE (state text, found text, proof text, advice text, sql text, detail jsonb)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_late timestamptz := howdah.doctor_ago(doctor_leases.asked, 'overdue_ms');
BEGIN
  RETURN QUERY
    WITH held AS MATERIALIZED (SELECT l.worker_id, count(*) AS leases, min(l.claimed_at) AS since
                                 FROM (SELECT e.worker_id, e.claimed_at FROM howdah.lease e LIMIT 10000) l GROUP BY l.worker_id)
    SELECT CASE WHEN NOT s.over THEN 'notice' WHEN h.leases > 0 THEN 'problem' ELSE 'warning' END,
      format(CASE WHEN s.over THEN 'worker %1$s has not been heard of for %2$s; its lease of %3$s s is over, and nobody has given up its %4$s leases'
                  ELSE 'worker %1$s has not been heard of for %2$s; its %4$s leases are kept until %3$s s have passed' END,
             w.name, howdah.doctor_span(w.heartbeat_at), round(w.lease_ms / 1000.0, 1), coalesce(h.leases, 0)),
      format('SELECT * FROM howdah.workers WHERE id = %s', w.id),
      CASE WHEN s.over THEN 'see that there is a keeper, or do its work by hand' ELSE 'see whether its process hangs, or cannot reach the server' END,
      CASE WHEN s.over THEN 'SELECT * FROM howdah.rescue()' END,
      jsonb_build_object('worker', w.name, 'worker_id', w.id, 'heartbeat_at', w.heartbeat_at, 'lease_ms', w.lease_ms, 'leases', coalesce(h.leases, 0))
      FROM howdah.worker w LEFT JOIN held h ON h.worker_id = w.id
      CROSS JOIN LATERAL (SELECT w.heartbeat_at + make_interval(secs => w.lease_ms / 1000.0) <= v_late AS over) s
     WHERE s.over OR w.heartbeat_at + make_interval(secs => 3 * w.heartbeat_ms / 1000.0) <= v_late
    UNION ALL
    SELECT 'problem', format('%s leases belong to worker %s, which is not there any more; the first is of %s ago', h.leases, h.worker_id, howdah.doctor_span(h.since)),
      format('SELECT * FROM howdah.lease WHERE worker_id = %s', h.worker_id), 'see that there is a keeper, or do its work by hand', 'SELECT * FROM howdah.rescue()',
      jsonb_build_object('worker_id', h.worker_id, 'leases', h.leases, 'since', h.since)
      FROM held h WHERE h.since <= v_late AND NOT EXISTS (SELECT FROM howdah.worker w WHERE w.id = h.worker_id);
END $$;
-- howdah.doctor_limit(asked, name) -> numeric
-- One limit of howdah.doctor_limits, as a check was asked with it. Internal to doctor.
CREATE OR REPLACE FUNCTION howdah.doctor_limit(asked jsonb, name text) RETURNS numeric
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT (asked -> 'limits' ->> name)::numeric
$$;
-- howdah.doctor_limits(limits) -> jsonb
-- From where on the doctor says something, with some of it changed by an object; null in it: as it was. Milliseconds, bytes and
-- percents where the name says so; numbers else.
-- Errors: HD002 no such limit, or none that is a number from 0 on (COLUMN limits).
CREATE OR REPLACE FUNCTION howdah.doctor_limits(limits jsonb DEFAULT NULL) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  -- unserved_ms: jobs of a queue or kind that nobody serves. overdue_ms: the keeper's delay. dead_rows: rows that autovacuum
  -- has not come to. horizon_xids: how many transactions a slot or a standby lags. freeze_xids: before wraparound, at 2 billion.
  c_usual CONSTANT jsonb := '{"waiting_ms": 300000, "unserved_ms": 60000, "paused_ms": 3600000, "overdue_ms": 10000,
    "dead_per_hour": 100, "payload_percent": 80, "ring_bytes": 67108864, "bloat_bytes": 67108864, "dead_rows": 100000,
    "transaction_ms": 300000, "horizon_xids": 1000000, "slot_wal_bytes": 1073741824, "notify_percent": 25,
    "connections_percent": 80, "freeze_xids": 500000000, "clock_ms": 2000}';
  v_wrong text;
BEGIN
  IF doctor_limits.limits IS NULL THEN
    RETURN c_usual;
  END IF;
  IF jsonb_typeof(doctor_limits.limits) <> 'object' THEN
    RAISE EXCEPTION 'limits must be an object, like {"waiting_ms": 600000}' USING ERRCODE = 'HD002', COLUMN = 'limits';
  END IF;
  SELECT e.key INTO v_wrong FROM jsonb_each(doctor_limits.limits) e
   WHERE NOT c_usual ? e.key OR jsonb_typeof(e.value) NOT IN ('number', 'null') OR (jsonb_typeof(e.value) = 'number' AND e.value::numeric NOT BETWEEN 0 AND 1e15)
   ORDER BY e.key LIMIT 1;
  IF v_wrong IS NOT NULL THEN
    RAISE EXCEPTION '% is no limit that can be set so', quote_literal(v_wrong) USING ERRCODE = 'HD002', COLUMN = 'limits',
      HINT = 'a number from 0 to 10^15 for one of ' || (SELECT string_agg(k, ', ' ORDER BY k) FROM jsonb_object_keys(c_usual) k);
  END IF;
  RETURN c_usual || jsonb_strip_nulls(doctor_limits.limits);
END $$;
-- howdah.doctor_live() -> setof worker
-- The workers that are heard of and take jobs. Internal to doctor.
CREATE OR REPLACE FUNCTION howdah.doctor_live() RETURNS SETOF howdah.worker
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
  SELECT * FROM howdah.worker w WHERE NOT w.stopping AND w.heartbeat_at + make_interval(secs => w.lease_ms / 1000.0) >= howdah.now()
$$;
-- howdah.doctor_notify(asked) -> findings, see howdah.doctor_checks
-- How full the server's queue of notifications is: a session that listens and stays in a transaction keeps it from being
-- emptied; when it is full, every commit that notifies fails. Internal to doctor. Reads: statistics of sessions.
CREATE OR REPLACE FUNCTION howdah.doctor_notify(asked jsonb)
RETURNS TABLE (state text, found text, proof text, advice text, sql text, detail jsonb)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  v_percent numeric := 100 * pg_notification_queue_usage();
  v_holder  record;
BEGIN
  IF v_percent <= howdah.doctor_limit(doctor_notify.asked, 'notify_percent') THEN
    RETURN;
  END IF;
  -- Who listens cannot be seen from outside; a session that reads its notifications is not in a transaction for long.
  SELECT a.pid, a.usename, a.application_name, a.xact_start INTO v_holder FROM pg_stat_activity a
   WHERE a.datname IS NOT NULL AND a.pid <> pg_backend_pid() AND a.backend_type = 'client backend' ORDER BY a.xact_start LIMIT 1;
  RETURN QUERY SELECT CASE WHEN v_percent > 75 THEN 'problem' ELSE 'warning' END,
    format('the queue of notifications is %s %% full%s', round(v_percent, 4), CASE WHEN v_holder.xact_start IS NULL THEN '' ELSE
      format('; the oldest transaction is that of session %s (%s), for %s', v_holder.pid, coalesce(nullif(v_holder.application_name, ''), v_holder.usename), howdah.doctor_span(v_holder.xact_start)) END),
    'SELECT pg_notification_queue_usage()', 'end the session that listens and has a transaction open'
      || CASE WHEN v_holder.xact_start IS NULL THEN '; none is seen: it may be stopped, or its connection broken' ELSE '' END,
    CASE WHEN v_holder.xact_start IS NOT NULL THEN format('SELECT pg_terminate_backend(%s)', v_holder.pid) END,
    jsonb_build_object('percent', v_percent, 'pid', v_holder.pid, 'since', v_holder.xact_start);
END $$;
-- howdah.doctor_orphans(asked) -> findings, see howdah.doctor_checks
-- What was left behind: slots of limits and settled jobs without a lease, unique keys of jobs that have ended. None of it
-- counts for anything, so it is a notice; but if it grows, something is wrong. Internal to doctor. Reads: the first 1,000 rows
-- of slot and settled; of the keys those of the 50 oldest jobs.
CREATE OR REPLACE FUNCTION howdah.doctor_orphans(asked jsonb)
RETURNS TABLE (state text, found text, proof text, advice text, sql text, detail jsonb)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_sort = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_slots   bigint;
  v_settled bigint;
  v_keys    bigint;
  v_live    bigint[];
BEGIN
  SELECT count(*) INTO v_slots FROM (SELECT * FROM howdah.slot x LIMIT 1000) s
   WHERE NOT EXISTS (SELECT FROM howdah.lease l WHERE (l.id & 3) = (s.lease_id & 3) AND l.id = s.lease_id);
  SELECT count(*) INTO v_settled FROM (SELECT * FROM howdah.settled x LIMIT 1000) s
   WHERE NOT EXISTS (SELECT FROM howdah.lease l WHERE (l.id & 3) = (s.lease_id & 3) AND l.id = s.lease_id);
  v_live := ARRAY(SELECT u.job_id FROM (SELECT k.job_id, k.scope FROM howdah.unique_key k ORDER BY k.job_id LIMIT 50) u WHERE u.scope = 'live');
  SELECT cardinality(v_live) - count(*) INTO v_keys FROM howdah.states_of(v_live) s WHERE s.state IN ('scheduled', 'blocked', 'ready', 'running');
  RETURN QUERY SELECT 'notice', format('%s slots of limits have no lease', v_slots), 'SELECT * FROM howdah.slot WHERE lease_id NOT IN (SELECT id FROM howdah.lease)',
    'the keeper removes them; or do it by hand', 'SELECT howdah.prune()', jsonb_build_object('slots', v_slots) WHERE v_slots > 0;
  RETURN QUERY SELECT 'notice', format('%s settled jobs have no lease', v_settled), 'SELECT * FROM howdah.settled WHERE lease_id NOT IN (SELECT id FROM howdah.lease)',
    'remove them', 'DELETE FROM howdah.settled WHERE lease_id NOT IN (SELECT id FROM howdah.lease)', jsonb_build_object('settled', v_settled) WHERE v_settled > 0;
  RETURN QUERY SELECT 'notice', format('%s of the oldest unique keys belong to jobs that have ended', v_keys),
    'SELECT * FROM howdah.unique_key WHERE scope = ''live'' ORDER BY job_id LIMIT 50', 'they hinder nobody: whoever wants one takes it over. To remove them',
    'DELETE FROM howdah.unique_key WHERE scope = ''live'' AND job_id IN (SELECT job_id FROM howdah.unique_key ORDER BY job_id LIMIT 1000) AND coalesce(howdah.state(job_id), ''gone'') IN (''completed'', ''cancelled'', ''expired'', ''dead'', ''gone'')',
    jsonb_build_object('keys', v_keys) WHERE v_keys > 0;
END $$;
-- howdah.doctor_paused(asked) -> findings, see howdah.doctor_checks
-- Paused queues that have jobs; a warning after paused_ms, since pauses are forgotten. Internal to doctor. Reads: see
-- doctor_fronts.
CREATE OR REPLACE FUNCTION howdah.doctor_paused(asked jsonb)
RETURNS TABLE (state text, found text, proof text, advice text, sql text, detail jsonb)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  v_late timestamptz := howdah.doctor_ago(doctor_paused.asked, 'paused_ms');
BEGIN
  RETURN QUERY
    SELECT CASE WHEN q.paused_at <= v_late THEN 'warning' ELSE 'notice' END,
      format('queue %s was paused %s ago by %s%s, and jobs wait in it', q.name, howdah.doctor_span(q.paused_at), coalesce(q.paused_by, 'somebody'),
             coalesce(' (' || q.pause_reason || ')', '')),
      format('SELECT paused_at, paused_by, pause_reason, ready FROM howdah.queues WHERE queue = %L', q.name),
      'resume it if the reason is over', format('SELECT howdah.resume_queue(%L)', q.name),
      jsonb_build_object('queue', q.name, 'paused_at', q.paused_at, 'paused_by', q.paused_by, 'pause_reason', q.pause_reason)
      FROM howdah.queue q
     WHERE q.paused_at IS NOT NULL AND q.id IN (SELECT f.queue_id FROM howdah.doctor_fronts() f)
     ORDER BY q.paused_at;
END $$;
-- howdah.doctor_payloads(asked) -> findings, see howdah.doctor_checks
-- Queues in which a payload of the newest 200 jobs is larger than payload_percent of max_payload_bytes: the next one may be
-- refused. Seen by what is stored, compressed, so that no payload is read: a large one that compresses well is not seen.
-- Internal to doctor. Reads: 200 rows of the partition of job that is written.
CREATE OR REPLACE FUNCTION howdah.doctor_payloads(asked jsonb)
RETURNS TABLE (state text, found text, proof text, advice text, sql text, detail jsonb)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  v_percent numeric := howdah.doctor_limit(doctor_payloads.asked, 'payload_percent');
  v_table   text := format('howdah.%I', 'job_' || (SELECT (s.last_value >> 26) & 7 FROM howdah.block_seq s));
BEGIN
  RETURN QUERY EXECUTE format($sql$
    SELECT 'warning', format('job %%s of queue %%s (kind %%s) has a payload of %%s as it is stored, and at most %%s are allowed', j.id, q.name, j.kind,
             pg_size_pretty(j.bytes::bigint), pg_size_pretty(q.max_payload_bytes::bigint)),
      format('SELECT kind, octet_length(payload::text) FROM howdah.jobs WHERE id = %%s', j.id),
      'keep large data elsewhere and let jobs say where; or raise the limit',
      format('SELECT howdah.set_queue(%%L, ''{"max_payload_bytes": %%s}'')', q.name, least(67108864, 2::bigint * q.max_payload_bytes)),
      jsonb_build_object('queue', q.name, 'job', j.id, 'kind', j.kind, 'bytes', j.bytes, 'max_payload_bytes', q.max_payload_bytes)
      FROM (SELECT DISTINCT ON (n.queue_id) n.* FROM (
              SELECT x.id, x.queue_id, x.kind, pg_column_size(x.payload) AS bytes FROM %s x ORDER BY x.id DESC LIMIT 200) n
             ORDER BY n.queue_id, n.bytes DESC) j
      JOIN howdah.queue q ON q.id = j.queue_id
     WHERE j.bytes > q.max_payload_bytes::numeric * $1 / 100 ORDER BY j.bytes DESC$sql$, v_table) USING v_percent;
END $$;
-- howdah.doctor_pooler(asked) -> findings, see howdah.doctor_checks
-- Whether the asking program was handed from session to session, as a pooler in transaction mode does; and workers that live
-- but whose listening session is not there: a pooler or a firewall is between them, and they hear of new jobs late. Internal to
-- doctor. Reads: worker, the process ids of sessions.
CREATE OR REPLACE FUNCTION howdah.doctor_pooler(asked jsonb)
RETURNS TABLE (state text, found text, proof text, advice text, sql text, detail jsonb)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY SELECT 'notice', 'this program is handed from session to session: a pooler in transaction mode is between it and the server', NULL::text,
    'enqueue through it, but let workers connect directly (Howdah::with_worker_url), or they hear of new jobs late', NULL::text, jsonb_build_object('pooled', true)
   WHERE (doctor_pooler.asked -> 'client' ->> 'pooled')::boolean;
  RETURN QUERY
    SELECT 'warning', format('worker %s lives, and the session %s that it listens on is not there: it hears of new jobs late', w.name, w.backend_pid),
      format('SELECT w.id, w.name, w.backend_pid, w.heartbeat_at, a.pid FROM howdah.worker w LEFT JOIN pg_stat_activity a ON a.pid = w.backend_pid WHERE w.id = %s', w.id),
      'let it connect directly, not through a pooler in transaction mode; and see that no firewall drops idle connections', NULL::text,
      jsonb_build_object('worker', w.name, 'worker_id', w.id, 'pid', w.backend_pid)
      FROM howdah.doctor_live() w
     WHERE w.backend_pid IS NOT NULL AND w.heartbeat_at > howdah.now() - make_interval(secs => 2 * w.heartbeat_ms / 1000.0)
       AND NOT EXISTS (SELECT FROM pg_stat_activity a WHERE a.pid = w.backend_pid AND (a.backend_start IS NULL OR a.backend_start = w.backend_start))
     ORDER BY w.id;
END $$;
-- howdah.doctor_privileges(asked) -> findings, see howdah.doctor_checks
-- Rights that every role of the server has in this schema, and workers that are connected as a superuser: a handler that is
-- deceived can then do everything. Internal to doctor. Reads: the catalog, the roles of workers' sessions.
CREATE OR REPLACE FUNCTION howdah.doctor_privileges(asked jsonb)
RETURNS TABLE (state text, found text, proof text, advice text, sql text, detail jsonb)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  v_schema oid := rtrim('howdah.', '.')::regnamespace;
BEGIN
  RETURN QUERY
    SELECT 'warning', format('PUBLIC has %s on the schema %s: every role of this server can use it', string_agg(a.privilege_type, ', ' ORDER BY a.privilege_type), n.oid::regnamespace),
      format('SELECT nspacl FROM pg_namespace WHERE oid = %L::regnamespace', n.oid::regnamespace), 'take it away, and grant it to the roles that need it',
      format('REVOKE ALL ON SCHEMA %s FROM PUBLIC', n.oid::regnamespace), jsonb_build_object('schema', n.oid::regnamespace::text)
      FROM pg_namespace n CROSS JOIN LATERAL aclexplode(n.nspacl) a WHERE n.oid = v_schema AND a.grantee = 0 GROUP BY n.oid HAVING count(*) > 0;
  RETURN QUERY
    SELECT 'warning', format('PUBLIC has rights on %s tables of the schema: %s', count(DISTINCT c.oid), left(string_agg(DISTINCT c.relname, ', '), 200)),
      format('SELECT relname, relacl FROM pg_class WHERE relnamespace = %L::regnamespace AND relacl IS NOT NULL', v_schema::regnamespace), 'take them away',
      format('REVOKE ALL ON ALL TABLES IN SCHEMA %s FROM PUBLIC', v_schema::regnamespace), jsonb_build_object('tables', jsonb_agg(DISTINCT c.relname))
      FROM pg_class c CROSS JOIN LATERAL aclexplode(c.relacl) a WHERE c.relnamespace = v_schema AND c.relkind IN ('r', 'p', 'v', 'm') AND a.grantee = 0 HAVING count(*) > 0;
  RETURN QUERY
    SELECT 'notice', format('%s workers are connected as %s, which is a superuser: a handler that is deceived can do everything on this server', count(*), a.usename),
      'SELECT w.name, a.usename FROM howdah.worker w JOIN pg_stat_activity a ON a.pid = w.backend_pid AND a.backend_start = w.backend_start',
      'give workers a role of their own', NULL::text, jsonb_build_object('role', a.usename, 'workers', count(*))
      FROM howdah.worker w JOIN pg_stat_activity a ON a.pid = w.backend_pid AND coalesce(a.backend_start = w.backend_start, true) JOIN pg_roles r ON r.oid = a.usesysid AND r.rolsuper
     GROUP BY a.usename;
END $$;
-- howdah.doctor_removal(asked) -> findings, see howdah.doctor_checks
-- Queues whose jobs cannot be removed though their retention is over: what is to be called before (before_removal) or the
-- archive fails, and history grows. Internal to doctor. Reads: removal_failure.
CREATE OR REPLACE FUNCTION howdah.doctor_removal(asked jsonb)
RETURNS TABLE (state text, found text, proof text, advice text, sql text, detail jsonb)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
    SELECT 'warning', format('jobs of queue %s that have outlived their retention cannot be removed (tried %s times): %s', coalesce(q.name, f.queue_id::text), f.failures, left(f.message, 300)),
      'SELECT queue, before_removal, on_removal, failed_at, failure, retry_at FROM howdah.retention WHERE failure IS NOT NULL',
      format('mend it; it is tried again at %s. Or let them go without the call', howdah.at_text(f.retry_at)),
      format('SELECT howdah.set_queue(%L, ''{"before_removal": null}'')', q.name),
      jsonb_build_object('queue', q.name, 'failures', f.failures, 'failed_at', f.failed_at, 'retry_at', f.retry_at, 'message', f.message)
      FROM howdah.removal_failure f LEFT JOIN howdah.queue q ON q.id = f.queue_id
     -- A queue that asks nobody any more is not tried again: its jobs go by truncation.
     WHERE f.retry_at > howdah.now() - interval '1 hour' OR q.on_removal <> 'delete' OR q.before_removal IS NOT NULL
     ORDER BY f.failed_at;
END $$;
-- howdah.doctor_rings(asked) -> findings, see howdah.doctor_checks
-- Rings that cannot turn: the partition that is written has grown past ring_bytes, and those that it could turn to still hold
-- something. The usual causes are jobs that nobody takes (a paused queue, a kind without a worker) and transactions that hold
-- a lock. And partitions of jobs and of history that should be gone. Internal to doctor. Reads: ring, history_slot, sizes of files.
CREATE OR REPLACE FUNCTION howdah.doctor_rings(asked jsonb)
RETURNS TABLE (state text, found text, proof text, advice text, sql text, detail jsonb)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  v_bytes   bigint := howdah.doctor_limit(doctor_rings.asked, 'ring_bytes');
  v_longest interval := howdah.longest_retention();
BEGIN
  RETURN QUERY
    SELECT CASE WHEN pg_relation_size(t.written) > 10 * v_bytes THEN 'problem' ELSE 'warning' END,
      format('ring %s cannot turn: %s is written and has %s, and %s still holds about %s rows', t.name, t.written, pg_size_pretty(pg_relation_size(t.written)),
             t.left_over, (SELECT sum(pg_stat_get_live_tuples(o)) FROM unnest(t.others) o)),
      format('SELECT * FROM howdah.%s LIMIT 20', split_part(t.left_over, '.', 2)),
      'see to it that what is in it is run or cancelled, and end what the check horizon names; then the keeper turns it, or do it by hand', 'SELECT howdah.rotate()',
      jsonb_build_object('ring', t.name, 'written', t.written::text, 'bytes', pg_relation_size(t.written), 'left_over', t.left_over)
      FROM (
        SELECT r.name, to_regclass(format('howdah.%I', k.relation || '_' || r.slot)) AS written, o.others, o.left_over
          FROM howdah.ring r JOIN (VALUES ('ticket', 'ticket', '{0,1}'::integer[]), ('returned', 'ticket', '{2,3}'), ('lease', 'lease', '{0,1,2,3}')) k(ring, relation, slots)
            ON k.ring = r.name
          CROSS JOIN LATERAL (
            SELECT array_agg(c) FILTER (WHERE pg_relation_size(c) > 0) AS others, max(c::text) FILTER (WHERE pg_relation_size(c) > 0) AS left_over,
                   bool_and(pg_relation_size(c) > 0) AS full_up
              FROM (SELECT to_regclass(format('howdah.%I', k.relation || '_' || s)) AS c FROM unnest(k.slots) s WHERE s <> r.slot) p) o
         WHERE o.full_up) t
     WHERE pg_relation_size(t.written) > v_bytes;
  RETURN QUERY
    SELECT 'warning', format('slot %s of the history was left %s ago, is kept for %s, and is still there', h.slot, howdah.doctor_span(h.left_at), v_longest),
      format('SELECT * FROM howdah.history_slot WHERE slot = %s', h.slot),
      'see that there is a keeper, and what the checks removal and horizon say; then it goes, or do it by hand', 'SELECT howdah.rotate()',
      jsonb_build_object('ring', 'history', 'slot', h.slot, 'left_at', h.left_at)
      FROM howdah.history_slot h WHERE h.left_at + v_longest + interval '1 hour' < howdah.now() AND NOT howdah.is_empty_slot(h.slot) AND howdah.must_ask() = '{}';
  RETURN QUERY
    SELECT 'warning', format('ring job should have turned %s ago, and %s still holds jobs that have not ended', howdah.doctor_span(r.since + greatest(v_longest / 4, interval '15 minutes')), n.c),
      format('SELECT count(*) FROM howdah.live_jobs(%s, 1000000)', (r.slot + 1) & 7),
      'run, cancel or purge old jobs (dead ones too); then the keeper turns it, or do it by hand', 'SELECT howdah.rotate()', jsonb_build_object('ring', 'job', 'next', n.c::text)
      FROM howdah.ring r CROSS JOIN LATERAL (SELECT to_regclass(format('howdah.%I', 'job_' || ((r.slot + 1) & 7))) AS c, to_regclass(format('howdah.%I', 'job_' || r.slot)) AS w) n
     WHERE r.name = 'job' AND r.since + greatest(v_longest / 4, interval '15 minutes') + interval '1 hour' < howdah.now()
       AND pg_relation_size(n.c) > 0 AND pg_relation_size(n.w) > 0;
END $$;
-- howdah.doctor_schedules(asked) -> findings, see howdah.doctor_checks
-- Schedules that the keeper cannot work out or fire, and schedules whose slot is over and was not fired. Internal to doctor.
-- Reads: schedule.
CREATE OR REPLACE FUNCTION howdah.doctor_schedules(asked jsonb)
RETURNS TABLE (state text, found text, proof text, advice text, sql text, detail jsonb)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
    SELECT CASE WHEN s.error IS NOT NULL THEN 'problem' ELSE 'warning' END,
      CASE WHEN s.error IS NOT NULL THEN format('schedule %s fails, for the %s. time since %s: %s', s.name, s.failures, howdah.at_text(s.error_at), left(s.error, 300))
           ELSE format('schedule %s should have fired %s ago', s.name, howdah.doctor_span(s.next_at)) END,
      format('SELECT expression, timezone, next_at, error, error_at FROM howdah.schedules WHERE name = %L', s.name),
      CASE WHEN s.error IS NOT NULL THEN 'set right what it says, with howdah.set_schedule; or pause it' ELSE 'see that there is a keeper; until then it can be run by hand' END,
      format(CASE WHEN s.error IS NOT NULL THEN 'SELECT howdah.pause_schedule(%L)' ELSE 'SELECT howdah.run_schedule(%L)' END, s.name),
      jsonb_build_object('schedule', s.name, 'next_at', s.next_at, 'error', s.error, 'failures', s.failures)
      FROM howdah.schedule s
     WHERE s.paused_at IS NULL AND (s.error IS NOT NULL OR s.next_at <= howdah.doctor_ago(doctor_schedules.asked, 'overdue_ms'))
     ORDER BY s.name;
END $$;
-- howdah.doctor_schema(asked) -> findings, see howdah.doctor_checks
-- Whether the migrations and functions are those that the asking program was built with, and whether workers of other releases
-- are there: for an hour after new functions came that is a deployment. Internal to doctor. Reads: migration, code, worker.
CREATE OR REPLACE FUNCTION howdah.doctor_schema(asked jsonb)
RETURNS TABLE (state text, found text, proof text, advice text, sql text, detail jsonb)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  v_last   integer := (SELECT max(m.version) FROM howdah.migration m);
  v_needs  integer := (doctor_schema.asked -> 'client' ->> 'migration')::integer;
  v_hash   text := doctor_schema.asked -> 'client' ->> 'code';
  v_code   record;
  v_others record;
BEGIN
  SELECT c.hash, c.release, c.applied_at INTO v_code FROM howdah.code c;
  IF v_last IS DISTINCT FROM v_needs AND v_needs IS NOT NULL THEN
    RETURN QUERY SELECT 'problem', format('the schema is at migration %s, and this program is made for %s', v_last, v_needs),
      'SELECT version, name, applied_at FROM howdah.migration ORDER BY version',
      CASE WHEN v_last < v_needs THEN 'bring it up to date with `howdah migrate up`' ELSE 'use a newer release of this program' END,
      NULL::text, jsonb_build_object('found', v_last, 'needed', v_needs);
  ELSIF v_hash IS NOT NULL AND v_hash IS DISTINCT FROM v_code.hash THEN
    RETURN QUERY SELECT 'warning', format('functions and views are those of another build (release %s), and this program is of release %s',
        coalesce(v_code.release, 'unknown'), coalesce(doctor_schema.asked -> 'client' ->> 'release', 'unknown')),
      'SELECT release, hash, applied_at FROM howdah.code', 'install those of this program, if it is the newer one, with `howdah migrate up`',
      NULL::text, jsonb_build_object('found', v_code.hash, 'needed', v_hash, 'release', v_code.release);
  END IF;
  SELECT count(*) AS workers, array_agg(DISTINCT w.version ORDER BY w.version) AS versions INTO v_others
    FROM howdah.worker w WHERE w.version <> v_code.release;
  IF v_others.workers > 0 THEN
    RETURN QUERY SELECT CASE WHEN v_code.applied_at < howdah.now() - interval '1 hour' THEN 'warning' ELSE 'notice' END,
      format('%s of %s workers run release %s, and the functions are of release %s', v_others.workers, (SELECT count(*) FROM howdah.worker),
             array_to_string(v_others.versions, ', '), v_code.release),
      'SELECT id, name, version, started_at FROM howdah.worker ORDER BY version, id', 'finish the deployment: restart them with the release of the functions',
      NULL::text, jsonb_build_object('workers', v_others.workers, 'versions', to_jsonb(v_others.versions), 'release', v_code.release);
  END IF;
END $$;
-- howdah.doctor_settings(asked) -> findings, see howdah.doctor_checks
-- Settings of the server that can lose what was committed; and settings of this database or of roles that cut off transactions
-- or change what they see. Howdah's own sessions set what they need; applications' transactions and psql do not. Internal to
-- doctor. Reads: settings.
CREATE OR REPLACE FUNCTION howdah.doctor_settings(asked jsonb)
RETURNS TABLE (state text, found text, proof text, advice text, sql text, detail jsonb)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
    SELECT 'problem', format('%s is off: a crash of the machine can destroy the database', s.name), format('SHOW %s', s.name), 'switch it on',
      format(E'ALTER SYSTEM SET %s = on;\nSELECT pg_reload_conf()', s.name), jsonb_build_object('setting', s.name, 'value', 'off')
      FROM (VALUES ('fsync'), ('full_page_writes')) s(name) WHERE current_setting(s.name) = 'off';
  RETURN QUERY
    SELECT 'warning', 'synchronous_commit is off: jobs that were enqueued in the last second or so are lost in a crash', 'SHOW synchronous_commit',
      'switch it on, or leave it if that loss is wanted', E'ALTER SYSTEM SET synchronous_commit = on;\nSELECT pg_reload_conf()', jsonb_build_object('setting', 'synchronous_commit', 'value', 'off')
      FROM pg_settings s WHERE s.name = 'synchronous_commit' AND s.reset_val = 'off' AND s.source NOT IN ('database', 'user', 'database user');
  RETURN QUERY
    SELECT 'problem', 'this server is a standby: nothing can be enqueued, claimed or kept here', 'SELECT pg_is_in_recovery()', 'connect to the primary', NULL::text, '{"standby": true}'::jsonb
     WHERE pg_is_in_recovery();
  RETURN QUERY
    SELECT CASE WHEN c.name IN ('synchronous_commit', 'default_transaction_read_only') THEN 'warning' ELSE 'notice' END,
      format('%s is set to %s for %s: %s', c.name, c.value, o.whom, CASE
        WHEN c.name = 'default_transaction_isolation' THEN 'calls that settle jobs are refused (HD012) in its transactions'
        WHEN c.name = 'default_transaction_read_only' THEN 'its transactions can enqueue nothing'
        WHEN c.name = 'synchronous_commit' THEN 'jobs that it has enqueued in the last second or so are lost in a crash'
        ELSE 'its longer transactions are cut off' END),
      'SELECT setdatabase, setrole::regrole, setconfig FROM pg_db_role_setting', 'leave it if it is wanted; else', format('ALTER %s RESET %I', o.whom, c.name),
      jsonb_build_object('setting', c.name, 'value', c.value, 'of', o.whom)
      FROM pg_db_role_setting s
      CROSS JOIN LATERAL (SELECT split_part(x, '=', 1) AS name, substr(x, strpos(x, '=') + 1) AS value FROM unnest(s.setconfig) x) c
      CROSS JOIN LATERAL (SELECT CASE WHEN s.setrole = 0 THEN format('DATABASE %I', current_database())
        ELSE format('ROLE %s%s', s.setrole::regrole, CASE WHEN s.setdatabase = 0 THEN '' ELSE format(' IN DATABASE %I', current_database()) END) END AS whom) o
     WHERE s.setdatabase IN (0, (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())) AND (s.setrole <> 0 OR s.setdatabase <> 0)
       AND ((c.name IN ('statement_timeout', 'idle_in_transaction_session_timeout', 'transaction_timeout', 'lock_timeout') AND c.value !~ '^0')
         OR (c.name = 'default_transaction_isolation' AND c.value <> 'read committed') OR (c.name = 'default_transaction_read_only' AND c.value IN ('on', 'true', '1', 'yes'))
         OR (c.name = 'synchronous_commit' AND c.value = 'off'))
     ORDER BY o.whom, c.name;
END $$;
-- howdah.doctor_slots(asked) -> findings, see howdah.doctor_checks
-- Replication slots that keep more than slot_wal_bytes of log, or old rows of more than horizon_xids transactions; slots that were lost; and standbys whose
-- feedback holds back as much. Part of doctor_horizon. Internal. Reads: replication slots, statistics of replication.
CREATE OR REPLACE FUNCTION howdah.doctor_slots(asked jsonb)
RETURNS TABLE (state text, found text, proof text, advice text, sql text, detail jsonb)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  v_bytes numeric := howdah.doctor_limit(doctor_slots.asked, 'slot_wal_bytes');
  v_xids  numeric := howdah.doctor_limit(doctor_slots.asked, 'horizon_xids');
BEGIN
  RETURN QUERY
    SELECT CASE WHEN s.active THEN 'warning' ELSE 'problem' END,
      format('replication slot %s (%s) keeps %s of log and old rows of %s transactions%s', s.slot_name, CASE WHEN s.active THEN 'in use' ELSE 'not in use' END,
             pg_size_pretty(k.bytes), k.xids, CASE WHEN s.wal_status = 'lost' THEN ', and was lost: what read it must begin anew' ELSE '' END),
      format('SELECT slot_name, slot_type, database, active, active_pid, xmin, catalog_xmin, restart_lsn, wal_status FROM pg_replication_slots WHERE slot_name = %L', s.slot_name),
      CASE WHEN s.active THEN 'see why its reader lags' ELSE 'start its reader again; or drop it, if nobody will read it' END,
      CASE WHEN NOT s.active THEN format('SELECT pg_drop_replication_slot(%L)', s.slot_name) END,
      jsonb_build_object('slot', s.slot_name, 'type', s.slot_type, 'active', s.active, 'wal_bytes', k.bytes, 'xids', k.xids, 'wal_status', s.wal_status)
      FROM pg_replication_slots s
      CROSS JOIN LATERAL (
        SELECT greatest(0, pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END, s.restart_lsn)) AS bytes,
               greatest(0, age(s.xmin), age(s.catalog_xmin)) AS xids) k
     WHERE k.bytes > v_bytes OR k.xids > v_xids OR s.wal_status = 'lost' ORDER BY s.slot_name;
  RETURN QUERY
    SELECT 'warning', format('standby %s (%s) asks to keep old rows of %s transactions: a long query runs there', r.application_name, coalesce(r.client_addr::text, 'local'), age(r.backend_xmin)),
      format('SELECT * FROM pg_stat_replication WHERE pid = %s', r.pid), 'end the long query on that standby, or set hot_standby_feedback = off there', NULL::text,
      jsonb_build_object('standby', r.application_name, 'client', r.client_addr, 'xids', age(r.backend_xmin))
      FROM pg_stat_replication r WHERE age(r.backend_xmin) > v_xids ORDER BY r.application_name;
END $$;
-- howdah.doctor_span(since) -> text
-- How long ago a time is, as people say it: 90 s, 12 min, 5 h, 3 d; of NULL NULL. Internal to doctor.
CREATE OR REPLACE FUNCTION howdah.doctor_span(since timestamptz) RETURNS text
LANGUAGE sql STRICT SET search_path = pg_catalog, pg_temp AS $$
  SELECT CASE WHEN s < 120 THEN round(s, 1 - (s >= 10)::integer) || ' s' WHEN s < 7200 THEN floor(s / 60) || ' min'
              WHEN s < 172800 THEN floor(s / 3600) || ' h' ELSE floor(s / 86400) || ' d' END
    FROM greatest(0, extract(epoch FROM howdah.now() - since)::numeric) s
$$;
-- howdah.doctor_unserved(asked) -> findings, see howdah.doctor_checks
-- Queues with jobs that are ready, not paused, which no living worker serves. Internal to doctor. Reads: see doctor_fronts; worker.
CREATE OR REPLACE FUNCTION howdah.doctor_unserved(asked jsonb)
RETURNS TABLE (state text, found text, proof text, advice text, sql text, detail jsonb)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  v_late timestamptz := howdah.doctor_ago(doctor_unserved.asked, 'unserved_ms');
BEGIN
  RETURN QUERY
    SELECT CASE WHEN min(f.since) <= v_late THEN 'problem' ELSE 'notice' END,
      format('no worker serves queue %s, in which jobs wait for %s', f.queue, howdah.doctor_span(min(f.since))),
      'SELECT id, name, queues, stopping, heartbeat_at FROM howdah.worker ORDER BY id',
      'start a worker that serves it, such as `howdah work --exec PROGRAM --queue ' || quote_literal(f.queue) || '`', NULL::text,
      jsonb_build_object('queue', f.queue, 'since', min(f.since), 'job', min(f.job_id))
      FROM howdah.doctor_fronts() f JOIN howdah.queue q ON q.id = f.queue_id
     WHERE q.paused_at IS NULL AND NOT EXISTS (SELECT FROM howdah.doctor_live() w WHERE f.queue = ANY (w.queues))
     GROUP BY f.queue ORDER BY min(f.since);
END $$;
-- howdah.doctor_waiting(asked) -> findings, see howdah.doctor_checks
-- Queues that are served, not paused, and in which a job has been ready for longer than waiting_ms; ten times that is a problem.
-- A low priority that never has its turn is seen too. Internal to doctor. Reads: see doctor_fronts; worker.
CREATE OR REPLACE FUNCTION howdah.doctor_waiting(asked jsonb)
RETURNS TABLE (state text, found text, proof text, advice text, sql text, detail jsonb)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  v_late timestamptz := howdah.doctor_ago(doctor_waiting.asked, 'waiting_ms');
BEGIN
  RETURN QUERY
    SELECT CASE WHEN f.since <= v_late - 9 * (howdah.now() - v_late) THEN 'problem' ELSE 'warning' END,
      format('a job of queue %s has been ready for %s (job %s, kind %s, priority %s)', f.queue, howdah.doctor_span(f.since), f.job_id, f.kind, f.priority),
      format('SELECT * FROM howdah.why(%s)', f.job_id),
      'see why, with the query beside; then start more workers of this queue, or give them more slots', NULL::text,
      jsonb_build_object('queue', f.queue, 'since', f.since, 'job', f.job_id, 'kind', f.kind, 'priority', f.priority)
      FROM (SELECT DISTINCT ON (a.queue) a.* FROM howdah.doctor_fronts() a ORDER BY a.queue, a.since) f
      JOIN howdah.queue q ON q.id = f.queue_id
     WHERE f.since <= v_late AND q.paused_at IS NULL AND EXISTS (SELECT FROM howdah.doctor_live() w WHERE f.queue = ANY (w.queues))
     ORDER BY f.since;
END $$;
-- howdah.doctor_wraparound(asked) -> findings, see howdah.doctor_checks
-- Tables of the queue whose oldest transaction id, or group of transactions, is more than freeze_xids ago, and the database
-- itself; from three times that it is a problem: at two billions the server stops. Internal to doctor. Reads: the catalog.
CREATE OR REPLACE FUNCTION howdah.doctor_wraparound(asked jsonb)
RETURNS TABLE (state text, found text, proof text, advice text, sql text, detail jsonb)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  v_xids   numeric := howdah.doctor_limit(doctor_wraparound.asked, 'freeze_xids');
  v_schema oid := rtrim('howdah.', '.')::regnamespace;
BEGIN
  RETURN QUERY
    SELECT CASE WHEN max(a.xids) > 3 * v_xids THEN 'problem' ELSE 'warning' END,
      format('%s tables of the queue have transaction ids that are up to %s transactions old: %s', count(*), max(a.xids), left(string_agg(c.relname, ', ' ORDER BY a.xids DESC, c.relname), 200)),
      format('SELECT oid::regclass, age(relfrozenxid), mxid_age(relminmxid) FROM pg_class WHERE relnamespace = %L::regnamespace AND relkind = ''r'' ORDER BY 2 DESC', rtrim('howdah.', '.')),
      'end what the check horizon names, and freeze them', string_agg(format('VACUUM (FREEZE) %s', c.oid::regclass), E';\n' ORDER BY a.xids DESC, c.relname),
      jsonb_build_object('tables', count(*), 'xids', max(a.xids))
      FROM pg_class c CROSS JOIN LATERAL (SELECT greatest(age(c.relfrozenxid), mxid_age(c.relminmxid)) AS xids) a
     WHERE c.relnamespace = v_schema AND c.relkind = 'r' AND a.xids > v_xids
    HAVING count(*) > 0;
  RETURN QUERY
    SELECT CASE WHEN a.xids > 3 * v_xids THEN 'problem' ELSE 'warning' END,
      format('database %s has transaction ids that are %s transactions old, in tables of others: %s', d.datname, a.xids, o.tables),
      'SELECT oid::regclass, age(relfrozenxid) FROM pg_class WHERE relkind IN (''r'', ''m'', ''t'') ORDER BY 2 DESC LIMIT 20',
      'end what the check horizon names, and freeze the whole database', 'VACUUM (FREEZE)', jsonb_build_object('database', d.datname, 'xids', a.xids)
      FROM pg_database d CROSS JOIN LATERAL (SELECT greatest(age(d.datfrozenxid), mxid_age(d.datminmxid)) AS xids) a
      CROSS JOIN LATERAL (SELECT string_agg(t.name, ', ') AS tables FROM (
        SELECT c.oid::regclass::text AS name FROM pg_class c WHERE c.relkind IN ('r', 'm', 't') AND c.relnamespace <> v_schema AND age(c.relfrozenxid) > v_xids
         ORDER BY age(c.relfrozenxid) DESC LIMIT 3) t) o
     WHERE d.datname = current_database() AND a.xids > v_xids AND o.tables IS NOT NULL;
END $$;
-- howdah.as_time(field, value) -> timestamptz
-- A point in time that was given as a JSON string, or as a number of milliseconds since 1970. Errors: HD002 (invalid argument) with COLUMN field. Internal.
CREATE OR REPLACE FUNCTION howdah.as_time(field text, value jsonb) RETURNS timestamptz
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_at timestamptz;
BEGIN
  IF jsonb_typeof(as_time.value) = 'string' THEN
    BEGIN
      v_at := (as_time.value #>> '{}')::timestamptz;
    EXCEPTION WHEN data_exception THEN
      NULL;
    END;
  END IF;
  IF jsonb_typeof(as_time.value) = 'number' THEN
    IF (as_time.value #>> '{}')::numeric BETWEEN 0 AND 253370764800000 THEN
      v_at := to_timestamp(round((as_time.value #>> '{}')::numeric, 3)::float8 / 1000);
    END IF;
  END IF;
  IF v_at IS NULL OR NOT isfinite(v_at) OR v_at > timestamptz '9999-01-01' THEN
    PERFORM howdah.option_refused(as_time.field, 'must be a point in time before the year 9999, such as "2030-01-31T12:00:00Z"');
  END IF;
  RETURN v_at;
END $$;
-- howdah.at_micros(micros) -> timestamptz
-- Microseconds since 1970 as a point in time: how clients without a library of dates give one. NULL for NULL; the
-- largest bigint is infinity.
CREATE OR REPLACE FUNCTION howdah.at_micros(micros bigint) RETURNS timestamptz
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN micros OPERATOR(pg_catalog.=) 9223372036854775807 THEN 'infinity'::pg_catalog.timestamptz
       ELSE '1970-01-01 00:00:00+00'::pg_catalog.timestamptz
            OPERATOR(pg_catalog.+) ('1 microsecond'::pg_catalog.interval OPERATOR(pg_catalog.*) micros::pg_catalog.float8) END;
-- howdah.canonical(value) -> jsonb
-- JSON whose numbers have no zeros at the end of their decimals, so that what is equal is written alike. Internal.
CREATE OR REPLACE FUNCTION howdah.canonical(value jsonb) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN CASE jsonb_typeof(canonical.value)
    WHEN 'number' THEN to_jsonb(trim_scale((canonical.value #>> '{}')::numeric))
    WHEN 'object' THEN (SELECT coalesce(jsonb_object_agg(e.key, howdah.canonical(e.value)), '{}') FROM jsonb_each(canonical.value) e)
    WHEN 'array' THEN (SELECT coalesce(jsonb_agg(howdah.canonical(e.value) ORDER BY e.n), '[]')
                         FROM jsonb_array_elements(canonical.value) WITH ORDINALITY e(value, n))
    ELSE canonical.value END;
END $$;
-- howdah.check_attributes(attributes) -> void
-- Refuses attributes that could not be filtered by. Errors: HD002 (invalid argument) with COLUMN attributes. Internal.
CREATE OR REPLACE FUNCTION howdah.check_attributes(attributes jsonb) RETURNS void
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_name  text;
  v_value jsonb;
BEGIN
  IF jsonb_typeof(check_attributes.attributes) <> 'object' THEN
    PERFORM howdah.option_refused('attributes', 'must be a JSON object, not ' || jsonb_typeof(check_attributes.attributes));
  END IF;
  IF pg_column_size(check_attributes.attributes) > 8192 THEN
    PERFORM howdah.option_refused('attributes', format('are %s bytes, and may be 8192: what is only for the handler belongs into the payload',
      pg_column_size(check_attributes.attributes)));
  END IF;
  FOR v_name, v_value IN SELECT * FROM jsonb_each(check_attributes.attributes) LOOP
    IF octet_length(v_name) NOT BETWEEN 1 AND 128 THEN
      PERFORM howdah.option_refused('attributes', 'must have names of 1 to 128 bytes');
    END IF;
    IF jsonb_typeof(v_value) = 'object' OR (jsonb_typeof(v_value) = 'array'
       AND EXISTS (SELECT FROM jsonb_array_elements(v_value) e WHERE jsonb_typeof(e) IN ('object', 'array'))) THEN
      PERFORM howdah.option_refused('attributes', format('must be scalars or arrays of scalars, and %s is not', quote_literal(v_name)));
    END IF;
    -- A program that reads the attributes of many jobs reads floats, and one that it cannot read would hide all the others.
    IF EXISTS (SELECT FROM jsonb_array_elements(CASE jsonb_typeof(v_value) WHEN 'array' THEN v_value ELSE jsonb_build_array(v_value) END) e
                WHERE CASE WHEN jsonb_typeof(e) = 'number' THEN abs((e #>> '{}')::numeric) > 1e308 END) THEN
      PERFORM howdah.option_refused('attributes', format('must be numbers up to 1e308, and %s is more', quote_literal(v_name)));
    END IF;
  END LOOP;
END $$;
-- howdah.check_gate(field, value, options) -> void
-- Refuses a limit_key, order_key, order_on_failure or fair_key that makes no sense. Internal to check_options.
-- Errors: HD002 (invalid argument), naming the option in COLUMN.
CREATE OR REPLACE FUNCTION howdah.check_gate(field text, value jsonb, options jsonb) RETURNS void
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_keys jsonb := CASE WHEN check_gate.field = 'limit_key' AND jsonb_typeof(check_gate.value) = 'array' THEN check_gate.value
                       ELSE jsonb_build_array(check_gate.value) END;
  v_key  jsonb;
BEGIN
  IF check_gate.field = 'order_on_failure' THEN
    IF check_gate.value NOT IN ('"hold"', '"pass"') THEN
      PERFORM howdah.option_refused(check_gate.field, 'must be hold or pass, not ' || left(check_gate.value::text, 100));
    ELSIF NOT check_gate.options ? 'order_key' THEN
      PERFORM howdah.option_refused(check_gate.field, 'is for jobs with an order_key');
    END IF;
    RETURN;
  END IF;
  IF jsonb_array_length(v_keys) NOT BETWEEN 1 AND 8 THEN
    PERFORM howdah.option_refused(check_gate.field, 'must be one to eight texts, not ' || jsonb_array_length(v_keys));
  END IF;
  FOR v_key IN SELECT * FROM jsonb_array_elements(v_keys) LOOP
    IF jsonb_typeof(v_key) <> 'string' OR octet_length(v_key #>> '{}') NOT BETWEEN 1 AND 256 OR (v_key #>> '{}') ~ '[[:cntrl:]]' THEN
      PERFORM howdah.option_refused(check_gate.field, 'must be a text of 1 to 256 bytes without control characters, not ' || left(v_key::text, 100));
    END IF;
  END LOOP;
END $$;
-- howdah.check_job(kind, priority, run_at, delay, max_attempts, options) -> void
-- Refuses what no job may have. Shared by every way to enqueue. Internal.
-- Errors: HD002 (invalid argument), naming the field in COLUMN and the rule in the message.
CREATE OR REPLACE FUNCTION howdah.check_job(kind text, priority integer, run_at timestamptz, delay interval, max_attempts integer,
  options jsonb)
RETURNS void LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF check_job.kind IS NULL OR octet_length(check_job.kind) NOT BETWEEN 1 AND 128 OR check_job.kind ~ '[[:cntrl:]]' THEN
    RAISE EXCEPTION 'kind must be 1 to 128 bytes without control characters, not % bytes',
      coalesce(octet_length(check_job.kind)::text, 'NULL')
      USING ERRCODE = 'HD002', COLUMN = 'kind', HINT = 'A kind names the handler, such as ''send_email''.';
  END IF;
  IF check_job.priority IS NULL OR check_job.priority NOT BETWEEN 0 AND 9 THEN
    RAISE EXCEPTION 'priority must be 0 to 9, not %', coalesce(check_job.priority::text, 'NULL')
      USING ERRCODE = 'HD002', COLUMN = 'priority', HINT = '0 runs first; 5 is the default.';
  END IF;
  IF check_job.max_attempts IS NOT NULL AND check_job.max_attempts NOT BETWEEN 1 AND 1000 THEN
    RAISE EXCEPTION 'max_attempts must be 1 to 1000, not %', check_job.max_attempts
      USING ERRCODE = 'HD002', COLUMN = 'max_attempts', HINT = '1 means that the job is never retried.';
  END IF;
  IF check_job.options IS NOT NULL THEN
    PERFORM howdah.check_options(check_job.options);
  END IF;
  IF check_job.delay IS NOT NULL THEN
    IF check_job.run_at IS NOT NULL THEN
      RAISE EXCEPTION 'give run_at or delay, not both'
        USING ERRCODE = 'HD002', COLUMN = 'delay', HINT = 'run_at is a point in time, delay counts from now.';
    END IF;
    IF check_job.delay < interval '0' OR check_job.delay > interval '100 years' THEN
      RAISE EXCEPTION 'delay must be zero to 100 years, not %', check_job.delay
        USING ERRCODE = 'HD002', COLUMN = 'delay', HINT = 'For a job that runs at once, leave delay out.';
    END IF;
  END IF;
  IF check_job.run_at < 'infinity' AND (check_job.run_at = '-infinity' OR check_job.run_at > timestamptz '9999-01-01') THEN
    RAISE EXCEPTION 'run_at must be a point in time before the year 9999 or infinity, not %', check_job.run_at
      USING ERRCODE = 'HD002', COLUMN = 'run_at', HINT = 'For a job that runs at once, leave run_at out; one at infinity waits until it is retried.';
  END IF;
END $$;
-- howdah.check_number(field, value, low, high, whole) -> void
-- Refuses what is no number in a range. A whole one has no decimals, not even zeros: 5.0 would be kept as it is, and then a claim
-- and a worker, who read an integer, would fail on it again and again. Others have at most 100: a float8 can hold them.
-- Errors: HD002 (invalid argument) with COLUMN field. Internal.
CREATE OR REPLACE FUNCTION howdah.check_number(field text, value jsonb, low numeric, high numeric, whole boolean DEFAULT true) RETURNS void
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF jsonb_typeof(check_number.value) = 'number' THEN
    IF (check_number.value #>> '{}')::numeric BETWEEN check_number.low AND check_number.high
       AND scale((check_number.value #>> '{}')::numeric) <= (CASE WHEN check_number.whole THEN 0 ELSE 100 END) THEN
      RETURN;
    END IF;
  END IF;
  PERFORM howdah.option_refused(check_number.field, format('must be a%s number from %s to %s, not %s',
    CASE WHEN check_number.whole THEN ' whole' ELSE '' END, check_number.low, check_number.high, left(check_number.value::text, 100)));
END $$;
-- howdah.check_options(options) -> void
-- Refuses options that do not exist or make no sense. The options of a job, each of which may be left out:
--   attributes  an object whose values are scalars or arrays of scalars, to find and to filter jobs by; at most 8 KiB
--   expires_at  a point in time, or ttl_ms a number of milliseconds from now: the job does not start after it
--   timeout_ms  how long one attempt may take; 1 to a year
--   retry       {policy: constant, linear or exponential, base_ms, factor, floor_ms, cap_ms, jitter}: what is left
--               out is as the kind or the queue says
--   version     of the payload's type, for the handler; 1 to 32767
--   traceparent the W3C trace context of whoever enqueues
--   limit_key   one to eight texts: so many jobs of each run at the same time as its rule says, see howdah.set_limit
--   order_key   a text: jobs with it run one at a time, in the order enqueued; see order_on_failure
--   order_on_failure  hold (default): a job that failed keeps the others of its order_key waiting until it has succeeded
--               or is dead; pass: they go first until it is due again
--   fair_key    a text: the queue is shared in turns among the values of this
--   depends_on  an array of 1 to 10000 ids of jobs, in any queue: the job is blocked until all of them have ended. Those that
--               have ended count as what they ended as. {"workflow": id} in place of an id is all jobs of a workflow
--   on_parent_failure  what becomes of it when one of them is dead, cancelled or expired: cancel (default): it is cancelled;
--               run: as if it had completed; hold: it stays blocked until that one is sent again and completes
--   weight      how many tokens of a rate it takes to start; 1 to 1000000, default 1
--   id          an id from howdah.reserve_id, for one job
--   unique      written by howdah.enqueue_unique
--   schedule    written by howdah.fire_slot
-- Errors: HD002 (invalid argument), naming the option in COLUMN. Shared by every way to enqueue.
CREATE OR REPLACE FUNCTION howdah.check_options(options jsonb) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_key   text;
  v_value jsonb;
BEGIN
  IF jsonb_typeof(check_options.options) <> 'object' THEN
    PERFORM howdah.option_refused('options', 'must be a JSON object, not ' || jsonb_typeof(check_options.options));
  END IF;
  FOR v_key, v_value IN SELECT * FROM jsonb_each(check_options.options) LOOP
    CASE v_key
      WHEN 'attributes' THEN
        PERFORM howdah.check_attributes(v_value);
      WHEN 'expires_at' THEN
        IF check_options.options ? 'ttl_ms' THEN
          PERFORM howdah.option_refused('ttl_ms', 'and expires_at: give one of them, not both');
        END IF;
        PERFORM howdah.as_time(v_key, v_value);
      WHEN 'ttl_ms' THEN
        PERFORM howdah.check_number(v_key, v_value, 0, 3155760000000);
      WHEN 'timeout_ms' THEN
        PERFORM howdah.check_number(v_key, v_value, 1, 31557600000);
      WHEN 'retry' THEN
        PERFORM howdah.check_retry(v_value);
      WHEN 'version' THEN
        PERFORM howdah.check_number(v_key, v_value, 1, 32767);
      WHEN 'traceparent' THEN
        IF jsonb_typeof(v_value) <> 'string' THEN
          PERFORM howdah.option_refused(v_key, 'must be a text, not ' || jsonb_typeof(v_value));
        END IF;
        PERFORM howdah.check_traceparent(v_value #>> '{}');
      WHEN 'limit_key', 'order_key', 'fair_key', 'order_on_failure' THEN
        PERFORM howdah.check_gate(v_key, v_value, check_options.options);
      WHEN 'depends_on', 'on_parent_failure' THEN
        PERFORM howdah.check_dependencies(v_key, v_value);
      WHEN 'weight' THEN
        PERFORM howdah.check_number(v_key, v_value, 1, 1000000);
      WHEN 'id' THEN
        PERFORM howdah.check_number(v_key, v_value, 128, 9007199254740991);
      WHEN 'unique' THEN
        -- It is believed when a dead job is sent again.
        IF jsonb_typeof(v_value) <> 'object' OR jsonb_typeof(v_value -> 'key') IS DISTINCT FROM 'string'
           OR octet_length(v_value ->> 'key') NOT BETWEEN 1 AND 512
           OR coalesce(v_value ->> 'scope' NOT IN ('live', 'period', 'forever'), true) THEN
          PERFORM howdah.option_refused(v_key, 'is written by howdah.enqueue_unique');
        END IF;
      WHEN 'schedule' THEN
        IF jsonb_typeof(v_value -> 'name') IS DISTINCT FROM 'string' OR jsonb_typeof(v_value -> 'due_at') IS DISTINCT FROM 'string' THEN
          PERFORM howdah.option_refused(v_key, 'is written when a schedule fires');
        END IF;
      ELSE
        PERFORM howdah.option_refused('options', 'have no ' || quote_literal(left(v_key, 100))
          || ': they are attributes, expires_at, ttl_ms, timeout_ms, retry, version, traceparent, limit_key, order_key, '
          || 'order_on_failure, fair_key, weight, depends_on, on_parent_failure and id');
    END CASE;
  END LOOP;
END $$;
-- howdah.check_retry(retry) -> void
-- Refuses a retry policy that makes no sense. Errors: HD002 (invalid argument) with COLUMN retry. Internal.
CREATE OR REPLACE FUNCTION howdah.check_retry(retry jsonb) RETURNS void
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_key   text;
  v_value jsonb;
BEGIN
  IF jsonb_typeof(check_retry.retry) <> 'object' THEN
    PERFORM howdah.option_refused('retry', 'must be a JSON object, not ' || jsonb_typeof(check_retry.retry));
  END IF;
  FOR v_key, v_value IN SELECT * FROM jsonb_each(check_retry.retry) LOOP
    CASE v_key
      WHEN 'policy' THEN
        IF v_value NOT IN ('"constant"', '"linear"', '"exponential"') THEN
          PERFORM howdah.option_refused('retry', 'policy must be constant, linear or exponential, not ' || left(v_value::text, 100));
        END IF;
      WHEN 'base_ms' THEN
        PERFORM howdah.check_number('retry', v_value, 1, 2147483647);
      WHEN 'factor' THEN
        PERFORM howdah.check_number('retry', v_value, 1, 100, false);
      WHEN 'floor_ms' THEN
        PERFORM howdah.check_number('retry', v_value, 0, 3155760000000);
      WHEN 'cap_ms' THEN
        PERFORM howdah.check_number('retry', v_value, 1, 3155760000000);
      WHEN 'jitter' THEN
        PERFORM howdah.check_number('retry', v_value, 0, 1, false);
      ELSE
        PERFORM howdah.option_refused('retry', 'has no ' || quote_literal(left(v_key, 100))
          || ': it has policy, base_ms, factor, floor_ms, cap_ms and jitter');
    END CASE;
  END LOOP;
  IF (check_retry.retry ->> 'floor_ms')::numeric > (check_retry.retry ->> 'cap_ms')::numeric THEN
    PERFORM howdah.option_refused('retry', 'floor_ms must not be above cap_ms');
  END IF;
END $$;
-- howdah.check_unique(key, scope, period, on_hit) -> void
-- Refuses what howdah.enqueue_unique cannot do. Internal.
-- Errors: HD002 (invalid argument), naming the field in COLUMN.
CREATE OR REPLACE FUNCTION howdah.check_unique(key text, scope text, period interval, on_hit text) RETURNS void
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF check_unique.key IS NULL OR octet_length(check_unique.key) NOT BETWEEN 1 AND 512 THEN
    PERFORM howdah.option_refused('key', format('must be 1 to 512 bytes, not %s', coalesce(octet_length(check_unique.key)::text, 'NULL')));
  END IF;
  IF check_unique.scope IS NULL OR check_unique.scope NOT IN ('live', 'period', 'forever') THEN
    PERFORM howdah.option_refused('scope', 'must be live, period or forever, not ' || coalesce(quote_literal(left(check_unique.scope, 100)), 'NULL'));
  END IF;
  IF (check_unique.scope = 'period') <> (check_unique.period IS NOT NULL) THEN
    PERFORM howdah.option_refused('period', 'belongs to the scope period, and the scope is ' || check_unique.scope);
  END IF;
  IF check_unique.period <= interval '0' OR check_unique.period > interval '100 years' THEN
    PERFORM howdah.option_refused('period', 'must be more than zero and at most 100 years, not ' || check_unique.period);
  END IF;
  IF check_unique.on_hit IS NULL OR check_unique.on_hit NOT IN ('keep', 'replace', 'replace_payload', 'replace_time', 'error') THEN
    PERFORM howdah.option_refused('on_hit', 'must be keep, replace, replace_payload, replace_time or error, not '
      || coalesce(quote_literal(left(check_unique.on_hit, 100)), 'NULL'));
  END IF;
END $$;
-- howdah.defer(due_at, first_id, jobs, queue_id, kind, priority, attempt, gates, gate) -> void
-- Puts a run of jobs into the room of what is due later, and tells the keeper if it means to sleep longer.
--   gates  what these jobs must pass when they are claimed, see gates_of; gate: what they are blocked by, or NULL
-- Writes: deferred. Locks: none that others need. Errors: none of its own. Internal.
CREATE OR REPLACE FUNCTION howdah.defer(due_at timestamptz, first_id bigint, jobs integer, queue_id integer, kind text, priority integer, attempt integer,
  gates text[] DEFAULT NULL, gate text DEFAULT NULL)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
  INSERT INTO howdah.deferred (due_at, first_id, queue_id, priority, jobs, attempt, kind, gates, gate)
    VALUES (defer.due_at, defer.first_id, defer.queue_id, defer.priority, defer.jobs, defer.attempt, defer.kind, defer.gates, defer.gate);
  PERFORM pg_notify('howdah.due', '') FROM howdah.keeper k WHERE k.wakes_at > defer.due_at;
END $$;
-- howdah.enqueue(kind, payload, queue, priority, run_at, delay, max_attempts, options) -> bigint
-- Enqueues one job in the caller's transaction: it exists if and only if that transaction commits.
--   kind          what is to be done: the name of a handler, 1 to 128 bytes
--   payload       any JSON; at most the queue's max_payload_bytes
--   queue         must exist
--   priority      0 (first) to 9 (last)
--   run_at, delay when it is due, by the server's clock; at most one of them; the past means at once, infinity
--                 that it is parked: it waits until howdah.retry
--   max_attempts  how often it is tried before it is dead; NULL: as the queue says
--   options       what few jobs have: attributes, expires_at or ttl_ms, timeout_ms, retry, version, traceparent, id;
--                 see howdah.check_options
-- Returns the job's id.
-- Writes: job and ticket, or job and deferred. Notifies at commit only if a worker of the queue sleeps.
-- Locks: row-exclusive on those tables; no row or key that another enqueuer needs.
--   A queue with a bound (max_jobs) is the exception: see make_room.
-- Errors: HD001 unknown queue, HD002 invalid argument (COLUMN names the field), HD005 the queue is full.
-- Cost: two inserts with one index entry each; about 380 bytes of WAL.
-- Written for speed: a statement or an expression more is felt here, so one lookup decides whether all is
-- well and common, and whatever is not (options, a delay) goes to howdah.enqueue_slowly.
CREATE OR REPLACE FUNCTION howdah.enqueue(
  kind text, payload jsonb DEFAULT '{}', queue text DEFAULT 'default', priority integer DEFAULT 5,
  run_at timestamptz DEFAULT NULL, delay interval DEFAULT NULL, max_attempts integer DEFAULT NULL,
  options jsonb DEFAULT NULL)
RETURNS bigint LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  v_id       bigint;
  v_queue    integer;
  v_attempts smallint;
  v_slot     smallint;
  v_asleep   boolean;
BEGIN
  SELECT nextval('howdah.block_seq') << 7, q.id, coalesce(enqueue.max_attempts, q.max_attempts), q.fresh_slot,
         EXISTS (SELECT FROM howdah.sleeper s WHERE s.queue_id = q.id)
    INTO v_id, v_queue, v_attempts, v_slot, v_asleep
    FROM howdah.queue q
   WHERE q.name = enqueue.queue AND enqueue.priority BETWEEN 0 AND 9 AND enqueue.run_at IS NULL AND enqueue.delay IS NULL
     AND octet_length(enqueue.kind) BETWEEN 1 AND 128 AND enqueue.kind !~ '[[:cntrl:]]'
     AND pg_column_size(enqueue.payload) <= q.max_payload_bytes AND coalesce(enqueue.max_attempts, 1) BETWEEN 1 AND 1000
     AND enqueue.options IS NULL AND q.max_jobs IS NULL;
  IF v_id IS NULL THEN
    RETURN howdah.enqueue_slowly(enqueue.kind, enqueue.payload, enqueue.queue, enqueue.priority, enqueue.run_at, enqueue.delay,
      enqueue.max_attempts, enqueue.options);
  END IF;
  INSERT INTO howdah.job (id, enqueued_at, queue_id, priority, max_attempts, kind, payload, options)
    VALUES (v_id, howdah.now(), v_queue, enqueue.priority, v_attempts, enqueue.kind, enqueue.payload, NULL);
  INSERT INTO howdah.ticket (first_id, queue_id, slot, priority, jobs, attempt, kind)
    VALUES (v_id, v_queue, v_slot, enqueue.priority, 1, 0, enqueue.kind);
  IF v_asleep THEN
    PERFORM pg_notify('howdah.wake', v_queue::text);
  END IF;
  RETURN v_id;
END $$;
-- howdah.enqueue_many(kind, payloads, queue, priority, run_at, delay, max_attempts, options) -> (first_id, jobs)
-- Enqueues any number of jobs that differ only in their payloads, in the caller's transaction, in order.
-- Arguments as for howdah.enqueue; payloads: a thousand to ten thousand per call is best, 100,000 the most.
-- Returns the ids as runs of consecutive ids, in order: first_id, first_id + 1, ... jobs of them.
-- Writes: job, one ticket (or deferred row) for each 128 jobs, and expiry for jobs that have one. Locks: as howdah.enqueue.
-- Errors: HD001 unknown queue, HD002 invalid argument (COLUMN names the field), HD005 the queue is full. All jobs or none.
-- Cost: one index entry a job.
CREATE OR REPLACE FUNCTION howdah.enqueue_many(
  kind text, payloads jsonb[], queue text DEFAULT 'default', priority integer DEFAULT 5,
  run_at timestamptz DEFAULT NULL, delay interval DEFAULT NULL, max_attempts integer DEFAULT NULL,
  options jsonb DEFAULT NULL)
RETURNS TABLE (first_id bigint, jobs integer) LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  v_count  integer := cardinality(enqueue_many.payloads);
  v_blocks bigint[];
  v_queue  howdah.queue;
  v_fit    integer;
  v_now    timestamptz := howdah.now();
  v_due    timestamptz;
  v_options jsonb := enqueue_many.options;
  v_gates  text[];
BEGIN
  PERFORM howdah.check_job(enqueue_many.kind, enqueue_many.priority, enqueue_many.run_at, enqueue_many.delay, enqueue_many.max_attempts,
    enqueue_many.options);
  v_due := coalesce(enqueue_many.run_at, v_now + enqueue_many.delay);
  IF v_count IS NULL OR v_count > 100000 OR array_ndims(enqueue_many.payloads) > 1 THEN
    RAISE EXCEPTION 'payloads must be a flat array of at most 100000, not %', coalesce(v_count::text, 'NULL')
      USING ERRCODE = 'HD002', COLUMN = 'payloads', HINT = 'Call it several times in one transaction.';
  END IF;
  SELECT * INTO v_queue FROM howdah.queue q WHERE q.name = enqueue_many.queue;
  IF NOT FOUND THEN
    PERFORM howdah.unknown_queue(enqueue_many.queue);
  END IF;
  IF v_count = 0 THEN
    RETURN;
  END IF;
  IF array_position(enqueue_many.payloads, NULL) IS NOT NULL THEN
    PERFORM howdah.payload_refused(enqueue_many.queue, NULL, NULL);
  END IF;
  IF v_options IS NOT NULL THEN
    v_options := howdah.stored_options(v_options, v_now);
    v_gates := howdah.gates_of(v_options);
    IF v_options ? 'depends_on' THEN
      v_options := v_options || jsonb_build_object('depends_on', howdah.resolve_parents(v_options -> 'depends_on'))
        || CASE WHEN v_due > v_now THEN jsonb_build_object('due_at', v_due) ELSE '{}' END;
    END IF;
  END IF;
  -- After resolve_parents, which may lock a workflow: add_to_workflow locks the workflow first.
  IF v_queue.max_jobs IS NOT NULL THEN
    PERFORM howdah.make_room(v_queue, v_count);
  END IF;
  IF enqueue_many.options ? 'id' THEN
    v_blocks := ARRAY[howdah.reserved_id((enqueue_many.options ->> 'id')::bigint, v_count)];
  ELSE
    SELECT array_agg(nextval('howdah.block_seq') << 7) INTO v_blocks FROM generate_series(1, (v_count + 127) / 128);
  END IF;
  INSERT INTO howdah.job (id, enqueued_at, queue_id, priority, max_attempts, kind, payload, options)
  SELECT v_blocks[((u.n - 1) >> 7) + 1] + ((u.n - 1) & 127), v_now, v_queue.id, enqueue_many.priority,
         coalesce(enqueue_many.max_attempts, v_queue.max_attempts), enqueue_many.kind, u.payload, v_options
    FROM unnest(enqueue_many.payloads) WITH ORDINALITY u(payload, n)
   WHERE pg_column_size(u.payload) <= v_queue.max_payload_bytes;
  GET DIAGNOSTICS v_fit = ROW_COUNT;
  IF v_fit < v_count THEN
    PERFORM howdah.payload_refused(enqueue_many.queue, max(pg_column_size(u)), v_queue.max_payload_bytes) FROM unnest(enqueue_many.payloads) u;
  END IF;
  IF v_options ? 'depends_on' THEN
    PERFORM howdah.enqueue_blocked(ARRAY(SELECT v_blocks[(n >> 7) + 1] + (n & 127) FROM generate_series(0, v_count - 1) n),
      v_queue.id, enqueue_many.kind, enqueue_many.priority, v_gates, v_options);
  ELSIF v_due > v_now THEN
    PERFORM howdah.defer(v_due, b.first_id, least(128, v_count - (b.n - 1)::integer * 128), v_queue.id, enqueue_many.kind, enqueue_many.priority, 0, v_gates)
      FROM unnest(v_blocks) WITH ORDINALITY b(first_id, n);
  ELSIF v_options ? 'fair_key' THEN
    INSERT INTO howdah.deferred (due_at, first_id, queue_id, priority, jobs, attempt, kind, gates, gate)
    SELECT 'infinity', b.first_id, v_queue.id, enqueue_many.priority, least(128, v_count - (b.n - 1) * 128), 0, enqueue_many.kind, v_gates,
           howdah.lane_of(v_queue.id, v_options ->> 'fair_key')
      FROM unnest(v_blocks) WITH ORDINALITY b(first_id, n);
    PERFORM howdah.wake(v_queue.id);
  ELSE
    INSERT INTO howdah.ticket (first_id, queue_id, slot, priority, jobs, attempt, kind, gates)
    SELECT b.first_id, v_queue.id, v_queue.fresh_slot, enqueue_many.priority, least(128, v_count - (b.n - 1) * 128), 0, enqueue_many.kind, v_gates
      FROM unnest(v_blocks) WITH ORDINALITY b(first_id, n);
    PERFORM howdah.wake(v_queue.id);
  END IF;
  IF v_options ? 'order_key' THEN
    INSERT INTO howdah.ordered (key, job_id, passed_by)
    SELECT v_options ->> 'order_key', v_blocks[(n >> 7) + 1] + (n & 127), v_options ? 'depends_on' FROM generate_series(0, v_count - 1) n;
  END IF;
  IF v_options ? 'expires_at' THEN
    PERFORM howdah.expire_at((v_options ->> 'expires_at')::timestamptz, v_blocks, v_count);
  END IF;
  RETURN QUERY SELECT b.first_id, least(128, v_count - (b.n - 1)::integer * 128)
    FROM unnest(v_blocks) WITH ORDINALITY b(first_id, n);
END $$;
-- howdah.enqueue_slowly(kind, payload, queue, priority, run_at, delay, max_attempts, options) -> bigint
-- What howdah.enqueue does not decide at a glance: jobs that are due later, queues with a bound, and everything that
-- must be refused. Internal: same arguments, writes, locks and errors as howdah.enqueue.
CREATE OR REPLACE FUNCTION howdah.enqueue_slowly(kind text, payload jsonb, queue text, priority integer, run_at timestamptz,
  delay interval, max_attempts integer, options jsonb)
RETURNS bigint LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN (SELECT m.first_id FROM howdah.enqueue_many(enqueue_slowly.kind, ARRAY[enqueue_slowly.payload], enqueue_slowly.queue,
    enqueue_slowly.priority, enqueue_slowly.run_at, enqueue_slowly.delay, enqueue_slowly.max_attempts, enqueue_slowly.options) m);
END $$;
-- howdah.enqueue_unique(kind, payload, key, scope, period, on_hit, queue, ...) -> (id, hit)
-- Enqueues a job unless one of its kind has the same key.
--   key      1 to 512 bytes; NULL: made of the payload, so that equal arguments are the same job
--   scope    live: until the job has ended (completed, cancelled, expired or dead)
--            period: for `period` after it was enqueued, whatever becomes of it        forever: for good
--   on_hit   keep: nothing is written, and the id of the job that has the key is returned
--            replace: that job, if it still waits, gets what is given here: payload, due time, priority, options; its
--            attempts start over. replace_payload, replace_time: only that
--            error: HD003
--   the rest as for howdah.enqueue
-- A job that runs is not changed: with the three kinds of replace a new job is enqueued then, which takes the key over.
-- One that has ended and keeps its key (period, forever) is kept.
-- Returns the job's id, and whether it was there before.
-- Writes: unique_key, and see howdah.enqueue; on a hit: ticket or deferred, job.
-- Locks: another transaction that uses the same key waits for the end of this one.
-- Errors: HD001 unknown queue, HD002 invalid argument (COLUMN names the field), HD003 another job has the key.
CREATE OR REPLACE FUNCTION howdah.enqueue_unique(
  kind text, payload jsonb DEFAULT '{}', key text DEFAULT NULL, scope text DEFAULT 'live', period interval DEFAULT NULL,
  on_hit text DEFAULT 'keep', queue text DEFAULT 'default', priority integer DEFAULT 5, run_at timestamptz DEFAULT NULL,
  delay interval DEFAULT NULL, max_attempts integer DEFAULT NULL, options jsonb DEFAULT NULL)
RETURNS TABLE (id bigint, hit boolean) LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  v_now     timestamptz := howdah.now();
  v_key     text := coalesce(enqueue_unique.key, howdah.payload_key(enqueue_unique.payload));
  v_id      bigint;
  v_options jsonb;
  v_until   timestamptz;
  v_holder  bigint;
  v_state   text;
  v_replaced boolean;
BEGIN
  IF enqueue_unique.payload IS NULL THEN
    PERFORM howdah.payload_refused(enqueue_unique.queue, NULL, NULL);
  END IF;
  PERFORM howdah.check_unique(v_key, enqueue_unique.scope, enqueue_unique.period, enqueue_unique.on_hit);
  PERFORM howdah.check_job(enqueue_unique.kind, enqueue_unique.priority, enqueue_unique.run_at, enqueue_unique.delay,
    enqueue_unique.max_attempts, enqueue_unique.options);
  v_id := coalesce((enqueue_unique.options ->> 'id')::bigint, howdah.reserve_id());
  v_until := v_now + enqueue_unique.period;
  v_options := coalesce(enqueue_unique.options, '{}') || jsonb_build_object('id', v_id, 'unique', jsonb_build_object('key', v_key, 'scope', enqueue_unique.scope));
  -- The bound's lock before the key's, as everywhere: else of two enqueuers each might wait for the other.
  PERFORM pg_advisory_xact_lock('howdah.queue'::regclass::oid::bigint << 32 | q.id)
     FROM howdah.queue q WHERE q.name = enqueue_unique.queue AND q.max_jobs IS NOT NULL;
  v_holder := howdah.take_key(enqueue_unique.kind, v_key, v_id, enqueue_unique.scope, v_until, enqueue_unique.on_hit LIKE 'replace%');
  IF v_holder IS NULL THEN
    RETURN QUERY SELECT m.first_id, false FROM howdah.enqueue_many(enqueue_unique.kind, ARRAY[enqueue_unique.payload], enqueue_unique.queue,
      enqueue_unique.priority, enqueue_unique.run_at, enqueue_unique.delay, enqueue_unique.max_attempts, v_options) m;
    RETURN;
  END IF;
  IF enqueue_unique.on_hit = 'error' THEN
    PERFORM howdah.key_held(enqueue_unique.kind, v_holder);
  END IF;
  IF enqueue_unique.on_hit LIKE 'replace%' THEN
    -- An attempt may fail while we look: each round sees the newest.
    FOR round IN 1..5 LOOP
      v_replaced := howdah.replace_job(v_holder, enqueue_unique.on_hit, enqueue_unique.payload, enqueue_unique.queue, enqueue_unique.priority,
        coalesce(enqueue_unique.run_at, v_now + enqueue_unique.delay), enqueue_unique.max_attempts, v_options);
      EXIT WHEN v_replaced;
      v_state := howdah.state(v_holder);
      IF v_state = 'running' THEN
        -- From here on whoever asks for the key waits for us. If the attempt has failed by now, somebody may have asked before that, and
        -- was told of the job: it waits again, and is the one to replace.
        UPDATE howdah.unique_key u SET job_id = v_id WHERE u.kind = enqueue_unique.kind AND u.key = v_key;
        v_state := howdah.state(v_holder);
        EXIT WHEN v_state = 'running';
        UPDATE howdah.unique_key u SET job_id = v_holder WHERE u.kind = enqueue_unique.kind AND u.key = v_key;
      END IF;
      EXIT WHEN v_state IS NULL OR v_state NOT IN ('ready', 'scheduled', 'blocked');
    END LOOP;
    IF v_replaced THEN
      IF enqueue_unique.on_hit = 'replace' THEN
        UPDATE howdah.unique_key u SET scope = enqueue_unique.scope, expires_at = v_until
         WHERE u.kind = enqueue_unique.kind AND u.key = v_key;
      END IF;
      RETURN QUERY SELECT v_holder, true;
      RETURN;
    -- It runs; or it has ended since we looked.
    ELSIF v_state = 'running'
       OR EXISTS (SELECT FROM howdah.unique_key u WHERE u.kind = enqueue_unique.kind AND u.key = v_key AND u.scope = 'live') THEN
      UPDATE howdah.unique_key u SET job_id = v_id, scope = enqueue_unique.scope, expires_at = v_until
       WHERE u.kind = enqueue_unique.kind AND u.key = v_key;
      RETURN QUERY SELECT m.first_id, false FROM howdah.enqueue_many(enqueue_unique.kind, ARRAY[enqueue_unique.payload], enqueue_unique.queue,
        enqueue_unique.priority, enqueue_unique.run_at, enqueue_unique.delay, enqueue_unique.max_attempts, v_options) m;
      RETURN;
    END IF;
  END IF;
  RETURN QUERY SELECT v_holder, true;
END $$;
-- howdah.expire_at(expires_at, first_ids, jobs) -> void
-- Notes when jobs expire, and tells the keeper if it means to sleep longer. Internal to enqueue_many: `jobs` jobs in
-- runs of 128, the last one shorter.
-- Writes: expiry. Errors: none.
CREATE OR REPLACE FUNCTION howdah.expire_at(expires_at timestamptz, first_ids bigint[], jobs integer) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
  INSERT INTO howdah.expiry (job_id, expires_at)
  SELECT b.first_id + g, expire_at.expires_at
    FROM unnest(expire_at.first_ids) WITH ORDINALITY b(first_id, n), generate_series(0, least(128, expire_at.jobs - (b.n - 1)::integer * 128) - 1) g;
  PERFORM pg_notify('howdah.due', '') FROM howdah.keeper k WHERE k.wakes_at > expire_at.expires_at;
END $$;
-- howdah.key_held(kind, job_id) -> never returns
-- Says which job has a unique key. Errors: HD003. Internal.
CREATE OR REPLACE FUNCTION howdah.key_held(kind text, job_id bigint) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RAISE EXCEPTION 'job % of kind % has this unique key', coalesce(key_held.job_id::text, '?'), quote_literal(key_held.kind)
    USING ERRCODE = 'HD003', COLUMN = 'key', DETAIL = coalesce(key_held.job_id::text, ''),
      HINT = 'Wait until it has ended, cancel it, or enqueue with on_hit => ''keep'' to be given its id instead of an error.';
END $$;
-- howdah.key_is_free(held) -> boolean
-- Whether a unique key can be taken although it has a row: its period is over; or it lasts as long as its job, and that
-- has ended, or waits and will never start (it has expired, or its queue was deleted). Internal. Reads: howdah.jobs.
CREATE OR REPLACE FUNCTION howdah.key_is_free(held howdah.unique_key) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
DECLARE
  j record;
BEGIN
  IF (key_is_free.held).scope <> 'live' THEN
    RETURN coalesce((key_is_free.held).expires_at <= howdah.now(), false);
  END IF;
  SELECT v.state, v.expires_at INTO j FROM howdah.jobs v WHERE v.id = (key_is_free.held).job_id;
  IF NOT FOUND OR j.state NOT IN ('scheduled', 'blocked', 'ready', 'running') THEN
    RETURN true;
  END IF;
  RETURN j.state <> 'running' AND (coalesce(j.expires_at <= howdah.now(), false)
    OR EXISTS (SELECT FROM howdah.find_job((key_is_free.held).job_id) f JOIN howdah.deleted_queue d ON d.id = f.queue_id));
END $$;
-- howdah.make_room(queue, jobs) -> void
-- Holds a bounded queue to its max_jobs: refuses if so many more jobs would be too many, and else keeps others from
-- enqueueing into it until the caller's transaction ends, so that the bound holds under any number of them.
-- Does nothing for a queue without a bound. Whatever enqueues calls this before it writes. What comes back to the
-- queue, as a dead job that is retried, may go beyond the bound. Internal.
-- Locks: an advisory lock of the queue, until the transaction ends: other enqueuers of this queue wait for it. Of two
-- transactions that enqueue into the same two bounded queues in different order, PostgreSQL ends one (40P01).
-- Errors: HD002 more jobs than would ever fit, HD005 the queue is full (DETAIL: its name and counts as JSON), HD012 the
-- transaction is not READ COMMITTED and would not see what others have enqueued.
-- Cost: see unfinished.
CREATE OR REPLACE FUNCTION howdah.make_room(queue howdah.queue, jobs integer) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_most integer := (make_room.queue).max_jobs;
  v_name text := (make_room.queue).name;
  v_jobs bigint;
BEGIN
  IF v_most IS NULL THEN
    RETURN;
  END IF;
  IF make_room.jobs > v_most THEN
    RAISE EXCEPTION 'these are % jobs, and queue % takes at most % (max_jobs)', make_room.jobs, v_name, v_most
      USING ERRCODE = 'HD002', COLUMN = 'payloads', HINT = 'Enqueue them in smaller parts.';
  END IF;
  IF current_setting('transaction_isolation') NOT LIKE 'read %' THEN
    RAISE EXCEPTION 'queue % is bounded (max_jobs): enqueueing needs a transaction that is READ COMMITTED, not %', v_name,
      upper(current_setting('transaction_isolation'))
      USING ERRCODE = 'HD012', HINT = 'Enqueue in a transaction of its own, or take the bound off the queue.';
  END IF;
  PERFORM pg_advisory_xact_lock('howdah.queue'::regclass::oid::bigint << 32 | (make_room.queue).id);
  v_jobs := howdah.unfinished((make_room.queue).id, v_most);
  IF v_jobs + make_room.jobs > v_most THEN
    RAISE EXCEPTION 'queue % is full: % of max_jobs %', v_name, v_jobs, v_most
      USING ERRCODE = 'HD005', COLUMN = 'queue', DETAIL = jsonb_build_object('queue', v_name, 'jobs', v_jobs, 'max_jobs', v_most),
        HINT = 'Enqueue again when jobs have ended (howdah.wait_for_space), or raise the bound: howdah.set_queue';
  END IF;
END $$;
-- howdah.option_refused(field, rule) -> never returns
-- Says which option is wrong, and what is right. Errors: HD002 (invalid argument) with COLUMN field. Internal.
CREATE OR REPLACE FUNCTION howdah.option_refused(field text, rule text) RETURNS void
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RAISE EXCEPTION '% %', option_refused.field, option_refused.rule USING ERRCODE = 'HD002', COLUMN = option_refused.field;
END $$;
-- howdah.payload_key(payload) -> text
-- A unique key made of a payload: equal for JSON that is equal, whatever the order of its names, its white space, or how
-- its numbers are written (1, 1.0 and 1.00 are one number). Errors: none.
-- Cost: one SHA-256. A payload with a number that ends in a decimal zero is rewritten first.
CREATE OR REPLACE FUNCTION howdah.payload_key(payload jsonb) RETURNS text
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_text text := payload_key.payload::text;
BEGIN
  -- jsonb has sorted the names and dropped the white space; numbers keep the zeros that they were written with.
  IF v_text ~ '\.[0-9]*0($|[^0-9])' THEN
    v_text := howdah.canonical(payload_key.payload)::text;
  END IF;
  RETURN 'payload:' || encode(sha256(convert_to(v_text, 'UTF8')), 'hex');
END $$;
-- howdah.payload_refused(queue, bytes, max_bytes) -> never returns
-- Says that a payload is missing or too large, and what to do about it. Internal.
-- Errors: HD002 (invalid argument) with COLUMN payload.
CREATE OR REPLACE FUNCTION howdah.payload_refused(queue text, bytes integer, max_bytes integer) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF payload_refused.bytes IS NULL THEN
    RAISE EXCEPTION 'payload must be JSON, not NULL'
      USING ERRCODE = 'HD002', COLUMN = 'payload', HINT = 'For a job without arguments, leave payload out or give ''{}''.';
  END IF;
  RAISE EXCEPTION 'payload is % bytes, and queue % takes at most %', payload_refused.bytes, payload_refused.queue, payload_refused.max_bytes
    USING ERRCODE = 'HD002', COLUMN = 'payload',
      HINT = 'Store large data elsewhere and enqueue its key, or raise max_payload_bytes of the queue.';
END $$;
-- howdah.replace_job(job_id, what, payload, queue, priority, due_at, max_attempts, options) -> boolean
-- Gives a job that waits another payload (what: replace_payload), another time (replace_time), or all of what is given
-- (replace), which also makes its attempts start over. Returns whether it waited. Internal to howdah.enqueue_unique.
-- Writes: job, ticket or deferred, expiry, ordered, gate_look, progress, step. Locks: the row that it
-- waits in; waits for a claim of it that is under way. Errors: HD001, HD002.
CREATE OR REPLACE FUNCTION howdah.replace_job(job_id bigint, what text, payload jsonb, queue text, priority integer, due_at timestamptz,
  max_attempts integer, options jsonb)
RETURNS boolean LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
DECLARE
  v_now     timestamptz := howdah.now();
  v_queue   howdah.queue;
  v_options jsonb := howdah.stored_options(replace_job.options, v_now);
  v_due     timestamptz := replace_job.due_at;
  v_attempt integer := 0;
  v_gate    text;
  v_left    text;
  w         record;
  v_size    integer;
  j         howdah.job;
BEGIN
  IF replace_job.what = 'replace_payload' THEN
    v_due := NULL;
  END IF;
  w := howdah.single_out(replace_job.job_id);
  IF w.state IS NULL THEN
    RETURN false;
  END IF;
  PERFORM howdah.drop_waiting(replace_job.job_id, w.state, w.queue_id, w.priority);
  v_attempt := w.attempt;
  -- A job that waits for others goes on to; one that waits at another gate comes to its gates anew.
  v_gate := CASE WHEN w.gate = 'dependencies' THEN w.gate END;
  IF replace_job.what = 'replace_payload' AND w.gate IS NULL THEN
    v_due := w.due_at;
  END IF;
  SELECT * INTO v_queue FROM howdah.queue q WHERE q.name = replace_job.queue;
  IF NOT FOUND THEN
    PERFORM howdah.unknown_queue(replace_job.queue);
  END IF;
  -- Out of an array, where it has its full size, however a table of the caller's has compressed it.
  v_size := (SELECT pg_column_size(u) FROM unnest(ARRAY[replace_job.payload]) u);
  IF v_size > v_queue.max_payload_bytes THEN
    PERFORM howdah.payload_refused(replace_job.queue, v_size, v_queue.max_payload_bytes);
  END IF;
  SELECT * INTO j FROM howdah.find_job(replace_job.job_id);
  IF replace_job.what <> 'replace_time' THEN
    j.payload := replace_job.payload;
    -- How far the old payload had come is nothing to go on from.
    DELETE FROM howdah.progress p WHERE p.job_id = j.id;
    DELETE FROM howdah.step s WHERE s.job_id = j.id;
  END IF;
  IF replace_job.what = 'replace' THEN
    IF j.queue_id <> v_queue.id THEN
      PERFORM howdah.make_room(v_queue, 1);
    END IF;
    j.queue_id := v_queue.id;
    j.priority := replace_job.priority;
    j.max_attempts := coalesce(replace_job.max_attempts, v_queue.max_attempts);
    -- What it waits for stays as it was.
    j.options := howdah.with_dependencies(v_options, CASE WHEN v_gate = 'dependencies' THEN j.options END);
    v_attempt := 0;
    DELETE FROM howdah.expiry e WHERE e.job_id = j.id;
    DELETE FROM howdah.ordered o WHERE o.job_id = j.id AND o.key IS DISTINCT FROM v_options ->> 'order_key' RETURNING o.key INTO v_left;
    IF FOUND THEN
      -- Another one may be the first of that order now.
      PERFORM howdah.watch_gate('order:' || v_left);
    END IF;
    IF v_options ? 'expires_at' THEN
      PERFORM howdah.expire_at((v_options ->> 'expires_at')::timestamptz, ARRAY[j.id], 1);
    END IF;
  END IF;
  IF v_gate = 'dependencies' AND replace_job.what <> 'replace_payload' THEN
    j.options := (j.options - 'due_at') || CASE WHEN v_due > v_now THEN jsonb_build_object('due_at', v_due) ELSE '{}' END;
  END IF;
  PERFORM howdah.rewrite_job(j), howdah.join_orders(ARRAY[j.id]);
  IF v_due > v_now OR v_gate IS NOT NULL THEN
    PERFORM howdah.defer(CASE WHEN v_gate IS NOT NULL THEN 'infinity' ELSE v_due END, j.id, 1, j.queue_id, j.kind, j.priority, v_attempt,
      howdah.gates_of(j.options), v_gate);
  ELSE
    PERFORM howdah.put_back(ARRAY[j.id], ARRAY[v_attempt]::smallint[]);
  END IF;
  RETURN true;
END $$;
-- howdah.reserve_id() -> bigint
-- An id for a job that is enqueued later, with options => '{"id": ...}': for who must know it before the job exists.
-- Costs a number of the sequence, and is never given again. Errors: none.
CREATE OR REPLACE FUNCTION howdah.reserve_id() RETURNS bigint
LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $$ SELECT nextval('howdah.block_seq') << 7 $$;
-- howdah.reserved_id(id, jobs) -> bigint
-- Checks an id that a caller brings: it must come from howdah.reserve_id, be for one job, and not be in use, nor have been as far as
-- history goes: what is kept of a job that was deleted would be told of the new one.
-- Two enqueues of one id at the same time: the second one fails with a unique violation. Internal.
-- Errors: HD002 (invalid argument) with COLUMN id.
CREATE OR REPLACE FUNCTION howdah.reserved_id(id bigint, jobs integer) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off AS $$
BEGIN
  IF reserved_id.jobs <> 1 THEN
    PERFORM howdah.option_refused('id', 'is for one job, and there are ' || reserved_id.jobs);
  END IF;
  IF reserved_id.id & 127 <> 0 OR reserved_id.id >> 7 > (SELECT s.last_value FROM howdah.block_seq s) THEN
    PERFORM howdah.option_refused('id', 'must come from howdah.reserve_id(), and this does not');
  END IF;
  IF EXISTS (SELECT FROM howdah.find_job(reserved_id.id)) THEN
    PERFORM howdah.option_refused('id', format('%s belongs to a job already', reserved_id.id));
  END IF;
  -- Nobody shares its block of 128.
  IF EXISTS (SELECT FROM howdah.receipt r WHERE r.span @> reserved_id.id AND reserved_id.id = ANY (r.first_ids)) THEN
    PERFORM howdah.option_refused('id', format('%s was that of a job that has ended', reserved_id.id));
  END IF;
  RETURN reserved_id.id;
END $$;
-- howdah.span_micros(micros) -> interval
-- Microseconds as an interval: how clients without a library of dates give one. NULL for NULL.
CREATE OR REPLACE FUNCTION howdah.span_micros(micros bigint) RETURNS interval
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN '1 microsecond'::pg_catalog.interval OPERATOR(pg_catalog.*) micros::pg_catalog.float8;
-- howdah.stored_options(options, now) -> jsonb
-- Options as they are kept with a job: a ttl has become a point in time, and what is not for the job is left out.
-- NULL if nothing is left. Internal to enqueueing. Errors: none, they are checked before.
CREATE OR REPLACE FUNCTION howdah.stored_options(options jsonb, now timestamptz) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_options jsonb := stored_options.options - 'id' - 'ttl_ms';
  v_at      timestamptz;
BEGIN
  IF stored_options.options ? 'ttl_ms' THEN
    v_at := stored_options.now + make_interval(secs => (stored_options.options ->> 'ttl_ms')::float8 / 1000);
  ELSIF stored_options.options ? 'expires_at' THEN
    v_at := howdah.as_time('expires_at', stored_options.options -> 'expires_at');
  END IF;
  IF v_at IS NOT NULL THEN
    v_options := v_options || jsonb_build_object('expires_at', v_at);
  END IF;
  RETURN nullif(v_options, '{}');
END $$;
-- howdah.take_key(kind, key, job_id, scope, expires_at, hold) -> bigint
-- Takes a unique key for a job that is about to be enqueued. Returns NULL if it is taken now, or the job that has it.
-- A key whose period is over is free, and so is one whose job has ended although the key lasts only as long as it:
-- whatever has gone wrong, a key is never lost for good. Internal to howdah.enqueue_unique.
-- hold says whether the caller will change the job that has the key: only then is the key locked on a hit.
-- Writes: unique_key. Locks: the key's row if it is taken or hold is set; waits for a transaction that has it.
CREATE OR REPLACE FUNCTION howdah.take_key(kind text, key text, job_id bigint, scope text, expires_at timestamptz, hold boolean) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  u howdah.unique_key;
BEGIN
  LOOP
    INSERT INTO howdah.unique_key (kind, key, job_id, scope, expires_at)
      VALUES (take_key.kind, take_key.key, take_key.job_id, take_key.scope, take_key.expires_at) ON CONFLICT DO NOTHING;
    IF FOUND THEN
      RETURN NULL;
    END IF;
    -- Looked at without a lock first: a hit that changes nothing must not hold up whoever ends the job.
    SELECT * INTO u FROM howdah.unique_key k WHERE k.kind = take_key.kind AND k.key = take_key.key;
    IF FOUND AND NOT take_key.hold AND NOT howdah.key_is_free(u) THEN
      RETURN u.job_id;
    END IF;
    SELECT * INTO u FROM howdah.unique_key k WHERE k.kind = take_key.kind AND k.key = take_key.key FOR UPDATE;
    -- Gone since: try again.
    CONTINUE WHEN NOT FOUND;
    IF howdah.key_is_free(u) THEN
      UPDATE howdah.unique_key k SET job_id = take_key.job_id, scope = take_key.scope, expires_at = take_key.expires_at
       WHERE k.kind = take_key.kind AND k.key = take_key.key;
      RETURN NULL;
    END IF;
    RETURN u.job_id;
  END LOOP;
END $$;
-- howdah.unfinished(queue_id, most) -> bigint
-- How many jobs of a queue have not ended: exact if that is less than `most`, else at least `most`.
-- Reads: lease, ticket, deferred: at most `most` rows. Locks: none. Errors: none. Internal to make_room.
-- Cost: a page or so for each lease, and one index entry for each run of jobs.
CREATE OR REPLACE FUNCTION howdah.unfinished(queue_id integer, most bigint) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off SET jit = off AS $$
BEGIN
  -- One statement, so that a job on its way from one room to another is counted once. Whoever calls this has a lock,
  -- and the statement's snapshot is younger than that.
  RETURN (SELECT coalesce(sum(r.jobs), 0) FROM (
    SELECT x.jobs FROM (
      SELECT (SELECT sum(c) FROM unnest(l.counts) c) - (SELECT count(*) FROM howdah.settled s WHERE s.lease_id = l.id) AS jobs
        FROM howdah.lease l WHERE l.queue_id = unfinished.queue_id) x WHERE x.jobs > 0
    UNION ALL
    SELECT t.jobs FROM howdah.ticket t WHERE t.queue_id = unfinished.queue_id
    UNION ALL
    SELECT d.jobs FROM howdah.deferred d WHERE d.queue_id = unfinished.queue_id
    LIMIT unfinished.most) r);
END $$;
-- howdah.unknown_queue(name) -> never returns
-- Says that a queue does not exist and how to make it. Internal: one place, so that every function says it alike.
-- Errors: HD001 (unknown queue).
CREATE OR REPLACE FUNCTION howdah.unknown_queue(name text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RAISE EXCEPTION 'there is no queue named %', coalesce(quote_literal(left(unknown_queue.name, 100)), 'NULL')
    USING ERRCODE = 'HD001', COLUMN = 'queue',
      HINT = 'Start a worker that serves it, or create it: SELECT howdah.create_queue(''name'')';
END $$;
-- howdah.wait_for_space(queue, timeout) -> boolean
-- Waits until a bounded queue takes at least one more job. Returns whether it does; at once for a queue without a
-- bound. It promises nothing: somebody else may be faster, so enqueue and be ready to wait again.
--   timeout  zero to an hour
-- Meant for psql and scripts: while it waits it keeps its connection and a snapshot. Call it outside of your transaction.
-- Reads: queue, and see unfinished. Locks: none. Errors: HD001 unknown queue, HD002 invalid timeout, HD012 the
-- transaction is not READ COMMITTED and would never see room.
CREATE OR REPLACE FUNCTION howdah.wait_for_space(queue text, timeout interval DEFAULT '1 minute') RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_queue howdah.queue;
  v_left  float8 := extract(epoch FROM wait_for_space.timeout);
  v_pause float8 := 0.01;
BEGIN
  IF v_left IS NULL OR v_left NOT BETWEEN 0 AND 3600 THEN
    RAISE EXCEPTION 'timeout must be zero to an hour, not %', coalesce(wait_for_space.timeout::text, 'NULL')
      USING ERRCODE = 'HD002', COLUMN = 'timeout';
  END IF;
  IF current_setting('transaction_isolation') NOT LIKE 'read %' THEN
    RAISE EXCEPTION 'waiting for space needs a transaction that is READ COMMITTED, not %', upper(current_setting('transaction_isolation'))
      USING ERRCODE = 'HD012', HINT = 'Call it outside of your transaction.';
  END IF;
  LOOP
    SELECT * INTO v_queue FROM howdah.queue q WHERE q.name = wait_for_space.queue;
    IF NOT FOUND THEN
      PERFORM howdah.unknown_queue(wait_for_space.queue);
    END IF;
    IF v_queue.max_jobs IS NULL OR howdah.unfinished(v_queue.id, v_queue.max_jobs) < v_queue.max_jobs THEN
      RETURN true;
    END IF;
    IF v_left <= 0 THEN
      RETURN false;
    END IF;
    -- Not all at once, and less often the longer it takes.
    v_pause := least(v_left, 0.25, v_pause * (1 + random()));
    PERFORM pg_sleep(v_pause);
    v_left := v_left - v_pause;
  END LOOP;
END $$;
-- howdah.wake(queue_id) -> void
-- Notifies the sleeping workers of a queue at commit; does nothing when none sleeps, because PostgreSQL
-- serialises the commits of all transactions that notify. Internal.
-- Reads: sleeper. Errors: none.
CREATE OR REPLACE FUNCTION howdah.wake(queue_id integer) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF EXISTS (SELECT FROM howdah.sleeper s WHERE s.queue_id = wake.queue_id) THEN
    PERFORM pg_notify('howdah.wake', wake.queue_id::text);
  END IF;
END $$;
-- howdah.error_groups(most, since, cap) -> (fingerprint, error_kind, shape, failures, first_at, last_at, job_id, message, kinds)
-- The failed attempts that are still kept, in groups of the same cause; the group with the newest failure first.
--   most  how many groups, 1 to 1,000
--   since only groups with a failure since then; NULL: any
--   cap   failures of a group are counted up to this, 1 to 100,000
-- job_id and message are of its newest failure; kinds are those of its newest 20.
-- Reads: failure, job. Locks: none. Errors: HD002 invalid argument.
-- Cost: a few probes of an index for each group there is, of at most 10,000 (the others are left out), and for each that
-- is returned the entries that are counted. Never of all failures.
CREATE OR REPLACE FUNCTION howdah.error_groups(most integer DEFAULT 50, since timestamptz DEFAULT NULL, cap integer DEFAULT 1000)
RETURNS TABLE (fingerprint bigint, error_kind text, shape text, failures bigint, first_at timestamptz, last_at timestamptz, job_id bigint, message text, kinds text[])
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_from   bigint := -9223372036854775808;
  v_groups bigint[] := '{}';
  v_times  timestamptz[] := '{}';
  g        record;
BEGIN
  PERFORM howdah.check_most(error_groups.most, 1000, NULL);
  IF error_groups.cap IS NULL OR error_groups.cap NOT BETWEEN 1 AND 100000 THEN
    RAISE EXCEPTION 'cap must be 1 to 100000, not %', coalesce(error_groups.cap::text, 'NULL') USING ERRCODE = 'HD002', COLUMN = 'cap';
  END IF;
  FOR n IN 1..10000 LOOP
    -- From one group to the next, however many failures are between them.
    SELECT howdah.fingerprint(f.error_kind, f.message) AS id INTO g FROM howdah.failure f
     WHERE howdah.fingerprint(f.error_kind, f.message) >= v_from ORDER BY howdah.fingerprint(f.error_kind, f.message) LIMIT 1;
    EXIT WHEN NOT FOUND;
    v_groups := v_groups || g.id;
    v_times := v_times || (SELECT f.at FROM howdah.failure f WHERE howdah.fingerprint(f.error_kind, f.message) = g.id ORDER BY f.at DESC LIMIT 1);
    EXIT WHEN g.id = 9223372036854775807;
    v_from := g.id + 1;
  END LOOP;
  FOR g IN SELECT u.id, u.at FROM unnest(v_groups, v_times) u(id, at)
            WHERE error_groups.since IS NULL OR u.at >= error_groups.since ORDER BY u.at DESC, u.id LIMIT error_groups.most LOOP
    RETURN QUERY
      SELECT g.id, l.error_kind, howdah.error_shape(l.message),
             (SELECT count(*) FROM (SELECT FROM howdah.failure f WHERE howdah.fingerprint(f.error_kind, f.message) = g.id LIMIT error_groups.cap) c),
             (SELECT f.at FROM howdah.failure f WHERE howdah.fingerprint(f.error_kind, f.message) = g.id ORDER BY f.at LIMIT 1),
             g.at, l.job_id, left(l.message, 1000),
             ARRAY(SELECT DISTINCT j.kind::text FROM howdah.find_jobs(ARRAY(
               SELECT f.job_id FROM howdah.failure f WHERE howdah.fingerprint(f.error_kind, f.message) = g.id ORDER BY f.at DESC LIMIT 20)) j ORDER BY 1)
        FROM (SELECT * FROM howdah.failure f WHERE howdah.fingerprint(f.error_kind, f.message) = g.id ORDER BY f.at DESC LIMIT 1) l;
  END LOOP;
END $$;
-- howdah.error_shape(message) -> text
-- What errors of the same cause have in common: the first line of a message, 300 characters of it, in which quoted parts are "*" and
-- words with a digit are #: `no user "ann" at 10.0.0.1:5432 (req-7f3a)` is `no user "*" at # (req-#)`.
-- An index is made of it: a release that changes it has to build that index again. Internal to fingerprint and error_groups.
CREATE OR REPLACE FUNCTION howdah.error_shape(message text) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN regexp_replace(regexp_replace(left(split_part(error_shape.message, E'\n', 1), 300),
    '"[^"]*"|`[^`]*`|(?<![[:alnum:]])''[^'']*''(?![[:alnum:]])', '"*"', 'g'),
    '[[:alnum:]_]*[0-9][[:alnum:]_]*([-.:/][[:alnum:]_]+)*', '#', 'g');
END $$;
-- howdah.failures_of_group(fingerprint, most) -> (job_id, attempt, at, error_kind, message, kind, state)
-- The newest failed attempts of a group of howdah.error_groups, and in which state their jobs are (NULL: nothing is known of it
-- any more).
--   most  how many, 1 to 1,000
-- Reads: failure, job, and see states_of. Locks: none. Errors: HD002 invalid argument. Cost: of those that are returned.
CREATE OR REPLACE FUNCTION howdah.failures_of_group(fingerprint bigint, most integer DEFAULT 100)
RETURNS TABLE (job_id bigint, attempt smallint, at timestamptz, error_kind text, message text, kind text, state text)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_ids bigint[];
BEGIN
  PERFORM howdah.check_most(failures_of_group.most, 1000, NULL);
  v_ids := ARRAY(SELECT f.job_id FROM howdah.failure f WHERE howdah.fingerprint(f.error_kind, f.message) = failures_of_group.fingerprint
                  ORDER BY f.at DESC LIMIT failures_of_group.most);
  RETURN QUERY
    SELECT f.job_id, f.attempt, f.at, f.error_kind, left(f.message, 1000), j.kind::text, s.state
      FROM (SELECT * FROM howdah.failure f WHERE howdah.fingerprint(f.error_kind, f.message) = failures_of_group.fingerprint
             ORDER BY f.at DESC LIMIT failures_of_group.most) f
      LEFT JOIN howdah.find_jobs(v_ids) j ON j.id = f.job_id
      LEFT JOIN howdah.states_of(v_ids) s ON s.job_id = f.job_id
     ORDER BY f.at DESC, f.job_id DESC;
END $$;
-- howdah.fingerprint(error_kind, message) -> bigint
-- The number of the group that an error is in: errors of the same kind whose messages have the same shape (see
-- howdah.error_shape). An index is made of it: a release that changes it has to build that index again.
-- Reads nothing. Errors: none. Cost: some 20 microseconds.
CREATE OR REPLACE FUNCTION howdah.fingerprint(error_kind text, message text) RETURNS bigint
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN ('x' || substr(md5(fingerprint.error_kind || E'\n' || howdah.error_shape(fingerprint.message)), 1, 16))::bit(64)::bigint;
END $$;
-- howdah.check_filter(filter) -> jsonpath
-- Takes a filter on the attributes of jobs: a jsonpath predicate over the object in options -> 'attributes', such as
--   $.tenant == 42 && ($.plan == "pro" || !exists($.trial))
-- and refuses what is none. A job without attributes has the empty object. What a filter promises:
--   ==  !=  <  <=  >  >=    compare numbers with numbers and strings with strings. A job whose attribute is missing,
--                           or of another type, does not match; nothing is converted, and nothing fails. (!= null
--                           means: is there, and is not null.)
--   like_regex, starts with match strings
--   exists($.a), !exists($.a), $.a == null, &&, ||, !(...)
--   An attribute that is an array matches if one of its elements does.
-- Methods that read times (datetime() and the like) are refused: what a job holds could make them fail, and with them each claim.
-- Times in UTC, written as RFC 3339 says, compare as strings.
-- A filter is a value: it is never made part of a statement. At most 8192 bytes. NULL for NULL.
-- Reads nothing. Errors: HD002 with COLUMN filter, and the server's reason.
CREATE OR REPLACE FUNCTION howdah.check_filter(filter text) RETURNS jsonpath
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_path jsonpath;
BEGIN
  IF octet_length(check_filter.filter) > 8192 THEN
    RAISE EXCEPTION 'filter is % bytes, and at most 8192 are allowed', octet_length(check_filter.filter)
      USING ERRCODE = 'HD002', COLUMN = 'filter';
  END IF;
  BEGIN
    v_path := check_filter.filter::jsonpath;
    -- A path that is no predicate, such as $.tenant, gives no single boolean here.
    PERFORM jsonb_path_match('{}', v_path);
  EXCEPTION WHEN OTHERS THEN
    RAISE EXCEPTION 'filter is no predicate: %', SQLERRM
      USING ERRCODE = 'HD002', COLUMN = 'filter', HINT = 'A filter compares attributes, as in $.tenant == 42 && $.plan == "pro".';
  END;
  -- As the server prints it, with nothing left in the quotes.
  IF regexp_replace(v_path::text, '"([^"\\]|\\.)*"', '""', 'g') ~ '\.(datetime|date|time|time_tz|timestamp|timestamp_tz)\(' THEN
    RAISE EXCEPTION 'filter reads times, which fails where an attribute holds something else'
      USING ERRCODE = 'HD002', COLUMN = 'filter', HINT = 'Compare strings: times in UTC such as "2030-01-31T12:00:00Z" come in their order.';
  END IF;
  RETURN v_path;
END $$;
-- howdah.find(queue, kind, states, filter, ids, most) -> setof bigint
-- The ids of jobs by what they are, newest first:
--   SELECT * FROM howdah.jobs_of(ARRAY(SELECT howdah.find(filter => '$.tenant == 42'))) ORDER BY id DESC
--   queue, kind  only these; NULL: any
--   states       only in these states; NULL: in any
--   filter       a predicate on attributes: see howdah.check_filter
--   ids          only these jobs, at most 10,000
--   most         how many, 1 to 100,000
-- Reads: howdah.jobs. Locks: none. Errors: HD001 unknown queue, HD002 invalid argument.
-- Cost: with the index of howdah.index_attributes, of the jobs that match; of states of jobs that have not ended well, of the newest of
-- their rooms until there are enough; else of some 20,000 of the newest, and where those are not enough, of all of them.
CREATE OR REPLACE FUNCTION howdah.find(queue text DEFAULT NULL, kind text DEFAULT NULL, states text[] DEFAULT NULL,
  filter text DEFAULT NULL, ids bigint[] DEFAULT NULL, most integer DEFAULT 100)
RETURNS SETOF bigint LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET jit = off SET plan_cache_mode = force_custom_plan AS $$
DECLARE
  v_filter jsonpath := howdah.check_filter(find.filter);
  v_queues integer[] := howdah.selected_queues(find.queue);
  v_ids    bigint[];
  v_search jsonb;
  v_page   record;
  v_next   bigint := 9223372036854775807;
  v_left   integer := find.most;
  v_size   integer := 256;
  v_found  integer;
BEGIN
  PERFORM howdah.check_states(find.states, '{scheduled,blocked,ready,running,completed,cancelled,expired,dead}'),
          howdah.check_most(find.most, 100000, find.ids);
  v_queues := CASE WHEN find.queue IS NOT NULL THEN v_queues END;
  v_ids := coalesce(find.ids, howdah.rare_matches(v_filter));
  IF v_ids IS NULL AND find.states IS NULL THEN
    -- Every job is in one of the states.
    RETURN QUERY SELECT i FROM unnest(howdah.find_newest(v_queues, find.kind, v_filter, v_next, find.most)) WITH ORDINALITY u(i, n) ORDER BY n;
    RETURN;
  END IF;
  IF v_ids IS NOT NULL THEN
    RETURN QUERY
      SELECT j.id FROM howdah.jobs_of(v_ids) j
       WHERE (find.states IS NULL OR j.state = ANY (find.states)) AND (find.queue IS NULL OR j.queue = find.queue)
         AND (find.kind IS NULL OR j.kind = find.kind) AND (v_filter IS NULL OR coalesce(j.options -> 'attributes', '{}') @@ v_filter)
       ORDER BY j.id DESC LIMIT find.most;
    RETURN;
  ELSIF find.states <@ '{scheduled,blocked,ready,running,dead}' THEN
    -- Room by room from the newest on, until there are enough.
    v_search := jsonb_strip_nulls(jsonb_build_object('states', find.states, 'attr', find.filter, 'row', nullif(concat_ws(' && ',
      '$.queue == ' || to_json(find.queue), '$.kind == ' || to_json(find.kind)), ''),
      'queues', CASE WHEN find.queue IS NOT NULL THEN ARRAY[find.queue] END, 'kinds', CASE WHEN find.kind IS NOT NULL THEN ARRAY[find.kind] END));
    LOOP
      v_page := howdah.search(v_search, v_next, least(v_left, 10000), 1000000, '1 day');
      RETURN QUERY SELECT i FROM unnest(v_page.ids) WITH ORDINALITY u(i, n) ORDER BY n;
      v_left := v_left - cardinality(v_page.ids);
      v_next := v_page.next;
      EXIT WHEN v_next IS NULL OR v_left <= 0;
    END LOOP;
    RETURN;
  END IF;
  -- The newest that it can be, and of those what their rooms say. Where they do not end soon, as where many wait that are newer than
  -- whatever has ended, all that has ended is read at once.
  WHILE v_size <= 16384 LOOP
    v_ids := howdah.find_newest(v_queues, find.kind, v_filter, v_next, v_size);
    RETURN QUERY SELECT r.job_id FROM howdah.rooms_of(v_ids) r WHERE r.state = ANY (find.states) ORDER BY r.job_id DESC LIMIT v_left;
    GET DIAGNOSTICS v_found = ROW_COUNT;
    v_left := v_left - v_found;
    IF v_left <= 0 OR cardinality(v_ids) < v_size THEN
      RETURN;
    END IF;
    v_next := v_ids[v_size];
    v_size := 4 * v_size;
  END LOOP;
  RETURN QUERY
    SELECT j.id FROM howdah.jobs j
     WHERE j.id < v_next AND j.state = ANY (find.states) AND (find.queue IS NULL OR j.queue = find.queue) AND (find.kind IS NULL OR j.kind = find.kind)
       AND (v_filter IS NULL OR coalesce(j.options -> 'attributes', '{}') @@ v_filter)
     ORDER BY j.id DESC LIMIT v_left;
END $$;
-- howdah.find_newest(queues, kind, filter, before, most) -> bigint[]
-- The ids of the newest jobs by what was written with them, newest first, whatever has become of them since.
--   queues  only in these; NULL: in any
--   kind    only of this one; NULL: of any
--   filter  a predicate on attributes; NULL: none
--   before  only ids below this one
--   most    how many
-- Internal to howdah.find. Reads: job and job_kept, from the end of the index of their ids; the view would look at every job.
-- Cost: of the jobs from the newest to the last one that is found; an index of theirs is not used.
CREATE OR REPLACE FUNCTION howdah.find_newest(queues integer[], kind text, filter jsonpath, before bigint, most integer) RETURNS bigint[]
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off SET plan_cache_mode = force_custom_plan AS $$
BEGIN
  RETURN ARRAY(
    SELECT n.id FROM (
      (SELECT j.id FROM howdah.job j
        WHERE j.id < find_newest.before AND (find_newest.queues IS NULL OR j.queue_id = ANY (find_newest.queues))
          AND (find_newest.kind IS NULL OR j.kind = find_newest.kind)
          AND (find_newest.filter IS NULL OR coalesce(j.options -> 'attributes', '{}') @@ find_newest.filter)
        ORDER BY j.id DESC LIMIT find_newest.most)
      UNION
      (SELECT k.id FROM howdah.job_kept k
        WHERE k.id < find_newest.before AND (find_newest.queues IS NULL OR k.queue_id = ANY (find_newest.queues))
          AND (find_newest.kind IS NULL OR k.kind = find_newest.kind)
          AND (find_newest.filter IS NULL OR coalesce(k.options -> 'attributes', '{}') @@ find_newest.filter)
        ORDER BY k.id DESC LIMIT find_newest.most)) n
     ORDER BY n.id DESC LIMIT find_newest.most);
END $$;
-- howdah.index_attributes(wanted) -> setof text
-- Gives the statements that build (or, if not wanted, drop) an index over the attributes of jobs, for filters that say
-- `==`. Nothing is done by the call itself: building an index without making enqueuers wait cannot be done inside a
-- function. Run them one by one, outside of a transaction. In psql:
--   SELECT howdah.index_attributes(true) \gexec
-- There is a statement for each partition of howdah.job, so that an interrupted build is continued by asking again;
-- what a broken build left behind is dropped first. Nothing comes back when all is as it is wanted.
-- What it costs: jobs without attributes pay nothing; those with some up to a quarter more at their enqueue.
-- It is used by howdah.find and by the operations on many jobs, when a filter matches no more than 10,000 jobs.
-- Reads: the catalog. Errors: none.
CREATE OR REPLACE FUNCTION howdah.index_attributes(wanted boolean DEFAULT true) RETURNS SETOF text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_table text;
  v_valid boolean;
BEGIN
  FOREACH v_table IN ARRAY '{job_0,job_1,job_2,job_3,job_4,job_5,job_6,job_7,job_kept}'::text[] LOOP
    SELECT i.indisvalid INTO v_valid FROM pg_index i WHERE i.indexrelid = to_regclass(format('howdah.%I', v_table || '_attributes'));
    IF v_valid IS NOT NULL AND NOT (v_valid AND index_attributes.wanted) THEN
      RETURN NEXT format('DROP INDEX CONCURRENTLY IF EXISTS howdah.%I', v_table || '_attributes');
    END IF;
    IF index_attributes.wanted AND v_valid IS NOT TRUE THEN
      RETURN NEXT format('CREATE INDEX CONCURRENTLY %I ON howdah.%I USING gin ((options -> ''attributes'') jsonb_path_ops) '
        'WHERE options -> ''attributes'' IS NOT NULL', v_table || '_attributes', v_table);
      -- How common a value is, so that the planner can tell a rare one.
      RETURN NEXT format('ANALYZE howdah.%I', v_table);
    END IF;
  END LOOP;
END $$;
-- howdah.matching(first_ids, counts, filter, kind) -> setof bigint
-- Which jobs of these runs match a filter and are of a kind; NULL in place of either: any. In no order. Opens only the
-- partitions of howdah.job that the ids are in. Internal. Reads: job, job_kept. Cost: a microsecond a job.
CREATE OR REPLACE FUNCTION howdah.matching(first_ids bigint[], counts integer[], filter jsonpath, kind text DEFAULT NULL)
RETURNS SETOF bigint LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_part bigint;
BEGIN
  FOR v_part IN SELECT DISTINCT (f >> 33) & 7 FROM unnest(matching.first_ids) f LOOP
    -- OFFSET 0: run by run, by the index. PostgreSQL 18 forgets enable_seqscan where one partition is left of several,
    -- and would read it whole for each run.
    RETURN QUERY
      SELECT j.id FROM unnest(matching.first_ids, matching.counts) r(first_id, jobs), LATERAL (
          SELECT * FROM howdah.job WHERE ((job.id >> 33) & 7) = v_part AND job.id >= r.first_id AND job.id < r.first_id + r.jobs OFFSET 0) j
       WHERE ((r.first_id >> 33) & 7) = v_part AND (matching.kind IS NULL OR j.kind = matching.kind)
         AND (matching.filter IS NULL OR coalesce(j.options -> 'attributes', '{}') @@ matching.filter);
  END LOOP;
  IF EXISTS (SELECT FROM howdah.job_kept) THEN
    RETURN QUERY
      SELECT k.id FROM unnest(matching.first_ids, matching.counts) r(first_id, jobs)
        JOIN howdah.job_kept k ON k.id >= r.first_id AND k.id < r.first_id + r.jobs
       WHERE (matching.kind IS NULL OR k.kind = matching.kind)
         AND (matching.filter IS NULL OR coalesce(k.options -> 'attributes', '{}') @@ matching.filter)
         AND NOT EXISTS (SELECT FROM howdah.job j WHERE ((j.id >> 33) & 7) = ((k.id >> 33) & 7) AND j.id = k.id);
  END IF;
END $$;
-- howdah.rare_matches(filter, most) -> bigint[]
-- The ids of all jobs that match a filter, in whatever state (one that is kept in two places twice), if the index of
-- howdah.index_attributes finds them and there are at most `most`. NULL: there is no index, it is no help with this
-- filter, or there are more.
-- Internal. Reads: job, job_kept. Cost: of a plan and an index scan; about a millisecond where it is no help.
CREATE OR REPLACE FUNCTION howdah.rare_matches(filter jsonpath, most integer DEFAULT 10000) RETURNS bigint[]
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET jit = off SET plan_cache_mode = force_custom_plan AS $$
DECLARE
  v_plan text;
  v_line text;
  v_ids  bigint[];
BEGIN
  -- The index knows nothing of jobs without attributes.
  IF rare_matches.filter IS NULL OR '{}'::jsonb @@ rare_matches.filter OR to_regclass('howdah.job_kept_attributes') IS NULL THEN
    RETURN NULL;
  END IF;
  -- Only the planner knows which predicates an index can answer.
  FOR v_line IN EXECUTE format('EXPLAIN SELECT FROM howdah.job WHERE (options -> ''attributes'') @@ %L::jsonpath', rare_matches.filter) LOOP
    v_plan := concat(v_plan, v_line);
  END LOOP;
  -- Nor need a scan be begun for what is common, by its estimate of the rows in the first line.
  IF v_plan !~ '_attributes' OR substring(v_plan FROM 'rows=(\d+)')::bigint > 10 * rare_matches.most THEN
    RETURN NULL;
  END IF;
  SELECT array_agg(m.id) INTO v_ids FROM (
    SELECT j.id FROM howdah.job j WHERE (j.options -> 'attributes') @@ rare_matches.filter
    UNION ALL SELECT k.id FROM howdah.job_kept k WHERE (k.options -> 'attributes') @@ rare_matches.filter
    LIMIT rare_matches.most + 1) m;
  IF cardinality(v_ids) > rare_matches.most THEN
    RETURN NULL;
  END IF;
  RETURN coalesce(v_ids, '{}');
END $$;
-- howdah.admit(lease_id, queue_id, first_id, jobs, priority, attempt, kind, gates, want) -> (taken, aside)
-- Lets the first jobs of a run through their gates, at most `want` of them, into a lease that is being made. When a gate
-- lets no more through, the rest of the run goes aside: it is blocked by that gate. The caller has locked the run's row,
-- and takes as many jobs out of it as passed and went aside.
--   taken, aside  how many passed, and how many are blocked now. Both 0: somebody else is at one of the gates; later.
-- Internal to claims. What passes does so durably, see commit_durably. Writes: slot, gate, gate_look, ordered, deferred. Locks: the gates, until the transaction ends.
-- Errors: HD012 the transaction is not READ COMMITTED.
CREATE OR REPLACE FUNCTION howdah.admit(lease_id bigint, queue_id integer, first_id bigint, jobs integer, priority integer, attempt integer,
  kind text, gates text[], want integer, OUT taken integer, OUT aside integer)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_gates  text[];
  v_counts text[] := '{}';
  v_rates  text[] := '{}';
  v_weight integer := howdah.weight_in(admit.gates);
  v_stop   text;
  v_free   integer;
  v_rule   howdah.flow_rule;
  v_gate   text;
BEGIN
  PERFORM howdah.must_read_committed();
  taken := least(admit.jobs, admit.want);
  aside := 0;
  SELECT array_agg(g ORDER BY g) INTO v_gates
    FROM unnest(admit.gates || ARRAY['kind:' || admit.kind]) g WHERE NOT g ^@ 'weight:' AND NOT g ^@ 'fair:';
  FOREACH v_gate IN ARRAY v_gates LOOP
    v_rule := howdah.rule_of(v_gate);
    CONTINUE WHEN v_rule.scope IS NULL AND NOT v_gate ^@ 'order:';
    IF NOT howdah.lock_gate(v_gate) THEN
      taken := 0;
      RETURN;
    END IF;
    IF v_gate ^@ 'order:' THEN
      -- One that let others pass is due again, and in its place.
      UPDATE howdah.ordered o SET passed_by = false WHERE o.job_id >= admit.first_id AND o.job_id < admit.first_id + admit.jobs AND o.passed_by;
    END IF;
    v_free := CASE WHEN v_gate ^@ 'order:' AND NOT howdah.is_first(substr(v_gate, 7), admit.first_id) THEN 0
                   ELSE howdah.room(v_gate, v_rule, v_weight, admit.lease_id) END;
    IF v_free < taken THEN
      taken := v_free;
      v_stop := v_gate;
      EXIT WHEN taken = 0;
    END IF;
    IF v_rule.max_running IS NOT NULL OR v_gate ^@ 'order:' THEN
      v_counts := v_counts || v_gate;
    END IF;
    IF v_rule.rate IS NOT NULL THEN
      v_rates := v_rates || v_gate;
    END IF;
  END LOOP;
  IF taken > 0 AND cardinality(v_counts || v_rates) > 0 THEN
    PERFORM howdah.commit_durably();
    INSERT INTO howdah.slot (lease_id, job_id, gate)
    SELECT admit.lease_id, admit.first_id + i, g FROM generate_series(0, taken - 1) i, unnest(v_counts) g;
    FOREACH v_gate IN ARRAY v_rates LOOP
      v_rule := howdah.rule_of(v_gate);
      PERFORM howdah.spend(v_gate, v_rule, taken::bigint * v_weight);
      IF EXISTS (SELECT FROM howdah.deferred d WHERE d.gate = v_gate) THEN
        PERFORM howdah.watch_gate(v_gate, v_rule, v_weight);
      END IF;
    END LOOP;
  END IF;
  IF v_stop IS NOT NULL THEN
    aside := admit.jobs - taken;
    INSERT INTO howdah.deferred (due_at, first_id, queue_id, priority, jobs, attempt, kind, gates, gate)
      VALUES ('infinity', admit.first_id + taken, admit.queue_id, admit.priority, aside, admit.attempt, admit.kind, admit.gates, v_stop);
    -- At the others it was let through in the place of somebody: the next may come.
    PERFORM howdah.watch_gate(g) FROM unnest(v_counts) g WHERE g <> v_stop AND NOT g ^@ 'order:';
    v_rule := howdah.rule_of(v_stop);
    IF v_rule.rate IS NOT NULL AND howdah.tokens(v_stop, v_rule) < least(v_weight, v_rule.rate_burst) THEN
      PERFORM howdah.watch_gate(v_stop, v_rule, v_weight);
    END IF;
  END IF;
END $$;
-- howdah.check_limit(scope, name, settings) -> void
-- Refuses a limit that makes no sense. Internal to set_limit. Errors: HD002 (invalid argument), naming the field in COLUMN.
CREATE OR REPLACE FUNCTION howdah.check_limit(scope text, name text, settings jsonb) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_key   text;
  v_value jsonb;
BEGIN
  IF check_limit.scope IS NULL OR check_limit.scope NOT IN ('queue', 'kind', 'key', 'share') THEN
    PERFORM howdah.option_refused('scope', 'must be queue, kind, key or share, not ' || coalesce(quote_literal(left(check_limit.scope, 100)), 'NULL'));
  END IF;
  IF check_limit.name IS NULL OR octet_length(check_limit.name) NOT BETWEEN 1 AND 256 OR check_limit.name ~ '[[:cntrl:]]' THEN
    PERFORM howdah.option_refused('name', 'must be 1 to 256 bytes without control characters');
  END IF;
  IF check_limit.scope = 'queue' AND check_limit.settings IS NOT NULL AND NOT EXISTS (SELECT FROM howdah.queue q WHERE q.name = check_limit.name) THEN
    PERFORM howdah.unknown_queue(check_limit.name);
  END IF;
  IF jsonb_typeof(check_limit.settings) <> 'object' THEN
    PERFORM howdah.option_refused('settings', 'must be a JSON object, not ' || jsonb_typeof(check_limit.settings));
  END IF;
  FOR v_key, v_value IN SELECT * FROM jsonb_each(check_limit.settings) LOOP
    IF v_key <> ALL (CASE WHEN check_limit.scope = 'share' THEN '{weight}'::text[] ELSE '{max_running,rate,rate_period_ms,rate_burst}' END) THEN
      PERFORM howdah.option_refused(coalesce(nullif(left(v_key, 100), ''), 'settings'), CASE WHEN check_limit.scope = 'share' THEN 'is nothing that a share has: it has a weight'
        ELSE 'is nothing that a limit has: there are max_running, rate, rate_period_ms and rate_burst' END);
    END IF;
    CONTINUE WHEN v_value = 'null';
    PERFORM howdah.check_number(v_key, v_value, (CASE v_key WHEN 'max_running' THEN 0 ELSE 1 END),
      CASE v_key WHEN 'max_running' THEN 100000 WHEN 'weight' THEN 1000 WHEN 'rate_period_ms' THEN 31557600000 ELSE 1000000000 END);
  END LOOP;
END $$;
-- howdah.claim_in_turn(lease_id, queue_id, want, kinds, prefixes, except_kinds, limited)
--   -> (first_ids, counts, attempts)
-- Takes up to `want` jobs out of the lanes of a queue of shares into a lease that is being made: from each lane as many
-- as its share weighs, beginning behind the lane where the last claim stopped. Within a lane in order of priority and
-- then of enqueueing. Of many jobs, a lane gives an eighth at a time (more, if its share weighs more): one at a time
-- would cost more than most jobs do.
--   limited  kinds that have a rule
-- Internal to howdah.claim. Writes: deferred, and see admit; the sequence of the queue's turn. Locks: rows of deferred,
-- skipping what others have locked.
-- Cost: one index descent for each lane that is looked at.
CREATE OR REPLACE FUNCTION howdah.claim_in_turn(lease_id bigint, queue_id integer, want integer, kinds text[], prefixes text[], except_kinds text[],
  limited text[], OUT first_ids bigint[], OUT counts smallint[], OUT attempts smallint[])
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_prefix text := 'fair:' || claim_in_turn.queue_id || ':';
  v_end    text := 'fair:' || claim_in_turn.queue_id || ';';
  -- Workers that take other kinds have a turn of their own.
  v_turns  regclass := format('howdah.turn_%s', (claim_in_turn.queue_id + hashtext(concat_ws(' ', claim_in_turn.kinds, claim_in_turn.prefixes, claim_in_turn.except_kinds))) & 63)::regclass;
  -- The lane where the last claim stopped, and how much of its turn was used; 0: all of it.
  v_last   bigint := coalesce(pg_sequence_last_value(v_turns), 0);
  v_used   integer := v_last & 8191;
  v_at     text := v_prefix || lpad(to_hex(v_last >> 13), 13, '0') || CASE WHEN v_used > 0 THEN ':' ELSE ';' END;
  v_ruled  boolean := EXISTS (SELECT FROM howdah.flow_rule f WHERE f.scope = 'share');
  v_unit   integer := greatest(1, claim_in_turn.want / 8);
  v_hash   bigint;
  v_turn   integer;
  v_taken  integer;
  v_left   integer := claim_in_turn.want;
  v_looked integer := 0;
  v_idle   text;
  d        record;
  a        record;
BEGIN
  WHILE v_left > 0 AND v_looked < 1000 LOOP
    SELECT k.ctid AS tid, k.gate, k.first_id, k.jobs, k.attempt,
           -- A job like most: nothing stops it but its turn.
           k.gates[2] IS NULL AND (claim_in_turn.limited IS NULL OR k.kind <> ALL (claim_in_turn.limited))
             AND (claim_in_turn.kinds IS NULL OR k.kind = ANY (claim_in_turn.kinds) OR k.kind ^@ ANY (claim_in_turn.prefixes))
             AND (claim_in_turn.except_kinds IS NULL OR k.kind <> ALL (claim_in_turn.except_kinds)) AS plain
      INTO d FROM howdah.deferred k WHERE k.gate > v_at AND k.gate < v_end ORDER BY k.gate, k.priority, k.first_id LIMIT 1
       FOR UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
      EXIT WHEN v_at = v_prefix;
      v_at := v_prefix;
      CONTINUE;
    END IF;
    -- Once round, and none of them gave anything.
    EXIT WHEN d.gate = v_idle;
    v_hash := ('x000' || substr(d.gate, length(v_prefix) + 1, 13))::bit(64)::bigint;
    v_used := CASE WHEN v_hash = v_last >> 13 AND v_looked = 0 THEN v_used ELSE 0 END;
    v_turn := v_unit;
    IF v_ruled THEN
      v_turn := least(8191, v_unit * howdah.weight_of(substr(d.gate, length(v_prefix) + 15)));
    END IF;
    v_turn := greatest(1, v_turn - v_used);
    v_taken := 0;
    IF d.plain THEN
      v_taken := least(d.jobs, v_turn, v_left);
      IF v_taken < d.jobs THEN
        UPDATE howdah.deferred SET first_id = first_id + v_taken, jobs = jobs - v_taken WHERE ctid = d.tid;
      ELSE
        DELETE FROM howdah.deferred WHERE ctid = d.tid;
      END IF;
      first_ids := first_ids || d.first_id;
      counts := counts || v_taken::smallint;
      attempts := attempts || (d.attempt + 1)::smallint;
    END IF;
    IF v_taken < least(v_turn, v_left) THEN
      a := howdah.claim_lane(claim_in_turn.lease_id, d.gate, least(v_left, v_turn) - v_taken, claim_in_turn.kinds, claim_in_turn.prefixes,
        claim_in_turn.except_kinds, claim_in_turn.limited);
      first_ids := first_ids || a.first_ids;
      counts := counts || a.counts;
      attempts := attempts || a.attempts;
      v_taken := v_taken + a.taken;
    END IF;
    -- A turn that is cut short by the end of the claim goes on with the next one.
    v_last := v_hash << 13 | CASE WHEN v_taken = v_left AND v_taken < v_turn THEN v_used + v_taken ELSE 0 END;
    v_idle := CASE WHEN v_taken = 0 THEN coalesce(v_idle, d.gate) END;
    v_left := v_left - v_taken;
    v_looked := v_looked + 1;
    v_at := d.gate;
  END LOOP;
  IF v_looked > 0 THEN
    PERFORM setval(v_turns, v_last);
  END IF;
END $$;
-- howdah.claim_lane(lease_id, lane, want, kinds, prefixes, except_kinds, limited) -> (first_ids, counts, attempts, taken)
-- Takes up to `want` jobs off the front of one lane, as far as their other gates let them through. Internal to
-- claim_in_turn. Writes: deferred, and see admit. Locks: rows of deferred, skipping what others have locked.
CREATE OR REPLACE FUNCTION howdah.claim_lane(lease_id bigint, lane text, want integer, kinds text[], prefixes text[], except_kinds text[],
  limited text[], OUT first_ids bigint[], OUT counts smallint[], OUT attempts smallint[], OUT taken integer)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_taken integer;
  v_aside integer;
  v_moved boolean;
  d       record;
BEGIN
  taken := 0;
  -- What goes aside is in the way of what is behind it: some rows of them, until one gets through.
  FOR round IN 1..100 LOOP
    v_moved := false;
    FOR d IN
      SELECT k.ctid AS tid, k.* FROM howdah.deferred k
       WHERE k.gate = claim_lane.lane AND (claim_lane.kinds IS NULL OR k.kind = ANY (claim_lane.kinds) OR k.kind ^@ ANY (claim_lane.prefixes))
         AND (claim_lane.except_kinds IS NULL OR k.kind <> ALL (claim_lane.except_kinds))
       ORDER BY k.gate, k.priority, k.first_id LIMIT claim_lane.want FOR UPDATE SKIP LOCKED
    LOOP
      -- Deleted first: what goes aside is a row of the same table.
      DELETE FROM howdah.deferred k WHERE k.ctid = d.tid;
      IF d.gates <> ARRAY[d.gates[1]] OR d.kind = ANY (claim_lane.limited) THEN
        SELECT p.taken, p.aside INTO v_taken, v_aside
          FROM howdah.admit(claim_lane.lease_id, d.queue_id, d.first_id, d.jobs, d.priority, d.attempt, d.kind, d.gates, claim_lane.want - taken) p;
      ELSE
        v_taken := least(d.jobs, claim_lane.want - taken);
        v_aside := 0;
      END IF;
      IF v_taken + v_aside < d.jobs THEN
        INSERT INTO howdah.deferred (due_at, first_id, queue_id, priority, jobs, attempt, kind, gates, gate)
          VALUES (d.due_at, d.first_id + v_taken + v_aside, d.queue_id, d.priority, d.jobs - v_taken - v_aside, d.attempt, d.kind, d.gates, d.gate);
      END IF;
      IF v_taken > 0 THEN
        first_ids := first_ids || d.first_id;
        counts := counts || v_taken::smallint;
        attempts := attempts || (d.attempt + 1)::smallint;
        taken := taken + v_taken;
      END IF;
      v_moved := v_moved OR v_aside > 0;
      EXIT WHEN taken >= claim_lane.want;
    END LOOP;
    EXIT WHEN taken > 0 OR NOT v_moved;
  END LOOP;
END $$;
-- howdah.commit_durably() -> void
-- Makes the commit of a claim wait for the disk although its session does not: what has passed a gate counts there, also
-- after a crash, while its handler may be running. Where nothing passes a gate it is enough to deliver again what a crash
-- has undone. Internal to what counts at gates.
CREATE OR REPLACE FUNCTION howdah.commit_durably() RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF current_setting('synchronous_commit') = 'off' THEN
    PERFORM set_config('synchronous_commit', 'on', true);
  END IF;
END $$;
-- howdah.count_running(scope, name) -> void
-- Gives the jobs that run already the slots of a limit of a kind or key that was just set, so that it counts them too. What
-- is being claimed or ended at this very moment may be missed, or count until its lease ends.
-- Internal to set_limit. Writes: slot. Cost: a look at each job that runs, some 30 us.
CREATE OR REPLACE FUNCTION howdah.count_running(scope text, name text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET jit = off AS $$
#variable_conflict use_column
BEGIN
  INSERT INTO howdah.slot (lease_id, job_id, gate)
  SELECT l.id, j.id, g.gate
    FROM howdah.lease l, unnest(l.first_ids, l.counts) r(first_id, jobs), generate_series(0, r.jobs - 1) n,
         LATERAL howdah.find_job(r.first_id + n) j,
         LATERAL unnest(CASE WHEN count_running.scope = 'kind' THEN ARRAY['kind:' || j.kind] ELSE howdah.gates_of(j.options) END) g(gate),
         LATERAL howdah.rule_of(g.gate) u
   WHERE u.scope = count_running.scope AND u.name = count_running.name
  ON CONFLICT DO NOTHING;
END $$;
-- howdah.free_slots(lease_ids, job_ids, lasting) -> void
-- Gives back what jobs of these leases held of their gates (job_ids NULL: all of their jobs), and lets the next ones
-- through. Called wherever jobs leave a lease; costs one probe of an empty index where no job has gates.
--   lasting  the transaction may stay open: the gates are not locked, and the keeper looks after it
-- Internal. Writes: slot, deferred, ticket, gate_look. Locks: the gates, until the transaction ends, unless lasting.
CREATE OR REPLACE FUNCTION howdah.free_slots(lease_ids bigint[], job_ids bigint[] DEFAULT NULL, lasting boolean DEFAULT false) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
DECLARE
  v_freed record;
BEGIN
  IF NOT EXISTS (SELECT FROM howdah.slot s WHERE s.lease_id = ANY (free_slots.lease_ids)) THEN
    RETURN;
  END IF;
  FOR v_freed IN
    WITH gone AS (
      DELETE FROM howdah.slot s
       WHERE s.lease_id = ANY (free_slots.lease_ids) AND (free_slots.job_ids IS NULL OR s.job_id = ANY (free_slots.job_ids))
      RETURNING s.gate)
    SELECT g.gate, count(*)::integer AS slots FROM gone g GROUP BY g.gate ORDER BY g.gate
  LOOP
    -- Who is at the gate at this moment may not have seen that it is freed, and block a job that nobody would let through.
    IF free_slots.lasting OR NOT howdah.lock_gate(v_freed.gate) THEN
      PERFORM howdah.watch_gate(v_freed.gate);
    END IF;
    PERFORM howdah.release_gate(v_freed.gate, v_freed.slots);
  END LOOP;
END $$;
-- howdah.gates_of(options) -> text[]
-- The gates that a job with these options must pass when it is claimed: fair:KEY of its share, order:KEY, limit:KEY for
-- each of its limits, and weight:N, which is no gate but what it takes of a rate. NULL: none. Errors: none, options are
-- checked before. Internal.
CREATE OR REPLACE FUNCTION howdah.gates_of(options jsonb) RETURNS text[]
LANGUAGE plpgsql IMMUTABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_limits jsonb := gates_of.options -> 'limit_key';
  v_gates  text[];
BEGIN
  IF gates_of.options ? 'fair_key' THEN
    v_gates := v_gates || ('fair:' || (gates_of.options ->> 'fair_key'));
  END IF;
  IF gates_of.options ? 'order_key' THEN
    v_gates := v_gates || ('order:' || (gates_of.options ->> 'order_key'));
  END IF;
  IF jsonb_typeof(v_limits) = 'string' THEN
    v_gates := v_gates || ('limit:' || (v_limits #>> '{}'));
  ELSIF v_limits IS NOT NULL THEN
    v_gates := v_gates || ARRAY(SELECT DISTINCT 'limit:' || k FROM jsonb_array_elements_text(v_limits) k ORDER BY 1);
  END IF;
  IF gates_of.options ? 'weight' THEN
    v_gates := v_gates || ('weight:' || (gates_of.options ->> 'weight'));
  END IF;
  RETURN v_gates;
END $$;
-- howdah.gates_of_rule(scope, name) -> setof text
-- The gates that a rule is for, as far as somebody may wait at them: a thousand of them at most; at the others the keeper
-- looks in its round. Internal to set_limit.
CREATE OR REPLACE FUNCTION howdah.gates_of_rule(scope text, name text) RETURNS SETOF text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off SET jit = off AS $$
DECLARE
  v_from text := 'limit:' || rtrim(gates_of_rule.name, '*');
  v_gate text := v_from;
BEGIN
  IF gates_of_rule.scope = 'queue' THEN
    RETURN QUERY SELECT 'queue:' || q.id FROM howdah.queue q WHERE q.name = gates_of_rule.name;
  ELSIF gates_of_rule.scope = 'kind' THEN
    RETURN NEXT 'kind:' || gates_of_rule.name;
  ELSIF gates_of_rule.scope = 'key' AND right(gates_of_rule.name, 1) <> '*' THEN
    RETURN NEXT 'limit:' || gates_of_rule.name;
  ELSIF gates_of_rule.scope = 'key' THEN
    FOR i IN 1..1000 LOOP
      SELECT d.gate INTO v_gate FROM howdah.deferred d WHERE d.gate >= v_gate ORDER BY d.gate LIMIT 1;
      EXIT WHEN v_gate IS NULL OR NOT v_gate ^@ v_from;
      RETURN NEXT v_gate;
      v_gate := v_gate || chr(1);
    END LOOP;
  END IF;
END $$;
-- howdah.is_first(order_key, job_id) -> boolean
-- Whether no unfinished job of an ordering key comes before this one. Those that failed and let others pass do not count.
-- Internal. Reads: ordered.
CREATE OR REPLACE FUNCTION howdah.is_first(order_key text, job_id bigint) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off AS $$
BEGIN
  RETURN NOT EXISTS (SELECT FROM howdah.ordered o WHERE o.key = is_first.order_key AND o.job_id < is_first.job_id AND NOT o.passed_by);
END $$;
-- howdah.join_orders(job_ids) -> void
-- Puts those of these jobs that have an ordering key into their order (again). Internal to enqueueing, and to what makes
-- an ended job run again. One that waits for others holds up nobody until it comes to its gate: those might wait for it.
-- Writes: ordered.
CREATE OR REPLACE FUNCTION howdah.join_orders(job_ids bigint[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
BEGIN
  INSERT INTO howdah.ordered (key, job_id, passed_by)
  SELECT j.options ->> 'order_key', j.id, j.options ? 'depends_on' FROM howdah.find_jobs(join_orders.job_ids) j WHERE j.options ? 'order_key'
  ON CONFLICT DO NOTHING;
END $$;
-- howdah.lane_of(queue_id, fair_key) -> text
-- The gate behind which the jobs of a share wait for their turn: fair:QUEUE:HASH:KEY. Lanes take turns in the order of the
-- hashes. Internal.
CREATE OR REPLACE FUNCTION howdah.lane_of(queue_id integer, fair_key text) RETURNS text
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN format('fair:%s:%s:%s', lane_of.queue_id, lpad(to_hex(hashtextextended(lane_of.fair_key, 0) & 1125899906842623), 13, '0'), lane_of.fair_key);
END $$;
-- howdah.leave_orders(first_ids, counts) -> void
-- Takes jobs that have ended out of their orders, and lets the next ones through. Internal to ended_slowly.
-- Writes: ordered, gate_look, and see release_gate. Cost: one probe of an index if none of them has an order.
CREATE OR REPLACE FUNCTION howdah.leave_orders(first_ids bigint[], counts smallint[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off AS $$
DECLARE
  v_key   text;
  v_first bigint := (SELECT min(f) FROM unnest(leave_orders.first_ids) f);
  v_last  bigint := (SELECT max(f) + 127 FROM unnest(leave_orders.first_ids) f);
BEGIN
  IF NOT EXISTS (SELECT FROM howdah.ordered o WHERE o.job_id BETWEEN v_first AND v_last) THEN
    RETURN;
  END IF;
  FOR v_key IN
    WITH gone AS (
      DELETE FROM howdah.ordered o USING unnest(leave_orders.first_ids, leave_orders.counts) r(first_id, jobs)
       WHERE o.job_id >= r.first_id AND o.job_id < r.first_id + r.jobs RETURNING o.key)
    SELECT DISTINCT g.key FROM gone g ORDER BY g.key
  LOOP
    IF howdah.release_gate('order:' || v_key, 1) = 0 THEN
      -- Somebody who is at the gate may not have seen this.
      PERFORM howdah.watch_gate('order:' || v_key, tell => false);
    END IF;
  END LOOP;
END $$;
-- howdah.let_pass(job_id) -> void
-- A job of an order has failed, or waits for other jobs now, and lets the others of its order go first until it is due. Internal to
-- add_dependency, and to howdah.fail, which also gives its slot back: that sees to whoever is at the gate at this moment (free_slots). Writes: ordered, and see release_gate.
CREATE OR REPLACE FUNCTION howdah.let_pass(job_id bigint) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_key text;
BEGIN
  UPDATE howdah.ordered o SET passed_by = true WHERE o.job_id = let_pass.job_id RETURNING o.key INTO v_key;
  IF FOUND THEN
    PERFORM howdah.release_gate('order:' || v_key, 1);
  END IF;
END $$;
-- howdah.let_through(tid, jobs) -> void
-- Makes the first jobs of a blocked run ready, and wakes who sleeps. Internal; the caller has locked the row.
-- Writes: deferred, ticket.
CREATE OR REPLACE FUNCTION howdah.let_through(tid tid, jobs integer) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  d howdah.deferred;
BEGIN
  SELECT * INTO d FROM howdah.deferred k WHERE k.ctid = let_through.tid;
  IF let_through.jobs < d.jobs THEN
    UPDATE howdah.deferred k SET first_id = k.first_id + let_through.jobs, jobs = k.jobs - let_through.jobs WHERE k.ctid = let_through.tid;
  ELSE
    DELETE FROM howdah.deferred k WHERE k.ctid = let_through.tid;
  END IF;
  INSERT INTO howdah.ticket (first_id, queue_id, slot, priority, jobs, attempt, kind, gates, ready_at)
  SELECT d.first_id, d.queue_id, r.slot, d.priority, let_through.jobs, d.attempt, d.kind, d.gates, howdah.now() FROM howdah.ring r WHERE r.name = 'returned';
  PERFORM howdah.wake(d.queue_id);
END $$;
-- howdah.lock_gate(gate) -> boolean
-- Makes whoever passes a gate or frees it do so one after another, until the transaction ends. Returns false if somebody
-- else has it for longer than a few milliseconds: nobody waits here for long, so nobody waits for each other in a circle.
-- Internal. Locks: an advisory lock that the gate shares with a few others. There are 4096 of them, so that claims with
-- thousands of keys do not use up the lock table of the server.
CREATE OR REPLACE FUNCTION howdah.lock_gate(gate text) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_lock bigint := 'howdah.gate'::regclass::oid::bigint << 12 | (hashtext(lock_gate.gate) & 4095);
BEGIN
  FOR i IN 1..5 LOOP
    IF pg_try_advisory_xact_lock(v_lock) THEN
      RETURN true;
    END IF;
    PERFORM pg_sleep(0.001);
  END LOOP;
  RETURN false;
END $$;
-- howdah.open_gate(gate) -> void
-- Lets through whom a gate has room for, and sets when to look again for those that wait for tokens. Internal to open_gates.
-- Writes: gate_look, deferred, ticket. Locks: the gate.
CREATE OR REPLACE FUNCTION howdah.open_gate(gate text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_rule   howdah.flow_rule := howdah.rule_of(open_gate.gate);
  v_weight integer;
  v_room   integer;
BEGIN
  IF open_gate.gate ^@ 'queue:' THEN
    PERFORM howdah.wake(substr(open_gate.gate, 7)::integer);
    RETURN;
  END IF;
  IF NOT open_gate.gate ~ '^(kind|limit|order):' THEN
    RETURN;
  ELSIF NOT howdah.lock_gate(open_gate.gate) THEN
    -- Somebody is there: again soon.
    INSERT INTO howdah.gate_look (gate, look_at) VALUES (open_gate.gate, howdah.now() + interval '20 milliseconds');
    RETURN;
  END IF;
  -- What the first one weighs: enough for a guess, since a claim looks again.
  SELECT howdah.weight_in(d.gates) INTO v_weight
    FROM howdah.deferred d WHERE d.gate = open_gate.gate ORDER BY d.gate, d.priority, d.first_id LIMIT 1;
  IF NOT FOUND THEN
    RETURN;
  END IF;
  v_room := coalesce(howdah.room(open_gate.gate, v_rule, v_weight), 1000);
  IF v_room > 0 THEN
    PERFORM howdah.release_gate(open_gate.gate, least(v_room, 1000));
  END IF;
  -- Those that were let through see to the next ones when they take their tokens.
  IF v_rule.rate IS NOT NULL AND v_room = 0 AND howdah.tokens(open_gate.gate, v_rule) < least(v_weight, v_rule.rate_burst) THEN
    PERFORM howdah.watch_gate(open_gate.gate, v_rule, v_weight);
  END IF;
END $$;
-- howdah.open_gates(sweep) -> bigint
-- The keeper's look at gates: lets through whom they have room for, at those whose tokens have come, and with `sweep` at
-- some of all that block somebody, whatever may have been missed. Returns milliseconds until the next tokens come; NULL:
-- nobody waits for any.
-- Writes: gate_look, gate_round, deferred, ticket. Locks: those gates, until the transaction ends; passes by what others are at.
CREATE OR REPLACE FUNCTION howdah.open_gates(sweep boolean) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off SET jit = off AS $$
DECLARE
  v_gates text[];
  v_gate  text;
  v_next  text;
BEGIN
  WITH due AS MATERIALIZED (
    SELECT l.ctid FROM howdah.gate_look l WHERE l.look_at <= howdah.now() ORDER BY l.look_at LIMIT 50 FOR UPDATE SKIP LOCKED),
  gone AS (
    DELETE FROM howdah.gate_look l WHERE l.ctid = ANY (ARRAY(SELECT d.ctid FROM due d)) RETURNING l.gate)
  SELECT array_agg(DISTINCT g.gate) INTO v_gates FROM gone g;
  IF open_gates.sweep THEN
    -- A hundred at a time, round and round.
    SELECT r.gate INTO v_next FROM howdah.gate_round r;
    FOR i IN 1..100 LOOP
      SELECT d.gate INTO v_gate FROM howdah.deferred d WHERE d.gate > greatest(v_next, 'kind') COLLATE "C" ORDER BY d.gate LIMIT 1;
      v_next := coalesce(v_gate, '');
      EXIT WHEN v_gate IS NULL;
      -- Most of them are as full as they should be, which needs no lock to see.
      IF howdah.room(v_gate, howdah.rule_of(v_gate)) IS DISTINCT FROM 0 THEN
        v_gates := v_gates || v_gate;
      END IF;
    END LOOP;
    UPDATE howdah.gate_round r SET gate = v_next WHERE r.gate <> v_next;
  END IF;
  FOR v_gate IN SELECT DISTINCT g FROM unnest(v_gates) g ORDER BY g LOOP
    PERFORM howdah.open_gate(v_gate);
  END LOOP;
  RETURN (SELECT greatest(0, ceil(extract(epoch FROM l.look_at - howdah.now()) * 1000)) FROM howdah.gate_look l
           ORDER BY l.look_at LIMIT 1);
END $$;
-- howdah.queue_room(queue_id, want) -> (room, tokens)
-- How many jobs may be claimed from a queue by its rule, at most `want`, and how many tokens its rate has for them (NULL:
-- it has none). From here on other claims of the queue get none until the transaction ends, if there is a rule: the keeper
-- wakes them soon. Internal to claims. Writes: gate, gate_look. Locks: the queue's gate; waits for a few milliseconds only.
-- Errors: HD012 the transaction is not READ COMMITTED.
CREATE OR REPLACE FUNCTION howdah.queue_room(queue_id integer, want integer, OUT room integer, OUT tokens integer)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_gate text := 'queue:' || queue_room.queue_id;
  v_rule howdah.flow_rule := howdah.rule_of(v_gate);
BEGIN
  PERFORM howdah.must_read_committed();
  room := queue_room.want;
  IF v_rule.scope IS NULL THEN
    RETURN;
  END IF;
  IF NOT howdah.lock_gate(v_gate) THEN
    room := 0;
    PERFORM howdah.watch_gate(v_gate, after_ms => 50);
    RETURN;
  END IF;
  IF v_rule.rate IS NOT NULL THEN
    tokens := floor(howdah.tokens(v_gate, v_rule));
    IF tokens < 1 THEN
      PERFORM howdah.watch_gate(v_gate, v_rule);
    END IF;
  END IF;
  room := least(room, howdah.room(v_gate, v_rule));
  IF room > 0 THEN
    PERFORM howdah.commit_durably();
  END IF;
END $$;
-- howdah.release_gate(gate, most) -> integer
-- Makes the first `most` jobs that a gate blocks ready, so that a claim tries them again; of an ordering key the first one,
-- if it is its turn. Jobs whose queue is paused or gone become ready with them, and do not count: else they would take the
-- turn of others and not use it. Returns how many. Internal.
-- Writes: deferred, ticket, gate_look. Locks: rows of deferred, passing by what others have locked.
CREATE OR REPLACE FUNCTION howdah.release_gate(gate text, most integer) RETURNS integer
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_moved integer := 0;
  v_left  integer := release_gate.most;
  v_take  integer;
  d       record;
BEGIN
  IF release_gate.gate ^@ 'order:' THEN
    RETURN howdah.release_order(release_gate.gate);
  END IF;
  FOR d IN
    SELECT k.ctid AS tid, k.jobs, EXISTS (SELECT FROM howdah.queue q WHERE q.id = k.queue_id AND q.paused_at IS NULL) AS runs
      FROM howdah.deferred k
     WHERE k.gate = release_gate.gate ORDER BY k.gate, k.priority, k.first_id LIMIT greatest(release_gate.most, 100) FOR UPDATE SKIP LOCKED
  LOOP
    v_take := CASE WHEN d.runs THEN least(d.jobs, v_left) ELSE d.jobs END;
    PERFORM howdah.let_through(d.tid, v_take);
    v_moved := v_moved + 1;
    v_left := v_left - CASE WHEN d.runs THEN v_take ELSE 0 END;
    EXIT WHEN v_left = 0;
  END LOOP;
  IF v_left > 0 AND v_moved >= greatest(release_gate.most, 100) THEN
    PERFORM howdah.watch_gate(release_gate.gate);
  ELSIF v_moved > 0 AND NOT EXISTS (SELECT FROM howdah.gate_look l WHERE l.gate = release_gate.gate AND l.look_at > howdah.now()) THEN
    -- Whoever was let through may be cancelled, or find no worker: then somebody else is to come. One look in five seconds is
    -- enough for all of a gate.
    PERFORM howdah.watch_gate(release_gate.gate, tell => false, after_ms => 5000);
  END IF;
  RETURN release_gate.most - v_left;
END $$;
-- howdah.release_order(gate) -> integer
-- Makes the first job of an ordering key ready, if it is blocked by that key. Returns how many, 0 or 1. Internal to
-- release_gate. Writes: deferred, ticket. Locks: its row, unless somebody has locked it.
CREATE OR REPLACE FUNCTION howdah.release_order(gate text) RETURNS integer
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_head bigint := (SELECT o.job_id FROM howdah.ordered o
                     WHERE o.key = substr(release_order.gate, 7) AND NOT o.passed_by ORDER BY o.key, o.job_id LIMIT 1);
  v_tid  tid;
BEGIN
  SELECT k.ctid INTO v_tid FROM howdah.deferred k WHERE k.first_id = v_head AND k.gate = release_order.gate FOR UPDATE SKIP LOCKED;
  IF NOT FOUND THEN
    RETURN 0;
  END IF;
  PERFORM howdah.let_through(v_tid, 1);
  RETURN 1;
END $$;
-- howdah.room(gate, rule, weight, making) -> integer
-- How many jobs, each of this weight, may pass a gate now. NULL: any number. making: a lease that is not written yet. Internal; exact for who has locked the gate.
-- Reads: slot, lease, gate. Errors: none.
CREATE OR REPLACE FUNCTION howdah.room(gate text, rule howdah.flow_rule, weight integer DEFAULT 1, making bigint DEFAULT NULL) RETURNS integer
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
DECLARE
  v_most integer := CASE WHEN room.gate ^@ 'order:' THEN 1 ELSE (room.rule).max_running END;
  v_free integer;
  v_tokens float8;
BEGIN
  IF v_most IS NOT NULL THEN
    IF room.gate ^@ 'queue:' THEN
      -- Leases tell it: a job of a queue needs no slot.
      SELECT v_most - coalesce(sum((SELECT sum(c) FROM unnest(l.counts) c)), 0) INTO v_free
        FROM howdah.lease l WHERE l.queue_id = substr(room.gate, 7)::integer;
    ELSE
      SELECT v_most - count(*) INTO v_free FROM howdah.slot s WHERE s.gate = room.gate;
      IF v_free <= 0 AND v_most > 0 THEN
        -- One whose lease is gone counts for nothing.
        SELECT v_most - count(*) INTO v_free FROM howdah.slot s WHERE s.gate = room.gate
           AND (s.lease_id = room.making OR EXISTS (SELECT FROM howdah.lease l WHERE (l.id & 3) = (s.lease_id & 3) AND l.id = s.lease_id));
      END IF;
    END IF;
  END IF;
  IF (room.rule).rate IS NOT NULL THEN
    v_tokens := howdah.tokens(room.gate, room.rule);
    v_free := least(v_free, CASE WHEN v_tokens >= room.weight THEN floor(v_tokens / room.weight)
                            -- What weighs more than can be saved up starts from a full bucket, and leaves a debt.
                            WHEN v_tokens >= (room.rule).rate_burst THEN 1 ELSE 0 END);
  END IF;
  RETURN CASE WHEN v_free IS NOT NULL THEN greatest(v_free, 0) END;
END $$;
-- howdah.rule_of(gate) -> flow_rule
-- The rule of a gate: of limit:KEY that of the key, or else the longest one with a * that fits; of kind:NAME and
-- queue:ID that of the kind or queue. All NULL: there is none. Internal.
CREATE OR REPLACE FUNCTION howdah.rule_of(gate text) RETURNS howdah.flow_rule
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
DECLARE
  v_key text := substr(rule_of.gate, strpos(rule_of.gate, ':') + 1);
  r     howdah.flow_rule;
BEGIN
  IF rule_of.gate ^@ 'kind:' THEN
    SELECT * INTO r FROM howdah.flow_rule f WHERE f.scope = 'kind' AND f.name = v_key;
  ELSIF rule_of.gate ^@ 'queue:' THEN
    SELECT f.* INTO r FROM howdah.queue q JOIN howdah.flow_rule f ON f.scope = 'queue' AND f.name = q.name WHERE q.id = v_key::integer;
  ELSIF rule_of.gate ^@ 'limit:' THEN
    SELECT * INTO r FROM howdah.flow_rule f WHERE f.scope = 'key' AND f.name = v_key;
    IF NOT FOUND THEN
      SELECT * INTO r FROM howdah.flow_rule f WHERE f.scope = 'key' AND right(f.name, 1) = '*' AND v_key ^@ left(f.name, -1)
       ORDER BY octet_length(f.name) DESC LIMIT 1;
    END IF;
  END IF;
  RETURN r;
END $$;
-- howdah.set_limit(scope, name, settings) -> jsonb
-- Sets what a limit allows, over the whole fleet and at once: SELECT howdah.set_limit('key', 'tenant:*', '{"max_running": 5}').
--   scope, name  queue: a queue; kind: a kind of jobs; key: a limit_key, or with a * at the end each of those that begin so;
--                share: a fair_key, or with a * at the end each of those that begin so
--   settings     what is left out stays, null takes it away:
--     max_running     so many jobs run at the same time; 0 holds all of them back
--     rate            so many jobs (or tokens, see the option weight) may start in every
--     rate_period_ms  milliseconds (default 1000), evenly, and
--     rate_burst      so many at once after a pause (default: as rate)
--     weight          of a share: how many of its jobs start in its turn
-- What runs already counts, and goes on. A rule of which nothing is set goes; so does one with settings => NULL. What waits is let through within a second or so.
-- Returns the rule; NULL: there is none now.
-- Writes: flow_rule, command, gate, gate_look, slot. Locks: the rule's row. Errors: HD002 invalid argument (COLUMN names it).
CREATE OR REPLACE FUNCTION howdah.set_limit(scope text, name text, settings jsonb) RETURNS jsonb
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  r   howdah.flow_rule;
  v_s jsonb := coalesce(set_limit.settings, '{}');
  v_gates text[];
  v_was   integer;
  v_old   jsonb;
  v_now   jsonb;
BEGIN
  PERFORM howdah.check_limit(set_limit.scope, set_limit.name, set_limit.settings);
  SELECT * INTO r FROM howdah.flow_rule f WHERE f.scope = set_limit.scope AND f.name = set_limit.name FOR UPDATE;
  v_was := r.max_running;
  v_old := jsonb_strip_nulls(to_jsonb(r));
  r.scope := set_limit.scope;
  r.name := set_limit.name;
  IF set_limit.settings IS NULL THEN
    r.max_running := NULL;
    r.rate := NULL;
    r.weight := NULL;
  ELSE
    r := jsonb_populate_record(r, v_s);
  END IF;
  IF r.rate IS NULL THEN
    r.rate_period_ms := NULL;
    r.rate_burst := NULL;
  ELSE
    r.rate_period_ms := coalesce(r.rate_period_ms, 1000);
    -- As large as the rate, unless it is set: also when the rate changes.
    r.rate_burst := CASE WHEN v_s ? 'rate' AND NOT v_s ? 'rate_burst' THEN r.rate ELSE coalesce(r.rate_burst, r.rate) END;
  END IF;
  DELETE FROM howdah.flow_rule f WHERE f.scope = r.scope AND f.name = r.name;
  IF coalesce(r.max_running, r.rate, r.weight) IS NOT NULL THEN
    INSERT INTO howdah.flow_rule SELECT r.*;
  END IF;
  IF r.max_running IS NOT NULL AND v_was IS NULL AND r.scope IN ('kind', 'key') THEN
    PERFORM howdah.count_running(r.scope, r.name);
  ELSIF r.max_running IS NULL AND r.scope = 'key' THEN
    -- What ran under this rule is under a wider one from now on.
    PERFORM howdah.count_running(f.scope, f.name) FROM howdah.flow_rule f
     WHERE f.scope = 'key' AND f.max_running IS NOT NULL AND right(f.name, 1) = '*' AND starts_with(r.name, left(f.name, -1));
  END IF;
  v_gates := ARRAY(SELECT howdah.gates_of_rule(r.scope, r.name));
  -- What was used up by another rate is owed to this one for no longer than a bucket of it takes to fill.
  UPDATE howdah.gate g SET full_at = least(g.full_at, howdah.now() + coalesce(howdah.time_of(r, r.rate_burst), '0'))
   WHERE g.name = ANY (v_gates);
  PERFORM howdah.watch_gate(g.gate) FROM unnest(v_gates) g(gate);
  v_now := (SELECT jsonb_strip_nulls(to_jsonb(f)) FROM howdah.flow_rule f WHERE f.scope = r.scope AND f.name = r.name);
  PERFORM howdah.note_changes('set_limit', jsonb_build_object('scope', r.scope, 'name', r.name), v_old, v_now);
  RETURN v_now;
END $$;
-- howdah.spend(gate, rule, tokens) -> void
-- Takes tokens of a gate's rate. Internal; the caller has locked the gate. Writes: gate.
CREATE OR REPLACE FUNCTION howdah.spend(gate text, rule howdah.flow_rule, tokens bigint) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
DECLARE
  v_takes interval := howdah.time_of(spend.rule, spend.tokens);
BEGIN
  INSERT INTO howdah.gate AS g (name, full_at) VALUES (spend.gate, howdah.now() + v_takes)
  ON CONFLICT (name) DO UPDATE SET full_at = greatest(g.full_at, howdah.now()) + v_takes;
END $$;
-- howdah.spend_queue(queue_id, first_ids, counts) -> void
-- Takes what the jobs of a claim weigh from the rate of their queue. Internal to claims, which have locked the queue's gate.
-- Jobs that weigh more than there was leave a debt. Writes: gate.
CREATE OR REPLACE FUNCTION howdah.spend_queue(queue_id integer, first_ids bigint[], counts smallint[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
DECLARE
  v_gate text := 'queue:' || spend_queue.queue_id;
BEGIN
  PERFORM howdah.spend(v_gate, howdah.rule_of(v_gate), (
    SELECT sum(coalesce((j.options ->> 'weight')::bigint, 1))::bigint
      FROM unnest(spend_queue.first_ids, spend_queue.counts) r(first_id, jobs), generate_series(0, r.jobs - 1) g,
           LATERAL howdah.find_job(r.first_id + g) j));
END $$;
-- howdah.time_of(rule, tokens) -> interval
-- How long it takes for so many tokens of a rate to come; a hundred years at most. Internal.
CREATE OR REPLACE FUNCTION howdah.time_of(rule howdah.flow_rule, tokens bigint) RETURNS interval
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN make_interval(secs => least(3155760000, time_of.tokens::float8 * (time_of.rule).rate_period_ms / (time_of.rule).rate / 1000));
END $$;
-- howdah.tokens(gate, rule) -> float8
-- How many tokens of a gate's rate are there now. Internal to room. Reads: gate.
CREATE OR REPLACE FUNCTION howdah.tokens(gate text, rule howdah.flow_rule) RETURNS float8
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
DECLARE
  v_full  timestamptz := (SELECT g.full_at FROM howdah.gate g WHERE g.name = tokens.gate);
  v_debt  float8;
BEGIN
  IF v_full IS NULL OR v_full = '-infinity' THEN
    RETURN (tokens.rule).rate_burst;
  END IF;
  -- Clocks count microseconds; a token that comes with the next one is here.
  v_debt := greatest(0, extract(epoch FROM v_full - howdah.now())::float8 - 0.0000005) * 1000 * (tokens.rule).rate / (tokens.rule).rate_period_ms;
  RETURN (tokens.rule).rate_burst - v_debt;
END $$;
-- howdah.waits_as(gate) -> text
-- The state of a job in howdah.deferred, by what its row is blocked by: a job in the lane of its share is ready, it only
-- waits for its turn. Internal.
CREATE OR REPLACE FUNCTION howdah.waits_as(gate text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN gate IS NULL THEN 'scheduled' WHEN gate OPERATOR(pg_catalog.^@) 'fair:' THEN 'ready' ELSE 'blocked' END;
-- howdah.wake_limited(queue_ids) -> void
-- Wakes the workers of those of these queues that have a limit, because jobs have left a lease. Internal. Reads: flow_rule.
CREATE OR REPLACE FUNCTION howdah.wake_limited(queue_ids integer[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF EXISTS (SELECT FROM howdah.flow_rule f WHERE f.scope = 'queue' AND f.max_running IS NOT NULL) THEN
    PERFORM howdah.wake(q.id) FROM howdah.queue q JOIN howdah.flow_rule f ON f.scope = 'queue' AND f.name = q.name
     WHERE q.id = ANY (wake_limited.queue_ids) AND f.max_running IS NOT NULL;
  END IF;
END $$;
-- howdah.watch_gate(gate, rule, weight, tell, after_ms) -> void
-- Has the keeper look at a gate when the tokens are there that a job of this weight waits for; without a rate now, because
-- somebody may have come to it in vain while it was freed. Internal. Writes: gate_look. Locks: none.
--   tell      whether to notify the keeper, or to leave it to its next tick
--   after_ms  not before so long from now
CREATE OR REPLACE FUNCTION howdah.watch_gate(gate text, rule howdah.flow_rule DEFAULT NULL, weight integer DEFAULT 1, tell boolean DEFAULT true,
  after_ms integer DEFAULT 0)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
DECLARE
  v_at timestamptz := howdah.now() + make_interval(secs => watch_gate.after_ms / 1000.0);
BEGIN
  IF (watch_gate.rule).rate IS NOT NULL THEN
    SELECT greatest(v_at, g.full_at - howdah.time_of(watch_gate.rule, greatest(0, (watch_gate.rule).rate_burst - watch_gate.weight)))
      INTO v_at FROM howdah.gate g WHERE g.name = watch_gate.gate;
    v_at := coalesce(v_at, howdah.now());
  END IF;
  -- At any other gate the keeper may take what is there before this transaction is committed, and see nothing of it.
  IF watch_gate.gate ^@ 'queue:' AND EXISTS (SELECT FROM howdah.gate_look l WHERE l.gate = watch_gate.gate AND l.look_at <= v_at) THEN
    RETURN;
  END IF;
  INSERT INTO howdah.gate_look (gate, look_at) VALUES (watch_gate.gate, v_at);
  IF watch_gate.tell THEN
    PERFORM pg_notify('howdah.due', '') FROM howdah.keeper k WHERE k.wakes_at > v_at;
  END IF;
END $$;
-- howdah.weight_in(gates) -> integer
-- How many tokens of a rate it takes to start a job with these gates: N of weight:N, or 1. Internal.
CREATE OR REPLACE FUNCTION howdah.weight_in(gates text[]) RETURNS integer
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN coalesce((SELECT substr(g, 8)::integer FROM unnest(weight_in.gates) g WHERE g ^@ 'weight:'), 1);
END $$;
-- howdah.weight_of(fair_key) -> integer
-- How many jobs of a share are started in its turn: its rule's weight, or that of the longest rule with a * that fits, or 1.
-- Internal. Reads: flow_rule.
CREATE OR REPLACE FUNCTION howdah.weight_of(fair_key text) RETURNS integer
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
BEGIN
  RETURN coalesce(
    (SELECT f.weight FROM howdah.flow_rule f WHERE f.scope = 'share' AND f.name = weight_of.fair_key),
    (SELECT f.weight FROM howdah.flow_rule f WHERE f.scope = 'share' AND right(f.name, 1) = '*' AND weight_of.fair_key ^@ left(f.name, -1)
      ORDER BY octet_length(f.name) DESC LIMIT 1), 1);
END $$;
-- howdah.awaits_removal(slot) -> boolean
-- Whether jobs in a partition of howdah.job have ended that are to be archived, held or called about, and are not yet
-- gone. Internal to rotate_jobs. Cost: reads receipts, unless no queue asks for that.
CREATE OR REPLACE FUNCTION howdah.awaits_removal(slot integer) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_queues integer[] := howdah.must_ask();
BEGIN
  RETURN v_queues <> '{}' AND EXISTS (
    SELECT FROM howdah.receipt r
     WHERE r.queue_id = ANY (v_queues) AND EXISTS (SELECT FROM unnest(r.first_ids) f WHERE ((f >> 33) & 7) = awaits_removal.slot));
END $$;
-- howdah.being_dumped() -> boolean
-- Whether a pg_dump of this database is at work. It takes its snapshot first and locks the tables a moment later: what is
-- truncated in between is missing from the dump, although its snapshot shows it. Goes by the name that pg_dump
-- gives to its connection, so PGAPPNAME hides it. Ask after looking whether a table is empty: a dump that begins later sees
-- the same. Internal to truncate_slot. Errors: none.
CREATE OR REPLACE FUNCTION howdah.being_dumped() RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  -- A transaction sees the sessions as they were at its first look.
  PERFORM pg_stat_clear_snapshot();
  RETURN EXISTS (SELECT FROM pg_stat_activity a WHERE a.application_name = 'pg_dump' AND a.backend_xmin IS NOT NULL
    AND a.datid = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database()));
END $$;
-- howdah.carry_history(slot, into_slot) -> void
-- Moves what is kept of the attempts of jobs that are not over, or dead, from a slot that is to be truncated to the one
-- that is written: the failures of a dead job are there for as long as it is. The newest 10,000 rows of each table; more
-- than that are lost, which is the price of never waiting. Internal to rotate_history.
-- Writes: the history tables but receipt. Cost: reads all tickets, deferred, leases and dead.
CREATE OR REPLACE FUNCTION howdah.carry_history(slot integer, into_slot integer) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_table text;
BEGIN
  FOREACH v_table IN ARRAY howdah.history_tables() LOOP
    CONTINUE WHEN v_table = 'receipt' OR pg_relation_size(format('howdah.%I', v_table || '_' || carry_history.slot)::regclass) = 0;
    EXECUTE format('
      UPDATE howdah.%I h SET slot = $1 WHERE h.slot = $2 AND h.ctid = ANY (ARRAY(
        SELECT f.ctid FROM howdah.%I f WHERE f.job_id IN (
          SELECT d.job_id FROM howdah.dead d
          UNION ALL
          SELECT t.first_id + g FROM howdah.ticket t, generate_series(0, t.jobs - 1) g WHERE t.attempt > 0
          UNION ALL
          SELECT d.first_id + g FROM howdah.deferred d, generate_series(0, d.jobs - 1) g WHERE d.attempt > 0
          UNION ALL
          SELECT r.first_id + g FROM howdah.lease l, unnest(l.first_ids, l.counts) r(first_id, jobs), generate_series(0, r.jobs - 1) g
          UNION ALL
          SELECT r.first_id + g FROM howdah.receipt e, unnest(e.first_ids, e.counts) r(first_id, jobs), generate_series(0, r.jobs - 1) g
           WHERE e.slot <> $2 AND e.queue_id = ANY ($3))
         ORDER BY f.at DESC LIMIT 10000 FOR UPDATE OF f SKIP LOCKED))', v_table, v_table || '_' || carry_history.slot)
      USING carry_history.into_slot, carry_history.slot, howdah.must_ask();
  END LOOP;
END $$;
-- howdah.elect_keeper(worker_id, term_ms) -> bigint
-- Takes the keeper's office if it is vacant, or keeps it. Returns the term, or NULL if another worker has it.
-- A new holder begins a new term. A lease row, not a session lock: it also holds behind a pooler.
-- Who lives asks with each heartbeat whether the office is vacant. So if its term has been over for five seconds, nobody could ask:
-- the server was away, or its clock has gone ahead. Then silence says nothing of a worker, and counts from now on.
-- Writes: keeper, and worker after such a time. Locks: the one row of keeper; workers, skipping those that heartbeat just now.
-- Errors: HD004 the worker is not registered.
CREATE OR REPLACE FUNCTION howdah.elect_keeper(worker_id bigint, term_ms integer DEFAULT 5000) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  v_term  bigint;
  v_ended timestamptz := (SELECT k.expires_at FROM howdah.keeper k);
BEGIN
  IF NOT EXISTS (SELECT FROM howdah.worker w WHERE w.id = elect_keeper.worker_id) THEN
    PERFORM howdah.unknown_worker(elect_keeper.worker_id);
  END IF;
  UPDATE howdah.keeper k
     SET term = k.term + (k.worker_id IS DISTINCT FROM elect_keeper.worker_id OR k.expires_at < howdah.now())::integer,
         worker_id = elect_keeper.worker_id,
         expires_at = howdah.now() + make_interval(secs => elect_keeper.term_ms / 1000.0)
   WHERE k.worker_id = elect_keeper.worker_id OR howdah.keeper_vacant()
  RETURNING k.term INTO v_term;
  IF v_term IS NOT NULL AND isfinite(v_ended) AND v_ended < howdah.now() - interval '5 seconds' THEN
    UPDATE howdah.worker w SET heartbeat_at = howdah.now()
     WHERE w.id IN (SELECT s.id FROM howdah.worker s WHERE s.heartbeat_at < howdah.now() FOR UPDATE SKIP LOCKED);
  END IF;
  RETURN v_term;
END $$;
-- howdah.expire(most, since) -> (expired, next_ms)
-- Ends jobs that wait and have not started in time, at most `most` of them. What runs is let run; what fails after
-- it has expired is ended by the next claim. Jobs that somebody has locked are looked at again the next time.
--   since    as in howdah.promote: nothing that expired before is looked at
--   expired  how many were looked at: if it is `most`, call again
--   next_ms  milliseconds until the next one expires; NULL if there is none
-- Writes: expiry, ticket or deferred, receipt or dead. Locks: those rows, skipping what others have. Errors: none.
CREATE OR REPLACE FUNCTION howdah.expire(most integer DEFAULT 1000, since timestamptz DEFAULT '-infinity', OUT expired integer, OUT next_ms bigint)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off SET jit = off AS $$
DECLARE
  v_now     timestamptz := howdah.now();
  v_id      bigint;
  v_attempt smallint;
BEGIN
  expired := 0;
  FOR v_id IN SELECT e.job_id FROM howdah.expiry e WHERE e.expires_at >= expire.since AND e.expires_at <= v_now
               ORDER BY e.expires_at, e.job_id LIMIT 10 * expire.most FOR UPDATE SKIP LOCKED LOOP
    EXIT WHEN expired >= expire.most;
    -- Not counted: whoever has a thousand jobs locked would else keep the keeper looking at them, and at no others.
    CONTINUE WHEN howdah.is_locked(v_id);
    expired := expired + 1;
    DELETE FROM howdah.expiry e WHERE e.job_id = v_id;
    SELECT t.attempt INTO v_attempt FROM howdah.take_waiting(v_id) t;
    IF FOUND THEN
      PERFORM howdah.expire_jobs(ARRAY[v_id], ARRAY[v_attempt]);
    END IF;
  END LOOP;
  SELECT greatest(1, ceil(extract(epoch FROM e.expires_at - v_now) * 1000)) INTO next_ms
    FROM howdah.expiry e WHERE e.expires_at > v_now ORDER BY e.expires_at LIMIT 1;
END $$;
-- howdah.expire_jobs(job_ids, attempts) -> void
-- Ends jobs that were not started in time: as expired, or as dead if their queue says so. The caller has taken them out
-- of the room that they were in. Internal.
-- Writes: receipt or dead; and see howdah.ended.
CREATE OR REPLACE FUNCTION howdah.expire_jobs(job_ids bigint[], attempts smallint[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
DECLARE
  x record;
BEGIN
  -- The jobs of a queue that was deleted meanwhile end all the same, as its row said.
  FOR x IN SELECT j.id, j.queue_id, j.kind, j.priority, u.attempt, q.on_expiry, j.options ->> 'expires_at' AS expires_at
             FROM unnest(expire_jobs.job_ids, expire_jobs.attempts) u(id, attempt), LATERAL howdah.find_job(u.id) j
             JOIN howdah.every_queue() q ON q.id = j.queue_id ORDER BY j.id LOOP
    IF x.on_expiry = 'dead' THEN
      PERFORM howdah.bury(x.id, x.queue_id, x.kind, x.priority, x.attempt, 'expired: it was not started before ' || x.expires_at);
    ELSE
      PERFORM howdah.write_receipt(3, x.queue_id, NULL, NULL, ARRAY[x.id], ARRAY[x.attempt]);
    END IF;
  END LOOP;
END $$;
-- howdah.hear_late_wishes(most) -> integer
-- Wishes to cancel an attempt that has ended otherwise in the moment in which they came: whoever has been told `cancelling` has asked for
-- the job to end, so they are asked again for whatever the job does now. One that somebody has sent again since is left alone:
-- that takes the wish away. What is locked by somebody comes next time.
--   most  how many are looked at
-- Returns how many were heard. Internal to prune. Writes: cancel_request, and see cancel. Locks: as cancel, for 100 ms at most.
CREATE OR REPLACE FUNCTION howdah.hear_late_wishes(most integer) RETURNS integer
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET lock_timeout = '100ms' AS $$
DECLARE
  v_ids   bigint[];
  v_id    bigint;
  v_heard integer := 0;
BEGIN
  v_ids := ARRAY(SELECT c.job_id FROM howdah.cancel_request c WHERE NOT howdah.holds(c.lease_id, c.job_id)
                  ORDER BY c.job_id LIMIT hear_late_wishes.most FOR UPDATE SKIP LOCKED);
  FOREACH v_id IN ARRAY v_ids LOOP
    BEGIN
      DELETE FROM howdah.cancel_request c WHERE c.job_id = v_id;
      PERFORM howdah.cancel(v_id);
      v_heard := v_heard + 1;
    EXCEPTION WHEN lock_not_available THEN
      -- It keeps its wish.
    END;
  END LOOP;
  RETURN v_heard;
END $$;
-- howdah.is_empty_slot(slot) -> boolean
-- Whether nothing was written to any table of history in a slot since it was truncated. Internal to rotate_history.
CREATE OR REPLACE FUNCTION howdah.is_empty_slot(slot integer) RETURNS boolean
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
  SELECT bool_and(pg_relation_size(format('howdah.%I', t || '_' || is_empty_slot.slot)::regclass) = 0) FROM unnest(howdah.history_tables()) t
$$;
-- howdah.is_locked(job_id) -> boolean
-- Whether somebody else has the row locked that a job waits in: for chores that must not wait. Internal.
-- Locks: that row, if nobody else has. Errors: none.
CREATE OR REPLACE FUNCTION howdah.is_locked(job_id bigint) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_block bigint := is_locked.job_id >> 7 << 7;
  j       record;
BEGIN
  SELECT f.queue_id, f.priority INTO j FROM howdah.find_job(is_locked.job_id) f;
  IF EXISTS (SELECT FROM howdah.ticket k WHERE k.queue_id = j.queue_id AND k.priority = j.priority
              AND k.first_id BETWEEN v_block AND is_locked.job_id AND is_locked.job_id < k.first_id + k.jobs) THEN
    PERFORM FROM howdah.ticket k WHERE k.queue_id = j.queue_id AND k.priority = j.priority
       AND k.first_id BETWEEN v_block AND is_locked.job_id AND is_locked.job_id < k.first_id + k.jobs FOR UPDATE SKIP LOCKED;
    RETURN NOT FOUND;
  END IF;
  IF EXISTS (SELECT FROM howdah.deferred d WHERE d.first_id BETWEEN v_block AND is_locked.job_id AND is_locked.job_id < d.first_id + d.jobs) THEN
    PERFORM FROM howdah.deferred d
      WHERE d.first_id BETWEEN v_block AND is_locked.job_id AND is_locked.job_id < d.first_id + d.jobs FOR UPDATE SKIP LOCKED;
    RETURN NOT FOUND;
  END IF;
  RETURN false;
END $$;
-- howdah.keep(worker_id, term, sweep, awake, tick_ms) -> (promoted, next_ms, rescued)
-- One tick of the keeper, in one statement: keeps the office, rescues, promotes, expires, delivers signals, opens gates, resumes
-- queues, lets go of jobs whose parents have ended.
--   term       the term that elect_keeper gave
--   sweep      true: look at everything that is due, false: at what became due in the last five seconds, so
--              that dead rows are not walked over again and again
--   awake      true: the keeper looks every few milliseconds, and nobody needs to notify it of due times
--   tick_ms    when it will look again by itself
--   promoted   how many runs of jobs became ready; 1000: there may be more
--   next_ms    milliseconds until the next job is due, expires, or gets the token that it waits for; NULL if there is none
--   rescued    a line for each worker that was given up
-- Writes: keeper, and see rescue, promote, expire, deliver_signals, resume_due and open_gates. Errors: HD011 another keeper was elected:
-- nothing was done.
CREATE OR REPLACE FUNCTION howdah.keep(worker_id bigint, term bigint, sweep boolean, awake boolean, tick_ms integer,
  OUT promoted integer, OUT next_ms bigint, OUT rescued text[])
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  v_now    timestamptz := howdah.now();
  v_office howdah.keeper;
  v_expire record;
  v_open   bigint;
BEGIN
  SELECT * INTO v_office FROM howdah.keeper k
   WHERE k.term = keep.term AND k.worker_id = keep.worker_id AND k.expires_at >= v_now FOR NO KEY UPDATE;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'the keeper''s term % is over', keep.term USING ERRCODE = 'HD011';
  END IF;
  -- Written only when it tells something new: a row that changes at every tick rots while a snapshot is held.
  IF NOT keep.awake OR v_office.wakes_at > '-infinity' OR v_office.expires_at < v_now + interval '3 seconds' THEN
    UPDATE howdah.keeper k
       SET expires_at = v_now + make_interval(secs => greatest(5, 3 * keep.tick_ms / 1000.0)),
           wakes_at = CASE WHEN keep.awake THEN '-infinity' ELSE v_now + make_interval(secs => keep.tick_ms / 1000.0) END;
  END IF;
  IF keep.sweep THEN
    SELECT array_agg(format('%s: %s jobs', r.worker, r.jobs)) INTO rescued FROM howdah.rescue() r;
    PERFORM howdah.deliver_signals(), howdah.resume_due();
  END IF;
  SELECT p.promoted, p.next_ms INTO promoted, next_ms
    FROM howdah.promote(1000, CASE WHEN keep.sweep THEN '-infinity' ELSE v_now - interval '5 seconds' END) p;
  SELECT * INTO v_expire FROM howdah.expire(1000, CASE WHEN keep.sweep THEN '-infinity' ELSE v_now - interval '5 seconds' END);
  v_open := howdah.open_gates(keep.sweep);
  next_ms := CASE WHEN v_expire.expired >= 1000 THEN 1 ELSE least(next_ms, v_expire.next_ms, v_open) END;
  next_ms := least(next_ms, howdah.look_again(1000, CASE WHEN keep.sweep THEN '-infinity' ELSE v_now - interval '5 seconds' END));
END $$;
-- howdah.keeper_vacant() -> boolean
-- Whether the keeper's office can be taken: nobody has it, its term has run out, or its holder has missed a
-- heartbeat and its session has ended. No term is as long as two minutes: one that ends later was begun before the clock
-- went back. Cheap: workers ask with each heartbeat.
-- Reads: keeper, worker. Errors: none.
CREATE OR REPLACE FUNCTION howdah.keeper_vacant() RETURNS boolean
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
  SELECT k.expires_at < howdah.now() OR k.expires_at > howdah.now() + interval '2 minutes'
      OR EXISTS (SELECT FROM howdah.worker w WHERE w.id = k.worker_id AND howdah.session_ended(w))
    FROM howdah.keeper k
$$;
-- howdah.lease_ms(wished, heartbeat_ms) -> integer
-- How long a lease lasts for a worker that heartbeats so often: as was wished, but two heartbeats at least, or a
-- worker that lives would be robbed between two of them. Internal to rescue.
CREATE OR REPLACE FUNCTION howdah.lease_ms(wished integer, heartbeat_ms integer) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN greatest(wished, 2 OPERATOR(pg_catalog.*) heartbeat_ms);
-- howdah.live_jobs(slot, most) -> setof bigint
-- The ids of jobs in a partition of howdah.job that are not over (waiting, running or dead) and still need
-- their row there, at most `most` of them. One statement, so that a job on its way from one room to another
-- is seen in one of them. Internal to rotate. Cost: reads all tickets, deferred, leases and dead.
CREATE OR REPLACE FUNCTION howdah.live_jobs(slot integer, most integer) RETURNS SETOF bigint
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT l.id FROM (
    SELECT t.first_id + g AS id FROM howdah.ticket t, generate_series(0, t.jobs - 1) g WHERE ((t.first_id >> 33) & 7) = live_jobs.slot
    UNION ALL
    SELECT d.first_id + g FROM howdah.deferred d, generate_series(0, d.jobs - 1) g WHERE ((d.first_id >> 33) & 7) = live_jobs.slot
    UNION ALL
    SELECT r.first_id + g FROM howdah.lease e, unnest(e.first_ids, e.counts) r(first_id, jobs), generate_series(0, r.jobs - 1) g
     WHERE ((r.first_id >> 33) & 7) = live_jobs.slot
    UNION ALL
    SELECT x.job_id FROM howdah.dead x WHERE ((x.job_id >> 33) & 7) = live_jobs.slot) l
   WHERE NOT EXISTS (SELECT FROM howdah.job_kept k WHERE k.id = l.id) LIMIT most
$$;
-- howdah.promote(most, since) -> (promoted, next_ms)
-- Makes ready what has become due, in order, at most `most` runs.
--   since     nothing that was due before is looked at, so that dead rows are not walked over; leave it out
--             now and then to find what was committed late
--   promoted  how many runs became ready: if it is `most`, call again
--   next_ms   milliseconds until the next one is due that is not due yet; NULL if there is none
-- Writes: deferred, ticket. Locks: rows of deferred, skipping what others have locked. Errors: none.
CREATE OR REPLACE FUNCTION howdah.promote(most integer DEFAULT 1000, since timestamptz DEFAULT '-infinity', OUT promoted integer, OUT next_ms bigint)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_now   timestamptz := howdah.now();
  v_woken bigint;
BEGIN
  WITH due AS MATERIALIZED (
    SELECT d.ctid FROM howdah.deferred d WHERE d.due_at >= promote.since AND d.due_at <= v_now
     ORDER BY d.due_at, d.first_id LIMIT promote.most FOR UPDATE SKIP LOCKED),
  gone AS (
    DELETE FROM howdah.deferred d WHERE d.ctid = ANY (ARRAY(SELECT ctid FROM due)) RETURNING d.*),
  back AS (
    INSERT INTO howdah.ticket (first_id, queue_id, slot, priority, jobs, attempt, kind, gates, ready_at)
    SELECT g.first_id, g.queue_id, r.slot, g.priority, g.jobs, g.attempt, g.kind, g.gates, v_now FROM gone g, howdah.ring r WHERE r.name = 'returned'
    RETURNING queue_id)
  SELECT coalesce(sum(b.n), 0), count(howdah.wake(b.queue_id)) INTO promoted, v_woken
    FROM (SELECT queue_id, count(*) AS n FROM back GROUP BY queue_id) b;
  -- What is due and still there is locked by somebody (or more than `most`): looked at again by the clock, since a
  -- timer for it would ring all the time.
  SELECT greatest(0, ceil(extract(epoch FROM d.due_at - howdah.now()) * 1000)) INTO next_ms
    FROM howdah.deferred d WHERE d.due_at >= promote.since AND d.due_at > v_now AND d.due_at < 'infinity' ORDER BY d.due_at LIMIT 1;
END $$;
-- howdah.prune(most) -> text
-- Removes what has outlived its retention and has no partition to be dropped with: dead jobs, kept rows of jobs that
-- are over, unique keys whose period is over, waiters that are gone,
-- signals that have expired, slots without a lease; asks again for those who wished in the last moment that something be
-- cancelled (hear_late_wishes); and then what goes by rows, see prune_history and prune_archive. At most `most` jobs of each.
-- Returns what it did, or NULL; what begins with `could not` is for a person to see.
-- Writes: dead, job_kept, cancel_request, unique_key, waiter, signal, gate, slot, and see prune_history and prune_archive. Errors: none.
CREATE OR REPLACE FUNCTION howdah.prune(most integer DEFAULT 1000) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_dead bigint;
  v_kept bigint;
  v_failed text;
BEGIN
  SELECT p.removed, p.failed INTO v_dead, v_failed FROM howdah.prune_dead(prune.most) p;
  DELETE FROM howdah.job_kept k WHERE k.id = ANY (ARRAY(
    SELECT j.id FROM howdah.job_kept j
     WHERE pg_relation_size(format('howdah.job_%s', (j.id >> 33) & 7)::regclass) = 0
       AND NOT EXISTS (SELECT FROM howdah.dead d WHERE d.job_id = j.id)
       AND NOT EXISTS (SELECT FROM howdah.deferred d WHERE d.first_id BETWEEN (j.id >> 7 << 7) AND j.id AND j.id < d.first_id + d.jobs)
       AND NOT EXISTS (SELECT FROM howdah.ticket t WHERE t.queue_id = j.queue_id AND t.priority = j.priority
                          AND t.first_id BETWEEN (j.id >> 7 << 7) AND j.id AND j.id < t.first_id + t.jobs)
       AND NOT EXISTS (SELECT FROM howdah.lease l, unnest(l.first_ids, l.counts) r(first_id, jobs) WHERE j.id >= r.first_id AND j.id < r.first_id + r.jobs)
       AND NOT EXISTS (SELECT FROM howdah.receipt r WHERE r.span @> j.id)
     LIMIT prune.most));
  GET DIAGNOSTICS v_kept = ROW_COUNT;
  PERFORM howdah.hear_late_wishes(prune.most);
  DELETE FROM howdah.unique_key u WHERE u.ctid = ANY (ARRAY(
    SELECT k.ctid FROM howdah.unique_key k WHERE k.expires_at < howdah.now() LIMIT prune.most FOR UPDATE SKIP LOCKED));
  DELETE FROM howdah.waiter w WHERE w.ctid = ANY (ARRAY(
    SELECT k.ctid FROM howdah.waiter k WHERE k.expires_at < howdah.now() LIMIT prune.most FOR UPDATE SKIP LOCKED));
  -- A gate of which nothing is known but that all its tokens are there is as good as none.
  DELETE FROM howdah.gate g WHERE g.ctid = ANY (ARRAY(
    SELECT k.ctid FROM howdah.gate k WHERE k.full_at < howdah.now() LIMIT prune.most FOR UPDATE SKIP LOCKED));
  -- What a new limit has counted while it ended.
  DELETE FROM howdah.slot s WHERE s.ctid = ANY (ARRAY(
    SELECT k.ctid FROM howdah.slot k
     WHERE NOT EXISTS (SELECT FROM howdah.lease l WHERE (l.id & 3) = (k.lease_id & 3) AND l.id = k.lease_id)
     LIMIT prune.most FOR UPDATE SKIP LOCKED));
  DELETE FROM howdah.signal s WHERE s.ctid = ANY (ARRAY(
    SELECT g.ctid FROM howdah.signal g WHERE g.expires_at < howdah.now() LIMIT prune.most FOR UPDATE SKIP LOCKED));
  IF v_failed IS NOT NULL THEN
    RETURN format('could not remove dead jobs of %s', v_failed);
  ELSIF v_dead + v_kept > 0 THEN
    RETURN format('pruned %s dead and %s kept jobs', v_dead, v_kept);
  END IF;
  RETURN coalesce(howdah.prune_history(prune.most), howdah.prune_archive(prune.most), howdah.prune_audit(prune.most));
END $$;
-- howdah.rescue() -> (worker, jobs)
-- Finds dead workers and gives their jobs to others. A job is given away when its worker's heartbeat is overdue by the
-- job's lease: its kind's lease_ms, or else its queue's, or else its worker's, and two heartbeats at least. A worker is
-- given up when its own lease is over and it holds nothing any more; or, with all that it holds, when it has missed a
-- heartbeat and the session that it registered from is gone. Sessions that went when the server was started again, or took over
-- from another, do not count: they all did, and their workers come back. Nothing that heartbeats is touched.
-- When the clock has gone back, silence counts from then on: a heartbeat that lies ahead would keep a dead worker's jobs until the
-- clock has caught up. So it does after a time in which nobody could heartbeat: see elect_keeper.
-- Returns a row for each worker that was given up or lost jobs. Writes: see rescue_worker and rescue_overdue. Locks:
-- worker rows, skipping what another rescue has. Errors: none.
CREATE OR REPLACE FUNCTION howdah.rescue() RETURNS TABLE (worker text, jobs integer)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  -- The shortest lease that a setting gives: nobody who is silent for less need be looked at. NULL: there is none.
  v_least integer := least((SELECT min(q.lease_ms) FROM howdah.queue q), (SELECT min(k.lease_ms) FROM howdah.kind k));
  v_set   boolean := v_least IS NOT NULL;
  -- When this server began: it was started, or its processes were after a crash, or it was promoted.
  v_began timestamptz := greatest(pg_postmaster_start_time(), pg_last_xact_replay_timestamp(),
    (SELECT max(a.backend_start) FROM pg_stat_activity a WHERE a.backend_type = 'checkpointer'));
  v_why   text;
  w       record;
BEGIN
  UPDATE howdah.worker k SET heartbeat_at = howdah.now()
   WHERE k.id IN (SELECT a.id FROM howdah.worker a WHERE a.heartbeat_at > howdah.now() + interval '1 second' FOR UPDATE SKIP LOCKED);
  FOR w IN
    SELECT k.id, k.name, k.heartbeat_at, k.backend_start > v_began AND howdah.session_ended(k) AS ended,
           k.heartbeat_at + make_interval(secs => k.lease_ms / 1000.0) < howdah.now() AS overdue FROM howdah.worker k
     WHERE k.heartbeat_at + make_interval(secs => howdah.lease_ms(least(v_least, k.lease_ms), k.heartbeat_ms) / 1000.0) < howdah.now()
        OR (k.backend_start > v_began AND howdah.session_ended(k))
     ORDER BY k.id FOR UPDATE SKIP LOCKED
  LOOP
    worker := w.name;
    v_why := format('worker %s was last heard of at %s%s', w.name,
      to_char(w.heartbeat_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'), CASE WHEN NOT w.overdue AND w.ended THEN ' and its session has ended' ELSE '' END);
    jobs := 0;
    IF v_set AND NOT w.ended THEN
      jobs := howdah.rescue_overdue(w.id, v_why);
      w.overdue := w.overdue AND NOT EXISTS (SELECT FROM howdah.lease l WHERE l.worker_id = w.id);
    END IF;
    IF w.ended OR w.overdue THEN
      jobs := jobs + howdah.rescue_worker(w.id, 'worker_lost', v_why);
      RETURN NEXT;
    ELSIF jobs > 0 THEN
      RETURN NEXT;
    END IF;
  END LOOP;
  -- Leases without a worker: claimed by one that was just given up, or locked while it was.
  FOR w IN SELECT l.id, l.worker_id FROM howdah.lease l WHERE NOT EXISTS (SELECT FROM howdah.worker k WHERE k.id = l.worker_id)
            ORDER BY l.id LIMIT 1000 FOR UPDATE SKIP LOCKED LOOP
    worker := 'worker ' || w.worker_id;
    jobs := howdah.rescue_lease(w.id, w.worker_id, 'worker_lost', format('worker %s is not registered any more', w.worker_id));
    RETURN NEXT;
  END LOOP;
END $$;
-- howdah.rescue_lease(lease_id, worker_id, error_kind, message, job_ids) -> integer
-- Takes jobs out of a lease (job_ids NULL: all, which ends it) and gives them to others. Returns how many. Internal to rescue; the caller has locked the
-- lease row in an earlier statement.
-- Writes: lease, failure, ticket, dead; receipt and cancel_request (for those that were to be cancelled).
CREATE OR REPLACE FUNCTION howdah.rescue_lease(lease_id bigint, worker_id bigint, error_kind text, message text,
  job_ids bigint[] DEFAULT NULL) RETURNS integer
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  v_lost     bigint[];
  v_attempts smallint[];
  v_unwanted bigint[];
  v_now      timestamptz := howdah.now();
BEGIN
  SELECT array_agg(t.job_id), array_agg(t.attempt) INTO v_lost, v_attempts FROM howdah.take_from_lease(rescue_lease.lease_id, rescue_lease.job_ids) t;
  IF v_lost IS NULL THEN
    RETURN 0;
  END IF;
  INSERT INTO howdah.failure (slot, job_id, attempt, at, worker_id, error_kind, message)
  SELECT r.slot, u.id, u.attempt, v_now, rescue_lease.worker_id, rescue_lease.error_kind, rescue_lease.message
    FROM unnest(v_lost, v_attempts) u(id, attempt), howdah.ring r WHERE r.name = 'history';
  -- Asked once: a wish that comes while this goes on is heard by prune. What is heard here is forgotten here.
  WITH heard AS (
    DELETE FROM howdah.cancel_request c WHERE c.job_id = ANY (ARRAY(
      SELECT q.job_id FROM howdah.cancel_request q WHERE q.job_id = ANY (v_lost) AND q.lease_id = rescue_lease.lease_id FOR UPDATE SKIP LOCKED))
    RETURNING c.job_id)
  SELECT coalesce(array_agg(h.job_id), '{}') INTO v_unwanted FROM heard h;
  PERFORM howdah.write_receipt(2, j.queue_id, rescue_lease.worker_id, NULL, ARRAY[u.id], ARRAY[u.attempt])
    FROM unnest(v_lost, v_attempts) u(id, attempt), LATERAL howdah.find_job(u.id) j WHERE u.id = ANY (v_unwanted);
  PERFORM howdah.bury(j.id, j.queue_id, j.kind, j.priority, u.attempt, rescue_lease.error_kind || ': ' || rescue_lease.message)
    FROM unnest(v_lost, v_attempts) u(id, attempt), LATERAL howdah.find_job(u.id) j
   WHERE u.attempt >= j.max_attempts AND u.id <> ALL (v_unwanted);
  PERFORM howdah.put_back(array_agg(u.id), array_agg(u.attempt))
    FROM unnest(v_lost, v_attempts) u(id, attempt), LATERAL howdah.find_job(u.id) j
   WHERE u.attempt < j.max_attempts AND u.id <> ALL (v_unwanted);
  RETURN cardinality(v_lost);
END $$;
-- howdah.rescue_overdue(worker_id, message) -> integer
-- Gives away those jobs of a silent worker whose own lease is over, and leaves it the others. It stays registered, and
-- hears of it by its next heartbeat, if there is one. Returns how many jobs that were. Internal to rescue, which
-- has locked the worker's row.
-- Writes: worker, and see rescue_lease. Locks: lease rows, passing by what others have locked. Errors: none.
-- Cost: where kinds have leases of their own, a look at each job that the worker holds.
CREATE OR REPLACE FUNCTION howdah.rescue_overdue(worker_id bigint, message text) RETURNS integer
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  v_worker howdah.worker;
  v_silent float8;
  v_kinds  boolean := EXISTS (SELECT FROM howdah.kind k WHERE k.lease_ms IS NOT NULL);
  v_queue  integer;
  v_all    boolean;
  v_over   bigint[];
  v_jobs   integer := 0;
  l        record;
BEGIN
  SELECT * INTO v_worker FROM howdah.worker w WHERE w.id = rescue_overdue.worker_id;
  v_silent := extract(epoch FROM howdah.now() - v_worker.heartbeat_at) * 1000;
  -- Lock first and look later: see rescue_worker.
  FOR l IN SELECT e.id, e.queue_id FROM howdah.lease e WHERE e.worker_id = rescue_overdue.worker_id ORDER BY e.id FOR UPDATE SKIP LOCKED LOOP
    v_queue := coalesce((SELECT q.lease_ms FROM howdah.queue q WHERE q.id = l.queue_id), v_worker.lease_ms);
    IF v_kinds THEN
      SELECT bool_and(j.lease_ms < v_silent), array_agg(j.id) FILTER (WHERE j.lease_ms < v_silent) INTO v_all, v_over
        FROM (SELECT f.id, howdah.lease_ms(coalesce(k.lease_ms, v_queue), v_worker.heartbeat_ms) AS lease_ms
                FROM howdah.lease e, unnest(e.first_ids, e.counts) r(first_id, jobs), generate_series(0, r.jobs - 1) g,
                     LATERAL howdah.find_job(r.first_id + g) f LEFT JOIN howdah.kind k ON k.name = f.kind
               WHERE (e.id & 3) = (l.id & 3) AND e.id = l.id) j;
    ELSE
      v_all := howdah.lease_ms(v_queue, v_worker.heartbeat_ms) < v_silent;
    END IF;
    IF v_all THEN
      v_jobs := v_jobs + howdah.rescue_lease(l.id, rescue_overdue.worker_id, 'worker_lost', rescue_overdue.message);
    ELSIF v_over IS NOT NULL THEN
      v_jobs := v_jobs + howdah.rescue_lease(l.id, rescue_overdue.worker_id, 'worker_lost', rescue_overdue.message, v_over);
    END IF;
  END LOOP;
  IF v_jobs > 0 THEN
    UPDATE howdah.worker w SET robbed = w.robbed + 1 WHERE w.id = rescue_overdue.worker_id;
  END IF;
  RETURN v_jobs;
END $$;
-- howdah.rescue_worker(worker_id, error_kind, message) -> integer
-- Unregisters a worker and gives everything it holds to others: jobs are ready again at their old place,
-- or dead after their last attempt. The attempt counts: a job that kills its worker must not do so for ever.
-- From here on nothing the worker says of these jobs is accepted. Returns how many jobs that were.
-- Writes: worker, sleeper, cancel_request, lease, failure, ticket, dead. Locks: lease rows; a lease that a
-- complete_in has locked is passed by, and found by the next rescue as an orphan. Errors: none. Internal.
CREATE OR REPLACE FUNCTION howdah.rescue_worker(worker_id bigint, error_kind text, message text) RETURNS integer
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  v_lease bigint;
  v_jobs  integer := 0;
BEGIN
  DELETE FROM howdah.worker w WHERE w.id = rescue_worker.worker_id;
  DELETE FROM howdah.sleeper s WHERE s.worker_id = rescue_worker.worker_id;
  -- Lock first and look later: a statement's snapshot must be younger than the lock, or it would miss what a
  -- complete_in committed meanwhile.
  FOR v_lease IN SELECT l.id FROM howdah.lease l WHERE l.worker_id = rescue_worker.worker_id ORDER BY l.id FOR UPDATE SKIP LOCKED LOOP
    v_jobs := v_jobs + howdah.rescue_lease(v_lease, rescue_worker.worker_id, rescue_worker.error_kind, rescue_worker.message);
  END LOOP;
  RETURN v_jobs;
END $$;
-- howdah.resign_keeper(worker_id) -> boolean
-- Leaves the keeper's office, so that another is elected at its next heartbeat. Returns whether it was held.
-- Writes: keeper. Errors: none.
CREATE OR REPLACE FUNCTION howdah.resign_keeper(worker_id bigint) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  UPDATE howdah.keeper k SET expires_at = '-infinity', worker_id = NULL, wakes_at = 'infinity' WHERE k.worker_id = resign_keeper.worker_id;
  RETURN FOUND;
END $$;
-- howdah.rotate() -> text
-- The keeper's slow chore: turns one ring, or truncates one partition, or prunes one batch, so that nothing
-- grows without bound. Returns what it did, or `could not ...`, which is for a person to see; NULL when there is nothing
-- to do. Never waits for a lock of its own; but a queue's before_removal may take its time.
-- It goes on with operations that nobody goes on with. The statistics are its, too: it adds up what workers have reported, removes what is old,
-- and notes once a minute how full the queues are.
-- Call it until it returns NULL, each time in a transaction of its own. Errors: none.
CREATE OR REPLACE FUNCTION howdah.rotate() RETURNS text
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
  SELECT coalesce(
    howdah.rotate_ring('ticket', 'ticket', '{0,1}', 8388608),
    howdah.rotate_ring('returned', 'ticket', '{2,3}', 8388608),
    howdah.rotate_ring('lease', 'lease', '{0,1,2,3}', 8388608),
    howdah.rotate_history(),
    howdah.rotate_jobs(),
    howdah.sweep_deleted(),
    howdah.prune_workflows(),
    howdah.prune(),
    howdah.continue_operations(),
    howdah.fold_stats(),
    howdah.rotate_ring('stat_report', 'stat_report', '{0,1}', 1048576),
    howdah.prune_stats(10000),
    howdah.note_depths())
$$;
-- howdah.rotate_history() -> text
-- Turns the ring of history twice in the longest retention, and truncates a slot when that has passed since it was
-- left: what goes is then at least one retention old, and at most one and a half. What is to be asked about before it
-- goes (archive, hold, before_removal) keeps its slot until it is gone by rows; the failures of jobs that are not over
-- move on with the ring. Returns what it did, or NULL. Internal to rotate.
-- Writes: ring, history_slot, and see carry_history. Locks: see truncate_slot.
CREATE OR REPLACE FUNCTION howdah.rotate_history() RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_now     timestamptz := howdah.now();
  v_longest interval := howdah.longest_retention();
  v_groups  bigint := CASE WHEN howdah.must_ask() <> '{}' THEN howdah.pruned_groups() END;
  v_slot    smallint;
  v_since   timestamptz;
  v_next    smallint;
BEGIN
  SELECT r.slot, r.since, (r.slot + 1) % 4 INTO v_slot, v_since, v_next FROM howdah.ring r WHERE r.name = 'history' FOR UPDATE SKIP LOCKED;
  IF NOT FOUND THEN
    RETURN NULL;
  END IF;
  FOR v_next IN SELECT h.slot FROM howdah.history_slot h
                 WHERE h.slot <> v_slot AND h.left_at + v_longest < v_now AND (v_groups IS NULL OR h.clean_for = v_groups)
                   AND NOT howdah.is_empty_slot(h.slot) ORDER BY h.left_at FOR UPDATE SKIP LOCKED LOOP
    PERFORM howdah.carry_history(v_next, v_slot);
    IF howdah.truncate_slot((SELECT array_agg(t || '_' || v_next) FROM unnest(howdah.history_tables()) t)) THEN
      RETURN format('truncated history slot %s', v_next);
    END IF;
  END LOOP;
  v_next := (v_slot + 1) % 4;
  -- The ring never turns fast, not even if nothing is to be kept: a busy fleet would keep it turning.
  IF v_since + greatest(v_longest / 2, interval '10 seconds') >= v_now OR howdah.is_empty_slot(v_slot) OR NOT howdah.is_empty_slot(v_next) THEN
    RETURN NULL;
  END IF;
  UPDATE howdah.ring r SET slot = v_next, since = v_now WHERE r.name = 'history';
  UPDATE howdah.history_slot h SET left_at = v_now WHERE h.slot = v_slot;
  UPDATE howdah.history_slot h
     SET since = v_now, left_at = NULL, page = NULL, pass_at = '-infinity', pass_for = NULL, remains = true, clean_for = NULL
   WHERE h.slot = v_next;
  RETURN format('turned history to slot %s', v_next);
END $$;
-- howdah.rotate_jobs() -> text
-- Turns the ring of howdah.job: four times in the longest retention the id sequence moves on to the next partition,
-- if that is empty, but not within 15 minutes: there are a million turns in the sequence. A partition that was left is
-- truncated one retention after its last job had ended. The few jobs that live longer (scheduled far ahead, dead) are
-- moved to job_kept first; while there are more than 10,000 of them the partition waits, and so it does for jobs that
-- are to be archived, held or called about. Returns what it did, or NULL. Internal to rotate.
-- Writes: ring, block_seq, idle_job_slot, job_kept. Locks: see truncate_slot.
CREATE OR REPLACE FUNCTION howdah.rotate_jobs() RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_retention interval := howdah.longest_retention();
  v_block     bigint := (SELECT s.last_value FROM howdah.block_seq s);
  v_current   integer := (v_block >> 26) & 7;
  v_since     timestamptz;
  v_idle      timestamptz;
  v_look      timestamptz;
  v_live      bigint;
  v_slot      integer;
BEGIN
  SELECT r.since INTO v_since FROM howdah.ring r WHERE r.name = 'job' FOR UPDATE SKIP LOCKED;
  IF NOT FOUND THEN
    RETURN NULL;
  END IF;
  FOR v_slot IN SELECT s FROM generate_series(0, 7) s WHERE s NOT IN (v_current, (v_current + 7) & 7)
                   AND pg_relation_size(format('howdah.job_%s', s)::regclass) > 0 LOOP
    SELECT count(*) INTO v_live FROM howdah.live_jobs(v_slot, 10001);
    IF v_live BETWEEN 1 AND 10000 THEN
      INSERT INTO howdah.job_kept SELECT j.* FROM howdah.live_jobs(v_slot, 10001) l, LATERAL howdah.find_job(l) j ON CONFLICT DO NOTHING;
    END IF;
    CONTINUE WHEN v_live > 10000;
    INSERT INTO howdah.idle_job_slot (slot, idle_since) VALUES (v_slot, howdah.now()) ON CONFLICT DO NOTHING;
    SELECT i.idle_since, coalesce(i.look_at, '-infinity') INTO v_idle, v_look FROM howdah.idle_job_slot i WHERE i.slot = v_slot;
    CONTINUE WHEN v_idle + v_retention >= howdah.now() OR v_look > howdah.now();
    IF howdah.awaits_removal(v_slot) THEN
      UPDATE howdah.idle_job_slot i SET look_at = howdah.now() + interval '5 minutes' WHERE i.slot = v_slot;
    ELSIF howdah.truncate_slot(ARRAY['job_' || v_slot], v_slot) THEN
      DELETE FROM howdah.idle_job_slot i WHERE i.slot = v_slot;
      RETURN format('truncated job_%s', v_slot);
    END IF;
  END LOOP;
  IF v_since + greatest(v_retention / 4, interval '15 minutes') < howdah.now() AND pg_relation_size(format('howdah.job_%s', v_current)::regclass) > 0
     AND pg_relation_size(format('howdah.job_%s', (v_current + 1) & 7)::regclass) = 0 THEN
    PERFORM setval('howdah.block_seq', ((v_block >> 26) + 1) << 26);
    UPDATE howdah.ring r SET slot = (v_current + 1) & 7, since = howdah.now() WHERE r.name = 'job';
    RETURN format('turned job to job_%s', (v_current + 1) & 7);
  END IF;
  RETURN NULL;
END $$;
-- howdah.rotate_ring(ring, relation, slots, turn_bytes) -> text
-- Turns a ring of hot partitions when the one that is written has grown past turn_bytes, and truncates those
-- that were left and have run empty. Returns what it did, or NULL. Internal to rotate.
-- Writes: ring, queue. Locks: see truncate_slot.
CREATE OR REPLACE FUNCTION howdah.rotate_ring(ring text, relation text, slots integer[], turn_bytes bigint) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_current smallint;
  v_slot    integer;
  v_free    integer;
  v_live    boolean;
BEGIN
  SELECT r.slot INTO v_current FROM howdah.ring r WHERE r.name = rotate_ring.ring FOR UPDATE SKIP LOCKED;
  IF NOT FOUND THEN
    RETURN NULL;
  END IF;
  -- Also mends a queue that was made while the ring turned.
  IF rotate_ring.ring = 'ticket' THEN
    PERFORM howdah.set_fresh_slot(v_current);
  END IF;
  FOREACH v_slot IN ARRAY rotate_ring.slots LOOP
    CONTINUE WHEN v_slot = v_current;
    IF pg_relation_size(format('howdah.%I', rotate_ring.relation || '_' || v_slot)::regclass) = 0 THEN
      v_free := v_slot;
    ELSE
      EXECUTE format('SELECT EXISTS (SELECT FROM howdah.%I)', rotate_ring.relation || '_' || v_slot) INTO v_live;
      IF NOT v_live AND howdah.truncate_slot(ARRAY[rotate_ring.relation || '_' || v_slot]) THEN
        RETURN format('truncated %s_%s', rotate_ring.relation, v_slot);
      END IF;
    END IF;
  END LOOP;
  IF v_free IS NOT NULL AND pg_relation_size(format('howdah.%I', rotate_ring.relation || '_' || v_current)::regclass) > rotate_ring.turn_bytes THEN
    UPDATE howdah.ring r SET slot = v_free, since = howdah.now() WHERE r.name = rotate_ring.ring;
    IF rotate_ring.ring = 'ticket' THEN
      PERFORM howdah.set_fresh_slot(v_free);
    END IF;
    RETURN format('turned %s to %s_%s', rotate_ring.ring, rotate_ring.relation, v_free);
  END IF;
  RETURN NULL;
END $$;
-- howdah.session_ended(worker) -> boolean
-- Whether a worker has missed a heartbeat and the session that it had attached is gone. A heartbeat that lies ahead was before
-- the clock went back: it says nothing. Internal: a hint, for workers that are connected directly.
-- Reads: pg_stat_activity. Errors: none.
CREATE OR REPLACE FUNCTION howdah.session_ended(worker howdah.worker) RETURNS boolean
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
  SELECT worker.backend_pid IS NOT NULL
     AND (worker.heartbeat_at + make_interval(secs => 1.25 * worker.heartbeat_ms / 1000.0) < howdah.now()
       OR worker.heartbeat_at > howdah.now() + interval '1 second')
     AND NOT EXISTS (
       SELECT FROM pg_stat_activity a WHERE a.pid = worker.backend_pid
          -- When another role's session started is hidden from roles that may not know.
          AND (a.backend_start IS NULL OR a.backend_start = worker.backend_start))
$$;
-- howdah.set_fresh_slot(slot) -> void
-- Tells queues which slot of howdah.ticket new jobs go to. A queue whose row somebody has locked is passed by, and
-- told the next time: it may go on with the old slot for as long as it likes. Internal to rotate_ring.
-- Writes: queue. Locks: queue rows, skipping what others have.
CREATE OR REPLACE FUNCTION howdah.set_fresh_slot(slot integer) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
  UPDATE howdah.queue q SET fresh_slot = set_fresh_slot.slot WHERE q.id = ANY (ARRAY(
    SELECT o.id FROM howdah.queue o WHERE o.fresh_slot <> set_fresh_slot.slot FOR NO KEY UPDATE SKIP LOCKED))
$$;
-- howdah.sweep_deleted(most) -> text
-- Cancels what still waits in queues that were deleted: what delete_queue left to do, and jobs whose enqueuers had
-- read the queue before. Forgets the names of queues whose history is gone as well: twice the longest retention
-- after the deletion. At most `most` runs of each room a queue. Internal to rotate.
-- Returns what it did, or NULL. Writes: ticket, deferred, receipt, deleted_queue, removal_failure. Locks: see cancel_waiting.
-- Cost: two index probes for each deleted queue.
CREATE OR REPLACE FUNCTION howdah.sweep_deleted(most integer DEFAULT 1000) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  d      record;
  v_jobs bigint;
BEGIN
  FOR d IN SELECT q.id, q.name, q.deleted_at + 2 * greatest(howdah.longest_retention(), c.dead_retention) < howdah.now() AS over
             FROM howdah.deleted_queue q, howdah.config c ORDER BY q.id LOOP
    v_jobs := howdah.cancel_waiting(d.id, sweep_deleted.most);
    IF v_jobs > 0 THEN
      RETURN format('cancelled %s jobs of the deleted queue %s', v_jobs, d.name);
    END IF;
    IF d.over AND NOT EXISTS (SELECT FROM howdah.lease l WHERE l.queue_id = d.id)
       AND NOT EXISTS (SELECT FROM howdah.dead x WHERE x.queue_id = d.id) THEN
      DELETE FROM howdah.deleted_queue q WHERE q.id = d.id;
      DELETE FROM howdah.removal_failure f WHERE f.queue_id = d.id;
      RETURN format('forgot the deleted queue %s', d.name);
    END IF;
  END LOOP;
  RETURN NULL;
END $$;
-- howdah.truncate_slot(tables, job_slot) -> boolean
-- Truncates partitions in which nothing lives, without making anyone wait: gives up at once when a lock is
-- held, and looks again under its own lock before it truncates. Truncating needs no vacuum and no horizon, so
-- a long transaction elsewhere cannot keep the dead rows. Only a pg_dump can, while it runs: see being_dumped.
--   tables    names of partitions in this schema
--   job_slot  NULL: the tables must be empty, but for those of history; else the partition of howdah.job, in which no
--             job may be live
-- Returns whether it was done. Locks: access exclusive on the tables, taken only if free. Internal to rotate.
CREATE OR REPLACE FUNCTION howdah.truncate_slot(tables text[], job_slot integer DEFAULT NULL) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_table text;
  v_live  boolean;
BEGIN
  PERFORM howdah.must_read_committed();
  FOREACH v_table IN ARRAY truncate_slot.tables LOOP
    EXECUTE format('LOCK TABLE howdah.%I IN ACCESS EXCLUSIVE MODE NOWAIT', v_table);
  END LOOP;
  IF truncate_slot.job_slot IS NOT NULL AND EXISTS (SELECT FROM howdah.live_jobs(truncate_slot.job_slot, 1)) THEN
    RETURN false;
  END IF;
  FOREACH v_table IN ARRAY truncate_slot.tables LOOP
    IF truncate_slot.job_slot IS NULL AND regexp_replace(v_table, '_[0-9]$', '') <> ALL (howdah.history_tables()) THEN
      EXECUTE format('SELECT EXISTS (SELECT FROM howdah.%I)', v_table) INTO v_live;
      IF v_live THEN
        RETURN false;
      END IF;
    END IF;
  END LOOP;
  IF howdah.being_dumped() THEN
    RETURN false;
  END IF;
  FOREACH v_table IN ARRAY truncate_slot.tables LOOP
    EXECUTE format('TRUNCATE howdah.%I', v_table);
    -- Else the planner takes an empty table that it knows nothing of for ten pages.
    EXECUTE format('ANALYZE howdah.%I', v_table);
  END LOOP;
  RETURN true;
EXCEPTION WHEN lock_not_available THEN
  RETURN false;
END $$;
-- howdah.now() -> timestamptz
-- The one clock: the server's. Tests replace this function to travel in time; nothing else may ask for the time.
-- Cost: none, it is inlined.
CREATE OR REPLACE FUNCTION howdah.now() RETURNS timestamptz
LANGUAGE sql VOLATILE PARALLEL SAFE
RETURN pg_catalog.clock_timestamp();
-- howdah.attempt_in(lease, job_id) -> smallint
-- Which attempt at a job a lease holds; NULL: it does not hold the job, or its worker was given up. The fence of
-- what does not settle a job. The caller has locked the lease row and gives what it read with that lock.
-- Reads: settled, worker. Internal.
CREATE OR REPLACE FUNCTION howdah.attempt_in(lease howdah.lease, job_id bigint) RETURNS smallint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
BEGIN
  RETURN (
    SELECT r.attempt FROM unnest((attempt_in.lease).first_ids, (attempt_in.lease).counts, (attempt_in.lease).attempts) r(first_id, jobs, attempt)
     WHERE attempt_in.job_id >= r.first_id AND attempt_in.job_id < r.first_id + r.jobs
       AND EXISTS (SELECT FROM howdah.worker w WHERE w.id = (attempt_in.lease).worker_id)
       AND NOT EXISTS (SELECT FROM howdah.settled s WHERE s.lease_id = (attempt_in.lease).id AND s.job_id = attempt_in.job_id));
END $$;
-- howdah.check_progress(percent, checkpoint) -> void
-- Refuses what no progress may be. Internal to report_progress and note_progress.
-- Errors: HD002, naming the field.
CREATE OR REPLACE FUNCTION howdah.check_progress(percent real, checkpoint jsonb DEFAULT NULL) RETURNS void
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  -- NaN is greater than every number.
  IF check_progress.percent NOT BETWEEN 0 AND 100 THEN
    RAISE EXCEPTION 'percent must be 0 to 100, not %', check_progress.percent USING ERRCODE = 'HD002', COLUMN = 'percent';
  END IF;
  IF octet_length(check_progress.checkpoint::text) > 65536 THEN
    RAISE EXCEPTION 'checkpoint is % bytes as text, and may be at most 65536', octet_length(check_progress.checkpoint::text)
      USING ERRCODE = 'HD002', COLUMN = 'checkpoint', HINT = 'Store large data elsewhere and keep its key in the checkpoint.';
  END IF;
END $$;
-- howdah.check_traceparent(traceparent) -> void
-- Refuses what is not the header traceparent of W3C Trace Context, such as
-- 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01: version, trace, span, flags, in lower-case hexadecimal.
-- A version that is not known yet may have more behind a dash, up to 128 bytes in all. NULL is none.
-- Errors: HD002 (invalid argument) with COLUMN traceparent. Internal to check_options.
CREATE OR REPLACE FUNCTION howdah.check_traceparent(traceparent text) RETURNS void
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF check_traceparent.traceparent IS NULL THEN
    RETURN;
  END IF;
  IF check_traceparent.traceparent !~ '^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(-[ -~]*)?$'
     OR check_traceparent.traceparent ~ '^(ff|..-0{32}|.{35}-0{16}|00-.{53})' OR octet_length(check_traceparent.traceparent) > 128 THEN
    RAISE EXCEPTION 'traceparent must be that of W3C Trace Context, not %', quote_literal(left(check_traceparent.traceparent, 60))
      USING ERRCODE = 'HD002', COLUMN = 'traceparent',
        HINT = 'Such as 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01; leave it out for a job that belongs to no trace.';
  END IF;
END $$;
-- howdah.get_progress(job_id) -> (attempt, at, percent, message, checkpoint)
-- What a job has last said of itself, whichever attempt said it: no row if nothing, or if it has ended well.
-- Reads: progress. Locks: none. Errors: none.
CREATE OR REPLACE FUNCTION howdah.get_progress(job_id bigint)
RETURNS TABLE (attempt smallint, at timestamptz, percent real, message text, checkpoint jsonb) LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY SELECT p.attempt, p.at, p.percent, p.message, p.checkpoint FROM howdah.progress p WHERE p.job_id = get_progress.job_id;
END $$;
-- howdah.note_progress(lease_ids, job_ids, percents, messages) -> (lease_id, job_id, written)
-- As report_progress without a checkpoint, for many jobs at once and without waiting for anybody: what a worker
-- sends. The arrays run in parallel; NULL in place of a percent or message leaves what was.
-- Returns a row for each job that is still held by its lease: written is false when somebody else had the lease
-- or the progress row just then: try again. One that is missing was lost.
-- Writes: progress. Locks: lease rows, shared, so that no job can end while its progress is written; never waits.
-- Call it in a transaction of its own. Errors: HD002 invalid argument, HD012 the transaction is not READ COMMITTED.
CREATE OR REPLACE FUNCTION howdah.note_progress(lease_ids bigint[], job_ids bigint[], percents real[], messages text[])
RETURNS TABLE (lease_id bigint, job_id bigint, written boolean) LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_lease   howdah.lease;
  v_attempt smallint;
  n         record;
BEGIN
  PERFORM howdah.must_read_committed();
  -- Losing this in a crash costs nothing that the next report does not bring again.
  PERFORM set_config('synchronous_commit', 'off', true);
  PERFORM howdah.check_progress(p) FROM unnest(note_progress.percents) p;
  FOR n IN SELECT * FROM unnest(note_progress.lease_ids, note_progress.job_ids, note_progress.percents, note_progress.messages)
                            u(lease_id, id, percent, message) LOOP
    lease_id := n.lease_id;
    job_id := n.id;
    SELECT * INTO v_lease FROM howdah.lease l WHERE (l.id & 3) = (n.lease_id & 3) AND l.id = n.lease_id FOR SHARE SKIP LOCKED;
    written := FOUND;
    IF written THEN
      v_attempt := howdah.attempt_in(v_lease, n.id);
      CONTINUE WHEN v_attempt IS NULL;
      -- Nobody sees a row that an open report_progress has inserted; but it has the lease, and we need not wait for it.
      IF NOT EXISTS (SELECT FROM howdah.progress p WHERE p.job_id = n.id) THEN
        PERFORM FROM howdah.lease l WHERE (l.id & 3) = (n.lease_id & 3) AND l.id = n.lease_id FOR UPDATE SKIP LOCKED;
        IF NOT FOUND THEN
          written := false;
          RETURN NEXT;
          CONTINUE;
        END IF;
      END IF;
      written := howdah.write_progress(n.id, v_attempt, n.percent, n.message);
    ELSE
      CONTINUE WHEN NOT EXISTS (SELECT FROM howdah.lease l WHERE (l.id & 3) = (n.lease_id & 3) AND l.id = n.lease_id);
    END IF;
    RETURN NEXT;
  END LOOP;
END $$;
-- howdah.report_progress(lease_id, job_id, percent, message, checkpoint) -> void
-- Says how far a running job is, and where its next attempt can go on. NULL leaves what was said before.
--   percent     0 to 100
--   message     for people; cut at 1000 characters
--   checkpoint  for the next attempt: JSON of at most 64 KiB as text; JSON null clears it
-- Inside of the caller's transaction: with its writes, or not at all.
-- Writes: progress. Locks: the progress row of the job; the lease row, shared: other jobs of the lease do not
-- wait, a rescue passes it by.
-- Errors: HD002 invalid argument; HD010 the job is not this lease's any more: stop working on it.
CREATE OR REPLACE FUNCTION howdah.report_progress(lease_id bigint, job_id bigint, percent real DEFAULT NULL, message text DEFAULT NULL,
  checkpoint jsonb DEFAULT NULL)
RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_lease   howdah.lease;
  v_attempt smallint;
BEGIN
  PERFORM howdah.check_progress(report_progress.percent, report_progress.checkpoint);
  SELECT * INTO v_lease FROM howdah.lease l
   WHERE (l.id & 3) = (report_progress.lease_id & 3) AND l.id = report_progress.lease_id FOR KEY SHARE;
  v_attempt := howdah.attempt_in(v_lease, report_progress.job_id);
  IF v_attempt IS NULL THEN
    PERFORM howdah.lease_lost(report_progress.lease_id, report_progress.job_id);
  END IF;
  INSERT INTO howdah.progress AS p (job_id, attempt, at, percent, message, checkpoint)
    VALUES (report_progress.job_id, v_attempt, howdah.now(), report_progress.percent, left(report_progress.message, 1000),
            nullif(report_progress.checkpoint, 'null'))
  ON CONFLICT (job_id) DO UPDATE
    SET attempt = excluded.attempt, at = excluded.at, percent = coalesce(excluded.percent, p.percent),
        message = coalesce(excluded.message, p.message),
        checkpoint = CASE WHEN report_progress.checkpoint IS NULL THEN p.checkpoint ELSE excluded.checkpoint END;
END $$;
-- howdah.write_logs(job_ids, attempts, lines) -> integer
-- Keeps what was logged inside of attempts, many of them at once. The arrays run in parallel.
--   lines  for each attempt a JSON array of {"level": .., "target": .., "message": .., "age_us": ..}, oldest first:
--          age_us is how many microseconds ago it was logged (0), so that the server's clock is the only one;
--          at most 10000 lines; a message is cut at 8192 characters, a target at 256
-- Returns how many lines were written. Not fenced: an attempt that lost its lease has logged all the same.
-- Writes: log. Locks: none. Errors: HD002 invalid argument.
-- Its commit does not wait for the disk, and so neither does that of a transaction around it.
CREATE OR REPLACE FUNCTION howdah.write_logs(job_ids bigint[], attempts smallint[], lines jsonb[]) RETURNS integer
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  v_now   timestamptz := howdah.now();
  v_lines integer;
BEGIN
  IF cardinality(write_logs.job_ids) IS DISTINCT FROM cardinality(write_logs.lines)
     OR cardinality(write_logs.job_ids) IS DISTINCT FROM cardinality(write_logs.attempts) THEN
    RAISE EXCEPTION 'job_ids, attempts and lines must be of one length' USING ERRCODE = 'HD002', COLUMN = 'lines';
  END IF;
  IF EXISTS (SELECT FROM unnest(write_logs.lines) l
              WHERE CASE WHEN jsonb_typeof(l) = 'array' THEN jsonb_array_length(l) > 10000 ELSE true END) THEN
    RAISE EXCEPTION 'lines must be a JSON array of at most 10000 objects for each attempt' USING ERRCODE = 'HD002', COLUMN = 'lines';
  END IF;
  -- Losing a log in a crash of the server loses no job.
  PERFORM set_config('synchronous_commit', 'off', true);
  INSERT INTO howdah.log (slot, job_id, attempt, line, at, level, target, message)
  SELECT r.slot, u.job_id, u.attempt, l.n, v_now - make_interval(secs => coalesce((l.line ->> 'age_us')::float8, 0) / 1000000),
         left(coalesce(l.line ->> 'level', 'INFO'), 16), left(coalesce(l.line ->> 'target', ''), 256), left(coalesce(l.line ->> 'message', ''), 8192)
    FROM howdah.ring r, unnest(write_logs.job_ids, write_logs.attempts, write_logs.lines) u(job_id, attempt, lines),
         jsonb_array_elements(u.lines) WITH ORDINALITY l(line, n)
   WHERE r.name = 'history';
  GET DIAGNOSTICS v_lines = ROW_COUNT;
  RETURN v_lines;
END $$;
-- howdah.write_progress(job_id, attempt, percent, message) -> boolean
-- Writes the progress of a job that the caller has found to be held. Returns false, and writes nothing, when
-- another transaction has the row. Writes: progress. Internal to note_progress.
CREATE OR REPLACE FUNCTION howdah.write_progress(job_id bigint, attempt smallint, percent real, message text) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
BEGIN
  PERFORM FROM howdah.progress p WHERE p.job_id = write_progress.job_id FOR NO KEY UPDATE SKIP LOCKED;
  IF FOUND THEN
    UPDATE howdah.progress p
       SET attempt = write_progress.attempt, at = howdah.now(), percent = coalesce(write_progress.percent, p.percent),
           message = coalesce(left(write_progress.message, 1000), p.message)
     WHERE p.job_id = write_progress.job_id;
    RETURN true;
  END IF;
  IF EXISTS (SELECT FROM howdah.progress p WHERE p.job_id = write_progress.job_id) THEN
    RETURN false;
  END IF;
  INSERT INTO howdah.progress (job_id, attempt, at, percent, message)
    VALUES (write_progress.job_id, write_progress.attempt, howdah.now(), write_progress.percent, left(write_progress.message, 1000))
  ON CONFLICT DO NOTHING;
  RETURN FOUND;
END $$;
-- howdah.cancel(job_id) -> text
-- Cancels a job and returns what became of it:
--   cancelled   it waited, and will not run
--   cancelling  it runs: its worker is told, its handler sees the cancellation, and it then ends as cancelled. If its attempt
--               ends otherwise in this very moment, the keeper asks again within some seconds
--   already cancelled, completed, expired, dead: it had ended before, and nothing was changed
--   NULL        there is no such job
-- Writes: ticket or deferred, and receipt; or cancel_request. Locks: the ticket or deferred row; waits for a
-- claim of it that is under way. Errors: none.
CREATE OR REPLACE FUNCTION howdah.cancel(job_id bigint) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  v_attempt smallint;
  v_queue   integer;
  v_lease   howdah.lease;
BEGIN
  -- A job moves between rooms while we look: a claim that we waited for has made it running, a rescue
  -- ready again. Each round sees the newest state.
  FOR round IN 1..3 LOOP
    SELECT t.queue_id, t.attempt INTO v_queue, v_attempt FROM howdah.take_waiting(cancel.job_id) t;
    IF FOUND THEN
      PERFORM howdah.write_receipt(2, v_queue, NULL, NULL, ARRAY[cancel.job_id], ARRAY[v_attempt]);
      RETURN 'cancelled';
    END IF;
    SELECT l.* INTO v_lease FROM howdah.lease l, unnest(l.first_ids, l.counts) r(first_id, jobs)
     WHERE cancel.job_id >= r.first_id AND cancel.job_id < r.first_id + r.jobs
       AND NOT EXISTS (SELECT FROM howdah.settled s WHERE s.lease_id = l.id AND s.job_id = cancel.job_id);
    IF FOUND THEN
      INSERT INTO howdah.cancel_request (job_id, lease_id, worker_id, requested_at)
        VALUES (cancel.job_id, v_lease.id, v_lease.worker_id, howdah.now())
        ON CONFLICT (job_id) DO UPDATE SET lease_id = excluded.lease_id, worker_id = excluded.worker_id;
      PERFORM pg_notify('howdah.cancel', v_lease.worker_id::text);
      RETURN 'cancelling';
    END IF;
  END LOOP;
  RETURN (SELECT CASE s WHEN 'cancelled' THEN 'already cancelled' ELSE s END FROM howdah.state(cancel.job_id) s);
END $$;
-- howdah.cancel_waiting(queue_id, most) -> bigint
-- Cancels what waits in a queue, at most `most` runs of each room. Returns how many jobs that were.
-- Writes: ticket, deferred, receipt. Locks: their rows; waits for nobody, what others have locked is passed by.
-- Errors: none. Internal to delete_queue and sweep_deleted.
CREATE OR REPLACE FUNCTION howdah.cancel_waiting(queue_id integer, most integer) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off AS $$
DECLARE
  v_tids     tid[];
  v_firsts   bigint[];
  v_counts   smallint[];
  v_attempts smallint[];
  v_jobs     bigint := 0;
BEGIN
  -- Lock first and delete later: a ticket that a claim has split meanwhile is locked as it is now, and deleted by a
  -- statement that can see it.
  FOR v_slot IN 0..4 LOOP
    IF v_slot < 4 THEN
      SELECT array_agg(t.tid), array_agg(t.first_id), array_agg(t.jobs), array_agg(t.attempt) INTO v_tids, v_firsts, v_counts, v_attempts
        FROM (SELECT k.ctid AS tid, k.first_id, k.jobs, k.attempt FROM howdah.ticket k
               WHERE k.slot = v_slot AND k.queue_id = cancel_waiting.queue_id
               ORDER BY k.priority, k.first_id LIMIT cancel_waiting.most FOR UPDATE SKIP LOCKED) t;
      DELETE FROM howdah.ticket t WHERE t.slot = v_slot AND t.ctid = ANY (v_tids);
    ELSE
      SELECT array_agg(d.first_id), array_agg(d.jobs), array_agg(d.attempt) INTO v_firsts, v_counts, v_attempts
        FROM (SELECT k.first_id, k.jobs, k.attempt FROM howdah.deferred k WHERE k.queue_id = cancel_waiting.queue_id
               LIMIT cancel_waiting.most FOR UPDATE SKIP LOCKED) d;
      DELETE FROM howdah.deferred d WHERE d.first_id = ANY (v_firsts);
    END IF;
    IF v_firsts IS NOT NULL THEN
      PERFORM howdah.write_receipt(2, cancel_waiting.queue_id, NULL, NULL,
                array_agg(r.first_id + g ORDER BY r.first_id + g), array_agg(r.attempt ORDER BY r.first_id + g))
         FROM unnest(v_firsts, v_counts, v_attempts) r(first_id, jobs, attempt), generate_series(0, r.jobs - 1) g;
      v_jobs := v_jobs + (SELECT sum(c) FROM unnest(v_counts) c);
    END IF;
  END LOOP;
  RETURN v_jobs;
END $$;
-- howdah.check_pause(by, reason) -> void
-- Refuses what is too long to be said of a pause. Internal. Errors: HD002.
CREATE OR REPLACE FUNCTION howdah.check_pause(by text, reason text) RETURNS void
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF octet_length(check_pause.by) > 256 THEN
    PERFORM howdah.option_refused('by', 'must be at most 256 bytes');
  ELSIF octet_length(check_pause.reason) > 1024 THEN
    PERFORM howdah.option_refused('reason', 'must be at most 1024 bytes');
  END IF;
END $$;
-- howdah.create_queue(name, settings) -> integer
-- Makes a queue, or does nothing if it exists: what has been set since its creation stays as it is. Returns its id.
--   settings  NULL: the defaults; else as for howdah.set_queue
-- Workers that already serve a queue of this name are told. Writes: queue, command.
-- Locks: none if it exists; another creation of the same name waits for this commit.
-- Errors: HD002 invalid name or settings.
CREATE OR REPLACE FUNCTION howdah.create_queue(name text, settings jsonb DEFAULT NULL) RETURNS integer
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_id integer;
BEGIN
  IF create_queue.name IS NULL OR octet_length(create_queue.name) NOT BETWEEN 1 AND 128 OR create_queue.name ~ '[[:cntrl:]]' THEN
    RAISE EXCEPTION 'queue must be 1 to 128 bytes without control characters, not % bytes', coalesce(octet_length(create_queue.name)::text, 'NULL')
      USING ERRCODE = 'HD002', COLUMN = 'queue';
  END IF;
  IF create_queue.settings IS NOT NULL THEN
    PERFORM howdah.check_settings('queue', create_queue.settings);
  END IF;
  SELECT q.id INTO v_id FROM howdah.queue q WHERE q.name = create_queue.name;
  IF NOT FOUND THEN
    INSERT INTO howdah.queue (name, fresh_slot) SELECT create_queue.name, r.slot FROM howdah.ring r WHERE r.name = 'ticket'
      ON CONFLICT DO NOTHING RETURNING id INTO v_id;
    IF NOT FOUND THEN
      SELECT q.id INTO v_id FROM howdah.queue q WHERE q.name = create_queue.name;
    ELSE
      IF create_queue.settings IS NOT NULL THEN
        PERFORM howdah.change_settings('queue', create_queue.name, create_queue.settings);
      END IF;
      PERFORM howdah.note('create_queue', jsonb_build_object('queue', create_queue.name), changes => coalesce(create_queue.settings, '{}'));
      -- A worker may go on with a queue that was deleted: it does not know the new id.
      PERFORM pg_notify('howdah.queues', create_queue.name);
    END IF;
  END IF;
  RETURN v_id;
END $$;
-- howdah.delete_queue(queue, force) -> boolean
-- Deletes a queue: its name is free, and unknown until it is created again. Returns false if there is none.
--   force  false (default): only if it has no unfinished jobs. true: cancels what waits, some of it at once and the rest by and
--          by (the keeper's chore; none of it can be claimed meanwhile), and refuses only while something runs.
-- Its history can still be read in howdah.jobs. Dead jobs are history; they cannot be retried any more. Its workers go
-- on looking, and find it again when it is created. A job that somebody enqueues while it is deleted, by a transaction
-- that had begun or by a client that has not heard of it (for a second), is cancelled by the keeper, and seen so.
-- What a claim is taking at this very moment runs to its end.
-- Writes: queue, command, deleted_queue, sleeper, flow_rule, stat_total; ticket, deferred and receipt if forced. Locks: the queue's row; nobody who
-- enqueues or claims needs it.
-- Errors: HD002 the queue is 'default', which always exists. HD006 it is not empty; nothing was done.
CREATE OR REPLACE FUNCTION howdah.delete_queue(queue text, force boolean DEFAULT false) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_queue howdah.queue;
  v_left  record;
BEGIN
  IF delete_queue.queue = 'default' THEN
    RAISE EXCEPTION 'the queue default cannot be deleted: jobs that name no queue go there'
      USING ERRCODE = 'HD002', COLUMN = 'queue', HINT = 'To stop it: SELECT howdah.pause_queue(''default'')';
  END IF;
  DELETE FROM howdah.queue q WHERE q.name = delete_queue.queue RETURNING q.* INTO v_queue;
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  INSERT INTO howdah.deleted_queue (id, name, deleted_at, deleted_by, was)
    VALUES (v_queue.id, v_queue.name, howdah.now(), session_user, to_jsonb(v_queue));
  DELETE FROM howdah.sleeper s WHERE s.queue_id = v_queue.id;
  DELETE FROM howdah.stat_total s WHERE s.queue_id = v_queue.id;
  DELETE FROM howdah.flow_rule f WHERE f.scope = 'queue' AND f.name = v_queue.name;
  IF delete_queue.force THEN
    PERFORM howdah.cancel_waiting(v_queue.id, 1000);
  END IF;
  -- Looked at last: what a claim took before it could be cancelled is seen to run.
  SELECT * INTO v_left FROM howdah.unfinished_jobs(v_queue.id);
  IF v_left.running > 0 OR (NOT coalesce(delete_queue.force, false) AND v_left.ready + v_left.scheduled > 0) THEN
    RAISE EXCEPTION 'queue % is not empty: % ready, % scheduled, % running', delete_queue.queue, v_left.ready, v_left.scheduled, v_left.running
      USING ERRCODE = 'HD006', COLUMN = 'queue', HINT = CASE
        WHEN delete_queue.force THEN 'Pause it, and delete it when nothing runs any more: SELECT howdah.pause_queue(''name'')'
        ELSE 'Let its workers finish, or cancel what waits: SELECT howdah.delete_queue(''name'', force => true)' END;
  END IF;
  PERFORM howdah.note('delete_queue', jsonb_build_object('queue', delete_queue.queue),
    changes => CASE WHEN delete_queue.force THEN '{"force": true}' ELSE '{}' END::jsonb);
  RETURN true;
END $$;
-- howdah.insert_job() -> trigger
-- INSERT INTO howdah.new_job enqueues: each row goes through howdah.enqueue, with its errors. Internal to it.
CREATE OR REPLACE FUNCTION howdah.insert_job() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  NEW.id := howdah.enqueue(NEW.kind, NEW.payload, NEW.queue, NEW.priority, NEW.run_at, NEW.delay, NEW.max_attempts, NEW.options);
  RETURN NEW;
END $$;
-- howdah.pause_queue(queue, by, reason, lasts) -> boolean
-- Stops claims from a queue until resume_queue, over restarts. What runs goes on, and a claim that has begun may still take what it saw.
-- Of one that is paused, who, why and for how long are replaced. Returns whether it was running before.
--   lasts  the keeper resumes it after so long, within some seconds, a second to 10 years; NULL: nobody but resume_queue does
-- Writes: queue, command. Errors: HD001 unknown queue, HD002 by or reason is too long, or lasts out of range.
CREATE OR REPLACE FUNCTION howdah.pause_queue(queue text, by text DEFAULT NULL, reason text DEFAULT NULL, lasts interval DEFAULT NULL)
RETURNS boolean LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_was timestamptz;
BEGIN
  PERFORM howdah.check_pause(pause_queue.by, pause_queue.reason);
  IF pause_queue.lasts NOT BETWEEN '1 second' AND '10 years' THEN
    PERFORM howdah.option_refused('lasts', 'must be 1 second to 10 years');
  END IF;
  SELECT q.paused_at INTO v_was FROM howdah.queue q WHERE q.name = pause_queue.queue FOR NO KEY UPDATE;
  IF NOT FOUND THEN
    PERFORM howdah.unknown_queue(pause_queue.queue);
  END IF;
  UPDATE howdah.queue q SET paused_at = coalesce(q.paused_at, howdah.now()), paused_by = howdah.who_acts(pause_queue.by),
    pause_reason = pause_queue.reason, resume_at = howdah.now() + pause_queue.lasts WHERE q.name = pause_queue.queue;
  PERFORM howdah.note('pause_queue', jsonb_build_object('queue', pause_queue.queue), pause_queue.by, pause_queue.reason,
    jsonb_strip_nulls(jsonb_build_object('lasts', pause_queue.lasts::text)));
  RETURN v_was IS NULL;
END $$;
-- howdah.purge(state, older_than, queue, most) -> integer
-- Removes jobs that have ended before their retention is over, now: in the caller's transaction. What a queue wishes
-- for removal holds here too: it archives, and its before_removal is called; only 'hold' does not hold it up.
-- Dead jobs by which others are held (on_parent_failure 'hold') are left: delete them, or let the others go, see howdah.unhold.
--   state       completed, cancelled, expired or dead
--   older_than  how long ago they must have ended; '0' is all of them
--   queue       NULL: any
--   most        1 to 10000; jobs that were reported together go together, so there may be up to 499 more
-- Returns how many were removed. Call it again until that is 0.
-- Writes: receipt or dead, job, archive, command, and the history tables. Locks: rows of receipt and dead, skipping what others have.
-- Errors: HD001 unknown queue, HD002 invalid argument, what before_removal raises.
-- Cost: reads receipts until it has found `most`; dead jobs by an index.
CREATE OR REPLACE FUNCTION howdah.purge(state text, older_than interval, queue text DEFAULT NULL, most integer DEFAULT 1000) RETURNS integer
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  v_outcome integer := array_position('{completed,cancelled,expired,dead}'::text[], purge.state);
  v_removed integer := 0;
  k         record;
  p         record;
BEGIN
  IF v_outcome IS NULL THEN
    RAISE EXCEPTION 'state must be completed, cancelled, expired or dead, not %', coalesce(quote_literal(left(purge.state, 100)), 'NULL')
      USING ERRCODE = 'HD002', COLUMN = 'state', HINT = 'Cancel what has not ended.';
  ELSIF purge.older_than IS NULL OR purge.older_than NOT BETWEEN '0' AND '1000 years' THEN
    RAISE EXCEPTION 'older_than must be 0 to 1000 years, not %', coalesce(purge.older_than::text, 'NULL')
      USING ERRCODE = 'HD002', COLUMN = 'older_than';
  ELSIF purge.most IS NULL OR purge.most NOT BETWEEN 1 AND 10000 THEN
    RAISE EXCEPTION 'most must be 1 to 10000, not %', coalesce(purge.most::text, 'NULL') USING ERRCODE = 'HD002', COLUMN = 'most';
  ELSIF purge.queue IS NOT NULL AND NOT EXISTS (SELECT FROM howdah.every_queue() q WHERE q.name = purge.queue) THEN
    PERFORM howdah.unknown_queue(purge.queue);
  END IF;
  FOR k IN SELECT array_agg(q.id) AS queue_ids, array_agg(v_outcome::smallint) AS outcomes, array_agg(howdah.now() - purge.older_than) AS cuts
             FROM howdah.every_queue() q WHERE purge.queue IS NULL OR q.name = purge.queue HAVING count(*) > 0 LOOP
    FOR p IN SELECT * FROM howdah.pick_ended(k.queue_ids, k.outcomes, k.cuts, purge.most) LOOP
      v_removed := v_removed + howdah.remove_jobs(p.queue_id, p.slot, p.tids, p.dead_ids);
    END LOOP;
  END LOOP;
  IF v_removed > 0 THEN
    PERFORM howdah.note('purge', jsonb_strip_nulls(jsonb_build_object('state', purge.state, 'older_than', purge.older_than::text, 'queue', purge.queue)),
      changed => v_removed);
  END IF;
  RETURN v_removed;
END $$;
-- howdah.resume_due() -> integer
-- Resumes queues whose pause was for a while that is over. Returns how many those were. Internal to keep.
-- Writes: queue, command. Locks: rows that nobody else has. Errors: none.
CREATE OR REPLACE FUNCTION howdah.resume_due() RETURNS integer
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off AS $$
DECLARE
  v_names   text[];
BEGIN
  v_names := ARRAY(SELECT q.name FROM howdah.queue q WHERE q.resume_at <= howdah.now() FOR NO KEY UPDATE SKIP LOCKED);
  IF v_names <> '{}' THEN
    PERFORM set_config('howdah.made_by', 'keeper', true), set_config('howdah.reason', 'its pause was over', true);
    PERFORM howdah.resume_queue(n) FROM unnest(v_names) n;
    PERFORM set_config('howdah.made_by', '', true), set_config('howdah.reason', '', true);
  END IF;
  RETURN cardinality(v_names);
END $$;
-- howdah.resume_queue(queue) -> boolean
-- Lets claims from a paused queue go on, and wakes its workers. Returns whether it was paused.
-- Writes: queue, command. Errors: HD001 unknown queue.
CREATE OR REPLACE FUNCTION howdah.resume_queue(queue text) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_id  integer;
  v_was timestamptz;
BEGIN
  SELECT q.id, q.paused_at INTO v_id, v_was FROM howdah.queue q WHERE q.name = resume_queue.queue FOR NO KEY UPDATE;
  IF NOT FOUND THEN
    PERFORM howdah.unknown_queue(resume_queue.queue);
  END IF;
  UPDATE howdah.queue q SET paused_at = NULL, paused_by = NULL, pause_reason = NULL, resume_at = NULL WHERE q.id = v_id;
  PERFORM howdah.wake(v_id);
  IF v_was IS NOT NULL THEN
    PERFORM howdah.note('resume_queue', jsonb_build_object('queue', resume_queue.queue));
  END IF;
  RETURN v_was IS NOT NULL;
END $$;
-- howdah.retry(job_id) -> text
-- Runs a job again, or sooner. A dead one starts over with all its attempts; one that is scheduled (a retry
-- too) is due at once. Returns 'ready'; or the state that it is in, if nothing was changed; or NULL, if
-- there is no such job.
-- A dead job that had a unique key as long as it lived takes it again.
-- Writes: dead or deferred, and ticket; unique_key; cancel_request. Errors: HD001 a dead job's queue was deleted, HD003 another job has
-- the unique key now; nothing was changed.
CREATE OR REPLACE FUNCTION howdah.retry(job_id bigint) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  w       record;
  v_queue integer;
  v_state text;
BEGIN
  -- An attempt may fail while we look, or somebody else send the job again: each round sees the newest.
  FOR round IN 1..5 LOOP
    -- The job before its key, as everywhere: else each of two might wait for the other.
    DELETE FROM howdah.dead d WHERE d.job_id = retry.job_id RETURNING d.queue_id INTO v_queue;
    IF FOUND THEN
      IF NOT EXISTS (SELECT FROM howdah.queue q WHERE q.id = v_queue) THEN
        PERFORM howdah.unknown_queue((SELECT d.name FROM howdah.deleted_queue d WHERE d.id = v_queue));
      END IF;
      PERFORM howdah.take_key_again(retry.job_id);
      PERFORM howdah.start_over(ARRAY[retry.job_id]);
      RETURN 'ready';
    END IF;
    IF EXISTS (SELECT FROM howdah.deferred d WHERE d.first_id BETWEEN (retry.job_id >> 7 << 7) AND retry.job_id
                  AND retry.job_id < d.first_id + d.jobs AND d.gate IS NULL) THEN
      w := howdah.single_out(retry.job_id);
      -- Whoever had its row may have made it wait for something else.
      IF w.state = 'scheduled' THEN
        PERFORM howdah.drop_waiting(retry.job_id, w.state, w.queue_id, w.priority);
        PERFORM howdah.put_back(ARRAY[retry.job_id], ARRAY[w.attempt]);
        -- Whoever sends it again does not want it cancelled.
        DELETE FROM howdah.cancel_request c WHERE c.job_id = ANY (ARRAY(
          SELECT r.job_id FROM howdah.cancel_request r WHERE r.job_id = retry.job_id FOR UPDATE SKIP LOCKED));
        RETURN 'ready';
      END IF;
    END IF;
    v_state := howdah.state(retry.job_id);
    EXIT WHEN v_state IS NULL OR v_state NOT IN ('scheduled', 'dead');
  END LOOP;
  RETURN v_state;
END $$;
-- howdah.set_config(settings) -> jsonb
-- Changes settings of the whole installation, columns of howdah.config by their names, all or none:
--   history_retention    how long what has ended is kept; 1 day
--   completed_retention, cancelled_retention, expired_retention   by outcome; null: as history_retention
--   dead_retention       how long dead jobs are kept; 30 days
--   signal_retention     how long a signal is kept if its sender does not say; 7 days
--   archive_retention    how long what was archived is kept; null: for ever
--   audit_retention      how long it is kept who did what to jobs; 90 days
--   stats_retention      how long statistics by the hour and by the day are kept; 90 days
-- Lengths of time are texts such as '7 days', 0 to 1000 years. Queues may have their own, see howdah.set_queue.
-- Returns all settings as they are then; '{}' changes nothing. Heard within seconds.
-- Writes: config, command. Locks: its row. Errors: HD002, naming the setting.
CREATE OR REPLACE FUNCTION howdah.set_config(settings jsonb) RETURNS jsonb
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  s      record;
  v_type text;
  v_was  jsonb := (SELECT to_jsonb(c) FROM howdah.config c FOR NO KEY UPDATE);
BEGIN
  IF set_config.settings IS NULL OR jsonb_typeof(set_config.settings) <> 'object' THEN
    RAISE EXCEPTION 'settings must be a JSON object' USING ERRCODE = 'HD002', COLUMN = 'settings';
  END IF;
  FOR s IN SELECT key, value, value #>> '{}' AS text FROM jsonb_each(set_config.settings) LOOP
    SELECT format_type(a.atttypid, a.atttypmod) INTO v_type FROM pg_attribute a
     WHERE a.attrelid = 'howdah.config'::regclass AND a.attname = s.key AND a.attnum > 0 AND NOT a.attisdropped AND a.attname <> 'one';
    IF NOT FOUND THEN
      RAISE EXCEPTION 'there is no setting %', quote_literal(left(s.key, 100)) USING ERRCODE = 'HD002', COLUMN = coalesce(nullif(left(s.key, 63), ''), 'settings'),
        HINT = (SELECT format('There are: %s.', string_agg(j.key, ', ' ORDER BY j.key)) FROM howdah.config c, jsonb_each(to_jsonb(c) - 'one') j);
    END IF;
    BEGIN
      IF v_type = 'interval' AND jsonb_typeof(s.value) NOT IN ('string', 'null') THEN
        RAISE invalid_datetime_format;
      END IF;
      EXECUTE format('UPDATE howdah.config SET %I = $1::%s', s.key, v_type) USING s.text;
    EXCEPTION WHEN data_exception OR integrity_constraint_violation THEN
      RAISE EXCEPTION '% must be %, not %', s.key, CASE v_type WHEN 'interval' THEN 'a length of time from 0 to 1000 years' ELSE 'valid' END,
        left(s.value::text, 100) USING ERRCODE = 'HD002', COLUMN = s.key, HINT = CASE v_type WHEN 'interval' THEN 'Like "7 days", "12 hours" or "0".' END;
    END;
  END LOOP;
  PERFORM howdah.note_changes('set_config', '{}', v_was, (SELECT to_jsonb(c) FROM howdah.config c));
  RETURN (SELECT to_jsonb(c) - 'one' FROM howdah.config c);
END $$;
-- howdah.start_over(job_ids) -> void
-- Makes dead jobs ready again with all their attempts; the caller has taken them out of their room. Those that had an
-- expiry lose it: whoever sends an expired job again wants it to run. Internal. Writes: ticket, job, ordered, cancel_request, and see wait_again.
CREATE OR REPLACE FUNCTION howdah.start_over(job_ids bigint[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
DECLARE
  j howdah.job;
BEGIN
  -- Whoever sends it again does not want it cancelled. One that somebody is asking for just now is left.
  DELETE FROM howdah.cancel_request c WHERE c.job_id = ANY (ARRAY(
    SELECT w.job_id FROM howdah.cancel_request w WHERE w.job_id = ANY (start_over.job_ids) FOR UPDATE SKIP LOCKED));
  FOR j IN SELECT f.* FROM howdah.find_jobs(start_over.job_ids) f WHERE f.options ? 'expires_at' LOOP
    j.options := nullif(j.options - 'expires_at', '{}');
    PERFORM howdah.rewrite_job(j);
  END LOOP;
  -- Callbacks of their workflows that still wait, wait for them too.
  PERFORM howdah.wait_again(start_over.job_ids, array_agg(c.job_id))
     FROM (SELECT DISTINCT k.workflow_id FROM howdah.workflow_job k WHERE k.job_id = ANY (start_over.job_ids)) w,
          LATERAL howdah.workflow_callbacks(w.workflow_id) c HAVING count(*) > 0;
  PERFORM howdah.join_orders(start_over.job_ids), howdah.put_back(start_over.job_ids, array_fill(0::smallint, ARRAY[cardinality(start_over.job_ids)]));
END $$;
-- howdah.state(job_id) -> text
-- Where a job is in its life: scheduled, ready, running, completed, cancelled, expired or dead. NULL: there is no
-- such job, or it ended longer ago than history is kept. Reads: howdah.jobs. Errors: none.
CREATE OR REPLACE FUNCTION howdah.state(job_id bigint) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
BEGIN
  RETURN (SELECT j.state FROM howdah.jobs j WHERE j.id = state.job_id);
END $$;
-- howdah.take_key_again(job_id) -> void
-- As take_keys_again for one job, and says which other job has its key. Internal. Errors: HD003 another job has it.
CREATE OR REPLACE FUNCTION howdah.take_key_again(job_id bigint) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
BEGIN
  IF howdah.take_keys_again(ARRAY[take_key_again.job_id]) = '{}' THEN
    PERFORM howdah.key_held(j.kind, u.job_id)
       FROM howdah.find_job(take_key_again.job_id) j LEFT JOIN howdah.unique_key u ON u.kind = j.kind AND u.key = j.options -> 'unique' ->> 'key';
  END IF;
END $$;
-- howdah.take_keys_again(job_ids) -> bigint[]
-- Gives dead jobs that are to run again the unique keys that they had while they lived. Returns those that may run: they
-- had none, or have it again. Internal.
-- Writes: unique_key. Locks: keys; waits for another transaction that takes the same one. Errors: none.
CREATE OR REPLACE FUNCTION howdah.take_keys_again(job_ids bigint[]) RETURNS bigint[]
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
DECLARE
  v_held bigint[];
BEGIN
  -- A key that was left with its job when that died may just be taken over: see ended_slowly.
  PERFORM FROM howdah.unique_key k WHERE k.job_id = ANY (take_keys_again.job_ids) AND k.scope = 'live' ORDER BY k.kind, k.key FOR UPDATE;
  -- A key may have a row and be free: see take_key.
  DELETE FROM howdah.unique_key k WHERE k.ctid = ANY (ARRAY(
    SELECT x.ctid FROM howdah.find_jobs(take_keys_again.job_ids) j, LATERAL (
      SELECT h.ctid, h AS held FROM howdah.unique_key h
       WHERE h.kind = j.kind AND h.key = j.options -> 'unique' ->> 'key' AND h.job_id <> j.id FOR UPDATE SKIP LOCKED) x
     WHERE howdah.key_is_free(x.held)));
  INSERT INTO howdah.unique_key (kind, key, job_id, scope)
  SELECT j.kind, j.options -> 'unique' ->> 'key', j.id, 'live' FROM howdah.find_jobs(take_keys_again.job_ids) j
   WHERE j.options -> 'unique' ->> 'scope' = 'live' ORDER BY 1, 2, 3 ON CONFLICT DO NOTHING;
  -- In a statement of its own, which sees what those did for whom that one waited.
  SELECT array_agg(j.id) INTO v_held FROM howdah.find_jobs(take_keys_again.job_ids) j
   WHERE j.options -> 'unique' ->> 'scope' = 'live'
     AND NOT EXISTS (SELECT FROM howdah.unique_key k WHERE k.kind = j.kind AND k.key = j.options -> 'unique' ->> 'key' AND k.job_id = j.id);
  RETURN ARRAY(SELECT u.id FROM unnest(take_keys_again.job_ids) u(id) WHERE v_held IS NULL OR u.id <> ALL (v_held) ORDER BY u.id);
END $$;
-- howdah.take_waiting(job_id) -> (queue_id, priority, kind, attempt)
-- Takes one job out of the ticket or deferred row that it waits in; the rest of the run stays. No row: it
-- does not wait. Internal.
-- Writes: ticket or deferred. Locks: that row, and waits for whoever has it.
CREATE OR REPLACE FUNCTION howdah.take_waiting(job_id bigint)
RETURNS TABLE (queue_id integer, priority smallint, kind text, attempt smallint) LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET jit = off AS $$
#variable_conflict use_column
DECLARE
  w record;
BEGIN
  w := howdah.single_out(take_waiting.job_id);
  IF w.state IS NOT NULL THEN
    PERFORM howdah.drop_waiting(take_waiting.job_id, w.state, w.queue_id, w.priority);
    RETURN QUERY SELECT w.queue_id, w.priority, w.kind, w.attempt;
  END IF;
END $$;
-- howdah.unfinished_jobs(queue_id) -> (ready, scheduled, running)
-- How many jobs of a queue have not ended, by state. Reads: ticket, deferred, lease, settled; all of the queue's.
-- Errors: none. Internal to delete_queue.
CREATE OR REPLACE FUNCTION howdah.unfinished_jobs(queue_id integer, OUT ready bigint, OUT scheduled bigint, OUT running bigint)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
BEGIN
  -- One statement, so that a job on its way from one room to another is seen in one of them.
  SELECT (SELECT coalesce(sum(t.jobs), 0) FROM howdah.ticket t WHERE t.queue_id = unfinished_jobs.queue_id),
         (SELECT coalesce(sum(d.jobs), 0) FROM howdah.deferred d WHERE d.queue_id = unfinished_jobs.queue_id),
         (SELECT coalesce(sum((SELECT sum(c) FROM unnest(l.counts) c) - (SELECT count(*) FROM howdah.settled s WHERE s.lease_id = l.id)), 0)
            FROM howdah.lease l WHERE l.queue_id = unfinished_jobs.queue_id)
    INTO ready, scheduled, running;
END $$;
-- howdah.wait_for(job_ids, ttl_ms) -> (job_id, state, result, reason)
-- Says that somebody waits for jobs, and which of them have ended: completed with its result, cancelled, expired, or dead
-- with its reason. A job that does not exist (any more) is returned with the state NULL.
-- How to wait: LISTEN on the channel howdah.ended, whose messages are lists of ids; call this outside of a transaction;
-- then again at each message and every second, since a job that ends in the same moment may not see the caller.
--   ttl_ms  for how long the caller is believed to wait if it does not call again; 1000 to 3600000
-- Writes: waiter, for jobs that have not ended. Errors: HD002 invalid argument.
-- Cost: one row for each job that is waited for. Nothing for the others.
CREATE OR REPLACE FUNCTION howdah.wait_for(job_ids bigint[], ttl_ms integer DEFAULT 30000)
RETURNS TABLE (job_id bigint, state text, result jsonb, reason text) LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_now  timestamptz := howdah.now();
  v_ttl  interval := make_interval(secs => wait_for.ttl_ms / 1000.0);
  v_over bigint[] := '{}';
  v_id   bigint;
BEGIN
  IF wait_for.job_ids IS NULL OR cardinality(wait_for.job_ids) > 100000 THEN
    PERFORM howdah.option_refused('job_ids', 'must be at most 100000 ids');
  END IF;
  IF wait_for.ttl_ms IS NULL OR wait_for.ttl_ms NOT BETWEEN 1000 AND 3600000 THEN
    PERFORM howdah.option_refused('ttl_ms', 'must be 1000 to 3600000, not ' || coalesce(wait_for.ttl_ms::text, 'NULL'));
  END IF;
  FOREACH v_id IN ARRAY ARRAY(
    SELECT i.id FROM (SELECT DISTINCT u.id FROM unnest(wait_for.job_ids) u(id) WHERE u.id IS NOT NULL) i
      LEFT JOIN howdah.states_of(wait_for.job_ids) s ON s.job_id = i.id
     WHERE s.state IS NULL OR s.state <> ALL ('{scheduled,blocked,ready,running}'))
  LOOP
    -- One by one: joined with others, the view would be made of all jobs first.
    SELECT v.id, v.state, v.result, v.reason INTO job_id, state, result, reason FROM howdah.jobs v WHERE v.id = v_id;
    -- It may have been sent again since.
    CONTINUE WHEN state IN ('scheduled', 'blocked', 'ready', 'running');
    job_id := v_id;
    v_over := v_over || v_id;
    RETURN NEXT;
  END LOOP;
  DELETE FROM howdah.waiter w WHERE w.job_id = ANY (v_over);
  INSERT INTO howdah.waiter (job_id, expires_at)
  SELECT i.id, v_now + v_ttl FROM (SELECT DISTINCT u.id FROM unnest(wait_for.job_ids) u(id)) i
   WHERE i.id IS NOT NULL AND i.id <> ALL (v_over)
     AND NOT EXISTS (SELECT FROM howdah.waiter w WHERE w.job_id = i.id AND w.expires_at > v_now + v_ttl / 2) ORDER BY i.id
  ON CONFLICT (job_id) DO UPDATE SET expires_at = greatest(waiter.expires_at, excluded.expires_at);
END $$;
-- howdah.check_removal() -> trigger
-- Refuses a before_removal that names no function, however the queue's row is written. Where there are roles (see
-- howdah.create_roles) the function runs as the owner: only who may become that may name it. Internal to howdah.queue.
-- Errors: HD002; 42501.
CREATE OR REPLACE FUNCTION howdah.check_removal() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  -- Not current_user: that is the owner here, whoever has called howdah.set_queue.
  IF EXISTS (SELECT FROM howdah.access a WHERE NOT pg_has_role(session_user, a.prefix || '_owner', 'MEMBER')) THEN
    RAISE EXCEPTION 'before_removal is for the owner to set: % is not of that role', session_user USING ERRCODE = '42501', COLUMN = 'before_removal';
  END IF;
  PERFORM howdah.removal_function(NEW.before_removal);
  RETURN NEW;
END $$;
CREATE OR REPLACE TRIGGER check_removal BEFORE INSERT OR UPDATE OF before_removal ON howdah.queue
  FOR EACH ROW WHEN (NEW.before_removal IS NOT NULL) EXECUTE FUNCTION howdah.check_removal();
-- howdah.erase_jobs(job_ids) -> void
-- Deletes the rows of jobs that are over, and all that is kept of their attempts, but for their receipts. Internal.
-- Writes: job, job_kept, progress, step, and the history tables. Cost: some index probes for each job and table.
CREATE OR REPLACE FUNCTION howdah.erase_jobs(job_ids bigint[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
DECLARE
  v_table text;
  v_part  bigint;
BEGIN
  FOREACH v_table IN ARRAY howdah.history_tables() LOOP
    IF v_table <> 'receipt' THEN
      EXECUTE format('DELETE FROM howdah.%I h WHERE h.job_id = ANY ($1)', v_table) USING erase_jobs.job_ids;
    END IF;
  END LOOP;
  FOR v_part IN SELECT DISTINCT (u.id >> 33) & 7 FROM unnest(erase_jobs.job_ids) u(id) LOOP
    DELETE FROM howdah.job j WHERE ((j.id >> 33) & 7) = v_part AND j.id = ANY (erase_jobs.job_ids);
  END LOOP;
  DELETE FROM howdah.job_kept k WHERE k.id = ANY (erase_jobs.job_ids);
  DELETE FROM howdah.progress p WHERE p.job_id = ANY (erase_jobs.job_ids);
  DELETE FROM howdah.step s WHERE s.job_id = ANY (erase_jobs.job_ids);
END $$;
-- howdah.failures_of(job_id) -> jsonb
-- The failed attempts of a job that are still kept, as an array in their order; NULL if there are none. Internal.
CREATE OR REPLACE FUNCTION howdah.failures_of(job_id bigint) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
BEGIN
  RETURN (SELECT jsonb_agg(jsonb_build_object('attempt', f.attempt, 'at', f.at, 'error_kind', f.error_kind, 'message', f.message,
                                              'causes', f.causes, 'run_ms', f.run_ms, 'worker_id', f.worker_id) ORDER BY f.attempt, f.at)
            FROM howdah.failure f WHERE f.job_id = failures_of.job_id);
END $$;
-- howdah.history_tables() -> text[]
-- The tables whose rows lie in the four slots of the history ring: howdah.receipt, and those that have a row or several
-- for a job, by job_id. Whoever adds one adds its name here, and it is rotated, carried and pruned with the others.
-- Internal.
CREATE OR REPLACE FUNCTION howdah.history_tables() RETURNS text[]
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT '{receipt,failure,result,log,past_step}'::text[]
$$;
-- howdah.is_written(slot) -> boolean
-- Whether a transaction that is open may have written to the receipts of a slot: what it has written would be seen by
-- nobody yet. Internal to prune_history. Locks: the partition, shared, taken only if free.
CREATE OR REPLACE FUNCTION howdah.is_written(slot integer) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  EXECUTE format('LOCK TABLE howdah.receipt_%s IN SHARE MODE NOWAIT', is_written.slot);
  RETURN false;
EXCEPTION WHEN lock_not_available THEN
  RETURN true;
END $$;
-- howdah.leaving_jobs(slot, tids, dead_ids) -> setof archive
-- What is known of jobs that are about to be removed: those of receipts in a slot, and dead ones. Internal.
-- Cost: looks for each job and its failures by id.
CREATE OR REPLACE FUNCTION howdah.leaving_jobs(slot integer, tids tid[], dead_ids bigint[]) RETURNS SETOF howdah.archive
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_now timestamptz := howdah.now();
BEGIN
  RETURN QUERY
    SELECT j.id, q.name::text, j.kind::text, e.state, e.attempt, j.max_attempts, j.priority, j.enqueued_at, e.claimed_at, e.ended_at,
           e.run_ms, e.worker, e.reason, j.payload, j.options,
           (SELECT s.result FROM howdah.result s WHERE s.job_id = j.id LIMIT 1), howdah.failures_of(j.id), v_now
      FROM (
        SELECT u.first_id + g AS id, CASE c.outcome WHEN 1 THEN 'completed' WHEN 2 THEN 'cancelled' ELSE 'expired' END AS state, u.attempt,
               c.claimed_at, c.at AS ended_at, c.run_ms[(u.before + g + 1)::integer] AS run_ms, coalesce(w.name, c.worker_id::text) AS worker,
               NULL::text AS reason
          FROM howdah.receipt c
          LEFT JOIN howdah.worker w ON w.id = c.worker_id
          CROSS JOIN LATERAL (
            SELECT v.first_id, v.jobs, v.attempt,
                   coalesce(sum(v.jobs) OVER (ORDER BY v.n ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS before
              FROM unnest(c.first_ids, c.counts, c.attempts) WITH ORDINALITY v(first_id, jobs, attempt, n)) u
          CROSS JOIN LATERAL generate_series(0, u.jobs - 1) g
         WHERE c.slot = leaving_jobs.slot AND c.ctid = ANY (leaving_jobs.tids)
        UNION ALL
        SELECT d.job_id, 'dead', d.attempt, NULL, d.died_at, NULL, NULL, d.reason
          FROM howdah.dead d WHERE d.job_id = ANY (leaving_jobs.dead_ids)) e
      CROSS JOIN LATERAL howdah.find_job(e.id) j
      JOIN howdah.every_queue() q ON q.id = j.queue_id;
END $$;
-- howdah.longest_retention() -> interval
-- After which partitions of history and of jobs are truncated: the longest of any queue and outcome. Dead jobs have a
-- room of their own, and do not count. Internal.
CREATE OR REPLACE FUNCTION howdah.longest_retention() RETURNS interval
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT coalesce((SELECT max(r.retention) FROM howdah.retentions() r WHERE r.outcome < 4), c.history_retention) FROM howdah.config c
$$;
-- howdah.may_remain(slot, first_page, next_page) -> boolean
-- Whether there are receipts in some pages of a slot that are to go by rows, now or later. Internal to prune_history.
CREATE OR REPLACE FUNCTION howdah.may_remain(slot integer, first_page bigint, next_page bigint) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
DECLARE
  v_remains boolean;
BEGIN
  EXECUTE format('
    SELECT EXISTS (SELECT FROM howdah.receipt_%s e JOIN howdah.retentions() k ON k.queue_id = e.queue_id AND k.outcome = e.outcome
                    WHERE k.by_rows AND e.ctid >= $1 AND e.ctid < $2)', may_remain.slot) INTO v_remains
    USING format('(%s,0)', may_remain.first_page)::tid, format('(%s,0)', may_remain.next_page)::tid;
  RETURN v_remains;
END $$;
-- howdah.must_ask() -> integer[]
-- The queues whose jobs never go by truncation: they are archived, held, or called about. Internal.
CREATE OR REPLACE FUNCTION howdah.must_ask() RETURNS integer[]
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT coalesce(array_agg(q.id), '{}') FROM howdah.every_queue() q WHERE q.on_removal <> 'delete' OR q.before_removal IS NOT NULL
$$;
-- howdah.pick_ended(queue_ids, outcomes, cuts, most) -> (queue_id, slot, tids, dead_ids)
-- Locks what ended before the cut of each queue and outcome (1 completed, 2 cancelled, 3 expired, 4 dead), wherever it
-- is, until it is `most` jobs or more: receipts by slot and ctid, dead jobs by their ids. Dead jobs
-- by which others are held are left. Internal.
-- Locks: rows of receipt and dead, skipping what others have. Cost: reads receipts until it has found enough.
CREATE OR REPLACE FUNCTION howdah.pick_ended(queue_ids integer[], outcomes smallint[], cuts timestamptz[], most integer)
RETURNS TABLE (queue_id integer, slot integer, tids tid[], dead_ids bigint[]) LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_left bigint := pick_ended.most;
  v_jobs bigint;
  k      record;
  p      record;
BEGIN
  FOR slot IN SELECT h.slot FROM howdah.history_slot h ORDER BY h.since, h.slot LOOP
    EXIT WHEN v_left <= 0;
    FOR p IN SELECT * FROM howdah.pick_receipts(slot, 0, pg_relation_size(format('howdah.receipt_%s', slot)::regclass)
                / current_setting('block_size')::bigint, pick_ended.queue_ids, pick_ended.outcomes, pick_ended.cuts, v_left::integer) LOOP
      v_left := v_left - p.jobs;
      queue_id := p.queue_id;
      tids := p.tids;
      dead_ids := '{}';
      RETURN NEXT;
    END LOOP;
  END LOOP;
  slot := NULL;
  tids := '{}';
  FOR k IN SELECT u.queue_id, u.cut FROM unnest(pick_ended.queue_ids, pick_ended.outcomes, pick_ended.cuts) u(queue_id, outcome, cut)
            WHERE u.outcome = 4 LOOP
    EXIT WHEN v_left <= 0;
    queue_id := k.queue_id;
    dead_ids := ARRAY(SELECT d.job_id FROM howdah.dead d WHERE d.queue_id = k.queue_id AND d.died_at < k.cut AND NOT howdah.holds_others(d.job_id)
                       ORDER BY d.died_at LIMIT v_left FOR UPDATE SKIP LOCKED);
    v_left := v_left - cardinality(dead_ids);
    IF dead_ids <> '{}' THEN
      RETURN NEXT;
    END IF;
  END LOOP;
END $$;
-- howdah.pick_receipts(slot, first_page, pages, queue_ids, outcomes, cuts, most) -> (queue_id, tids, jobs, last_page)
-- Locks receipts in some pages of a slot, of the given queues and outcomes, that ended before the cut of each, until
-- they stand for `most` jobs or more. A row for each queue. last_page: where the last one that was picked lies.
-- A receipt goes as a whole, so these may be up to 499 jobs more. Internal.
-- Locks: rows of receipt, skipping what others have. Cost: reads the pages in their order, nothing else.
CREATE OR REPLACE FUNCTION howdah.pick_receipts(slot integer, first_page bigint, pages bigint, queue_ids integer[], outcomes smallint[],
  cuts timestamptz[], most integer)
RETURNS TABLE (queue_id integer, tids tid[], jobs bigint, last_page bigint) LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  r         record;
  v_tids    tid[] := '{}';
  v_queues  integer[] := '{}';
  v_counts  bigint[] := '{}';
  v_jobs    bigint := 0;
  v_last    bigint;
BEGIN
  FOR r IN EXECUTE format('
    SELECT e.ctid AS tid, e.queue_id, (SELECT sum(c) FROM unnest(e.counts) c) AS jobs
      FROM howdah.receipt_%s e JOIN unnest($1, $2, $3) k(queue_id, outcome, cut) ON k.queue_id = e.queue_id AND k.outcome = e.outcome
     WHERE e.ctid >= $4 AND e.ctid < $5 AND e.at < k.cut FOR UPDATE OF e SKIP LOCKED', pick_receipts.slot)
    USING pick_receipts.queue_ids, pick_receipts.outcomes, pick_receipts.cuts,
          format('(%s,0)', pick_receipts.first_page)::tid, format('(%s,0)', pick_receipts.first_page + pick_receipts.pages)::tid
  LOOP
    v_tids := v_tids || r.tid;
    v_queues := v_queues || r.queue_id;
    v_counts := v_counts || r.jobs;
    v_jobs := v_jobs + r.jobs;
    IF v_jobs >= pick_receipts.most THEN
      v_last := (r.tid::text::point)[0];
      EXIT;
    END IF;
  END LOOP;
  RETURN QUERY SELECT u.queue_id, array_agg(u.tid), sum(u.jobs)::bigint, v_last
                 FROM unnest(v_queues, v_tids, v_counts) u(queue_id, tid, jobs) GROUP BY u.queue_id;
END $$;
-- howdah.prune_archive(most) -> text
-- Deletes what was archived longer ago than config.archive_retention, at most `most` rows. Returns what it did, or NULL.
-- Internal to prune. Writes: archive. Errors: none.
CREATE OR REPLACE FUNCTION howdah.prune_archive(most integer) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
DECLARE
  v_cut  timestamptz := (SELECT howdah.now() - c.archive_retention FROM howdah.config c);
  v_rows bigint;
BEGIN
  DELETE FROM howdah.archive a WHERE a.ctid = ANY (ARRAY(
    SELECT o.ctid FROM howdah.archive o WHERE o.archived_at < v_cut ORDER BY o.archived_at LIMIT prune_archive.most FOR UPDATE SKIP LOCKED));
  GET DIAGNOSTICS v_rows = ROW_COUNT;
  RETURN CASE WHEN v_rows > 0 THEN format('pruned %s archived jobs', v_rows) END;
END $$;
-- howdah.prune_dead(most) -> (removed, failed)
-- Removes dead jobs that have outlived their retention, at most `most`; but not those by which other jobs are held: as long as
-- somebody waits for a dead job to be made good, it can be.
--   failed  the queues whose jobs could not be removed
-- Internal to prune. Writes: see try_removal. Locks: rows of dead, skipping what others have. Errors: none.
-- Cost: one index probe for each queue, while there are dead jobs.
CREATE OR REPLACE FUNCTION howdah.prune_dead(most integer, OUT removed integer, OUT failed text)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_now     timestamptz := howdah.now();
  v_ids     bigint[];
  v_removed integer;
  q         record;
BEGIN
  removed := 0;
  FOR q IN SELECT r.queue_id, v_now - r.retention AS cut FROM howdah.retentions() r
            WHERE r.outcome = 4 AND NOT r.held AND EXISTS (SELECT FROM howdah.dead)
              AND EXISTS (SELECT FROM howdah.dead d WHERE d.queue_id = r.queue_id AND d.died_at < v_now - r.retention AND NOT howdah.holds_others(d.job_id))
              AND NOT EXISTS (SELECT FROM howdah.removal_failure f WHERE f.queue_id = r.queue_id AND f.retry_at > v_now) LOOP
    v_ids := ARRAY(SELECT d.job_id FROM howdah.dead d WHERE d.queue_id = q.queue_id AND d.died_at < q.cut AND NOT howdah.holds_others(d.job_id)
                    ORDER BY d.died_at LIMIT prune_dead.most - removed FOR UPDATE SKIP LOCKED);
    v_removed := howdah.try_removal(q.queue_id, NULL, '{}', v_ids);
    removed := removed + coalesce(v_removed, 0);
    IF v_removed IS NULL THEN
      failed := concat_ws(', ', failed, (SELECT format('queue %s: %s', u.name, f.message) FROM howdah.removal_failure f, howdah.every_queue() u
                                          WHERE f.queue_id = q.queue_id AND u.id = q.queue_id));
    END IF;
    EXIT WHEN removed >= prune_dead.most;
  END LOOP;
END $$;
-- howdah.prune_history(most) -> text
-- Removes by rows what ended and is not kept for as long as its partition: about `most` jobs. Walks over the receipts
-- of one slot after the other, some pages at a time, and remembers where it was. No index serves it, since every
-- completion would pay for that; and when no retention is shorter than the longest, and no queue asks for more than
-- deletion, it does nothing. A walk begins an eighth of the shortest retention after the last one began (10 seconds at
-- least, 10 minutes at most), or when settings have changed; slots too young for anything to be over, and those that
-- were left and found clean, are passed by.
-- Returns what it did, or NULL; what begins with `could not` is for a person to see. Internal to prune.
-- Writes: history_slot, and see try_removal. Locks: rows of history_slot, skipping what another has. Errors: none.
-- Cost: reads at most 4,000 pages of receipts (32 MB, 170,000 receipts).
CREATE OR REPLACE FUNCTION howdah.prune_history(most integer DEFAULT 1000) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_now      timestamptz := howdah.now();
  -- What is held goes when an application says so: looking whether it has can wait.
  v_shortest interval := (SELECT min(CASE WHEN r.held THEN greatest(r.retention, interval '1 day') ELSE r.retention END)
                            FROM howdah.retentions() r WHERE r.by_rows AND r.outcome < 4);
  v_groups   bigint := howdah.pruned_groups();
  v_budget   integer := 4000;
  v_pages    bigint;
  v_removed  integer := 0;
  v_failed   text;
  s          howdah.history_slot;
  p          record;
BEGIN
  FOR s IN SELECT * FROM howdah.history_slot h
            WHERE v_shortest IS NOT NULL AND h.clean_for IS DISTINCT FROM v_groups AND h.since < v_now - v_shortest
              AND (h.page IS NOT NULL OR h.pass_for IS DISTINCT FROM v_groups
                OR h.pass_at <= v_now - greatest(least(v_shortest / 8, interval '10 minutes'), interval '10 seconds'))
            ORDER BY h.page IS NULL, h.pass_at FOR UPDATE SKIP LOCKED LOOP
    v_pages := pg_relation_size(format('howdah.receipt_%s', s.slot)::regclass) / current_setting('block_size')::bigint;
    IF s.page IS NULL THEN
      s.page := 0;
      s.pass_at := v_now;
      s.pass_for := v_groups;
      s.remains := s.left_at IS NULL OR howdah.is_written(s.slot);
    END IF;
    WHILE s.page < v_pages AND v_budget > 0 AND v_removed = 0 AND v_failed IS NULL LOOP
      SELECT * INTO p FROM howdah.prune_pages(s.slot, s.page, 250, prune_history.most);
      IF NOT s.remains THEN
        s.remains := howdah.may_remain(s.slot, s.page, p.next_page);
      END IF;
      s.page := p.next_page;
      v_removed := p.removed;
      v_failed := p.failed;
      v_budget := v_budget - 250;
    END LOOP;
    IF s.page >= v_pages THEN
      s.page := NULL;
      s.clean_for := CASE WHEN NOT s.remains AND s.pass_for = v_groups THEN v_groups END;
    END IF;
    UPDATE howdah.history_slot h SET page = s.page, pass_at = s.pass_at, pass_for = s.pass_for, remains = s.remains, clean_for = s.clean_for
     WHERE h.slot = s.slot;
    EXIT WHEN v_budget <= 0 OR v_removed > 0 OR v_failed IS NOT NULL;
  END LOOP;
  IF v_failed IS NOT NULL THEN
    RETURN format('could not remove jobs of %s', v_failed);
  ELSIF v_removed > 0 THEN
    RETURN format('pruned %s jobs', v_removed);
  END IF;
  RETURN NULL;
END $$;
-- howdah.prune_pages(slot, first_page, pages, most) -> (removed, next_page, failed)
-- One step of the walk over the receipts of a slot: removes what is over in some pages, about `most` jobs.
--   next_page  where to go on: after these pages, or among them if there may be more
--   failed     the queues whose jobs could not be removed
-- Internal to prune_history. Writes: see try_removal. Errors: none.
CREATE OR REPLACE FUNCTION howdah.prune_pages(slot integer, first_page bigint, pages bigint, most integer,
  OUT removed integer, OUT next_page bigint, OUT failed text)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  v_now      timestamptz := howdah.now();
  v_queues   integer[];
  v_outcomes smallint[];
  v_cuts     timestamptz[];
  v_removed  integer;
  p          record;
BEGIN
  removed := 0;
  next_page := prune_pages.first_page + prune_pages.pages;
  -- Not in its first seconds: its worker, and who waits for it, may still look for how it ended.
  SELECT array_agg(r.queue_id), array_agg(r.outcome), array_agg(v_now - greatest(r.retention, interval '10 seconds'))
    INTO v_queues, v_outcomes, v_cuts
    FROM howdah.retentions() r
   WHERE r.by_rows AND NOT r.held AND r.outcome < 4
     AND NOT EXISTS (SELECT FROM howdah.removal_failure f WHERE f.queue_id = r.queue_id AND f.retry_at > v_now);
  FOR p IN SELECT * FROM howdah.pick_receipts(prune_pages.slot, prune_pages.first_page, prune_pages.pages, v_queues, v_outcomes, v_cuts,
                                              prune_pages.most) LOOP
    next_page := coalesce(p.last_page, next_page);
    v_removed := howdah.try_removal(p.queue_id, prune_pages.slot, p.tids, '{}');
    removed := removed + coalesce(v_removed, 0);
    IF v_removed IS NULL THEN
      failed := concat_ws(', ', failed, (SELECT format('queue %s: %s', q.name, f.message) FROM howdah.removal_failure f, howdah.every_queue() q
                                          WHERE f.queue_id = p.queue_id AND q.id = p.queue_id));
    END IF;
  END LOOP;
END $$;
-- howdah.pruned_groups() -> bigint
-- A number that stands for the queues and outcomes that are removed by rows, and that is another one when settings or
-- queues change; NULL if there are none. Internal.
CREATE OR REPLACE FUNCTION howdah.pruned_groups() RETURNS bigint
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT hashtextextended(string_agg(concat_ws(':', r.queue_id, r.outcome, extract(epoch FROM r.retention), r.held), ' ' ORDER BY r.queue_id, r.outcome), 0)
    FROM howdah.retentions() r WHERE r.by_rows AND r.outcome < 4
$$;
-- howdah.removal_function(name) -> text
-- The function that a queue's before_removal names, as it is written in a statement: quoted, and with its schema.
-- It takes one jsonb and is no aggregate, procedure or set. Internal.
-- Errors: HD002 there is none.
CREATE OR REPLACE FUNCTION howdah.removal_function(name text) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_text text;
BEGIN
  BEGIN
    IF cardinality(parse_ident(removal_function.name)) = 2 THEN
      SELECT format('%I.%I', n.nspname, p.proname) INTO v_text
        FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
       WHERE p.oid = to_regprocedure(removal_function.name || '(jsonb)') AND p.prokind = 'f' AND NOT p.proretset;
    END IF;
  EXCEPTION WHEN syntax_error OR invalid_parameter_value OR invalid_name THEN
    v_text := NULL;
  END;
  IF v_text IS NULL THEN
    RAISE EXCEPTION 'before_removal must name a function of one jsonb, with its schema, not %', quote_literal(left(removal_function.name, 256))
      USING ERRCODE = 'HD002', COLUMN = 'before_removal', HINT = 'CREATE FUNCTION app.on_removal(jobs jsonb) RETURNS void ..., and give ''app.on_removal''.';
  END IF;
  RETURN v_text;
END $$;
-- howdah.remove_held(most, queue) -> setof archive
-- Removes what has reached the end of its retention in queues whose on_removal is 'hold', in the caller's transaction,
-- and returns it: for an application that removes data of its own with its jobs, all or none. The queue's
-- before_removal is called too.
--   most   1 to 10000; jobs that were reported together go together, so there may be up to 499 more
--   queue  NULL: any
-- Call it again until it returns nothing. The keeper leaves these queues alone: nobody else removes their jobs, and
-- the partitions that hold them grow while nobody calls.
-- Writes: receipt, dead, job, and the history tables. Locks: rows of receipt and dead, skipping what others have.
-- Errors: HD001 unknown queue, HD002 invalid argument, what before_removal raises. Cost: reads receipts until it has found `most`.
CREATE OR REPLACE FUNCTION howdah.remove_held(most integer DEFAULT 1000, queue text DEFAULT NULL) RETURNS SETOF howdah.archive
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_now   timestamptz := howdah.now();
  v_left  integer := remove_held.most;
  k       record;
  p       record;
BEGIN
  IF v_left IS NULL OR v_left NOT BETWEEN 1 AND 10000 THEN
    RAISE EXCEPTION 'most must be 1 to 10000, not %', coalesce(v_left::text, 'NULL') USING ERRCODE = 'HD002', COLUMN = 'most';
  END IF;
  IF remove_held.queue IS NOT NULL AND NOT EXISTS (SELECT FROM howdah.every_queue() q WHERE q.name = remove_held.queue) THEN
    PERFORM howdah.unknown_queue(remove_held.queue);
  END IF;
  FOR k IN SELECT array_agg(r.queue_id) AS queue_ids, array_agg(r.outcome) AS outcomes,
                  array_agg(v_now - greatest(r.retention, interval '10 seconds')) AS cuts
             FROM howdah.retentions() r JOIN howdah.every_queue() q ON q.id = r.queue_id
            WHERE r.held AND (remove_held.queue IS NULL OR q.name = remove_held.queue) HAVING count(*) > 0 LOOP
    FOR p IN SELECT * FROM howdah.pick_ended(k.queue_ids, k.outcomes, k.cuts, v_left) LOOP
      RETURN QUERY SELECT * FROM howdah.leaving_jobs(p.slot, p.tids, p.dead_ids);
      PERFORM howdah.remove_jobs(p.queue_id, p.slot, p.tids, p.dead_ids);
    END LOOP;
  END LOOP;
END $$;
-- howdah.remove_jobs(queue_id, slot, tids, dead_ids) -> integer
-- Removes jobs of one queue that have ended: those of receipts in a slot, and dead ones. The caller has locked the
-- receipts and the dead rows. Before, in the same transaction, the queue's before_removal is called with them, some
-- 16 MB of payload at a time, and they are written to howdah.archive, as the queue's settings say.
-- The function gets a JSON array of objects with the columns of howdah.archive, and may raise to keep the jobs. It runs
-- with the rights of whoever removes: the keeper's role, or the caller of purge or remove_held; so whoever may write
-- howdah.queue decides what these run. Its search_path is pg_catalog, pg_temp, whoever calls, so that it means the same
-- for all of them: it names its schemas, or has a SET search_path of its own. It should be quick: the keeper gives a
-- batch of a thousand jobs 30 seconds.
-- Returns how many jobs that were. Internal.
-- Writes: receipt, dead, archive, and see erase_jobs. Errors: what before_removal raises.
CREATE OR REPLACE FUNCTION howdah.remove_jobs(queue_id integer, slot integer, tids tid[], dead_ids bigint[]) RETURNS integer
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_queue howdah.queue;
  v_call  text;
  v_jobs  jsonb;
  v_ids   bigint[];
BEGIN
  SELECT * INTO v_queue FROM howdah.every_queue() q WHERE q.id = remove_jobs.queue_id;
  IF v_queue.before_removal IS NOT NULL THEN
    v_call := format('SELECT %s($1)', howdah.removal_function(v_queue.before_removal));
    FOR v_jobs IN
      SELECT jsonb_agg(to_jsonb(c) - 'part' - 'archived_at' ORDER BY c.id)
        FROM (SELECT l.*, sum(pg_column_size(l.payload)) OVER (ORDER BY l.id) / 16777216 AS part
                FROM howdah.leaving_jobs(remove_jobs.slot, remove_jobs.tids, remove_jobs.dead_ids) l) c
       GROUP BY c.part ORDER BY c.part
    LOOP
      EXECUTE v_call USING v_jobs;
    END LOOP;
  END IF;
  IF v_queue.on_removal = 'archive' THEN
    INSERT INTO howdah.archive SELECT * FROM howdah.leaving_jobs(remove_jobs.slot, remove_jobs.tids, remove_jobs.dead_ids);
  END IF;
  SELECT array_agg(u.first_id + g) || remove_jobs.dead_ids INTO v_ids
    FROM howdah.receipt r, unnest(r.first_ids, r.counts) u(first_id, jobs), generate_series(0, u.jobs - 1) g
   WHERE r.slot = remove_jobs.slot AND r.ctid = ANY (remove_jobs.tids);
  DELETE FROM howdah.receipt r WHERE r.slot = remove_jobs.slot AND r.ctid = ANY (remove_jobs.tids);
  DELETE FROM howdah.dead d WHERE d.job_id = ANY (remove_jobs.dead_ids);
  PERFORM howdah.erase_jobs(v_ids);
  RETURN coalesce(cardinality(v_ids), 0);
END $$;
-- howdah.retentions() -> (queue_id, outcome, retention, by_rows, held)
-- How long what has ended is kept: a row for each queue and outcome (1 completed, 2 cancelled, 3 expired, 4 dead).
--   by_rows  whether it is removed by rows: dead jobs; what is archived, held or called about; and what is kept for
--            shorter than the longest of outcomes 1 to 3 of all queues, after which partitions are truncated
--   held     nothing goes until an application calls howdah.remove_held
-- Internal; people look at the view howdah.retention. Cost: reads the settings of all queues.
CREATE OR REPLACE FUNCTION howdah.retentions()
RETURNS TABLE (queue_id integer, outcome smallint, retention interval, by_rows boolean, held boolean)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT q.id, o.outcome, o.retention,
         o.outcome = 4 OR q.on_removal <> 'delete' OR q.before_removal IS NOT NULL
           OR o.retention < max(o.retention) FILTER (WHERE o.outcome < 4) OVER (),
         q.on_removal = 'hold'
    FROM howdah.every_queue() q, howdah.config c, LATERAL (VALUES
      (1::smallint, coalesce(q.completed_retention, c.completed_retention, c.history_retention)),
      (2::smallint, coalesce(q.cancelled_retention, c.cancelled_retention, c.history_retention)),
      (3::smallint, coalesce(q.expired_retention, c.expired_retention, c.history_retention)),
      (4::smallint, coalesce(q.dead_retention, c.dead_retention))) o(outcome, retention)
$$;
-- howdah.try_removal(queue_id, slot, tids, dead_ids) -> integer
-- As remove_jobs; but if that fails, nothing of it is done, the reason is kept in howdah.removal_failure, and the jobs
-- of this queue are left alone for a while: half a minute at first, an hour at most. A statement's timeout counts
-- as a failure too, or one queue's function could keep all others from being pruned.
-- Returns how many jobs were removed; NULL if it failed. Internal to prune.
-- Writes: removal_failure, and see remove_jobs. Errors: none.
CREATE OR REPLACE FUNCTION howdah.try_removal(queue_id integer, slot integer, tids tid[], dead_ids bigint[]) RETURNS integer
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET lock_timeout = '1s' AS $$
#variable_conflict use_column
DECLARE
  v_removed integer;
  v_message text;
BEGIN
  BEGIN
    v_removed := howdah.remove_jobs(try_removal.queue_id, try_removal.slot, try_removal.tids, try_removal.dead_ids);
    DELETE FROM howdah.removal_failure f WHERE f.queue_id = try_removal.queue_id;
    RETURN v_removed;
  EXCEPTION WHEN lock_not_available THEN
    -- An open transaction has one of the jobs, as howdah.delete does: they are met again by the next walk.
    RETURN 0;
  WHEN query_canceled OR others THEN
    v_message := format('%s (%s)', left(SQLERRM, 1000), SQLSTATE);
  END;
  INSERT INTO howdah.removal_failure AS f (queue_id, failures, failed_at, retry_at, message)
    VALUES (try_removal.queue_id, 1, howdah.now(), howdah.now() + interval '30 seconds', v_message)
    ON CONFLICT (queue_id) DO UPDATE SET failures = f.failures + 1, failed_at = excluded.failed_at, message = excluded.message,
      retry_at = excluded.failed_at + least(interval '30 seconds' * power(2, least(f.failures, 10)), interval '1 hour');
  RETURN NULL;
END $$;
-- howdah.create_roles(prefix) -> setof text
-- Divides what may be done here among five roles that cannot log in, to be given to those that can (GRANT howdah_worker TO app):
-- PREFIX_producer, _worker, _viewer, _operator, as howdah.rights says, and PREFIX_owner, who owns the schema from then on, and
-- may do everything. Returns their names. Again: mends what was changed by hand.
--   prefix  NULL: the name of the schema. Roles are of the whole cluster: where several of its databases have queues, and their
--           people are not the same, give each its own
-- Whoever migrates from then on must be of PREFIX_owner, as the caller is made if it may create roles, or a superuser.
-- Writes: access and the catalog. Locks: access exclusive on every table for a moment; gives up (55P03) when it would have
-- to wait longer than three seconds, and has done nothing then.
-- Errors: HD002 the prefix is too long, is not that of the roles that are there, or a role of that name can log in; 42501 the caller may
-- not create roles and some are missing (HINT: what to ask for), or is not the owner of the schema.
CREATE OR REPLACE FUNCTION howdah.create_roles(prefix text DEFAULT NULL) RETURNS SETOF text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_had    text := (SELECT a.prefix FROM howdah.access a);
  v_prefix text := coalesce(create_roles.prefix, v_had, rtrim('howdah.', '.'));
  v_owner  text := v_prefix || '_owner';
  v_names  text[] := ARRAY(SELECT v_prefix || '_' || r FROM unnest('{owner,producer,worker,viewer,operator}'::text[]) r);
  v_make   text[] := ARRAY(SELECT format('CREATE ROLE %I NOLOGIN', n) FROM unnest(v_names) n WHERE NOT EXISTS (SELECT FROM pg_roles r WHERE r.rolname = n));
  v_login  text := (SELECT min(r.rolname::text) FROM pg_roles r WHERE r.rolname = ANY (v_names) AND r.rolcanlogin);
  v_line   text;
BEGIN
  IF octet_length(v_prefix) NOT BETWEEN 1 AND 54 OR v_prefix ~ '[[:cntrl:]]' THEN
    PERFORM howdah.option_refused('prefix', 'must be 1 to 54 bytes without control characters');
  ELSIF v_had <> v_prefix THEN
    PERFORM howdah.option_refused('prefix', format('must be %s: this schema has its roles already', quote_literal(v_had)));
  ELSIF v_login IS NOT NULL THEN
    PERFORM howdah.option_refused('prefix', format('the role %I exists and can log in: choose another prefix', v_login));
  END IF;
  IF v_make <> '{}' AND NOT EXISTS (SELECT FROM pg_roles r WHERE r.rolname = current_user AND (r.rolsuper OR r.rolcreaterole)) THEN
    RAISE EXCEPTION '% may not create roles, and % of them are missing', current_user, cardinality(v_make) USING ERRCODE = '42501',
      HINT = format('Let somebody who may run: %s; GRANT %I TO %I; and then call this again.', array_to_string(v_make, '; '), v_owner, current_user);
  END IF;
  FOREACH v_line IN ARRAY v_make LOOP
    EXECUTE v_line;
  END LOOP;
  IF NOT pg_has_role(v_owner, 'USAGE') THEN
    EXECUTE format('GRANT %I TO %I', v_owner, current_user);
  END IF;
  INSERT INTO howdah.access (prefix) VALUES (v_prefix) ON CONFLICT DO NOTHING;
  PERFORM howdah.grant_rights();
  RETURN QUERY SELECT unnest(v_names);
END $$;
-- howdah.grant_rights() -> void
-- Gives the roles of this schema what howdah.rights says and nothing else; PUBLIC gets nothing. What other roles were given stays.
-- Does nothing while there are no roles. Every migration ends with it, so that what is new has its rights.
-- Functions that somebody may call run as the owner (SECURITY DEFINER): their callers need no rights on tables. Those without a
-- setting of their own are left alone: they touch no table, and can be inlined.
-- Writes: the catalog. Locks: see take_over. Errors: 42501 the caller is not of the role that owns everything.
CREATE OR REPLACE FUNCTION howdah.grant_rights() RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_schema oid := rtrim('howdah.', '.')::regnamespace;
  v_prefix text := (SELECT a.prefix FROM howdah.access a);
  v_all    text;
  v_grant  text;
BEGIN
  IF v_prefix IS NULL THEN
    RETURN;
  END IF;
  PERFORM howdah.take_over(v_prefix || '_owner');
  v_all := (SELECT string_agg(format('%I', v_prefix || '_' || r), ', ') FROM unnest('{producer,worker,viewer,operator}'::text[]) r);
  EXECUTE format('REVOKE ALL ON SCHEMA %s FROM PUBLIC, %s', v_schema::regnamespace, v_all);
  EXECUTE format('GRANT USAGE ON SCHEMA %s TO %s', v_schema::regnamespace, v_all);
  EXECUTE format('REVOKE ALL ON ALL TABLES IN SCHEMA %s FROM PUBLIC, %s', v_schema::regnamespace, v_all);
  EXECUTE format('REVOKE ALL ON ALL SEQUENCES IN SCHEMA %s FROM PUBLIC, %s', v_schema::regnamespace, v_all);
  EXECUTE format('REVOKE ALL ON ALL ROUTINES IN SCHEMA %s FROM PUBLIC, %s', v_schema::regnamespace, v_all);
  FOR v_grant IN
    SELECT format('GRANT %s ON %s TO %s', r.privilege, coalesce('FUNCTION ' || p.oid::regprocedure, c.oid::regclass::text), t.roles)
      FROM howdah.rights() r
      CROSS JOIN LATERAL (SELECT string_agg(format('%I', v_prefix || '_' || g), ', ') AS roles FROM unnest(r.roles) g) t
      LEFT JOIN pg_proc p ON r.privilege = 'EXECUTE' AND p.pronamespace = v_schema AND p.proname = r.object
      LEFT JOIN pg_class c ON r.privilege <> 'EXECUTE' AND c.relnamespace = v_schema AND c.relname = r.object
     WHERE t.roles IS NOT NULL
    UNION ALL
    SELECT 'ALTER FUNCTION ' || p.oid::regprocedure || ' SECURITY DEFINER'
      FROM howdah.rights() r JOIN pg_proc p ON p.pronamespace = v_schema AND p.proname = r.object
     WHERE r.privilege = 'EXECUTE' AND r.roles <> '{}' AND p.proconfig IS NOT NULL AND NOT p.prosecdef
  LOOP
    EXECUTE v_grant;
  END LOOP;
END $$;
-- howdah.rights() -> (object, privilege, roles)
-- What each role of howdah.create_roles may do; what is not here is for the owner alone. An object is a function (whatever its
-- arguments), a table or a view of this schema. A function is here unless its contract calls it internal: a test holds that.
--   producer  enqueues, and sees no job: neither its own nor one of others
--   worker    serves queues, enqueues, and keeps the queue in order
--   viewer    sees everything, payloads as well, and changes nothing
--   operator  what a viewer and a producer may, and everything that the command `howdah` does to jobs and settings
-- Internal to grant_rights. Errors: none.
CREATE OR REPLACE FUNCTION howdah.rights() RETURNS TABLE (object text, privilege text, roles text[])
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT o.object, g.privilege, string_to_array(g.roles, ' ')
    FROM (VALUES
      -- Of arguments and times: they know nothing of jobs.
      ('EXECUTE', 'producer worker viewer operator', 'now at_micros span_micros micros'),
      -- To enqueue. What else refuses jobs, or answers in their names, is called by these.
      ('EXECUTE', 'producer worker operator', 'enqueue enqueue_many enqueue_unique enqueue_workflow reserve_id payload_key
         check_options wait_for_space'),
      ('SELECT', 'producer worker operator', 'new_job'),
      ('INSERT', 'producer worker operator', 'new_job'),
      -- To see whether a queue is there.
      ('SELECT (id, name, max_attempts, max_payload_bytes, fresh_slot, max_jobs)', 'producer worker', 'queue'),
      -- To serve a queue.
      ('EXECUTE', 'worker', 'start_worker attach_session heartbeat fall_asleep stay_awake lost disown stop_worker timeouts queue_id
         claim claim_queues claim_where complete complete_in complete_leases cancel_in fail forget holds release
         parent_results note_progress report_progress write_logs report_stats
         await_signal begin_sleep get_steps keep_step
         declare_schedule due_schedules fire_schedule schedule_failed
         elect_keeper keeper_vacant keep resign_keeper rotate'),
      ('EXECUTE', 'worker operator', 'create_queue add_to_workflow workflow_end send_signal wait_for'),
      ('SELECT (id, worker_id, ended_at)', 'worker', 'jobs'),
      -- To look.
      ('EXECUTE', 'worker viewer operator', 'check_filter get_progress state'),
      ('EXECUTE', 'viewer operator', 'find why queue_settings kind_settings workflow_nodes doctor doctor_checks doctor_limits
         search suggest check_search operation_search error_groups fingerprint failures_of_group family depths tail pace
         stats minutes rates percentile jobs_of'),
      -- What the views call: who reads a view must be allowed to.
      ('EXECUTE', 'worker viewer operator', 'waits_as waits_because'),
      ('EXECUTE', 'viewer operator', 'find_job retentions states_of'),
      ('SELECT', 'viewer operator', 'jobs queues failures firings limits logs retention schedules signals steps workers workflow_jobs workflows
         archive config kind queue schedule workflow health audit operation'),
      ('SELECT', 'producer worker viewer operator', 'migration code access'),
      -- To operate.
      ('EXECUTE', 'operator', 'cancel cancel_many retry retry_many retry_from forget_steps purge purge_dead remove_held
         isolate crowded find_for_update delete reschedule change add_dependency remove_dependency unhold
         cancel_workflow retry_workflow withdraw_signal delete_queue pause_queue resume_queue set_queue set_kind set_limit set_config tell_worker
         set_schedule delete_schedule pause_schedule resume_schedule run_schedule start_operation step_operation cancel_operation act note_command'),
      -- For the owner: what makes indexes and roles, or is a chore that howdah.keep calls.
      ('EXECUTE', '', 'create_roles grant_rights index_attributes expire promote prune rescue open_gates look_again')
    ) g(privilege, roles, objects), regexp_split_to_table(g.objects, '\s+') o(object)
$$;
-- howdah.take_over(owner) -> void
-- Makes a role the owner of the schema and of all that is in it and is not its own yet. Internal to grant_rights.
-- Writes: the catalog. Locks: access exclusive on each table that changes hands; gives up (55P03) after three seconds.
-- Errors: 42501 the caller may not give something away.
CREATE OR REPLACE FUNCTION howdah.take_over(owner text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET lock_timeout = '3s' AS $$
DECLARE
  v_owner  oid := quote_ident(take_over.owner)::regrole;
  v_schema oid := rtrim('howdah.', '.')::regnamespace;
  v_object text;
BEGIN
  FOR v_object IN
    SELECT 'SCHEMA ' || n.oid::regnamespace FROM pg_namespace n WHERE n.oid = v_schema AND n.nspowner <> v_owner
    UNION ALL
    -- The sequence of an identity column goes with its table.
    SELECT CASE c.relkind WHEN 'v' THEN 'VIEW ' WHEN 'S' THEN 'SEQUENCE ' ELSE 'TABLE ' END || c.oid::regclass FROM pg_class c
     WHERE c.relnamespace = v_schema AND c.relkind IN ('r', 'p', 'v', 'S') AND c.relowner <> v_owner
       AND NOT (c.relkind = 'S' AND EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype IN ('a', 'i')))
    UNION ALL
    SELECT 'ROUTINE ' || p.oid::regprocedure FROM pg_proc p WHERE p.pronamespace = v_schema AND p.proowner <> v_owner
  LOOP
    EXECUTE format('ALTER %s OWNER TO %I', v_object, take_over.owner);
  END LOOP;
END $$;
-- howdah.check_search(search) -> void
-- Refuses what is no compiled search. One is an object with any of these, which must all hold:
--   states                 names of states: only jobs in one of them
--   row, rest, args, attr  predicates of jsonpath, in which $now is the time in microseconds since 1970:
--     row    on what was written with the job: {id, kind, queue, max_attempts, priority, enqueued}
--     rest   on these and {state, attempt, due, claimed, ended, run, error, key, reason, worker, workflow, words}; times in
--            microseconds since 1970, run in milliseconds, the last six as far as `needs` names them
--     args   on the payload
--     attr   on the attributes
--   needs                  what has to be gathered for `rest`: errors, key, reason, worker, workflow
-- and with these, which say where not to look, and must follow from the predicates:
--   ids, kinds, queues, keys, workflows (names or numbers, as texts): only jobs with one of these
--   from_id, upto_id       only ids between these
--   now                    what $now is, if it is not the time at which jobs are looked at
-- Nothing of it is made part of a statement. At most 256 kB.
-- Reads nothing. Errors: HD002 with COLUMN search.
CREATE OR REPLACE FUNCTION howdah.check_search(search jsonb) RETURNS void
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_lists constant text[] := '{states,needs,ids,kinds,queues,keys,workflows}';
  v_paths constant text[] := '{row,rest,args,attr}';
  v_wrong text;
  v_key   text;
BEGIN
  IF jsonb_typeof(check_search.search) IS DISTINCT FROM 'object' THEN
    v_wrong := 'must be an object';
  ELSIF pg_column_size(check_search.search) > 262144 THEN
    v_wrong := 'is larger than 256 kB';
  ELSE
    SELECT format('has %L, which has no meaning there or is of the wrong type', e.key) INTO v_wrong FROM jsonb_each(check_search.search) e
     WHERE CASE WHEN e.key = ANY (v_lists) THEN jsonb_typeof(e.value) <> 'array'
                WHEN e.key = ANY (v_paths) THEN jsonb_typeof(e.value) <> 'string'
                WHEN e.key = ANY ('{from_id,upto_id,now}') THEN e.value #>> '{}' !~ '^-?\d{1,18}$' ELSE true END;
  END IF;
  IF v_wrong IS NULL AND EXISTS (SELECT FROM jsonb_array_elements_text(check_search.search -> 'ids') i WHERE i !~ '^-?\d{1,19}$') THEN
    v_wrong := 'has ids that are no whole numbers';
  END IF;
  IF v_wrong IS NOT NULL THEN
    RAISE EXCEPTION 'search %', v_wrong USING ERRCODE = 'HD002', COLUMN = 'search', HINT = 'It is made by the search language: see docs/search.md.';
  END IF;
  FOREACH v_key IN ARRAY v_paths LOOP
    BEGIN
      -- A path that is no predicate gives no single boolean here.
      PERFORM jsonb_path_match('{}', (check_search.search ->> v_key)::jsonpath, '{"now": 0}');
    EXCEPTION WHEN OTHERS THEN
      RAISE EXCEPTION 'search has a % that is no predicate: %', v_key, SQLERRM USING ERRCODE = 'HD002', COLUMN = 'search';
    END;
  END LOOP;
END $$;
-- howdah.jobs_of(ids) -> rows as in howdah.jobs
-- These jobs, by id; each once, however often it is given, and those that exist. As the view says, and by its indexes alone: the view
-- leaves it to the planner, which is often wrong where there are millions of jobs and dozens are asked for.
--   ids  at most 100,000
-- Reads: the tables behind howdah.jobs. Locks: none. Errors: HD002 invalid argument. Cost: see rooms_of.
CREATE OR REPLACE FUNCTION howdah.jobs_of(ids bigint[])
RETURNS TABLE (id bigint, queue text, kind text, state text, attempt smallint, max_attempts smallint, priority smallint,
  enqueued_at timestamptz, due_at timestamptz, worker_id bigint, claimed_at timestamptz, ended_at timestamptz, run_ms integer,
  reason text, payload jsonb, options jsonb)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
BEGIN
  IF cardinality(jobs_of.ids) > 100000 THEN
    RAISE EXCEPTION 'ids must be at most 100000, not %', cardinality(jobs_of.ids) USING ERRCODE = 'HD002', COLUMN = 'ids', HINT = 'Call it several times.';
  END IF;
  RETURN QUERY
    SELECT j.id, q.name::text, j.kind, r.state, r.attempt, j.max_attempts, j.priority, j.enqueued_at, r.due_at, r.worker_id, r.claimed_at,
           r.ended_at, r.run_ms, coalesce(r.reason, CASE WHEN r.state = 'scheduled' THEN howdah.waits_because(j.id) END), j.payload, j.options
      FROM howdah.find_jobs(jobs_of.ids) j
      JOIN howdah.rooms_of(jobs_of.ids) r ON r.job_id = j.id
      JOIN howdah.all_queues q ON q.id = j.queue_id
     ORDER BY j.id;
END $$;
-- howdah.rooms_of(job_ids) -> (job_id, state, attempt, due_at, worker_id, claimed_at, ended_at, run_ms, reason)
-- Where each of these jobs is, with what its room knows of it: as howdah.jobs says, of one moment. Of a job that does not
-- exist, or ended longer ago than history is kept, there is no row. reason: without what its steps wait for, which is
-- howdah.waits_because. Internal.
-- Cost: a probe of each room for each block of 128 ids, and one pass over what runs.
CREATE OR REPLACE FUNCTION howdah.rooms_of(job_ids bigint[])
RETURNS TABLE (job_id bigint, state text, attempt smallint, due_at timestamptz, worker_id bigint, claimed_at timestamptz, ended_at timestamptz, run_ms integer, reason text)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET enable_seqscan = off
  SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  -- No job has a higher id, and a block at the end of all numbers has no end that could be counted.
  v_blocks     bigint[] := ARRAY(SELECT DISTINCT u >> 7 << 7 FROM unnest(rooms_of.job_ids) u WHERE u <= 9007199254740991 ORDER BY 1);
  v_ids        bigint[];
  v_at         bigint[];
  v_queues     integer[];
  v_priorities smallint[];
BEGIN
  SELECT array_agg(j.id), array_agg(j.id >> 7 << 7), array_agg(j.queue_id), array_agg(j.priority) INTO v_ids, v_at, v_queues, v_priorities
    FROM howdah.find_jobs(rooms_of.job_ids) j;
  RETURN QUERY
    SELECT s.* FROM (
      SELECT d.first_id + g AS id, howdah.waits_as(d.gate), d.attempt, nullif(d.due_at, CASE WHEN d.gate IS NOT NULL THEN 'infinity'::timestamptz END),
             NULL::bigint, NULL::timestamptz, NULL::timestamptz, NULL::integer, CASE WHEN NOT d.gate ^@ 'fair:' THEN 'waits for ' || d.gate END
        FROM unnest(v_blocks) b(block), LATERAL (
          SELECT * FROM howdah.deferred k WHERE k.first_id BETWEEN b.block AND b.block | 127) d, generate_series(0, d.jobs - 1) g
      UNION ALL
      SELECT t.first_id + g, 'ready', t.attempt, NULL, NULL, NULL, NULL, NULL, NULL
        FROM (SELECT DISTINCT * FROM unnest(v_at, v_queues, v_priorities) u(block, queue_id, priority)) b, LATERAL (
          SELECT k.first_id, k.jobs, k.attempt FROM howdah.ticket k
           WHERE k.queue_id = b.queue_id AND k.priority = b.priority AND k.first_id BETWEEN b.block AND b.block | 127) t, generate_series(0, t.jobs - 1) g
      UNION ALL
      SELECT u.first_id + g, 'running', u.attempt, NULL, l.worker_id, l.claimed_at, NULL, NULL, NULL
        FROM howdah.lease l, unnest(l.first_ids, l.counts, l.attempts) u(first_id, jobs, attempt), generate_series(0, u.jobs - 1) g
       WHERE u.first_id >> 7 << 7 = ANY (v_blocks) AND NOT EXISTS (SELECT FROM howdah.settled x WHERE x.lease_id = l.id AND x.job_id = u.first_id + g)
      UNION ALL
      SELECT x.job_id, 'dead', x.attempt, NULL, NULL, NULL, x.died_at, NULL, x.reason FROM howdah.dead x WHERE x.job_id = ANY (rooms_of.job_ids)
      UNION ALL
      SELECT u.first_id + g, CASE e.outcome WHEN 1 THEN 'completed' WHEN 2 THEN 'cancelled' ELSE 'expired' END, u.attempt, NULL,
             e.worker_id, e.claimed_at, e.at, e.run_ms[(u.before + g + 1)::integer], NULL
        FROM (SELECT DISTINCT ON (k.slot, k.ctid) k.*
                FROM unnest(v_blocks) b(block) JOIN howdah.receipt k ON k.span && int8range(b.block, b.block + 128) ORDER BY k.slot, k.ctid) e,
             LATERAL (
               SELECT v.first_id, v.jobs, v.attempt, coalesce(sum(v.jobs) OVER (ORDER BY v.n ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS before
                 FROM unnest(e.first_ids, e.counts, e.attempts) WITH ORDINALITY v(first_id, jobs, attempt, n)) u,
             generate_series(0, u.jobs - 1) g
       WHERE u.first_id >> 7 << 7 = ANY (v_blocks)) s
     -- What a receipt says of a job that was deleted is history of nothing.
     -- As a table of hashes, whatever the planner thinks of how many there are.
     WHERE (s.id IN (SELECT i FROM unnest(v_ids) i)) IS TRUE;
END $$;
-- howdah.search(search, before, most, looks, patience) -> (ids, next, looked)
-- The ids of jobs that a search means, newest first: one page of them.
--   search    what the search language compiles to (docs/search.md): howdah.check_search says what may be in it; '{}':
--             all jobs
--   before    only ids below this one: `next` of the page before; NULL: from the newest
--   most      how many, 1 to 10,000
--   looks     stop when so many jobs have been looked at, 1 to 1,000,000 (the last step may go a little over)
--   patience  stop when it has taken so long
-- Returns
--   ids       newest first
--   next      where the next page begins; NULL: every job has been looked at
--   looked    how many jobs, and rows that stand for several, were looked at
-- A job that fits the search all the while from the first page to the last is found once, however it moves between the
-- rooms meanwhile.
-- Reads: the tables behind howdah.jobs. Locks: none. Errors: HD002 invalid argument.
-- Cost: where ids, a unique key, a workflow, or attributes with the index of howdah.index_attributes say which jobs there
-- can be: of those. Else, for states of jobs that have not ended well (scheduled, blocked, ready, running, dead), of the rows
-- of their rooms, of which one may stand for 128 jobs of a kind; else of the newest jobs, about 20 microseconds each.
CREATE OR REPLACE FUNCTION howdah.search(search jsonb, before bigint DEFAULT NULL, most integer DEFAULT 100, looks integer DEFAULT 20000,
  patience interval DEFAULT '1 second', OUT ids bigint[], OUT next bigint, OUT looked bigint)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET jit = off AS $$
#variable_conflict use_column
DECLARE
  -- The time that people wait, which no test replaces.
  v_end   timestamptz := clock_timestamp() + search.patience;
  v_known bigint[];
  v_next  bigint;
  v_step  record;
  v_found bigint[];
  -- In rows; one may stand for many jobs, and how many of them remain is only seen then.
  v_size  integer := 16;
BEGIN
  PERFORM howdah.check_search(search.search), howdah.check_most(search.most, 10000, NULL);
  IF search.looks IS NULL OR search.looks NOT BETWEEN 1 AND 1000000 THEN
    RAISE EXCEPTION 'looks must be 1 to 1000000, not %', coalesce(search.looks::text, 'NULL') USING ERRCODE = 'HD002', COLUMN = 'looks';
  END IF;
  ids := '{}';
  looked := 0;
  v_next := least(search.before, (search.search ->> 'upto_id')::bigint + 1, 9223372036854775807);
  v_known := howdah.search_known(search.search);
  LOOP
    v_step := howdah.search_step(search.search, v_known, v_next, v_size);
    looked := looked + v_step.looked;
    v_found := ARRAY(SELECT m FROM howdah.search_matches(search.search, v_step.ids) m ORDER BY m DESC);
    ids := ids || v_found;
    IF cardinality(ids) > search.most THEN
      ids := ids[1:search.most];
      next := ids[search.most];
      RETURN;
    END IF;
    v_next := v_step.next;
    IF v_next IS NULL OR cardinality(ids) = search.most OR looked >= search.looks OR clock_timestamp() >= v_end THEN
      next := v_next;
      RETURN;
    END IF;
    v_size := CASE WHEN cardinality(v_step.ids) > 2048 THEN greatest(v_size / 2, 16) WHEN cardinality(v_step.ids) > 1023 THEN v_size ELSE least(2 * v_size, 1024) END;
  END LOOP;
END $$;
-- howdah.search_known(search) -> bigint[]
-- The only ids that a search can mean, newest first, if something in it leads to them: ids, unique keys, workflows, or
-- rare attributes with an index. NULL: nothing does. Internal. Reads: unique_key, workflow, workflow_job, job.
CREATE OR REPLACE FUNCTION howdah.search_known(search jsonb) RETURNS bigint[]
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
DECLARE
  v_ids bigint[];
BEGIN
  IF search_known.search ? 'ids' THEN
    -- A number that is too large for an id is none.
    RETURN ARRAY(SELECT DISTINCT i::bigint FROM jsonb_array_elements_text(search_known.search -> 'ids') i
                  WHERE i::numeric BETWEEN 0 AND 9223372036854775807 ORDER BY 1 DESC);
  ELSIF search_known.search ? 'keys' THEN
    -- The keys of a kind lie together: without a kind, a probe for each that has any.
    RETURN ARRAY(
      WITH RECURSIVE every AS (
        (SELECT x.kind FROM howdah.unique_key x ORDER BY x.kind LIMIT 1)
        UNION ALL
        SELECT (SELECT x.kind FROM howdah.unique_key x WHERE x.kind > e.kind ORDER BY x.kind LIMIT 1) FROM every e WHERE e.kind IS NOT NULL),
      kinds AS (
        SELECT k FROM jsonb_array_elements_text(search_known.search -> 'kinds') k
        UNION ALL
        SELECT e.kind FROM every e WHERE NOT search_known.search ? 'kinds')
      SELECT DISTINCT u.job_id FROM kinds, jsonb_array_elements_text(search_known.search -> 'keys') n,
             LATERAL (SELECT x.job_id FROM howdah.unique_key x WHERE x.kind = kinds.k AND x.key = n) u ORDER BY 1 DESC);
  ELSIF search_known.search ? 'workflows' THEN
    RETURN ARRAY(SELECT j.job_id FROM howdah.workflow w JOIN howdah.workflow_job j ON j.workflow_id = w.id
                  WHERE w.name = ANY (ARRAY(SELECT jsonb_array_elements_text(search_known.search -> 'workflows')))
                     OR w.id::text = ANY (ARRAY(SELECT jsonb_array_elements_text(search_known.search -> 'workflows'))) ORDER BY 1 DESC);
  ELSIF search_known.search ? 'attr' THEN
    v_ids := howdah.rare_matches((search_known.search ->> 'attr')::jsonpath);
    RETURN CASE WHEN v_ids IS NOT NULL THEN ARRAY(SELECT DISTINCT i FROM unnest(v_ids) i ORDER BY 1 DESC) END;
  END IF;
  RETURN NULL;
END $$;
-- howdah.search_matches(search, ids) -> setof bigint
-- Those of these jobs that a search means, as they are at this moment; in no order. Internal.
-- Reads: job, job_kept, and for those that fit so far the rooms and what the search needs besides.
-- Cost: about 5 microseconds for a job that does not fit by what was written with it, about 20 for another.
CREATE OR REPLACE FUNCTION howdah.search_matches(search jsonb, ids bigint[]) RETURNS SETOF bigint
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_vars   jsonb := jsonb_build_object('now', coalesce((search_matches.search ->> 'now')::bigint, howdah.micros(howdah.now())));
  v_row    jsonpath := (search_matches.search ->> 'row')::jsonpath;
  v_args   jsonpath := (search_matches.search ->> 'args')::jsonpath;
  v_attr   jsonpath := (search_matches.search ->> 'attr')::jsonpath;
  v_rest   jsonpath := (search_matches.search ->> 'rest')::jsonpath;
  v_needs  jsonb := coalesce(search_matches.search -> 'needs', '[]');
  v_states text[] := CASE WHEN search_matches.search ? 'states' THEN ARRAY(SELECT jsonb_array_elements_text(search_matches.search -> 'states')) END;
  v_names  jsonb := (SELECT jsonb_object_agg(q.id, q.name) FROM howdah.all_queues q);
  v_ids    bigint[] := search_matches.ids;
BEGIN
  IF v_row IS NOT NULL OR v_args IS NOT NULL OR v_attr IS NOT NULL THEN
    v_ids := ARRAY(
      SELECT j.id FROM howdah.find_jobs(search_matches.ids) j
       WHERE (v_row IS NULL OR jsonb_path_match(jsonb_build_object('id', j.id, 'kind', j.kind, 'queue', v_names -> j.queue_id::text,
                'max_attempts', j.max_attempts, 'priority', j.priority, 'enqueued', howdah.micros(j.enqueued_at)), v_row, v_vars, true))
         AND (v_attr IS NULL OR jsonb_path_match(coalesce(j.options -> 'attributes', '{}'), v_attr, v_vars, true))
         AND (v_args IS NULL OR jsonb_path_match(j.payload, v_args, v_vars, true)));
  END IF;
  IF v_rest IS NULL THEN
    RETURN QUERY SELECT r.job_id FROM howdah.rooms_of(v_ids) r WHERE v_states IS NULL OR r.state = ANY (v_states);
    RETURN;
  END IF;
  RETURN QUERY
    SELECT j.id FROM howdah.rooms_of(v_ids) r JOIN howdah.find_jobs(v_ids) j ON j.id = r.job_id
      CROSS JOIN LATERAL (SELECT CASE WHEN v_needs ? 'errors' THEN
        (SELECT jsonb_agg(f.error_kind) || jsonb_agg(f.message) FROM howdah.failure f WHERE f.job_id = r.job_id) END AS errors) e
      CROSS JOIN LATERAL (SELECT CASE WHEN v_needs ? 'key' THEN
        (SELECT jsonb_agg(u.key) FROM howdah.unique_key u WHERE u.job_id = r.job_id) END AS keys) k
      CROSS JOIN LATERAL (SELECT CASE WHEN v_needs ? 'reason' THEN coalesce(r.reason, howdah.waits_because(r.job_id)) END AS reason) w
     WHERE (v_states IS NULL OR r.state = ANY (v_states))
       AND jsonb_path_match(jsonb_build_object('id', j.id, 'kind', j.kind, 'queue', v_names -> j.queue_id::text, 'state', r.state, 'attempt', r.attempt,
             'max_attempts', j.max_attempts, 'priority', j.priority, 'enqueued', howdah.micros(j.enqueued_at),
             'due', CASE WHEN isfinite(r.due_at) THEN howdah.micros(r.due_at) END, 'claimed', howdah.micros(r.claimed_at),
             'ended', howdah.micros(r.ended_at), 'run', r.run_ms, 'error', e.errors, 'key', k.keys, 'reason', w.reason,
             'words', jsonb_build_array(j.kind, w.reason) || coalesce(k.keys, '[]') || coalesce(e.errors, '[]'),
             'worker', CASE WHEN v_needs ? 'worker' THEN
               jsonb_build_array(r.worker_id::text, (SELECT x.name FROM howdah.worker x WHERE x.id = r.worker_id)) END,
             'workflow', CASE WHEN v_needs ? 'workflow' THEN
               (SELECT jsonb_build_array(x.id::text, x.name) FROM howdah.workflow_job y JOIN howdah.workflow x ON x.id = y.workflow_id WHERE y.job_id = r.job_id) END),
             v_rest, v_vars, true);
END $$;
-- howdah.search_rooms(search, states, from_id, before, most) -> (ids, next, looked)
-- The jobs of about `most` rows of the rooms of these states (scheduled, blocked, ready, running, dead), as
-- howdah.search_step returns them, at most 4,096; those that are of another kind or queue than the search says are left out.
-- A run of ids never leaves its block of 128, and every room is asked in one statement from a block's beginning on, so that
-- a job on its way from one room to another is seen in one of them. Internal.
-- Cost: an index descent for each queue, priority and partition, `most` rows of each room, and all that runs.
CREATE OR REPLACE FUNCTION howdah.search_rooms(search jsonb, states text[], from_id bigint, before bigint, most integer, OUT ids bigint[], OUT next bigint, OUT looked bigint)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_kinds  text[] := CASE WHEN search_rooms.search ? 'kinds' THEN ARRAY(SELECT jsonb_array_elements_text(search_rooms.search -> 'kinds')) END;
  v_queues integer[] := ARRAY(SELECT q.id FROM howdah.all_queues q
                               WHERE NOT search_rooms.search ? 'queues' OR q.name = ANY (ARRAY(SELECT jsonb_array_elements_text(search_rooms.search -> 'queues'))));
  v_waits  boolean := search_rooms.states && '{scheduled,blocked,ready}';
  v_ready  boolean := 'ready' = ANY (search_rooms.states);
  v_runs   boolean := 'running' = ANY (search_rooms.states);
  v_dead   boolean := 'dead' = ANY (search_rooms.states);
  v_low    bigint;
BEGIN
  SELECT min(n.first_id) >> 7 << 7, count(*) INTO v_low, looked FROM (
    SELECT r.first_id FROM (
      (SELECT d.first_id FROM howdah.deferred d
        WHERE v_waits AND d.first_id < search_rooms.before AND d.first_id > search_rooms.from_id - 128 ORDER BY d.first_id DESC LIMIT search_rooms.most)
      UNION ALL
      SELECT t.first_id FROM unnest(v_queues) q(id), generate_series(0, 9) p, LATERAL (
        SELECT k.first_id FROM howdah.ticket k
         WHERE v_ready AND k.queue_id = q.id AND k.priority = p AND k.first_id < search_rooms.before AND k.first_id > search_rooms.from_id - 128
         ORDER BY k.first_id DESC LIMIT search_rooms.most) t
      UNION ALL
      SELECT u.first_id FROM howdah.lease l, unnest(l.first_ids) u(first_id)
       WHERE v_runs AND l.queue_id = ANY (v_queues) AND u.first_id < search_rooms.before AND u.first_id > search_rooms.from_id - 128
      UNION ALL
      (SELECT x.job_id FROM howdah.dead x
        WHERE v_dead AND x.job_id < search_rooms.before AND x.job_id > search_rooms.from_id - 128 ORDER BY x.job_id DESC LIMIT search_rooms.most)) r
     ORDER BY r.first_id DESC LIMIT search_rooms.most) n;
  next := CASE WHEN looked >= search_rooms.most THEN v_low END;
  IF v_low IS NULL THEN
    RETURN;
  END IF;
  SELECT array_agg(c.id) INTO ids FROM (SELECT DISTINCT r.first_id + g AS id FROM (
    SELECT d.first_id, d.jobs FROM howdah.deferred d
     WHERE v_waits AND d.first_id >= v_low AND d.first_id < search_rooms.before AND d.queue_id = ANY (v_queues)
       AND (v_kinds IS NULL OR d.kind = ANY (v_kinds)) AND howdah.waits_as(d.gate) = ANY (search_rooms.states)
    UNION ALL
    SELECT t.first_id, t.jobs FROM howdah.ticket t
     WHERE v_ready AND t.queue_id = ANY (v_queues) AND t.priority = ANY ('{0,1,2,3,4,5,6,7,8,9}') AND t.first_id >= v_low AND t.first_id < search_rooms.before
       AND (v_kinds IS NULL OR t.kind = ANY (v_kinds))
    UNION ALL
    SELECT u.first_id, u.jobs FROM howdah.lease l, unnest(l.first_ids, l.counts) u(first_id, jobs)
     WHERE v_runs AND l.queue_id = ANY (v_queues) AND u.first_id >= v_low AND u.first_id < search_rooms.before
    UNION ALL
    SELECT x.job_id, 1 FROM howdah.dead x
     WHERE v_dead AND x.job_id >= v_low AND x.job_id < search_rooms.before AND x.queue_id = ANY (v_queues)
       AND (v_kinds IS NULL OR x.kind = ANY (v_kinds))) r, generate_series(0, r.jobs - 1) g
   WHERE r.first_id + g < search_rooms.before AND r.first_id + g >= search_rooms.from_id
   ORDER BY 1 DESC LIMIT 4096) c;
  IF cardinality(ids) = 4096 THEN
    next := ids[4096];
  END IF;
  looked := looked + coalesce(cardinality(ids), 0);
END $$;
-- howdah.search_step(search, known, before, most) -> (ids, next, looked)
-- The next jobs that a search has to look at, with ids below `before`: about `most` rows' worth of them.
--   known  the only ids that there can be, in descending order; NULL: unknown
--   next   the lowest id that has been dealt with; NULL: nothing is left
-- Internal. Reads: job, or the rooms that the states name.
CREATE OR REPLACE FUNCTION howdah.search_step(search jsonb, known bigint[], before bigint, most integer, OUT ids bigint[], OUT next bigint, OUT looked bigint)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_from   bigint := coalesce((search_step.search ->> 'from_id')::bigint, 0);
  v_states text[] := ARRAY(SELECT jsonb_array_elements_text(search_step.search -> 'states'));
BEGIN
  IF search_step.known IS NOT NULL THEN
    SELECT array_agg(n.id), min(n.id), count(*) INTO ids, next, looked
      FROM (SELECT k.id FROM unnest(search_step.known) k(id) WHERE k.id < search_step.before AND k.id >= v_from ORDER BY k.id DESC LIMIT search_step.most) n;
  ELSIF search_step.search ? 'states' AND v_states <@ '{scheduled,blocked,ready,running,dead}' THEN
    SELECT r.ids, r.next, r.looked INTO ids, next, looked FROM howdah.search_rooms(search_step.search, v_states, v_from, search_step.before, search_step.most) r;
    RETURN;
  ELSE
    SELECT array_agg(n.id), min(n.id), count(*) INTO ids, next, looked FROM (
      (SELECT j.id FROM howdah.job j WHERE j.id < search_step.before AND j.id >= v_from ORDER BY j.id DESC LIMIT search_step.most)
      UNION
      (SELECT k.id FROM howdah.job_kept k WHERE k.id < search_step.before AND k.id >= v_from ORDER BY k.id DESC LIMIT search_step.most)
      ORDER BY id DESC LIMIT search_step.most) n;
  END IF;
  IF looked < search_step.most THEN
    next := NULL;
  END IF;
END $$;
-- howdah.suggest(field, prefix, path, most) -> setof text
-- Values that begin with a prefix, for whoever types a search:
--   field   kind, queue, worker, workflow, key, error (kinds of errors): values of that field;
--           args, attr: the names that are in payloads, or attributes, below `path`
--   most    how many, 1 to 1000
-- Of what is there in any number (kinds, keys, errors, names), those of the newest thousand rows. In order.
-- Reads: queue, worker, kind, workflow, unique_key, failure, dead, job. Locks: none. Errors: HD002 unknown field.
-- Cost: of about a thousand rows, however many there are.
CREATE OR REPLACE FUNCTION howdah.suggest(field text, prefix text DEFAULT '', path text[] DEFAULT '{}', most integer DEFAULT 20) RETURNS SETOF text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_found text[];
BEGIN
  PERFORM howdah.check_most(suggest.most, 1000, NULL);
  CASE suggest.field
    WHEN 'queue' THEN
      v_found := ARRAY(SELECT q.name FROM howdah.queue q);
    WHEN 'worker' THEN
      v_found := ARRAY(SELECT w.name FROM howdah.worker w ORDER BY w.id DESC LIMIT 1000);
    WHEN 'workflow' THEN
      v_found := ARRAY(SELECT w.name FROM howdah.workflow w ORDER BY w.id DESC LIMIT 1000);
    WHEN 'key' THEN
      v_found := ARRAY(SELECT u.key FROM howdah.unique_key u ORDER BY u.job_id DESC LIMIT 1000);
    WHEN 'error' THEN
      v_found := ARRAY(SELECT f.error_kind FROM howdah.failure f ORDER BY f.job_id DESC, f.attempt DESC LIMIT 1000);
    WHEN 'kind' THEN
      v_found := ARRAY(
        SELECT k.name FROM howdah.kind k
        UNION SELECT unnest(w.kinds) FROM howdah.worker w
        UNION (SELECT x.kind FROM howdah.dead x ORDER BY x.job_id DESC LIMIT 1000)
        UNION (SELECT j.kind FROM howdah.job j ORDER BY j.id DESC LIMIT 1000));
    WHEN 'args', 'attr' THEN
      v_found := ARRAY(
        SELECT jsonb_object_keys(CASE WHEN jsonb_typeof(p.at) = 'object' THEN p.at ELSE '{}' END)
          FROM (SELECT CASE suggest.field WHEN 'args' THEN n.payload ELSE n.options -> 'attributes' END #> suggest.path AS at
                  FROM (SELECT j.payload, j.options FROM howdah.job j ORDER BY j.id DESC LIMIT 1000) n) p);
    ELSE
      RAISE EXCEPTION 'there are no suggestions for %', coalesce(quote_literal(left(suggest.field, 100)), 'NULL')
        USING ERRCODE = 'HD002', COLUMN = 'field', HINT = 'There are for kind, queue, worker, workflow, key, error, args and attr.';
  END CASE;
  RETURN QUERY SELECT DISTINCT f COLLATE "C" FROM unnest(v_found) f WHERE f ^@ suggest.prefix ORDER BY 1 LIMIT suggest.most;
END $$;
-- howdah.change_settings(relation, name, settings) -> void
-- Changes the named settings of a queue ('queue') or a kind ('kind'), and no others; null: back to the default. The
-- values are converted and checked as the table's columns are. Does nothing if there is no such row.
-- Writes: queue or kind. Locks: that row; nobody who enqueues or claims needs it.
-- Errors: HD002, naming the setting in COLUMN and the rule in the message. Internal to set_queue and set_kind.
CREATE OR REPLACE FUNCTION howdah.change_settings(relation text, name text, settings jsonb) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_set        text;
  v_constraint text;
BEGIN
  PERFORM howdah.check_settings(change_settings.relation, change_settings.settings);
  SELECT string_agg(format(CASE WHEN e.value = 'null' THEN '%1$I = DEFAULT' ELSE '%1$I = r.%1$I' END, e.key), ', ') INTO v_set
    FROM jsonb_each(change_settings.settings) e;
  IF v_set IS NOT NULL THEN
    EXECUTE format('UPDATE howdah.%1$I s SET %2$s FROM jsonb_populate_record(NULL::howdah.%1$I, $1) r WHERE s.name = $2',
      change_settings.relation, v_set) USING change_settings.settings, change_settings.name;
  END IF;
EXCEPTION WHEN check_violation THEN
  GET STACKED DIAGNOSTICS v_constraint = CONSTRAINT_NAME;
  PERFORM howdah.setting_refused(change_settings.relation, v_constraint, change_settings.settings);
END $$;
-- howdah.check_settings(relation, settings) -> void
-- Refuses settings that a queue ('queue') or a kind ('kind') does not have, and values that are not of their type.
-- What their CHECKs say is refused when they are written: see setting_refused.
-- Errors: HD002, naming the setting in COLUMN. Internal to change_settings.
CREATE OR REPLACE FUNCTION howdah.check_settings(relation text, settings jsonb) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_names text[] := howdah.setting_names(check_settings.relation);
  v_key   text;
  v_value jsonb;
BEGIN
  IF check_settings.settings IS NULL OR jsonb_typeof(check_settings.settings) <> 'object' THEN
    RAISE EXCEPTION 'settings must be a JSON object, not %', coalesce(jsonb_typeof(check_settings.settings), 'NULL')
      USING ERRCODE = 'HD002', COLUMN = 'settings', HINT = 'Such as ''{"max_attempts": 5}''.';
  END IF;
  FOR v_key, v_value IN SELECT e.key, e.value FROM jsonb_each(check_settings.settings) e LOOP
    IF v_key <> ALL (v_names) THEN
      RAISE EXCEPTION 'a % has no setting %', check_settings.relation, quote_literal(left(v_key, 100))
        USING ERRCODE = 'HD002', COLUMN = coalesce(nullif(left(v_key, 100), ''), 'settings'), HINT = 'There are ' || array_to_string(v_names, ', ') || '.';
    END IF;
    BEGIN
      EXECUTE format('SELECT FROM jsonb_populate_record(NULL::howdah.%I, $1) r WHERE r.%I IS NULL', check_settings.relation, v_key)
        USING jsonb_build_object(v_key, v_value);
    EXCEPTION WHEN data_exception THEN
      RAISE EXCEPTION '% must be of type %, not %', v_key,
        (SELECT format_type(a.atttypid, a.atttypmod) FROM pg_attribute a
          WHERE a.attrelid = format('howdah.%I', check_settings.relation)::regclass AND a.attname = v_key),
        left(v_value::text, 100) USING ERRCODE = 'HD002', COLUMN = v_key;
    END;
  END LOOP;
END $$;
-- howdah.every_queue() -> setof queue
-- The rows of all queues, those that were deleted as they were: for what is to become of history. For names, the view
-- howdah.all_queues is quicker. A function, as a view with this in it would keep columns from being added to
-- howdah.queue. Reads: queue, deleted_queue. Errors: none. Internal.
CREATE OR REPLACE FUNCTION howdah.every_queue() RETURNS SETOF howdah.queue
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN QUERY SELECT q.* FROM howdah.queue q
    UNION ALL SELECT r.* FROM howdah.deleted_queue d, LATERAL jsonb_populate_record(NULL::howdah.queue, d.was) r;
END $$;
-- howdah.kind_settings(kind) -> jsonb
-- All settings of a kind of jobs as an object, null where the queue decides. A kind of which nothing is set, whether
-- it has jobs or not, has nothing but nulls. Reads: kind. Errors: none.
CREATE OR REPLACE FUNCTION howdah.kind_settings(kind text) RETURNS jsonb
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN coalesce(howdah.settings_of('kind', kind_settings.kind),
    (SELECT jsonb_object_agg(n, NULL) FROM unnest(howdah.setting_names('kind')) n));
END $$;
-- howdah.queue_id(name) -> integer
-- The id of a queue, which is another one after it was deleted and made again; NULL if there is none. Internal to workers.
-- Reads: queue. Errors: none.
CREATE OR REPLACE FUNCTION howdah.queue_id(name text) RETURNS integer
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN (SELECT q.id FROM howdah.queue q WHERE q.name = queue_id.name);
END $$;
-- howdah.queue_settings(queue) -> jsonb
-- All settings of a queue as an object, null where there is none. Reads: queue. Errors: HD001 unknown queue.
CREATE OR REPLACE FUNCTION howdah.queue_settings(queue text) RETURNS jsonb
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_settings jsonb := howdah.settings_of('queue', queue_settings.queue);
BEGIN
  IF v_settings IS NULL THEN
    PERFORM howdah.unknown_queue(queue_settings.queue);
  END IF;
  RETURN v_settings;
END $$;
-- howdah.set_kind(kind, settings) -> jsonb
-- Changes settings of a kind of jobs, in whatever queue they are: SELECT howdah.set_kind('report', '{"lease_ms": 600000}').
--   settings  an object with the settings to change; the others stay. null: as the queue says. Each is a column of
--             howdah.kind; a kind's setting goes before its queue's.
-- Running workers go by it within a second or two. Returns all settings after the change.
-- Writes: kind, command. Locks: its row; nobody who enqueues or claims needs it.
-- Errors: HD002 invalid name, no such setting, or a value that it may not have (COLUMN names the setting).
CREATE OR REPLACE FUNCTION howdah.set_kind(kind text, settings jsonb) RETURNS jsonb
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_was jsonb := howdah.kind_settings(set_kind.kind);
  v_now jsonb;
BEGIN
  IF set_kind.kind IS NULL OR octet_length(set_kind.kind) NOT BETWEEN 1 AND 128 OR set_kind.kind ~ '[[:cntrl:]]' THEN
    RAISE EXCEPTION 'kind must be 1 to 128 bytes without control characters, not % bytes', coalesce(octet_length(set_kind.kind)::text, 'NULL')
      USING ERRCODE = 'HD002', COLUMN = 'kind';
  END IF;
  INSERT INTO howdah.kind (name) VALUES (set_kind.kind) ON CONFLICT DO NOTHING;
  PERFORM howdah.change_settings('kind', set_kind.kind, set_kind.settings);
  -- A kind of which nothing is set needs no row.
  DELETE FROM howdah.kind k WHERE k.name = set_kind.kind AND jsonb_strip_nulls(to_jsonb(k) - 'name') = '{}';
  v_now := howdah.kind_settings(set_kind.kind);
  PERFORM howdah.note_changes('set_kind', jsonb_build_object('kind', set_kind.kind), v_was, v_now);
  RETURN v_now;
END $$;
-- howdah.set_queue(queue, settings) -> jsonb
-- Changes settings of a queue, over restarts: SELECT howdah.set_queue('mail', '{"max_attempts": 5, "max_jobs": null}').
--   settings  an object with the settings to change; the others stay. null: back to the default. Each is a column of
--             howdah.queue: times in milliseconds where the name says so, spans of time as '7 days'.
-- Running workers and clients go by it within a second or two. Returns all settings after the change.
-- Writes: queue, command. Locks: its row; nobody who enqueues or claims needs it.
-- Errors: HD001 unknown queue, HD002 no such setting or a value that it may not have (COLUMN names the setting).
CREATE OR REPLACE FUNCTION howdah.set_queue(queue text, settings jsonb) RETURNS jsonb
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_was jsonb := howdah.queue_settings(set_queue.queue);
  v_now jsonb;
BEGIN
  PERFORM howdah.change_settings('queue', set_queue.queue, set_queue.settings);
  v_now := howdah.queue_settings(set_queue.queue);
  PERFORM howdah.note_changes('set_queue', jsonb_build_object('queue', set_queue.queue), v_was, v_now);
  RETURN v_now;
END $$;
-- howdah.setting_names(relation) -> text[]
-- What can be set of a queue (relation 'queue'), a kind ('kind') or a schedule ('schedule'): the columns of that table,
-- but for those that are its identity, its pause (howdah.pause_queue), and bookkeeping. A column that a later release adds
-- is a setting.
-- Reads: the catalog. Errors: none. Internal to set_queue and set_kind.
CREATE OR REPLACE FUNCTION howdah.setting_names(relation text) RETURNS text[]
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN (SELECT array_agg(a.attname::text ORDER BY a.attnum) FROM pg_attribute a
    WHERE a.attrelid = format('howdah.%I', setting_names.relation)::regclass AND a.attnum > 0 AND NOT a.attisdropped
      AND a.attname::text <> ALL ('{id,name,created_at,paused_at,paused_by,pause_reason,resume_at,fresh_slot}'::text[])
      AND (setting_names.relation <> 'schedule'
           OR a.attname::text <> ALL ('{turn,every_from,after_at,next_at,look_at,failures,error,error_at,declared,revision}'::text[])));
END $$;
-- howdah.setting_refused(relation, constraint_name, settings) -> never returns
-- Says which setting breaks a CHECK of the table of queues or kinds, and what the CHECK says.
-- Errors: HD002, naming the setting in COLUMN. Internal to change_settings.
CREATE OR REPLACE FUNCTION howdah.setting_refused(relation text, constraint_name text, settings jsonb) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_field text;
  v_rule  text;
BEGIN
  -- Of a rule about several columns, the one that was to be changed.
  SELECT a.attname, pg_get_expr(c.conbin, c.conrelid) INTO v_field, v_rule
    FROM pg_constraint c JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = ANY (c.conkey)
   WHERE c.conrelid = format('howdah.%I', setting_refused.relation)::regclass AND c.conname = setting_refused.constraint_name
   ORDER BY setting_refused.settings ? a.attname::text DESC, a.attnum LIMIT 1;
  RAISE EXCEPTION '% must satisfy %, and % does not', v_field, v_rule, left((setting_refused.settings -> v_field)::text, 100)
    USING ERRCODE = 'HD002', COLUMN = v_field, HINT = 'null sets it to its default.';
END $$;
-- howdah.settings_of(relation, name) -> jsonb
-- All settings of a queue ('queue') or a kind ('kind') as an object, null where there is none; NULL if there is no
-- such row. Reads: queue or kind. Errors: none. Internal to queue_settings and kind_settings.
CREATE OR REPLACE FUNCTION howdah.settings_of(relation text, name text) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_row jsonb;
BEGIN
  EXECUTE format('SELECT to_jsonb(s) FROM howdah.%I s WHERE s.name = $1', settings_of.relation) INTO v_row USING settings_of.name;
  RETURN (SELECT jsonb_object_agg(n, v_row -> n) FROM unnest(howdah.setting_names(settings_of.relation)) n WHERE v_row IS NOT NULL);
END $$;
-- howdah.await_settlers(lease_id, job_ids) -> void
-- Waits for transactions that are ending these jobs at this moment, by complete_in or cancel_in: of a handler that was
-- cut off while it committed. Whoever looks in a later statement sees what became of them. And until the
-- caller's transaction ends, nobody else begins to. Internal to forget and take_from_lease.
-- Writes: settled, and takes it back. Locks: waits for those who end the jobs. Errors: none.
CREATE OR REPLACE FUNCTION howdah.await_settlers(lease_id bigint, job_ids bigint[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_free bigint[];
BEGIN
  -- The key is theirs until they commit or roll back.
  WITH free AS (
    INSERT INTO howdah.settled (lease_id, job_id)
    SELECT l.id, j FROM howdah.lease l, unnest(await_settlers.job_ids) j
     WHERE (l.id & 3) = (await_settlers.lease_id & 3) AND l.id = await_settlers.lease_id ORDER BY j
    ON CONFLICT DO NOTHING RETURNING job_id)
  SELECT array_agg(f.job_id) INTO v_free FROM free f;
  IF v_free IS NOT NULL THEN
    DELETE FROM howdah.settled s WHERE s.lease_id = await_settlers.lease_id AND s.job_id = ANY (v_free);
  END IF;
END $$;
-- howdah.bury(job_id, queue_id, kind, priority, attempt, reason) -> void
-- Puts a job into the dead-letter room. Internal. Writes: dead, and see howdah.ended.
CREATE OR REPLACE FUNCTION howdah.bury(job_id bigint, queue_id integer, kind text, priority integer, attempt integer, reason text)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  INSERT INTO howdah.dead (job_id, queue_id, priority, attempt, kind, died_at, reason)
    VALUES (bury.job_id, bury.queue_id, bury.priority, bury.attempt, bury.kind, howdah.now(), left(bury.reason, 1000));
  PERFORM howdah.ended(ARRAY[bury.job_id], '{1}', true, true);
END $$;
-- howdah.cancel_in(lease_id, job_id, run_ms) -> void
-- Cancels one running job inside the transaction of its own handler, together with that one's writes: all or none. It
-- ends as cancelled, and whatever the handler says afterwards changes nothing.
-- Writes: receipt, cancel_request, and lease or settled. Locks: as howdah.complete_in.
-- Errors: HD010 the job is not this lease's any more; roll back, and let go of it.
CREATE OR REPLACE FUNCTION howdah.cancel_in(lease_id bigint, job_id bigint, run_ms integer DEFAULT NULL)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM howdah.settle_in(cancel_in.lease_id, cancel_in.job_id, 2, cancel_in.run_ms);
  DELETE FROM howdah.cancel_request c WHERE c.job_id = cancel_in.job_id;
END $$;
-- howdah.check_verdicts(job_ids, verdicts, delay_ms) -> void
-- Refuses verdicts that do not exist, delays out of range, and a job named twice. Internal to howdah.fail.
-- Errors: HD002, naming the field.
CREATE OR REPLACE FUNCTION howdah.check_verdicts(job_ids bigint[], verdicts text[], delay_ms bigint[])
RETURNS void LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_bad text;
BEGIN
  SELECT v INTO v_bad FROM unnest(check_verdicts.verdicts) v WHERE v NOT IN ('retry', 'discard', 'cancel', 'snooze', 'wait') LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION 'verdict must be retry, discard, cancel, snooze or wait, not %', quote_literal(left(v_bad, 100))
      USING ERRCODE = 'HD002', COLUMN = 'verdicts';
  END IF;
  SELECT d INTO v_bad FROM unnest(check_verdicts.delay_ms) d WHERE d NOT BETWEEN 0 AND 3155760000000 LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION 'delay_ms must be 0 to 100 years, not %', v_bad USING ERRCODE = 'HD002', COLUMN = 'delay_ms';
  END IF;
  IF check_verdicts.job_ids IS NULL OR cardinality(check_verdicts.job_ids) <> (SELECT count(DISTINCT j) FROM unnest(check_verdicts.job_ids) j) THEN
    RAISE EXCEPTION 'job_ids must name each job once' USING ERRCODE = 'HD002', COLUMN = 'job_ids';
  END IF;
END $$;
-- howdah.complete(lease_id, job_ids, run_ms, result_jobs, results) -> setof bigint
-- Completes jobs of a lease; job_ids NULL: all that are left in it.
--   run_ms       how long each of job_ids ran, in their order; may be NULL
--   result_jobs  which of them have something to keep for those who wait, and
--   results      what that is, in the same order
-- Returns the ids that were completed. An id that is missing was not this lease's any more: another worker
-- has it, or it has ended, and nothing was changed. A caller that wants an error uses complete_in.
-- Writes: lease, receipt, result. Locks: the lease row until the commit, so that other jobs of the same lease wait.
-- Errors: HD002 invalid argument.
CREATE OR REPLACE FUNCTION howdah.complete(lease_id bigint, job_ids bigint[] DEFAULT NULL, run_ms integer[] DEFAULT NULL,
  result_jobs bigint[] DEFAULT NULL, results jsonb[] DEFAULT NULL)
RETURNS SETOF bigint LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
DECLARE
  v_lease    howdah.lease;
  v_ids      bigint[];
  v_attempts smallint[];
  v_run_ms   integer[];
BEGIN
  SELECT * INTO v_lease FROM howdah.lease l WHERE (l.id & 3) = (complete.lease_id & 3) AND l.id = complete.lease_id;
  SELECT array_agg(t.job_id ORDER BY t.job_id), array_agg(t.attempt ORDER BY t.job_id),
         CASE WHEN complete.run_ms IS NOT NULL THEN array_agg(complete.run_ms[array_position(complete.job_ids, t.job_id)] ORDER BY t.job_id) END
    INTO v_ids, v_attempts, v_run_ms
    FROM howdah.take_from_lease(complete.lease_id, complete.job_ids) t;
  IF v_ids IS NOT NULL THEN
    PERFORM howdah.write_receipt(1, v_lease.queue_id, v_lease.worker_id, v_lease.claimed_at, v_ids, v_attempts, v_run_ms);
    IF complete.result_jobs IS NOT NULL THEN
      PERFORM howdah.keep_results(complete.result_jobs, complete.results, v_ids);
    END IF;
  END IF;
  RETURN QUERY SELECT unnest(v_ids);
END $$;
-- howdah.complete_in(lease_id, job_id, run_ms, result) -> void
-- Completes one job inside the caller's transaction, together with the caller's own writes: all or none.
--   result  what is kept for those who wait for the job; may be NULL
-- Writes: receipt, result, and lease or settled. Locks: the lease row, shared: other jobs of the lease do not wait,
-- a rescue passes it by. Errors: HD010 the job is not this lease's any more; roll back, and let go of it.
CREATE OR REPLACE FUNCTION howdah.complete_in(lease_id bigint, job_id bigint, run_ms integer DEFAULT NULL, result jsonb DEFAULT NULL)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM howdah.settle_in(complete_in.lease_id, complete_in.job_id, 1, complete_in.run_ms);
  IF complete_in.result IS NOT NULL THEN
    PERFORM howdah.keep_results(ARRAY[complete_in.job_id], ARRAY[complete_in.result], ARRAY[complete_in.job_id]);
  END IF;
END $$;
-- howdah.complete_leases(lease_ids, jobs, run_ms, result_leases, result_jobs, results) -> setof bigint
-- Completes every job that is left in these leases: the worker's fast path, one statement for thousands.
--   jobs    how many jobs each of the leases held
--   run_ms  how long each job ran: of the first lease in the order claimed, then of the second, ...
--   result_leases, result_jobs, results  what some of the jobs returned, and whose jobs they are; may be NULL
-- Returns the leases whose jobs have all ended so; of one that is missing, all or some jobs are with others (what was left
-- in it is completed).
-- Writes: lease (deletes), receipt, result; and see howdah.ended. Locks: lease rows, against a rescue; waits for a
-- complete_in that is open.
-- Errors: HD012 the transaction is not READ COMMITTED.
-- Cost: one lock, one delete and one insert for each lease, however many jobs it held.
CREATE OR REPLACE FUNCTION howdah.complete_leases(lease_ids bigint[], jobs integer[], run_ms integer[],
  result_leases bigint[] DEFAULT NULL, result_jobs bigint[] DEFAULT NULL, results jsonb[] DEFAULT NULL)
RETURNS SETOF bigint LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_mixed bigint[];
BEGIN
  -- Asked here and not only there: a call of a function is felt in a flush of one job.
  IF current_setting('transaction_isolation') <> 'read committed' THEN
    PERFORM howdah.must_read_committed();
  END IF;
  -- Lock first and look later: the statement after this one sees what a complete_in has committed meanwhile.
  -- A lease that holds fewer jobs than were told has lost some of them to others.
  SELECT array_agg(k.id) FILTER (WHERE k.jobs <> u.jobs) INTO v_mixed
    FROM (SELECT l.id, (SELECT sum(c) FROM unnest(l.counts) c) AS jobs
            FROM howdah.lease l WHERE l.id = ANY (complete_leases.lease_ids) FOR UPDATE) k
    JOIN unnest(complete_leases.lease_ids, complete_leases.jobs) u(id, jobs) ON u.id = k.id;
  v_mixed := v_mixed || (SELECT array_agg(DISTINCT s.lease_id) FROM howdah.settled s WHERE s.lease_id = ANY (complete_leases.lease_ids));
  RETURN QUERY
    WITH told AS (
      SELECT u.id, u.jobs, sum(u.jobs) OVER (ORDER BY u.n) AS ends
        FROM unnest(complete_leases.lease_ids, complete_leases.jobs) WITH ORDINALITY u(id, jobs, n)),
    gone AS (
      DELETE FROM howdah.lease l
       WHERE l.id = ANY (complete_leases.lease_ids) AND (v_mixed IS NULL OR l.id <> ALL (v_mixed)) RETURNING l.*),
    written AS (
      INSERT INTO howdah.receipt (slot, outcome, queue_id, worker_id, at, claimed_at, span, first_ids, counts, attempts, run_ms)
      SELECT r.slot, 1, g.queue_id, g.worker_id, howdah.now(), g.claimed_at,
             (SELECT int8range(min(f), max(f) + 128) FROM unnest(g.first_ids) f), g.first_ids, g.counts, g.attempts,
             complete_leases.run_ms[t.ends - t.jobs + 1 : t.ends]
        FROM gone g JOIN told t ON t.id = g.id, howdah.ring r WHERE r.name = 'history'),
    kept AS (
      INSERT INTO howdah.result (slot, job_id, at, result)
      SELECT r.slot, u.job_id, howdah.now(), u.result
        FROM unnest(complete_leases.result_leases, complete_leases.result_jobs, complete_leases.results) u(lease_id, job_id, result)
        JOIN gone g ON g.id = u.lease_id, howdah.ring r WHERE r.name = 'history' AND u.result IS NOT NULL),
    hook AS (
      SELECT howdah.ended(array_agg(u.first_id), array_agg(u.jobs)), howdah.wake_limited(array_agg(DISTINCT g.queue_id))
        FROM gone g, unnest(g.first_ids, g.counts) u(first_id, jobs))
    SELECT g.id FROM gone g, hook;
  IF EXISTS (SELECT FROM howdah.slot s WHERE s.lease_id = ANY (complete_leases.lease_ids)) THEN
    PERFORM howdah.free_slots(ARRAY(SELECT u FROM unnest(complete_leases.lease_ids) u WHERE v_mixed IS NULL OR u <> ALL (v_mixed)));
  END IF;
  IF v_mixed IS NULL THEN
    RETURN;
  END IF;
  -- Leases of which a complete_in has settled a part, or a rescue has taken one: only the rest is left to complete.
  RETURN QUERY
    SELECT l.id FROM howdah.lease l JOIN unnest(complete_leases.lease_ids, complete_leases.jobs) u(id, jobs) ON u.id = l.id
     WHERE l.id = ANY (v_mixed) AND (
      -- With the results of this lease alone: another one may have held the same job before.
      SELECT count(*) FROM (
          SELECT array_agg(n.job_id) AS jobs, array_agg(n.result) AS results
            FROM unnest(complete_leases.result_leases, complete_leases.result_jobs, complete_leases.results) n(lease_id, job_id, result)
           WHERE n.lease_id = l.id) k,
        LATERAL howdah.complete(l.id, NULL, NULL, k.jobs, k.results))
         = u.jobs - (SELECT count(*) FROM howdah.settled s WHERE s.lease_id = l.id);
END $$;
-- howdah.ended(first_ids, counts, died, failed) -> void
-- Called wherever jobs end, with the runs of their ids: frees their unique keys, wakes who waits for them, forgets their
-- progress, puts their steps into the history, lets the next of their order through, and lets go of the jobs that depend on
-- them. Jobs that have none of this cost one probe of seven indexes, however many they are.
--   died    they are dead: what they had reached is kept with them
--   failed  they did not complete (so it is too of those that died); NULL: some did, and it is looked up which, if a job
--           depends on any of them
-- Internal. Writes: see ended_slowly. Errors: none.
CREATE OR REPLACE FUNCTION howdah.ended(first_ids bigint[], counts smallint[], died boolean DEFAULT false, failed boolean DEFAULT false)
RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off AS $$
DECLARE
  v_first bigint := ended.first_ids[1];
  -- A run never leaves its block of 128, and unlike a sum its end is in the range of numbers.
  v_last  bigint := ended.first_ids[1] | 127;
BEGIN
  IF cardinality(ended.first_ids) > 1 THEN
    SELECT min(f), max(f) | 127 INTO v_first, v_last FROM unnest(ended.first_ids) f;
  END IF;
  IF EXISTS (SELECT FROM howdah.unique_key u WHERE u.job_id BETWEEN v_first AND v_last)
     OR EXISTS (SELECT FROM howdah.waiter w WHERE w.job_id BETWEEN v_first AND v_last)
     OR EXISTS (SELECT FROM howdah.expiry e WHERE e.job_id BETWEEN v_first AND v_last)
     OR EXISTS (SELECT FROM howdah.progress p WHERE p.job_id BETWEEN v_first AND v_last)
     OR EXISTS (SELECT FROM howdah.ordered o WHERE o.job_id BETWEEN v_first AND v_last)
     OR EXISTS (SELECT FROM howdah.step s WHERE s.job_id BETWEEN v_first AND v_last) THEN
    PERFORM howdah.ended_slowly(ended.first_ids, ended.counts, ended.died);
  END IF;
  IF ended.died OR ended.failed IS NOT FALSE THEN
    IF EXISTS (SELECT FROM howdah.dependency d WHERE d.job_id BETWEEN v_first AND v_last) THEN
      PERFORM howdah.stop_waiting(ended.first_ids, ended.counts);
    END IF;
  END IF;
  IF EXISTS (SELECT FROM howdah.dependency d WHERE d.parent_id BETWEEN v_first AND v_last) THEN
    PERFORM howdah.go_on_after(ended.first_ids, ended.counts, ended.died OR ended.failed);
  END IF;
END $$;
-- howdah.ended_slowly(first_ids, counts, died) -> void
-- What must be done for jobs that have ended and had more than a payload: frees the unique keys that last as long as
-- their jobs, forgets when they would have expired and, unless they died, how far they had come, notifies who waits. Internal to howdah.ended.
-- Writes: unique_key, expiry, progress, waiter, and see end_steps and leave_orders. Locks: those rows, in order of the ids.
-- Notifies: howdah.ended with up to 400 ids a message, because a message has less than 8000 bytes.
CREATE OR REPLACE FUNCTION howdah.ended_slowly(first_ids bigint[], counts smallint[], died boolean) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off
  SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
DECLARE
  v_waited bigint[];
BEGIN
  -- Whoever has a key locked means to take it over, or to look at it: nobody who ends jobs waits for that. A key that is
  -- left behind so is free all the same, see take_key and take_keys_again.
  DELETE FROM howdah.unique_key k WHERE k.ctid = ANY (ARRAY(
    SELECT u.ctid FROM unnest(ended_slowly.first_ids, ended_slowly.counts) r(first_id, jobs), LATERAL (
      SELECT x.ctid FROM howdah.unique_key x
       WHERE x.job_id >= r.first_id AND x.job_id < r.first_id + r.jobs AND x.scope = 'live' FOR UPDATE SKIP LOCKED) u));
  DELETE FROM howdah.expiry e USING unnest(ended_slowly.first_ids, ended_slowly.counts) r(first_id, jobs)
   WHERE e.job_id >= r.first_id AND e.job_id < r.first_id + r.jobs;
  IF NOT ended_slowly.died THEN
    DELETE FROM howdah.progress p USING unnest(ended_slowly.first_ids, ended_slowly.counts) r(first_id, jobs)
     WHERE p.job_id >= r.first_id AND p.job_id < r.first_id + r.jobs;
  END IF;
  PERFORM howdah.leave_orders(ended_slowly.first_ids, ended_slowly.counts);
  PERFORM howdah.end_steps(ended_slowly.first_ids, ended_slowly.counts, ended_slowly.died);
  WITH gone AS (
    DELETE FROM howdah.waiter w WHERE w.job_id = ANY (ARRAY(
      SELECT u.job_id FROM unnest(ended_slowly.first_ids, ended_slowly.counts) r(first_id, jobs), LATERAL (
        SELECT x.job_id FROM howdah.waiter x WHERE x.job_id >= r.first_id AND x.job_id < r.first_id + r.jobs FOR UPDATE SKIP LOCKED) u))
    RETURNING w.job_id)
  SELECT array_agg(g.job_id ORDER BY g.job_id) INTO v_waited FROM gone g;
  PERFORM pg_notify('howdah.ended', string_agg(w.id::text, ','))
     FROM unnest(v_waited) WITH ORDINALITY w(id, n) GROUP BY (w.n - 1) / 400;
END $$;
-- howdah.fail(lease_id, job_ids, verdicts, error_kinds, messages, delay_ms, run_ms, causes, retries)
--   -> (job_id, state)
-- Settles jobs of a lease that did not succeed. The arrays run in parallel; NULL in place of one: its default.
--   verdicts  retry (default): again after a delay, or dead if that was the last attempt
--             discard: dead at once        cancel: cancelled
--             snooze: again after the delay, the attempt not counted
--             wait: again when what a step of it waits for has come (howdah.begin_sleep, await_signal), not counted
--   error_kinds, messages  kept in howdah.failure; messages are cut at 8192 characters, kinds at 256
--   causes    what was behind each error, outermost first: JSON arrays of strings; left out if larger than 64 KiB
--   retries   what the worker's program declares for the kind of each: JSON as in the option retry of a job
--   delay_ms  0 to 100 years; NULL: as howdah.retry_delay says
-- A job that somebody has asked to cancel meanwhile is not run again: instead of retry, snooze and wait it is cancelled.
-- Returns each job that was settled with its new state. A missing one was not this lease's any more.
-- Writes: lease, failure, and deferred, ticket, dead or receipt. Locks: the lease row.
-- Errors: HD002 invalid argument.
CREATE OR REPLACE FUNCTION howdah.fail(lease_id bigint, job_ids bigint[], verdicts text[] DEFAULT NULL, error_kinds text[] DEFAULT NULL,
  messages text[] DEFAULT NULL, delay_ms bigint[] DEFAULT NULL, run_ms integer[] DEFAULT NULL, causes jsonb[] DEFAULT NULL,
  retries jsonb[] DEFAULT NULL)
RETURNS TABLE (job_id bigint, state text) LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_now   timestamptz := howdah.now();
  v_lease howdah.lease;
  f       record;
BEGIN
  PERFORM howdah.check_verdicts(fail.job_ids, fail.verdicts, fail.delay_ms);
  SELECT * INTO v_lease FROM howdah.lease l WHERE (l.id & 3) = (fail.lease_id & 3) AND l.id = fail.lease_id;
  FOR f IN
    SELECT t.job_id, t.attempt, coalesce(v.verdict, 'retry') AS verdict, v.delay_ms, v.run_ms,
           left(coalesce(v.error_kind, 'error'), 256) AS error_kind, left(coalesce(v.message, ''), 8192) AS message,
           j.kind, j.priority, j.max_attempts, j.queue_id, j.options,
           CASE WHEN octet_length(v.causes::text) <= 65536 THEN v.causes END AS causes, v.declared
      FROM howdah.take_from_lease(fail.lease_id, fail.job_ids) t
      JOIN unnest(fail.job_ids, fail.verdicts, fail.error_kinds, fail.messages, fail.delay_ms, fail.run_ms, fail.causes,
                  fail.retries) v(job_id, verdict, error_kind, message, delay_ms, run_ms, causes, declared) ON v.job_id = t.job_id
      JOIN LATERAL howdah.find_job(t.job_id) j ON true
  LOOP
    job_id := f.job_id;
    IF f.verdict NOT IN ('snooze', 'wait') THEN
      INSERT INTO howdah.failure (slot, job_id, attempt, at, worker_id, run_ms, error_kind, message, causes)
      SELECT r.slot, f.job_id, f.attempt, v_now, v_lease.worker_id, f.run_ms, f.error_kind, f.message, f.causes
        FROM howdah.ring r WHERE r.name = 'history';
    END IF;
    -- Asked here, with the lease locked, and not in the statement that waited for that.
    IF f.verdict = 'cancel' OR (f.verdict <> 'discard'
       AND EXISTS (SELECT FROM howdah.cancel_request c WHERE c.job_id = f.job_id AND c.lease_id = fail.lease_id)) THEN
      PERFORM howdah.write_receipt(2, f.queue_id, v_lease.worker_id, v_lease.claimed_at, ARRAY[f.job_id], ARRAY[f.attempt], ARRAY[f.run_ms]);
      -- One that somebody is asking again just now is left to prune.
      DELETE FROM howdah.cancel_request c WHERE c.job_id = ANY (ARRAY(
        SELECT w.job_id FROM howdah.cancel_request w WHERE w.job_id = f.job_id FOR UPDATE SKIP LOCKED));
      state := 'cancelled';
    ELSIF f.verdict = 'discard' OR (f.verdict = 'retry' AND f.attempt >= f.max_attempts) THEN
      PERFORM howdah.bury(f.job_id, f.queue_id, f.kind, f.priority, f.attempt, f.error_kind || ': ' || f.message);
      state := 'dead';
    ELSIF f.verdict = 'wait' THEN
      state := howdah.set_aside(f.job_id, f.queue_id, f.kind, f.priority, f.attempt - 1);
    ELSE
      PERFORM howdah.defer(v_now + coalesce(make_interval(secs => f.delay_ms / 1000.0), howdah.retry_delay(f.queue_id, f.kind, f.attempt, f.options, f.declared)),
        f.job_id, 1, f.queue_id, f.kind, f.priority, f.attempt - (f.verdict = 'snooze')::integer, howdah.gates_of(f.options));
      IF f.options ->> 'order_on_failure' = 'pass' THEN
        PERFORM howdah.let_pass(f.job_id);
      END IF;
      state := 'scheduled';
    END IF;
    RETURN NEXT;
  END LOOP;
END $$;
-- howdah.find_job(id) -> job
-- The row that was written when the job was enqueued, or none. Opens the one partition that an id can be in,
-- and then the room of those that outlived theirs. Internal; people use the view howdah.jobs.
CREATE OR REPLACE FUNCTION howdah.find_job(id bigint) RETURNS SETOF howdah.job
LANGUAGE plpgsql STABLE ROWS 1 SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
BEGIN
  RETURN QUERY SELECT * FROM howdah.job j WHERE ((j.id >> 33) & 7) = ((find_job.id >> 33) & 7) AND j.id = find_job.id;
  IF NOT FOUND THEN
    RETURN QUERY SELECT * FROM howdah.job_kept j WHERE j.id = find_job.id;
  END IF;
END $$;
-- howdah.find_jobs(ids) -> setof job
-- As howdah.find_job, for many: a few probes of each partition in one statement, where a call for each costs thirty times as
-- much. In no order; each once, however often it is given. Internal.
CREATE OR REPLACE FUNCTION howdah.find_jobs(ids bigint[]) RETURNS SETOF howdah.job
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
DECLARE
  v_part  bigint;
  v_found bigint := 0;
  v_rows  bigint;
BEGIN
  FOR v_part IN SELECT DISTINCT (u.id >> 33) & 7 FROM unnest(find_jobs.ids) u(id) LOOP
    RETURN QUERY SELECT * FROM howdah.job j WHERE ((j.id >> 33) & 7) = v_part AND j.id = ANY (find_jobs.ids);
    GET DIAGNOSTICS v_rows = ROW_COUNT;
    v_found := v_found + v_rows;
  END LOOP;
  IF v_found < cardinality(find_jobs.ids) THEN
    -- A job that is being moved is in both rooms.
    RETURN QUERY SELECT k.* FROM howdah.job_kept k WHERE k.id = ANY (find_jobs.ids)
       AND NOT EXISTS (SELECT FROM howdah.job j WHERE ((j.id >> 33) & 7) = ((k.id >> 33) & 7) AND j.id = k.id);
  END IF;
END $$;
-- howdah.forget(worker_id, lease_id, job_ids) -> setof bigint
-- Lets go of jobs that complete_in or cancel_in has ended: the worker's bookkeeping after a handler has returned.
-- Returns those whose end is committed. One that is missing has not ended: its transaction was
-- rolled back or never committed, and the job is still held, or lost.
-- Writes: lease, settled. Locks: the lease row; waits for a transaction that is ending one of the jobs. Errors: HD012 the transaction is not READ COMMITTED.
-- Its commit does not wait for the disk, and so neither does that of a transaction around it.
CREATE OR REPLACE FUNCTION howdah.forget(worker_id bigint, lease_id bigint, job_ids bigint[]) RETURNS SETOF bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  v_settled bigint[];
  v_over    bigint[];
BEGIN
  -- Losing this in a crash means that it is done again, when the lease is given up.
  PERFORM set_config('synchronous_commit', 'off', true);
  PERFORM howdah.await_settlers(forget.lease_id, forget.job_ids);
  SELECT array_agg(s.job_id) INTO v_settled FROM howdah.settled s
   WHERE s.lease_id = forget.lease_id AND s.job_id = ANY (forget.job_ids);
  IF v_settled IS NOT NULL THEN
    PERFORM howdah.take_from_lease(forget.lease_id, v_settled);
  END IF;
  -- A lease of one job goes with complete_in: the receipt is what is left of it. Of a job of a larger one that somebody has sent
  -- again meanwhile, nothing is left.
  v_over := ARRAY(
    SELECT j FROM unnest(forget.job_ids) j WHERE EXISTS (
      -- A span is not the ids in it: a neighbour's receipt may span this one.
      SELECT FROM howdah.receipt r, unnest(r.first_ids, r.counts) u(first_id, jobs)
       WHERE r.span @> j AND r.outcome IN (1, 2) AND r.worker_id = forget.worker_id
         AND j >= u.first_id AND j < u.first_id + u.jobs));
  -- Who began to wait after complete_in had looked, and before it was committed.
  PERFORM howdah.ended(v_over, array_fill(1::smallint, ARRAY[cardinality(v_over)]), failed => NULL);
  RETURN QUERY SELECT unnest(v_settled) UNION SELECT unnest(v_over);
END $$;
-- howdah.holds(lease_id, job_id) -> boolean
-- Whether a lease still holds a job: what a handler asks before it does something that cannot be undone.
-- True is true at this moment only; complete_in is the way to be sure to the end.
-- Reads: lease, settled, worker. Locks: none. Errors: none.
CREATE OR REPLACE FUNCTION howdah.holds(lease_id bigint, job_id bigint) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT EXISTS (
    SELECT FROM howdah.lease l, unnest(l.first_ids, l.counts) r(first_id, jobs), howdah.worker w
     WHERE (l.id & 3) = (holds.lease_id & 3) AND l.id = holds.lease_id AND w.id = l.worker_id
       AND holds.job_id >= r.first_id AND holds.job_id < r.first_id + r.jobs
       AND NOT EXISTS (SELECT FROM howdah.settled s WHERE s.lease_id = l.id AND s.job_id = holds.job_id))
$$;
-- howdah.keep_results(job_ids, results, settled) -> void
-- Keeps what handlers returned, of those of job_ids that are among the settled ones. Internal.
-- Writes: result. Errors: HD002 (invalid argument) with COLUMN results: one is larger than 64 MiB.
CREATE OR REPLACE FUNCTION howdah.keep_results(job_ids bigint[], results jsonb[], settled bigint[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF EXISTS (SELECT FROM unnest(keep_results.results) r WHERE pg_column_size(r) > 67108864) THEN
    RAISE EXCEPTION 'a result may be 64 MiB' USING ERRCODE = 'HD002', COLUMN = 'results',
      HINT = 'Store large data elsewhere and return its key.';
  END IF;
  INSERT INTO howdah.result (slot, job_id, at, result)
  SELECT g.slot, u.job_id, howdah.now(), u.result
    FROM unnest(keep_results.job_ids, keep_results.results) u(job_id, result), howdah.ring g
   WHERE g.name = 'history' AND u.result IS NOT NULL AND u.job_id = ANY (keep_results.settled);
END $$;
-- howdah.must_read_committed() -> void
-- Refuses a transaction whose snapshot is older than its locks: there, what another transaction has just done
-- under the lock that was waited for would not be seen, and a job could be lost or run twice. Internal.
-- Errors: HD012.
CREATE OR REPLACE FUNCTION howdah.must_read_committed() RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF current_setting('transaction_isolation') NOT LIKE 'read %' THEN
    RAISE EXCEPTION 'this needs a transaction that is READ COMMITTED, not %', upper(current_setting('transaction_isolation'))
      USING ERRCODE = 'HD012', HINT = 'Call it outside of your transaction. Within one, use howdah.complete_in.';
  END IF;
END $$;
-- howdah.put_back(job_ids, attempts) -> void
-- Makes jobs claimable again at the place in the order that their ids give them, and wakes who sleeps.
--   attempts  how many attempts of each were made
-- Internal. Writes: ticket.
CREATE OR REPLACE FUNCTION howdah.put_back(job_ids bigint[], attempts smallint[])
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_queues bigint;
BEGIN
  WITH back AS (
    INSERT INTO howdah.ticket (first_id, queue_id, slot, priority, jobs, attempt, kind, gates, ready_at)
    SELECT min(i.id), i.queue_id, r.slot, i.priority, count(*), i.attempt, i.kind, i.gates, howdah.now()
      FROM (SELECT j.id, u.attempt, j.queue_id, j.priority, j.kind, o.gates,
                   j.id - row_number() OVER (PARTITION BY u.attempt, j.queue_id, j.priority, j.kind, o.gates ORDER BY j.id) AS island
              FROM unnest(put_back.job_ids, put_back.attempts) u(id, attempt), LATERAL howdah.find_job(u.id) j,
                   LATERAL (SELECT CASE WHEN j.options IS NOT NULL THEN howdah.gates_of(j.options) END AS gates) o) i, howdah.ring r
     WHERE r.name = 'returned'
     GROUP BY i.island, i.id >> 7, i.queue_id, r.slot, i.priority, i.attempt, i.kind, i.gates
    RETURNING queue_id)
  SELECT count(howdah.wake(b.queue_id)) INTO v_queues FROM (SELECT DISTINCT queue_id FROM back) b;
END $$;
-- howdah.release(lease_id, job_ids) -> setof bigint
-- Gives jobs of a lease back that were not started: they are ready again in their old place, the attempt
-- not counted. job_ids NULL: all that are left in the lease. Those that somebody has asked to cancel end as cancelled.
-- Returns the ids that the lease does not hold any more. Writes: lease, ticket, receipt. Locks: the lease row. Errors: HD012 the
-- transaction is not READ COMMITTED.
CREATE OR REPLACE FUNCTION howdah.release(lease_id bigint, job_ids bigint[] DEFAULT NULL)
RETURNS SETOF bigint LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
DECLARE
  v_ids      bigint[];
  v_attempts smallint[];
  v_unwanted bigint[];
  v_lease    howdah.lease;
BEGIN
  SELECT * INTO v_lease FROM howdah.lease l WHERE (l.id & 3) = (release.lease_id & 3) AND l.id = release.lease_id;
  SELECT array_agg(t.job_id), array_agg((t.attempt - 1)::smallint) INTO v_ids, v_attempts
    FROM howdah.take_from_lease(release.lease_id, release.job_ids) t;
  v_unwanted := ARRAY(SELECT c.job_id FROM howdah.cancel_request c WHERE c.job_id = ANY (v_ids) AND c.lease_id = release.lease_id);
  IF v_unwanted <> '{}' THEN
    PERFORM howdah.write_receipt(2, j.queue_id, v_lease.worker_id, v_lease.claimed_at, ARRAY[u.id], ARRAY[u.attempt])
       FROM unnest(v_ids, v_attempts) u(id, attempt), LATERAL howdah.find_job(u.id) j WHERE u.id = ANY (v_unwanted);
  END IF;
  PERFORM howdah.put_back(array_agg(u.id), array_agg(u.attempt)) FROM unnest(v_ids, v_attempts) u(id, attempt) WHERE u.id <> ALL (v_unwanted);
  RETURN QUERY SELECT unnest(v_ids);
END $$;
-- howdah.retry_delay(queue_id, kind, attempt, options, declared) -> interval
-- How long a job waits after its attempt-th attempt failed. Each setting is the job's, or else its kind's in
-- howdah.kind, or else what the worker's program declares for the kind, or else the queue's:
--   constant     base_ms
--   linear       base_ms * attempt
--   exponential  base_ms * factor^(attempt - 1)
-- no more than cap_ms (and 100 years), no less than floor_ms, and then spread by jitter (0.1: up to a tenth more or less), so that what
-- failed together does not come back together. Ten seconds in a queue that was deleted meanwhile: the keeper cancels
-- it there. Internal to howdah.fail.
CREATE OR REPLACE FUNCTION howdah.retry_delay(queue_id integer, kind text, attempt integer, options jsonb, declared jsonb) RETURNS interval
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_job jsonb := retry_delay.options -> 'retry';
  r     record;
BEGIN
  SELECT coalesce(v_job ->> 'policy', k.retry_policy, retry_delay.declared ->> 'policy', q.retry_policy) AS policy,
         coalesce((v_job ->> 'base_ms')::float8, k.retry_base_ms, (retry_delay.declared ->> 'base_ms')::float8, q.retry_base_ms) AS base_ms,
         coalesce((v_job ->> 'factor')::float8, k.retry_factor, (retry_delay.declared ->> 'factor')::float8, q.retry_factor) AS factor,
         coalesce((v_job ->> 'floor_ms')::float8, k.retry_floor_ms, (retry_delay.declared ->> 'floor_ms')::float8, q.retry_floor_ms) AS floor_ms,
         coalesce((v_job ->> 'cap_ms')::float8, k.retry_cap_ms, (retry_delay.declared ->> 'cap_ms')::float8, q.retry_cap_ms) AS cap_ms,
         coalesce((v_job ->> 'jitter')::float8, k.retry_jitter, (retry_delay.declared ->> 'jitter')::float8, q.retry_jitter) AS jitter
    INTO r FROM howdah.queue q LEFT JOIN howdah.kind k ON k.name = retry_delay.kind WHERE q.id = retry_delay.queue_id;
  -- What a worker declares is checked by nobody before: here at the latest no number of it may be one that cannot be read.
  RETURN coalesce(make_interval(secs => least(3155760000000, greatest(r.floor_ms, least(r.cap_ms,
      CASE r.policy WHEN 'constant' THEN r.base_ms WHEN 'linear' THEN r.base_ms * retry_delay.attempt
                    ELSE r.base_ms * power(least(r.factor, 100), least(retry_delay.attempt - 1, 60)) END)))
    * (1 + least(r.jitter, 1) * (2 * random() - 1)) / 1000), interval '10 seconds');
END $$;
-- howdah.settle_in(lease_id, job_id, outcome, run_ms) -> void
-- Ends one job inside the caller's transaction. Internal to complete_in and cancel_in; outcome: 1 completed, 2 cancelled.
-- Writes: receipt, and lease or settled. Locks: waits for whoever is settling the same job; then the lease row, shared: other
-- jobs of the lease do not wait, a rescue passes it by. Errors: HD010 the job is not this lease's any more.
CREATE OR REPLACE FUNCTION howdah.settle_in(lease_id bigint, job_id bigint, outcome integer, run_ms integer)
RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_lease   howdah.lease;
  v_attempt smallint;
BEGIN
  -- The key of the job first, and the lease afterwards: whoever waits for the key must not hold the lease, which its owner may
  -- have to delete.
  IF settle_in.lease_id IS NOT NULL AND settle_in.job_id IS NOT NULL THEN
    INSERT INTO howdah.settled (lease_id, job_id) VALUES (settle_in.lease_id, settle_in.job_id) ON CONFLICT DO NOTHING;
  END IF;
  IF FOUND THEN
    SELECT * INTO v_lease FROM howdah.lease l
     WHERE (l.id & 3) = (settle_in.lease_id & 3) AND l.id = settle_in.lease_id FOR KEY SHARE;
  END IF;
  IF FOUND THEN
    SELECT r.attempt INTO v_attempt FROM unnest(v_lease.first_ids, v_lease.counts, v_lease.attempts) r(first_id, jobs, attempt)
     WHERE settle_in.job_id >= r.first_id AND settle_in.job_id < r.first_id + r.jobs;
  END IF;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'job % is not held by lease % any more', settle_in.job_id, settle_in.lease_id
      USING ERRCODE = 'HD010', HINT = 'Roll back: another worker has the job, or it has ended.';
  END IF;
  PERFORM howdah.write_receipt(settle_in.outcome, v_lease.queue_id, v_lease.worker_id, v_lease.claimed_at,
    ARRAY[settle_in.job_id], ARRAY[v_attempt], ARRAY[settle_in.run_ms]);
  -- A lease of one job has nobody else to disturb, and a caller without a worker's flush needs it gone.
  IF v_lease.counts = '{1}' THEN
    DELETE FROM howdah.lease l WHERE (l.id & 3) = (v_lease.id & 3) AND l.id = v_lease.id;
    DELETE FROM howdah.settled s WHERE s.lease_id = v_lease.id;
    PERFORM howdah.free_slots(ARRAY[v_lease.id], lasting => true), howdah.wake_limited(ARRAY[v_lease.queue_id]);
  END IF;
END $$;
-- howdah.take_from_lease(lease_id, job_ids) -> (job_id, attempt)
-- The fence: takes jobs out of a lease, and returns those that were in it. Whatever is missing from the
-- answer is no longer the caller's, and nothing may be done about it. job_ids NULL: all that are left.
-- Internal; every way to settle a job but howdah.complete_leases and settle_in goes through here.
-- Writes: lease (shrinks, or deletes with the last job), and see free_slots. Locks: the lease row, against a rescue; waits for
-- transactions that are ending one of these jobs (complete_in), and not for those that end others of the lease.
-- Errors: HD012 the transaction is not READ COMMITTED.
CREATE OR REPLACE FUNCTION howdah.take_from_lease(lease_id bigint, job_ids bigint[] DEFAULT NULL)
RETURNS TABLE (job_id bigint, attempt smallint) LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_lease  howdah.lease;
  v_firsts bigint[] := '{}';
  v_counts smallint[] := '{}';
  v_attempts smallint[] := '{}';
BEGIN
  PERFORM howdah.must_read_committed();
  -- With a NULL among them no other id would be seen to be left: `id <> ALL (...)` is not true then.
  take_from_lease.job_ids := array_remove(take_from_lease.job_ids, NULL);
  -- Who gets this lock is alone with the lease.
  SELECT * INTO v_lease FROM howdah.lease l
   WHERE (l.id & 3) = (take_from_lease.lease_id & 3) AND l.id = take_from_lease.lease_id FOR UPDATE SKIP LOCKED;
  IF NOT FOUND THEN
    -- From here on nobody begins to end these jobs either: see settle_in.
    PERFORM howdah.await_settlers(take_from_lease.lease_id, coalesce(take_from_lease.job_ids, ARRAY(
      SELECT r.first_id + g FROM howdah.lease l, unnest(l.first_ids, l.counts) r(first_id, jobs), generate_series(0, r.jobs - 1) g
       WHERE (l.id & 3) = (take_from_lease.lease_id & 3) AND l.id = take_from_lease.lease_id)));
    SELECT * INTO v_lease FROM howdah.lease l
     WHERE (l.id & 3) = (take_from_lease.lease_id & 3) AND l.id = take_from_lease.lease_id FOR NO KEY UPDATE;
  END IF;
  IF NOT FOUND THEN
    RETURN;
  END IF;
  IF take_from_lease.job_ids IS NOT NULL THEN
    -- In the order of the claim, which is that of the jobs' run times when the rest is completed as a whole.
    SELECT coalesce(array_agg(k.first_id ORDER BY k.n, k.first_id), '{}'), coalesce(array_agg(k.jobs ORDER BY k.n, k.first_id), '{}'),
           coalesce(array_agg(k.attempt ORDER BY k.n, k.first_id), '{}')
      INTO v_firsts, v_counts, v_attempts
      FROM (SELECT h.n, min(h.id) AS first_id, count(*)::smallint AS jobs, h.attempt
              FROM (SELECT e.n, e.id, e.attempt, e.id - row_number() OVER (PARTITION BY e.n ORDER BY e.id) AS island
                      FROM unnest(v_lease.first_ids, v_lease.counts, v_lease.attempts) WITH ORDINALITY r(first_id, jobs, attempt, n),
                           LATERAL (SELECT r.n, r.first_id + g AS id, r.attempt FROM generate_series(0, r.jobs - 1) g) e
                     WHERE e.id <> ALL (take_from_lease.job_ids)) h
             GROUP BY h.n, h.island, h.attempt) k;
  END IF;
  IF v_firsts = '{}' THEN
    DELETE FROM howdah.lease l WHERE (l.id & 3) = (v_lease.id & 3) AND l.id = v_lease.id;
  ELSE
    UPDATE howdah.lease l SET first_ids = v_firsts, counts = v_counts, attempts = v_attempts
     WHERE (l.id & 3) = (v_lease.id & 3) AND l.id = v_lease.id;
  END IF;
  RETURN QUERY
    SELECT r.first_id + g, r.attempt
      FROM unnest(v_lease.first_ids, v_lease.counts, v_lease.attempts) r(first_id, jobs, attempt), generate_series(0, r.jobs - 1) g
     WHERE (take_from_lease.job_ids IS NULL OR r.first_id + g = ANY (take_from_lease.job_ids))
       AND NOT EXISTS (SELECT FROM howdah.settled s WHERE s.lease_id = v_lease.id AND s.job_id = r.first_id + g);
  PERFORM howdah.free_slots(ARRAY[v_lease.id], take_from_lease.job_ids), howdah.wake_limited(ARRAY[v_lease.queue_id]);
  DELETE FROM howdah.settled s WHERE s.lease_id = v_lease.id AND (take_from_lease.job_ids IS NULL OR s.job_id = ANY (take_from_lease.job_ids));
END $$;
-- howdah.write_receipt(outcome, queue_id, worker_id, claimed_at, job_ids, attempts, run_ms) -> void
-- Records that jobs ended. The arrays run in parallel and must be sorted by id; run_ms may be NULL.
-- outcome: 1 completed, 2 cancelled, 3 expired. Writes: receipt, and see howdah.ended. Internal.
-- In PL/pgSQL, which keeps its plans: a function in SQL is planned again at every call.
CREATE OR REPLACE FUNCTION howdah.write_receipt(outcome integer, queue_id integer, worker_id bigint, claimed_at timestamptz,
  job_ids bigint[], attempts smallint[], run_ms integer[] DEFAULT NULL)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_firsts bigint[];
  v_counts smallint[];
BEGIN
  IF cardinality(write_receipt.job_ids) = 1 THEN
    INSERT INTO howdah.receipt (slot, outcome, queue_id, worker_id, at, claimed_at, span, first_ids, counts, attempts, run_ms)
    SELECT g.slot, write_receipt.outcome, write_receipt.queue_id, write_receipt.worker_id, howdah.now(), write_receipt.claimed_at,
           int8range(write_receipt.job_ids[1], write_receipt.job_ids[1] + 1), write_receipt.job_ids, '{1}',
           write_receipt.attempts, write_receipt.run_ms
      FROM howdah.ring g WHERE g.name = 'history';
    PERFORM howdah.ended(write_receipt.job_ids, '{1}', failed => write_receipt.outcome <> 1);
    RETURN;
  END IF;
  INSERT INTO howdah.receipt (slot, outcome, queue_id, worker_id, at, claimed_at, span, first_ids, counts, attempts, run_ms)
  SELECT g.slot, write_receipt.outcome, write_receipt.queue_id, write_receipt.worker_id, howdah.now(), write_receipt.claimed_at,
         int8range(min(k.first_id), max(k.first_id + k.jobs)),
         array_agg(k.first_id ORDER BY k.first_id), array_agg(k.jobs ORDER BY k.first_id), array_agg(k.attempt ORDER BY k.first_id),
         write_receipt.run_ms
    FROM (SELECT min(i.id) AS first_id, count(*)::smallint AS jobs, i.attempt
            FROM (SELECT u.id, u.attempt, u.id - row_number() OVER (PARTITION BY u.attempt ORDER BY u.id) AS island
                    FROM unnest(write_receipt.job_ids, write_receipt.attempts) u(id, attempt)) i
           GROUP BY i.island, i.id >> 7, i.attempt) k, howdah.ring g
   WHERE g.name = 'history' GROUP BY g.slot
  RETURNING receipt.first_ids, receipt.counts INTO v_firsts, v_counts;
  PERFORM howdah.ended(v_firsts, v_counts, failed => write_receipt.outcome <> 1);
END $$;
-- howdah.deliver(name, job_id, payload, also_ready) -> integer
-- Gives a signal to the jobs that wait for it, and makes those ready that were set aside for it. Returns how many could
-- not be given it now: somebody has them locked, or they are on their way from a worker to where they wait. Internal.
--   job_id      only this job; 0: all
--   also_ready  also to those that are ready (somebody has sent them on), which locks tickets: for short transactions
-- Writes: step, deferred, ticket. Locks: rows of jobs that wait, passing by what others have locked; never waits.
CREATE OR REPLACE FUNCTION howdah.deliver(name text, job_id bigint, payload jsonb, also_ready boolean DEFAULT false) RETURNS integer
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_left     integer := 0;
  v_ids      bigint[] := '{}';
  v_attempts smallint[] := '{}';
  v_job      bigint;
  d          howdah.deferred;
BEGIN
  FOR v_job IN SELECT s.job_id FROM howdah.step s WHERE s.name = deliver.name AND s.kind = 'signal' AND s.state = 'waiting'
                  AND (deliver.job_id = 0 OR s.job_id = deliver.job_id) ORDER BY s.job_id LOOP
    -- Whoever has the row in which a job waits may write to its steps.
    d := howdah.lock_deferred(v_job, true);
    IF d.jobs = 1 THEN
      -- One that is scheduled for something else, such as a retry, or waits for other jobs, is left so.
      IF d.gate IS NULL AND EXISTS (SELECT FROM howdah.step s WHERE s.job_id = v_job AND s.state = 'waiting' AND s.wakes_at = d.due_at) THEN
        DELETE FROM howdah.deferred k WHERE k.first_id = v_job;
        v_ids := v_ids || v_job;
        v_attempts := v_attempts || d.attempt;
      END IF;
    ELSIF NOT deliver.also_ready OR (SELECT w.state IS NULL FROM howdah.single_out(v_job, true) w) THEN
      v_left := v_left + 1;
      CONTINUE;
    END IF;
    UPDATE howdah.step s SET state = 'done', result = deliver.payload, at = howdah.now()
     WHERE s.job_id = v_job AND s.name = deliver.name AND s.kind = 'signal' AND s.state = 'waiting';
  END LOOP;
  IF v_ids <> '{}' THEN
    PERFORM howdah.put_back(v_ids, v_attempts);
  END IF;
  RETURN v_left;
END $$;
-- howdah.deliver_signals(most) -> integer
-- The keeper's part in signals: gives those to waiting jobs that met them in mid-air. A transaction that sends one may be
-- open for long and see none of those who begin to wait meanwhile, nor they it. So each signal is looked at again after
-- its commit, until all that waited then have it. Who begins to wait after that finds it by itself.
-- Returns how many signals were looked at, at most `most`. Internal to keep.
-- Writes: signal, and see deliver. Locks: rows of signal, skipping what others have. Errors: none.
-- Cost: one probe of an empty index while there is nothing new.
CREATE OR REPLACE FUNCTION howdah.deliver_signals(most integer DEFAULT 1000) RETURNS integer
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_looked integer := 0;
  g        record;
BEGIN
  FOR g IN SELECT i.name, i.job_id, i.payload FROM howdah.signal i WHERE NOT i.delivered AND i.expires_at > howdah.now()
            ORDER BY i.sent_at LIMIT deliver_signals.most FOR UPDATE SKIP LOCKED LOOP
    v_looked := v_looked + 1;
    IF howdah.deliver(g.name, g.job_id, g.payload, true) = 0 THEN
      UPDATE howdah.signal i SET delivered = true WHERE i.name = g.name AND i.job_id = g.job_id;
    END IF;
  END LOOP;
  RETURN v_looked;
END $$;
-- howdah.find_signal(name, job_id) -> jsonb
-- The payload of the signal that a job hears under a name: one that was sent to it alone, or else to everybody; NULL: there
-- is none (a payload is never NULL, it may be JSON null). Internal. Reads: signal. Cost: one index probe.
CREATE OR REPLACE FUNCTION howdah.find_signal(name text, job_id bigint) RETURNS jsonb
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
BEGIN
  RETURN (SELECT g.payload FROM howdah.signal g
           WHERE g.name = find_signal.name AND g.job_id IN (0, find_signal.job_id) AND g.expires_at > howdah.now()
           ORDER BY g.job_id DESC LIMIT 1);
END $$;
-- howdah.send_signal(name, payload, job_id, keep_for) -> text
-- Sends a signal, in the caller's transaction: jobs that wait for it (howdah.await_signal) get the payload, and are ready
-- when that commits. Whoever begins to wait later finds it, for as long as it is kept.
--   name      what it is about, such as 'order 42 paid': 1 to 128 bytes
--   payload   JSON of at most 256 KiB as text
--   job_id    only this job hears it; NULL: every job that waits for the name
--   keep_for  how long it is kept, 0 to 1000 years; NULL: as the setting signal_retention says (7 days)
-- The first one counts: while a signal of the name (and job) is kept, another changes nothing; see howdah.withdraw_signal.
-- Returns 'sent', or 'already sent'; NULL: there is no such job.
-- Writes: signal; and step, deferred, ticket for each job that waits. Locks: their rows, skipping what others have locked;
-- another transaction that sends the same signal waits for the end of this one.
-- Errors: HD002 invalid argument.
-- Cost: a few writes for each job that waits.
CREATE OR REPLACE FUNCTION howdah.send_signal(name text, payload jsonb DEFAULT 'null', job_id bigint DEFAULT NULL, keep_for interval DEFAULT NULL)
RETURNS text LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_now timestamptz := howdah.now();
BEGIN
  PERFORM howdah.check_step(send_signal.name, send_signal.payload, 'payload');
  IF send_signal.payload IS NULL THEN
    PERFORM howdah.option_refused('payload', 'must be JSON, not NULL: leave it out for a signal that says nothing more');
  END IF;
  IF send_signal.keep_for NOT BETWEEN '0' AND '1000 years' THEN
    PERFORM howdah.option_refused('keep_for', 'must be 0 to 1000 years');
  END IF;
  IF send_signal.job_id IS NOT NULL AND NOT EXISTS (SELECT FROM howdah.find_job(send_signal.job_id)) THEN
    RETURN NULL;
  END IF;
  INSERT INTO howdah.signal AS g (name, job_id, sent_at, expires_at, payload)
    VALUES (send_signal.name, coalesce(send_signal.job_id, 0), v_now,
            v_now + coalesce(send_signal.keep_for, (SELECT c.signal_retention FROM howdah.config c)), send_signal.payload)
  ON CONFLICT (name, job_id) DO UPDATE
    SET sent_at = excluded.sent_at, expires_at = excluded.expires_at, payload = excluded.payload, delivered = false
    WHERE g.expires_at <= excluded.sent_at;
  IF NOT FOUND THEN
    RETURN 'already sent';
  END IF;
  -- A snapshot that is older than the locks does not see who waits now. The keeper does, once this is committed.
  IF current_setting('transaction_isolation') LIKE 'read %' THEN
    PERFORM howdah.deliver(send_signal.name, coalesce(send_signal.job_id, 0), send_signal.payload);
  END IF;
  RETURN 'sent';
END $$;
-- howdah.withdraw_signal(name, job_id) -> boolean
-- Takes a signal back, so that nobody finds it any more and another one of the name can be sent. Jobs that have it keep it.
--   job_id  as it was sent to; NULL: to everybody
-- Returns whether there was one. Writes: signal. Locks: its row. Errors: none.
CREATE OR REPLACE FUNCTION howdah.withdraw_signal(name text, job_id bigint DEFAULT NULL) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_expires timestamptz;
BEGIN
  DELETE FROM howdah.signal g WHERE g.name = withdraw_signal.name AND g.job_id = coalesce(withdraw_signal.job_id, 0)
    RETURNING g.expires_at INTO v_expires;
  RETURN coalesce(v_expires > howdah.now(), false);
END $$;
-- howdah.add_counts(a, b) -> bigint[]
-- Two arrays of counts, added place by place; what one of them does not have is 0. NULL is an array of nothing.
-- Internal to fold_stats. Errors: none.
CREATE OR REPLACE FUNCTION howdah.add_counts(a bigint[], b bigint[]) RETURNS bigint[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
  SELECT coalesce(array_agg(coalesce(u.x, 0) + coalesce(u.y, 0) ORDER BY u.place), '{}')
    FROM unnest(add_counts.a, add_counts.b) WITH ORDINALITY u(x, y, place)
$$;
-- howdah.depths(cap) -> (queue, ready, running, scheduled, blocked, dead, more, oldest_ready_at, paused)
-- What is in each queue, as the view howdah.queues says, but counted only up to a bound, so that it costs the same with ten jobs and
-- with ten million.
--   cap   how many rows of each queue and room are looked at, 1 to 1,000,000; a row of ready or scheduled jobs stands for up to 128
--   more  true: there is more than that somewhere, and counts are at least so much
--   oldest_ready_at   when the oldest of the jobs that are ready was enqueued; of those that wait for their turn, the oldest of the rows looked at
-- Reads: queue, ticket, deferred, lease, dead. Locks: none. Errors: HD002 invalid argument.
CREATE OR REPLACE FUNCTION howdah.depths(cap integer DEFAULT 10000)
RETURNS TABLE (queue text, ready bigint, running bigint, scheduled bigint, blocked bigint, dead bigint, more boolean,
  oldest_ready_at timestamptz, paused boolean)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off SET jit = off AS $$
#variable_conflict use_column
BEGIN
  IF depths.cap IS NULL OR depths.cap NOT BETWEEN 1 AND 1000000 THEN
    PERFORM howdah.option_refused('cap', 'must be 1 to 1000000');
  END IF;
  RETURN QUERY
    SELECT q.name::text, coalesce(t.jobs, 0) + coalesce(d.in_turn, 0), coalesce(l.running, 0), coalesce(d.scheduled, 0), coalesce(d.blocked, 0),
           x.n, t.n > depths.cap OR d.n > depths.cap OR x.n > depths.cap, o.at, q.paused_at IS NOT NULL
      FROM howdah.queue q
     CROSS JOIN LATERAL (SELECT sum(k.jobs)::bigint AS jobs, count(*) AS n FROM (
         SELECT k.jobs FROM howdah.ticket k WHERE k.queue_id = q.id LIMIT depths.cap + 1) k) t
     CROSS JOIN LATERAL (SELECT count(*) AS n, sum(k.jobs) FILTER (WHERE k.gate IS NULL)::bigint AS scheduled,
              sum(k.jobs) FILTER (WHERE k.gate ^@ 'fair:')::bigint AS in_turn, min(k.first_id) FILTER (WHERE k.gate ^@ 'fair:') AS first_in_turn,
              sum(k.jobs) FILTER (WHERE NOT k.gate ^@ 'fair:')::bigint AS blocked
         FROM (SELECT k.jobs, k.gate, k.first_id FROM howdah.deferred k WHERE k.queue_id = q.id LIMIT depths.cap + 1) k) d
     CROSS JOIN LATERAL (SELECT count(*) AS n FROM (SELECT FROM howdah.dead k WHERE k.queue_id = q.id LIMIT depths.cap + 1) k) x
      LEFT JOIN LATERAL (SELECT min(j.enqueued_at) AS at FROM (
           SELECT t.first_id FROM generate_series(0, 9) p,
             LATERAL (SELECT k.first_id FROM howdah.ticket k WHERE k.queue_id = q.id AND k.priority = p ORDER BY k.first_id LIMIT 1) t
           UNION ALL
           SELECT d.first_in_turn) f, LATERAL howdah.find_job(f.first_id) j) o ON true
      LEFT JOIN (SELECT e.queue_id, sum((SELECT sum(c) FROM unnest(e.counts) c) - (SELECT count(*) FROM howdah.settled s WHERE s.lease_id = e.id))::bigint AS running
                   FROM howdah.lease e GROUP BY 1) l ON l.queue_id = q.id
     ORDER BY 1;
END $$;
-- howdah.fold_stats(most) -> text
-- Takes what workers have reported within the oldest hour of which something is left, at most `most` rows, and adds it to the statistics
-- of its minute, that hour, its day and since ever: a row of each is written anew for a queue and a kind, however many workers have
-- reported. What is of a queue that is gone is dropped. Returns what it did if there may be more; else NULL. Internal to rotate.
-- Writes: stat_report, stat_minute, stat_hour, stat_day, stat_total. Locks: rows that nobody else has. Errors: none.
CREATE OR REPLACE FUNCTION howdah.fold_stats(most integer DEFAULT 10000) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET jit = off AS $$
DECLARE
  v_hour timestamptz := (SELECT date_bin('1 hour', min(r.at), '2000-01-01 00:00:00Z') FROM howdah.stat_report r);
  v_rows bigint;
BEGIN
  IF v_hour IS NULL THEN
    RETURN NULL;
  END IF;
  WITH picked AS (
    SELECT r.tableoid, r.ctid FROM howdah.stat_report r
     WHERE r.at >= v_hour AND r.at < v_hour + interval '1 hour' LIMIT fold_stats.most FOR UPDATE SKIP LOCKED
  ), gone AS (
    DELETE FROM howdah.stat_report r USING picked p WHERE r.tableoid = p.tableoid AND r.ctid = p.ctid RETURNING r.*
  ), known AS (
    SELECT g.* FROM gone g JOIN howdah.queue q ON q.id = g.queue_id
  ), minute AS (
    INSERT INTO howdah.stat_minute AS s (at, queue_id, kind, completed, retried, snoozed, dead, cancelled, released, lost, run_ms, wait_ms)
    SELECT date_bin('1 minute', g.at, '2000-01-01 00:00:00Z'), g.queue_id, g.kind,
           sum(g.completed)::bigint AS completed, sum(g.retried)::bigint AS retried, sum(g.snoozed)::bigint AS snoozed,
           sum(g.dead)::bigint AS dead, sum(g.cancelled)::bigint AS cancelled, sum(g.released)::bigint AS released,
           sum(g.lost)::bigint AS lost, sum(g.run_ms)::bigint AS run_ms, sum(g.wait_ms)::bigint AS wait_ms
      FROM known g GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
      ON CONFLICT (at, queue_id, kind) DO UPDATE SET
        completed = s.completed + excluded.completed, retried = s.retried + excluded.retried, snoozed = s.snoozed + excluded.snoozed,
        dead = s.dead + excluded.dead, cancelled = s.cancelled + excluded.cancelled, released = s.released + excluded.released,
        lost = s.lost + excluded.lost, run_ms = s.run_ms + excluded.run_ms, wait_ms = s.wait_ms + excluded.wait_ms
  ), spread AS (
    SELECT p.queue_id, p.kind, array_agg(p.run ORDER BY p.place) AS runs, array_agg(p.wait ORDER BY p.place) AS waits
      FROM (SELECT g.queue_id, g.kind, u.place, sum(coalesce(u.run, 0))::bigint AS run, sum(coalesce(u.wait, 0))::bigint AS wait
              FROM known g, unnest(g.runs, g.waits) WITH ORDINALITY u(run, wait, place) GROUP BY 1, 2, 3) p
     GROUP BY 1, 2
  ), whole AS (
    SELECT c.*, coalesce(p.runs, '{}') AS runs, coalesce(p.waits, '{}') AS waits
      FROM (SELECT g.queue_id, g.kind,
                   sum(g.completed)::bigint AS completed, sum(g.retried)::bigint AS retried, sum(g.snoozed)::bigint AS snoozed,
                   sum(g.dead)::bigint AS dead, sum(g.cancelled)::bigint AS cancelled, sum(g.released)::bigint AS released,
                   sum(g.lost)::bigint AS lost, sum(g.run_ms)::bigint AS run_ms, sum(g.wait_ms)::bigint AS wait_ms
              FROM known g GROUP BY 1, 2) c
      LEFT JOIN spread p ON p.queue_id = c.queue_id AND p.kind = c.kind
  ), hour AS (
    INSERT INTO howdah.stat_hour AS s (at, queue_id, kind, completed, retried, snoozed, dead, cancelled, released, lost, run_ms, wait_ms, runs, waits)
    SELECT v_hour, w.queue_id, w.kind, w.completed, w.retried, w.snoozed, w.dead, w.cancelled, w.released, w.lost, w.run_ms, w.wait_ms, w.runs, w.waits
      FROM whole w ORDER BY 2, 3
      ON CONFLICT (at, queue_id, kind) DO UPDATE SET
        completed = s.completed + excluded.completed, retried = s.retried + excluded.retried, snoozed = s.snoozed + excluded.snoozed,
        dead = s.dead + excluded.dead, cancelled = s.cancelled + excluded.cancelled, released = s.released + excluded.released,
        lost = s.lost + excluded.lost, run_ms = s.run_ms + excluded.run_ms, wait_ms = s.wait_ms + excluded.wait_ms,
        runs = howdah.add_counts(s.runs, excluded.runs), waits = howdah.add_counts(s.waits, excluded.waits)
  ), day AS (
    INSERT INTO howdah.stat_day AS s (at, queue_id, kind, completed, retried, snoozed, dead, cancelled, released, lost, run_ms, wait_ms, runs, waits)
    SELECT date_bin('1 day', v_hour, '2000-01-01 00:00:00Z'), w.queue_id, w.kind, w.completed, w.retried, w.snoozed, w.dead, w.cancelled,
           w.released, w.lost, w.run_ms, w.wait_ms, w.runs, w.waits
      FROM whole w ORDER BY 2, 3
      ON CONFLICT (at, queue_id, kind) DO UPDATE SET
        completed = s.completed + excluded.completed, retried = s.retried + excluded.retried, snoozed = s.snoozed + excluded.snoozed,
        dead = s.dead + excluded.dead, cancelled = s.cancelled + excluded.cancelled, released = s.released + excluded.released,
        lost = s.lost + excluded.lost, run_ms = s.run_ms + excluded.run_ms, wait_ms = s.wait_ms + excluded.wait_ms,
        runs = howdah.add_counts(s.runs, excluded.runs), waits = howdah.add_counts(s.waits, excluded.waits)
  ), total AS (
    INSERT INTO howdah.stat_total AS s (queue_id, kind, at, completed, retried, snoozed, dead, cancelled, released, lost, run_ms, wait_ms, runs, waits)
    SELECT w.queue_id, w.kind, v_hour, w.completed, w.retried, w.snoozed, w.dead, w.cancelled, w.released, w.lost, w.run_ms, w.wait_ms, w.runs, w.waits
      FROM whole w ORDER BY 1, 2
      ON CONFLICT (queue_id, kind) DO UPDATE SET
        completed = s.completed + excluded.completed, retried = s.retried + excluded.retried, snoozed = s.snoozed + excluded.snoozed,
        dead = s.dead + excluded.dead, cancelled = s.cancelled + excluded.cancelled, released = s.released + excluded.released,
        lost = s.lost + excluded.lost, run_ms = s.run_ms + excluded.run_ms, wait_ms = s.wait_ms + excluded.wait_ms,
        runs = howdah.add_counts(s.runs, excluded.runs), waits = howdah.add_counts(s.waits, excluded.waits)
  )
  SELECT count(*) INTO v_rows FROM gone;
  RETURN CASE WHEN v_rows >= fold_stats.most THEN format('added up %s reports', v_rows) END;
END $$;
-- howdah.minutes(since, of_queue) -> (at, queue, completed, retried, dead, cancelled, run_ms, unfinished, more)
-- What each minute brought to each queue: how attempts ended, and how many jobs were unfinished at some time of it.
--   since       how far back, up to a day
--   of_queue    only this one; NULL: all
--   unfinished  NULL: nobody looked. more: there were more than were counted
-- A minute in which nothing was reported and nobody looked is left out. Reads: stat_minute, stat_depth, queue. Locks: none.
-- Errors: HD002 invalid argument.
CREATE OR REPLACE FUNCTION howdah.minutes(since interval DEFAULT '1 hour', of_queue text DEFAULT NULL)
RETURNS TABLE (at timestamptz, queue text, completed bigint, retried bigint, dead bigint, cancelled bigint, run_ms bigint,
  unfinished bigint, more boolean)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_queue integer := (SELECT q.id FROM howdah.queue q WHERE q.name = minutes.of_queue);
  v_from  timestamptz;
BEGIN
  IF minutes.since IS NULL OR minutes.since NOT BETWEEN '0' AND '1 day' THEN
    RAISE EXCEPTION 'since must be 0 to 1 day, not %', coalesce(minutes.since::text, 'NULL') USING ERRCODE = 'HD002', COLUMN = 'since';
  ELSIF minutes.of_queue IS NOT NULL AND v_queue IS NULL THEN
    PERFORM howdah.unknown_queue(minutes.of_queue);
  END IF;
  v_from := date_bin('1 minute', howdah.now() - minutes.since, '2000-01-01 00:00:00Z');
  RETURN QUERY
    SELECT m.at, q.name::text, coalesce(m.completed, 0), coalesce(m.retried, 0), coalesce(m.dead, 0), coalesce(m.cancelled, 0),
           coalesce(m.run_ms, 0), m.unfinished, coalesce(m.more, false)
      FROM (SELECT coalesce(s.at, d.at) AS at, coalesce(s.queue_id, d.queue_id) AS queue_id, s.completed, s.retried, s.dead,
                   s.cancelled, s.run_ms, d.unfinished, d.more
              FROM (SELECT e.at, e.queue_id, sum(e.completed)::bigint AS completed, sum(e.retried)::bigint AS retried,
                           sum(e.dead)::bigint AS dead, sum(e.cancelled)::bigint AS cancelled, sum(e.run_ms)::bigint AS run_ms
                      FROM howdah.stat_minute e WHERE e.at >= v_from AND (minutes.of_queue IS NULL OR e.queue_id = v_queue) GROUP BY 1, 2) s
              FULL JOIN (SELECT e.at, e.queue_id, e.unfinished, e.more
                           FROM howdah.stat_depth e WHERE e.at >= v_from AND (minutes.of_queue IS NULL OR e.queue_id = v_queue)) d
                     ON d.at = s.at AND d.queue_id = s.queue_id) m
      JOIN howdah.queue q ON q.id = m.queue_id
     ORDER BY 2, 1;
END $$;
-- howdah.note_depths() -> text
-- Once a minute: notes what is in each queue, as far as howdah.depths counts. Above 1000 queues it notes nothing, and no rate of
-- what comes in is known. Returns NULL: there is never more to do. Internal to rotate. Writes: stat_depth. Errors: none.
CREATE OR REPLACE FUNCTION howdah.note_depths() RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_now    timestamptz := howdah.now();
  v_minute timestamptz := date_bin('1 minute', v_now, '2000-01-01 00:00:00Z');
BEGIN
  IF NOT EXISTS (SELECT FROM howdah.stat_depth s WHERE s.at >= v_minute) AND (SELECT count(*) FROM howdah.queue) <= 1000 THEN
    INSERT INTO howdah.stat_depth (at, queue_id, seen_at, unfinished, more)
    SELECT v_minute, q.id, v_now, d.ready + d.running + d.scheduled + d.blocked, d.more
      FROM howdah.depths() d JOIN howdah.queue q ON q.name = d.queue
      ON CONFLICT DO NOTHING;
  END IF;
  RETURN NULL;
END $$;
-- howdah.percentile(counts, fraction) -> double precision
-- How many milliseconds at most this fraction (0 to 1) took, of what is counted as runs and waits of howdah.stat_hour are.
-- Between the two bounds of a place it is taken to be evenly spread, so that it is off by a factor of two at most. NULL: nothing is counted.
-- Errors: none.
CREATE OR REPLACE FUNCTION howdah.percentile(counts bigint[], fraction double precision) RETURNS double precision
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_all    bigint := 0;
  v_before bigint := 0;
  v_lower  double precision := 0;
  v_upper  double precision := 1;
  n        bigint;
BEGIN
  FOREACH n IN ARRAY coalesce(percentile.counts, '{}') LOOP
    v_all := v_all + n;
  END LOOP;
  FOREACH n IN ARRAY coalesce(percentile.counts, '{}') LOOP
    IF n > 0 AND v_before + n >= percentile.fraction * v_all THEN
      RETURN v_lower + (v_upper - v_lower) * greatest(0, percentile.fraction * v_all - v_before) / n;
    END IF;
    v_before := v_before + n;
    v_lower := v_upper;
    v_upper := v_upper * 2;
  END LOOP;
  RETURN NULL;
END $$;
-- howdah.prune_stats(most) -> text
-- Removes statistics that are old: minutes and depths of more than a day (three hours, where there are more than a million rows),
-- hours and days of more than config.stats_retention; at most `most` rows of each. Returns what it did; NULL: nothing.
-- Internal to rotate. Writes: stat_minute, stat_hour, stat_day, stat_depth. Locks: those rows. Errors: none.
CREATE OR REPLACE FUNCTION howdah.prune_stats(most integer) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
DECLARE
  v_now     timestamptz := howdah.now();
  v_minutes timestamptz;
  v_old     bigint;
  v_depths  bigint;
  v_hours   bigint;
  v_days    bigint;
  v_kept    interval := (SELECT c.stats_retention FROM howdah.config c);
BEGIN
  v_minutes := v_now - CASE WHEN (SELECT c.reltuples FROM pg_class c WHERE c.oid = 'howdah.stat_minute'::regclass) > 1e6
    THEN interval '3 hours' ELSE interval '1 day' END;
  DELETE FROM howdah.stat_minute s WHERE s.ctid = ANY (ARRAY(
    SELECT o.ctid FROM howdah.stat_minute o WHERE o.at < v_minutes ORDER BY o.at LIMIT prune_stats.most FOR UPDATE SKIP LOCKED));
  GET DIAGNOSTICS v_old = ROW_COUNT;
  DELETE FROM howdah.stat_depth s WHERE s.ctid = ANY (ARRAY(
    SELECT o.ctid FROM howdah.stat_depth o WHERE o.at < v_minutes ORDER BY o.at LIMIT prune_stats.most FOR UPDATE SKIP LOCKED));
  GET DIAGNOSTICS v_depths = ROW_COUNT;
  DELETE FROM howdah.stat_hour s WHERE s.ctid = ANY (ARRAY(
    SELECT o.ctid FROM howdah.stat_hour o WHERE o.at < v_now - v_kept ORDER BY o.at LIMIT prune_stats.most FOR UPDATE SKIP LOCKED));
  GET DIAGNOSTICS v_hours = ROW_COUNT;
  -- A day goes when its last hour does.
  DELETE FROM howdah.stat_day s WHERE s.ctid = ANY (ARRAY(
    SELECT o.ctid FROM howdah.stat_day o WHERE o.at < v_now - v_kept - interval '1 day' ORDER BY o.at LIMIT prune_stats.most FOR UPDATE SKIP LOCKED));
  GET DIAGNOSTICS v_days = ROW_COUNT;
  -- A minute's worth goes every minute: that is not worth another look at once.
  RETURN CASE WHEN prune_stats.most = ANY (ARRAY[v_old, v_depths, v_hours, v_days])
    THEN format('pruned %s minutes, %s depths and %s hours of statistics', v_old, v_depths, v_hours) END;
END $$;
-- howdah.rates(since) -> (queue, in_per_minute, out_per_minute, failed_per_minute)
-- How fast each queue was filled and emptied lately.
--   since             over how long, a minute to a day
--   in_per_minute     jobs that came: those that ended, and by how much the queue has grown. What was cancelled while it waited, or has
--                     expired, is missing. NULL: not known, since the queue was looked at less than twice or is too large to be counted
--   out_per_minute    jobs that have completed, are dead, or were cancelled while they ran
--   failed_per_minute attempts that have failed
-- Reads: stat_minute, stat_depth, queue. Locks: none. Errors: HD002 invalid argument.
CREATE OR REPLACE FUNCTION howdah.rates(since interval DEFAULT '10 minutes')
RETURNS TABLE (queue text, in_per_minute double precision, out_per_minute double precision, failed_per_minute double precision)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_now  timestamptz := howdah.now();
  v_from timestamptz;
BEGIN
  IF rates.since IS NULL OR rates.since NOT BETWEEN '1 minute' AND '1 day' THEN
    RAISE EXCEPTION 'since must be 1 minute to 1 day, not %', coalesce(rates.since::text, 'NULL') USING ERRCODE = 'HD002', COLUMN = 'since';
  END IF;
  v_from := date_bin('1 minute', v_now - rates.since, '2000-01-01 00:00:00Z');
  RETURN QUERY
    WITH minute AS (
      SELECT s.at, s.queue_id, sum(s.completed + s.dead + s.cancelled) AS ended, sum(s.retried + s.dead) AS failed
        FROM howdah.stat_minute s WHERE s.at >= v_from GROUP BY 1, 2
    ), flow AS (
      SELECT m.queue_id, sum(m.ended) AS ended, sum(m.failed) AS failed FROM minute m GROUP BY 1
    ), depth AS (
      SELECT d.queue_id, min(d.at) AS first_at, max(d.at) AS last_at, extract(epoch FROM max(d.seen_at) - min(d.seen_at)) / 60 AS minutes,
             (array_agg(d.unfinished ORDER BY d.at DESC))[1] - (array_agg(d.unfinished ORDER BY d.at))[1] AS grown
        FROM howdah.stat_depth d WHERE d.at >= v_from GROUP BY 1 HAVING NOT bool_or(d.more) AND min(d.at) < max(d.at)
    ), came AS (
      SELECT d.queue_id, (d.grown + coalesce(sum(m.ended), 0)) / d.minutes AS per_minute
        FROM depth d LEFT JOIN minute m ON m.queue_id = d.queue_id AND m.at >= d.first_at AND m.at < d.last_at
       GROUP BY d.queue_id, d.grown, d.minutes
    )
    SELECT q.name::text, CASE WHEN c.per_minute IS NOT NULL THEN greatest(c.per_minute, 0)::double precision END, (coalesce(f.ended, 0) / x.minutes)::double precision,
           (coalesce(f.failed, 0) / x.minutes)::double precision
      FROM howdah.queue q
     CROSS JOIN (SELECT greatest(extract(epoch FROM v_now - v_from) / 60, 1) AS minutes) x
      LEFT JOIN flow f ON f.queue_id = q.id
      LEFT JOIN came c ON c.queue_id = q.id
     ORDER BY 1;
END $$;
-- howdah.report_stats(rows) -> integer
-- Takes down what a worker has counted; the keeper adds it to the statistics within some seconds, see fold_stats.
--   rows  a JSON array of objects, one for each queue and kind, at most 1000 of them: queue_id, kind, and counts that may be left
--         out: completed, retried, snoozed, dead, cancelled, released, lost, run_ms, wait_ms, and the arrays runs and waits (see
--         howdah.stat_hour)
-- Returns how many rows it took: what is of a queue that is gone is left out. Nobody checks what is reported: it decides nothing.
-- Writes: stat_report. Locks: none. Errors: HD002 invalid argument.
CREATE OR REPLACE FUNCTION howdah.report_stats(rows jsonb) RETURNS integer
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_now   timestamptz := howdah.now();
  v_slot  smallint := (SELECT r.slot FROM howdah.ring r WHERE r.name = 'stat_report');
  v_taken integer;
BEGIN
  IF report_stats.rows IS NULL OR jsonb_typeof(report_stats.rows) <> 'array' OR jsonb_array_length(report_stats.rows) > 1000 THEN
    RAISE EXCEPTION 'rows must be a JSON array of at most 1000 objects' USING ERRCODE = 'HD002', COLUMN = 'rows';
  END IF;
  INSERT INTO howdah.stat_report (slot, at, queue_id, kind, completed, retried, snoozed, dead, cancelled, released, lost, run_ms, wait_ms, runs, waits)
  SELECT v_slot, v_now, t.queue_id, left(t.kind, 256), greatest(t.completed, 0), greatest(t.retried, 0), greatest(t.snoozed, 0),
         greatest(t.dead, 0), greatest(t.cancelled, 0), greatest(t.released, 0), greatest(t.lost, 0), greatest(t.run_ms, 0),
         greatest(t.wait_ms, 0), coalesce(t.runs[1:24], '{}'), coalesce(t.waits[1:24], '{}')
    FROM jsonb_to_recordset(report_stats.rows) AS t(queue_id integer, kind text, completed bigint, retried bigint, snoozed bigint,
           dead bigint, cancelled bigint, released bigint, lost bigint, run_ms bigint, wait_ms bigint, runs bigint[], waits bigint[])
    JOIN howdah.queue q ON q.id = t.queue_id
   WHERE t.kind IS NOT NULL;
  GET DIAGNOSTICS v_taken = ROW_COUNT;
  RETURN v_taken;
END $$;
-- howdah.stats(since, of_queue, of_kind)
-- How attempts ended, and how long they ran and waited, for each queue and kind, over the last hours.
--   since        how far back, up to 1000 years; the whole hours that it touches, by UTC, are taken. NULL: since ever
--   of_queue, of_kind  only this one; NULL: all
--   completed, retried, snoozed, dead, cancelled, released, lost   attempts, by what became of them
--   run_ms, wait_ms   of all of them together. runs, waits: how many took how long, see howdah.stat_hour and howdah.percentile
--   run_p50_ms, run_p99_ms     how long attempts ran
--   wait_p50_ms, wait_p99_ms   how long jobs waited for their first attempt since they were enqueued, a delay that was asked for included
-- What workers have counted: it is up to twenty seconds old, and a worker that was killed takes along what it had not told.
-- Reads: stat_hour of the first day and stat_day of the others, or stat_total; queue. Locks: none. Errors: HD002 invalid argument.
CREATE OR REPLACE FUNCTION howdah.stats(since interval DEFAULT '1 hour', of_queue text DEFAULT NULL, of_kind text DEFAULT NULL)
RETURNS TABLE (queue text, kind text, completed bigint, retried bigint, snoozed bigint, dead bigint, cancelled bigint, released bigint,
  lost bigint, run_ms bigint, wait_ms bigint, runs bigint[], waits bigint[], run_p50_ms double precision, run_p99_ms double precision,
  wait_p50_ms double precision, wait_p99_ms double precision)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_queue integer := (SELECT q.id FROM howdah.queue q WHERE q.name = stats.of_queue);
  v_from  timestamptz;
  -- The first midnight of UTC since then: what comes after it is added up by days.
  v_day   timestamptz;
BEGIN
  IF stats.since NOT BETWEEN '0' AND '1000 years' THEN
    RAISE EXCEPTION 'since must be 0 to 1000 years, not %', stats.since USING ERRCODE = 'HD002', COLUMN = 'since';
  ELSIF stats.of_queue IS NOT NULL AND v_queue IS NULL THEN
    PERFORM howdah.unknown_queue(stats.of_queue);
  END IF;
  v_from := date_bin('1 hour', howdah.now() - stats.since, '2000-01-01 00:00:00Z');
  v_day := date_bin('1 day', v_from + interval '23 hours', '2000-01-01 00:00:00Z');
  RETURN QUERY
    WITH h AS (
      SELECT s.* FROM howdah.stat_hour s
       WHERE stats.since IS NOT NULL AND s.at >= v_from AND s.at < v_day
         AND (stats.of_queue IS NULL OR s.queue_id = v_queue) AND (stats.of_kind IS NULL OR s.kind = stats.of_kind)
      UNION ALL
      SELECT s.* FROM howdah.stat_day s
       WHERE stats.since IS NOT NULL AND s.at >= v_day AND (stats.of_queue IS NULL OR s.queue_id = v_queue) AND (stats.of_kind IS NULL OR s.kind = stats.of_kind)
      UNION ALL
      SELECT s.* FROM howdah.stat_total s
       WHERE stats.since IS NULL AND (stats.of_queue IS NULL OR s.queue_id = v_queue) AND (stats.of_kind IS NULL OR s.kind = stats.of_kind)
    ), counted AS (
      -- Place by place, in one pass: the 24 that an array may have.
      SELECT h.queue_id, h.kind, sum(h.completed)::bigint AS completed, sum(h.retried)::bigint AS retried, sum(h.snoozed)::bigint AS snoozed,
             sum(h.dead)::bigint AS dead, sum(h.cancelled)::bigint AS cancelled, sum(h.released)::bigint AS released,
             sum(h.lost)::bigint AS lost, sum(h.run_ms)::bigint AS run_ms, sum(h.wait_ms)::bigint AS wait_ms,
             (ARRAY[sum(h.runs[1]), sum(h.runs[2]), sum(h.runs[3]), sum(h.runs[4]), sum(h.runs[5]), sum(h.runs[6]), sum(h.runs[7]), sum(h.runs[8]),
                    sum(h.runs[9]), sum(h.runs[10]), sum(h.runs[11]), sum(h.runs[12]), sum(h.runs[13]), sum(h.runs[14]), sum(h.runs[15]), sum(h.runs[16]),
                    sum(h.runs[17]), sum(h.runs[18]), sum(h.runs[19]), sum(h.runs[20]), sum(h.runs[21]), sum(h.runs[22]), sum(h.runs[23]), sum(h.runs[24])]::bigint[])[1:max(cardinality(h.runs))] AS runs,
             (ARRAY[sum(h.waits[1]), sum(h.waits[2]), sum(h.waits[3]), sum(h.waits[4]), sum(h.waits[5]), sum(h.waits[6]), sum(h.waits[7]), sum(h.waits[8]),
                    sum(h.waits[9]), sum(h.waits[10]), sum(h.waits[11]), sum(h.waits[12]), sum(h.waits[13]), sum(h.waits[14]), sum(h.waits[15]), sum(h.waits[16]),
                    sum(h.waits[17]), sum(h.waits[18]), sum(h.waits[19]), sum(h.waits[20]), sum(h.waits[21]), sum(h.waits[22]), sum(h.waits[23]), sum(h.waits[24])]::bigint[])[1:max(cardinality(h.waits))] AS waits
        FROM h GROUP BY 1, 2
    )
    SELECT q.name::text, c.kind, c.completed, c.retried, c.snoozed, c.dead, c.cancelled, c.released, c.lost, c.run_ms, c.wait_ms,
           c.runs, c.waits, howdah.percentile(c.runs, 0.5), howdah.percentile(c.runs, 0.99),
           howdah.percentile(c.waits, 0.5), howdah.percentile(c.waits, 0.99)
      FROM counted c JOIN howdah.queue q ON q.id = c.queue_id
     ORDER BY 1, 2;
END $$;
-- howdah.add_step(job_id, attempt, name, kind, state, wakes_at, result) -> void
-- Writes a step of a job that the caller has found to be held. Internal. Writes: step.
-- Locks: waits for a transaction that is writing a step of this name for this job.
-- Errors: HD002 with COLUMN name: the job has a step of this name, or too many, or too large ones.
-- Cost: one probe for the last step, however many there are.
CREATE OR REPLACE FUNCTION howdah.add_step(job_id bigint, attempt smallint, name text, kind text, state text, wakes_at timestamptz, result jsonb)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_sort = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_n     integer;
  v_bytes bigint;
  v_new   bigint := coalesce(octet_length(add_step.result::text), 0);
BEGIN
  SELECT s.n, s.bytes INTO v_n, v_bytes FROM howdah.step s WHERE s.job_id = add_step.job_id ORDER BY s.job_id DESC, s.n DESC LIMIT 1;
  IF v_n >= 10000 THEN
    RAISE EXCEPTION 'job % has % steps, and may have at most 10000', add_step.job_id, v_n
      USING ERRCODE = 'HD002', COLUMN = 'name', HINT = 'Do more in a step, or give the rest to another job.';
  END IF;
  IF v_bytes + v_new > 67108864 THEN
    RAISE EXCEPTION 'the steps of job % are % bytes with this one, and may be at most 67108864', add_step.job_id, v_bytes + v_new
      USING ERRCODE = 'HD002', COLUMN = 'result', HINT = 'Store large data elsewhere and keep its key.';
  END IF;
  INSERT INTO howdah.step (job_id, n, attempt, kind, state, at, wakes_at, bytes, name, result)
    VALUES (add_step.job_id, coalesce(v_n, 0) + 1, add_step.attempt, add_step.kind, add_step.state, howdah.now(), add_step.wakes_at,
            coalesce(v_bytes, 0) + v_new, add_step.name, add_step.result)
  ON CONFLICT DO NOTHING;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'job % has a step % already', add_step.job_id, quote_literal(add_step.name)
      USING ERRCODE = 'HD002', COLUMN = 'name', HINT = 'Read the steps that are kept (howdah.get_steps) before one is done, and give each a name of its own.';
  END IF;
END $$;
-- howdah.await_signal(lease_id, job_id, name, timeout_ms) -> (state, result)
-- A running job waits for a signal (howdah.send_signal) of this name: one that is sent to it or to everybody, before or
-- after. What it has got is kept as a step, and told to every later attempt. Which time out it has is fixed by the first call.
--   name        of the signal, and of the step: 1 to 128 bytes, once for each job
--   timeout_ms  0 to 100 years; NULL: for ever
--   state       done: `result` is the signal's payload; timed out; or waiting: end the attempt with the verdict `wait`
--               (howdah.fail): the job runs again when the signal has come or its time is over, the attempt is not counted,
--               and nothing is held meanwhile
-- Writes: step. Locks: the lease row, shared, until the transaction ends: call it in one of its own.
-- Errors: HD002 invalid argument; HD010 the job is not this lease's any more; HD012 the transaction is not READ COMMITTED.
CREATE OR REPLACE FUNCTION howdah.await_signal(lease_id bigint, job_id bigint, name text, timeout_ms bigint DEFAULT NULL,
  OUT state text, OUT result jsonb)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_now     timestamptz := howdah.now();
  v_attempt smallint;
  v_known   boolean;
  s         howdah.step;
BEGIN
  PERFORM howdah.check_step(await_signal.name);
  IF await_signal.timeout_ms NOT BETWEEN 0 AND 3155760000000 THEN
    PERFORM howdah.option_refused('timeout_ms', 'must be 0 to 100 years, or NULL for ever');
  END IF;
  v_attempt := howdah.step_attempt(await_signal.lease_id, await_signal.job_id);
  SELECT * INTO s FROM howdah.step k WHERE k.job_id = await_signal.job_id AND k.name = await_signal.name FOR NO KEY UPDATE;
  v_known := FOUND;
  IF v_known AND s.kind <> 'signal' THEN
    PERFORM howdah.option_refused('name', format('%L is a %s of this job, and no signal', s.name, s.kind));
  ELSIF NOT v_known THEN
    s.wakes_at := coalesce(v_now + make_interval(secs => await_signal.timeout_ms / 1000.0), 'infinity');
  END IF;
  state := coalesce(s.state, 'waiting');
  result := s.result;
  IF state = 'waiting' THEN
    result := howdah.find_signal(await_signal.name, await_signal.job_id);
    state := CASE WHEN result IS NOT NULL THEN 'done' WHEN s.wakes_at <= v_now THEN 'timed out' ELSE 'waiting' END;
    IF NOT v_known THEN
      PERFORM howdah.add_step(await_signal.job_id, v_attempt, await_signal.name, 'signal', state, s.wakes_at, result);
    ELSIF state <> 'waiting' THEN
      UPDATE howdah.step k SET state = await_signal.state, result = await_signal.result, at = v_now, attempt = v_attempt
       WHERE k.job_id = s.job_id AND k.name = s.name;
    END IF;
  END IF;
END $$;
-- howdah.begin_sleep(lease_id, job_id, name, delay_ms) -> bigint
-- A durable sleep of a running job. The first call fixes when it is over; the later ones, of whichever attempt, leave that.
-- Returns the milliseconds that are left; 0: it is over, go on. Otherwise end the attempt with the verdict `wait`
-- (howdah.fail): the job runs again when the time has come, the attempt is not counted, and nothing is held meanwhile.
--   name      as of any step: 1 to 128 bytes, once for each job
--   delay_ms  0 to 100 years
-- Writes: step. Locks: the lease row, shared, until the transaction ends: call it in one of its own.
-- Errors: HD002 invalid argument; HD010 the job is not this lease's any more; HD012 the transaction is not READ COMMITTED.
CREATE OR REPLACE FUNCTION howdah.begin_sleep(lease_id bigint, job_id bigint, name text, delay_ms bigint) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_now     timestamptz := howdah.now();
  v_attempt smallint;
  s         howdah.step;
BEGIN
  PERFORM howdah.check_step(begin_sleep.name);
  IF begin_sleep.delay_ms IS NULL OR begin_sleep.delay_ms NOT BETWEEN 0 AND 3155760000000 THEN
    PERFORM howdah.option_refused('delay_ms', 'must be 0 to 100 years');
  END IF;
  v_attempt := howdah.step_attempt(begin_sleep.lease_id, begin_sleep.job_id);
  SELECT * INTO s FROM howdah.step k WHERE k.job_id = begin_sleep.job_id AND k.name = begin_sleep.name FOR NO KEY UPDATE;
  IF NOT FOUND THEN
    s.state := CASE begin_sleep.delay_ms WHEN 0 THEN 'done' ELSE 'waiting' END;
    s.wakes_at := v_now + make_interval(secs => begin_sleep.delay_ms / 1000.0);
    PERFORM howdah.add_step(begin_sleep.job_id, v_attempt, begin_sleep.name, 'sleep', s.state, s.wakes_at, NULL);
  ELSIF s.kind <> 'sleep' THEN
    PERFORM howdah.option_refused('name', format('%L is a %s of this job, and no sleep', s.name, s.kind));
  ELSIF s.state = 'waiting' AND s.wakes_at <= v_now THEN
    UPDATE howdah.step k SET state = 'done' WHERE k.job_id = s.job_id AND k.name = s.name;
    s.state := 'done';
  END IF;
  RETURN CASE s.state WHEN 'done' THEN 0 ELSE greatest(1, ceil(extract(epoch FROM s.wakes_at - v_now) * 1000)) END;
END $$;
-- howdah.check_step(name, result, field) -> void
-- Refuses what no step or signal may be called, and what is larger than may be kept of one. Internal.
--   field  what `result` is called by the caller
-- Errors: HD002, naming the field.
CREATE OR REPLACE FUNCTION howdah.check_step(name text, result jsonb DEFAULT NULL, field text DEFAULT 'result') RETURNS void
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_bytes integer := octet_length(check_step.result::text);
BEGIN
  IF check_step.name IS NULL OR octet_length(check_step.name) NOT BETWEEN 1 AND 128 OR check_step.name ~ '[[:cntrl:]]' THEN
    PERFORM howdah.option_refused('name', 'must be 1 to 128 bytes without control characters');
  END IF;
  IF v_bytes > 262144 THEN
    RAISE EXCEPTION '% of % is % bytes as text, and may be at most 262144', check_step.field, quote_literal(check_step.name), v_bytes
      USING ERRCODE = 'HD002', COLUMN = check_step.field, HINT = 'Store large data elsewhere and keep its key.';
  END IF;
END $$;
-- howdah.end_steps(first_ids, counts, died) -> void
-- What becomes of the steps of jobs that have ended. Of those that ended well they go to the history. Dead jobs keep them
-- for when they are sent again, but for waits that are not over, which begin anew then. Internal to howdah.ended.
-- Writes: step, past_step. Cost: one probe of an index if none of them has any.
CREATE OR REPLACE FUNCTION howdah.end_steps(first_ids bigint[], counts smallint[], died boolean) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off
  SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
DECLARE
  v_first bigint := (SELECT min(f) FROM unnest(end_steps.first_ids) f);
  v_last  bigint := (SELECT max(f) + 127 FROM unnest(end_steps.first_ids) f);
BEGIN
  IF NOT EXISTS (SELECT FROM howdah.step s WHERE s.job_id BETWEEN v_first AND v_last) THEN
    RETURN;
  END IF;
  IF end_steps.died THEN
    DELETE FROM howdah.step s USING unnest(end_steps.first_ids, end_steps.counts) r(first_id, jobs)
     WHERE s.job_id >= r.first_id AND s.job_id < r.first_id + r.jobs AND s.state = 'waiting';
    RETURN;
  END IF;
  WITH gone AS (
    DELETE FROM howdah.step s USING unnest(end_steps.first_ids, end_steps.counts) r(first_id, jobs)
     WHERE s.job_id >= r.first_id AND s.job_id < r.first_id + r.jobs
    RETURNING s.*)
  INSERT INTO howdah.past_step (slot, job_id, n, attempt, kind, state, at, wakes_at, name, result)
  SELECT r.slot, g.job_id, g.n, g.attempt, g.kind, g.state, g.at, g.wakes_at, g.name, g.result
    FROM gone g, howdah.ring r WHERE r.name = 'history';
END $$;
-- howdah.forget_steps(job_id, from_step) -> integer
-- Forgets steps of a job that waits or is dead, so that its next attempt does them again: this one and all that were
-- kept after it; NULL: all. A job that waits for one of them (a sleep, a signal) is ready at once.
-- Returns how many there were; NULL: there is no such job.
-- Writes: step, and deferred or ticket. Locks: the job's row, and waits for whoever has it.
-- Errors: HD002 the job has no such step; HD007 the job runs or has ended; HD012 the transaction is not READ COMMITTED.
CREATE OR REPLACE FUNCTION howdah.forget_steps(job_id bigint, from_step text DEFAULT NULL) RETURNS integer
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  w           record;
  v_state     text;
  v_from      integer := 0;
  v_forgotten integer;
  v_awaited   boolean;
BEGIN
  PERFORM howdah.must_read_committed();
  w := howdah.single_out(forget_steps.job_id);
  IF w.state IS NULL THEN
    PERFORM FROM howdah.dead d WHERE d.job_id = forget_steps.job_id FOR UPDATE;
    IF NOT FOUND THEN
      v_state := howdah.state(forget_steps.job_id);
      IF v_state IS NOT NULL THEN
        PERFORM howdah.not_waiting(forget_steps.job_id, v_state, 'made to forget its steps');
      END IF;
      RETURN NULL;
    END IF;
  END IF;
  IF forget_steps.from_step IS NOT NULL THEN
    SELECT s.n INTO v_from FROM howdah.step s WHERE s.job_id = forget_steps.job_id AND s.name = forget_steps.from_step;
    IF NOT FOUND THEN
      RAISE EXCEPTION 'job % has no step %', forget_steps.job_id, quote_literal(left(forget_steps.from_step, 128))
        USING ERRCODE = 'HD002', COLUMN = 'from_step', HINT = coalesce((
          SELECT format('It has, in this order: %s.', left(string_agg(s.name, ', ' ORDER BY s.n), 2000))
            FROM howdah.step s WHERE s.job_id = forget_steps.job_id), 'It has none.');
    END IF;
  END IF;
  WITH gone AS (
    DELETE FROM howdah.step s WHERE s.job_id = forget_steps.job_id
       -- Those that were kept at the same moment have the same number, and were not kept after it.
       AND (s.n > v_from OR s.name = forget_steps.from_step) RETURNING s.*)
  SELECT count(*), coalesce(bool_or(g.state = 'waiting' AND g.wakes_at = w.due_at), false) INTO v_forgotten, v_awaited FROM gone g;
  IF v_awaited AND w.state = 'scheduled' THEN
    PERFORM howdah.drop_waiting(forget_steps.job_id, w.state, w.queue_id, w.priority);
    PERFORM howdah.put_back(ARRAY[forget_steps.job_id], ARRAY[w.attempt]);
  END IF;
  RETURN v_forgotten;
END $$;
-- howdah.get_steps(job_id, lease_id) -> (n, name, kind, state, attempt, at, wakes_at, result)
-- The steps of a job that has not ended well, in their order: what an attempt reads once, before its first step. No row
-- if there are none. The view howdah.steps has those of jobs that have ended too.
--   lease_id  that of the attempt. Without it a stale one is told that nothing was done, once the job has ended elsewhere, and
--             does it all again; NULL: whoever looks at the job from outside
-- Reads: step, and see holds. Locks: none. Errors: HD010 the job is not this lease's any more.
CREATE OR REPLACE FUNCTION howdah.get_steps(job_id bigint, lease_id bigint DEFAULT NULL)
RETURNS TABLE (n integer, name text, kind text, state text, attempt smallint, at timestamptz, wakes_at timestamptz, result jsonb)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
BEGIN
  IF get_steps.lease_id IS NOT NULL AND NOT howdah.holds(get_steps.lease_id, get_steps.job_id) THEN
    PERFORM howdah.lease_lost(get_steps.lease_id, get_steps.job_id);
  END IF;
  RETURN QUERY SELECT s.n, s.name::text, s.kind, s.state, s.attempt, s.at, s.wakes_at, s.result
    FROM howdah.step s WHERE s.job_id = get_steps.job_id ORDER BY s.n;
END $$;
-- howdah.keep_step(lease_id, job_id, name, result) -> void
-- Keeps what a step of a running job has given, so that it is not done again: later attempts read it (howdah.get_steps).
-- Inside of the caller's transaction: with its writes, or not at all, which makes the step's effects exactly once.
--   name    1 to 128 bytes; once for each job
--   result  JSON of at most 256 KiB as text. A job has at most 10,000 steps and 64 MiB of results.
-- Writes: step. Locks: the lease row, shared: other jobs of the lease do not wait, a rescue passes it by.
-- Errors: HD002 invalid argument, or the step is kept already; HD010 the job is not this lease's any more: roll back, and
-- stop working on it; HD012 the transaction is not READ COMMITTED.
CREATE OR REPLACE FUNCTION howdah.keep_step(lease_id bigint, job_id bigint, name text, result jsonb DEFAULT 'null') RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM howdah.check_step(keep_step.name, keep_step.result);
  PERFORM howdah.add_step(keep_step.job_id, howdah.step_attempt(keep_step.lease_id, keep_step.job_id), keep_step.name, 'step', 'done', NULL,
    coalesce(keep_step.result, 'null'));
END $$;
-- howdah.lease_lost(lease_id, job_id) -> void
-- Refuses what an attempt asks that has lost its job. Internal to steps and report_progress. Errors: HD010, always.
CREATE OR REPLACE FUNCTION howdah.lease_lost(lease_id bigint, job_id bigint) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RAISE EXCEPTION 'job % is not held by lease % any more', lease_lost.job_id, lease_lost.lease_id
    USING ERRCODE = 'HD010', HINT = 'Stop working on it: another worker has the job, or it has ended.';
END $$;
-- howdah.retry_from(job_id, from_step) -> text
-- Runs a job again, as howdah.retry does, but has it forget this step and all that were kept after it; NULL: all, so that
-- it begins from the start. Returns 'ready'; NULL: there is no such job.
-- Writes: see forget_steps and retry. Errors: those of both.
CREATE OR REPLACE FUNCTION howdah.retry_from(job_id bigint, from_step text DEFAULT NULL) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF howdah.forget_steps(retry_from.job_id, retry_from.from_step) IS NULL THEN
    RETURN NULL;
  END IF;
  RETURN howdah.retry(retry_from.job_id);
END $$;
-- howdah.set_aside(job_id, queue_id, kind, priority, attempt) -> text
-- Puts a job that was taken from its lease aside until the first of what its steps wait for: the verdict `wait` of
-- howdah.fail. If that has come meanwhile, it is ready at once. Returns which: scheduled or ready. Internal.
--   attempt  how many attempts were made
-- This looks for signals in a statement that begins after the waiting step was committed. So of a signal and a wait that
-- happen at once, one sees the other, unless the signal is committed later than this looks: see howdah.deliver_signals.
-- Writes: step, and deferred or ticket.
CREATE OR REPLACE FUNCTION howdah.set_aside(job_id bigint, queue_id integer, kind text, priority integer, attempt integer) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_now    timestamptz := howdah.now();
  v_due    timestamptz;
  v_result jsonb;
  s        record;
BEGIN
  FOR s IN SELECT k.name, k.kind, k.wakes_at FROM howdah.step k WHERE k.job_id = set_aside.job_id AND k.state = 'waiting' LOOP
    v_result := CASE WHEN s.kind = 'signal' THEN howdah.find_signal(s.name, set_aside.job_id) END;
    IF v_result IS NOT NULL THEN
      UPDATE howdah.step k SET state = 'done', result = v_result, at = v_now WHERE k.job_id = set_aside.job_id AND k.name = s.name;
      v_due := v_now;
    -- What is over is not waited for: the handler may not even have that step any more.
    ELSIF s.wakes_at > v_now THEN
      v_due := least(v_due, s.wakes_at);
    END IF;
  END LOOP;
  IF v_due > v_now THEN
    PERFORM howdah.defer(v_due, set_aside.job_id, 1, set_aside.queue_id, set_aside.kind, set_aside.priority, set_aside.attempt,
      (SELECT howdah.gates_of(j.options) FROM howdah.find_job(set_aside.job_id) j));
    RETURN 'scheduled';
  END IF;
  PERFORM howdah.put_back(ARRAY[set_aside.job_id], ARRAY[set_aside.attempt::smallint]);
  RETURN 'ready';
END $$;
-- howdah.step_attempt(lease_id, job_id) -> smallint
-- Which attempt at a job a lease holds, which it goes on to hold until the caller's transaction ends: the fence of all
-- that is written of a job's steps. Internal.
-- Locks: the lease row, shared: other jobs of the lease do not wait, a rescue passes it by.
-- Errors: HD010 the job is not this lease's any more; HD012 the transaction is not READ COMMITTED.
CREATE OR REPLACE FUNCTION howdah.step_attempt(lease_id bigint, job_id bigint) RETURNS smallint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_lease   howdah.lease;
  v_attempt smallint;
BEGIN
  PERFORM howdah.must_read_committed();
  SELECT * INTO v_lease FROM howdah.lease l WHERE (l.id & 3) = (step_attempt.lease_id & 3) AND l.id = step_attempt.lease_id FOR KEY SHARE;
  v_attempt := howdah.attempt_in(v_lease, step_attempt.job_id);
  IF v_attempt IS NULL THEN
    PERFORM howdah.lease_lost(step_attempt.lease_id, step_attempt.job_id);
  END IF;
  RETURN v_attempt;
END $$;
-- howdah.waits_because(job_id) -> text
-- What the steps of a job that was set aside wait for, in words: `waits for signal 'paid' until 2026-01-01 09:00:00Z`;
-- NULL: nothing. Internal to howdah.jobs. Reads: step. Cost: one probe of an index.
CREATE OR REPLACE FUNCTION howdah.waits_because(job_id bigint) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
BEGIN
  RETURN (
    SELECT string_agg(CASE s.kind WHEN 'sleep' THEN format('sleeps (%s)', s.name) ELSE format('waits for signal %L', s.name) END
             || CASE WHEN s.wakes_at < 'infinity' THEN to_char(s.wakes_at AT TIME ZONE 'UTC', '" until "YYYY-MM-DD HH24:MI:SS"Z"') ELSE '' END,
             ', ' ORDER BY s.n)
      FROM howdah.step s WHERE s.job_id = waits_because.job_id AND s.state = 'waiting');
END $$;
-- howdah.pace(span) -> setof (queue, completed, cancelled, expired, failed)
-- How many jobs ended, and attempts failed, in the last `span` (up to a minute), for each queue of which some did.
-- Of the newest 20,000 rows of receipts (a row is a claim's worth of jobs) and the newest 2,000 failures: beyond them it counts too few.
-- Reads: receipt, failure, job, queue. Locks: none. Errors: HD002 invalid argument.
-- Cost: about a microsecond for a receipt, five for a failure.
CREATE OR REPLACE FUNCTION howdah.pace(span interval DEFAULT '10 seconds')
RETURNS TABLE (queue text, completed bigint, cancelled bigint, expired bigint, failed bigint)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_since timestamptz := howdah.now() - pace.span;
  v_ids   bigint[];
BEGIN
  IF pace.span IS NULL OR pace.span NOT BETWEEN '1 millisecond' AND '1 minute' THEN
    RAISE EXCEPTION 'span must be 1 millisecond to 1 minute, not %', coalesce(pace.span::text, 'NULL') USING ERRCODE = 'HD002', COLUMN = 'span';
  END IF;
  v_ids := ARRAY(SELECT f.job_id FROM howdah.failure f WHERE f.at >= v_since ORDER BY f.at DESC LIMIT 2000);
  RETURN QUERY
    SELECT q.name::text, coalesce(e.completed, 0), coalesce(e.cancelled, 0), coalesce(e.expired, 0), coalesce(f.failed, 0)
      FROM (SELECT r.queue_id, coalesce(sum(r.jobs) FILTER (WHERE r.outcome = 1), 0)::bigint AS completed,
                   coalesce(sum(r.jobs) FILTER (WHERE r.outcome = 2), 0)::bigint AS cancelled,
                   coalesce(sum(r.jobs) FILTER (WHERE r.outcome = 3), 0)::bigint AS expired
              FROM (SELECT c.queue_id, c.outcome, (SELECT sum(n) FROM unnest(c.counts) n) AS jobs
                      FROM howdah.receipt c WHERE c.at >= v_since ORDER BY c.at DESC LIMIT 20000) r
             GROUP BY 1) e
      -- A job may have failed more than once.
      FULL JOIN (SELECT j.queue_id, count(*) AS failed FROM unnest(v_ids) u(id) JOIN howdah.find_jobs(v_ids) j ON j.id = u.id GROUP BY 1) f
             ON f.queue_id = e.queue_id
      JOIN howdah.queue q ON q.id = coalesce(e.queue_id, f.queue_id);
END $$;
-- howdah.tail(seen, search, most) -> (now, events, more)
-- What has happened since a look: attempts that began and still run, that failed, and jobs that ended.
--   seen    `now` of the look before; NULL: nothing has happened yet, tell where now is
--   search  only of jobs that it means at this moment: what the search language compiles to; '{}': all jobs
--   most    how many events at most, 1 to 1,000: the newest
-- Returns
--   now     for the next look
--   events  an array, oldest first, of objects: at, event (began, completed, cancelled, expired, failed; dead: of this attempt, or of
--           expiry), id, queue, kind, attempt, worker_id, run_ms, error_kind, message (up to 1,000 characters)
--   more    there was more, or more to look at than 5,000, and the oldest of it is left out
-- The next look may tell an event again that is not older than the oldest transaction that was open at this one: leave out
-- what you have by id, attempt and event. So nothing is lost between two looks, but for what a transaction commits 15
-- seconds after it happened. An attempt that began and ended between two looks has one event: its end.
-- It waits for nobody, keeps nothing, and notifies nobody: any number may look, also through a pooler.
-- Reads: lease, settled, receipt, failure, dead, job, queue. Locks: none. Errors: HD002 invalid argument.
-- Cost: of what happened in these seconds, up to 5,000 of each sort: about 10 microseconds for each.
CREATE OR REPLACE FUNCTION howdah.tail(seen pg_snapshot DEFAULT NULL, search jsonb DEFAULT '{}', most integer DEFAULT 500,
  OUT now text, OUT events jsonb, OUT more boolean)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
DECLARE
  v_looks constant integer := 5000;
  v_span  constant interval := '15 seconds';
  v_since timestamptz := howdah.now() - v_span;
  -- Ids of leases are times: see next_lease.
  v_lease bigint := ((date_part('epoch', clock_timestamp() - v_span) * 1000)::bigint - 1750000000000) << 22;
  -- Rows of transactions that began since the oldest one that was open then. A row of a part of a transaction (a savepoint) has a
  -- number of its own, which no snapshot names, but which is greater than that of the whole.
  v_age   integer := age(pg_snapshot_xmin(tail.seen)::xid);
  v_found jsonb[];
  v_ids   bigint[];
BEGIN
  PERFORM howdah.check_search(tail.search), howdah.check_most(tail.most, 1000, NULL);
  now := pg_current_snapshot()::text;
  IF tail.seen IS NULL THEN
    events := '[]';
    more := false;
    RETURN;
  END IF;
  v_found := ARRAY(SELECT to_jsonb(e) FROM howdah.tail_events(v_since, v_lease, v_age, v_looks + 1) e);
  more := cardinality(v_found) > v_looks;
  IF tail.search <> '{}' AND v_found <> '{}' THEN
    v_ids := ARRAY(SELECT m FROM howdah.search_matches(tail.search, ARRAY(SELECT DISTINCT (f ->> 'id')::bigint FROM unnest(v_found) f)) m);
    v_found := ARRAY(SELECT f FROM unnest(v_found) f WHERE (f ->> 'id')::bigint = ANY (v_ids));
  END IF;
  more := more OR cardinality(v_found) > tail.most;
  v_found := ARRAY(SELECT f FROM unnest(v_found) f ORDER BY (f ->> 'at')::timestamptz DESC LIMIT tail.most);
  v_ids := ARRAY(SELECT DISTINCT (f ->> 'id')::bigint FROM unnest(v_found) f);
  events := coalesce((
    SELECT jsonb_agg(f - 'queue_id' || jsonb_build_object('kind', j.kind, 'queue', q.name)
                     ORDER BY (f ->> 'at')::timestamptz, f ->> 'event' <> 'began', j.id)
      FROM unnest(v_found) f
      -- Without a job there is nothing to tell: it was deleted.
      JOIN howdah.find_jobs(v_ids) j ON j.id = (f ->> 'id')::bigint
      JOIN howdah.all_queues q ON q.id = j.queue_id), '[]');
END $$;
-- howdah.tail_events(since, lease, age, most) -> (at, event, id, attempt, worker_id, run_ms, error_kind, message)
-- What happened since a time, or to leases from this id on, in rows of transactions that are not older than `age`: the newest of each sort.
-- Internal to tail.
CREATE OR REPLACE FUNCTION howdah.tail_events(since timestamptz, lease bigint, age integer, most integer)
RETURNS TABLE (at timestamptz, event text, id bigint, attempt smallint, worker_id bigint, run_ms integer, error_kind text, message text)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
    SELECT l.claimed_at, 'began', u.first_id + g, u.attempt, l.worker_id, NULL::integer, NULL, NULL
      FROM howdah.lease l CROSS JOIN LATERAL unnest(l.first_ids, l.counts, l.attempts) u(first_id, jobs, attempt)
      CROSS JOIN LATERAL generate_series(0, u.jobs - 1) g
     WHERE l.id >= tail_events.lease AND age(l.xmin) <= tail_events.age
       AND NOT EXISTS (SELECT FROM howdah.settled s WHERE s.lease_id = l.id AND s.job_id = u.first_id + g)
     ORDER BY l.id DESC LIMIT tail_events.most;
  RETURN QUERY
    SELECT c.at, CASE c.outcome WHEN 1 THEN 'completed' WHEN 2 THEN 'cancelled' ELSE 'expired' END, u.first_id + g, u.attempt, c.worker_id,
           c.run_ms[(u.before + g + 1)::integer], NULL, NULL
      FROM howdah.receipt c
      CROSS JOIN LATERAL (
        SELECT v.first_id, v.jobs, v.attempt,
               coalesce(sum(v.jobs) OVER (ORDER BY v.n ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS before
          FROM unnest(c.first_ids, c.counts, c.attempts) WITH ORDINALITY v(first_id, jobs, attempt, n)) u
      CROSS JOIN LATERAL generate_series(0, u.jobs - 1) g
     WHERE c.at >= tail_events.since AND age(c.xmin) <= tail_events.age
     ORDER BY c.at DESC LIMIT tail_events.most;
  RETURN QUERY
    SELECT f.at, CASE WHEN EXISTS (SELECT FROM howdah.dead d WHERE d.job_id = f.job_id AND d.attempt = f.attempt) THEN 'dead' ELSE 'failed' END,
           f.job_id, f.attempt, f.worker_id, f.run_ms, f.error_kind, left(f.message, 1000)
      FROM howdah.failure f
     WHERE f.at >= tail_events.since AND age(f.xmin) <= tail_events.age
     ORDER BY f.at DESC LIMIT tail_events.most;
  -- Dead without a failed attempt: only of expiry, and only where a queue says so.
  RETURN QUERY
    SELECT d.died_at, 'dead', d.job_id, d.attempt, NULL::bigint, NULL::integer, NULL, d.reason
      FROM howdah.queue q CROSS JOIN LATERAL (
        SELECT * FROM howdah.dead x WHERE x.queue_id = q.id AND x.died_at >= tail_events.since AND age(x.xmin) <= tail_events.age) d
     WHERE q.on_expiry = 'dead' AND d.reason ^@ 'expired: '
     LIMIT tail_events.most;
END $$;
-- howdah.at_text(at) -> text
-- A time as people read it, in UTC: 2026-01-31T08:00:00Z. Internal to why.
CREATE OR REPLACE FUNCTION howdah.at_text(at timestamptz) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
RETURN pg_catalog.to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"');
-- howdah.why(job_id) -> setof (code, reason, evidence)
-- Why a job is not running: a chain of plain reasons, the nearest first. Of a job that runs or has ended: what it does
-- or how that was. No row: there is no such job, or it ended longer ago than history is kept.
--   code      for programs: ended, dead, running, cancelling, due, parked, held, dependency, sleep, signal, limit, held_by, rate, order, paused, no_worker, kind,
--             filter, queue_limit, queue_rate, turn, behind, busy, soon, keeper, ...
--   reason    for people: one sentence
--   evidence  what it was seen by: ids, times, numbers
-- Reads: what there is. Looks at no more than some thousand rows, however much waits. Locks: none. Errors: none.
CREATE OR REPLACE FUNCTION howdah.why(job_id bigint) RETURNS TABLE (code text, reason text, evidence jsonb)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  j record;
  d howdah.deferred;
BEGIN
  SELECT v.*, w.name AS worker, w.heartbeat_at INTO j FROM howdah.jobs v LEFT JOIN howdah.worker w ON w.id = v.worker_id WHERE v.id = why.job_id;
  IF NOT FOUND THEN
    RETURN;
  END IF;
  CASE j.state
    WHEN 'running' THEN
      RETURN QUERY SELECT 'running', format('it runs: attempt %s, on worker %s, since %s', j.attempt, coalesce(j.worker, j.worker_id::text), howdah.at_text(j.claimed_at)),
        jsonb_build_object('worker', j.worker, 'worker_id', j.worker_id, 'claimed_at', j.claimed_at, 'heartbeat_at', j.heartbeat_at);
      RETURN QUERY SELECT 'cancelling', 'it was asked to stop at ' || howdah.at_text(c.requested_at), jsonb_build_object('requested_at', c.requested_at)
        FROM howdah.cancel_request c WHERE c.job_id = why.job_id;
    WHEN 'ready' THEN
      RETURN QUERY SELECT * FROM howdah.why_ready(why.job_id);
    WHEN 'scheduled', 'blocked' THEN
      SELECT k.* INTO d FROM howdah.deferred k WHERE k.first_id BETWEEN (why.job_id >> 7 << 7) AND why.job_id AND why.job_id < k.first_id + k.jobs;
      RETURN QUERY SELECT * FROM howdah.why_deferred(why.job_id, d);
      RETURN QUERY SELECT 'failed', format('attempt %s failed at %s: %s', f.attempt, howdah.at_text(f.at), left(f.message, 500)),
          jsonb_build_object('attempt', f.attempt, 'at', f.at, 'error_kind', f.error_kind, 'message', left(f.message, 500))
        FROM howdah.failure f WHERE f.job_id = why.job_id ORDER BY f.attempt DESC, f.at DESC LIMIT 1;
    WHEN 'dead' THEN
      RETURN QUERY SELECT 'dead', format('it is dead since %s: %s', howdah.at_text(j.ended_at), j.reason),
        jsonb_build_object('ended_at', j.ended_at, 'attempt', j.attempt, 'reason', j.reason);
    ELSE
      RETURN QUERY SELECT 'ended', format('it has ended as %s at %s', j.state, howdah.at_text(j.ended_at)), jsonb_build_object('state', j.state, 'ended_at', j.ended_at);
  END CASE;
END $$;
-- howdah.why_deferred(job_id, run) -> setof (code, reason, evidence)
-- Why a job that is scheduled or blocked does not run. Internal to why. Reads only.
CREATE OR REPLACE FUNCTION howdah.why_deferred(job_id bigint, run howdah.deferred) RETURNS TABLE (code text, reason text, evidence jsonb)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  d      howdah.deferred := why_deferred.run;
  v_key  text := substr((why_deferred.run).gate, strpos((why_deferred.run).gate, ':') + 1);
BEGIN
  IF d.gate ^@ 'limit:' OR d.gate ^@ 'kind:' THEN
    RETURN QUERY SELECT * FROM howdah.why_gate(d.gate);
  ELSIF d.gate ^@ 'order:' THEN
    RETURN QUERY
      SELECT 'order', format('job %s of order key %s comes before it, and is %s', o.job_id, v_key, f.state), jsonb_build_object('order_key', v_key, 'job_id', o.job_id, 'state', f.state)
        FROM (SELECT k.job_id FROM howdah.ordered k WHERE k.key = v_key AND NOT k.passed_by AND k.job_id < why_deferred.job_id ORDER BY k.key, k.job_id LIMIT 1) o,
             LATERAL (SELECT coalesce(howdah.state(o.job_id), 'gone') AS state) f;
    RETURN QUERY SELECT * FROM howdah.why_gate(d.gate);
  ELSIF d.gate = 'dependencies' THEN
    RETURN QUERY SELECT * FROM howdah.why_parents(why_deferred.job_id);
  ELSIF d.gate IS NOT NULL THEN
    RETURN QUERY SELECT 'blocked', 'it waits for ' || d.gate, jsonb_build_object('gate', d.gate);
  ELSIF howdah.waits_because(why_deferred.job_id) IS NOT NULL THEN
    RETURN QUERY SELECT CASE s.kind WHEN 'sleep' THEN 'sleep' ELSE 'signal' END, 'it ' || howdah.waits_because(why_deferred.job_id),
        jsonb_build_object('step', s.name, 'wakes_at', nullif(s.wakes_at, 'infinity'))
      FROM howdah.step s WHERE s.job_id = why_deferred.job_id AND s.state = 'waiting' ORDER BY s.n LIMIT 1;
  ELSIF d.due_at = 'infinity' THEN
    RETURN QUERY SELECT 'parked', 'it is parked: it runs when it is retried', '{}'::jsonb;
  ELSE
    RETURN QUERY SELECT 'due', CASE WHEN d.due_at > howdah.now() THEN 'it is due at ' ELSE 'it was due at ' END || howdah.at_text(d.due_at), jsonb_build_object('due_at', d.due_at);
    IF d.due_at <= howdah.now() - interval '2 seconds' THEN
      RETURN QUERY SELECT 'keeper', 'nobody makes due jobs ready: no worker is the keeper', '{}'::jsonb
        WHERE NOT EXISTS (SELECT FROM howdah.keeper k WHERE k.expires_at > howdah.now());
    END IF;
  END IF;
END $$;
-- howdah.why_gate(gate) -> setof (code, reason, evidence)
-- Why a gate lets nobody through now: who holds its slots, when its next token comes. Internal to why. Reads only.
CREATE OR REPLACE FUNCTION howdah.why_gate(gate text) RETURNS TABLE (code text, reason text, evidence jsonb)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_rule howdah.flow_rule := howdah.rule_of(why_gate.gate);
  v_most integer := CASE WHEN why_gate.gate ^@ 'order:' THEN 1 ELSE v_rule.max_running END;
  v_held bigint := (SELECT count(*) FROM howdah.slot s WHERE s.gate = why_gate.gate);
  v_tokens float8;
BEGIN
  IF v_most IS NOT NULL THEN
    IF v_held >= v_most THEN
      RETURN QUERY SELECT 'limit', format('%s of %s slots of %s are taken', v_held, v_most, why_gate.gate),
        jsonb_build_object('gate', why_gate.gate, 'held', v_held, 'max_running', v_most);
    END IF;
    RETURN QUERY
      SELECT 'held_by', format('job %s holds %s on worker %s since %s', s.job_id, why_gate.gate, coalesce(w.name, l.worker_id::text), howdah.at_text(l.claimed_at)),
             jsonb_build_object('job_id', s.job_id, 'worker', w.name, 'worker_id', l.worker_id, 'claimed_at', l.claimed_at)
        FROM (SELECT * FROM howdah.slot k WHERE k.gate = why_gate.gate ORDER BY k.lease_id LIMIT 5) s
        JOIN howdah.lease l ON (l.id & 3) = (s.lease_id & 3) AND l.id = s.lease_id LEFT JOIN howdah.worker w ON w.id = l.worker_id;
  END IF;
  IF v_rule.rate IS NOT NULL THEN
    v_tokens := howdah.tokens(why_gate.gate, v_rule);
    IF v_tokens < 1 THEN
      RETURN QUERY SELECT 'rate', format('the rate of %s is used up: %s every %s ms; the next token comes at %s', why_gate.gate, v_rule.rate, v_rule.rate_period_ms, howdah.at_text(n.at)),
          jsonb_build_object('gate', why_gate.gate, 'rate', v_rule.rate, 'rate_period_ms', v_rule.rate_period_ms, 'next_token_at', n.at)
        FROM (SELECT howdah.now() + make_interval(secs => (1 - v_tokens) * v_rule.rate_period_ms / v_rule.rate / 1000) AS at) n;
    END IF;
  END IF;
END $$;
-- howdah.why_no_worker(job, queue) -> setof (code, reason, evidence)
-- Whether there is a worker for a job, and if not, why those that there are do not take it: their queues, their kinds,
-- their filters. Internal to why. Reads: worker.
CREATE OR REPLACE FUNCTION howdah.why_no_worker(job howdah.job, queue text) RETURNS TABLE (code text, reason text, evidence jsonb)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  j        howdah.job := why_no_worker.job;
  v_all    text[];
  v_kind   text[];
  v_filter text[];
BEGIN
  SELECT array_agg(w.name ORDER BY w.id), array_agg(w.name ORDER BY w.id) FILTER (WHERE w.kinds IS NULL OR j.kind = ANY (w.kinds)),
         array_agg(w.name ORDER BY w.id) FILTER (WHERE (w.kinds IS NULL OR j.kind = ANY (w.kinds)) AND (w.filter IS NULL
           OR (coalesce(j.options -> 'attributes', '{}') @@ w.filter::jsonpath AND NOT coalesce(j.options ? 'fair_key', false))))
    INTO v_all, v_kind, v_filter FROM howdah.worker w WHERE why_no_worker.queue = ANY (w.queues) AND NOT w.stopping;
  IF v_all IS NULL THEN
    RETURN QUERY SELECT 'no_worker', format('no worker serves queue %s', why_no_worker.queue),
      jsonb_build_object('queue', why_no_worker.queue, 'workers', (SELECT count(*) FROM howdah.worker));
  ELSIF v_kind IS NULL THEN
    RETURN QUERY SELECT 'kind', format('no worker of queue %s has a handler for kind %s', why_no_worker.queue, j.kind),
      jsonb_build_object('queue', why_no_worker.queue, 'kind', j.kind, 'workers', to_jsonb(v_all[1:20]));
  ELSIF v_filter IS NULL THEN
    RETURN QUERY SELECT 'filter', format('the filters of all workers of queue %s exclude it', why_no_worker.queue)
        || CASE WHEN j.options ? 'fair_key' THEN ': a worker with a filter takes no job with a fair_key' ELSE '' END,
      jsonb_build_object('queue', why_no_worker.queue, 'workers', (
        SELECT jsonb_agg(jsonb_build_object('worker', w.name, 'filter', w.filter)) FROM (SELECT * FROM howdah.worker k WHERE k.name = ANY (v_kind) LIMIT 20) w));
  END IF;
END $$;
-- howdah.why_parents(job_id) -> setof (code, reason, evidence)
-- What a blocked job waits for: first the parents that have failed and hold it, with what can be done about that; 20 rows at
-- most, and how many more there are. Internal to why_deferred. Reads only.
CREATE OR REPLACE FUNCTION howdah.why_parents(job_id bigint) RETURNS TABLE (code text, reason text, evidence jsonb)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_count bigint := 0;
  p       record;
BEGIN
  FOR p IN SELECT o.*, coalesce(o.state, 'gone') AS now, coalesce(e.id, w.workflow_id) AS workflow_id,
                  CASE WHEN e.id IS NULL THEN 'job ' || o.parent_id ELSE format('workflow %s (%s)', e.id, e.name) END AS what
             FROM howdah.open_parents(why_parents.job_id) o LEFT JOIN howdah.workflow_job w ON w.job_id = o.parent_id
             LEFT JOIN howdah.workflow e ON e.end_id = o.parent_id
            ORDER BY NOT o.held, o.parent_id LOOP
    v_count := v_count + 1;
    CONTINUE WHEN v_count > 19;
    code := CASE WHEN p.held THEN 'held' ELSE 'dependency' END;
    evidence := jsonb_build_object('job_id', p.parent_id, 'state', p.state, 'workflow_id', p.workflow_id);
    reason := format('it waits for %s, which is %s', p.what, p.now);
    IF p.held THEN
      reason := format('%s, which it waits for, is %s: ', p.what, p.now)
        || CASE WHEN p.state = 'dead' THEN format('it goes on when that is run again (howdah.retry(%s)) and completes, or', p.parent_id)
                WHEN p.workflow_id IS NOT NULL THEN format('it goes on when that is run again (howdah.retry_workflow(%s)) and completes, or', p.workflow_id)
                ELSE 'that cannot be made good;' END
        || format(' let it go (howdah.unhold(%1$s)) or cancel it (howdah.cancel(%1$s))', why_parents.job_id);
    END IF;
    RETURN NEXT;
  END LOOP;
  IF v_count > 19 THEN
    RETURN QUERY SELECT 'dependency', format('it waits for %s more', v_count - 19), jsonb_build_object('more', v_count - 19);
  END IF;
END $$;
-- howdah.why_ready(job_id) -> setof (code, reason, evidence)
-- Why a job that is ready does not run yet: its queue, its workers, and who is in front of it. Internal to why. Reads only.
CREATE OR REPLACE FUNCTION howdah.why_ready(job_id bigint) RETURNS TABLE (code text, reason text, evidence jsonb)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  j         howdah.job;
  q         howdah.queue;
  v_rule    howdah.flow_rule;
  v_running bigint;
  v_workers text[];
  v_lane    text := (SELECT d.gate FROM howdah.deferred d WHERE d.first_id BETWEEN (why_ready.job_id >> 7 << 7) AND why_ready.job_id AND why_ready.job_id < d.first_id + d.jobs);
BEGIN
  SELECT * INTO j FROM howdah.find_job(why_ready.job_id);
  SELECT * INTO q FROM howdah.queue k WHERE k.id = j.queue_id;
  IF NOT FOUND THEN
    RETURN QUERY SELECT 'deleted', 'its queue was deleted: it will be cancelled', '{}'::jsonb;
    RETURN;
  END IF;
  IF q.paused_at IS NOT NULL THEN
    RETURN QUERY SELECT 'paused', format('queue %s is paused since %s by %s', q.name, howdah.at_text(q.paused_at), coalesce(q.paused_by, 'somebody')) || coalesce(': ' || q.pause_reason, ''),
      jsonb_build_object('queue', q.name, 'paused_at', q.paused_at, 'paused_by', q.paused_by, 'pause_reason', q.pause_reason);
  END IF;
  RETURN QUERY SELECT * FROM howdah.why_no_worker(j, q.name);
  v_rule := howdah.rule_of('queue:' || q.id);
  SELECT coalesce(sum((SELECT sum(c) FROM unnest(l.counts) c)), 0) INTO v_running FROM howdah.lease l WHERE l.queue_id = q.id;
  IF v_running >= v_rule.max_running THEN
    RETURN QUERY SELECT 'queue_limit', format('%s of %s jobs of queue %s run', v_running, v_rule.max_running, q.name),
      jsonb_build_object('queue', q.name, 'running', v_running, 'max_running', v_rule.max_running);
  END IF;
  RETURN QUERY SELECT CASE g.code WHEN 'rate' THEN 'queue_rate' ELSE g.code END, g.reason, g.evidence FROM howdah.why_gate('queue:' || q.id) g WHERE g.code = 'rate';
  IF v_lane IS NOT NULL THEN
    RETURN QUERY SELECT 'turn', format('it waits for the turn of %s, in a queue of shares', j.options ->> 'fair_key'), jsonb_build_object('fair_key', j.options ->> 'fair_key');
    RETURN;
  END IF;
  -- Counted in rows: a row stands for up to 128 jobs.
  RETURN QUERY
    SELECT 'behind', format('%s%s jobs are in front of it', CASE WHEN a.rows = 10000 THEN 'at least ' ELSE '' END, a.jobs)
           || CASE WHEN q.aging_ms IS NULL THEN '' ELSE format(' by priority, and it rises by one each %s ms', q.aging_ms) END, jsonb_build_object('jobs', a.jobs, 'exact', a.rows < 10000)
      FROM (SELECT count(*) AS rows, sum(CASE WHEN t.priority = j.priority THEN least(t.jobs, j.id - t.first_id) ELSE t.jobs END) AS jobs FROM (
              SELECT k.priority, k.first_id, k.jobs FROM howdah.ticket k
               WHERE k.queue_id = j.queue_id AND (k.priority < j.priority OR (k.priority = j.priority AND k.first_id < j.id))
               LIMIT 10000) t) a WHERE a.jobs > 0;
  RETURN QUERY SELECT 'busy', format('the workers of queue %s run %s jobs of it, and take this one when one of them has a free slot', q.name, v_running), jsonb_build_object('queue', q.name, 'running', v_running)
    WHERE v_running > 0 AND NOT EXISTS (SELECT FROM howdah.sleeper s WHERE s.queue_id = q.id);
  RETURN QUERY SELECT 'soon', 'a worker of its queue waits for work: it should start at any moment', '{}'::jsonb
    WHERE EXISTS (SELECT FROM howdah.sleeper s WHERE s.queue_id = q.id) AND q.paused_at IS NULL;
END $$;
-- howdah.attach_session(worker_id) -> boolean
-- Says that the calling session stays open for as long as the worker lives. When it has ended and a heartbeat
-- was missed, the worker is dead, and nobody waits for its lease to run out. Call it from a direct connection
-- only: behind a pooler the session is not the worker's own.
-- Returns false if the worker is not registered. Writes: worker. Errors: none.
CREATE OR REPLACE FUNCTION howdah.attach_session(worker_id bigint) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  UPDATE howdah.worker w SET backend_pid = a.pid, backend_start = a.backend_start
    FROM pg_stat_activity a WHERE a.pid = pg_backend_pid() AND w.id = attach_session.worker_id;
  RETURN FOUND;
END $$;
-- howdah.disown(worker_id, known, older_ms) -> integer
-- Gives back every lease of a worker that it does not know of: claims whose answer never reached it. The
-- attempts do not count. Without this they would be held for as long as the worker lives.
--   known     the leases that it does know of
--   older_ms  only leases claimed longer ago than this: claims that may still be on their way are left alone
-- Returns how many jobs that were. Writes: lease, ticket. Locks: lease rows; passes those by that somebody holds, for the next
-- time: the session that asks is the one that heartbeats. Errors: HD012 the transaction is not READ COMMITTED.
CREATE OR REPLACE FUNCTION howdah.disown(worker_id bigint, known bigint[], older_ms integer DEFAULT 0) RETURNS integer
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  v_lease bigint;
  v_jobs  integer := 0;
BEGIN
  FOR v_lease IN SELECT l.id FROM howdah.lease l
     WHERE l.worker_id = disown.worker_id AND l.id <> ALL (disown.known)
       AND l.claimed_at < howdah.now() - make_interval(secs => disown.older_ms / 1000.0) ORDER BY l.id FOR UPDATE SKIP LOCKED
  LOOP
    v_jobs := v_jobs + (SELECT count(*) FROM howdah.release(v_lease));
  END LOOP;
  RETURN v_jobs;
END $$;
-- howdah.fall_asleep(worker_id, queue_ids) -> void
-- Announces that a worker waits to be notified of new jobs in these queues. It must look once more after
-- the commit of this, and again a few times: an enqueuer that looked before will not notify. A queue that was deleted
-- is passed by: whoever serves one of its name listens on howdah.queues, and announces itself again when one is made.
-- A worker that was given up announces nothing: nobody would take it back. Writes: sleeper. Errors: none.
CREATE OR REPLACE FUNCTION howdah.fall_asleep(worker_id bigint, queue_ids integer[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM set_config('synchronous_commit', 'off', true);
  INSERT INTO howdah.sleeper (queue_id, worker_id)
    SELECT q.id, w.id FROM howdah.queue q, howdah.worker w WHERE q.id = ANY (fall_asleep.queue_ids) AND w.id = fall_asleep.worker_id
    ON CONFLICT DO NOTHING;
END $$;
-- howdah.heartbeat(worker_id) -> (alive, keeper_vacant, cancelled, robbed, timeouts, told)
-- Keeps the leases of a worker. Call it every heartbeat_ms.
--   alive          false: the worker was given up and its jobs are with others; it must register again
--   keeper_vacant  nobody does the chores at the moment: see howdah.elect_keeper
--   cancelled      running jobs of this worker that somebody wants to be cancelled, in the attempt that it has
--   robbed         how often it has lost some of its jobs, whose leases are shorter than the others', while it was
--                  silent. When the number has grown, ask howdah.lost which ones they are.
--   timeouts       how long attempts may take: see howdah.timeouts
--   told           quiet: claim no more; stop: end gracefully; see howdah.tell_worker. NULL: work
-- Writes: worker. Errors: none.
CREATE OR REPLACE FUNCTION howdah.heartbeat(worker_id bigint, OUT alive boolean, OUT keeper_vacant boolean, OUT cancelled bigint[],
  OUT robbed integer, OUT timeouts jsonb, OUT told text)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
  UPDATE howdah.worker w SET heartbeat_at = howdah.now() WHERE w.id = heartbeat.worker_id
    RETURNING w.robbed, howdah.timeouts(w.queues), w.told INTO robbed, timeouts, told;
  alive := FOUND;
  keeper_vacant := howdah.keeper_vacant();
  -- A wish that is left over must not end a later attempt: somebody may have sent the job again after it.
  SELECT coalesce(array_agg(c.job_id), '{}') INTO cancelled FROM howdah.cancel_request c
   WHERE c.worker_id = heartbeat.worker_id AND howdah.holds(c.lease_id, c.job_id);
END $$;
-- howdah.lost(lease_ids, job_ids) -> (lease_id, job_id)
-- Which of these jobs are not held by these leases any more: what a worker asks that was robbed (see heartbeat). The
-- arrays run in parallel. Jobs that have ended are among them.
-- Reads: lease, settled, worker. Locks: none. Errors: none.
CREATE OR REPLACE FUNCTION howdah.lost(lease_ids bigint[], job_ids bigint[]) RETURNS TABLE (lease_id bigint, job_id bigint)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN QUERY SELECT u.l, u.j FROM unnest(lost.lease_ids, lost.job_ids) u(l, j) WHERE NOT howdah.holds(u.l, u.j);
END $$;
-- howdah.start_worker(name, lease_ms, heartbeat_ms, queues, kinds, version, filter) -> bigint
-- Registers a worker process and gives its id, which claims and heartbeats name.
--   lease_ms      how long after its last heartbeat its jobs are given to others; 100 to 86400000
--   heartbeat_ms  how often it means to call howdah.heartbeat; at most half of lease_ms
--   queues, kinds, version, filter  for people to see, and for howdah.why; filter: see howdah.check_filter
-- Writes: worker; creates queues that do not exist. Errors: HD002 invalid argument.
CREATE OR REPLACE FUNCTION howdah.start_worker(name text, lease_ms integer DEFAULT 20000, heartbeat_ms integer DEFAULT 2000,
  queues text[] DEFAULT '{}', kinds text[] DEFAULT NULL, version text DEFAULT NULL, filter text DEFAULT NULL)
RETURNS bigint LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  v_id bigint;
BEGIN
  IF start_worker.lease_ms IS NULL OR start_worker.lease_ms NOT BETWEEN 100 AND 86400000 THEN
    RAISE EXCEPTION 'lease_ms must be 100 to 86400000, not %', coalesce(start_worker.lease_ms::text, 'NULL') USING ERRCODE = 'HD002', COLUMN = 'lease_ms';
  END IF;
  IF start_worker.heartbeat_ms IS NULL OR start_worker.heartbeat_ms < 10 OR start_worker.heartbeat_ms > start_worker.lease_ms / 2 THEN
    RAISE EXCEPTION 'heartbeat_ms must be 10 to half of lease_ms, not %', coalesce(start_worker.heartbeat_ms::text, 'NULL') USING ERRCODE = 'HD002', COLUMN = 'heartbeat_ms';
  END IF;
  IF start_worker.name IS NULL OR octet_length(start_worker.name) NOT BETWEEN 1 AND 256 THEN
    RAISE EXCEPTION 'name must be 1 to 256 bytes' USING ERRCODE = 'HD002', COLUMN = 'name';
  END IF;
  IF cardinality(start_worker.queues) > 10000 THEN
    PERFORM howdah.option_refused('queues', 'must be at most 10000');
  ELSIF cardinality(start_worker.kinds) > 10000 OR octet_length(array_to_string(start_worker.kinds, '')) > 1048576 THEN
    PERFORM howdah.option_refused('kinds', 'must be at most 10000, of 1 MiB together');
  ELSIF octet_length(start_worker.version) > 128 THEN
    PERFORM howdah.option_refused('version', 'must be at most 128 bytes');
  END IF;
  IF start_worker.filter IS NOT NULL THEN
    PERFORM howdah.check_filter(start_worker.filter);
  END IF;
  PERFORM howdah.create_queue(q) FROM unnest(start_worker.queues) q;
  INSERT INTO howdah.worker (name, started_at, heartbeat_at, heartbeat_ms, lease_ms, queues, kinds, version, filter)
    VALUES (start_worker.name, howdah.now(), howdah.now(), start_worker.heartbeat_ms, start_worker.lease_ms,
            start_worker.queues, start_worker.kinds, start_worker.version, start_worker.filter)
    RETURNING id INTO v_id;
  RETURN v_id;
END $$;
-- howdah.stay_awake(worker_id, queue_ids) -> void
-- Takes the announcement of fall_asleep back: the worker looks by itself, and enqueuers need not notify.
-- Writes: sleeper. Errors: none.
CREATE OR REPLACE FUNCTION howdah.stay_awake(worker_id bigint, queue_ids integer[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM set_config('synchronous_commit', 'off', true);
  DELETE FROM howdah.sleeper s WHERE s.worker_id = stay_awake.worker_id AND s.queue_id = ANY (stay_awake.queue_ids);
END $$;
-- howdah.stop_worker(worker_id) -> integer
-- Unregisters a worker. What it still holds is given back, with the attempt counted: a worker that has
-- finished properly holds nothing. Returns how many jobs that were.
-- Writes: worker, sleeper, lease, ticket. Errors: none, also for one that is not registered.
CREATE OR REPLACE FUNCTION howdah.stop_worker(worker_id bigint) RETURNS integer
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN howdah.rescue_worker(stop_worker.worker_id, 'worker_stopped', 'the worker stopped before the job had finished');
END $$;
-- howdah.tell_worker(worker_id, what) -> boolean
-- Tells a worker process something, which it hears with its next heartbeat, or at once if it listens:
--   quiet  claim no more jobs, and stay: what it has goes on
--   stop   end gracefully, as by SIGTERM: claim no more, finish what runs within the grace period, leave. Whoever started the process
--          may start it again
--   work   claim again (after quiet; one that was told to stop goes on stopping)
-- Workers in plain SQL are told the same by howdah.heartbeat, and do as they like.
-- Returns false if there is no such worker. Writes: worker, command. Errors: HD002 invalid argument.
CREATE OR REPLACE FUNCTION howdah.tell_worker(worker_id bigint, what text) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_known boolean;
BEGIN
  IF tell_worker.what IS NULL OR tell_worker.what NOT IN ('quiet', 'stop', 'work') THEN
    PERFORM howdah.option_refused('what', 'must be quiet, stop or work');
  END IF;
  UPDATE howdah.worker w SET told = CASE WHEN w.told = 'stop' THEN 'stop' ELSE nullif(tell_worker.what, 'work') END,
         stopping = tell_worker.what <> 'work' OR w.told IS NOT DISTINCT FROM 'stop'
   WHERE w.id = tell_worker.worker_id;
  v_known := FOUND;
  IF v_known THEN
    PERFORM pg_notify('howdah.cancel', tell_worker.worker_id::text);
    PERFORM howdah.note('tell_worker', jsonb_build_object('worker', tell_worker.worker_id, 'what', tell_worker.what));
  END IF;
  RETURN v_known;
END $$;
-- howdah.timeouts(queues) -> jsonb
-- What is set of queues and kinds about how long an attempt may take: {"queues": {name: ms}, "kinds": {name: ms}}, for
-- these queues and for all kinds. NULL if nothing is set. Internal to workers, which hear of it with each heartbeat.
-- Reads: queue, kind. Errors: none.
CREATE OR REPLACE FUNCTION howdah.timeouts(queues text[]) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_queues jsonb := (SELECT jsonb_object_agg(q.name, q.timeout_ms) FROM howdah.queue q WHERE q.timeout_ms IS NOT NULL AND q.name = ANY (timeouts.queues));
  v_kinds  jsonb := (SELECT jsonb_object_agg(k.name, k.timeout_ms) FROM howdah.kind k WHERE k.timeout_ms IS NOT NULL);
BEGIN
  IF v_queues IS NULL AND v_kinds IS NULL THEN
    RETURN NULL;
  END IF;
  RETURN jsonb_build_object('queues', coalesce(v_queues, '{}'), 'kinds', coalesce(v_kinds, '{}'));
END $$;
-- howdah.add_to_workflow(workflow_id, jobs) -> integer
-- Adds nodes to a workflow, in the caller's transaction, as one of its handlers does, say; all or none. Returns how many jobs.
--   jobs  as for howdah.enqueue_workflow; depends_on may name jobs that the workflow has already
-- Callbacks, and whoever waits for the workflow, wait for the new jobs too.
-- Writes: see enqueue_workflow. Locks: the workflow's row, and those of its callbacks; if the new jobs wait for any outside of the
-- workflow, see insert_nodes.
-- Errors: as enqueue_workflow; HD002 with COLUMN workflow_id: there is none; HD007: it was cancelled, or a callback does not
-- wait any more; HD012 the transaction is not READ COMMITTED.
CREATE OR REPLACE FUNCTION howdah.add_to_workflow(workflow_id bigint, jobs jsonb) RETURNS integer
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_old   howdah.workflow := howdah.lock_workflow(add_to_workflow.workflow_id);
  v_count integer;
  v_new   bigint[];
  c       record;
  w       record;
  j       howdah.job;
BEGIN
  IF v_old.cancelled_at IS NOT NULL THEN
    RAISE EXCEPTION 'workflow % was cancelled and takes no more jobs', add_to_workflow.workflow_id
      USING ERRCODE = 'HD007', COLUMN = 'workflow_id', HINT = 'Run it again: SELECT howdah.retry_workflow(id)';
  END IF;
  -- Whose row is locked is not let go, and the keeper looks at it again.
  FOR c IN SELECT * FROM howdah.workflow_callbacks(add_to_workflow.workflow_id) LOOP
    w := howdah.single_out(c.job_id);
    IF w.gate IS DISTINCT FROM 'dependencies' THEN
      RAISE EXCEPTION 'workflow % has come to its end: its % does not wait any more', add_to_workflow.workflow_id, c.name
        USING ERRCODE = 'HD007', COLUMN = 'workflow_id', HINT = 'Add jobs while others of it have not ended, such as from one of its handlers.';
    END IF;
  END LOOP;
  v_new := ARRAY(SELECT k.job_id FROM howdah.workflow_job k WHERE k.workflow_id = add_to_workflow.workflow_id);
  v_count := howdah.insert_nodes(add_to_workflow.workflow_id, add_to_workflow.jobs);
  v_new := ARRAY(SELECT k.job_id FROM howdah.workflow_job k WHERE k.workflow_id = add_to_workflow.workflow_id AND k.job_id NOT IN (SELECT u FROM unnest(v_new) u));
  FOR c IN SELECT * FROM howdah.workflow_callbacks(add_to_workflow.workflow_id) LOOP
    SELECT * INTO j FROM howdah.find_job(c.job_id);
    j.options := j.options || jsonb_build_object('depends_on', (j.options -> 'depends_on') || to_jsonb(v_new));
    PERFORM howdah.rewrite_job(j), howdah.wait_for_parents(ARRAY[c.job_id], v_new, j.options ->> 'on_parent_failure');
  END LOOP;
  RETURN v_count;
END $$;
-- howdah.callback_node(name, node, parents, on_failure) -> jsonb
-- The nodes that a callback of a workflow comes to: one that waits for all the others, or none. Internal to enqueue_workflow.
-- Errors: HD002 (invalid argument) with the callback in COLUMN.
CREATE OR REPLACE FUNCTION howdah.callback_node(name text, node jsonb, parents jsonb, on_failure text) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF callback_node.node IS NULL THEN
    RETURN '[]';
  END IF;
  IF jsonb_typeof(callback_node.node) <> 'object' OR callback_node.node ?| '{name,jobs,depends_on,on_parent_failure}' THEN
    PERFORM howdah.option_refused(callback_node.name, 'must be an object such as {"kind": "tell"}, without name, jobs, depends_on and on_parent_failure');
  END IF;
  RETURN jsonb_build_array(callback_node.node || jsonb_build_object('name', callback_node.name, 'depends_on', callback_node.parents,
    'on_parent_failure', callback_node.on_failure));
END $$;
-- howdah.cancel_workflow(workflow_id) -> (cancelled, cancelling)
-- Cancels all jobs of a workflow that have not ended, its callbacks too; it takes no more jobs then.
--   cancelled   how many waited, and will certainly not run
--   cancelling  how many run: their workers are told, as by howdah.cancel
-- Writes: workflow, command, and see cancel_many. Locks: the workflow's row, and see cancel_many.
-- Errors: HD002 with COLUMN workflow_id: there is none; HD012 the transaction is not READ COMMITTED.
CREATE OR REPLACE FUNCTION howdah.cancel_workflow(workflow_id bigint, OUT cancelled bigint, OUT cancelling bigint)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  v_ids  bigint[];
  v_part bigint[];
  v_next bigint;
  v_upto bigint;
  s      record;
BEGIN
  PERFORM howdah.lock_workflow(cancel_workflow.workflow_id);
  UPDATE howdah.workflow w SET cancelled_at = coalesce(w.cancelled_at, howdah.now()) WHERE w.id = cancel_workflow.workflow_id;
  v_ids := ARRAY(SELECT k.job_id FROM howdah.workflow_job k WHERE k.workflow_id = cancel_workflow.workflow_id ORDER BY k.job_id);
  cancelled := - (SELECT count(*) FROM howdah.states_of(v_ids) x WHERE x.state = 'cancelled');
  cancelling := 0;
  FOR v_from IN 0 .. (cardinality(v_ids) - 1) / 10000 LOOP
    v_part := v_ids[v_from * 10000 + 1 : v_from * 10000 + 10000];
    v_next := 0;
    v_upto := NULL;
    WHILE v_next IS NOT NULL LOOP
      SELECT * INTO s FROM howdah.cancel_many(ids => v_part, most => 10000, after => v_next, upto => v_upto);
      cancelling := cancelling + s.cancelling;
      v_next := s.next;
      v_upto := s.upto;
    END LOOP;
  END LOOP;
  -- With what was cancelled because of another that was.
  cancelled := cancelled + (SELECT count(*) FROM howdah.states_of(v_ids) x WHERE x.state = 'cancelled');
  PERFORM howdah.note('cancel_workflow', jsonb_build_object('workflow', cancel_workflow.workflow_id), changed => cancelled + cancelling);
END $$;
-- howdah.check_nodes(jobs) -> void
-- Refuses nodes of a workflow that make no sense by themselves; what they wait for is looked at by node_edges. Internal.
-- Errors: HD002 (invalid argument) with COLUMN jobs and the node's name, or with the field as for howdah.enqueue.
CREATE OR REPLACE FUNCTION howdah.check_nodes(jobs jsonb) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_paths  text[];
  v_specs  jsonb[];
  v_leaves boolean[];
  v_nodes  bigint;
  b        record;
BEGIN
  IF jsonb_typeof(check_nodes.jobs) IS DISTINCT FROM 'array' THEN
    PERFORM howdah.option_refused('jobs', 'must be a JSON array of nodes');
  END IF;
  SELECT array_agg(f.path ORDER BY f.n), array_agg(f.spec ORDER BY f.n), array_agg(f.leaf ORDER BY f.n), count(*) INTO v_paths, v_specs, v_leaves, v_nodes
    FROM howdah.flatten_nodes(check_nodes.jobs) f;
  IF v_nodes NOT BETWEEN 1 AND 10000 THEN
    PERFORM howdah.option_refused('jobs', format('must be 1 to 10000 nodes, not %s: add the rest with howdah.add_to_workflow', v_nodes));
  END IF;
  SELECT f.path, f.spec INTO b FROM unnest(v_paths, v_specs) WITH ORDINALITY f(path, spec, n)
   WHERE jsonb_typeof(f.spec) <> 'object' OR jsonb_typeof(f.spec -> 'name') IS DISTINCT FROM 'string' OR f.path IS NULL
      OR octet_length(f.spec ->> 'name') NOT BETWEEN 1 AND 200 OR f.spec ->> 'name' ~ '[[:cntrl:]/]' ORDER BY f.n LIMIT 1;
  IF FOUND THEN
    PERFORM howdah.node_refused(b.path, 'must be an object with a name of 1 to 200 bytes without / and control characters');
  END IF;
  SELECT f.path INTO b FROM unnest(v_paths) WITH ORDINALITY f(path, n) GROUP BY f.path HAVING count(*) > 1 ORDER BY min(f.n) LIMIT 1;
  IF FOUND THEN
    PERFORM howdah.node_refused(b.path, 'there are two of this name');
  END IF;
  SELECT f.path, k.key INTO b FROM unnest(v_paths, v_specs, v_leaves) WITH ORDINALITY f(path, spec, leaf, n), jsonb_each(f.spec) k
   WHERE k.key <> ALL (CASE WHEN f.leaf THEN '{name,kind,payload,queue,priority,run_at,delay_ms,max_attempts,options,depends_on,on_parent_failure}'::text[]
                            ELSE '{name,jobs,depends_on,on_parent_failure}' END)
      OR (k.key IN ('jobs', 'depends_on') AND jsonb_typeof(k.value) <> 'array') OR (k.key IN ('kind', 'queue') AND jsonb_typeof(k.value) <> 'string')
      OR CASE WHEN k.key NOT IN ('priority', 'max_attempts') THEN false WHEN jsonb_typeof(k.value) <> 'number' THEN true
              ELSE (k.value #>> '{}')::numeric NOT BETWEEN -1 AND 1001 OR scale((k.value #>> '{}')::numeric) > 0 END
      OR (k.key = 'on_parent_failure' AND k.value NOT IN ('"cancel"', '"run"', '"hold"'))
      OR (k.key = 'options' AND (jsonb_typeof(k.value) <> 'object' OR k.value ?| '{id,unique,depends_on,on_parent_failure}'))
   ORDER BY f.n LIMIT 1;
  IF FOUND THEN
    PERFORM howdah.node_refused(b.path, format('%s is not what it can be. A node has name, kind, payload, queue, priority, run_at, delay_ms, max_attempts, '
      'options (but id and unique), depends_on, on_parent_failure (cancel, run or hold); a group has name, jobs, depends_on, on_parent_failure', quote_literal(b.key)));
  END IF;
  -- Most nodes are alike in all but their names and payloads.
  PERFORM CASE WHEN d.delay IS NOT NULL THEN howdah.check_number('delay_ms', d.delay, 0, 3155760000000) END,
          howdah.check_job(d.kind, coalesce(d.priority, 5), CASE WHEN d.run_at IS NOT NULL THEN howdah.as_time('run_at', d.run_at) END,
            make_interval(secs => (d.delay #>> '{}')::float8 / 1000), d.attempts, d.options)
     FROM (SELECT DISTINCT f.spec ->> 'kind' AS kind, (f.spec ->> 'priority')::integer AS priority, f.spec -> 'run_at' AS run_at, f.spec -> 'delay_ms' AS delay,
                  (f.spec ->> 'max_attempts')::integer AS attempts, f.spec -> 'options' AS options
             FROM unnest(v_specs, v_leaves) f(spec, leaf) WHERE f.leaf) d;
END $$;
-- howdah.end_failed(job_ids) -> void
-- Ends those of these jobs that are the ends of workflows of which something has failed and nothing is left to wait for. Internal to
-- look_at_parents: what fails with them is the keeper's work, or a chain of workflows would go as deep as it is long.
-- Writes: failed_parent, dependency, deferred, and see end_workflows. Locks: rows of deferred, skipping what others have. Errors: none.
CREATE OR REPLACE FUNCTION howdah.end_failed(job_ids bigint[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_ids bigint[] := ARRAY(
    SELECT k.first_id FROM howdah.deferred k WHERE k.first_id = ANY (end_failed.job_ids) AND k.gate = 'dependencies'
       AND EXISTS (SELECT FROM howdah.failed_parent p WHERE p.job_id = k.first_id) FOR UPDATE SKIP LOCKED);
BEGIN
  IF v_ids = '{}' THEN
    RETURN;
  END IF;
  -- What has failed may have been sent again by somebody who did not see that this waits for it.
  WITH again AS (
    DELETE FROM howdah.failed_parent p USING howdah.states_of(ARRAY(SELECT x.parent_id FROM howdah.failed_parent x WHERE x.job_id = ANY (v_ids))) s
     WHERE p.job_id = ANY (v_ids) AND s.job_id = p.parent_id AND s.state NOT IN ('dead', 'cancelled', 'expired')
    RETURNING p.job_id, p.parent_id, s.state)
  INSERT INTO howdah.dependency (parent_id, job_id, on_failure)
  SELECT a.parent_id, a.job_id, 'note' FROM again a WHERE a.state <> 'completed' ON CONFLICT DO NOTHING;
  -- Whoever had them before may have given them more to wait for: a statement that begins now sees it.
  WITH gone AS (
    DELETE FROM howdah.deferred d WHERE d.first_id = ANY (v_ids) AND NOT EXISTS (SELECT FROM howdah.dependency x WHERE x.job_id = d.first_id)
    RETURNING d.first_id)
  SELECT array_agg(g.first_id) INTO v_ids FROM gone g;
  PERFORM howdah.end_workflows(v_ids);
END $$;
-- howdah.end_workflows(job_ids) -> void
-- Ends the jobs that stand for the ends of workflows (see workflow_end): the caller has taken them from where they waited, and
-- they wait for nothing any more. Internal to let_go and end_failed. Writes: receipt, signal, and see write_receipt.
CREATE OR REPLACE FUNCTION howdah.end_workflows(job_ids bigint[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_state text;
  e       record;
BEGIN
  FOR e IN SELECT f.id, f.queue_id, f.payload -> 'name' AS name, (f.options ->> 'ends_workflow')::bigint AS workflow_id,
                  EXISTS (SELECT FROM howdah.failed_parent p WHERE p.job_id = f.id) AS failed
             FROM howdah.find_jobs(end_workflows.job_ids) f ORDER BY f.id LOOP
    PERFORM howdah.write_receipt(CASE WHEN e.failed THEN 2 ELSE 1 END, e.queue_id, NULL, NULL, ARRAY[e.id], '{0}');
    v_state := 'completed';
    IF e.failed THEN
      -- What has failed may be history already.
      v_state := coalesce((SELECT w.state FROM howdah.workflows w WHERE w.id = e.workflow_id AND w.state <> 'completed'), 'failed');
    END IF;
    PERFORM howdah.withdraw_signal('workflow ' || e.workflow_id),
            howdah.send_signal('workflow ' || e.workflow_id, jsonb_build_object('workflow', e.workflow_id, 'name', e.name, 'state', v_state));
  END LOOP;
END $$;
-- howdah.enqueue_workflow(name, jobs, on_complete, on_end) -> bigint
-- Enqueues a named graph of jobs in the caller's transaction, all or none, and returns the number of the workflow.
--   name  1 to 256 bytes, for people; it need not be unique
--   jobs  an array of 1 to 10,000 nodes. A node is an object with
--           name   1 to 200 bytes without /, unique among its siblings
--           kind, payload, queue, priority, run_at, delay_ms, max_attempts, options: as for howdah.enqueue
--           depends_on  names of other nodes in any order, or ids of any jobs: it is blocked until they have ended;
--                       {"workflow": id} is all jobs of another workflow, see workflow_end
--           on_parent_failure  cancel (default), run or hold: see howdah.check_options
--         or a group: name, jobs (nodes again), depends_on and on_parent_failure for all in it. Whoever names the group waits for
--         all that is in it; its nodes see their siblings by their names, and are called group/name elsewhere
--   on_complete  a node (without name and depends_on) that runs when all the others have completed, and is cancelled if one fails
--   on_end       one that runs when all the others have ended, however
-- A batch is a workflow in which nothing depends on anything.
-- Writes: workflow, workflow_job, job, ticket, deferred, dependency, expiry, second_look. Locks: as howdah.enqueue.
-- Errors: HD001 unknown queue; HD002 invalid argument: COLUMN jobs with the name of the node, or of all in a circle; HD005.
-- Cost: a few statements; two index entries for each pair of jobs that wait for each other.
CREATE OR REPLACE FUNCTION howdah.enqueue_workflow(name text, jobs jsonb, on_complete jsonb DEFAULT NULL, on_end jsonb DEFAULT NULL) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  v_id    bigint;
  v_all   jsonb;
  v_nodes jsonb := enqueue_workflow.jobs;
BEGIN
  IF enqueue_workflow.name IS NULL OR octet_length(enqueue_workflow.name) NOT BETWEEN 1 AND 256 OR enqueue_workflow.name ~ '[[:cntrl:]]' THEN
    PERFORM howdah.option_refused('name', format('must be 1 to 256 bytes without control characters, not %s',
      coalesce(octet_length(enqueue_workflow.name)::text, 'NULL')));
  END IF;
  IF enqueue_workflow.on_complete IS NOT NULL OR enqueue_workflow.on_end IS NOT NULL THEN
    PERFORM howdah.check_nodes(v_nodes);
    SELECT jsonb_agg(DISTINCT n -> 'name') INTO v_all FROM jsonb_array_elements(v_nodes) n;
    v_nodes := v_nodes || howdah.callback_node('on_complete', enqueue_workflow.on_complete, v_all, 'cancel')
                       || howdah.callback_node('on_end', enqueue_workflow.on_end, v_all, 'run');
  END IF;
  INSERT INTO howdah.workflow (name, created_at, prune_at)
    SELECT enqueue_workflow.name, n.now, n.now + howdah.longest_retention() FROM howdah.now() n(now) RETURNING id INTO v_id;
  PERFORM howdah.insert_nodes(v_id, v_nodes, CASE WHEN enqueue_workflow.on_complete IS NOT NULL THEN '{on_complete}'::text[] ELSE '{}' END
                                          || CASE WHEN enqueue_workflow.on_end IS NOT NULL THEN '{on_end}'::text[] ELSE '{}' END);
  RETURN v_id;
END $$;
-- howdah.flatten_nodes(jobs) -> (n, path, chain, scopes, spec, leaf, on_failure)
-- The nodes of a workflow as they were given, in order, with those inside of groups (nodes with `jobs` of their own).
--   path    its name, behind those of the groups that it is in: group/name
--   chain   the paths of those groups and its own
--   scopes  what may stand before a name in its depends_on, the innermost first: group/, then nothing
--   leaf    it is a job, and no group
--   on_failure  its on_parent_failure, or that of the innermost group that has one, or cancel
-- Internal to insert_nodes. Reads nothing. Errors: none.
CREATE OR REPLACE FUNCTION howdah.flatten_nodes(jobs jsonb)
RETURNS TABLE (n bigint, path text, chain text[], scopes text[], spec jsonb, leaf boolean, on_failure text) LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp SET jit = off AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
    WITH RECURSIVE node(place, path, chain, scopes, spec, on_failure) AS (
      SELECT ARRAY[e.n], e.spec ->> 'name', ARRAY[e.spec ->> 'name'], '{""}'::text[], e.spec, coalesce(e.spec ->> 'on_parent_failure', 'cancel')
        FROM jsonb_array_elements(flatten_nodes.jobs) WITH ORDINALITY e(spec, n)
      UNION ALL
      SELECT p.place || e.n, p.path || '/' || (e.spec ->> 'name'), p.chain || (p.path || '/' || (e.spec ->> 'name')), (p.path || '/') || p.scopes, e.spec,
             coalesce(e.spec ->> 'on_parent_failure', p.on_failure)
        FROM node p, jsonb_array_elements(p.spec -> 'jobs') WITH ORDINALITY e(spec, n)
       WHERE jsonb_typeof(p.spec -> 'jobs') = 'array' AND cardinality(p.place) < 20)
    SELECT row_number() OVER (ORDER BY d.spec ? 'jobs', d.place), d.path, d.chain, d.scopes, d.spec, NOT d.spec ? 'jobs', d.on_failure FROM node d ORDER BY 1;
END $$;
-- howdah.insert_node_jobs(now, specs, children, parents, outside) -> bigint[]
-- Writes what was asked for with each node of a workflow. Returns the ids of the jobs, in order. Internal to insert_nodes.
-- Writes: job, expiry, ordered. Locks: those of bounded queues, see make_room. Errors: HD001, HD002 with COLUMN payload, HD005.
CREATE OR REPLACE FUNCTION howdah.insert_node_jobs(now timestamptz, specs jsonb[], children bigint[], parents bigint[], outside bigint[])
RETURNS bigint[] LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_count  integer := cardinality(insert_node_jobs.specs);
  v_blocks bigint[];
  v_ids    bigint[];
  v_queue  text;
  v_size   integer;
BEGIN
  SELECT n.queue INTO v_queue FROM (SELECT DISTINCT coalesce(s ->> 'queue', 'default') AS queue FROM unnest(insert_node_jobs.specs) s) n
   WHERE NOT EXISTS (SELECT FROM howdah.queue q WHERE q.name = n.queue) LIMIT 1;
  IF FOUND THEN
    PERFORM howdah.unknown_queue(v_queue);
  END IF;
  PERFORM howdah.make_room(o.queue, o.jobs::integer)
     FROM (SELECT q AS queue, (SELECT count(*) FROM unnest(insert_node_jobs.specs) s WHERE coalesce(s ->> 'queue', 'default') = q.name) AS jobs
             FROM howdah.queue q WHERE q.max_jobs IS NOT NULL ORDER BY q.id) o WHERE o.jobs > 0;
  SELECT array_agg(nextval('howdah.block_seq') << 7) INTO v_blocks FROM generate_series(1, (v_count + 127) / 128);
  v_ids := ARRAY(SELECT v_blocks[(n >> 7) + 1] + (n & 127) FROM generate_series(0, v_count - 1) n ORDER BY n);
  WITH waits AS (
    SELECT e.child, jsonb_agg(coalesce(v_ids[e.parent], e.parent_id)) AS parents
      FROM unnest(insert_node_jobs.children, insert_node_jobs.parents, insert_node_jobs.outside) e(child, parent, parent_id) GROUP BY e.child),
  inserted AS (
    INSERT INTO howdah.job (id, enqueued_at, queue_id, priority, max_attempts, kind, payload, options)
    SELECT v_ids[u.n], insert_node_jobs.now, q.id, coalesce((u.spec ->> 'priority')::integer, 5), coalesce((u.spec ->> 'max_attempts')::integer, q.max_attempts),
           u.spec ->> 'kind', coalesce(u.spec -> 'payload', '{}'),
           nullif(coalesce(CASE WHEN u.spec ? 'options' THEN howdah.stored_options(u.spec -> 'options', insert_node_jobs.now) END, '{}')
             || CASE WHEN w.parents IS NOT NULL THEN jsonb_build_object('depends_on', w.parents, 'on_parent_failure', u.spec ->> 'on_parent_failure') ELSE '{}' END
             || CASE WHEN w.parents IS NOT NULL AND d.at IS NOT NULL THEN jsonb_build_object('due_at', d.at) ELSE '{}' END, '{}')
      FROM unnest(insert_node_jobs.specs) WITH ORDINALITY u(spec, n) JOIN howdah.queue q ON q.name = coalesce(u.spec ->> 'queue', 'default')
      LEFT JOIN waits w ON w.child = u.n, LATERAL (SELECT howdah.node_due(u.spec, insert_node_jobs.now) AS at) d
    RETURNING id, queue_id, pg_column_size(payload) AS bytes, (options ->> 'expires_at')::timestamptz AS expires_at),
  expires AS (
    INSERT INTO howdah.expiry (job_id, expires_at) SELECT i.id, i.expires_at FROM inserted i WHERE i.expires_at IS NOT NULL)
  SELECT q.name, i.bytes INTO v_queue, v_size FROM inserted i JOIN howdah.queue q ON q.id = i.queue_id WHERE i.bytes > q.max_payload_bytes LIMIT 1;
  IF FOUND THEN
    PERFORM howdah.payload_refused(v_queue, v_size, (SELECT q.max_payload_bytes FROM howdah.queue q WHERE q.name = v_queue));
  END IF;
  PERFORM howdah.join_orders(ARRAY(SELECT v_ids[u.n] FROM unnest(insert_node_jobs.specs) WITH ORDINALITY u(spec, n) WHERE u.spec -> 'options' ? 'order_key'));
  RETURN v_ids;
END $$;
-- howdah.insert_nodes(workflow_id, jobs, callbacks) -> integer
-- Enqueues the nodes of a workflow, all or none, and returns how many jobs that are. callbacks: names of nodes that wait for all the
-- others, for good: see add_to_workflow. Internal to enqueue_workflow and add_to_workflow.
-- Writes: job, workflow_job, ticket, deferred, dependency, expiry, second_look. Locks: as howdah.enqueue. If these are added to
-- a workflow with callbacks, or that somebody waits for, and wait for jobs outside of it: the advisory lock of add_dependency.
-- Errors: HD001, HD002, HD005: see enqueue_workflow. Cost: of nodes and pairs; a few statements, however many they are.
CREATE OR REPLACE FUNCTION howdah.insert_nodes(workflow_id bigint, jobs jsonb, callbacks text[] DEFAULT '{}') RETURNS integer
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_now       timestamptz := howdah.now();
  v_names     text[];
  v_specs     jsonb[];
  v_ids       bigint[];
  v_children  bigint[];
  v_parents   bigint[];
  v_outside   bigint[];
  v_far       bigint[];
  v_callback  bigint;
  v_wrong     text;
BEGIN
  PERFORM howdah.check_nodes(insert_nodes.jobs);
  SELECT array_agg(f.path ORDER BY f.n), array_agg(f.spec || jsonb_build_object('on_parent_failure', f.on_failure) ORDER BY f.n)
    INTO v_names, v_specs FROM howdah.flatten_nodes(insert_nodes.jobs) f WHERE f.leaf;
  SELECT array_agg(e.child ORDER BY e.child, e.parent, e.parent_id), array_agg(e.parent ORDER BY e.child, e.parent, e.parent_id),
         array_agg(e.parent_id ORDER BY e.child, e.parent, e.parent_id), min(e.wrong)
    INTO v_children, v_parents, v_outside, v_wrong FROM howdah.node_edges(insert_nodes.workflow_id, insert_nodes.jobs) e;
  IF v_wrong IS NOT NULL THEN
    PERFORM howdah.option_refused('jobs', 'name what is not there: ' || v_wrong);
  ELSIF v_names IS NULL THEN
    PERFORM howdah.option_refused('jobs', 'are groups without a job in them');
  ELSIF cardinality(v_children) > 200000 THEN
    PERFORM howdah.option_refused('jobs', format('wait for others %s times, and one call takes 200000', cardinality(v_children)));
  END IF;
  PERFORM howdah.refuse_circles(v_names, array_agg(e.child ORDER BY e.child), array_agg(e.parent ORDER BY e.child))
     FROM unnest(v_children, v_parents) e(child, parent) WHERE e.parent IS NOT NULL HAVING count(*) > 0;
  v_far := ARRAY(SELECT DISTINCT o FROM unnest(v_outside) o WHERE o NOT IN (SELECT k.job_id FROM howdah.workflow_job k WHERE k.workflow_id = insert_nodes.workflow_id AND NOT k.callback));
  FOR v_callback IN SELECT c.job_id FROM howdah.workflow_callbacks(insert_nodes.workflow_id) c WHERE v_far <> '{}' LOOP
    -- It is to wait for these nodes, and must not be among what they wait for.
    PERFORM pg_advisory_xact_lock('howdah.dependency'::regclass::oid::bigint << 32);
    PERFORM howdah.refuse_circle(v_callback, v_far);
  END LOOP;
  v_ids := howdah.insert_node_jobs(v_now, v_specs, v_children, v_parents, v_outside);
  IF EXISTS (SELECT FROM howdah.workflow_job w WHERE w.workflow_id = insert_nodes.workflow_id AND w.name = ANY (v_names)) THEN
    PERFORM howdah.node_refused(w.name, 'the workflow has one of this name') FROM howdah.workflow_job w
      WHERE w.workflow_id = insert_nodes.workflow_id AND w.name = ANY (v_names);
  END IF;
  INSERT INTO howdah.workflow_job (workflow_id, name, job_id, callback)
  SELECT insert_nodes.workflow_id, u.name, u.id, u.name = ANY (insert_nodes.callbacks) FROM unnest(v_names, v_ids) u(name, id);
  PERFORM howdah.place_nodes(v_now, v_ids, v_specs, v_children, v_parents, v_outside);
  RETURN cardinality(v_ids);
END $$;
-- howdah.lock_ended(job_ids) -> void
-- Locks the history of jobs that were cancelled or have expired, as it is when whoever had it is done. Internal.
-- Locks: rows of receipt, in order, and waits for whoever has them. Errors: none.
CREATE OR REPLACE FUNCTION howdah.lock_ended(job_ids bigint[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
BEGIN
  PERFORM FROM (SELECT DISTINCT i >> 7 << 7 AS block FROM unnest(lock_ended.job_ids) i) b
     JOIN howdah.receipt e ON e.span && int8range(b.block, b.block + 128) WHERE e.outcome IN (2, 3) ORDER BY lower(e.span) FOR UPDATE OF e;
END $$;
-- howdah.lock_workflow(workflow_id) -> workflow
-- Locks a workflow against others who change it, until the transaction ends; whoever runs its jobs does not need it. Internal.
-- Locks: its row. Errors: HD002 (invalid argument) with COLUMN workflow_id: there is none. HD012 not READ COMMITTED.
CREATE OR REPLACE FUNCTION howdah.lock_workflow(workflow_id bigint) RETURNS howdah.workflow
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  w howdah.workflow;
BEGIN
  PERFORM howdah.must_read_committed();
  SELECT * INTO w FROM howdah.workflow k WHERE k.id = lock_workflow.workflow_id FOR UPDATE;
  IF NOT FOUND THEN
    PERFORM howdah.option_refused('workflow_id', format('%s: there is no such workflow, or nothing is left of its jobs',
      coalesce(lock_workflow.workflow_id::text, 'NULL')));
  END IF;
  RETURN w;
END $$;
-- howdah.node_due(spec, now) -> timestamptz
-- When a node of a workflow is due, as it says; NULL: at once. Internal. Errors: none, nodes are checked before.
CREATE OR REPLACE FUNCTION howdah.node_due(spec jsonb, now timestamptz) RETURNS timestamptz
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF node_due.spec ? 'run_at' THEN
    RETURN howdah.as_time('run_at', node_due.spec -> 'run_at');
  END IF;
  RETURN node_due.now + make_interval(secs => (node_due.spec ->> 'delay_ms')::float8 / 1000);
END $$;
-- howdah.node_edges(workflow_id, jobs) -> (child, parent, parent_id, wrong)
-- What the nodes of a workflow wait for: a row for each pair. child, parent: their n in howdah.flatten_nodes; parent_id: a job
-- that is there already, given by its id, by its name in the workflow, or as the end of another workflow. The name of a group means each job in it; what a
-- group waits for, each job in it waits for. wrong: what was named and is not there, and by which node; then the rest is NULL.
-- Internal to insert_nodes. Writes and errors: see workflow_end. Cost: of the pairs.
CREATE OR REPLACE FUNCTION howdah.node_edges(workflow_id bigint, jobs jsonb) RETURNS TABLE (child bigint, parent bigint, parent_id bigint, wrong text)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET jit = off AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
    WITH node AS MATERIALIZED (SELECT f.* FROM howdah.flatten_nodes(node_edges.jobs) f),
    -- What a name may mean: a job, or each job of a group.
    meant AS MATERIALIZED (
      SELECT c.path, o.n, NULL::bigint AS job_id FROM node o, unnest(o.chain) c(path) WHERE o.leaf
      UNION ALL
      SELECT left(w.name, g.at), NULL, w.job_id
        FROM howdah.workflow_job w, LATERAL (
          SELECT length(w.name) UNION ALL SELECT s - 1 FROM generate_series(1, length(w.name)) s WHERE substr(w.name, s, 1) = '/') g(at)
       WHERE w.workflow_id = node_edges.workflow_id AND NOT w.callback),
    wish AS MATERIALIZED (SELECT o.path, o.scopes, r.value AS ref FROM node o, jsonb_array_elements(o.spec -> 'depends_on') r),
    -- The innermost scope in which there is such a name.
    found AS MATERIALIZED (
      SELECT DISTINCT ON (s.path, s.ref) s.path, s.ref, s.full_name
        FROM (SELECT w.path, w.ref, x.scope || (w.ref #>> '{}') AS full_name, x.at FROM wish w, unnest(w.scopes) WITH ORDINALITY x(scope, at)
               WHERE jsonb_typeof(w.ref) = 'string') s
       WHERE s.full_name IN (SELECT m.path FROM meant m) ORDER BY s.path, s.ref, s.at),
    target AS MATERIALIZED (
      SELECT u.path, u.ref, m.n, m.job_id FROM found u JOIN meant m ON m.path = u.full_name
      UNION ALL
      SELECT w.path, w.ref, NULL, CASE WHEN (w.ref #>> '{}')::numeric BETWEEN 128 AND 9007199254740991 AND (w.ref #>> '{}')::numeric % 1 = 0 THEN (w.ref #>> '{}')::numeric::bigint END
        FROM wish w WHERE jsonb_typeof(w.ref) = 'number'
      UNION ALL
      SELECT w.path, w.ref, NULL, howdah.workflow_end((w.ref ->> 'workflow')::bigint) FROM wish w WHERE jsonb_typeof(w.ref) = 'object' AND howdah.is_workflow(w.ref))
    SELECT DISTINCT o.n, t.n, t.job_id, NULL::text FROM node o, unnest(o.chain) c(path) JOIN target t ON t.path = c.path WHERE o.leaf
    UNION ALL
    SELECT NULL, NULL, NULL, format('%s waits for %s, and there is no such node', w.path, left(w.ref::text, 200))
      FROM wish w LEFT JOIN target t ON t.path = w.path AND t.ref = w.ref WHERE t.n IS NULL AND t.job_id IS NULL;
END $$;
-- howdah.node_refused(node, rule) -> never returns
-- Says which node of a workflow is wrong, and what is right. Errors: HD002 (invalid argument) with COLUMN jobs. Internal.
CREATE OR REPLACE FUNCTION howdah.node_refused(node text, rule text) RETURNS void
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RAISE EXCEPTION 'the node %: %', coalesce(quote_literal(left(node_refused.node, 200)), 'without a name'), node_refused.rule
    USING ERRCODE = 'HD002', COLUMN = 'jobs';
END $$;
-- howdah.place_nodes(now, ids, specs, children, parents, outside) -> void
-- Puts the jobs of a workflow into the rooms where they wait: what waits for nothing into tickets, or among what is due later;
-- the rest is blocked. Internal to insert_nodes.
-- Writes: ticket, deferred, dependency, second_look. Errors: HD002 with COLUMN depends_on: a job outside is unknown.
CREATE OR REPLACE FUNCTION howdah.place_nodes(now timestamptz, ids bigint[], specs jsonb[], children bigint[], parents bigint[], outside bigint[])
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_free    bigint[];
  v_blocked bigint[];
BEGIN
  WITH node AS (
    SELECT u.id, q.id AS queue_id, coalesce((u.spec ->> 'priority')::smallint, 5::smallint) AS priority, u.spec ->> 'kind' AS kind,
           CASE WHEN u.spec ? 'options' THEN howdah.gates_of(u.spec -> 'options') END AS gates, howdah.node_due(u.spec, place_nodes.now) AS due_at, w.child IS NOT NULL AS waits
      FROM unnest(place_nodes.ids, place_nodes.specs) WITH ORDINALITY u(id, spec, n) JOIN howdah.queue q ON q.name = coalesce(u.spec ->> 'queue', 'default')
      LEFT JOIN (SELECT DISTINCT c AS child FROM unnest(place_nodes.children) c) w ON w.child = u.n),
  blocked AS (
    INSERT INTO howdah.deferred (due_at, first_id, queue_id, priority, jobs, attempt, kind, gates, gate)
    SELECT 'infinity', o.id, o.queue_id, o.priority, 1, 0, o.kind, o.gates, 'dependencies' FROM node o WHERE o.waits RETURNING first_id),
  later AS (
    SELECT count(howdah.defer(o.due_at, o.id, 1, o.queue_id, o.kind, o.priority, 0, o.gates)) AS jobs FROM node o WHERE NOT o.waits AND o.due_at > place_nodes.now)
  SELECT array_agg(o.id) FILTER (WHERE NOT o.waits AND (o.due_at IS NULL OR o.due_at <= place_nodes.now)) INTO v_free FROM node o, later;
  INSERT INTO howdah.dependency (parent_id, job_id, on_failure)
  SELECT coalesce(place_nodes.ids[e.parent], e.parent_id), place_nodes.ids[e.child], s.spec ->> 'on_parent_failure'
    FROM unnest(place_nodes.children, place_nodes.parents, place_nodes.outside) e(child, parent, parent_id)
    JOIN unnest(place_nodes.specs) WITH ORDINALITY s(spec, n) ON s.n = e.child ON CONFLICT DO NOTHING;
  -- As tickets of consecutive ids that are alike.
  PERFORM howdah.put_back(v_free, array_fill(0::smallint, ARRAY[coalesce(cardinality(v_free), 0)]));
  SELECT array_agg(DISTINCT place_nodes.ids[e.child]) INTO v_blocked
    FROM unnest(place_nodes.children, place_nodes.outside) e(child, parent_id) WHERE e.parent_id IS NOT NULL;
  IF v_blocked IS NOT NULL THEN
    PERFORM howdah.meet_parents(v_blocked, ARRAY(SELECT DISTINCT o FROM unnest(place_nodes.outside) o WHERE o IS NOT NULL));
  END IF;
END $$;
-- howdah.prune_workflows(most) -> text
-- Removes workflows of whose jobs nothing is left. Looks at each one longest retention after it was made, and every ten minutes
-- from then on; at most `most` at a time. Returns what it did, or NULL. Internal to rotate.
-- Writes: workflow, workflow_job, failed_parent. Locks: their rows, skipping what others have. Errors: none.
CREATE OR REPLACE FUNCTION howdah.prune_workflows(most integer DEFAULT 100) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_gone integer := 0;
  w      record;
BEGIN
  FOR w IN SELECT k.id, k.end_id FROM howdah.workflow k WHERE k.prune_at <= howdah.now() ORDER BY k.prune_at LIMIT prune_workflows.most FOR UPDATE SKIP LOCKED LOOP
    IF EXISTS (SELECT FROM howdah.workflow_job j CROSS JOIN LATERAL howdah.find_job(j.job_id) f WHERE j.workflow_id = w.id) THEN
      UPDATE howdah.workflow k SET prune_at = howdah.now() + interval '10 minutes' WHERE k.id = w.id;
    ELSE
      DELETE FROM howdah.workflow_job j WHERE j.workflow_id = w.id;
      DELETE FROM howdah.failed_parent p WHERE p.job_id = w.end_id;
      DELETE FROM howdah.workflow k WHERE k.id = w.id;
      v_gone := v_gone + 1;
    END IF;
  END LOOP;
  RETURN CASE WHEN v_gone > 0 THEN format('pruned %s workflows', v_gone) END;
END $$;
-- howdah.refuse_circles(names, children, parents) -> void
-- Refuses a graph in which a node would wait for itself, and names the circle. children, parents: places in names, one for each
-- pair, in order of the children. Internal to insert_nodes. Reads nothing.
-- Errors: HD002 (invalid argument) with COLUMN jobs. Cost: of nodes and pairs; nothing where each waits for earlier ones only.
CREATE OR REPLACE FUNCTION howdah.refuse_circles(names text[], children bigint[], parents bigint[]) RETURNS void
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp SET jit = off AS $$
DECLARE
  v_nodes integer := cardinality(refuse_circles.names);
  v_left  integer[] := array_fill(0, ARRAY[v_nodes]);
  -- The children of a node are v_below[v_from[node]] to v_below[v_from[node + 1] - 1].
  v_below bigint[];
  v_from  integer[];
  v_free  integer[];
  v_done  integer := 0;
  v_node  bigint;
  v_path  bigint[];
BEGIN
  IF NOT EXISTS (SELECT FROM unnest(refuse_circles.children, refuse_circles.parents) e(child, parent) WHERE e.parent >= e.child) THEN
    RETURN;
  END IF;
  SELECT array_agg(e.child ORDER BY e.parent) INTO v_below FROM unnest(refuse_circles.children, refuse_circles.parents) e(child, parent);
  SELECT array_agg((s.before + 1)::integer ORDER BY s.node) INTO v_from
    FROM (SELECT n.node, coalesce(sum(c.jobs) OVER (ORDER BY n.node ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS before
            FROM generate_series(1, v_nodes + 1) n(node) LEFT JOIN (SELECT e AS node, count(*) AS jobs FROM unnest(refuse_circles.parents) e GROUP BY e) c USING (node)) s;
  FOREACH v_node IN ARRAY refuse_circles.children LOOP
    v_left[v_node] := v_left[v_node] + 1;
  END LOOP;
  -- Take away what waits for nothing that is left, until there is no such node.
  v_free := ARRAY(SELECT l.node FROM unnest(v_left) WITH ORDINALITY l(waits, node) WHERE l.waits = 0);
  WHILE v_done < coalesce(cardinality(v_free), 0) LOOP
    v_done := v_done + 1;
    FOR i IN v_from[v_free[v_done]] .. v_from[v_free[v_done] + 1] - 1 LOOP
      v_left[v_below[i]] := v_left[v_below[i]] - 1;
      IF v_left[v_below[i]] = 0 THEN
        v_free := v_free || v_below[i]::integer;
      END IF;
    END LOOP;
  END LOOP;
  IF v_done = v_nodes THEN
    RETURN;
  END IF;
  -- Whatever is left waits for something that is left: going up from any of them ends in a circle.
  v_node := (SELECT min(l.node) FROM unnest(v_left) WITH ORDINALITY l(waits, node) WHERE l.waits > 0);
  WHILE array_position(v_path, v_node) IS NULL LOOP
    v_path := v_path || v_node;
    v_node := (SELECT min(e.parent) FROM unnest(refuse_circles.children, refuse_circles.parents) e(child, parent) WHERE e.child = v_node AND v_left[e.parent] > 0);
    EXIT WHEN cardinality(v_path) > 1000;
  END LOOP;
  PERFORM howdah.option_refused('jobs', 'make a circle: ' || (
    SELECT string_agg(refuse_circles.names[p.node], ' -> ' ORDER BY p.n)
      FROM unnest(v_path[coalesce(array_position(v_path, v_node), 1):] || v_node) WITH ORDINALITY p(node, n)));
END $$;
-- howdah.retry_workflow(workflow_id) -> integer
-- Runs again what failed of a workflow, and what was cancelled because of that: all of its jobs that are dead, cancelled or
-- expired start over with all their attempts, in their order. What has completed is kept, and what has not ended goes on; what of
-- that is still blocked waits for these again. One that had expired does not expire again. Returns how many jobs that are;
-- what ended longer ago than history is kept is not among them.
-- Writes: workflow, command, dead, receipt, job, unique_key, ordered, deferred, dependency, failed_parent, ticket, second_look.
-- Locks: those rows, and waits for whoever has them.
-- Errors: HD001 a queue was deleted; HD002 with COLUMN workflow_id: there is none; HD003 another job has the unique key of one
-- of them: nothing was changed; HD012 the transaction is not READ COMMITTED.
-- Cost: a few statements, of its jobs and what they wait for.
CREATE OR REPLACE FUNCTION howdah.retry_workflow(workflow_id bigint) RETURNS integer
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  w       howdah.workflow := howdah.lock_workflow(retry_workflow.workflow_id);
  v_all   bigint[];
  v_ids   bigint[];
  v_mine  bigint[];
  v_other bigint[];
  j       howdah.job;
BEGIN
  UPDATE howdah.workflow k SET cancelled_at = NULL WHERE k.id = w.id;
  v_all := ARRAY(SELECT k.job_id FROM howdah.workflow_job k WHERE k.workflow_id = w.id) || w.end_id;
  SELECT array_agg(s.job_id ORDER BY s.job_id) INTO v_ids FROM howdah.states_of(v_all) s
   WHERE s.state IN ('dead', 'cancelled', 'expired');
  IF v_ids IS NULL THEN
    RETURN 0;
  END IF;
  PERFORM howdah.unknown_queue(d.name) FROM howdah.find_jobs(v_ids) f JOIN howdah.deleted_queue d ON d.id = f.queue_id;
  -- Somebody may be sending one of them again, or deleting it: locked, they are looked at once more.
  PERFORM FROM howdah.dead d WHERE d.job_id = ANY (v_ids) ORDER BY d.job_id FOR UPDATE;
  PERFORM howdah.lock_ended(v_ids);
  FOR part IN 0..7 LOOP
    PERFORM FROM howdah.job j WHERE ((j.id >> 33) & 7) = part AND j.id = ANY (v_ids) ORDER BY j.id FOR UPDATE;
  END LOOP;
  PERFORM FROM howdah.job_kept k WHERE k.id = ANY (v_ids) ORDER BY k.id FOR UPDATE;
  v_ids := ARRAY(SELECT s.job_id FROM howdah.states_of(v_ids) s WHERE s.state IN ('dead', 'cancelled', 'expired') ORDER BY s.job_id);
  v_mine := howdah.take_keys_again(v_ids);
  PERFORM howdah.take_key_again(u.id) FROM unnest(v_ids) u(id) WHERE u.id NOT IN (SELECT m FROM unnest(v_mine) m);
  DELETE FROM howdah.dead d WHERE d.job_id = ANY (v_ids);
  PERFORM howdah.take_ended(v_ids);
  -- Those that run too: they are to go on.
  DELETE FROM howdah.cancel_request c WHERE c.job_id = ANY (ARRAY(
    SELECT r.job_id FROM howdah.cancel_request r WHERE r.job_id = ANY (v_all) FOR UPDATE SKIP LOCKED));
  FOR j IN SELECT f.* FROM howdah.find_jobs(v_ids) f WHERE f.options ? 'expires_at' LOOP
    j.options := nullif(j.options - 'expires_at', '{}');
    PERFORM howdah.rewrite_job(j);
  END LOOP;
  PERFORM howdah.wait_again(v_ids, v_all);
  DELETE FROM howdah.failed_parent p WHERE p.job_id = w.end_id AND p.parent_id = ANY (v_ids);
  INSERT INTO howdah.deferred (due_at, first_id, queue_id, priority, jobs, attempt, kind, gates, gate)
  SELECT 'infinity', f.id, f.queue_id, f.priority, 1, 0, f.kind, CASE WHEN f.options IS NOT NULL THEN howdah.gates_of(f.options) END, 'dependencies'
    FROM howdah.find_jobs(v_ids) f;
  -- What they wait for: all of it again, but for what has completed.
  WITH asked AS MATERIALIZED (
    -- Once for each job: options with thousands of parents are large.
    SELECT f.id, f.options -> 'depends_on' AS parents, coalesce(f.options ->> 'on_parent_failure', 'cancel') AS on_failure FROM howdah.find_jobs(v_ids) f),
  wish AS MATERIALIZED (SELECT a.id, p::bigint AS parent_id, a.on_failure FROM asked a, jsonb_array_elements_text(a.parents) p),
  known AS MATERIALIZED (SELECT s.* FROM howdah.states_of(ARRAY(SELECT DISTINCT w.parent_id FROM wish w)) s),
  waits AS (
    INSERT INTO howdah.dependency (parent_id, job_id, on_failure)
    SELECT w.parent_id, w.id, w.on_failure FROM wish w JOIN known s ON s.job_id = w.parent_id WHERE s.state <> 'completed'
    ON CONFLICT DO NOTHING RETURNING parent_id)
  SELECT array_agg(DISTINCT w.parent_id) FILTER (WHERE w.parent_id NOT IN (SELECT u FROM unnest(v_ids) u)) INTO v_other FROM waits w;
  PERFORM howdah.join_orders(v_ids), howdah.meet_parents(v_ids, coalesce(v_other, '{}'));
  PERFORM howdah.look_later(howdah.let_go(v_ids));
  PERFORM howdah.note('retry_workflow', jsonb_build_object('workflow', w.id), changed => cardinality(array_remove(v_ids, w.end_id)));
  RETURN cardinality(array_remove(v_ids, w.end_id));
END $$;
-- howdah.take_ended(job_ids) -> void
-- Takes jobs that were cancelled or have expired out of the history of what ended, so that they can run again. Internal.
-- Writes: receipt. Locks: its rows, and waits for whoever has them. Errors: none. Cost: an index probe for each block of ids.
CREATE OR REPLACE FUNCTION howdah.take_ended(job_ids bigint[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  k record;
  r record;
BEGIN
  -- Lock first and look later: somebody may be taking others out of the same rows, which then are elsewhere.
  PERFORM howdah.lock_ended(take_ended.job_ids);
  FOR k IN SELECT DISTINCT e.slot, e.ctid AS tid
             FROM (SELECT DISTINCT i >> 7 << 7 AS block FROM unnest(take_ended.job_ids) i) b
             JOIN howdah.receipt e ON e.span && int8range(b.block, b.block + 128) WHERE e.outcome IN (2, 3) LOOP
    SELECT e.first_ids, e.counts, e.attempts INTO r FROM howdah.receipt e WHERE e.slot = k.slot AND e.ctid = k.tid FOR UPDATE;
    CONTINUE WHEN NOT FOUND;
    SELECT array_agg(p.first_id ORDER BY p.first_id) AS first_ids, array_agg(p.jobs ORDER BY p.first_id) AS counts, array_agg(u.attempt ORDER BY p.first_id) AS attempts
      INTO r FROM howdah.pieces(r.first_ids, r.counts, take_ended.job_ids) p JOIN unnest(r.first_ids, r.attempts) u(first_id, attempt) ON u.first_id = p.run
     WHERE NOT p.taken;
    IF r.first_ids IS NULL THEN
      DELETE FROM howdah.receipt e WHERE e.slot = k.slot AND e.ctid = k.tid;
    ELSE
      -- How long each ran is known of those only that ended alone.
      UPDATE howdah.receipt e SET first_ids = r.first_ids, counts = r.counts, attempts = r.attempts, run_ms = NULL
       WHERE e.slot = k.slot AND e.ctid = k.tid AND (e.first_ids, e.counts) IS DISTINCT FROM (r.first_ids, r.counts);
    END IF;
  END LOOP;
END $$;
-- howdah.wait_again(job_ids, waiting) -> void
-- Has blocked jobs wait again for those that had ended and are run again, as far as they had asked to wait for them.
--   job_ids  what is run again
--   waiting  who is to wait again, if it is still blocked
-- Internal to start_over and retry_workflow. Writes: dependency, failed_parent. Locks: the rows of `waiting` that are blocked, and
-- waits for whoever has them.
CREATE OR REPLACE FUNCTION howdah.wait_again(job_ids bigint[], waiting bigint[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_blocked bigint[] := ARRAY(
    SELECT d.first_id FROM howdah.deferred d WHERE d.first_id = ANY (wait_again.waiting) AND d.gate = 'dependencies' ORDER BY d.first_id FOR UPDATE);
BEGIN
  IF v_blocked = '{}' THEN
    RETURN;
  END IF;
  WITH asked AS MATERIALIZED (
    -- Once for each job: options with thousands of parents are large.
    SELECT f.id, f.options -> 'depends_on' AS parents, coalesce(f.options ->> 'on_parent_failure', 'cancel') AS on_failure FROM howdah.find_jobs(v_blocked) f)
  INSERT INTO howdah.dependency (parent_id, job_id, on_failure)
  SELECT p::bigint, a.id, a.on_failure FROM asked a, jsonb_array_elements_text(a.parents) p
   WHERE p::bigint IN (SELECT u FROM unnest(wait_again.job_ids) u)
  ON CONFLICT DO NOTHING;
  DELETE FROM howdah.failed_parent p WHERE p.job_id = ANY (v_blocked) AND p.parent_id IN (SELECT u FROM unnest(wait_again.job_ids) u);
END $$;
-- howdah.workflow_callbacks(workflow_id) -> (job_id, name)
-- The jobs that wait for all the others of a workflow: its callbacks, and its end if somebody waits for that. Internal. Locks: none.
CREATE OR REPLACE FUNCTION howdah.workflow_callbacks(workflow_id bigint) RETURNS TABLE (job_id bigint, name text)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
    SELECT k.job_id, k.name::text FROM howdah.workflow_job k WHERE k.workflow_id = workflow_callbacks.workflow_id AND k.callback
    UNION ALL
    SELECT w.end_id, 'end' FROM howdah.workflow w WHERE w.id = workflow_callbacks.workflow_id AND w.end_id IS NOT NULL
    ORDER BY 1;
END $$;
-- howdah.workflow_end(workflow_id) -> bigint
-- The job that ends when all jobs of a workflow have ended, its callbacks and what is added to it included: completed if all of
-- them have completed, else cancelled. Whoever is to wait for the workflow depends on that job; no worker runs it. It is made by
-- the first call, in the caller's transaction. depends_on calls this for {"workflow": id}.
-- When it ends, a signal `workflow ID` is sent to everybody: {"workflow": id, "name": ..., "state": as in howdah.workflows}.
-- Writes: at the first call job, deferred, workflow, dependency, failed_parent, second_look. Locks: then the workflow's row.
-- Errors: HD002 with COLUMN workflow_id: there is none; with COLUMN depends_on: one of its jobs ended longer ago than history is
-- kept, so that nobody knows how (call this when the workflow is enqueued, and it is known); HD012 at the first call, the
-- transaction is not READ COMMITTED.
-- Cost: at the first call two index entries for each job of the workflow.
CREATE OR REPLACE FUNCTION howdah.workflow_end(workflow_id bigint) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_old   bigint := (SELECT k.end_id FROM howdah.workflow k WHERE k.id = workflow_end.workflow_id);
  v_ids   bigint[];
  j       howdah.job;
  w       howdah.workflow;
BEGIN
  IF EXISTS (SELECT FROM howdah.find_job(v_old)) THEN
    RETURN v_old;
  END IF;
  w := howdah.lock_workflow(workflow_end.workflow_id);
  IF w.end_id IS DISTINCT FROM v_old THEN
    RETURN w.end_id;
  END IF;
  v_ids := ARRAY(SELECT k.job_id FROM howdah.workflow_job k WHERE k.workflow_id = w.id ORDER BY k.job_id);
  -- In the queue of one of its jobs, where it counts as one.
  SELECT f.queue_id, f.priority INTO j.queue_id, j.priority FROM howdah.find_jobs(v_ids) f ORDER BY f.id LIMIT 1;
  IF NOT FOUND THEN
    PERFORM howdah.option_refused('workflow_id', format('%s: nothing is left of its jobs', w.id));
  END IF;
  j.id := nextval('howdah.block_seq') << 7;
  INSERT INTO howdah.job (id, enqueued_at, queue_id, priority, max_attempts, kind, payload, options)
    VALUES (j.id, howdah.now(), j.queue_id, j.priority, 1, 'howdah.workflow', jsonb_build_object('workflow', w.id, 'name', w.name),
            jsonb_build_object('ends_workflow', w.id, 'depends_on', v_ids, 'on_parent_failure', 'note'));
  INSERT INTO howdah.deferred (due_at, first_id, queue_id, priority, jobs, attempt, kind, gate)
    VALUES ('infinity', j.id, j.queue_id, j.priority, 1, 0, 'howdah.workflow', 'dependencies');
  -- One that was deleted, or ended longer ago than history is kept.
  DELETE FROM howdah.failed_parent p WHERE p.job_id = v_old;
  UPDATE howdah.workflow k SET end_id = j.id WHERE k.id = w.id;
  PERFORM howdah.wait_for_parents(ARRAY[j.id], v_ids, 'note');
  RETURN j.id;
END $$;
-- howdah.workflow_nodes(workflow_id) -> (name, job_id, kind, queue, state, ended_at, depends_on, waits_for)
-- The jobs of a workflow in the order of their ids. depends_on: what each was asked to wait for, and waits_for: what of that it
-- still waits for, by their names in the workflow, or by id. state NULL: it ended longer ago than history is kept.
-- Locks: none. Errors: none. Cost: see states_of. People use the view howdah.workflow_jobs.
CREATE OR REPLACE FUNCTION howdah.workflow_nodes(workflow_id bigint)
RETURNS TABLE (name text, job_id bigint, kind text, queue text, state text, ended_at timestamptz, depends_on text[], waits_for text[]) LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_ids bigint[] := ARRAY(SELECT k.job_id FROM howdah.workflow_job k WHERE k.workflow_id = workflow_nodes.workflow_id);
BEGIN
  RETURN QUERY
    WITH member AS MATERIALIZED (SELECT k.name::text AS name, k.job_id FROM howdah.workflow_job k WHERE k.workflow_id = workflow_nodes.workflow_id),
    asked AS (
      SELECT f.id, array_agg(coalesce(m.name, p.id) ORDER BY p.n) AS names
        FROM howdah.find_jobs(v_ids) f
        CROSS JOIN LATERAL jsonb_array_elements_text(f.options -> 'depends_on') WITH ORDINALITY p(id, n) LEFT JOIN member m ON m.job_id = p.id::bigint GROUP BY f.id),
    open AS (
      SELECT d.job_id, array_agg(coalesce(m.name, d.parent_id::text) ORDER BY d.parent_id) AS names
        FROM unnest(v_ids) u(id) JOIN howdah.dependency d ON d.job_id = u.id LEFT JOIN member m ON m.job_id = d.parent_id GROUP BY d.job_id)
    SELECT k.name, k.job_id, f.kind::text, q.name::text, s.state, s.ended_at, coalesce(a.names, '{}'), coalesce(o.names, '{}')
      FROM member k LEFT JOIN howdah.find_jobs(v_ids) f ON f.id = k.job_id LEFT JOIN howdah.all_queues q ON q.id = f.queue_id
      LEFT JOIN howdah.states_of(v_ids) s ON s.job_id = k.job_id LEFT JOIN asked a ON a.id = k.job_id LEFT JOIN open o ON o.job_id = k.job_id
     ORDER BY k.job_id;
END $$;
-- howdah.all_jobs: what was asked for, wherever it is kept. Internal to howdah.jobs.
CREATE OR REPLACE VIEW howdah.all_jobs AS
SELECT * FROM howdah.job
UNION ALL
SELECT k.* FROM howdah.job_kept k WHERE NOT EXISTS (
  SELECT FROM howdah.job j WHERE ((j.id >> 33) & 7) = ((k.id >> 33) & 7) AND j.id = k.id);
-- howdah.all_queues: the names of queues, of those that were deleted too: for history. Internal to howdah.jobs.
CREATE OR REPLACE VIEW howdah.all_queues AS
SELECT q.id, q.name FROM howdah.queue q
UNION ALL
SELECT d.id, d.name FROM howdah.deleted_queue d;
-- howdah.audit: who did what: operations by search, commands to jobs by ids, and what was done to queues, schedules and workflows
-- (no ids; settings say to which). In order: by made_at.
CREATE OR REPLACE VIEW howdah.audit AS
SELECT o.made_at, o.made_by, o.action, o.settings, o.reason, o.search, NULL::bigint[] AS job_ids, o.matched, o.changed, o.state, o.id AS operation_id
  FROM howdah.operation o
UNION ALL
SELECT c.made_at, c.made_by, c.action, c.settings, c.reason, NULL, c.job_ids, cardinality(c.job_ids), c.changed, 'done', NULL
  FROM howdah.command c;
-- howdah.failures: every failed attempt that is still kept, newest last within a job.
CREATE OR REPLACE VIEW howdah.failures AS
SELECT f.job_id, f.attempt, f.at, f.error_kind, f.message, f.run_ms, f.worker_id, f.causes FROM howdah.failure f;
-- howdah.firings: what schedules have fired, the newest thousand or so of each, and what has become of the jobs. state
-- is NULL when a job ended longer ago than history is kept. hit: the job had the schedule's unique key, and none was
-- enqueued.
CREATE OR REPLACE VIEW howdah.firings AS
SELECT f.schedule, f.due_at, f.fired_at, f.how, f.job_id, f.hit, howdah.state(f.job_id) AS state FROM howdah.firing f;
-- howdah.health: what howdah.doctor finds, with its usual limits. Each SELECT looks anew.
CREATE OR REPLACE VIEW howdah.health AS
SELECT d.name, d.state, d.found, d.proof, d.fix, d.detail FROM howdah.doctor() d;
-- howdah.jobs: every job with its state, for people and for SQL.
--
-- A branch for each room, each joined with the jobs by itself and by two conditions that say the same: by the id,
-- so that a question about a state begins at its room and finds the jobs by their ids; and by the bounds of the
-- run (which does not leave its block of 128 ids), so that a question about an id finds the row that holds it.
-- `= ANY (ARRAY[...])` is what an index can use and a merge of whole tables cannot.
CREATE OR REPLACE VIEW howdah.jobs AS
SELECT r.id, q.name AS queue, r.kind, r.state, r.attempt, r.max_attempts, r.priority, r.enqueued_at,
       r.due_at, r.worker_id, r.claimed_at, r.ended_at, r.run_ms, r.reason, r.payload, r.options,
       r.options -> 'attributes' AS attributes, (r.options ->> 'expires_at')::timestamptz AS expires_at,
       (SELECT s.result FROM howdah.result s WHERE s.job_id = r.id LIMIT 1) AS result
  FROM (
    SELECT j.*, 'ready' AS state, t.attempt, NULL::timestamptz AS due_at, NULL::bigint AS worker_id, NULL::timestamptz AS claimed_at,
           NULL::timestamptz AS ended_at, NULL::integer AS run_ms, NULL::text AS reason
      FROM howdah.ticket t CROSS JOIN LATERAL generate_series(0, t.jobs - 1) g
      JOIN howdah.all_jobs j ON j.id = t.first_id + g
       AND t.queue_id = ANY (ARRAY[j.queue_id]) AND t.priority = ANY (ARRAY[j.priority]) AND t.first_id BETWEEN (j.id >> 7 << 7) AND j.id
    UNION ALL
    SELECT j.*, howdah.waits_as(d.gate) COLLATE "default", d.attempt, nullif(d.due_at, CASE WHEN d.gate IS NOT NULL THEN 'infinity'::timestamptz END),
           NULL, NULL, NULL, NULL,
           CASE WHEN d.gate IS NULL THEN howdah.waits_because(j.id) WHEN d.gate NOT LIKE 'fair:%' THEN ('waits for ' || d.gate) COLLATE "default" END
      FROM howdah.deferred d CROSS JOIN LATERAL generate_series(0, d.jobs - 1) g
      JOIN howdah.all_jobs j ON j.id = d.first_id + g AND d.first_id BETWEEN (j.id >> 7 << 7) AND j.id
    UNION ALL
    SELECT j.*, 'running', u.attempt, NULL, l.worker_id, l.claimed_at, NULL, NULL, NULL
      FROM howdah.lease l CROSS JOIN LATERAL unnest(l.first_ids, l.counts, l.attempts) u(first_id, jobs, attempt)
      CROSS JOIN LATERAL generate_series(0, u.jobs - 1) g
      JOIN howdah.all_jobs j ON j.id = u.first_id + g
     WHERE NOT EXISTS (SELECT FROM howdah.settled s WHERE s.lease_id = l.id AND s.job_id = j.id)
    UNION ALL
    SELECT j.*, 'dead', x.attempt, NULL, NULL, NULL, x.died_at, NULL, x.reason
      FROM howdah.dead x JOIN howdah.all_jobs j ON j.id = x.job_id
    UNION ALL
    SELECT j.*, CASE c.outcome WHEN 1 THEN 'completed' WHEN 2 THEN 'cancelled' ELSE 'expired' END, u.attempt, NULL,
           c.worker_id, c.claimed_at, c.at, c.run_ms[(u.before + g + 1)::integer], NULL
      FROM howdah.receipt c
      CROSS JOIN LATERAL (
        SELECT v.first_id, v.jobs, v.attempt,
               coalesce(sum(v.jobs) OVER (ORDER BY v.n ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS before
          FROM unnest(c.first_ids, c.counts, c.attempts) WITH ORDINALITY v(first_id, jobs, attempt, n)) u
      CROSS JOIN LATERAL generate_series(0, u.jobs - 1) g
      JOIN howdah.all_jobs j ON j.id = u.first_id + g AND c.span @> j.id
  ) r JOIN howdah.all_queues q ON q.id = r.queue_id;
-- howdah.limits: every rule of a limit, a rate or a share; how much of it is used now, where it is for one gate; and how
-- many jobs wait for it.
CREATE OR REPLACE VIEW howdah.limits AS
SELECT f.scope, f.name, f.max_running, f.rate, f.rate_period_ms, f.rate_burst, f.weight, r.running, b.blocked
  FROM howdah.flow_rule f
  LEFT JOIN LATERAL (
    SELECT CASE WHEN f.scope = 'queue' THEN (SELECT coalesce(sum((SELECT sum(c) FROM unnest(l.counts) c)), 0)::bigint FROM howdah.lease l JOIN howdah.queue q ON q.id = l.queue_id WHERE q.name = f.name)
      WHEN f.scope <> 'share' AND right(f.name, 1) <> '*' THEN (SELECT count(*) FROM howdah.slot s WHERE s.gate = CASE f.scope WHEN 'kind' THEN 'kind:' ELSE 'limit:' END || f.name) END AS running) r ON true
  LEFT JOIN LATERAL (
    SELECT CASE WHEN f.scope IN ('kind', 'key') AND right(f.name, 1) <> '*' THEN (
      SELECT coalesce(sum(d.jobs), 0)::bigint FROM howdah.deferred d WHERE d.gate = CASE f.scope WHEN 'kind' THEN 'kind:' ELSE 'limit:' END || f.name) END AS blocked) b ON true;
-- howdah.logs: what was logged inside of attempts, as far as it is still kept. In order: by job_id, attempt, at, line.
CREATE OR REPLACE VIEW howdah.logs AS
SELECT l.job_id, l.attempt, l.at, l.line, l.level, l.target, l.message FROM howdah.log l;
-- howdah.new_job: INSERT INTO howdah.new_job (kind, payload) VALUES ('welcome', '{"user": 1}') RETURNING id
-- enqueues, for those who would rather write rows than call howdah.enqueue. It always reads as empty.
CREATE OR REPLACE VIEW howdah.new_job AS
SELECT NULL::bigint AS id, NULL::text AS kind, NULL::jsonb AS payload, NULL::text AS queue, NULL::integer AS priority,
       NULL::timestamptz AS run_at, NULL::interval AS delay, NULL::integer AS max_attempts, NULL::jsonb AS options
 WHERE false;
ALTER VIEW howdah.new_job ALTER COLUMN payload SET DEFAULT '{}';
ALTER VIEW howdah.new_job ALTER COLUMN queue SET DEFAULT 'default';
ALTER VIEW howdah.new_job ALTER COLUMN priority SET DEFAULT 5;
CREATE OR REPLACE TRIGGER enqueue INSTEAD OF INSERT ON howdah.new_job FOR EACH ROW EXECUTE FUNCTION howdah.insert_job();
-- howdah.queues: every queue with what waits in it. Counts are sums over tickets, not over jobs.
CREATE OR REPLACE VIEW howdah.queues AS
SELECT q.name AS queue, coalesce(t.ready, 0) + coalesce(d.in_turn, 0) AS ready, coalesce(l.running, 0) AS running, coalesce(d.scheduled, 0) AS scheduled,
       coalesce(x.dead, 0) AS dead, o.oldest_ready_at, d.next_due_at,
       q.paused_at IS NOT NULL AS paused, q.paused_at, q.paused_by, q.pause_reason, q.max_attempts, q.max_payload_bytes, q.max_jobs, coalesce(d.blocked, 0) AS blocked,
       q.resume_at
  FROM howdah.queue q
  LEFT JOIN (SELECT queue_id, sum(jobs)::bigint AS ready, min(first_id) AS first_id FROM howdah.ticket GROUP BY 1) t ON t.queue_id = q.id
  LEFT JOIN (SELECT queue_id, sum(jobs) FILTER (WHERE gate IS NULL)::bigint AS scheduled, sum(jobs) FILTER (WHERE gate ^@ 'fair:')::bigint AS in_turn,
                    min(first_id) FILTER (WHERE gate ^@ 'fair:') AS first_in_turn,
                    sum(jobs) FILTER (WHERE gate IS NOT NULL AND NOT gate ^@ 'fair:')::bigint AS blocked,
                    min(due_at) FILTER (WHERE gate IS NULL) AS next_due_at FROM howdah.deferred GROUP BY 1) d ON d.queue_id = q.id
  LEFT JOIN LATERAL (SELECT j.enqueued_at AS oldest_ready_at FROM howdah.find_job(least(t.first_id, d.first_in_turn)) j) o ON true
  LEFT JOIN (SELECT e.queue_id, sum((SELECT sum(c) FROM unnest(e.counts) c) - (SELECT count(*) FROM howdah.settled s WHERE s.lease_id = e.id))::bigint AS running
               FROM howdah.lease e GROUP BY 1) l ON l.queue_id = q.id
  LEFT JOIN (SELECT queue_id, count(*) AS dead FROM howdah.dead GROUP BY 1) x ON x.queue_id = q.id;
-- howdah.retention: how long what has ended in each queue is kept, what happens then, and what went wrong with that.
CREATE OR REPLACE VIEW howdah.retention AS
SELECT q.name AS queue,
       max(r.retention) FILTER (WHERE r.outcome = 1) AS completed, max(r.retention) FILTER (WHERE r.outcome = 2) AS cancelled,
       max(r.retention) FILTER (WHERE r.outcome = 3) AS expired, max(r.retention) FILTER (WHERE r.outcome = 4) AS dead,
       bool_or(r.by_rows AND r.outcome < 4) AS by_rows, q.on_removal, q.before_removal,
       f.failed_at, f.message AS failure, f.failures, f.retry_at
  FROM howdah.retentions() r JOIN howdah.queue q ON q.id = r.queue_id
  LEFT JOIN howdah.removal_failure f ON f.queue_id = q.id
 GROUP BY q.id, f.queue_id;
-- howdah.schedules: every schedule with its next slot, its last firing, and what is wrong with it. next_at is NULL while
-- it is paused, and for the moment until the keeper has worked it out.
CREATE OR REPLACE VIEW howdah.schedules AS
SELECT s.name, s.expression, s.timezone, s.next_at, f.due_at AS last_at, f.how AS last_how, f.job_id AS last_job, howdah.state(f.job_id) AS last_state,
       s.paused_at IS NOT NULL AS paused, s.paused_at, s.paused_by, s.pause_reason, s.error, s.error_at,
       s.queue, s.kind, s.payload, s.priority, s.max_attempts, s.options, s.unique_key, s.missed, s.max_missed, s.grace_ms,
       s.created_at, s.every_from, s.declared IS NOT NULL AS declared, s.revision
  FROM howdah.schedule s
  LEFT JOIN LATERAL (SELECT * FROM howdah.firing n WHERE n.schedule = s.name ORDER BY n.fired_at DESC LIMIT 1) f ON true;
-- howdah.signals: the signals that are kept. job_id NULL: sent to every job that waits for the name.
CREATE OR REPLACE VIEW howdah.signals AS
SELECT g.name::text AS name, nullif(g.job_id, 0) AS job_id, g.sent_at, g.expires_at, g.payload
  FROM howdah.signal g WHERE g.expires_at > howdah.now();
-- howdah.steps: the steps of every job, as far as they are still kept. In order: by job_id, n.
CREATE OR REPLACE VIEW howdah.steps AS
SELECT s.job_id, s.n, s.name::text AS name, s.kind, s.state, s.attempt, s.at, s.wakes_at, s.result FROM howdah.step s
UNION ALL
SELECT p.job_id, p.n, p.name::text, p.kind, p.state, p.attempt, p.at, p.wakes_at, p.result FROM howdah.past_step p;
-- howdah.workers: every worker process with what it holds and when it was last heard of.
CREATE OR REPLACE VIEW howdah.workers AS
SELECT w.id, w.name, w.version, w.queues, w.kinds, coalesce(l.running, 0) AS running, w.started_at, w.heartbeat_at,
       w.heartbeat_at + make_interval(secs => w.lease_ms / 1000.0) AS expires_at, w.stopping,
       k.worker_id IS NOT NULL AS keeper,
       EXISTS (SELECT FROM howdah.sleeper s WHERE s.worker_id = w.id) AS asleep, w.told
  FROM howdah.worker w
  LEFT JOIN howdah.keeper k ON k.worker_id = w.id AND k.expires_at >= howdah.now()
  LEFT JOIN (SELECT e.worker_id, sum((SELECT sum(c) FROM unnest(e.counts) c) - (SELECT count(*) FROM howdah.settled s WHERE s.lease_id = e.id))::bigint AS running
               FROM howdah.lease e GROUP BY 1) l ON l.worker_id = w.id;
-- howdah.workflow_jobs: the jobs of workflows, with what they depend on and what of that they still wait for. Ask it by workflow_id.
CREATE OR REPLACE VIEW howdah.workflow_jobs AS
SELECT w.id AS workflow_id, n.name, n.job_id, n.kind, n.queue, n.state, n.ended_at, n.depends_on, n.waits_for
  FROM howdah.workflow w CROSS JOIN LATERAL howdah.workflow_nodes(w.id) n;
-- howdah.workflows: every workflow with how many of its jobs are in which state.
-- state: running while a job of it has not ended; then failed if one is dead or has expired, cancelled if one was cancelled, else
-- completed.
CREATE OR REPLACE VIEW howdah.workflows AS
SELECT w.id, w.name,
       CASE WHEN c.unfinished > 0 THEN 'running' WHEN c.dead + c.expired > 0 THEN 'failed' WHEN c.cancelled > 0 THEN 'cancelled' ELSE 'completed' END AS state,
       w.created_at, CASE WHEN c.unfinished = 0 THEN c.ended_at END AS ended_at, w.cancelled_at,
       cardinality(m.ids) AS jobs, c.blocked, c.scheduled, c.ready, c.running, c.completed, c.cancelled, c.expired, c.dead
  FROM howdah.workflow w
  CROSS JOIN LATERAL (SELECT ARRAY(SELECT k.job_id FROM howdah.workflow_job k WHERE k.workflow_id = w.id) AS ids) m
  CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE s.state IN ('scheduled', 'blocked', 'ready', 'running')) AS unfinished, max(s.ended_at) AS ended_at,
           count(*) FILTER (WHERE s.state = 'blocked') AS blocked, count(*) FILTER (WHERE s.state = 'scheduled') AS scheduled,
           count(*) FILTER (WHERE s.state = 'ready') AS ready, count(*) FILTER (WHERE s.state = 'running') AS running,
           count(*) FILTER (WHERE s.state = 'completed') AS completed, count(*) FILTER (WHERE s.state = 'cancelled') AS cancelled,
           count(*) FILTER (WHERE s.state = 'expired') AS expired, count(*) FILTER (WHERE s.state = 'dead') AS dead
      FROM howdah.states_of(m.ids) s) c;
DO $do$ BEGIN PERFORM howdah.grant_rights(); END $do$;
INSERT INTO howdah.code (hash, release) VALUES ('42d3c52ad101ee6e', '0.1.0');
COMMIT;
