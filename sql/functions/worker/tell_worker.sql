-- howdah.tell_worker(worker_id, what) -> boolean
-- Tells a worker process something, which it hears with its next heartbeat, or at once if it listens:
--   quiet  claim no more jobs, and stay: what it has goes on
--   stop   end gracefully, as by SIGTERM: claim no more, finish what runs within the grace period, leave. Whoever started the process
--          may start it again
--   work   claim again (after quiet; one that was told to stop goes on stopping)
-- Workers in plain SQL are told the same by howdah.heartbeat, and do as they like.
-- Returns false if there is no such worker. Writes: worker, command. Errors: HD002 invalid argument.
CREATE OR REPLACE FUNCTION howdah.tell_worker(worker_id bigint, what text) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_known boolean;
BEGIN
  IF tell_worker.what IS NULL OR tell_worker.what NOT IN ('quiet', 'stop', 'work') THEN
    PERFORM howdah.option_refused('what', 'must be quiet, stop or work');
  END IF;
  UPDATE howdah.worker w SET told = CASE WHEN w.told = 'stop' THEN 'stop' ELSE nullif(tell_worker.what, 'work') END,
         stopping = tell_worker.what <> 'work' OR w.told IS NOT DISTINCT FROM 'stop'
   WHERE w.id = tell_worker.worker_id;
  v_known := FOUND;
  IF v_known THEN
    PERFORM pg_notify('howdah.cancel', tell_worker.worker_id::text);
    PERFORM howdah.note('tell_worker', jsonb_build_object('worker', tell_worker.worker_id, 'what', tell_worker.what));
  END IF;
  RETURN v_known;
END $$;
