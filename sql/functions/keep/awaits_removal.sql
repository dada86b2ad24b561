-- howdah.awaits_removal(slot) -> boolean
-- Whether jobs in a partition of howdah.job have ended that are to be archived, held or called about, and are not yet
-- gone. Internal to rotate_jobs. Cost: reads receipts, unless no queue asks for that.
CREATE OR REPLACE FUNCTION howdah.awaits_removal(slot integer) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_queues integer[] := howdah.must_ask();
BEGIN
  RETURN v_queues <> '{}' AND EXISTS (
    SELECT FROM howdah.receipt r
     WHERE r.queue_id = ANY (v_queues) AND EXISTS (SELECT FROM unnest(r.first_ids) f WHERE ((f >> 33) & 7) = awaits_removal.slot));
END $$;
