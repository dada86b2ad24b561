-- howdah.prune_archive(most) -> text
-- Deletes what was archived longer ago than config.archive_retention, at most `most` rows. Returns what it did, or NULL.
-- Internal to prune. Writes: archive. Errors: none.
CREATE OR REPLACE FUNCTION howdah.prune_archive(most integer) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
DECLARE
  v_cut  timestamptz := (SELECT howdah.now() - c.archive_retention FROM howdah.config c);
  v_rows bigint;
BEGIN
  DELETE FROM howdah.archive a WHERE a.ctid = ANY (ARRAY(
    SELECT o.ctid FROM howdah.archive o WHERE o.archived_at < v_cut ORDER BY o.archived_at LIMIT prune_archive.most FOR UPDATE SKIP LOCKED));
  GET DIAGNOSTICS v_rows = ROW_COUNT;
  RETURN CASE WHEN v_rows > 0 THEN format('pruned %s archived jobs', v_rows) END;
END $$;
