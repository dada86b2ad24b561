-- howdah.find_signal(name, job_id) -> jsonb
-- The payload of the signal that a job hears under a name: one that was sent to it alone, or else to everybody; NULL: there
-- is none (a payload is never NULL, it may be JSON null). Internal. Reads: signal. Cost: one index probe.
CREATE OR REPLACE FUNCTION howdah.find_signal(name text, job_id bigint) RETURNS jsonb
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
BEGIN
  RETURN (SELECT g.payload FROM howdah.signal g
           WHERE g.name = find_signal.name AND g.job_id IN (0, find_signal.job_id) AND g.expires_at > howdah.now()
           ORDER BY g.job_id DESC LIMIT 1);
END $$;
