-- howdah.start_worker(name, lease_ms, heartbeat_ms, queues, kinds, version, filter) -> bigint
-- Registers a worker process and gives its id, which claims and heartbeats name.
--   lease_ms      how long after its last heartbeat its jobs are given to others; 100 to 86400000
--   heartbeat_ms  how often it means to call howdah.heartbeat; at most half of lease_ms
--   queues, kinds, version, filter  for people to see, and for howdah.why; filter: see howdah.check_filter
-- Writes: worker; creates queues that do not exist. Errors: HD002 invalid argument.
CREATE OR REPLACE FUNCTION howdah.start_worker(name text, lease_ms integer DEFAULT 20000, heartbeat_ms integer DEFAULT 2000,
  queues text[] DEFAULT '{}', kinds text[] DEFAULT NULL, version text DEFAULT NULL, filter text DEFAULT NULL)
RETURNS bigint LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  v_id bigint;
BEGIN
  IF start_worker.lease_ms IS NULL OR start_worker.lease_ms NOT BETWEEN 100 AND 86400000 THEN
    RAISE EXCEPTION 'lease_ms must be 100 to 86400000, not %', coalesce(start_worker.lease_ms::text, 'NULL') USING ERRCODE = 'HD002', COLUMN = 'lease_ms';
  END IF;
  IF start_worker.heartbeat_ms IS NULL OR start_worker.heartbeat_ms < 10 OR start_worker.heartbeat_ms > start_worker.lease_ms / 2 THEN
    RAISE EXCEPTION 'heartbeat_ms must be 10 to half of lease_ms, not %', coalesce(start_worker.heartbeat_ms::text, 'NULL') USING ERRCODE = 'HD002', COLUMN = 'heartbeat_ms';
  END IF;
  IF start_worker.name IS NULL OR octet_length(start_worker.name) NOT BETWEEN 1 AND 256 THEN
    RAISE EXCEPTION 'name must be 1 to 256 bytes' USING ERRCODE = 'HD002', COLUMN = 'name';
  END IF;
  IF cardinality(start_worker.queues) > 10000 THEN
    PERFORM howdah.option_refused('queues', 'must be at most 10000');
  ELSIF cardinality(start_worker.kinds) > 10000 OR octet_length(array_to_string(start_worker.kinds, '')) > 1048576 THEN
    PERFORM howdah.option_refused('kinds', 'must be at most 10000, of 1 MiB together');
  ELSIF octet_length(start_worker.version) > 128 THEN
    PERFORM howdah.option_refused('version', 'must be at most 128 bytes');
  END IF;
  IF start_worker.filter IS NOT NULL THEN
    PERFORM howdah.check_filter(start_worker.filter);
  END IF;
  PERFORM howdah.create_queue(q) FROM unnest(start_worker.queues) q;
  INSERT INTO howdah.worker (name, started_at, heartbeat_at, heartbeat_ms, lease_ms, queues, kinds, version, filter)
    VALUES (start_worker.name, howdah.now(), howdah.now(), start_worker.heartbeat_ms, start_worker.lease_ms,
            start_worker.queues, start_worker.kinds, start_worker.version, start_worker.filter)
    RETURNING id INTO v_id;
  RETURN v_id;
END $$;
