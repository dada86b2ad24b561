-- howdah.prune_firings(schedule) -> void
-- Forgets all firings of a schedule but the newest 1000. Called now and then while it fires. Internal.
-- Writes: firing. Cost: reads up to 1000 entries of an index.
CREATE OR REPLACE FUNCTION howdah.prune_firings(schedule text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
BEGIN
  DELETE FROM howdah.firing f WHERE f.schedule = prune_firings.schedule AND f.fired_at < (
    SELECT n.fired_at FROM howdah.firing n WHERE n.schedule = prune_firings.schedule ORDER BY n.fired_at DESC OFFSET 999 LIMIT 1);
END $$;
