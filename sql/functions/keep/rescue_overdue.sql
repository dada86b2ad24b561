-- howdah.rescue_overdue(worker_id, message) -> integer
-- Gives away those jobs of a silent worker whose own lease is over, and leaves it the others. It stays registered, and
-- hears of it by its next heartbeat, if there is one. Returns how many jobs that were. Internal to rescue, which
-- has locked the worker's row.
-- Writes: worker, and see rescue_lease. Locks: lease rows, passing by what others have locked. Errors: none.
-- Cost: where kinds have leases of their own, a look at each job that the worker holds.
CREATE OR REPLACE FUNCTION howdah.rescue_overdue(worker_id bigint, message text) RETURNS integer
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  v_worker howdah.worker;
  v_silent float8;
  v_kinds  boolean := EXISTS (SELECT FROM howdah.kind k WHERE k.lease_ms IS NOT NULL);
  v_queue  integer;
  v_all    boolean;
  v_over   bigint[];
  v_jobs   integer := 0;
  l        record;
BEGIN
  SELECT * INTO v_worker FROM howdah.worker w WHERE w.id = rescue_overdue.worker_id;
  v_silent := extract(epoch FROM howdah.now() - v_worker.heartbeat_at) * 1000;
  -- Lock first and look later: see rescue_worker.
  FOR l IN SELECT e.id, e.queue_id FROM howdah.lease e WHERE e.worker_id = rescue_overdue.worker_id ORDER BY e.id FOR UPDATE SKIP LOCKED LOOP
    v_queue := coalesce((SELECT q.lease_ms FROM howdah.queue q WHERE q.id = l.queue_id), v_worker.lease_ms);
    IF v_kinds THEN
      SELECT bool_and(j.lease_ms < v_silent), array_agg(j.id) FILTER (WHERE j.lease_ms < v_silent) INTO v_all, v_over
        FROM (SELECT f.id, howdah.lease_ms(coalesce(k.lease_ms, v_queue), v_worker.heartbeat_ms) AS lease_ms
                FROM howdah.lease e, unnest(e.first_ids, e.counts) r(first_id, jobs), generate_series(0, r.jobs - 1) g,
                     LATERAL howdah.find_job(r.first_id + g) f LEFT JOIN howdah.kind k ON k.name = f.kind
               WHERE (e.id & 3) = (l.id & 3) AND e.id = l.id) j;
    ELSE
      v_all := howdah.lease_ms(v_queue, v_worker.heartbeat_ms) < v_silent;
    END IF;
    IF v_all THEN
      v_jobs := v_jobs + howdah.rescue_lease(l.id, rescue_overdue.worker_id, 'worker_lost', rescue_overdue.message);
    ELSIF v_over IS NOT NULL THEN
      v_jobs := v_jobs + howdah.rescue_lease(l.id, rescue_overdue.worker_id, 'worker_lost', rescue_overdue.message, v_over);
    END IF;
  END LOOP;
  IF v_jobs > 0 THEN
    UPDATE howdah.worker w SET robbed = w.robbed + 1 WHERE w.id = rescue_overdue.worker_id;
  END IF;
  RETURN v_jobs;
END $$;
