-- howdah.time_of(rule, tokens) -> interval
-- How long it takes for so many tokens of a rate to come; a hundred years at most. Internal.
CREATE OR REPLACE FUNCTION howdah.time_of(rule howdah.flow_rule, tokens bigint) RETURNS interval
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN make_interval(secs => least(3155760000, time_of.tokens::float8 * (time_of.rule).rate_period_ms / (time_of.rule).rate / 1000));
END $$;
