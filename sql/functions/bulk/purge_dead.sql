-- howdah.purge_dead(queue, kind, filter, ids, most, after, upto) -> (purged, next, upto)
-- Deletes every dead job of a selection for good, some at a time: payload, failures and all. Called like
-- howdah.cancel_many, with the same arguments.
--   most    how many dead jobs are looked at in one call, 1 to 10,000
--   purged  how many are gone
-- Writes: dead, and see howdah.erase. Locks: those rows, and waits for whoever has them.
-- Errors: HD001 unknown queue, HD002 invalid argument, HD012 the transaction is not READ COMMITTED.
CREATE OR REPLACE FUNCTION howdah.purge_dead(queue text DEFAULT NULL, kind text DEFAULT NULL, filter text DEFAULT NULL,
  ids bigint[] DEFAULT NULL, most integer DEFAULT 1000, after bigint DEFAULT 0,
  INOUT upto bigint DEFAULT NULL, OUT purged bigint, OUT next bigint)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  v_filter jsonpath := howdah.check_filter(purge_dead.filter);
  v_queues integer[] := howdah.selected_queues(purge_dead.queue);
  v_step   record;
  v_dead   bigint[];
BEGIN
  PERFORM howdah.must_read_committed(), howdah.check_most(purge_dead.most, 10000, purge_dead.ids);
  upto := coalesce(purge_dead.upto, howdah.last_id());
  purged := 0;
  FOR v_step IN SELECT * FROM howdah.steps(v_queues, '{dead}', v_filter, purge_dead.ids, coalesce(purge_dead.after, 0), upto, purge_dead.most) LOOP
    v_dead := howdah.take_dead(v_queues, purge_dead.kind, v_filter, v_step.job_ids, v_step.first, v_step.last);
    PERFORM howdah.erase(v_dead);
    purged := purged + cardinality(v_dead);
    next := v_step.next;
  END LOOP;
END $$;
