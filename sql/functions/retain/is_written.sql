-- howdah.is_written(slot) -> boolean
-- Whether a transaction that is open may have written to the receipts of a slot: what it has written would be seen by
-- nobody yet. Internal to prune_history. Locks: the partition, shared, taken only if free.
CREATE OR REPLACE FUNCTION howdah.is_written(slot integer) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  EXECUTE format('LOCK TABLE howdah.receipt_%s IN SHARE MODE NOWAIT', is_written.slot);
  RETURN false;
EXCEPTION WHEN lock_not_available THEN
  RETURN true;
END $$;
