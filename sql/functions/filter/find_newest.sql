-- howdah.find_newest(queues, kind, filter, before, most) -> bigint[]
-- The ids of the newest jobs by what was written with them, newest first, whatever has become of them since.
--   queues  only in these; NULL: in any
--   kind    only of this one; NULL: of any
--   filter  a predicate on attributes; NULL: none
--   before  only ids below this one
--   most    how many
-- Internal to howdah.find. Reads: job and job_kept, from the end of the index of their ids; the view would look at every job.
-- Cost: of the jobs from the newest to the last one that is found; an index of theirs is not used.
CREATE OR REPLACE FUNCTION howdah.find_newest(queues integer[], kind text, filter jsonpath, before bigint, most integer) RETURNS bigint[]
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off SET plan_cache_mode = force_custom_plan AS $$
BEGIN
  RETURN ARRAY(
    SELECT n.id FROM (
      (SELECT j.id FROM howdah.job j
        WHERE j.id < find_newest.before AND (find_newest.queues IS NULL OR j.queue_id = ANY (find_newest.queues))
          AND (find_newest.kind IS NULL OR j.kind = find_newest.kind)
          AND (find_newest.filter IS NULL OR coalesce(j.options -> 'attributes', '{}') @@ find_newest.filter)
        ORDER BY j.id DESC LIMIT find_newest.most)
      UNION
      (SELECT k.id FROM howdah.job_kept k
        WHERE k.id < find_newest.before AND (find_newest.queues IS NULL OR k.queue_id = ANY (find_newest.queues))
          AND (find_newest.kind IS NULL OR k.kind = find_newest.kind)
          AND (find_newest.filter IS NULL OR coalesce(k.options -> 'attributes', '{}') @@ find_newest.filter)
        ORDER BY k.id DESC LIMIT find_newest.most)) n
     ORDER BY n.id DESC LIMIT find_newest.most);
END $$;
