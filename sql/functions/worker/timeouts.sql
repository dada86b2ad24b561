-- howdah.timeouts(queues) -> jsonb
-- What is set of queues and kinds about how long an attempt may take: {"queues": {name: ms}, "kinds": {name: ms}}, for
-- these queues and for all kinds. NULL if nothing is set. Internal to workers, which hear of it with each heartbeat.
-- Reads: queue, kind. Errors: none.
CREATE OR REPLACE FUNCTION howdah.timeouts(queues text[]) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_queues jsonb := (SELECT jsonb_object_agg(q.name, q.timeout_ms) FROM howdah.queue q WHERE q.timeout_ms IS NOT NULL AND q.name = ANY (timeouts.queues));
  v_kinds  jsonb := (SELECT jsonb_object_agg(k.name, k.timeout_ms) FROM howdah.kind k WHERE k.timeout_ms IS NOT NULL);
BEGIN
  IF v_queues IS NULL AND v_kinds IS NULL THEN
    RETURN NULL;
  END IF;
  RETURN jsonb_build_object('queues', coalesce(v_queues, '{}'), 'kinds', coalesce(v_kinds, '{}'));
END $$;
