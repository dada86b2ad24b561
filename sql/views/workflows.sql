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
