-- howdah.doctor_dead(asked) -> findings, see howdah.doctor_checks
-- Queues of which more than dead_per_hour jobs have died in the last hour; ten times that is a problem. Internal to doctor.
-- Reads: dead, by its index: at most ten times the limit of each queue.
CREATE OR REPLACE FUNCTION howdah.doctor_dead(asked jsonb)
RETURNS TABLE (state text, found text, proof text, advice text, sql text, detail jsonb)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_limit bigint := howdah.doctor_limit(doctor_dead.asked, 'dead_per_hour');
  v_since timestamptz := howdah.now() - interval '1 hour';
BEGIN
  RETURN QUERY
    SELECT CASE WHEN d.dead > 10 * v_limit THEN 'problem' ELSE 'warning' END,
      format('%s%s jobs of queue %s died in the last hour, the last one %s ago: %s', CASE WHEN d.dead > 10 * v_limit THEN 'more than ' ELSE '' END,
             least(d.dead, 10 * v_limit), q.name, howdah.doctor_span(l.died_at), left(l.reason, 200)),
      format('SELECT kind, reason, count(*) FROM howdah.dead WHERE queue_id = %s AND died_at > howdah.now() - interval ''1 hour'' GROUP BY 1, 2 ORDER BY 3 DESC LIMIT 20', q.id),
      'mend what fails them, and send them again', format('SELECT howdah.retry_many(queue => %L)', q.name),
      jsonb_build_object('queue', q.name, 'dead', d.dead, 'last_job', l.job_id, 'last_kind', l.kind, 'last_reason', left(l.reason, 1000))
      FROM howdah.queue q
      CROSS JOIN LATERAL (SELECT count(*) AS dead FROM (SELECT FROM howdah.dead x WHERE x.queue_id = q.id AND x.died_at > v_since LIMIT 10 * v_limit + 1) n) d
      CROSS JOIN LATERAL (SELECT * FROM howdah.dead x WHERE x.queue_id = q.id ORDER BY x.died_at DESC LIMIT 1) l
     WHERE d.dead > v_limit ORDER BY d.dead DESC;
END $$;
