-- howdah.left_in_range(queues, kind, states, filter, ids, after, upto) -> (first_id, lease_id)
-- What of howdah.live_in_range matches: ids of jobs, or the first ids of their runs where nothing has to match.
-- Internal.
CREATE OR REPLACE FUNCTION howdah.left_in_range(queues integer[], kind text, states text[], filter jsonpath, ids bigint[], after bigint, upto bigint)
RETURNS TABLE (first_id bigint, lease_id bigint) LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_firsts bigint[];
  v_counts integer[];
  v_leases bigint[];
BEGIN
  SELECT array_agg(l.first_id), array_agg(l.jobs), array_agg(l.lease_id) INTO v_firsts, v_counts, v_leases
    FROM howdah.live_in_range(left_in_range.queues, left_in_range.states, left_in_range.after, left_in_range.upto) l;
  IF left_in_range.kind IS NULL AND left_in_range.filter IS NULL AND left_in_range.ids IS NULL THEN
    RETURN QUERY SELECT u.first_id, u.lease_id FROM unnest(v_firsts, v_leases) u(first_id, lease_id);
  ELSE
    RETURN QUERY
      SELECT m.id, u.lease_id FROM howdah.matching(v_firsts, v_counts, left_in_range.filter, left_in_range.kind) m(id)
        JOIN unnest(v_firsts, v_counts, v_leases) u(first_id, jobs, lease_id)
          ON u.first_id >> 7 = m.id >> 7 AND m.id >= u.first_id AND m.id < u.first_id + u.jobs
       WHERE left_in_range.ids IS NULL OR m.id = ANY (left_in_range.ids);
  END IF;
END $$;
