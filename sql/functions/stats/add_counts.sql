-- howdah.add_counts(a, b) -> bigint[]
-- Two arrays of counts, added place by place; what one of them does not have is 0. NULL is an array of nothing.
-- Internal to fold_stats. Errors: none.
CREATE OR REPLACE FUNCTION howdah.add_counts(a bigint[], b bigint[]) RETURNS bigint[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
  SELECT coalesce(array_agg(coalesce(u.x, 0) + coalesce(u.y, 0) ORDER BY u.place), '{}')
    FROM unnest(add_counts.a, add_counts.b) WITH ORDINALITY u(x, y, place)
$$;
