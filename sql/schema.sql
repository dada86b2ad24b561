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
  slot   smallint NOT NULL,
  job_id bigint   NOT NULL,
  result jsonb    NOT NULL
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
SET LOCAL check_function_bodies = off;
-- howdah.claim(worker_id, queue, jobs, kinds, fronts) -> lease_id, id, kind, payload, attempt, ...
-- Takes up to `jobs` jobs off the front of a queue, in order of priority and then of enqueueing, under one
-- lease. Whoever holds the lease id may settle them, until the worker's heartbeat is overdue.
--   worker_id  from howdah.start_worker
--   queue      its name; a queue that does not exist yet or is paused has no jobs
--   jobs       1 to 500. Fewer come back if some of them have expired, which is then noted.
--   kinds      only these; NULL: any
--   fronts     ten ids, one for each priority 0 to 9: where the caller saw the live front of the queue.
--              What was enqueued before it is not looked at, so that dead tickets are not walked over;
--              leave it out now and then to find what was committed late. NULL: from the very front.
-- Writes: ticket (deletes; splits the last one), lease. Leaves job untouched. The attempt is counted here.
-- Locks: ticket rows, skipping what others have locked; never waits for another claimer.
-- Errors: HD002 invalid argument, HD004 the worker is not registered (any more).
-- Cost: one index descent for each priority and table, one row lock and one delete for each ticket.
CREATE OR REPLACE FUNCTION howdah.claim(worker_id bigint, queue text DEFAULT 'default', jobs integer DEFAULT 1,
  kinds text[] DEFAULT NULL, fronts bigint[] DEFAULT NULL)
RETURNS TABLE (lease_id bigint, id bigint, kind text, payload jsonb, attempt smallint, max_attempts smallint,
               priority smallint, enqueued_at timestamptz, options jsonb)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
-- A plan made while the tables were empty would read them whole for ever after: hold it to the indexes.
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_queue    integer;
  v_left     integer := claim.jobs;
  v_take     integer;
  v_slot     smallint;
  v_part     bigint;
  v_rows     bigint;
  v_now      timestamptz := howdah.now();
  v_lease    bigint;
  v_fronts   bigint[] := coalesce(claim.fronts, '{0,0,0,0,0,0,0,0,0,0}');
  -- New tickets and those that came back: two scans, merged by priority and id. One row of each is looked
  -- at ahead; the loser of the last comparison stays locked until the commit, and is simply not taken.
  fresh CURSOR FOR SELECT t.ctid AS tid, t.slot, t.priority, t.first_id, t.jobs, t.attempt
    FROM unnest(v_fronts) WITH ORDINALITY f(front, n), LATERAL (
      SELECT ctid, * FROM howdah.ticket
       WHERE slot IN (0, 1) AND queue_id = v_queue AND priority = f.n - 1 AND first_id >= f.front
         AND (claim.kinds IS NULL OR kind = ANY (claim.kinds))
       ORDER BY first_id FOR UPDATE SKIP LOCKED) t;
  again CURSOR FOR SELECT t.ctid AS tid, t.slot, t.priority, t.first_id, t.jobs, t.attempt
    FROM howdah.ticket t
   WHERE slot IN (2, 3) AND queue_id = v_queue AND (claim.kinds IS NULL OR kind = ANY (claim.kinds))
   ORDER BY queue_id, priority, first_id FOR UPDATE SKIP LOCKED;
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
  IF NOT EXISTS (SELECT FROM howdah.worker w WHERE w.id = claim.worker_id) THEN
    PERFORM howdah.unknown_worker(claim.worker_id);
  END IF;
  SELECT q.id INTO v_queue FROM howdah.queue q WHERE q.name = claim.queue AND q.paused_at IS NULL;
  IF NOT FOUND THEN
    RETURN;
  END IF;
  OPEN fresh;
  OPEN again;
  FETCH fresh INTO a;
  FETCH again INTO b;
  LOOP
    IF b.tid IS NULL OR (a.tid IS NOT NULL AND (a.priority, a.first_id) < (b.priority, b.first_id)) THEN
      EXIT WHEN a.tid IS NULL;
      t := a;
    ELSE
      t := b;
    END IF;
    v_take := least(t.jobs, v_left);
    v_firsts := v_firsts || t.first_id;
    v_counts := v_counts || v_take::smallint;
    v_attempts := v_attempts || (t.attempt + 1)::smallint;
    IF v_take < t.jobs THEN
      UPDATE howdah.ticket SET first_id = first_id + v_take, jobs = jobs - v_take WHERE ctid = t.tid AND slot = t.slot;
    ELSIF t.slot = 0 THEN v_tids0 := v_tids0 || t.tid;
    ELSIF t.slot = 1 THEN v_tids1 := v_tids1 || t.tid;
    ELSIF t.slot = 2 THEN v_tids2 := v_tids2 || t.tid;
    ELSE v_tids3 := v_tids3 || t.tid;
    END IF;
    v_left := v_left - v_take;
    EXIT WHEN v_left = 0;
    IF t.slot < 2 THEN FETCH fresh INTO a; ELSE FETCH again INTO b; END IF;
  END LOOP;
  CLOSE fresh;
  CLOSE again;
  IF v_left = claim.jobs THEN
    RETURN;
  END IF;
  IF v_tids0 <> '{}' THEN DELETE FROM howdah.ticket WHERE slot = 0 AND ctid = ANY (v_tids0); END IF;
  IF v_tids1 <> '{}' THEN DELETE FROM howdah.ticket WHERE slot = 1 AND ctid = ANY (v_tids1); END IF;
  IF v_tids2 <> '{}' THEN DELETE FROM howdah.ticket WHERE slot = 2 AND ctid = ANY (v_tids2); END IF;
  IF v_tids3 <> '{}' THEN DELETE FROM howdah.ticket WHERE slot = 3 AND ctid = ANY (v_tids3); END IF;
  SELECT r.slot INTO v_slot FROM howdah.ring r WHERE r.name = 'lease';
  v_lease := nextval('howdah.lease_seq') << 2 | v_slot;
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
  IF v_rows < claim.jobs - v_left THEN
    PERFORM howdah.expire_claimed(v_lease);
  END IF;
END $$;
-- howdah.expire_claimed(lease_id) -> void
-- Ends the jobs of a lease that have expired before they could start. Internal to howdah.claim, which does not return
-- them. Writes: lease; and see expire_jobs.
CREATE OR REPLACE FUNCTION howdah.expire_claimed(lease_id bigint) RETURNS void
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
     AND (j.options ->> 'expires_at')::timestamptz <= howdah.now();
  SELECT array_agg(t.job_id), array_agg((t.attempt - 1)::smallint) INTO v_ids, v_attempts
    FROM howdah.take_from_lease(expire_claimed.lease_id, v_ids) t WHERE v_ids IS NOT NULL;
  PERFORM howdah.expire_jobs(v_ids, v_attempts);
