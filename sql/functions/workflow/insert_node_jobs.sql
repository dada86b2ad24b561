-- howdah.insert_node_jobs(now, specs, children, parents, outside) -> bigint[]
-- Writes what was asked for with each node of a workflow. Returns the ids of the jobs, in order. Internal to insert_nodes.
-- Writes: job, expiry, ordered. Locks: those of bounded queues, see make_room. Errors: HD001, HD002 with COLUMN payload, HD005.
CREATE OR REPLACE FUNCTION howdah.insert_node_jobs(now timestamptz, specs jsonb[], children bigint[], parents bigint[], outside bigint[])
RETURNS bigint[] LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_count  integer := cardinality(insert_node_jobs.specs);
  v_blocks bigint[];
  v_ids    bigint[];
  v_queue  text;
  v_size   integer;
BEGIN
  SELECT n.queue INTO v_queue FROM (SELECT DISTINCT coalesce(s ->> 'queue', 'default') AS queue FROM unnest(insert_node_jobs.specs) s) n
   WHERE NOT EXISTS (SELECT FROM howdah.queue q WHERE q.name = n.queue) LIMIT 1;
  IF FOUND THEN
    PERFORM howdah.unknown_queue(v_queue);
  END IF;
  PERFORM howdah.make_room(o.queue, o.jobs::integer)
     FROM (SELECT q AS queue, (SELECT count(*) FROM unnest(insert_node_jobs.specs) s WHERE coalesce(s ->> 'queue', 'default') = q.name) AS jobs
             FROM howdah.queue q WHERE q.max_jobs IS NOT NULL ORDER BY q.id) o WHERE o.jobs > 0;
  SELECT array_agg(nextval('howdah.block_seq') << 7) INTO v_blocks FROM generate_series(1, (v_count + 127) / 128);
  v_ids := ARRAY(SELECT v_blocks[(n >> 7) + 1] + (n & 127) FROM generate_series(0, v_count - 1) n ORDER BY n);
  WITH waits AS (
    SELECT e.child, jsonb_agg(coalesce(v_ids[e.parent], e.parent_id)) AS parents
      FROM unnest(insert_node_jobs.children, insert_node_jobs.parents, insert_node_jobs.outside) e(child, parent, parent_id) GROUP BY e.child),
  inserted AS (
    INSERT INTO howdah.job (id, enqueued_at, queue_id, priority, max_attempts, kind, payload, options)
    SELECT v_ids[u.n], insert_node_jobs.now, q.id, coalesce((u.spec ->> 'priority')::integer, 5), coalesce((u.spec ->> 'max_attempts')::integer, q.max_attempts),
           u.spec ->> 'kind', coalesce(u.spec -> 'payload', '{}'),
           nullif(coalesce(CASE WHEN u.spec ? 'options' THEN howdah.stored_options(u.spec -> 'options', insert_node_jobs.now) END, '{}')
             || CASE WHEN w.parents IS NOT NULL THEN jsonb_build_object('depends_on', w.parents, 'on_parent_failure', u.spec ->> 'on_parent_failure') ELSE '{}' END
             || CASE WHEN w.parents IS NOT NULL AND d.at IS NOT NULL THEN jsonb_build_object('due_at', d.at) ELSE '{}' END, '{}')
      FROM unnest(insert_node_jobs.specs) WITH ORDINALITY u(spec, n) JOIN howdah.queue q ON q.name = coalesce(u.spec ->> 'queue', 'default')
      LEFT JOIN waits w ON w.child = u.n, LATERAL (SELECT howdah.node_due(u.spec, insert_node_jobs.now) AS at) d
    RETURNING id, queue_id, pg_column_size(payload) AS bytes, (options ->> 'expires_at')::timestamptz AS expires_at),
  expires AS (
    INSERT INTO howdah.expiry (job_id, expires_at) SELECT i.id, i.expires_at FROM inserted i WHERE i.expires_at IS NOT NULL)
  SELECT q.name, i.bytes INTO v_queue, v_size FROM inserted i JOIN howdah.queue q ON q.id = i.queue_id WHERE i.bytes > q.max_payload_bytes LIMIT 1;
  IF FOUND THEN
    PERFORM howdah.payload_refused(v_queue, v_size, (SELECT q.max_payload_bytes FROM howdah.queue q WHERE q.name = v_queue));
  END IF;
  PERFORM howdah.join_orders(ARRAY(SELECT v_ids[u.n] FROM unnest(insert_node_jobs.specs) WITH ORDINALITY u(spec, n) WHERE u.spec -> 'options' ? 'order_key'));
  RETURN v_ids;
END $$;
