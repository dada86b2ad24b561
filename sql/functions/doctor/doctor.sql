-- howdah.doctor(checks, limits, client) -> (name, state, found, proof, fix, detail)
-- Looks for what goes wrong with a queue and with the database under it, and says how to mend it. A row for each finding, or
-- one for a check that found nothing; in the order of howdah.doctor_checks.
--   checks  names of howdah.doctor_checks; NULL: all
--   limits  from where on something is worth saying: {"waiting_ms": 600000}; see howdah.doctor_limits
--   client  what a program says of itself: migration, code, release (what it was built with), at_ms (its clock, in
--           milliseconds since 1970), pooled (whether its sessions change behind its back)
--   state   ok; notice: worth knowing; warning; problem: jobs are late, lost or about to be; unknown: the check failed, or
--           this role may not see enough: found says why
--   found   one sentence with figures
--   proof   a query that shows it; NULL: howdah.doctor itself does
--   fix     what to do, with the very statement, where there is one; detail.sql has the statements alone
--   detail  the figures, for programs
-- A check that fails takes none of the others down. None waits longer than a second for a lock, none reads jobs or what
-- stands for them but at the front of each queue: the cost is that of some claims. Writes nothing. Locks: none that others feel.
-- Errors: HD002 no such check, or no such limit (COLUMN checks or limits).
CREATE OR REPLACE FUNCTION howdah.doctor(checks text[] DEFAULT NULL, limits jsonb DEFAULT NULL, client jsonb DEFAULT NULL)
RETURNS TABLE (name text, state text, found text, proof text, fix text, detail jsonb)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET lock_timeout = '1s' SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_asked   jsonb := jsonb_build_object('client', coalesce(doctor.client, '{}'), 'limits', howdah.doctor_limits(doctor.limits));
  v_unknown text := (SELECT c FROM unnest(doctor.checks) c WHERE NOT EXISTS (SELECT FROM howdah.doctor_checks() k WHERE k.name = c) LIMIT 1);
  v_rows    bigint;
  v_check   record;
BEGIN
  IF v_unknown IS NOT NULL THEN
    RAISE EXCEPTION 'there is no check named %', quote_literal(v_unknown) USING ERRCODE = 'HD002', COLUMN = 'checks',
      HINT = 'there are ' || (SELECT string_agg(k.name, ', ') FROM howdah.doctor_checks() k);
  END IF;
  FOR v_check IN SELECT k.name, k.healthy FROM howdah.doctor_checks() k WHERE doctor.checks IS NULL OR k.name = ANY (doctor.checks) LOOP
    BEGIN
      RETURN QUERY EXECUTE format('SELECT $1, f.state, f.found, f.proof, concat_ws('': '', f.advice, f.sql),
        CASE WHEN f.sql IS NULL THEN f.detail ELSE f.detail || jsonb_build_object(''sql'', f.sql) END FROM howdah.%I($2) f', 'doctor_' || v_check.name)
        USING v_check.name, v_asked;
      GET DIAGNOSTICS v_rows = ROW_COUNT;
      IF v_rows = 0 THEN
        RETURN QUERY SELECT v_check.name, 'ok', v_check.healthy, NULL::text, NULL::text, '{}'::jsonb;
      END IF;
    EXCEPTION WHEN others THEN
      RETURN QUERY SELECT v_check.name, 'unknown', format('it could not be looked at: %s', SQLERRM), NULL::text, NULL::text,
        jsonb_build_object('sqlstate', SQLSTATE, 'error', SQLERRM);
    END;
  END LOOP;
END $$;
