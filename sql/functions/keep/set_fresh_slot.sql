-- howdah.set_fresh_slot(slot) -> void
-- Tells queues which slot of howdah.ticket new jobs go to. A queue whose row somebody has locked is passed by, and
-- told the next time: it may go on with the old slot for as long as it likes. Internal to rotate_ring.
-- Writes: queue. Locks: queue rows, skipping what others have.
CREATE OR REPLACE FUNCTION howdah.set_fresh_slot(slot integer) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
  UPDATE howdah.queue q SET fresh_slot = set_fresh_slot.slot WHERE q.id = ANY (ARRAY(
    SELECT o.id FROM howdah.queue o WHERE o.fresh_slot <> set_fresh_slot.slot FOR NO KEY UPDATE SKIP LOCKED))
$$;
