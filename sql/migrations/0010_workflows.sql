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
