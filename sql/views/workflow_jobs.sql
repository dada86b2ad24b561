-- howdah.workflow_jobs: the jobs of workflows, with what they depend on and what of that they still wait for. Ask it by workflow_id.
CREATE OR REPLACE VIEW howdah.workflow_jobs AS
SELECT w.id AS workflow_id, n.name, n.job_id, n.kind, n.queue, n.state, n.ended_at, n.depends_on, n.waits_for
  FROM howdah.workflow w CROSS JOIN LATERAL howdah.workflow_nodes(w.id) n;
