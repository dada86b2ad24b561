-- howdah.leave_orders(first_ids, counts) -> void
-- Takes jobs that have ended out of their orders, and lets the next ones through. Internal to ended_slowly.
-- Writes: ordered, gate_look, and see release_gate. Cost: one probe of an index if none of them has an order.
CREATE OR REPLACE FUNCTION howdah.leave_orders(first_ids bigint[], counts smallint[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off AS $$
DECLARE
  v_key   text;
  v_first bigint := (SELECT min(f) FROM unnest(leave_orders.first_ids) f);
  v_last  bigint := (SELECT max(f) + 127 FROM unnest(leave_orders.first_ids) f);
BEGIN
  IF NOT EXISTS (SELECT FROM howdah.ordered o WHERE o.job_id BETWEEN v_first AND v_last) THEN
    RETURN;
  END IF;
  FOR v_key IN
    WITH gone AS (
      DELETE FROM howdah.ordered o USING unnest(leave_orders.first_ids, leave_orders.counts) r(first_id, jobs)
       WHERE o.job_id >= r.first_id AND o.job_id < r.first_id + r.jobs RETURNING o.key)
    SELECT DISTINCT g.key FROM gone g ORDER BY g.key
  LOOP
    IF howdah.release_gate('order:' || v_key, 1) = 0 THEN
      -- Somebody who is at the gate may not have seen this.
      PERFORM howdah.watch_gate('order:' || v_key, tell => false);
    END IF;
  END LOOP;
END $$;
