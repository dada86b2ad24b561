-- howdah.why_gate(gate) -> setof (code, reason, evidence)
-- Why a gate lets nobody through now: who holds its slots, when its next token comes. Internal to why. Reads only.
CREATE OR REPLACE FUNCTION howdah.why_gate(gate text) RETURNS TABLE (code text, reason text, evidence jsonb)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_rule howdah.flow_rule := howdah.rule_of(why_gate.gate);
  v_most integer := CASE WHEN why_gate.gate ^@ 'order:' THEN 1 ELSE v_rule.max_running END;
  v_held bigint := (SELECT count(*) FROM howdah.slot s WHERE s.gate = why_gate.gate);
  v_tokens float8;
BEGIN
  IF v_most IS NOT NULL THEN
    IF v_held >= v_most THEN
      RETURN QUERY SELECT 'limit', format('%s of %s slots of %s are taken', v_held, v_most, why_gate.gate),
        jsonb_build_object('gate', why_gate.gate, 'held', v_held, 'max_running', v_most);
    END IF;
    RETURN QUERY
      SELECT 'held_by', format('job %s holds %s on worker %s since %s', s.job_id, why_gate.gate, coalesce(w.name, l.worker_id::text), howdah.at_text(l.claimed_at)),
             jsonb_build_object('job_id', s.job_id, 'worker', w.name, 'worker_id', l.worker_id, 'claimed_at', l.claimed_at)
        FROM (SELECT * FROM howdah.slot k WHERE k.gate = why_gate.gate ORDER BY k.lease_id LIMIT 5) s
        JOIN howdah.lease l ON (l.id & 3) = (s.lease_id & 3) AND l.id = s.lease_id LEFT JOIN howdah.worker w ON w.id = l.worker_id;
  END IF;
  IF v_rule.rate IS NOT NULL THEN
    v_tokens := howdah.tokens(why_gate.gate, v_rule);
    IF v_tokens < 1 THEN
      RETURN QUERY SELECT 'rate', format('the rate of %s is used up: %s every %s ms; the next token comes at %s', why_gate.gate, v_rule.rate, v_rule.rate_period_ms, howdah.at_text(n.at)),
          jsonb_build_object('gate', why_gate.gate, 'rate', v_rule.rate, 'rate_period_ms', v_rule.rate_period_ms, 'next_token_at', n.at)
        FROM (SELECT howdah.now() + make_interval(secs => (1 - v_tokens) * v_rule.rate_period_ms / v_rule.rate / 1000) AS at) n;
    END IF;
  END IF;
END $$;
