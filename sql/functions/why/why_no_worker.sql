-- howdah.why_no_worker(job, queue) -> setof (code, reason, evidence)
-- Whether there is a worker for a job, and if not, why those that there are do not take it: their queues, their kinds,
-- their filters. Internal to why. Reads: worker.
CREATE OR REPLACE FUNCTION howdah.why_no_worker(job howdah.job, queue text) RETURNS TABLE (code text, reason text, evidence jsonb)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  j        howdah.job := why_no_worker.job;
  v_all    text[];
  v_kind   text[];
  v_filter text[];
BEGIN
  SELECT array_agg(w.name ORDER BY w.id), array_agg(w.name ORDER BY w.id) FILTER (WHERE w.kinds IS NULL OR j.kind = ANY (w.kinds)),
         array_agg(w.name ORDER BY w.id) FILTER (WHERE (w.kinds IS NULL OR j.kind = ANY (w.kinds)) AND (w.filter IS NULL
           OR (coalesce(j.options -> 'attributes', '{}') @@ w.filter::jsonpath AND NOT coalesce(j.options ? 'fair_key', false))))
    INTO v_all, v_kind, v_filter FROM howdah.worker w WHERE why_no_worker.queue = ANY (w.queues) AND NOT w.stopping;
  IF v_all IS NULL THEN
    RETURN QUERY SELECT 'no_worker', format('no worker serves queue %s', why_no_worker.queue),
      jsonb_build_object('queue', why_no_worker.queue, 'workers', (SELECT count(*) FROM howdah.worker));
  ELSIF v_kind IS NULL THEN
    RETURN QUERY SELECT 'kind', format('no worker of queue %s has a handler for kind %s', why_no_worker.queue, j.kind),
      jsonb_build_object('queue', why_no_worker.queue, 'kind', j.kind, 'workers', to_jsonb(v_all[1:20]));
  ELSIF v_filter IS NULL THEN
    RETURN QUERY SELECT 'filter', format('the filters of all workers of queue %s exclude it', why_no_worker.queue)
        || CASE WHEN j.options ? 'fair_key' THEN ': a worker with a filter takes no job with a fair_key' ELSE '' END,
      jsonb_build_object('queue', why_no_worker.queue, 'workers', (
        SELECT jsonb_agg(jsonb_build_object('worker', w.name, 'filter', w.filter)) FROM (SELECT * FROM howdah.worker k WHERE k.name = ANY (v_kind) LIMIT 20) w));
  END IF;
END $$;
