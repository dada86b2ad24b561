-- howdah.await_settlers(lease_id, job_ids) -> void
-- Waits for transactions that are ending these jobs at this moment, by complete_in or cancel_in: of a handler that was
-- cut off while it committed. Whoever looks in a later statement sees what became of them. And until the
-- caller's transaction ends, nobody else begins to. Internal to forget and take_from_lease.
-- Writes: settled, and takes it back. Locks: waits for those who end the jobs. Errors: none.
CREATE OR REPLACE FUNCTION howdah.await_settlers(lease_id bigint, job_ids bigint[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_free bigint[];
BEGIN
  -- The key is theirs until they commit or roll back.
  WITH free AS (
    INSERT INTO howdah.settled (lease_id, job_id)
    SELECT l.id, j FROM howdah.lease l, unnest(await_settlers.job_ids) j
     WHERE (l.id & 3) = (await_settlers.lease_id & 3) AND l.id = await_settlers.lease_id ORDER BY j
    ON CONFLICT DO NOTHING RETURNING job_id)
  SELECT array_agg(f.job_id) INTO v_free FROM free f;
  IF v_free IS NOT NULL THEN
    DELETE FROM howdah.settled s WHERE s.lease_id = await_settlers.lease_id AND s.job_id = ANY (v_free);
  END IF;
END $$;
