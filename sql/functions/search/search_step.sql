-- howdah.search_step(search, known, before, most) -> (ids, next, looked)
-- The next jobs that a search has to look at, with ids below `before`: about `most` rows' worth of them.
--   known  the only ids that there can be, in descending order; NULL: unknown
--   next   the lowest id that has been dealt with; NULL: nothing is left
-- Internal. Reads: job, or the rooms that the states name.
CREATE OR REPLACE FUNCTION howdah.search_step(search jsonb, known bigint[], before bigint, most integer, OUT ids bigint[], OUT next bigint, OUT looked bigint)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_from   bigint := coalesce((search_step.search ->> 'from_id')::bigint, 0);
  v_states text[] := ARRAY(SELECT jsonb_array_elements_text(search_step.search -> 'states'));
BEGIN
  IF search_step.known IS NOT NULL THEN
    SELECT array_agg(n.id), min(n.id), count(*) INTO ids, next, looked
      FROM (SELECT k.id FROM unnest(search_step.known) k(id) WHERE k.id < search_step.before AND k.id >= v_from ORDER BY k.id DESC LIMIT search_step.most) n;
  ELSIF search_step.search ? 'states' AND v_states <@ '{scheduled,blocked,ready,running,dead}' THEN
    SELECT r.ids, r.next, r.looked INTO ids, next, looked FROM howdah.search_rooms(search_step.search, v_states, v_from, search_step.before, search_step.most) r;
    RETURN;
  ELSE
    SELECT array_agg(n.id), min(n.id), count(*) INTO ids, next, looked FROM (
      (SELECT j.id FROM howdah.job j WHERE j.id < search_step.before AND j.id >= v_from ORDER BY j.id DESC LIMIT search_step.most)
      UNION
      (SELECT k.id FROM howdah.job_kept k WHERE k.id < search_step.before AND k.id >= v_from ORDER BY k.id DESC LIMIT search_step.most)
      ORDER BY id DESC LIMIT search_step.most) n;
  END IF;
  IF looked < search_step.most THEN
    next := NULL;
  END IF;
END $$;
