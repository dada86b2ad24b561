-- howdah.why_deferred(job_id, run) -> setof (code, reason, evidence)
-- Why a job that is scheduled or blocked does not run. Internal to why. Reads only.
CREATE OR REPLACE FUNCTION howdah.why_deferred(job_id bigint, run howdah.deferred) RETURNS TABLE (code text, reason text, evidence jsonb)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  d      howdah.deferred := why_deferred.run;
  v_key  text := substr((why_deferred.run).gate, strpos((why_deferred.run).gate, ':') + 1);
BEGIN
  IF d.gate ^@ 'limit:' OR d.gate ^@ 'kind:' THEN
    RETURN QUERY SELECT * FROM howdah.why_gate(d.gate);
  ELSIF d.gate ^@ 'order:' THEN
    RETURN QUERY
      SELECT 'order', format('job %s of order key %s comes before it, and is %s', o.job_id, v_key, f.state), jsonb_build_object('order_key', v_key, 'job_id', o.job_id, 'state', f.state)
        FROM (SELECT k.job_id FROM howdah.ordered k WHERE k.key = v_key AND NOT k.passed_by AND k.job_id < why_deferred.job_id ORDER BY k.key, k.job_id LIMIT 1) o,
             LATERAL (SELECT coalesce(howdah.state(o.job_id), 'gone') AS state) f;
    RETURN QUERY SELECT * FROM howdah.why_gate(d.gate);
  ELSIF d.gate = 'dependencies' THEN
    RETURN QUERY SELECT * FROM howdah.why_parents(why_deferred.job_id);
  ELSIF d.gate IS NOT NULL THEN
    RETURN QUERY SELECT 'blocked', 'it waits for ' || d.gate, jsonb_build_object('gate', d.gate);
  ELSIF howdah.waits_because(why_deferred.job_id) IS NOT NULL THEN
    RETURN QUERY SELECT CASE s.kind WHEN 'sleep' THEN 'sleep' ELSE 'signal' END, 'it ' || howdah.waits_because(why_deferred.job_id),
        jsonb_build_object('step', s.name, 'wakes_at', nullif(s.wakes_at, 'infinity'))
      FROM howdah.step s WHERE s.job_id = why_deferred.job_id AND s.state = 'waiting' ORDER BY s.n LIMIT 1;
  ELSIF d.due_at = 'infinity' THEN
    RETURN QUERY SELECT 'parked', 'it is parked: it runs when it is retried', '{}'::jsonb;
  ELSE
    RETURN QUERY SELECT 'due', CASE WHEN d.due_at > howdah.now() THEN 'it is due at ' ELSE 'it was due at ' END || howdah.at_text(d.due_at), jsonb_build_object('due_at', d.due_at);
    IF d.due_at <= howdah.now() - interval '2 seconds' THEN
      RETURN QUERY SELECT 'keeper', 'nobody makes due jobs ready: no worker is the keeper', '{}'::jsonb
        WHERE NOT EXISTS (SELECT FROM howdah.keeper k WHERE k.expires_at > howdah.now());
    END IF;
  END IF;
END $$;
