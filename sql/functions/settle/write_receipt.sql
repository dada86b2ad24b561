-- howdah.write_receipt(outcome, queue_id, worker_id, claimed_at, job_ids, attempts, run_ms) -> void
-- Records that jobs ended. The arrays run in parallel and must be sorted by id; run_ms may be NULL.
-- outcome: 1 completed, 2 cancelled, 3 expired. Writes: receipt, and see howdah.ended. Internal.
-- In PL/pgSQL, which keeps its plans: a function in SQL is planned again at every call.
CREATE OR REPLACE FUNCTION howdah.write_receipt(outcome integer, queue_id integer, worker_id bigint, claimed_at timestamptz,
  job_ids bigint[], attempts smallint[], run_ms integer[] DEFAULT NULL)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_firsts bigint[];
  v_counts smallint[];
BEGIN
  IF cardinality(write_receipt.job_ids) = 1 THEN
    INSERT INTO howdah.receipt (slot, outcome, queue_id, worker_id, at, claimed_at, span, first_ids, counts, attempts, run_ms)
    SELECT g.slot, write_receipt.outcome, write_receipt.queue_id, write_receipt.worker_id, howdah.now(), write_receipt.claimed_at,
           int8range(write_receipt.job_ids[1], write_receipt.job_ids[1] + 1), write_receipt.job_ids, '{1}',
           write_receipt.attempts, write_receipt.run_ms
      FROM howdah.ring g WHERE g.name = 'history';
    PERFORM howdah.ended(write_receipt.job_ids, '{1}', failed => write_receipt.outcome <> 1);
    RETURN;
  END IF;
  INSERT INTO howdah.receipt (slot, outcome, queue_id, worker_id, at, claimed_at, span, first_ids, counts, attempts, run_ms)
  SELECT g.slot, write_receipt.outcome, write_receipt.queue_id, write_receipt.worker_id, howdah.now(), write_receipt.claimed_at,
         int8range(min(k.first_id), max(k.first_id + k.jobs)),
         array_agg(k.first_id ORDER BY k.first_id), array_agg(k.jobs ORDER BY k.first_id), array_agg(k.attempt ORDER BY k.first_id),
         write_receipt.run_ms
    FROM (SELECT min(i.id) AS first_id, count(*)::smallint AS jobs, i.attempt
            FROM (SELECT u.id, u.attempt, u.id - row_number() OVER (PARTITION BY u.attempt ORDER BY u.id) AS island
                    FROM unnest(write_receipt.job_ids, write_receipt.attempts) u(id, attempt)) i
           GROUP BY i.island, i.id >> 7, i.attempt) k, howdah.ring g
   WHERE g.name = 'history' GROUP BY g.slot
  RETURNING receipt.first_ids, receipt.counts INTO v_firsts, v_counts;
  PERFORM howdah.ended(v_firsts, v_counts, failed => write_receipt.outcome <> 1);
END $$;
