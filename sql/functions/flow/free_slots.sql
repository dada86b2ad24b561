-- howdah.free_slots(lease_ids, job_ids, lasting) -> void
-- Gives back what jobs of these leases held of their gates (job_ids NULL: all of their jobs), and lets the next ones
-- through. Called wherever jobs leave a lease; costs one probe of an empty index where no job has gates.
--   lasting  the transaction may stay open: the gates are not locked, and the keeper looks after it
-- Internal. Writes: slot, deferred, ticket, gate_look. Locks: the gates, until the transaction ends, unless lasting.
CREATE OR REPLACE FUNCTION howdah.free_slots(lease_ids bigint[], job_ids bigint[] DEFAULT NULL, lasting boolean DEFAULT false) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
DECLARE
  v_freed record;
BEGIN
  IF NOT EXISTS (SELECT FROM howdah.slot s WHERE s.lease_id = ANY (free_slots.lease_ids)) THEN
    RETURN;
  END IF;
  FOR v_freed IN
    WITH gone AS (
      DELETE FROM howdah.slot s
       WHERE s.lease_id = ANY (free_slots.lease_ids) AND (free_slots.job_ids IS NULL OR s.job_id = ANY (free_slots.job_ids))
      RETURNING s.gate)
    SELECT g.gate, count(*)::integer AS slots FROM gone g GROUP BY g.gate ORDER BY g.gate
  LOOP
    -- Who is at the gate at this moment may not have seen that it is freed, and block a job that nobody would let through.
    IF free_slots.lasting OR NOT howdah.lock_gate(v_freed.gate) THEN
      PERFORM howdah.watch_gate(v_freed.gate);
    END IF;
    PERFORM howdah.release_gate(v_freed.gate, v_freed.slots);
  END LOOP;
END $$;
