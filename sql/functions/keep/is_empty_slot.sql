-- howdah.is_empty_slot(slot) -> boolean
-- Whether nothing was written to any table of history in a slot since it was truncated. Internal to rotate_history.
CREATE OR REPLACE FUNCTION howdah.is_empty_slot(slot integer) RETURNS boolean
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
  SELECT bool_and(pg_relation_size(format('howdah.%I', t || '_' || is_empty_slot.slot)::regclass) = 0) FROM unnest(howdah.history_tables()) t
$$;
