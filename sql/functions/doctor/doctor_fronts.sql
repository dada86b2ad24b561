-- howdah.doctor_fronts() -> setof (queue_id, queue, priority, job_id, kind, since)
-- The first job that is ready at each priority of each queue, and of each queue of shares the first one that waits for its
-- turn; and since when it is ready. Internal to doctor. Reads: ticket, deferred and job, by their indexes: a few pages for
-- each queue and each priority that is in use, however much waits.
CREATE OR REPLACE FUNCTION howdah.doctor_fronts() RETURNS TABLE (queue_id integer, queue text, priority smallint, job_id bigint, kind text, since timestamptz)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  q       record;
  t       record;
  v_after smallint;
BEGIN
  FOR q IN SELECT k.id, k.name FROM howdah.queue k LOOP
    v_after := -1;
    LOOP
      SELECT k.priority, k.first_id, k.kind, k.ready_at INTO t FROM howdah.ticket k
       WHERE k.queue_id = q.id AND k.priority > v_after ORDER BY k.priority, k.first_id LIMIT 1;
      EXIT WHEN NOT FOUND;
      v_after := t.priority;
      RETURN QUERY SELECT q.id, q.name::text, t.priority, t.first_id, t.kind::text,
        coalesce(t.ready_at, (SELECT j.enqueued_at FROM howdah.find_job(t.first_id) j), howdah.now());
    END LOOP;
    RETURN QUERY
      SELECT q.id, q.name::text, d.priority, d.first_id, d.kind::text, coalesce((SELECT j.enqueued_at FROM howdah.find_job(d.first_id) j), howdah.now())
        FROM (SELECT * FROM howdah.deferred k WHERE k.gate >= 'fair:' || q.id || ':' AND k.gate < 'fair:' || q.id || ';'
               ORDER BY k.gate, k.priority, k.first_id LIMIT 1) d;
  END LOOP;
END $$;
