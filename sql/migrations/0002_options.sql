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
