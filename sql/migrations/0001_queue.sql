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
