-- howdah.lock_ended(job_ids) -> void
-- Locks the history of jobs that were cancelled or have expired, as it is when whoever had it is done. Internal.
-- Locks: rows of receipt, in order, and waits for whoever has them. Errors: none.
CREATE OR REPLACE FUNCTION howdah.lock_ended(job_ids bigint[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
BEGIN
  PERFORM FROM (SELECT DISTINCT i >> 7 << 7 AS block FROM unnest(lock_ended.job_ids) i) b
     JOIN howdah.receipt e ON e.span && int8range(b.block, b.block + 128) WHERE e.outcome IN (2, 3) ORDER BY lower(e.span) FOR UPDATE OF e;
END $$;
