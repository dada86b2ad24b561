-- howdah.pruned_groups() -> bigint
-- A number that stands for the queues and outcomes that are removed by rows, and that is another one when settings or
-- queues change; NULL if there are none. Internal.
CREATE OR REPLACE FUNCTION howdah.pruned_groups() RETURNS bigint
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT hashtextextended(string_agg(concat_ws(':', r.queue_id, r.outcome, extract(epoch FROM r.retention), r.held), ' ' ORDER BY r.queue_id, r.outcome), 0)
    FROM howdah.retentions() r WHERE r.by_rows AND r.outcome < 4
$$;
