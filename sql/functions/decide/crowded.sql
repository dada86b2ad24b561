-- howdah.crowded(ids) -> setof bigint
-- Which of these jobs wait in a run with others: the ones to isolate before they are locked.
-- Reads: ticket, deferred, job. Locks: none. Errors: none.
CREATE OR REPLACE FUNCTION howdah.crowded(ids bigint[]) RETURNS SETOF bigint
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
BEGIN
  RETURN QUERY
    SELECT i FROM unnest(crowded.ids) i, LATERAL howdah.find_job(i) j
     WHERE EXISTS (SELECT FROM howdah.ticket k WHERE k.queue_id = j.queue_id AND k.priority = j.priority
                      AND k.first_id BETWEEN (i >> 7 << 7) AND i AND i < k.first_id + k.jobs AND k.jobs > 1)
        OR EXISTS (SELECT FROM howdah.deferred d WHERE d.first_id BETWEEN (i >> 7 << 7) AND i AND i < d.first_id + d.jobs AND d.jobs > 1);
END $$;
