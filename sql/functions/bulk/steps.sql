-- howdah.steps(queues, states, filter, ids, after, upto, most) -> (first, last, job_ids, next)
-- What one call of an operation on many jobs deals with: ranges of ids, from first + 1 to last, both ends of blocks, in
-- order.
-- Where the jobs are known, by their ids or by the index of attributes, a range for each of the next `most` blocks
-- that hold one; else one range of `most` runs, to be looked through. next: where the call after this goes on, when
-- this range is done; NULL: it was the last. No rows: nothing is left. Internal.
CREATE OR REPLACE FUNCTION howdah.steps(queues integer[], states text[], filter jsonpath, ids bigint[], after bigint, upto bigint, most integer)
RETURNS TABLE (first bigint, last bigint, job_ids bigint[], next bigint) LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_ids  bigint[] := coalesce(steps.ids, howdah.rare_matches(steps.filter));
  v_last bigint;
BEGIN
  IF v_ids IS NULL THEN
    v_last := howdah.walk(steps.queues, steps.states, steps.after, steps.upto, steps.most);
    IF v_last IS NOT NULL THEN
      RETURN QUERY SELECT steps.after, v_last, NULL::bigint[], CASE WHEN v_last < steps.upto THEN v_last END;
    END IF;
    RETURN;
  END IF;
  RETURN QUERY
    SELECT (b.block << 7) - 1, b.block << 7 | 127, b.ids, CASE WHEN b.more THEN b.block << 7 | 127 END
      FROM (SELECT i >> 7 AS block, array_agg(i) AS ids, lead(i >> 7) OVER (ORDER BY i >> 7) IS NOT NULL AS more
              FROM unnest(v_ids) i WHERE i > steps.after AND i <= steps.upto GROUP BY i >> 7) b
     ORDER BY b.block LIMIT steps.most;
END $$;
