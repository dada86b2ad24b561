-- howdah.search_rooms(search, states, from_id, before, most) -> (ids, next, looked)
-- The jobs of about `most` rows of the rooms of these states (scheduled, blocked, ready, running, dead), as
-- howdah.search_step returns them, at most 4,096; those that are of another kind or queue than the search says are left out.
-- A run of ids never leaves its block of 128, and every room is asked in one statement from a block's beginning on, so that
-- a job on its way from one room to another is seen in one of them. Internal.
-- Cost: an index descent for each queue, priority and partition, `most` rows of each room, and all that runs.
CREATE OR REPLACE FUNCTION howdah.search_rooms(search jsonb, states text[], from_id bigint, before bigint, most integer, OUT ids bigint[], OUT next bigint, OUT looked bigint)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_kinds  text[] := CASE WHEN search_rooms.search ? 'kinds' THEN ARRAY(SELECT jsonb_array_elements_text(search_rooms.search -> 'kinds')) END;
  v_queues integer[] := ARRAY(SELECT q.id FROM howdah.all_queues q
                               WHERE NOT search_rooms.search ? 'queues' OR q.name = ANY (ARRAY(SELECT jsonb_array_elements_text(search_rooms.search -> 'queues'))));
  v_waits  boolean := search_rooms.states && '{scheduled,blocked,ready}';
  v_ready  boolean := 'ready' = ANY (search_rooms.states);
  v_runs   boolean := 'running' = ANY (search_rooms.states);
  v_dead   boolean := 'dead' = ANY (search_rooms.states);
  v_low    bigint;
BEGIN
  SELECT min(n.first_id) >> 7 << 7, count(*) INTO v_low, looked FROM (
    SELECT r.first_id FROM (
      (SELECT d.first_id FROM howdah.deferred d
        WHERE v_waits AND d.first_id < search_rooms.before AND d.first_id > search_rooms.from_id - 128 ORDER BY d.first_id DESC LIMIT search_rooms.most)
      UNION ALL
      SELECT t.first_id FROM unnest(v_queues) q(id), generate_series(0, 9) p, LATERAL (
        SELECT k.first_id FROM howdah.ticket k
         WHERE v_ready AND k.queue_id = q.id AND k.priority = p AND k.first_id < search_rooms.before AND k.first_id > search_rooms.from_id - 128
         ORDER BY k.first_id DESC LIMIT search_rooms.most) t
      UNION ALL
      SELECT u.first_id FROM howdah.lease l, unnest(l.first_ids) u(first_id)
       WHERE v_runs AND l.queue_id = ANY (v_queues) AND u.first_id < search_rooms.before AND u.first_id > search_rooms.from_id - 128
      UNION ALL
      (SELECT x.job_id FROM howdah.dead x
        WHERE v_dead AND x.job_id < search_rooms.before AND x.job_id > search_rooms.from_id - 128 ORDER BY x.job_id DESC LIMIT search_rooms.most)) r
     ORDER BY r.first_id DESC LIMIT search_rooms.most) n;
  next := CASE WHEN looked >= search_rooms.most THEN v_low END;
  IF v_low IS NULL THEN
    RETURN;
  END IF;
  SELECT array_agg(c.id) INTO ids FROM (SELECT DISTINCT r.first_id + g AS id FROM (
    SELECT d.first_id, d.jobs FROM howdah.deferred d
     WHERE v_waits AND d.first_id >= v_low AND d.first_id < search_rooms.before AND d.queue_id = ANY (v_queues)
       AND (v_kinds IS NULL OR d.kind = ANY (v_kinds)) AND howdah.waits_as(d.gate) = ANY (search_rooms.states)
    UNION ALL
    SELECT t.first_id, t.jobs FROM howdah.ticket t
     WHERE v_ready AND t.queue_id = ANY (v_queues) AND t.priority = ANY ('{0,1,2,3,4,5,6,7,8,9}') AND t.first_id >= v_low AND t.first_id < search_rooms.before
       AND (v_kinds IS NULL OR t.kind = ANY (v_kinds))
    UNION ALL
    SELECT u.first_id, u.jobs FROM howdah.lease l, unnest(l.first_ids, l.counts) u(first_id, jobs)
     WHERE v_runs AND l.queue_id = ANY (v_queues) AND u.first_id >= v_low AND u.first_id < search_rooms.before
    UNION ALL
    SELECT x.job_id, 1 FROM howdah.dead x
     WHERE v_dead AND x.job_id >= v_low AND x.job_id < search_rooms.before AND x.queue_id = ANY (v_queues)
       AND (v_kinds IS NULL OR x.kind = ANY (v_kinds))) r, generate_series(0, r.jobs - 1) g
   WHERE r.first_id + g < search_rooms.before AND r.first_id + g >= search_rooms.from_id
   ORDER BY 1 DESC LIMIT 4096) c;
  IF cardinality(ids) = 4096 THEN
    next := ids[4096];
  END IF;
  looked := looked + coalesce(cardinality(ids), 0);
END $$;
