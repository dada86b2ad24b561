-- howdah.setting_names(relation) -> text[]
-- What can be set of a queue (relation 'queue'), a kind ('kind') or a schedule ('schedule'): the columns of that table,
-- but for those that are its identity, its pause (howdah.pause_queue), and bookkeeping. A column that a later release adds
-- is a setting.
-- Reads: the catalog. Errors: none. Internal to set_queue and set_kind.
CREATE OR REPLACE FUNCTION howdah.setting_names(relation text) RETURNS text[]
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN (SELECT array_agg(a.attname::text ORDER BY a.attnum) FROM pg_attribute a
    WHERE a.attrelid = format('howdah.%I', setting_names.relation)::regclass AND a.attnum > 0 AND NOT a.attisdropped
      AND a.attname::text <> ALL ('{id,name,created_at,paused_at,paused_by,pause_reason,resume_at,fresh_slot}'::text[])
      AND (setting_names.relation <> 'schedule'
           OR a.attname::text <> ALL ('{turn,every_from,after_at,next_at,look_at,failures,error,error_at,declared,revision}'::text[])));
END $$;
