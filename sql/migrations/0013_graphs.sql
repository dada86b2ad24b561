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
