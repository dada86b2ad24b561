-- howdah.waits_because(job_id) -> text
-- What the steps of a job that was set aside wait for, in words: `waits for signal 'paid' until 2026-01-01 09:00:00Z`;
-- NULL: nothing. Internal to howdah.jobs. Reads: step. Cost: one probe of an index.
CREATE OR REPLACE FUNCTION howdah.waits_because(job_id bigint) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
BEGIN
  RETURN (
    SELECT string_agg(CASE s.kind WHEN 'sleep' THEN format('sleeps (%s)', s.name) ELSE format('waits for signal %L', s.name) END
             || CASE WHEN s.wakes_at < 'infinity' THEN to_char(s.wakes_at AT TIME ZONE 'UTC', '" until "YYYY-MM-DD HH24:MI:SS"Z"') ELSE '' END,
             ', ' ORDER BY s.n)
      FROM howdah.step s WHERE s.job_id = waits_because.job_id AND s.state = 'waiting');
END $$;
