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
