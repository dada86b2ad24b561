-- howdah.rare_matches(filter, most) -> bigint[]
-- The ids of all jobs that match a filter, in whatever state (one that is kept in two places twice), if the index of
-- howdah.index_attributes finds them and there are at most `most`. NULL: there is no index, it is no help with this
-- filter, or there are more.
-- Internal. Reads: job, job_kept. Cost: of a plan and an index scan; about a millisecond where it is no help.
CREATE OR REPLACE FUNCTION howdah.rare_matches(filter jsonpath, most integer DEFAULT 10000) RETURNS bigint[]
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET jit = off SET plan_cache_mode = force_custom_plan AS $$
DECLARE
  v_plan text;
  v_line text;
  v_ids  bigint[];
BEGIN
  -- The index knows nothing of jobs without attributes.
  IF rare_matches.filter IS NULL OR '{}'::jsonb @@ rare_matches.filter OR to_regclass('howdah.job_kept_attributes') IS NULL THEN
    RETURN NULL;
  END IF;
  -- Only the planner knows which predicates an index can answer.
  FOR v_line IN EXECUTE format('EXPLAIN SELECT FROM howdah.job WHERE (options -> ''attributes'') @@ %L::jsonpath', rare_matches.filter) LOOP
    v_plan := concat(v_plan, v_line);
  END LOOP;
  -- Nor need a scan be begun for what is common, by its estimate of the rows in the first line.
  IF v_plan !~ '_attributes' OR substring(v_plan FROM 'rows=(\d+)')::bigint > 10 * rare_matches.most THEN
    RETURN NULL;
  END IF;
  SELECT array_agg(m.id) INTO v_ids FROM (
    SELECT j.id FROM howdah.job j WHERE (j.options -> 'attributes') @@ rare_matches.filter
    UNION ALL SELECT k.id FROM howdah.job_kept k WHERE (k.options -> 'attributes') @@ rare_matches.filter
    LIMIT rare_matches.most + 1) m;
  IF cardinality(v_ids) > rare_matches.most THEN
    RETURN NULL;
  END IF;
  RETURN coalesce(v_ids, '{}');
END $$;
