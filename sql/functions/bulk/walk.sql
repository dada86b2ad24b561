-- howdah.walk(queues, states, after, upto, most) -> bigint
-- How far the next batch of a walk over jobs goes: to the end of the block of the most-th run behind `after` in the
-- rooms of these states (scheduled, ready, running, dead). NULL: nothing is left up to `upto`.
-- A job's id never changes, however it moves between the rooms, and a run of ids never leaves its block. So a walk
-- by blocks that deals with all rooms at each step meets every job, and none twice. Internal.
-- Cost: one index descent for each queue, priority and partition, and `most` entries of each at most.
CREATE OR REPLACE FUNCTION howdah.walk(queues integer[], states text[], after bigint, upto bigint, most integer) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off AS $$
#variable_conflict use_column
BEGIN
  RETURN (SELECT max(n.first_id) | 127 FROM (
    SELECT r.first_id FROM (
      (SELECT d.first_id FROM howdah.deferred d
        WHERE howdah.waits_as(d.gate) = ANY (walk.states) AND d.first_id > walk.after AND d.first_id <= walk.upto AND d.queue_id = ANY (walk.queues)
        ORDER BY d.first_id LIMIT walk.most)
      UNION ALL
      SELECT t.first_id FROM unnest(walk.queues) q(id), generate_series(0, 9) p, LATERAL (
        SELECT k.first_id FROM howdah.ticket k
         WHERE 'ready' = ANY (walk.states) AND k.queue_id = q.id AND k.priority = p AND k.first_id > walk.after AND k.first_id <= walk.upto
         ORDER BY k.first_id LIMIT walk.most) t
      UNION ALL
      SELECT u.first_id FROM howdah.lease l, unnest(l.first_ids) u(first_id)
       WHERE 'running' = ANY (walk.states) AND l.queue_id = ANY (walk.queues) AND u.first_id > walk.after AND u.first_id <= walk.upto
      UNION ALL
      (SELECT x.job_id FROM howdah.dead x
        WHERE 'dead' = ANY (walk.states) AND x.job_id > walk.after AND x.job_id <= walk.upto AND x.queue_id = ANY (walk.queues)
        ORDER BY x.job_id LIMIT walk.most)) r
     ORDER BY r.first_id LIMIT walk.most) n);
END $$;
