-- howdah.write_receipt(outcome, queue_id, worker_id, claimed_at, job_ids, attempts, run_ms) -> void
-- Records that jobs ended. The arrays run in parallel and must be sorted by id; run_ms may be NULL.
-- outcome: 1 completed, 2 cancelled, 3 expired. Writes: receipt. Internal.
CREATE OR REPLACE FUNCTION howdah.write_receipt(outcome integer, queue_id integer, worker_id bigint, claimed_at timestamptz,
  job_ids bigint[], attempts smallint[], run_ms integer[] DEFAULT NULL)
RETURNS void LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
  INSERT INTO howdah.receipt (slot, outcome, queue_id, worker_id, at, claimed_at, span, first_ids, counts, attempts, run_ms)
  SELECT g.slot, outcome, queue_id, worker_id, howdah.now(), claimed_at,
         int8range(min(k.first_id), max(k.first_id + k.jobs)),
         array_agg(k.first_id ORDER BY k.first_id), array_agg(k.jobs ORDER BY k.first_id), array_agg(k.attempt ORDER BY k.first_id), run_ms
    FROM (SELECT min(i.id) AS first_id, count(*)::smallint AS jobs, i.attempt
            FROM (SELECT u.id, u.attempt, u.id - row_number() OVER (ORDER BY u.id) AS island
                    FROM unnest(job_ids, attempts) u(id, attempt)) i
           GROUP BY i.island, i.id >> 7, i.attempt) k, howdah.ring g
   WHERE g.name = 'history' GROUP BY g.slot
$$;