END $$;
-- howdah.unknown_worker(worker_id) -> never returns
-- Says that a worker is not registered, or no longer. Errors: HD004.
CREATE OR REPLACE FUNCTION howdah.unknown_worker(worker_id bigint) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RAISE EXCEPTION 'worker % is not registered', coalesce(unknown_worker.worker_id::text, 'NULL')
    USING ERRCODE = 'HD004', COLUMN = 'worker_id',
      HINT = 'Its heartbeat was overdue and its jobs were given to others. Register again: SELECT howdah.start_worker(''name'')';
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
      v_at := to_timestamp((as_time.value #>> '{}')::float8 / 1000);
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
  END LOOP;
END $$;
-- howdah.check_job(kind, priority, run_at, delay, max_attempts, options) -> void
-- Refuses what no job may have. Shared by every way to enqueue.
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
-- Refuses what is no number in a range. Errors: HD002 (invalid argument) with COLUMN field. Internal.
CREATE OR REPLACE FUNCTION howdah.check_number(field text, value jsonb, low numeric, high numeric, whole boolean DEFAULT true) RETURNS void
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF jsonb_typeof(check_number.value) = 'number' THEN
    IF (check_number.value #>> '{}')::numeric BETWEEN check_number.low AND check_number.high
       AND (NOT check_number.whole OR (check_number.value #>> '{}')::numeric % 1 = 0) THEN
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
--   id          an id from howdah.reserve_id, for one job
--   unique      written by howdah.enqueue_unique
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
        IF jsonb_typeof(v_value) <> 'string' OR v_value #>> '{}' !~ '^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$' THEN
          PERFORM howdah.option_refused(v_key, 'must be a W3C traceparent, such as 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01');
        END IF;
      WHEN 'id' THEN
        PERFORM howdah.check_number(v_key, v_value, 128, 9007199254740991);
      WHEN 'unique' THEN
        NULL;
      ELSE
        PERFORM howdah.option_refused('options', 'have no ' || quote_literal(left(v_key, 100))
          || ': they are attributes, expires_at, ttl_ms, timeout_ms, retry, version, traceparent and id');
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
-- howdah.defer(due_at, first_id, jobs, queue_id, kind, priority, attempt) -> void
-- Puts a run of jobs into the room of what is due later, and tells the keeper if it means to sleep longer.
-- Writes: deferred. Locks: none that others need. Errors: none of its own. Internal.
CREATE OR REPLACE FUNCTION howdah.defer(due_at timestamptz, first_id bigint, jobs integer, queue_id integer, kind text, priority integer, attempt integer)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
  INSERT INTO howdah.deferred (due_at, first_id, queue_id, priority, jobs, attempt, kind)
    VALUES (defer.due_at, defer.first_id, defer.queue_id, defer.priority, defer.jobs, defer.attempt, defer.kind);
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
-- Errors: HD001 unknown queue, HD002 invalid argument (COLUMN names the field).
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
     AND enqueue.options IS NULL;
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
-- Errors: HD001 unknown queue, HD002 invalid argument (COLUMN names the field). All jobs or none.
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
  v_size   integer;
  v_now    timestamptz := howdah.now();
  v_due    timestamptz;
  v_options jsonb := enqueue_many.options;
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
  END IF;
  IF enqueue_many.options ? 'id' THEN
    v_blocks := ARRAY[howdah.reserved_id((enqueue_many.options ->> 'id')::bigint, v_count)];
  ELSE
    SELECT array_agg(nextval('howdah.block_seq') << 7) INTO v_blocks FROM generate_series(1, (v_count + 127) / 128);
  END IF;
  WITH inserted AS (
    INSERT INTO howdah.job (id, enqueued_at, queue_id, priority, max_attempts, kind, payload, options)
    SELECT v_blocks[((u.n - 1) >> 7) + 1] + ((u.n - 1) & 127), v_now, v_queue.id, enqueue_many.priority,
           coalesce(enqueue_many.max_attempts, v_queue.max_attempts), enqueue_many.kind, u.payload, v_options
      FROM unnest(enqueue_many.payloads) WITH ORDINALITY u(payload, n)
    RETURNING pg_column_size(payload) AS bytes)
  SELECT max(bytes) INTO v_size FROM inserted;
  IF v_size > v_queue.max_payload_bytes THEN
    PERFORM howdah.payload_refused(enqueue_many.queue, v_size, v_queue.max_payload_bytes);
  END IF;
  IF v_due > v_now THEN
    PERFORM howdah.defer(v_due, b.first_id, least(128, v_count - (b.n - 1)::integer * 128), v_queue.id, enqueue_many.kind, enqueue_many.priority, 0)
      FROM unnest(v_blocks) WITH ORDINALITY b(first_id, n);
  ELSE
    INSERT INTO howdah.ticket (first_id, queue_id, slot, priority, jobs, attempt, kind)
    SELECT b.first_id, v_queue.id, v_queue.fresh_slot, enqueue_many.priority, least(128, v_count - (b.n - 1) * 128), 0, enqueue_many.kind
      FROM unnest(v_blocks) WITH ORDINALITY b(first_id, n);
    PERFORM howdah.wake(v_queue.id);
  END IF;
  IF v_options ? 'expires_at' THEN
    PERFORM howdah.expire_at((v_options ->> 'expires_at')::timestamptz, v_blocks, v_count);
  END IF;
  RETURN QUERY SELECT b.first_id, least(128, v_count - (b.n - 1)::integer * 128)
    FROM unnest(v_blocks) WITH ORDINALITY b(first_id, n);
END $$;
-- howdah.enqueue_slowly(kind, payload, queue, priority, run_at, delay, max_attempts, options) -> bigint
-- What howdah.enqueue does not decide at a glance: jobs that are due later, and everything that must be
-- refused. Internal: same arguments, writes, locks and errors as howdah.enqueue.
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
  v_holder := howdah.take_key(enqueue_unique.kind, v_key, v_id, enqueue_unique.scope, v_until);
  IF v_holder IS NULL THEN
    RETURN QUERY SELECT m.first_id, false FROM howdah.enqueue_many(enqueue_unique.kind, ARRAY[enqueue_unique.payload], enqueue_unique.queue,
      enqueue_unique.priority, enqueue_unique.run_at, enqueue_unique.delay, enqueue_unique.max_attempts, v_options) m;
    RETURN;
  END IF;
  IF enqueue_unique.on_hit = 'error' THEN
    PERFORM howdah.key_held(enqueue_unique.kind, v_holder);
  END IF;
  IF enqueue_unique.on_hit LIKE 'replace%' THEN
    IF howdah.replace_job(v_holder, enqueue_unique.on_hit, enqueue_unique.payload, enqueue_unique.queue, enqueue_unique.priority,
         coalesce(enqueue_unique.run_at, v_now + enqueue_unique.delay), enqueue_unique.max_attempts, v_options) THEN
      RETURN QUERY SELECT v_holder, true;
      RETURN;
    ELSIF howdah.state(v_holder) = 'running' THEN
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
-- Says that a payload is missing or too large, and what to do about it.
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
-- Writes: job, ticket or deferred, expiry. Locks: the row that it
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
  v_size    integer;
  j         howdah.job;
BEGIN
  IF replace_job.what = 'replace_payload' THEN
    v_due := (SELECT d.due_at FROM howdah.deferred d WHERE d.first_id BETWEEN (replace_job.job_id >> 7 << 7) AND replace_job.job_id
                 AND replace_job.job_id < d.first_id + d.jobs);
  END IF;
  SELECT t.attempt INTO v_attempt FROM howdah.take_waiting(replace_job.job_id) t;
  IF NOT FOUND THEN
    RETURN false;
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
  END IF;
  IF replace_job.what = 'replace' THEN
    j.queue_id := v_queue.id;
    j.priority := replace_job.priority;
    j.max_attempts := coalesce(replace_job.max_attempts, v_queue.max_attempts);
    j.options := v_options;
    v_attempt := 0;
    DELETE FROM howdah.expiry e WHERE e.job_id = j.id;
    IF v_options ? 'expires_at' THEN
      PERFORM howdah.expire_at((v_options ->> 'expires_at')::timestamptz, ARRAY[j.id], 1);
    END IF;
  END IF;
  PERFORM howdah.rewrite_job(j);
  IF v_due > v_now THEN
    PERFORM howdah.defer(v_due, j.id, 1, j.queue_id, j.kind, j.priority, v_attempt);
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
-- Checks an id that a caller brings: it must come from howdah.reserve_id, be for one job, and not be in use.
-- Two enqueues of one id at the same time: the second one fails with a unique violation. Internal.
-- Errors: HD002 (invalid argument) with COLUMN id.
CREATE OR REPLACE FUNCTION howdah.reserved_id(id bigint, jobs integer) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
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
  RETURN reserved_id.id;
END $$;
-- howdah.rewrite_job(job) -> void
-- Writes a job's row again: the one exception from its being written once, for jobs that somebody changes while they
-- wait. The caller has taken it out of the room where it waits, and puts it back. Internal.
-- Writes: job or job_kept. Locks: its row.
CREATE OR REPLACE FUNCTION howdah.rewrite_job(job howdah.job) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
DECLARE
  n howdah.job := rewrite_job.job;
BEGIN
  UPDATE howdah.job j SET queue_id = n.queue_id, priority = n.priority, max_attempts = n.max_attempts, payload = n.payload, options = n.options
   WHERE ((j.id >> 33) & 7) = ((n.id >> 33) & 7) AND j.id = n.id;
  IF NOT FOUND THEN
    UPDATE howdah.job_kept j SET queue_id = n.queue_id, priority = n.priority, max_attempts = n.max_attempts, payload = n.payload, options = n.options
     WHERE j.id = n.id;
  END IF;
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
-- howdah.take_key(kind, key, job_id, scope, expires_at) -> bigint
-- Takes a unique key for a job that is about to be enqueued. Returns NULL if it is taken now, or the job that has it.
-- A key whose period is over is free, and so is one whose job has ended although the key lasts only as long as it:
-- whatever has gone wrong, a key is never lost for good. Internal to howdah.enqueue_unique.
-- Writes: unique_key. Locks: the key's row; waits for a transaction that has it.
CREATE OR REPLACE FUNCTION howdah.take_key(kind text, key text, job_id bigint, scope text, expires_at timestamptz) RETURNS bigint
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
    SELECT * INTO u FROM howdah.unique_key k WHERE k.kind = take_key.kind AND k.key = take_key.key FOR UPDATE;
    -- Gone since: try again.
    CONTINUE WHEN NOT FOUND;
    IF u.expires_at <= howdah.now()
       OR (u.scope = 'live' AND coalesce(howdah.state(u.job_id), 'gone') NOT IN ('scheduled', 'blocked', 'ready', 'running')) THEN
      UPDATE howdah.unique_key k SET job_id = take_key.job_id, scope = take_key.scope, expires_at = take_key.expires_at
       WHERE k.kind = take_key.kind AND k.key = take_key.key;
      RETURN NULL;
    END IF;
    RETURN u.job_id;
  END LOOP;
END $$;
-- howdah.unknown_queue(name) -> never returns
-- Says that a queue does not exist and how to make it. One place, so that every function says it alike.
-- Errors: HD001 (unknown queue).
CREATE OR REPLACE FUNCTION howdah.unknown_queue(name text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RAISE EXCEPTION 'there is no queue named %', coalesce(quote_literal(left(unknown_queue.name, 100)), 'NULL')
    USING ERRCODE = 'HD001', COLUMN = 'queue',
      HINT = 'Start a worker that serves it, or create it: SELECT howdah.create_queue(''name'')';
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
-- howdah.elect_keeper(worker_id, term_ms) -> bigint
-- Takes the keeper's office if it is vacant, or keeps it. Returns the term, or NULL if another worker has it.
-- A new holder begins a new term. A lease row, not a session lock: it also holds behind a pooler.
-- Writes: keeper. Locks: its one row. Errors: HD004 the worker is not registered.
CREATE OR REPLACE FUNCTION howdah.elect_keeper(worker_id bigint, term_ms integer DEFAULT 5000) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  v_term bigint;
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
               ORDER BY e.expires_at, e.job_id LIMIT expire.most FOR UPDATE SKIP LOCKED LOOP
    expired := expired + 1;
    CONTINUE WHEN howdah.is_locked(v_id);
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
  FOR x IN SELECT j.id, j.queue_id, j.kind, j.priority, u.attempt, q.on_expiry, j.options ->> 'expires_at' AS expires_at
             FROM unnest(expire_jobs.job_ids, expire_jobs.attempts) u(id, attempt), LATERAL howdah.find_job(u.id) j
             JOIN howdah.queue q ON q.id = j.queue_id ORDER BY j.id LOOP
    IF x.on_expiry = 'dead' THEN
      PERFORM howdah.bury(x.id, x.queue_id, x.kind, x.priority, x.attempt, 'expired: it was not started before ' || x.expires_at);
    ELSE
      PERFORM howdah.write_receipt(3, x.queue_id, NULL, NULL, ARRAY[x.id], ARRAY[x.attempt]);
    END IF;
  END LOOP;
END $$;
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
-- One tick of the keeper, in one statement: keeps the office, rescues, promotes, expires.
--   term       the term that elect_keeper gave
--   sweep      true: look at everything that is due, false: at what became due in the last five seconds, so
--              that dead rows are not walked over again and again
--   awake      true: the keeper looks every few milliseconds, and nobody needs to notify it of due times
--   tick_ms    when it will look again by itself
--   promoted   how many runs of jobs became ready; 1000: there may be more
--   next_ms    milliseconds until the next job is due or expires; NULL if there is none
--   rescued    a line for each worker that was given up
-- Writes: keeper, and see rescue, promote and expire. Errors: HD011 another keeper was elected: nothing was done.
CREATE OR REPLACE FUNCTION howdah.keep(worker_id bigint, term bigint, sweep boolean, awake boolean, tick_ms integer,
  OUT promoted integer, OUT next_ms bigint, OUT rescued text[])
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  v_now    timestamptz := howdah.now();
  v_office howdah.keeper;
  v_expire record;
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
  END IF;
  SELECT p.promoted, p.next_ms INTO promoted, next_ms
    FROM howdah.promote(1000, CASE WHEN keep.sweep THEN '-infinity' ELSE v_now - interval '5 seconds' END) p;
  SELECT * INTO v_expire FROM howdah.expire(1000, CASE WHEN keep.sweep THEN '-infinity' ELSE v_now - interval '5 seconds' END);
  next_ms := least(next_ms, v_expire.next_ms);
END $$;
-- howdah.keeper_vacant() -> boolean
-- Whether the keeper's office can be taken: nobody has it, its term has run out, or its holder has missed a
-- heartbeat and its session has ended. Cheap: workers ask every second.
-- Reads: keeper, worker. Errors: none.
CREATE OR REPLACE FUNCTION howdah.keeper_vacant() RETURNS boolean
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
  SELECT k.expires_at < howdah.now() OR EXISTS (SELECT FROM howdah.worker w WHERE w.id = k.worker_id AND howdah.session_ended(w))
    FROM howdah.keeper k
$$;
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
--   next_ms   milliseconds until the next one is due; NULL if there is none
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
    INSERT INTO howdah.ticket (first_id, queue_id, slot, priority, jobs, attempt, kind)
    SELECT g.first_id, g.queue_id, r.slot, g.priority, g.jobs, g.attempt, g.kind FROM gone g, howdah.ring r WHERE r.name = 'returned'
    RETURNING queue_id)
  SELECT coalesce(sum(b.n), 0), count(howdah.wake(b.queue_id)) INTO promoted, v_woken
    FROM (SELECT queue_id, count(*) AS n FROM back GROUP BY queue_id) b;
  SELECT greatest(0, ceil(extract(epoch FROM d.due_at - howdah.now()) * 1000)) INTO next_ms
    FROM howdah.deferred d WHERE d.due_at >= promote.since AND d.due_at < 'infinity' ORDER BY d.due_at LIMIT 1;
END $$;
-- howdah.prune(most) -> text
-- Deletes what has outlived its retention and has no partition to be dropped with: dead jobs, kept rows of
-- jobs that are over, wishes to cancel what runs no more, unique keys whose period is over, waiters that are gone. At most `most` rows of each.
-- Returns what it did, or NULL. Writes: dead, job_kept, cancel_request, unique_key, waiter. Errors: none.
CREATE OR REPLACE FUNCTION howdah.prune(most integer DEFAULT 1000) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_dead bigint;
  v_kept bigint;
BEGIN
  DELETE FROM howdah.dead d WHERE d.ctid = ANY (ARRAY(
    SELECT e.ctid FROM howdah.dead e, howdah.config c WHERE e.died_at < howdah.now() - c.dead_retention
     ORDER BY e.died_at LIMIT prune.most FOR UPDATE OF e SKIP LOCKED));
  GET DIAGNOSTICS v_dead = ROW_COUNT;
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
  DELETE FROM howdah.cancel_request c WHERE NOT EXISTS (
    SELECT FROM howdah.lease l WHERE (l.id & 3) = (c.lease_id & 3) AND l.id = c.lease_id);
  DELETE FROM howdah.unique_key u WHERE u.ctid = ANY (ARRAY(
    SELECT k.ctid FROM howdah.unique_key k WHERE k.expires_at < howdah.now() LIMIT prune.most FOR UPDATE SKIP LOCKED));
  DELETE FROM howdah.waiter w WHERE w.ctid = ANY (ARRAY(
    SELECT k.ctid FROM howdah.waiter k WHERE k.expires_at < howdah.now() LIMIT prune.most FOR UPDATE SKIP LOCKED));
  IF v_dead + v_kept > 0 THEN
    RETURN format('pruned %s dead and %s kept jobs', v_dead, v_kept);
  END IF;
  RETURN NULL;
END $$;
-- howdah.rescue() -> (worker, jobs)
-- Finds dead workers and gives their jobs to others. A worker is dead when its heartbeat is overdue by its
-- lease_ms; or when it has missed a heartbeat and the session that it registered from is gone. Nothing that
-- heartbeats is touched.
-- Returns a row for each worker that was given up. Writes: see rescue_worker. Locks: worker rows, skipping
-- what another rescue has. Errors: none.
CREATE OR REPLACE FUNCTION howdah.rescue() RETURNS TABLE (worker text, jobs integer)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  w record;
BEGIN
  FOR w IN
    SELECT k.*, k.heartbeat_at + make_interval(secs => k.lease_ms / 1000.0) < howdah.now() AS overdue FROM howdah.worker k
     WHERE k.heartbeat_at + make_interval(secs => k.lease_ms / 1000.0) < howdah.now()
        OR howdah.session_ended(k)
     ORDER BY k.id FOR UPDATE SKIP LOCKED
  LOOP
    worker := w.name;
    jobs := howdah.rescue_worker(w.id, 'worker_lost', format('worker %s was last heard of at %s%s', w.name,
      to_char(w.heartbeat_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'), CASE WHEN NOT w.overdue THEN ' and its session has ended' ELSE '' END));
    RETURN NEXT;
  END LOOP;
  -- Leases without a worker: claimed by one that was just given up, or locked while it was.
  FOR w IN SELECT l.id, l.worker_id FROM howdah.lease l WHERE NOT EXISTS (SELECT FROM howdah.worker k WHERE k.id = l.worker_id)
            ORDER BY l.id LIMIT 1000 FOR UPDATE SKIP LOCKED LOOP
    worker := 'worker ' || w.worker_id;
    jobs := howdah.rescue_lease(w.id, w.worker_id, 'worker_lost', format('worker %s is not registered any more', w.worker_id));
    RETURN NEXT;
  END LOOP;
END $$;
-- howdah.rescue_lease(lease_id, worker_id, error_kind, message) -> integer
-- Ends a lease and gives its jobs to others. Returns how many. Internal to rescue; the caller has locked the
-- lease row in an earlier statement.
-- Writes: lease, failure, ticket, dead, receipt (for those that were to be cancelled).
CREATE OR REPLACE FUNCTION howdah.rescue_lease(lease_id bigint, worker_id bigint, error_kind text, message text) RETURNS integer
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  v_lost     bigint[];
  v_attempts smallint[];
  v_now      timestamptz := howdah.now();
BEGIN
  SELECT array_agg(t.job_id), array_agg(t.attempt) INTO v_lost, v_attempts FROM howdah.take_from_lease(rescue_lease.lease_id) t;
  IF v_lost IS NULL THEN
    RETURN 0;
  END IF;
  INSERT INTO howdah.failure (slot, job_id, attempt, at, worker_id, error_kind, message)
  SELECT r.slot, u.id, u.attempt, v_now, rescue_lease.worker_id, rescue_lease.error_kind, rescue_lease.message
    FROM unnest(v_lost, v_attempts) u(id, attempt), howdah.ring r WHERE r.name = 'history';
  PERFORM howdah.write_receipt(2, j.queue_id, rescue_lease.worker_id, NULL, ARRAY[u.id], ARRAY[u.attempt])
    FROM unnest(v_lost, v_attempts) u(id, attempt) JOIN howdah.cancel_request c ON c.job_id = u.id, LATERAL howdah.find_job(u.id) j;
  PERFORM howdah.bury(j.id, j.queue_id, j.kind, j.priority, u.attempt, rescue_lease.error_kind || ': ' || rescue_lease.message)
    FROM unnest(v_lost, v_attempts) u(id, attempt), LATERAL howdah.find_job(u.id) j
   WHERE u.attempt >= j.max_attempts AND NOT EXISTS (SELECT FROM howdah.cancel_request c WHERE c.job_id = u.id);
  PERFORM howdah.put_back(array_agg(u.id), array_agg(u.attempt))
    FROM unnest(v_lost, v_attempts) u(id, attempt), LATERAL howdah.find_job(u.id) j
   WHERE u.attempt < j.max_attempts AND NOT EXISTS (SELECT FROM howdah.cancel_request c WHERE c.job_id = u.id);
  RETURN cardinality(v_lost);
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
  DELETE FROM howdah.cancel_request c WHERE c.worker_id = rescue_worker.worker_id;
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
-- grows without bound. Returns what it did; NULL when there is nothing to do. Never waits for a lock.
-- Call it until it returns NULL, each time in a transaction of its own. Errors: none.
CREATE OR REPLACE FUNCTION howdah.rotate() RETURNS text
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
  SELECT coalesce(
    howdah.rotate_ring('ticket', 'ticket', '{0,1}', 8388608),
    howdah.rotate_ring('returned', 'ticket', '{2,3}', 8388608),
    howdah.rotate_ring('lease', 'lease', '{0,1,2,3}', 8388608),
    howdah.rotate_history(),
    howdah.rotate_jobs(),
    howdah.prune())
$$;
-- howdah.rotate_history() -> text
-- Turns the ring of receipts, failures and results twice in each retention: what is truncated is then at least one
-- retention old. Returns what it did, or NULL. Internal to rotate.
-- Writes: ring. Locks: see truncate_slot.
CREATE OR REPLACE FUNCTION howdah.rotate_history() RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_next smallint;
BEGIN
  SELECT (r.slot + 1) % 4 INTO v_next FROM howdah.ring r, howdah.config c
   WHERE r.name = 'history' AND r.since + c.history_retention / 2 < howdah.now() FOR UPDATE OF r SKIP LOCKED;
  IF NOT FOUND OR NOT howdah.truncate_slot(ARRAY['receipt_' || v_next, 'failure_' || v_next, 'result_' || v_next]) THEN
    RETURN NULL;
  END IF;
  UPDATE howdah.ring r SET slot = v_next, since = howdah.now() WHERE r.name = 'history';
  RETURN format('turned history to slot %s', v_next);
END $$;
-- howdah.rotate_jobs() -> text
-- Turns the ring of howdah.job: four times in each retention the id sequence moves on to the next partition,
-- if that is empty. A partition that was left is truncated one retention after its last job had ended. The few jobs
-- that live longer (scheduled far ahead, dead) are moved to job_kept first; while there are more than 10,000 of
-- them the partition waits. Returns what it did, or NULL. Internal to rotate.
-- Writes: ring, block_seq, idle_job_slot, job_kept. Locks: see truncate_slot.
CREATE OR REPLACE FUNCTION howdah.rotate_jobs() RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_retention interval := (SELECT c.history_retention FROM howdah.config c);
  v_block     bigint := (SELECT s.last_value FROM howdah.block_seq s);
  v_current   integer := (v_block >> 26) & 7;
  v_since     timestamptz;
  v_idle      timestamptz;
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
    SELECT i.idle_since INTO v_idle FROM howdah.idle_job_slot i WHERE i.slot = v_slot;
    IF v_idle + v_retention < howdah.now() AND howdah.truncate_slot(ARRAY['job_' || v_slot], v_slot) THEN
      DELETE FROM howdah.idle_job_slot i WHERE i.slot = v_slot;
      RETURN format('truncated job_%s', v_slot);
    END IF;
  END LOOP;
  IF v_since + v_retention / 4 < howdah.now() AND pg_relation_size(format('howdah.job_%s', v_current)::regclass) > 0
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
-- Whether a worker has missed a heartbeat and the session that it had attached is gone. Internal: a hint, for
-- workers that are connected directly.
-- Reads: pg_stat_activity. Errors: none.
CREATE OR REPLACE FUNCTION howdah.session_ended(worker howdah.worker) RETURNS boolean
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
  SELECT worker.backend_pid IS NOT NULL
     AND worker.heartbeat_at + make_interval(secs => 1.25 * worker.heartbeat_ms / 1000.0) < howdah.now()
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
-- howdah.truncate_slot(tables, job_slot) -> boolean
-- Truncates partitions in which nothing lives, without making anyone wait: gives up at once when a lock is
-- held, and looks again under its own lock before it truncates. Truncating needs no vacuum and no horizon, so
-- a long transaction elsewhere cannot keep the dead rows.
--   tables    names of partitions in this schema
--   job_slot  NULL: the tables must be empty; else the partition of howdah.job, in which no job may be live
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
    IF truncate_slot.job_slot IS NULL AND v_table !~ '^(receipt|failure|result)_' THEN
      EXECUTE format('SELECT EXISTS (SELECT FROM howdah.%I)', v_table) INTO v_live;
      IF v_live THEN
        RETURN false;
      END IF;
    END IF;
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
-- howdah.cancel(job_id) -> text
-- Cancels a job and returns what became of it:
--   cancelled   it waited, and will not run
--   cancelling  it runs: its worker is told, its handler sees the cancellation, and it then ends as cancelled
--   completed, cancelled, expired, dead: it had ended before, and nothing was changed; NULL: there is no such job
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
  RETURN howdah.state(cancel.job_id);
END $$;
-- howdah.create_queue(name) -> integer
-- Makes a queue with default settings, or does nothing if it exists. Returns its id.
-- Writes: queue. Locks: none if it exists; another creation of the same name waits for this commit.
-- Errors: HD002 invalid name.
CREATE OR REPLACE FUNCTION howdah.create_queue(name text) RETURNS integer
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_id integer;
BEGIN
  IF create_queue.name IS NULL OR octet_length(create_queue.name) NOT BETWEEN 1 AND 128 OR create_queue.name ~ '[[:cntrl:]]' THEN
    RAISE EXCEPTION 'queue must be 1 to 128 bytes without control characters, not % bytes', coalesce(octet_length(create_queue.name)::text, 'NULL')
      USING ERRCODE = 'HD002', COLUMN = 'queue';
  END IF;
  SELECT q.id INTO v_id FROM howdah.queue q WHERE q.name = create_queue.name;
  IF NOT FOUND THEN
    INSERT INTO howdah.queue (name, fresh_slot) SELECT create_queue.name, r.slot FROM howdah.ring r WHERE r.name = 'ticket'
      ON CONFLICT DO NOTHING;
    SELECT q.id INTO v_id FROM howdah.queue q WHERE q.name = create_queue.name;
  END IF;
  RETURN v_id;
END $$;
-- howdah.insert_job() -> trigger
-- INSERT INTO howdah.new_job enqueues: each row goes through howdah.enqueue, with its errors.
CREATE OR REPLACE FUNCTION howdah.insert_job() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  NEW.id := howdah.enqueue(NEW.kind, NEW.payload, NEW.queue, NEW.priority, NEW.run_at, NEW.delay, NEW.max_attempts, NEW.options);
  RETURN NEW;
END $$;
-- howdah.pause_queue(queue, by, reason) -> boolean
-- Stops claims from a queue until resume_queue, over restarts. What runs goes on. Returns whether it was
-- running before. Writes: queue. Errors: HD001 unknown queue.
CREATE OR REPLACE FUNCTION howdah.pause_queue(queue text, by text DEFAULT NULL, reason text DEFAULT NULL) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_was timestamptz;
BEGIN
  SELECT q.paused_at INTO v_was FROM howdah.queue q WHERE q.name = pause_queue.queue FOR NO KEY UPDATE;
  IF NOT FOUND THEN
    PERFORM howdah.unknown_queue(pause_queue.queue);
  END IF;
  UPDATE howdah.queue q SET paused_at = coalesce(q.paused_at, howdah.now()), paused_by = coalesce(pause_queue.by, session_user),
    pause_reason = pause_queue.reason WHERE q.name = pause_queue.queue;
  RETURN v_was IS NULL;
END $$;
-- howdah.resume_queue(queue) -> boolean
-- Lets claims from a paused queue go on, and wakes its workers. Returns whether it was paused.
-- Writes: queue. Errors: HD001 unknown queue.
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
  UPDATE howdah.queue q SET paused_at = NULL, paused_by = NULL, pause_reason = NULL WHERE q.id = v_id;
  PERFORM howdah.wake(v_id);
  RETURN v_was IS NOT NULL;
END $$;
-- howdah.retry(job_id) -> text
-- Runs a job again, or sooner. A dead one starts over with all its attempts; one that is scheduled (a retry
-- too) is due at once. Returns 'ready'; or the state that it is in, if nothing was changed; or NULL, if
-- there is no such job.
-- A dead job that had a unique key as long as it lived takes it again.
-- Writes: dead or deferred, and ticket; unique_key. Errors: HD003 another job has the unique key now.
CREATE OR REPLACE FUNCTION howdah.retry(job_id bigint) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  v_attempt smallint;
BEGIN
  DELETE FROM howdah.dead d WHERE d.job_id = retry.job_id;
  IF FOUND THEN
    PERFORM howdah.take_key_again(retry.job_id);
    PERFORM howdah.put_back(ARRAY[retry.job_id], ARRAY[0]::smallint[]);
    RETURN 'ready';
  END IF;
  IF EXISTS (SELECT FROM howdah.deferred d WHERE d.first_id BETWEEN (retry.job_id >> 7 << 7) AND retry.job_id
                AND retry.job_id < d.first_id + d.jobs) THEN
    SELECT t.attempt INTO v_attempt FROM howdah.take_waiting(retry.job_id) t;
    IF FOUND THEN
      PERFORM howdah.put_back(ARRAY[retry.job_id], ARRAY[v_attempt]);
      RETURN 'ready';
    END IF;
  END IF;
  RETURN howdah.state(retry.job_id);
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
-- Gives a dead job that is to run again the unique key that it had while it lived, if it had one. Internal.
-- Writes: unique_key. Locks: waits for another transaction that takes the same key. Errors: HD003 another job has it.
CREATE OR REPLACE FUNCTION howdah.take_key_again(job_id bigint) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  j        howdah.job;
  v_holder bigint;
BEGIN
  SELECT * INTO j FROM howdah.find_job(take_key_again.job_id);
  IF j.options -> 'unique' ->> 'scope' IS DISTINCT FROM 'live' THEN
    RETURN;
  END IF;
  INSERT INTO howdah.unique_key (kind, key, job_id, scope) VALUES (j.kind, j.options -> 'unique' ->> 'key', j.id, 'live') ON CONFLICT DO NOTHING;
  SELECT u.job_id INTO v_holder FROM howdah.unique_key u WHERE u.kind = j.kind AND u.key = j.options -> 'unique' ->> 'key';
  IF v_holder <> j.id THEN
    PERFORM howdah.key_held(j.kind, v_holder);
  END IF;
END $$;
-- howdah.take_waiting(job_id) -> (queue_id, priority, kind, attempt)
-- Takes one job out of the ticket or deferred row that it waits in; the rest of the run stays. No row: it
-- does not wait. Internal.
-- Writes: ticket or deferred. Locks: that row, and waits for whoever has it.
CREATE OR REPLACE FUNCTION howdah.take_waiting(job_id bigint)
RETURNS TABLE (queue_id integer, priority smallint, kind text, attempt smallint) LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_block bigint := take_waiting.job_id >> 7 << 7;
  t       record;
BEGIN
  SELECT k.* INTO t FROM howdah.find_job(take_waiting.job_id) j, howdah.ticket k
   WHERE k.queue_id = j.queue_id AND k.priority = j.priority AND k.first_id BETWEEN v_block AND take_waiting.job_id
     AND take_waiting.job_id < k.first_id + k.jobs FOR UPDATE OF k;
  IF FOUND THEN
    DELETE FROM howdah.ticket k WHERE k.slot = t.slot AND k.queue_id = t.queue_id AND k.priority = t.priority AND k.first_id = t.first_id;
    INSERT INTO howdah.ticket (first_id, queue_id, slot, priority, jobs, attempt, kind)
    SELECT p.first_id, t.queue_id, r.slot, t.priority, p.jobs, t.attempt, t.kind
      FROM (VALUES (t.first_id, take_waiting.job_id - t.first_id),
                   (take_waiting.job_id + 1, t.first_id + t.jobs - 1 - take_waiting.job_id)) p(first_id, jobs), howdah.ring r
     WHERE p.jobs > 0 AND r.name = 'returned';
  ELSE
    SELECT d.* INTO t FROM howdah.deferred d
     WHERE d.first_id BETWEEN v_block AND take_waiting.job_id AND take_waiting.job_id < d.first_id + d.jobs FOR UPDATE;
    IF NOT FOUND THEN
      RETURN;
    END IF;
    DELETE FROM howdah.deferred d WHERE d.first_id = t.first_id;
    PERFORM howdah.defer(t.due_at, p.first_id, p.jobs::integer, t.queue_id, t.kind, t.priority, t.attempt)
      FROM (VALUES (t.first_id, take_waiting.job_id - t.first_id),
                   (take_waiting.job_id + 1, t.first_id + t.jobs - 1 - take_waiting.job_id)) p(first_id, jobs) WHERE p.jobs > 0;
  END IF;
  RETURN QUERY SELECT t.queue_id, t.priority, t.kind, t.attempt;
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
BEGIN
  IF wait_for.job_ids IS NULL OR cardinality(wait_for.job_ids) > 100000 THEN
    PERFORM howdah.option_refused('job_ids', 'must be at most 100000 ids');
  END IF;
  IF wait_for.ttl_ms IS NULL OR wait_for.ttl_ms NOT BETWEEN 1000 AND 3600000 THEN
    PERFORM howdah.option_refused('ttl_ms', 'must be 1000 to 3600000, not ' || coalesce(wait_for.ttl_ms::text, 'NULL'));
  END IF;
  FOR job_id, state, result, reason IN
    SELECT i.id, j.state, j.result, j.reason
      FROM (SELECT DISTINCT u.id FROM unnest(wait_for.job_ids) u(id) WHERE u.id IS NOT NULL) i LEFT JOIN LATERAL (
        SELECT v.state, v.result, v.reason FROM howdah.jobs v WHERE v.id = i.id) j ON true
     WHERE j.state IS NULL OR j.state NOT IN ('scheduled', 'blocked', 'ready', 'running')
  LOOP
    v_over := v_over || job_id;
    RETURN NEXT;
  END LOOP;
  DELETE FROM howdah.waiter w WHERE w.job_id = ANY (v_over);
  INSERT INTO howdah.waiter (job_id, expires_at)
  SELECT i.id, v_now + v_ttl FROM (SELECT DISTINCT u.id FROM unnest(wait_for.job_ids) u(id)) i
   WHERE i.id IS NOT NULL AND i.id <> ALL (v_over)
     AND NOT EXISTS (SELECT FROM howdah.waiter w WHERE w.job_id = i.id AND w.expires_at > v_now + v_ttl / 2) ORDER BY i.id
  ON CONFLICT (job_id) DO UPDATE SET expires_at = greatest(waiter.expires_at, excluded.expires_at);
END $$;
-- howdah.bury(job_id, queue_id, kind, priority, attempt, reason) -> void
-- Puts a job into the dead-letter room. Internal. Writes: dead, and see howdah.ended.
CREATE OR REPLACE FUNCTION howdah.bury(job_id bigint, queue_id integer, kind text, priority integer, attempt integer, reason text)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  INSERT INTO howdah.dead (job_id, queue_id, priority, attempt, kind, died_at, reason)
    VALUES (bury.job_id, bury.queue_id, bury.priority, bury.attempt, bury.kind, howdah.now(), left(bury.reason, 1000));
  PERFORM howdah.ended(ARRAY[bury.job_id], '{1}');
END $$;
-- howdah.check_verdicts(job_ids, verdicts, delay_ms) -> void
-- Refuses verdicts that do not exist, delays out of range, and a job named twice. Internal to howdah.fail.
-- Errors: HD002, naming the field.
CREATE OR REPLACE FUNCTION howdah.check_verdicts(job_ids bigint[], verdicts text[], delay_ms bigint[])
RETURNS void LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_bad text;
BEGIN
  SELECT v INTO v_bad FROM unnest(check_verdicts.verdicts) v WHERE v NOT IN ('retry', 'discard', 'cancel', 'snooze') LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION 'verdict must be retry, discard, cancel or snooze, not %', quote_literal(left(v_bad, 100))
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
RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_lease   howdah.lease;
  v_attempt smallint;
BEGIN
  SELECT * INTO v_lease FROM howdah.lease l
   WHERE (l.id & 3) = (complete_in.lease_id & 3) AND l.id = complete_in.lease_id FOR KEY SHARE;
  SELECT r.attempt INTO v_attempt FROM unnest(v_lease.first_ids, v_lease.counts, v_lease.attempts) r(first_id, jobs, attempt)
   WHERE complete_in.job_id >= r.first_id AND complete_in.job_id < r.first_id + r.jobs;
  IF FOUND THEN
    INSERT INTO howdah.settled (lease_id, job_id) VALUES (complete_in.lease_id, complete_in.job_id) ON CONFLICT DO NOTHING;
  END IF;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'job % is not held by lease % any more', complete_in.job_id, complete_in.lease_id
      USING ERRCODE = 'HD010', HINT = 'Roll back: another worker has the job, or it has ended.';
  END IF;
  PERFORM howdah.write_receipt(1, v_lease.queue_id, v_lease.worker_id, v_lease.claimed_at,
    ARRAY[complete_in.job_id], ARRAY[v_attempt], ARRAY[complete_in.run_ms]);
  IF complete_in.result IS NOT NULL THEN
    PERFORM howdah.keep_results(ARRAY[complete_in.job_id], ARRAY[complete_in.result], ARRAY[complete_in.job_id]);
  END IF;
  -- A lease of one job has nobody else to disturb, and a caller without a worker's flush needs it gone.
  IF v_lease.counts = '{1}' THEN
    DELETE FROM howdah.lease l WHERE (l.id & 3) = (v_lease.id & 3) AND l.id = v_lease.id;
    DELETE FROM howdah.settled s WHERE s.lease_id = v_lease.id;
  END IF;
END $$;
-- howdah.complete_leases(lease_ids, jobs, run_ms, result_leases, result_jobs, results) -> setof bigint
-- Completes every job that is left in these leases: the worker's fast path, one statement for thousands.
--   jobs    how many jobs each of the leases held
--   run_ms  how long each job ran: of the first lease in the order claimed, then of the second, ...
--   result_leases, result_jobs, results  what some of the jobs returned, and whose jobs they are; may be NULL
-- Returns the leases that were still held; whatever is missing was lost, and its jobs are with others.
-- Writes: lease (deletes), receipt, result; and see howdah.ended. Locks: lease rows, against a rescue; waits for a complete_in that is open.
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
  PERFORM howdah.must_read_committed();
  -- Lock first and look later: the statement after this one sees what a complete_in has committed meanwhile.
  PERFORM FROM howdah.lease l WHERE l.id = ANY (complete_leases.lease_ids) FOR UPDATE;
  SELECT array_agg(DISTINCT s.lease_id) INTO v_mixed FROM howdah.settled s WHERE s.lease_id = ANY (complete_leases.lease_ids);
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
      INSERT INTO howdah.result (slot, job_id, result)
      SELECT r.slot, u.job_id, u.result
        FROM unnest(complete_leases.result_leases, complete_leases.result_jobs, complete_leases.results) u(lease_id, job_id, result)
        JOIN gone g ON g.id = u.lease_id, howdah.ring r WHERE r.name = 'history'),
    hook AS (
      SELECT howdah.ended(array_agg(u.first_id), array_agg(u.jobs)) FROM gone g, unnest(g.first_ids, g.counts) u(first_id, jobs))
    SELECT g.id FROM gone g, hook;
  -- Leases of which a complete_in has settled a part: only the rest is left to complete.
  RETURN QUERY
    SELECT l.id FROM howdah.lease l WHERE l.id = ANY (v_mixed) AND (
      SELECT count(*) FROM howdah.complete(l.id, NULL, NULL, complete_leases.result_jobs, complete_leases.results)) >= 0;
END $$;
-- howdah.ended(first_ids, counts) -> void
-- Called wherever jobs end, with the runs of their ids: frees their unique keys, wakes who waits for them. Jobs that
-- have none of this cost one probe of three indexes a run. Internal.
-- Writes: see ended_slowly. Errors: none.
CREATE OR REPLACE FUNCTION howdah.ended(first_ids bigint[], counts smallint[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off AS $$
BEGIN
  IF EXISTS (SELECT FROM unnest(ended.first_ids, ended.counts) r(first_id, jobs), howdah.unique_key u
              WHERE u.job_id >= r.first_id AND u.job_id < r.first_id + r.jobs)
     OR EXISTS (SELECT FROM unnest(ended.first_ids, ended.counts) r(first_id, jobs), howdah.waiter w
                 WHERE w.job_id >= r.first_id AND w.job_id < r.first_id + r.jobs)
     OR EXISTS (SELECT FROM unnest(ended.first_ids, ended.counts) r(first_id, jobs), howdah.expiry e
                 WHERE e.job_id >= r.first_id AND e.job_id < r.first_id + r.jobs) THEN
    PERFORM howdah.ended_slowly(ended.first_ids, ended.counts);
  END IF;
END $$;
-- howdah.ended_slowly(first_ids, counts) -> void
-- What must be done for jobs that have ended and had more than a payload: frees the unique keys that last as long as
-- their jobs, forgets when they would have expired, notifies who waits. Internal to howdah.ended.
-- Writes: unique_key, expiry, waiter. Locks: those rows, in order of the ids.
-- Notifies: howdah.ended with up to 400 ids a message, because a message has less than 8000 bytes.
CREATE OR REPLACE FUNCTION howdah.ended_slowly(first_ids bigint[], counts smallint[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off AS $$
DECLARE
  v_waited bigint[];
BEGIN
  DELETE FROM howdah.unique_key u USING unnest(ended_slowly.first_ids, ended_slowly.counts) r(first_id, jobs)
   WHERE u.job_id >= r.first_id AND u.job_id < r.first_id + r.jobs AND u.scope = 'live';
  DELETE FROM howdah.expiry e USING unnest(ended_slowly.first_ids, ended_slowly.counts) r(first_id, jobs)
   WHERE e.job_id >= r.first_id AND e.job_id < r.first_id + r.jobs;
  WITH gone AS (
    DELETE FROM howdah.waiter w USING unnest(ended_slowly.first_ids, ended_slowly.counts) r(first_id, jobs)
     WHERE w.job_id >= r.first_id AND w.job_id < r.first_id + r.jobs RETURNING w.job_id)
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
--   error_kinds, messages  kept in howdah.failure; messages are cut at 8192 characters
--   causes    what was behind each error, outermost first: JSON arrays of strings
--   retries   what the worker's program declares for the kind of each: JSON as in the option retry of a job
--   delay_ms  0 to 100 years; NULL: as howdah.retry_delay says
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
           coalesce(v.error_kind, 'error') AS error_kind, left(coalesce(v.message, ''), 8192) AS message,
           j.kind, j.priority, j.max_attempts, j.queue_id, j.options, v.causes, v.declared
      FROM howdah.take_from_lease(fail.lease_id, fail.job_ids) t
      JOIN unnest(fail.job_ids, fail.verdicts, fail.error_kinds, fail.messages, fail.delay_ms, fail.run_ms, fail.causes,
                  fail.retries) v(job_id, verdict, error_kind, message, delay_ms, run_ms, causes, declared) ON v.job_id = t.job_id
      JOIN LATERAL howdah.find_job(t.job_id) j ON true
  LOOP
    job_id := f.job_id;
    IF f.verdict <> 'snooze' THEN
      INSERT INTO howdah.failure (slot, job_id, attempt, at, worker_id, run_ms, error_kind, message, causes)
      SELECT r.slot, f.job_id, f.attempt, v_now, v_lease.worker_id, f.run_ms, f.error_kind, f.message, f.causes
        FROM howdah.ring r WHERE r.name = 'history';
    END IF;
    IF f.verdict = 'cancel' THEN
      PERFORM howdah.write_receipt(2, f.queue_id, v_lease.worker_id, v_lease.claimed_at, ARRAY[f.job_id], ARRAY[f.attempt], ARRAY[f.run_ms]);
      DELETE FROM howdah.cancel_request c WHERE c.job_id = f.job_id;
      state := 'cancelled';
    ELSIF f.verdict = 'discard' OR (f.verdict = 'retry' AND f.attempt >= f.max_attempts) THEN
      PERFORM howdah.bury(f.job_id, f.queue_id, f.kind, f.priority, f.attempt, f.error_kind || ': ' || f.message);
      state := 'dead';
    ELSE
      PERFORM howdah.defer(v_now + coalesce(make_interval(secs => f.delay_ms / 1000.0), howdah.retry_delay(f.queue_id, f.kind, f.attempt, f.options, f.declared)),
        f.job_id, 1, f.queue_id, f.kind, f.priority, f.attempt - (f.verdict = 'snooze')::integer);
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
-- howdah.forget(worker_id, lease_id, job_ids) -> setof bigint
-- Lets go of jobs that complete_in has completed: the worker's bookkeeping after a handler has returned.
-- Returns those whose completion is committed. One that is missing was not completed: its transaction was
-- rolled back or never committed, and the job is still held, or lost.
-- Writes: lease, settled. Locks: the lease row. Errors: HD012 the transaction is not READ COMMITTED.
-- Its commit does not wait for the disk, and so neither does that of a transaction around it.
CREATE OR REPLACE FUNCTION howdah.forget(worker_id bigint, lease_id bigint, job_ids bigint[]) RETURNS SETOF bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  v_settled bigint[];
BEGIN
  -- Losing this in a crash means that it is done again, when the lease is given up.
  PERFORM set_config('synchronous_commit', 'off', true);
  SELECT array_agg(s.job_id) INTO v_settled FROM howdah.settled s
   WHERE s.lease_id = forget.lease_id AND s.job_id = ANY (forget.job_ids);
  IF v_settled IS NOT NULL THEN
    PERFORM howdah.take_from_lease(forget.lease_id, v_settled);
  END IF;
  -- A lease of one job goes with complete_in: the receipt is what is left of it.
  v_settled := coalesce(v_settled, '{}') || ARRAY(
    SELECT j FROM unnest(forget.job_ids) j WHERE j <> ALL (coalesce(v_settled, '{}')) AND EXISTS (
      SELECT FROM howdah.receipt r WHERE r.span @> j AND r.outcome = 1 AND r.worker_id = forget.worker_id));
  -- Who began to wait after complete_in had looked, and before it was committed.
  PERFORM howdah.ended(v_settled, array_fill(1::smallint, ARRAY[cardinality(v_settled)]));
  RETURN QUERY SELECT unnest(v_settled);
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
  INSERT INTO howdah.result (slot, job_id, result)
  SELECT g.slot, u.job_id, u.result
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
    INSERT INTO howdah.ticket (first_id, queue_id, slot, priority, jobs, attempt, kind)
    SELECT min(i.id), i.queue_id, r.slot, i.priority, count(*), i.attempt, i.kind
      FROM (SELECT j.id, u.attempt, j.queue_id, j.priority, j.kind,
                   j.id - row_number() OVER (PARTITION BY u.attempt, j.queue_id, j.priority, j.kind ORDER BY j.id) AS island
              FROM unnest(put_back.job_ids, put_back.attempts) u(id, attempt), LATERAL howdah.find_job(u.id) j) i, howdah.ring r
     WHERE r.name = 'returned'
     GROUP BY i.island, i.id >> 7, i.queue_id, r.slot, i.priority, i.attempt, i.kind
    RETURNING queue_id)
  SELECT count(howdah.wake(b.queue_id)) INTO v_queues FROM (SELECT DISTINCT queue_id FROM back) b;
END $$;
-- howdah.release(lease_id, job_ids) -> setof bigint
-- Gives jobs of a lease back that were not started: they are ready again in their old place, the attempt
-- not counted. job_ids NULL: all that are left in the lease.
-- Returns the ids that were given back. Writes: lease, ticket. Locks: the lease row. Errors: none.
CREATE OR REPLACE FUNCTION howdah.release(lease_id bigint, job_ids bigint[] DEFAULT NULL)
RETURNS SETOF bigint LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_ids      bigint[];
  v_attempts smallint[];
BEGIN
  SELECT array_agg(t.job_id), array_agg((t.attempt - 1)::smallint) INTO v_ids, v_attempts
    FROM howdah.take_from_lease(release.lease_id, release.job_ids) t;
  PERFORM howdah.put_back(v_ids, v_attempts);
  RETURN QUERY SELECT unnest(v_ids);
END $$;
-- howdah.retry_delay(queue_id, kind, attempt, options, declared) -> interval
-- How long a job waits after its attempt-th attempt failed. Each setting is the job's, or else its kind's in
-- howdah.kind, or else what the worker's program declares for the kind, or else the queue's:
--   constant     base_ms
--   linear       base_ms * attempt
--   exponential  base_ms * factor^(attempt - 1)
-- no more than cap_ms, no less than floor_ms, and then spread by jitter (0.1: up to a tenth more or less), so that what
-- failed together does not come back together. Internal to howdah.fail.
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
  RETURN make_interval(secs => greatest(r.floor_ms, least(r.cap_ms,
      CASE r.policy WHEN 'constant' THEN r.base_ms WHEN 'linear' THEN r.base_ms * retry_delay.attempt
                    ELSE r.base_ms * power(r.factor, least(retry_delay.attempt - 1, 60)) END))
    * (1 + r.jitter * (2 * random() - 1)) / 1000);
END $$;
-- howdah.take_from_lease(lease_id, job_ids) -> (job_id, attempt)
-- The fence: takes jobs out of a lease, and returns those that were in it. Whatever is missing from the
-- answer is no longer the caller's, and nothing may be done about it. job_ids NULL: all that are left.
-- Internal; every way to settle a job but howdah.complete_leases and complete_in goes through here.
-- Writes: lease (shrinks, or deletes with the last job). Locks: the lease row, against a rescue.
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
  SELECT * INTO v_lease FROM howdah.lease l
   WHERE (l.id & 3) = (take_from_lease.lease_id & 3) AND l.id = take_from_lease.lease_id FOR NO KEY UPDATE;
  IF NOT FOUND THEN
    RETURN;
  END IF;
  IF take_from_lease.job_ids IS NOT NULL THEN
    SELECT coalesce(array_agg(k.first_id ORDER BY k.first_id), '{}'), coalesce(array_agg(k.jobs ORDER BY k.first_id), '{}'),
           coalesce(array_agg(k.attempt ORDER BY k.first_id), '{}')
      INTO v_firsts, v_counts, v_attempts
      FROM (SELECT min(h.id) AS first_id, count(*)::smallint AS jobs, h.attempt
              FROM (SELECT e.id, e.attempt, e.id - row_number() OVER (ORDER BY e.id) AS island
                      FROM unnest(v_lease.first_ids, v_lease.counts, v_lease.attempts) r(first_id, jobs, attempt),
                           LATERAL (SELECT r.first_id + g AS id, r.attempt FROM generate_series(0, r.jobs - 1) g) e
                     WHERE e.id <> ALL (take_from_lease.job_ids)) h
             GROUP BY h.island, h.id >> 7, h.attempt) k;
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
    PERFORM howdah.ended(write_receipt.job_ids, '{1}');
    RETURN;
  END IF;
  INSERT INTO howdah.receipt (slot, outcome, queue_id, worker_id, at, claimed_at, span, first_ids, counts, attempts, run_ms)
  SELECT g.slot, write_receipt.outcome, write_receipt.queue_id, write_receipt.worker_id, howdah.now(), write_receipt.claimed_at,
         int8range(min(k.first_id), max(k.first_id + k.jobs)),
         array_agg(k.first_id ORDER BY k.first_id), array_agg(k.jobs ORDER BY k.first_id), array_agg(k.attempt ORDER BY k.first_id),
         write_receipt.run_ms
    FROM (SELECT min(i.id) AS first_id, count(*)::smallint AS jobs, i.attempt
            FROM (SELECT u.id, u.attempt, u.id - row_number() OVER (ORDER BY u.id) AS island
                    FROM unnest(write_receipt.job_ids, write_receipt.attempts) u(id, attempt)) i
           GROUP BY i.island, i.id >> 7, i.attempt) k, howdah.ring g
   WHERE g.name = 'history' GROUP BY g.slot
  RETURNING receipt.first_ids, receipt.counts INTO v_firsts, v_counts;
  PERFORM howdah.ended(v_firsts, v_counts);
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
-- Returns how many jobs that were. Writes: lease, ticket. Locks: lease rows. Errors: none.
CREATE OR REPLACE FUNCTION howdah.disown(worker_id bigint, known bigint[], older_ms integer DEFAULT 0) RETURNS integer
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  v_lease bigint;
  v_jobs  integer := 0;
BEGIN
  FOR v_lease IN SELECT l.id FROM howdah.lease l
    WHERE l.worker_id = disown.worker_id AND l.id <> ALL (disown.known)
      AND l.claimed_at < howdah.now() - make_interval(secs => disown.older_ms / 1000.0) ORDER BY l.id
  LOOP
    v_jobs := v_jobs + (SELECT count(*) FROM howdah.release(v_lease));
  END LOOP;
  RETURN v_jobs;
END $$;
-- howdah.fall_asleep(worker_id, queue_ids) -> void
-- Announces that a worker waits to be notified of new jobs in these queues. It must look once more after
-- the commit of this, and again a few times: an enqueuer that looked before will not notify.
-- Writes: sleeper. Errors: none.
CREATE OR REPLACE FUNCTION howdah.fall_asleep(worker_id bigint, queue_ids integer[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM set_config('synchronous_commit', 'off', true);
  INSERT INTO howdah.sleeper (queue_id, worker_id)
    SELECT q, fall_asleep.worker_id FROM unnest(fall_asleep.queue_ids) q ON CONFLICT DO NOTHING;
END $$;
-- howdah.heartbeat(worker_id) -> (alive, keeper_vacant, cancelled)
-- Keeps the leases of a worker. Call it every heartbeat_ms.
--   alive          false: the worker was given up and its jobs are with others; it must register again
--   keeper_vacant  nobody does the chores at the moment: see howdah.elect_keeper
--   cancelled      running jobs of this worker that somebody wants to be cancelled
-- Writes: worker. Errors: none.
CREATE OR REPLACE FUNCTION howdah.heartbeat(worker_id bigint, OUT alive boolean, OUT keeper_vacant boolean, OUT cancelled bigint[])
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  UPDATE howdah.worker w SET heartbeat_at = howdah.now() WHERE w.id = heartbeat.worker_id;
  alive := FOUND;
  keeper_vacant := howdah.keeper_vacant();
  SELECT coalesce(array_agg(c.job_id), '{}') INTO cancelled FROM howdah.cancel_request c WHERE c.worker_id = heartbeat.worker_id;
END $$;
-- howdah.start_worker(name, lease_ms, heartbeat_ms, queues, kinds, version) -> bigint
-- Registers a worker process and gives its id, which claims and heartbeats name.
--   lease_ms      how long after its last heartbeat its jobs are given to others; 100 to 86400000
--   heartbeat_ms  how often it means to call howdah.heartbeat; at most half of lease_ms
--   queues, kinds, version  for people to see
-- Writes: worker; creates queues that do not exist. Errors: HD002 invalid argument.
CREATE OR REPLACE FUNCTION howdah.start_worker(name text, lease_ms integer DEFAULT 20000, heartbeat_ms integer DEFAULT 2000,
  queues text[] DEFAULT '{}', kinds text[] DEFAULT NULL, version text DEFAULT NULL)
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
  PERFORM howdah.create_queue(q) FROM unnest(start_worker.queues) q;
  INSERT INTO howdah.worker (name, started_at, heartbeat_at, heartbeat_ms, lease_ms, queues, kinds, version)
    VALUES (start_worker.name, howdah.now(), howdah.now(), start_worker.heartbeat_ms, start_worker.lease_ms,
            start_worker.queues, start_worker.kinds, start_worker.version)
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
-- howdah.all_jobs: what was asked for, wherever it is kept. Internal to howdah.jobs.
CREATE OR REPLACE VIEW howdah.all_jobs AS
SELECT * FROM howdah.job
UNION ALL
SELECT k.* FROM howdah.job_kept k WHERE NOT EXISTS (
  SELECT FROM howdah.job j WHERE ((j.id >> 33) & 7) = ((k.id >> 33) & 7) AND j.id = k.id);
-- howdah.failures: every failed attempt that is still kept, newest last within a job.
CREATE OR REPLACE VIEW howdah.failures AS
SELECT f.job_id, f.attempt, f.at, f.error_kind, f.message, f.run_ms, f.worker_id, f.causes FROM howdah.failure f;
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
    SELECT j.*, 'scheduled', d.attempt, d.due_at, NULL, NULL, NULL, NULL, NULL
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
  ) r JOIN howdah.queue q ON q.id = r.queue_id;
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
SELECT q.name AS queue, coalesce(t.ready, 0) AS ready, coalesce(l.running, 0) AS running, coalesce(d.scheduled, 0) AS scheduled,
       coalesce(x.dead, 0) AS dead, o.oldest_ready_at, d.next_due_at,
       q.paused_at IS NOT NULL AS paused, q.paused_at, q.paused_by, q.pause_reason, q.max_attempts, q.max_payload_bytes
  FROM howdah.queue q
  LEFT JOIN (SELECT queue_id, sum(jobs)::bigint AS ready, min(first_id) AS first_id FROM howdah.ticket GROUP BY 1) t ON t.queue_id = q.id
  LEFT JOIN LATERAL (SELECT j.enqueued_at AS oldest_ready_at FROM howdah.find_job(t.first_id) j) o ON true
  LEFT JOIN (SELECT queue_id, sum(jobs)::bigint AS scheduled, min(due_at) AS next_due_at FROM howdah.deferred GROUP BY 1) d ON d.queue_id = q.id
  LEFT JOIN (SELECT e.queue_id, sum((SELECT sum(c) FROM unnest(e.counts) c) - (SELECT count(*) FROM howdah.settled s WHERE s.lease_id = e.id))::bigint AS running
               FROM howdah.lease e GROUP BY 1) l ON l.queue_id = q.id
  LEFT JOIN (SELECT queue_id, count(*) AS dead FROM howdah.dead GROUP BY 1) x ON x.queue_id = q.id;
-- howdah.workers: every worker process with what it holds and when it was last heard of.
CREATE OR REPLACE VIEW howdah.workers AS
SELECT w.id, w.name, w.version, w.queues, w.kinds, coalesce(l.running, 0) AS running, w.started_at, w.heartbeat_at,
       w.heartbeat_at + make_interval(secs => w.lease_ms / 1000.0) AS expires_at, w.stopping,
       k.worker_id IS NOT NULL AS keeper,
       EXISTS (SELECT FROM howdah.sleeper s WHERE s.worker_id = w.id) AS asleep
  FROM howdah.worker w
  LEFT JOIN howdah.keeper k ON k.worker_id = w.id AND k.expires_at >= howdah.now()
  LEFT JOIN (SELECT e.worker_id, sum((SELECT sum(c) FROM unnest(e.counts) c) - (SELECT count(*) FROM howdah.settled s WHERE s.lease_id = e.id))::bigint AS running
               FROM howdah.lease e GROUP BY 1) l ON l.worker_id = w.id;
INSERT INTO howdah.code (hash, release) VALUES ('1cab7f9ca2866a06', '0.1.0');
COMMIT;
