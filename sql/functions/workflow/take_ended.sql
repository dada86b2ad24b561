-- howdah.take_ended(job_ids) -> void
-- Takes jobs that were cancelled or have expired out of the history of what ended, so that they can run again. Internal.
-- Writes: receipt. Locks: its rows, and waits for whoever has them. Errors: none. Cost: an index probe for each block of ids.
CREATE OR REPLACE FUNCTION howdah.take_ended(job_ids bigint[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  k record;
  r record;
BEGIN
  -- Lock first and look later: somebody may be taking others out of the same rows, which then are elsewhere.
  PERFORM howdah.lock_ended(take_ended.job_ids);
  FOR k IN SELECT DISTINCT e.slot, e.ctid AS tid
             FROM (SELECT DISTINCT i >> 7 << 7 AS block FROM unnest(take_ended.job_ids) i) b
             JOIN howdah.receipt e ON e.span && int8range(b.block, b.block + 128) WHERE e.outcome IN (2, 3) LOOP
    SELECT e.first_ids, e.counts, e.attempts INTO r FROM howdah.receipt e WHERE e.slot = k.slot AND e.ctid = k.tid FOR UPDATE;
    CONTINUE WHEN NOT FOUND;
    SELECT array_agg(p.first_id ORDER BY p.first_id) AS first_ids, array_agg(p.jobs ORDER BY p.first_id) AS counts, array_agg(u.attempt ORDER BY p.first_id) AS attempts
      INTO r FROM howdah.pieces(r.first_ids, r.counts, take_ended.job_ids) p JOIN unnest(r.first_ids, r.attempts) u(first_id, attempt) ON u.first_id = p.run
     WHERE NOT p.taken;
    IF r.first_ids IS NULL THEN
      DELETE FROM howdah.receipt e WHERE e.slot = k.slot AND e.ctid = k.tid;
    ELSE
      -- How long each ran is known of those only that ended alone.
      UPDATE howdah.receipt e SET first_ids = r.first_ids, counts = r.counts, attempts = r.attempts, run_ms = NULL
       WHERE e.slot = k.slot AND e.ctid = k.tid AND (e.first_ids, e.counts) IS DISTINCT FROM (r.first_ids, r.counts);
    END IF;
  END LOOP;
END $$;
