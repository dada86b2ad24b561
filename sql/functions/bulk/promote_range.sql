-- howdah.promote_range(queues, kind, states, filter, ids, after, upto) -> bigint
-- Makes scheduled jobs with ids from after + 1 to upto ready, if that state is among the states. Returns how many.
-- Internal to retry_many. Writes: deferred, ticket, cancel_request. Locks: rows of deferred, and waits for whoever has them.
CREATE OR REPLACE FUNCTION howdah.promote_range(queues integer[], kind text, states text[], filter jsonpath, ids bigint[], after bigint, upto bigint)
RETURNS bigint LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  v_jobs  bigint := 0;
  v_some  bigint;
  v_woken bigint;
BEGIN
  IF NOT 'scheduled' = ANY (promote_range.states) THEN
    RETURN 0;
  END IF;
  -- Until one look finds none: somebody may have split a run while we waited for it.
  FOR round IN 1..10 LOOP
    WITH back AS (
      INSERT INTO howdah.ticket (first_id, queue_id, slot, priority, jobs, attempt, kind, gates, ready_at)
      SELECT t.first_id, t.queue_id, r.slot, t.priority, t.jobs, t.attempt, t.job_kind, t.gates, howdah.now()
        FROM howdah.take_range(promote_range.queues, promote_range.kind, '{scheduled}', promote_range.filter, promote_range.ids,
                               promote_range.after, promote_range.upto) t, howdah.ring r WHERE r.name = 'returned'
      RETURNING queue_id, first_id, jobs
    ), wanted AS (
      -- Whoever sends them again does not want them cancelled.
      DELETE FROM howdah.cancel_request c USING back b WHERE c.job_id >= b.first_id AND c.job_id < b.first_id + b.jobs)
    SELECT coalesce(sum(b.jobs), 0), count(howdah.wake(b.queue_id)) INTO v_some, v_woken
      FROM (SELECT queue_id, sum(jobs) AS jobs FROM back GROUP BY queue_id) b;
    v_jobs := v_jobs + v_some;
    EXIT WHEN NOT EXISTS (SELECT FROM howdah.left_in_range(promote_range.queues, promote_range.kind, '{scheduled}', promote_range.filter,
                                                           promote_range.ids, promote_range.after, promote_range.upto));
  END LOOP;
  RETURN v_jobs;
END $$;
