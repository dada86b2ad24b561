-- howdah.put_back(job_ids, attempts) -> void
-- Makes jobs claimable again at the place in the order that their ids give them, and wakes who sleeps.
--   attempts  how many attempts of each were made
-- Internal. Writes: ticket.
CREATE OR REPLACE FUNCTION howdah.put_back(job_ids bigint[], attempts smallint[])
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_queues bigint;
BEGIN
  WITH back AS (
    INSERT INTO howdah.ticket (first_id, queue_id, slot, priority, jobs, attempt, kind, gates, ready_at)
    SELECT min(i.id), i.queue_id, r.slot, i.priority, count(*), i.attempt, i.kind, i.gates, howdah.now()
      FROM (SELECT j.id, u.attempt, j.queue_id, j.priority, j.kind, o.gates,
                   j.id - row_number() OVER (PARTITION BY u.attempt, j.queue_id, j.priority, j.kind, o.gates ORDER BY j.id) AS island
              FROM unnest(put_back.job_ids, put_back.attempts) u(id, attempt), LATERAL howdah.find_job(u.id) j,
                   LATERAL (SELECT CASE WHEN j.options IS NOT NULL THEN howdah.gates_of(j.options) END AS gates) o) i, howdah.ring r
     WHERE r.name = 'returned'
     GROUP BY i.island, i.id >> 7, i.queue_id, r.slot, i.priority, i.attempt, i.kind, i.gates
    RETURNING queue_id)
  SELECT count(howdah.wake(b.queue_id)) INTO v_queues FROM (SELECT DISTINCT queue_id FROM back) b;
END $$;
