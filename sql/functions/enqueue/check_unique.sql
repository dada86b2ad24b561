-- howdah.check_unique(key, scope, period, on_hit) -> void
-- Refuses what howdah.enqueue_unique cannot do. Internal.
-- Errors: HD002 (invalid argument), naming the field in COLUMN.
CREATE OR REPLACE FUNCTION howdah.check_unique(key text, scope text, period interval, on_hit text) RETURNS void
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF check_unique.key IS NULL OR octet_length(check_unique.key) NOT BETWEEN 1 AND 512 THEN
    PERFORM howdah.option_refused('key', format('must be 1 to 512 bytes, not %s', coalesce(octet_length(check_unique.key)::text, 'NULL')));
  END IF;
  IF check_unique.scope IS NULL OR check_unique.scope NOT IN ('live', 'period', 'forever') THEN
    PERFORM howdah.option_refused('scope', 'must be live, period or forever, not ' || coalesce(quote_literal(left(check_unique.scope, 100)), 'NULL'));
  END IF;
  IF (check_unique.scope = 'period') <> (check_unique.period IS NOT NULL) THEN
    PERFORM howdah.option_refused('period', 'belongs to the scope period, and the scope is ' || check_unique.scope);
  END IF;
  IF check_unique.period <= interval '0' OR check_unique.period > interval '100 years' THEN
    PERFORM howdah.option_refused('period', 'must be more than zero and at most 100 years, not ' || check_unique.period);
  END IF;
  IF check_unique.on_hit IS NULL OR check_unique.on_hit NOT IN ('keep', 'replace', 'replace_payload', 'replace_time', 'error') THEN
    PERFORM howdah.option_refused('on_hit', 'must be keep, replace, replace_payload, replace_time or error, not '
      || coalesce(quote_literal(left(check_unique.on_hit, 100)), 'NULL'));
  END IF;
END $$;
