-- howdah.limits: every rule of a limit, a rate or a share; how much of it is used now, where it is for one gate; and how
-- many jobs wait for it.
CREATE OR REPLACE VIEW howdah.limits AS
SELECT f.scope, f.name, f.max_running, f.rate, f.rate_period_ms, f.rate_burst, f.weight, r.running, b.blocked
  FROM howdah.flow_rule f
  LEFT JOIN LATERAL (
    SELECT CASE WHEN f.scope = 'queue' THEN (SELECT coalesce(sum((SELECT sum(c) FROM unnest(l.counts) c)), 0)::bigint FROM howdah.lease l JOIN howdah.queue q ON q.id = l.queue_id WHERE q.name = f.name)
      WHEN f.scope <> 'share' AND right(f.name, 1) <> '*' THEN (SELECT count(*) FROM howdah.slot s WHERE s.gate = CASE f.scope WHEN 'kind' THEN 'kind:' ELSE 'limit:' END || f.name) END AS running) r ON true
  LEFT JOIN LATERAL (
    SELECT CASE WHEN f.scope IN ('kind', 'key') AND right(f.name, 1) <> '*' THEN (
      SELECT coalesce(sum(d.jobs), 0)::bigint FROM howdah.deferred d WHERE d.gate = CASE f.scope WHEN 'kind' THEN 'kind:' ELSE 'limit:' END || f.name) END AS blocked) b ON true;
