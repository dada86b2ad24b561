-- howdah.cancel_range(queues, kind, states, filter, ids, after, upto) -> (cancelled, cancelling, finished)
-- Cancels what matches among the jobs with ids from after + 1 to upto (ends of blocks), until one look at all rooms
-- at the same moment finds none that waits or has not been asked. finished: false if jobs kept moving. Internal.
-- Writes: ticket, deferred, receipt, cancel_request; one notification for each worker.
-- Locks: tickets and deferred rows, and waits for whoever has them.
CREATE OR REPLACE FUNCTION howdah.cancel_range(queues integer[], kind text, states text[], filter jsonpath, ids bigint[], after bigint, upto bigint,
  OUT cancelled bigint, OUT cancelling bigint, OUT finished boolean)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_running bigint[];
  v_waiting bigint;
BEGIN
  cancelled := 0;
  cancelling := 0;
  FOR round IN 1..10 LOOP
    SELECT cancelled + e.jobs INTO cancelled
      FROM (SELECT array_agg(t.queue_id) AS queues, array_agg(t.first_id) AS firsts, array_agg(t.jobs) AS counts, array_agg(t.attempt) AS attempts
              FROM howdah.take_range(cancel_range.queues, cancel_range.kind, cancel_range.states, cancel_range.filter, cancel_range.ids,
                                     cancel_range.after, cancel_range.upto) t) a,
           LATERAL howdah.end_runs(2, a.queues, a.firsts, a.counts, a.attempts) e(jobs);
    -- What is left: what runs, and what came back from running while we looked.
    SELECT array_agg(l.first_id) FILTER (WHERE l.lease_id IS NOT NULL), count(*) FILTER (WHERE l.lease_id IS NULL)
      INTO v_running, v_waiting
      FROM howdah.left_in_range(cancel_range.queues, cancel_range.kind, cancel_range.states, cancel_range.filter, cancel_range.ids,
                                cancel_range.after, cancel_range.upto) l;
    IF v_running IS NOT NULL THEN
      cancelling := cancelling + howdah.ask_to_cancel(v_running);
    ELSIF v_waiting = 0 THEN
      finished := true;
      RETURN;
    END IF;
  END LOOP;
  finished := false;
END $$;
