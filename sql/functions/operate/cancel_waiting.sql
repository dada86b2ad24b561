-- howdah.cancel_waiting(queue_id, most) -> bigint
-- Cancels what waits in a queue, at most `most` runs of each room. Returns how many jobs that were.
-- Writes: ticket, deferred, receipt. Locks: their rows; waits for nobody, what others have locked is passed by.
-- Errors: none. Internal to delete_queue and sweep_deleted.
CREATE OR REPLACE FUNCTION howdah.cancel_waiting(queue_id integer, most integer) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off AS $$
DECLARE
  v_tids     tid[];
  v_firsts   bigint[];
  v_counts   smallint[];
  v_attempts smallint[];
  v_jobs     bigint := 0;
BEGIN
  -- Lock first and delete later: a ticket that a claim has split meanwhile is locked as it is now, and deleted by a
  -- statement that can see it.
  FOR v_slot IN 0..4 LOOP
    IF v_slot < 4 THEN
      SELECT array_agg(t.tid), array_agg(t.first_id), array_agg(t.jobs), array_agg(t.attempt) INTO v_tids, v_firsts, v_counts, v_attempts
        FROM (SELECT k.ctid AS tid, k.first_id, k.jobs, k.attempt FROM howdah.ticket k
               WHERE k.slot = v_slot AND k.queue_id = cancel_waiting.queue_id
               ORDER BY k.priority, k.first_id LIMIT cancel_waiting.most FOR UPDATE SKIP LOCKED) t;
      DELETE FROM howdah.ticket t WHERE t.slot = v_slot AND t.ctid = ANY (v_tids);
    ELSE
      SELECT array_agg(d.first_id), array_agg(d.jobs), array_agg(d.attempt) INTO v_firsts, v_counts, v_attempts
        FROM (SELECT k.first_id, k.jobs, k.attempt FROM howdah.deferred k WHERE k.queue_id = cancel_waiting.queue_id
               LIMIT cancel_waiting.most FOR UPDATE SKIP LOCKED) d;
      DELETE FROM howdah.deferred d WHERE d.first_id = ANY (v_firsts);
    END IF;
    IF v_firsts IS NOT NULL THEN
      PERFORM howdah.write_receipt(2, cancel_waiting.queue_id, NULL, NULL,
                array_agg(r.first_id + g ORDER BY r.first_id + g), array_agg(r.attempt ORDER BY r.first_id + g))
         FROM unnest(v_firsts, v_counts, v_attempts) r(first_id, jobs, attempt), generate_series(0, r.jobs - 1) g;
      v_jobs := v_jobs + (SELECT sum(c) FROM unnest(v_counts) c);
    END IF;
  END LOOP;
  RETURN v_jobs;
END $$;
