-- howdah.by_age(queue_id, aging_ms, most, fronts, kinds, prefixes, except_kinds) -> (slot, priority, first_id), in order
-- The tickets of a queue whose priorities rise with time, in the order in which they are due: by the priority that each
-- has come to by now, and of those that have come to the same one the oldest first. Internal to howdah.claim, which locks
-- those that it takes: what has been split or taken by then is passed over.
--   aging_ms  for each such span a job is one priority higher; none is higher than 0
--   most      how many tickets of each priority to look at, new ones and those that came back
--   fronts    as for howdah.claim
-- Reads only. Cost: one index descent for each priority and table, and a look at the job of each ticket that never came back.
CREATE OR REPLACE FUNCTION howdah.by_age(queue_id integer, aging_ms bigint, most integer, fronts bigint[], kinds text[],
  prefixes text[], except_kinds text[])
RETURNS TABLE (slot smallint, priority smallint, first_id bigint)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
    SELECT a.slot, a.priority, a.first_id
      FROM generate_series(0, 9) p, (VALUES (0), (2)) s(first_slot), LATERAL (
             SELECT t.slot, t.priority, t.first_id, t.ready_at FROM howdah.ticket t
              WHERE t.slot IN (s.first_slot, s.first_slot + 1) AND t.queue_id = by_age.queue_id AND t.priority = p
                AND t.first_id >= CASE WHEN s.first_slot = 0 THEN by_age.fronts[p + 1] ELSE 0 END
                AND (by_age.kinds IS NULL OR t.kind = ANY (by_age.kinds) OR t.kind ^@ ANY (by_age.prefixes))
                AND (by_age.except_kinds IS NULL OR t.kind <> ALL (by_age.except_kinds))
              ORDER BY t.first_id LIMIT by_age.most) a,
           LATERAL (SELECT coalesce(a.ready_at, (SELECT j.enqueued_at FROM howdah.find_job(a.first_id) j)) AS ready_at) r
     ORDER BY greatest(0, a.priority - floor(extract(epoch FROM howdah.now() - r.ready_at) * 1000 / by_age.aging_ms)), r.ready_at, a.first_id;
END $$;
