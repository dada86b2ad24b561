-- howdah.carry_history(slot, into_slot) -> void
-- Moves what is kept of the attempts of jobs that are not over, or dead, from a slot that is to be truncated to the one
-- that is written: the failures of a dead job are there for as long as it is. The newest 10,000 rows of each table; more
-- than that are lost, which is the price of never waiting. Internal to rotate_history.
-- Writes: the history tables but receipt. Cost: reads all tickets, deferred, leases and dead.
CREATE OR REPLACE FUNCTION howdah.carry_history(slot integer, into_slot integer) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_table text;
BEGIN
  FOREACH v_table IN ARRAY howdah.history_tables() LOOP
    CONTINUE WHEN v_table = 'receipt' OR pg_relation_size(format('howdah.%I', v_table || '_' || carry_history.slot)::regclass) = 0;
    EXECUTE format('
      UPDATE howdah.%I h SET slot = $1 WHERE h.slot = $2 AND h.ctid = ANY (ARRAY(
        SELECT f.ctid FROM howdah.%I f WHERE f.job_id IN (
          SELECT d.job_id FROM howdah.dead d
          UNION ALL
          SELECT t.first_id + g FROM howdah.ticket t, generate_series(0, t.jobs - 1) g WHERE t.attempt > 0
          UNION ALL
          SELECT d.first_id + g FROM howdah.deferred d, generate_series(0, d.jobs - 1) g WHERE d.attempt > 0
          UNION ALL
          SELECT r.first_id + g FROM howdah.lease l, unnest(l.first_ids, l.counts) r(first_id, jobs), generate_series(0, r.jobs - 1) g
          UNION ALL
          SELECT r.first_id + g FROM howdah.receipt e, unnest(e.first_ids, e.counts) r(first_id, jobs), generate_series(0, r.jobs - 1) g
           WHERE e.slot <> $2 AND e.queue_id = ANY ($3))
         ORDER BY f.at DESC LIMIT 10000 FOR UPDATE OF f SKIP LOCKED))', v_table, v_table || '_' || carry_history.slot)
      USING carry_history.into_slot, carry_history.slot, howdah.must_ask();
  END LOOP;
END $$;
