-- howdah.end_runs(outcome, queue_ids, first_ids, counts, attempts) -> bigint
-- Records that runs of jobs that waited have ended, up to 500 runs in one receipt. Returns how many jobs that were.
-- outcome: 2 cancelled, 3 expired. Internal. Writes: receipt, and see howdah.ended.
CREATE OR REPLACE FUNCTION howdah.end_runs(outcome integer, queue_ids integer[], first_ids bigint[], counts smallint[], attempts smallint[])
RETURNS bigint LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
  INSERT INTO howdah.receipt (slot, outcome, queue_id, at, span, first_ids, counts, attempts)
  SELECT g.slot, end_runs.outcome, k.queue_id, howdah.now(), int8range(min(k.first_id), max(k.first_id + k.jobs)),
         array_agg(k.first_id ORDER BY k.first_id), array_agg(k.jobs ORDER BY k.first_id), array_agg(k.attempt ORDER BY k.first_id)
    FROM (SELECT u.*, (row_number() OVER (PARTITION BY u.queue_id ORDER BY u.first_id) - 1) / 500 AS part
            FROM unnest(end_runs.queue_ids, end_runs.first_ids, end_runs.counts, end_runs.attempts)
                 u(queue_id, first_id, jobs, attempt)) k, howdah.ring g
   WHERE g.name = 'history' GROUP BY g.slot, k.queue_id, k.part;
  PERFORM howdah.ended(end_runs.first_ids, end_runs.counts, failed => true);
  RETURN (SELECT coalesce(sum(c), 0) FROM unnest(end_runs.counts) c);
END $$;
