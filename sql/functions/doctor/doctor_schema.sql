-- howdah.doctor_schema(asked) -> findings, see howdah.doctor_checks
-- Whether the migrations and functions are those that the asking program was built with, and whether workers of other releases
-- are there: for an hour after new functions came that is a deployment. Internal to doctor. Reads: migration, code, worker.
CREATE OR REPLACE FUNCTION howdah.doctor_schema(asked jsonb)
RETURNS TABLE (state text, found text, proof text, advice text, sql text, detail jsonb)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  v_last   integer := (SELECT max(m.version) FROM howdah.migration m);
  v_needs  integer := (doctor_schema.asked -> 'client' ->> 'migration')::integer;
  v_hash   text := doctor_schema.asked -> 'client' ->> 'code';
  v_code   record;
  v_others record;
BEGIN
  SELECT c.hash, c.release, c.applied_at INTO v_code FROM howdah.code c;
  IF v_last IS DISTINCT FROM v_needs AND v_needs IS NOT NULL THEN
    RETURN QUERY SELECT 'problem', format('the schema is at migration %s, and this program is made for %s', v_last, v_needs),
      'SELECT version, name, applied_at FROM howdah.migration ORDER BY version',
      CASE WHEN v_last < v_needs THEN 'bring it up to date with `howdah migrate up`' ELSE 'use a newer release of this program' END,
      NULL::text, jsonb_build_object('found', v_last, 'needed', v_needs);
  ELSIF v_hash IS NOT NULL AND v_hash IS DISTINCT FROM v_code.hash THEN
    RETURN QUERY SELECT 'warning', format('functions and views are those of another build (release %s), and this program is of release %s',
        coalesce(v_code.release, 'unknown'), coalesce(doctor_schema.asked -> 'client' ->> 'release', 'unknown')),
      'SELECT release, hash, applied_at FROM howdah.code', 'install those of this program, if it is the newer one, with `howdah migrate up`',
      NULL::text, jsonb_build_object('found', v_code.hash, 'needed', v_hash, 'release', v_code.release);
  END IF;
  SELECT count(*) AS workers, array_agg(DISTINCT w.version ORDER BY w.version) AS versions INTO v_others
    FROM howdah.worker w WHERE w.version <> v_code.release;
  IF v_others.workers > 0 THEN
    RETURN QUERY SELECT CASE WHEN v_code.applied_at < howdah.now() - interval '1 hour' THEN 'warning' ELSE 'notice' END,
      format('%s of %s workers run release %s, and the functions are of release %s', v_others.workers, (SELECT count(*) FROM howdah.worker),
             array_to_string(v_others.versions, ', '), v_code.release),
      'SELECT id, name, version, started_at FROM howdah.worker ORDER BY version, id', 'finish the deployment: restart them with the release of the functions',
      NULL::text, jsonb_build_object('workers', v_others.workers, 'versions', to_jsonb(v_others.versions), 'release', v_code.release);
  END IF;
END $$;
