-- howdah.doctor_orphans(asked) -> findings, see howdah.doctor_checks
-- What was left behind: slots of limits and settled jobs without a lease, unique keys of jobs that have ended. None of it
-- counts for anything, so it is a notice; but if it grows, something is wrong. Internal to doctor. Reads: the first 1,000 rows
-- of slot and settled; of the keys those of the 50 oldest jobs.
CREATE OR REPLACE FUNCTION howdah.doctor_orphans(asked jsonb)
RETURNS TABLE (state text, found text, proof text, advice text, sql text, detail jsonb)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_sort = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_slots   bigint;
  v_settled bigint;
  v_keys    bigint;
  v_live    bigint[];
BEGIN
  SELECT count(*) INTO v_slots FROM (SELECT * FROM howdah.slot x LIMIT 1000) s
   WHERE NOT EXISTS (SELECT FROM howdah.lease l WHERE (l.id & 3) = (s.lease_id & 3) AND l.id = s.lease_id);
  SELECT count(*) INTO v_settled FROM (SELECT * FROM howdah.settled x LIMIT 1000) s
   WHERE NOT EXISTS (SELECT FROM howdah.lease l WHERE (l.id & 3) = (s.lease_id & 3) AND l.id = s.lease_id);
  v_live := ARRAY(SELECT u.job_id FROM (SELECT k.job_id, k.scope FROM howdah.unique_key k ORDER BY k.job_id LIMIT 50) u WHERE u.scope = 'live');
  SELECT cardinality(v_live) - count(*) INTO v_keys FROM howdah.states_of(v_live) s WHERE s.state IN ('scheduled', 'blocked', 'ready', 'running');
  RETURN QUERY SELECT 'notice', format('%s slots of limits have no lease', v_slots), 'SELECT * FROM howdah.slot WHERE lease_id NOT IN (SELECT id FROM howdah.lease)',
    'the keeper removes them; or do it by hand', 'SELECT howdah.prune()', jsonb_build_object('slots', v_slots) WHERE v_slots > 0;
  RETURN QUERY SELECT 'notice', format('%s settled jobs have no lease', v_settled), 'SELECT * FROM howdah.settled WHERE lease_id NOT IN (SELECT id FROM howdah.lease)',
    'remove them', 'DELETE FROM howdah.settled WHERE lease_id NOT IN (SELECT id FROM howdah.lease)', jsonb_build_object('settled', v_settled) WHERE v_settled > 0;
  RETURN QUERY SELECT 'notice', format('%s of the oldest unique keys belong to jobs that have ended', v_keys),
    'SELECT * FROM howdah.unique_key WHERE scope = ''live'' ORDER BY job_id LIMIT 50', 'they hinder nobody: whoever wants one takes it over. To remove them',
    'DELETE FROM howdah.unique_key WHERE scope = ''live'' AND job_id IN (SELECT job_id FROM howdah.unique_key ORDER BY job_id LIMIT 1000) AND coalesce(howdah.state(job_id), ''gone'') IN (''completed'', ''cancelled'', ''expired'', ''dead'', ''gone'')',
    jsonb_build_object('keys', v_keys) WHERE v_keys > 0;
END $$;
