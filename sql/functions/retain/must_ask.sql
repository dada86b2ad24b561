-- howdah.must_ask() -> integer[]
-- The queues whose jobs never go by truncation: they are archived, held, or called about. Internal.
CREATE OR REPLACE FUNCTION howdah.must_ask() RETURNS integer[]
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT coalesce(array_agg(q.id), '{}') FROM howdah.queue q WHERE q.on_removal <> 'delete' OR q.before_removal IS NOT NULL
$$;
