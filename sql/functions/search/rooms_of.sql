-- howdah.rooms_of(job_ids) -> (job_id, state, attempt, due_at, worker_id, claimed_at, ended_at, run_ms, reason)
-- Where each of these jobs is, with what its room knows of it: as howdah.jobs says, of one moment. Of a job that does not
-- exist, or ended longer ago than history is kept, there is no row. reason: without what its steps wait for, which is
-- howdah.waits_because. Internal.
-- Cost: a probe of each room for each block of 128 ids, and one pass over what runs.
CREATE OR REPLACE FUNCTION howdah.rooms_of(job_ids bigint[])
RETURNS TABLE (job_id bigint, state text, attempt smallint, due_at timestamptz, worker_id bigint, claimed_at timestamptz, ended_at timestamptz, run_ms integer, reason text)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET enable_seqscan = off
  SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  -- No job has a higher id, and a block at the end of all numbers has no end that could be counted.
  v_blocks     bigint[] := ARRAY(SELECT DISTINCT u >> 7 << 7 FROM unnest(rooms_of.job_ids) u WHERE u <= 9007199254740991 ORDER BY 1);
  v_ids        bigint[];
  v_at         bigint[];
  v_queues     integer[];
  v_priorities smallint[];
BEGIN
  SELECT array_agg(j.id), array_agg(j.id >> 7 << 7), array_agg(j.queue_id), array_agg(j.priority) INTO v_ids, v_at, v_queues, v_priorities
    FROM howdah.find_jobs(rooms_of.job_ids) j;
  RETURN QUERY
    SELECT s.* FROM (
      SELECT d.first_id + g AS id, howdah.waits_as(d.gate), d.attempt, nullif(d.due_at, CASE WHEN d.gate IS NOT NULL THEN 'infinity'::timestamptz END),
             NULL::bigint, NULL::timestamptz, NULL::timestamptz, NULL::integer, CASE WHEN NOT d.gate ^@ 'fair:' THEN 'waits for ' || d.gate END
        FROM unnest(v_blocks) b(block), LATERAL (
          SELECT * FROM howdah.deferred k WHERE k.first_id BETWEEN b.block AND b.block | 127) d, generate_series(0, d.jobs - 1) g
      UNION ALL
      SELECT t.first_id + g, 'ready', t.attempt, NULL, NULL, NULL, NULL, NULL, NULL
        FROM (SELECT DISTINCT * FROM unnest(v_at, v_queues, v_priorities) u(block, queue_id, priority)) b, LATERAL (
          SELECT k.first_id, k.jobs, k.attempt FROM howdah.ticket k
           WHERE k.queue_id = b.queue_id AND k.priority = b.priority AND k.first_id BETWEEN b.block AND b.block | 127) t, generate_series(0, t.jobs - 1) g
      UNION ALL
      SELECT u.first_id + g, 'running', u.attempt, NULL, l.worker_id, l.claimed_at, NULL, NULL, NULL
        FROM howdah.lease l, unnest(l.first_ids, l.counts, l.attempts) u(first_id, jobs, attempt), generate_series(0, u.jobs - 1) g
       WHERE u.first_id >> 7 << 7 = ANY (v_blocks) AND NOT EXISTS (SELECT FROM howdah.settled x WHERE x.lease_id = l.id AND x.job_id = u.first_id + g)
      UNION ALL
      SELECT x.job_id, 'dead', x.attempt, NULL, NULL, NULL, x.died_at, NULL, x.reason FROM howdah.dead x WHERE x.job_id = ANY (rooms_of.job_ids)
      UNION ALL
      SELECT u.first_id + g, CASE e.outcome WHEN 1 THEN 'completed' WHEN 2 THEN 'cancelled' ELSE 'expired' END, u.attempt, NULL,
             e.worker_id, e.claimed_at, e.at, e.run_ms[(u.before + g + 1)::integer], NULL
        FROM (SELECT DISTINCT ON (k.slot, k.ctid) k.*
                FROM unnest(v_blocks) b(block) JOIN howdah.receipt k ON k.span && int8range(b.block, b.block + 128) ORDER BY k.slot, k.ctid) e,
             LATERAL (
               SELECT v.first_id, v.jobs, v.attempt, coalesce(sum(v.jobs) OVER (ORDER BY v.n ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS before
                 FROM unnest(e.first_ids, e.counts, e.attempts) WITH ORDINALITY v(first_id, jobs, attempt, n)) u,
             generate_series(0, u.jobs - 1) g
       WHERE u.first_id >> 7 << 7 = ANY (v_blocks)) s
     -- What a receipt says of a job that was deleted is history of nothing.
     -- As a table of hashes, whatever the planner thinks of how many there are.
     WHERE (s.id IN (SELECT i FROM unnest(v_ids) i)) IS TRUE;
END $$;
