-- howdah.runs(ids) -> (first_id, jobs)
-- Packs ids into runs of consecutive ones that stay within a block, in order. Internal.
CREATE OR REPLACE FUNCTION howdah.runs(ids bigint[]) RETURNS TABLE (first_id bigint, jobs smallint)
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT min(i.id), count(*)::smallint
    FROM (SELECT u.id, u.id - row_number() OVER (ORDER BY u.id) AS island FROM unnest(runs.ids) u(id)) i
   GROUP BY i.island, i.id >> 7 ORDER BY 1
$$;
