-- howdah.steps: the steps of every job, as far as they are still kept. In order: by job_id, n.
CREATE OR REPLACE VIEW howdah.steps AS
SELECT s.job_id, s.n, s.name::text AS name, s.kind, s.state, s.attempt, s.at, s.wakes_at, s.result FROM howdah.step s
UNION ALL
SELECT p.job_id, p.n, p.name::text, p.kind, p.state, p.attempt, p.at, p.wakes_at, p.result FROM howdah.past_step p;
