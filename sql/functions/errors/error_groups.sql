-- howdah.error_groups(most, since, cap) -> (fingerprint, error_kind, shape, failures, first_at, last_at, job_id, message, kinds)
-- The failed attempts that are still kept, in groups of the same cause; the group with the newest failure first.
--   most  how many groups, 1 to 1,000
--   since only groups with a failure since then; NULL: any
--   cap   failures of a group are counted up to this, 1 to 100,000
-- job_id and message are of its newest failure; kinds are those of its newest 20.
-- Reads: failure, job. Locks: none. Errors: HD002 invalid argument.
-- Cost: a few probes of an index for each group there is, of at most 10,000 (the others are left out), and for each that
-- is returned the entries that are counted. Never of all failures.
CREATE OR REPLACE FUNCTION howdah.error_groups(most integer DEFAULT 50, since timestamptz DEFAULT NULL, cap integer DEFAULT 1000)
RETURNS TABLE (fingerprint bigint, error_kind text, shape text, failures bigint, first_at timestamptz, last_at timestamptz, job_id bigint, message text, kinds text[])
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_from   bigint := -9223372036854775808;
  v_groups bigint[] := '{}';
  v_times  timestamptz[] := '{}';
  g        record;
BEGIN
  PERFORM howdah.check_most(error_groups.most, 1000, NULL);
  IF error_groups.cap IS NULL OR error_groups.cap NOT BETWEEN 1 AND 100000 THEN
    RAISE EXCEPTION 'cap must be 1 to 100000, not %', coalesce(error_groups.cap::text, 'NULL') USING ERRCODE = 'HD002', COLUMN = 'cap';
  END IF;
  FOR n IN 1..10000 LOOP
    -- From one group to the next, however many failures are between them.
    SELECT howdah.fingerprint(f.error_kind, f.message) AS id INTO g FROM howdah.failure f
     WHERE howdah.fingerprint(f.error_kind, f.message) >= v_from ORDER BY howdah.fingerprint(f.error_kind, f.message) LIMIT 1;
    EXIT WHEN NOT FOUND;
    v_groups := v_groups || g.id;
    v_times := v_times || (SELECT f.at FROM howdah.failure f WHERE howdah.fingerprint(f.error_kind, f.message) = g.id ORDER BY f.at DESC LIMIT 1);
    EXIT WHEN g.id = 9223372036854775807;
    v_from := g.id + 1;
  END LOOP;
  FOR g IN SELECT u.id, u.at FROM unnest(v_groups, v_times) u(id, at)
            WHERE error_groups.since IS NULL OR u.at >= error_groups.since ORDER BY u.at DESC, u.id LIMIT error_groups.most LOOP
    RETURN QUERY
      SELECT g.id, l.error_kind, howdah.error_shape(l.message),
             (SELECT count(*) FROM (SELECT FROM howdah.failure f WHERE howdah.fingerprint(f.error_kind, f.message) = g.id LIMIT error_groups.cap) c),
             (SELECT f.at FROM howdah.failure f WHERE howdah.fingerprint(f.error_kind, f.message) = g.id ORDER BY f.at LIMIT 1),
             g.at, l.job_id, left(l.message, 1000),
             ARRAY(SELECT DISTINCT j.kind::text FROM howdah.find_jobs(ARRAY(
               SELECT f.job_id FROM howdah.failure f WHERE howdah.fingerprint(f.error_kind, f.message) = g.id ORDER BY f.at DESC LIMIT 20)) j ORDER BY 1)
        FROM (SELECT * FROM howdah.failure f WHERE howdah.fingerprint(f.error_kind, f.message) = g.id ORDER BY f.at DESC LIMIT 1) l;
  END LOOP;
END $$;
