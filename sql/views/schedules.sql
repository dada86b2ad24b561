-- howdah.schedules: every schedule with its next slot, its last firing, and what is wrong with it. next_at is NULL while
-- it is paused, and for the moment until the keeper has worked it out.
CREATE OR REPLACE VIEW howdah.schedules AS
SELECT s.name, s.expression, s.timezone, s.next_at, f.due_at AS last_at, f.how AS last_how, f.job_id AS last_job, howdah.state(f.job_id) AS last_state,
       s.paused_at IS NOT NULL AS paused, s.paused_at, s.paused_by, s.pause_reason, s.error, s.error_at,
       s.queue, s.kind, s.payload, s.priority, s.max_attempts, s.options, s.unique_key, s.missed, s.max_missed, s.grace_ms,
       s.created_at, s.every_from, s.declared IS NOT NULL AS declared, s.revision
  FROM howdah.schedule s
  LEFT JOIN LATERAL (SELECT * FROM howdah.firing n WHERE n.schedule = s.name ORDER BY n.fired_at DESC LIMIT 1) f ON true;
