-- howdah.cancel_many(queue, kind, states, filter, ids, most, after, upto) -> (cancelled, cancelling, next, upto)
-- Cancels every job of a selection, some at a time. Call it again with after => next and upto => upto until next is
-- NULL, each time in a transaction of its own:
--   queue, kind  only these; NULL: any
--   states       of scheduled, ready, running; NULL: all three
--   filter       a predicate on attributes: see howdah.check_filter
--   ids          only these jobs, at most 10,000
--   most         how many runs of up to 128 jobs are looked at in one call, 1 to 10,000
-- Returns
--   cancelled    how many waited, and will certainly not run
--   cancelling   how many run: their workers are told, as by howdah.cancel
--   next         NULL: every job of the selection that was enqueued before the first call has been dealt with, also if
--                it went from one state to another meanwhile
--   upto         jobs with greater ids are left alone: those that are enqueued after the first call
-- A job that waits and was committed after its place had been passed by, though it took its id early, is left alone too.
-- Writes: ticket, deferred, receipt (one for up to 500 runs), cancel_request; one notification for each worker.
-- Locks: tickets and deferred rows, and waits for whoever has them: a claim for a moment, howdah.find_for_update for
-- the length of its transaction.
-- Errors: HD001 unknown queue, HD002 invalid argument, HD012 the transaction is not READ COMMITTED.
-- Cost: of a run, however many jobs it has; with a filter, of every job that is looked at, unless the index of
-- howdah.index_attributes finds them.
CREATE OR REPLACE FUNCTION howdah.cancel_many(queue text DEFAULT NULL, kind text DEFAULT NULL, states text[] DEFAULT NULL,
  filter text DEFAULT NULL, ids bigint[] DEFAULT NULL, most integer DEFAULT 1000, after bigint DEFAULT 0,
  INOUT upto bigint DEFAULT NULL, OUT cancelled bigint, OUT cancelling bigint, OUT next bigint)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  v_states text[] := howdah.check_states(cancel_many.states, '{scheduled,blocked,ready,running}');
  v_filter jsonpath := howdah.check_filter(cancel_many.filter);
  v_queues integer[] := howdah.selected_queues(cancel_many.queue);
  v_step   record;
  v_range  record;
BEGIN
  PERFORM howdah.must_read_committed(), howdah.check_most(cancel_many.most, 10000, cancel_many.ids);
  upto := coalesce(cancel_many.upto, howdah.last_id());
  cancelled := 0;
  cancelling := 0;
  FOR v_step IN SELECT * FROM howdah.steps(v_queues, v_states, v_filter, cancel_many.ids, coalesce(cancel_many.after, 0), upto, cancel_many.most) LOOP
    v_range := howdah.cancel_range(v_queues, cancel_many.kind, v_states, v_filter, v_step.job_ids, v_step.first, v_step.last);
    cancelled := cancelled + v_range.cancelled;
    cancelling := cancelling + v_range.cancelling;
    next := CASE WHEN v_range.finished THEN v_step.next ELSE v_step.first END;
    EXIT WHEN NOT v_range.finished;
  END LOOP;
END $$;
