-- howdah.firings: what schedules have fired, the newest thousand or so of each, and what has become of the jobs. state
-- is NULL when a job ended longer ago than history is kept. hit: the job had the schedule's unique key, and none was
-- enqueued.
CREATE OR REPLACE VIEW howdah.firings AS
SELECT f.schedule, f.due_at, f.fired_at, f.how, f.job_id, f.hit, howdah.state(f.job_id) AS state FROM howdah.firing f;
