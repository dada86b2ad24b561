-- howdah.why_ready(job_id) -> setof (code, reason, evidence)
-- Why a job that is ready does not run yet: its queue, its workers, and who is in front of it. Internal to why. Reads only.
CREATE OR REPLACE FUNCTION howdah.why_ready(job_id bigint) RETURNS TABLE (code text, reason text, evidence jsonb)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  j         howdah.job;
  q         howdah.queue;
  v_rule    howdah.flow_rule;
  v_running bigint;
  v_workers text[];
  v_lane    text := (SELECT d.gate FROM howdah.deferred d WHERE d.first_id BETWEEN (why_ready.job_id >> 7 << 7) AND why_ready.job_id AND why_ready.job_id < d.first_id + d.jobs);
BEGIN
  SELECT * INTO j FROM howdah.find_job(why_ready.job_id);
  SELECT * INTO q FROM howdah.queue k WHERE k.id = j.queue_id;
  IF NOT FOUND THEN
    RETURN QUERY SELECT 'deleted', 'its queue was deleted: it will be cancelled', '{}'::jsonb;
    RETURN;
  END IF;
  IF q.paused_at IS NOT NULL THEN
    RETURN QUERY SELECT 'paused', format('queue %s is paused since %s by %s', q.name, howdah.at_text(q.paused_at), coalesce(q.paused_by, 'somebody')) || coalesce(': ' || q.pause_reason, ''),
      jsonb_build_object('queue', q.name, 'paused_at', q.paused_at, 'paused_by', q.paused_by, 'pause_reason', q.pause_reason);
  END IF;
  RETURN QUERY SELECT * FROM howdah.why_no_worker(j, q.name);
  v_rule := howdah.rule_of('queue:' || q.id);
  SELECT coalesce(sum((SELECT sum(c) FROM unnest(l.counts) c)), 0) INTO v_running FROM howdah.lease l WHERE l.queue_id = q.id;
  IF v_running >= v_rule.max_running THEN
    RETURN QUERY SELECT 'queue_limit', format('%s of %s jobs of queue %s run', v_running, v_rule.max_running, q.name),
      jsonb_build_object('queue', q.name, 'running', v_running, 'max_running', v_rule.max_running);
  END IF;
  RETURN QUERY SELECT CASE g.code WHEN 'rate' THEN 'queue_rate' ELSE g.code END, g.reason, g.evidence FROM howdah.why_gate('queue:' || q.id) g WHERE g.code = 'rate';
  IF v_lane IS NOT NULL THEN
    RETURN QUERY SELECT 'turn', format('it waits for the turn of %s, in a queue of shares', j.options ->> 'fair_key'), jsonb_build_object('fair_key', j.options ->> 'fair_key');
    RETURN;
  END IF;
  -- Counted in rows: a row stands for up to 128 jobs.
  RETURN QUERY
    SELECT 'behind', format('%s%s jobs are in front of it', CASE WHEN a.rows = 10000 THEN 'at least ' ELSE '' END, a.jobs)
           || CASE WHEN q.aging_ms IS NULL THEN '' ELSE format(' by priority, and it rises by one each %s ms', q.aging_ms) END, jsonb_build_object('jobs', a.jobs, 'exact', a.rows < 10000)
      FROM (SELECT count(*) AS rows, sum(CASE WHEN t.priority = j.priority THEN least(t.jobs, j.id - t.first_id) ELSE t.jobs END) AS jobs FROM (
              SELECT k.priority, k.first_id, k.jobs FROM howdah.ticket k
               WHERE k.queue_id = j.queue_id AND (k.priority < j.priority OR (k.priority = j.priority AND k.first_id < j.id))
               LIMIT 10000) t) a WHERE a.jobs > 0;
  RETURN QUERY SELECT 'busy', format('the workers of queue %s run %s jobs of it, and take this one when one of them has a free slot', q.name, v_running), jsonb_build_object('queue', q.name, 'running', v_running)
    WHERE v_running > 0 AND NOT EXISTS (SELECT FROM howdah.sleeper s WHERE s.queue_id = q.id);
  RETURN QUERY SELECT 'soon', 'a worker of its queue waits for work: it should start at any moment', '{}'::jsonb
    WHERE EXISTS (SELECT FROM howdah.sleeper s WHERE s.queue_id = q.id) AND q.paused_at IS NULL;
END $$;
