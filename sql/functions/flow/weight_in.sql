-- howdah.weight_in(gates) -> integer
-- How many tokens of a rate it takes to start a job with these gates: N of weight:N, or 1. Internal.
CREATE OR REPLACE FUNCTION howdah.weight_in(gates text[]) RETURNS integer
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN coalesce((SELECT substr(g, 8)::integer FROM unnest(weight_in.gates) g WHERE g ^@ 'weight:'), 1);
END $$;
