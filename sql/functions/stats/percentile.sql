-- howdah.percentile(counts, fraction) -> double precision
-- How many milliseconds at most this fraction (0 to 1) took, of what is counted as runs and waits of howdah.stat_hour are.
-- Between the two bounds of a place it is taken to be evenly spread, so that it is off by a factor of two at most. NULL: nothing is counted.
-- Errors: none.
CREATE OR REPLACE FUNCTION howdah.percentile(counts bigint[], fraction double precision) RETURNS double precision
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_all    bigint := 0;
  v_before bigint := 0;
  v_lower  double precision := 0;
  v_upper  double precision := 1;
  n        bigint;
BEGIN
  FOREACH n IN ARRAY coalesce(percentile.counts, '{}') LOOP
    v_all := v_all + n;
  END LOOP;
  FOREACH n IN ARRAY coalesce(percentile.counts, '{}') LOOP
    IF n > 0 AND v_before + n >= percentile.fraction * v_all THEN
      RETURN v_lower + (v_upper - v_lower) * greatest(0, percentile.fraction * v_all - v_before) / n;
    END IF;
    v_before := v_before + n;
    v_lower := v_upper;
    v_upper := v_upper * 2;
  END LOOP;
  RETURN NULL;
END $$;
