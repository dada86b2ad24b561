-- howdah.check_limit(scope, name, settings) -> void
-- Refuses a limit that makes no sense. Internal to set_limit. Errors: HD002 (invalid argument), naming the field in COLUMN.
CREATE OR REPLACE FUNCTION howdah.check_limit(scope text, name text, settings jsonb) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_key   text;
  v_value jsonb;
BEGIN
  IF check_limit.scope IS NULL OR check_limit.scope NOT IN ('queue', 'kind', 'key', 'share') THEN
    PERFORM howdah.option_refused('scope', 'must be queue, kind, key or share, not ' || coalesce(quote_literal(left(check_limit.scope, 100)), 'NULL'));
  END IF;
  IF check_limit.name IS NULL OR octet_length(check_limit.name) NOT BETWEEN 1 AND 256 OR check_limit.name ~ '[[:cntrl:]]' THEN
    PERFORM howdah.option_refused('name', 'must be 1 to 256 bytes without control characters');
  END IF;
  IF check_limit.scope = 'queue' AND check_limit.settings IS NOT NULL AND NOT EXISTS (SELECT FROM howdah.queue q WHERE q.name = check_limit.name) THEN
    PERFORM howdah.unknown_queue(check_limit.name);
  END IF;
  IF jsonb_typeof(check_limit.settings) <> 'object' THEN
    PERFORM howdah.option_refused('settings', 'must be a JSON object, not ' || jsonb_typeof(check_limit.settings));
  END IF;
  FOR v_key, v_value IN SELECT * FROM jsonb_each(check_limit.settings) LOOP
    IF v_key <> ALL (CASE WHEN check_limit.scope = 'share' THEN '{weight}'::text[] ELSE '{max_running,rate,rate_period_ms,rate_burst}' END) THEN
      PERFORM howdah.option_refused(coalesce(nullif(left(v_key, 100), ''), 'settings'), CASE WHEN check_limit.scope = 'share' THEN 'is nothing that a share has: it has a weight'
        ELSE 'is nothing that a limit has: there are max_running, rate, rate_period_ms and rate_burst' END);
    END IF;
    CONTINUE WHEN v_value = 'null';
    PERFORM howdah.check_number(v_key, v_value, (CASE v_key WHEN 'max_running' THEN 0 ELSE 1 END),
      CASE v_key WHEN 'max_running' THEN 100000 WHEN 'weight' THEN 1000 WHEN 'rate_period_ms' THEN 31557600000 ELSE 1000000000 END);
  END LOOP;
END $$;
