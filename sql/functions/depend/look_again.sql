-- howdah.look_again(most, since) -> bigint
-- The keeper's look at blocked jobs to whose parents something happened that not everybody could see: tells them of parents
-- that have ended, and lets go of those that have nothing left to wait for. At most `most` notes at a time; since: as in
-- howdah.promote, those that were due before are not looked at.
-- A job that is not sure yet is looked at again after as long as it has waited for that so far, 25 ms to 10 s.
-- Returns the milliseconds until the next look; NULL: there is nothing to look at, which costs one probe of an empty index.
-- Writes: second_look, and see parents_ended and let_go. Locks: rows of second_look, skipping what others have. Errors: none.
CREATE OR REPLACE FUNCTION howdah.look_again(most integer DEFAULT 1000, since timestamptz DEFAULT '-infinity') RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_now    timestamptz := howdah.now();
  v_xmin   xid8;
  v_jobs   bigint[];
  v_since  timestamptz[];
  v_looks  integer[];
  v_until  xid8[];
  v_unsure bigint[];
BEGIN
  IF EXISTS (SELECT FROM howdah.second_look s WHERE s.look_at >= look_again.since AND s.look_at <= v_now) THEN
    WITH gone AS (
      DELETE FROM howdah.second_look s WHERE s.ctid = ANY (ARRAY(
        SELECT k.ctid FROM howdah.second_look k WHERE k.look_at >= look_again.since AND k.look_at <= v_now
         ORDER BY k.look_at LIMIT look_again.most FOR UPDATE SKIP LOCKED))
      RETURNING s.*),
    -- Of several notes about a job, that which has the most to wait for.
    one AS (SELECT g.job_id, min(g.since) AS since, min(g.looks) AS looks,
                   CASE WHEN bool_and(g.until IS NOT NULL) THEN max(g.until::text::numeric)::text::xid8 END AS until
              FROM gone g GROUP BY g.job_id)
    SELECT array_agg(o.job_id), array_agg(o.since), array_agg(o.looks),
           -- Not at the first look: this transaction may be older than the one that left the note.
           array_agg(coalesce(o.until, CASE WHEN o.looks > 0 THEN pg_current_xact_id() END))
      INTO v_jobs, v_since, v_looks, v_until FROM one o;
    -- Before the look: whoever was over by now is seen by it.
    v_xmin := pg_snapshot_xmin(pg_current_snapshot());
    v_unsure := howdah.look_at_parents(v_jobs);
    INSERT INTO howdah.second_look (job_id, since, look_at, looks, until)
    SELECT u.job_id, u.since, v_now + greatest(interval '25 ms', least(v_now - u.since, interval '10 seconds')), u.looks + 1, u.until
      FROM unnest(v_jobs, v_since, v_looks, v_until) u(job_id, since, looks, until)
     WHERE (u.until IS NULL OR u.until > v_xmin OR u.job_id = ANY (v_unsure))
       AND EXISTS (SELECT FROM howdah.dependency d WHERE d.job_id = u.job_id
                   UNION ALL SELECT FROM howdah.deferred k WHERE k.first_id = u.job_id AND k.gate = 'dependencies');
  END IF;
  RETURN (SELECT greatest(1, ceil(extract(epoch FROM s.look_at - v_now) * 1000))
            FROM howdah.second_look s WHERE s.look_at >= look_again.since ORDER BY s.look_at LIMIT 1);
END $$;
