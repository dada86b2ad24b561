-- howdah.retry_many(queue, kind, states, filter, ids, most, after, upto) -> (retried, next, upto)
-- Runs every job of a selection again, or sooner, some at a time: dead ones start over with all their attempts,
-- scheduled ones are due at once. Called like howdah.cancel_many, with the same arguments.
--   states   of dead, scheduled; NULL: dead only
--   most     how many dead jobs, or runs of scheduled ones, are looked at in one call, 1 to 10,000
--   retried  how many are ready now
-- A dead job whose unique key another job has stays dead; one that had expired does not expire again.
-- Writes: dead, deferred, ticket, unique_key, job. Locks: those rows, and waits for whoever has them.
-- Errors: HD001 unknown queue, HD002 invalid argument, HD012 the transaction is not READ COMMITTED.
CREATE OR REPLACE FUNCTION howdah.retry_many(queue text DEFAULT NULL, kind text DEFAULT NULL, states text[] DEFAULT NULL,
  filter text DEFAULT NULL, ids bigint[] DEFAULT NULL, most integer DEFAULT 1000, after bigint DEFAULT 0,
  INOUT upto bigint DEFAULT NULL, OUT retried bigint, OUT next bigint)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  v_states text[] := howdah.check_states(coalesce(retry_many.states, '{dead}'), '{dead,scheduled}');
  v_filter jsonpath := howdah.check_filter(retry_many.filter);
  -- Dead jobs of deleted queues are history: they would only be cancelled.
  v_queues integer[] := ARRAY(SELECT s FROM unnest(howdah.selected_queues(retry_many.queue)) s WHERE EXISTS (SELECT FROM howdah.queue q WHERE q.id = s));
  v_step   record;
  v_ids    bigint[];
  v_firsts bigint[] := '{}';
  v_lasts  bigint[] := '{}';
  v_dead   bigint[] := '{}';
BEGIN
  PERFORM howdah.must_read_committed(), howdah.check_most(retry_many.most, 10000, retry_many.ids);
  upto := coalesce(retry_many.upto, howdah.last_id());
  FOR v_step IN SELECT * FROM howdah.steps(v_queues, v_states, v_filter, retry_many.ids, coalesce(retry_many.after, 0), upto, retry_many.most) LOOP
    IF 'dead' = ANY (v_states) THEN
      v_dead := v_dead || howdah.take_dead(v_queues, retry_many.kind, v_filter, v_step.job_ids, v_step.first, v_step.last, true);
    END IF;
    v_firsts := v_firsts || v_step.first;
    v_lasts := v_lasts || v_step.last;
    v_ids := v_ids || v_step.job_ids;
    next := v_step.next;
  END LOOP;
  -- All dead jobs before what starting them over locks (callbacks of their workflows), as everywhere.
  PERFORM howdah.start_over(v_dead);
  retried := cardinality(v_dead) + coalesce((
    SELECT sum(howdah.promote_range(v_queues, retry_many.kind, v_states, v_filter, k.ids, u.first, u.last))
      FROM unnest(v_firsts, v_lasts) u(first, last)
      -- Where ids are known each range is one block.
      LEFT JOIN (SELECT (i >> 7 << 7) - 1 AS first, array_agg(i) AS ids FROM unnest(v_ids) i GROUP BY 1) k ON k.first = u.first), 0);
END $$;
