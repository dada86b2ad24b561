-- howdah.states_of(job_ids) -> (job_id, state, ended_at)
-- In which state each of these jobs is, of one moment: a job on its way from one room to another is seen in one of them.
-- Of one that does not exist, or ended longer ago than history is kept, there is no row.
-- Locks: none. Errors: none. Internal.
-- Cost: a probe of each room for each block of 128 ids, and one pass over what runs.
CREATE OR REPLACE FUNCTION howdah.states_of(job_ids bigint[]) RETURNS TABLE (job_id bigint, state text, ended_at timestamptz)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET enable_seqscan = off
  SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  -- No job has a higher id, and a block at the end of all numbers has no end that could be counted.
  v_blocks     bigint[] := ARRAY(SELECT DISTINCT u >> 7 << 7 FROM unnest(states_of.job_ids) u WHERE u <= 9007199254740991 ORDER BY 1);
  v_ids        bigint[] := '{}';
  v_at         bigint[] := '{}';
  v_queues     integer[] := '{}';
  v_priorities smallint[] := '{}';
  v_part       bigint;
  r            record;
BEGIN
  -- What was asked for does not move. A partition that is named by a variable is the only one that is opened.
  FOR v_part IN SELECT DISTINCT (b >> 33) & 7 FROM unnest(v_blocks) b LOOP
    v_ids := v_ids || ARRAY(SELECT j.id FROM howdah.job j WHERE ((j.id >> 33) & 7) = v_part AND j.id = ANY (states_of.job_ids));
    SELECT array_agg(a.block) AS at, array_agg(a.queue_id) AS queues, array_agg(a.priority) AS priorities INTO r
      FROM (SELECT DISTINCT j.id >> 7 << 7 AS block, j.queue_id, j.priority FROM howdah.job j
             WHERE ((j.id >> 33) & 7) = v_part AND j.id = ANY (states_of.job_ids)) a;
    v_at := v_at || r.at;
    v_queues := v_queues || r.queues;
    v_priorities := v_priorities || r.priorities;
  END LOOP;
  SELECT array_agg(k.id) AS ids, array_agg(k.id >> 7 << 7) AS at, array_agg(k.queue_id) AS queues, array_agg(k.priority) AS priorities INTO r
    FROM howdah.job_kept k WHERE k.id = ANY (states_of.job_ids);
  v_ids := v_ids || r.ids;
  v_at := v_at || r.at;
  v_queues := v_queues || r.queues;
  v_priorities := v_priorities || r.priorities;
  RETURN QUERY
    SELECT s.id, s.state, s.at FROM (
      SELECT d.first_id + g AS id, howdah.waits_as(d.gate) AS state, NULL::timestamptz AS at
        FROM unnest(v_blocks) b(block), LATERAL (
          SELECT k.first_id, k.jobs, k.gate FROM howdah.deferred k WHERE k.first_id BETWEEN b.block AND b.block | 127) d, generate_series(0, d.jobs - 1) g
      UNION ALL
      SELECT t.first_id + g, 'ready', NULL
        FROM (SELECT DISTINCT * FROM unnest(v_at, v_queues, v_priorities) u(block, queue_id, priority)) b, LATERAL (
          SELECT k.first_id, k.jobs FROM howdah.ticket k
           WHERE k.queue_id = b.queue_id AND k.priority = b.priority AND k.first_id BETWEEN b.block AND b.block | 127) t, generate_series(0, t.jobs - 1) g
      UNION ALL
      SELECT u.first_id + g, 'running', NULL
        FROM howdah.lease l, unnest(l.first_ids, l.counts) u(first_id, jobs), generate_series(0, u.jobs - 1) g
       WHERE u.first_id >> 7 << 7 = ANY (v_blocks) AND NOT EXISTS (SELECT FROM howdah.settled x WHERE x.lease_id = l.id AND x.job_id = u.first_id + g)
      UNION ALL
      SELECT x.job_id, 'dead', x.died_at FROM howdah.dead x WHERE x.job_id = ANY (states_of.job_ids)
      UNION ALL
      SELECT u.first_id + g, CASE e.outcome WHEN 1 THEN 'completed' WHEN 2 THEN 'cancelled' ELSE 'expired' END, e.at
        FROM (SELECT DISTINCT k.slot, k.ctid AS tid, k.outcome, k.at, k.first_ids, k.counts
                FROM unnest(v_blocks) b(block) JOIN howdah.receipt k ON k.span && int8range(b.block, b.block + 128)) e,
             unnest(e.first_ids, e.counts) u(first_id, jobs), generate_series(0, u.jobs - 1) g
       WHERE u.first_id >> 7 << 7 = ANY (v_blocks)) s
     -- What a receipt says of a job that was deleted is history of nothing.
     -- As a table of hashes, whatever the planner thinks of how many there are.
     WHERE (s.id IN (SELECT i FROM unnest(v_ids) i)) IS TRUE;
END $$;
