-- howdah.states_of(job_ids) -> (job_id, state, ended_at)
-- In which state each of these jobs is, of one moment: a job on its way from one room to another is seen in one of them.
-- Of one that does not exist, or ended longer ago than history is kept, there is no row.
-- Locks: none. Errors: none. Internal.
-- Cost: a few index probes for each job, and one pass over what runs.
CREATE OR REPLACE FUNCTION howdah.states_of(job_ids bigint[]) RETURNS TABLE (job_id bigint, state text, ended_at timestamptz)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
    SELECT i.id, CASE WHEN d.gate IS NULL THEN 'scheduled' ELSE 'blocked' END, NULL::timestamptz
      FROM unnest(states_of.job_ids) i(id), LATERAL (
        SELECT k.gate FROM howdah.deferred k WHERE k.first_id BETWEEN (i.id >> 7 << 7) AND i.id AND i.id < k.first_id + k.jobs) d
    UNION ALL
    SELECT i.id, 'ready', NULL
      FROM unnest(states_of.job_ids) i(id) CROSS JOIN LATERAL howdah.find_job(i.id) j, LATERAL (
        SELECT k.jobs FROM howdah.ticket k WHERE k.queue_id = j.queue_id AND k.priority = j.priority
           AND k.first_id BETWEEN (i.id >> 7 << 7) AND i.id AND i.id < k.first_id + k.jobs) t
    UNION ALL
    SELECT r.first_id + g, 'running', NULL
      FROM howdah.lease l, unnest(l.first_ids, l.counts) r(first_id, jobs), generate_series(0, r.jobs - 1) g
     WHERE r.first_id + g = ANY (states_of.job_ids)
       AND NOT EXISTS (SELECT FROM howdah.settled s WHERE s.lease_id = l.id AND s.job_id = r.first_id + g)
    UNION ALL
    SELECT x.job_id, 'dead', x.died_at FROM howdah.dead x WHERE x.job_id = ANY (states_of.job_ids)
    UNION ALL
    SELECT i.id, CASE c.outcome WHEN 1 THEN 'completed' WHEN 2 THEN 'cancelled' ELSE 'expired' END, c.at
      FROM unnest(states_of.job_ids) i(id), LATERAL (
        SELECT e.outcome, e.at FROM howdah.receipt e, unnest(e.first_ids, e.counts) u(first_id, jobs)
         WHERE e.span @> i.id AND i.id >= u.first_id AND i.id < u.first_id + u.jobs) c
     -- What a receipt says of a job that was deleted is history of nothing.
     WHERE EXISTS (SELECT FROM howdah.find_job(i.id));
END $$;
