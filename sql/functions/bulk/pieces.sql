-- howdah.pieces(first_ids, counts, ids) -> (run, first_id, jobs, taken)
-- Cuts runs of jobs into the pieces that consist of `ids` only and those that hold none of them. `run` is the first id
-- of the run that a piece is of. Internal. Reads nothing.
CREATE OR REPLACE FUNCTION howdah.pieces(first_ids bigint[], counts smallint[], ids bigint[])
RETURNS TABLE (run bigint, first_id bigint, jobs smallint, taken boolean) LANGUAGE plpgsql IMMUTABLE
SET search_path = pg_catalog, pg_temp SET jit = off AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
    SELECT e.run, min(e.id), count(*)::smallint, e.taken
      FROM (SELECT r.first_id AS run, r.first_id + g AS id, i.id IS NOT NULL AS taken,
                   g - row_number() OVER (PARTITION BY r.first_id, i.id IS NOT NULL ORDER BY g) AS island
              FROM unnest(pieces.first_ids, pieces.counts) r(first_id, jobs) CROSS JOIN LATERAL generate_series(0, r.jobs - 1) g
              LEFT JOIN (SELECT DISTINCT u FROM unnest(pieces.ids) u) i(id) ON i.id = r.first_id + g) e
     GROUP BY e.run, e.island, e.taken;
END $$;
