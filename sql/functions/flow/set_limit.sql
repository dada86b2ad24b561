-- howdah.set_limit(scope, name, settings) -> jsonb
-- Sets what a limit allows, over the whole fleet and at once: SELECT howdah.set_limit('key', 'tenant:*', '{"max_running": 5}').
--   scope, name  queue: a queue; kind: a kind of jobs; key: a limit_key, or with a * at the end each of those that begin so;
--                share: a fair_key, or with a * at the end each of those that begin so
--   settings     what is left out stays, null takes it away:
--     max_running     so many jobs run at the same time; 0 holds all of them back
--     rate            so many jobs (or tokens, see the option weight) may start in every
--     rate_period_ms  milliseconds (default 1000), evenly, and
--     rate_burst      so many at once after a pause (default: as rate)
--     weight          of a share: how many of its jobs start in its turn
-- What runs already counts, and goes on. A rule of which nothing is set goes; so does one with settings => NULL. What waits is let through within a second or so.
-- Returns the rule; NULL: there is none now.
-- Writes: flow_rule, command, gate, gate_look, slot. Locks: the rule's row. Errors: HD002 invalid argument (COLUMN names it).
CREATE OR REPLACE FUNCTION howdah.set_limit(scope text, name text, settings jsonb) RETURNS jsonb
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  r   howdah.flow_rule;
  v_s jsonb := coalesce(set_limit.settings, '{}');
  v_gates text[];
  v_was   integer;
  v_old   jsonb;
  v_now   jsonb;
BEGIN
  PERFORM howdah.check_limit(set_limit.scope, set_limit.name, set_limit.settings);
  SELECT * INTO r FROM howdah.flow_rule f WHERE f.scope = set_limit.scope AND f.name = set_limit.name FOR UPDATE;
  v_was := r.max_running;
  v_old := jsonb_strip_nulls(to_jsonb(r));
  r.scope := set_limit.scope;
  r.name := set_limit.name;
  IF set_limit.settings IS NULL THEN
    r.max_running := NULL;
    r.rate := NULL;
    r.weight := NULL;
  ELSE
    r := jsonb_populate_record(r, v_s);
  END IF;
  IF r.rate IS NULL THEN
    r.rate_period_ms := NULL;
    r.rate_burst := NULL;
  ELSE
    r.rate_period_ms := coalesce(r.rate_period_ms, 1000);
    -- As large as the rate, unless it is set: also when the rate changes.
    r.rate_burst := CASE WHEN v_s ? 'rate' AND NOT v_s ? 'rate_burst' THEN r.rate ELSE coalesce(r.rate_burst, r.rate) END;
  END IF;
  DELETE FROM howdah.flow_rule f WHERE f.scope = r.scope AND f.name = r.name;
  IF coalesce(r.max_running, r.rate, r.weight) IS NOT NULL THEN
    INSERT INTO howdah.flow_rule SELECT r.*;
  END IF;
  IF r.max_running IS NOT NULL AND v_was IS NULL AND r.scope IN ('kind', 'key') THEN
    PERFORM howdah.count_running(r.scope, r.name);
  ELSIF r.max_running IS NULL AND r.scope = 'key' THEN
    -- What ran under this rule is under a wider one from now on.
    PERFORM howdah.count_running(f.scope, f.name) FROM howdah.flow_rule f
     WHERE f.scope = 'key' AND f.max_running IS NOT NULL AND right(f.name, 1) = '*' AND starts_with(r.name, left(f.name, -1));
  END IF;
  v_gates := ARRAY(SELECT howdah.gates_of_rule(r.scope, r.name));
  -- What was used up by another rate is owed to this one for no longer than a bucket of it takes to fill.
  UPDATE howdah.gate g SET full_at = least(g.full_at, howdah.now() + coalesce(howdah.time_of(r, r.rate_burst), '0'))
   WHERE g.name = ANY (v_gates);
  PERFORM howdah.watch_gate(g.gate) FROM unnest(v_gates) g(gate);
  v_now := (SELECT jsonb_strip_nulls(to_jsonb(f)) FROM howdah.flow_rule f WHERE f.scope = r.scope AND f.name = r.name);
  PERFORM howdah.note_changes('set_limit', jsonb_build_object('scope', r.scope, 'name', r.name), v_old, v_now);
  RETURN v_now;
END $$;
