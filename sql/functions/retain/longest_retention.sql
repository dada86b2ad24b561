-- howdah.longest_retention() -> interval
-- After which partitions of history and of jobs are truncated: the longest of any queue and outcome. Dead jobs have a
-- room of their own, and do not count. Internal.
CREATE OR REPLACE FUNCTION howdah.longest_retention() RETURNS interval
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT coalesce((SELECT max(r.retention) FROM howdah.retentions() r WHERE r.outcome < 4), c.history_retention) FROM howdah.config c
$$;
