-- howdah.check_nodes(jobs) -> void
-- Refuses nodes of a workflow that make no sense by themselves; what they wait for is looked at by node_edges. Internal.
-- Errors: HD002 (invalid argument) with COLUMN jobs and the node's name, or with the field as for howdah.enqueue.
CREATE OR REPLACE FUNCTION howdah.check_nodes(jobs jsonb) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_paths  text[];
  v_specs  jsonb[];
  v_leaves boolean[];
  v_nodes  bigint;
  b        record;
BEGIN
  IF jsonb_typeof(check_nodes.jobs) IS DISTINCT FROM 'array' THEN
    PERFORM howdah.option_refused('jobs', 'must be a JSON array of nodes');
  END IF;
  SELECT array_agg(f.path ORDER BY f.n), array_agg(f.spec ORDER BY f.n), array_agg(f.leaf ORDER BY f.n), count(*) INTO v_paths, v_specs, v_leaves, v_nodes
    FROM howdah.flatten_nodes(check_nodes.jobs) f;
  IF v_nodes NOT BETWEEN 1 AND 10000 THEN
    PERFORM howdah.option_refused('jobs', format('must be 1 to 10000 nodes, not %s: add the rest with howdah.add_to_workflow', v_nodes));
  END IF;
  SELECT f.path, f.spec INTO b FROM unnest(v_paths, v_specs) WITH ORDINALITY f(path, spec, n)
   WHERE jsonb_typeof(f.spec) <> 'object' OR jsonb_typeof(f.spec -> 'name') IS DISTINCT FROM 'string' OR f.path IS NULL
      OR octet_length(f.spec ->> 'name') NOT BETWEEN 1 AND 200 OR f.spec ->> 'name' ~ '[[:cntrl:]/]' ORDER BY f.n LIMIT 1;
  IF FOUND THEN
    PERFORM howdah.node_refused(b.path, 'must be an object with a name of 1 to 200 bytes without / and control characters');
  END IF;
  SELECT f.path INTO b FROM unnest(v_paths) WITH ORDINALITY f(path, n) GROUP BY f.path HAVING count(*) > 1 ORDER BY min(f.n) LIMIT 1;
  IF FOUND THEN
    PERFORM howdah.node_refused(b.path, 'there are two of this name');
  END IF;
  SELECT f.path, k.key INTO b FROM unnest(v_paths, v_specs, v_leaves) WITH ORDINALITY f(path, spec, leaf, n), jsonb_each(f.spec) k
   WHERE k.key <> ALL (CASE WHEN f.leaf THEN '{name,kind,payload,queue,priority,run_at,delay_ms,max_attempts,options,depends_on,on_parent_failure}'::text[]
                            ELSE '{name,jobs,depends_on,on_parent_failure}' END)
      OR (k.key IN ('jobs', 'depends_on') AND jsonb_typeof(k.value) <> 'array') OR (k.key IN ('kind', 'queue') AND jsonb_typeof(k.value) <> 'string')
      OR CASE WHEN k.key NOT IN ('priority', 'max_attempts') THEN false WHEN jsonb_typeof(k.value) <> 'number' THEN true
              ELSE (k.value #>> '{}')::numeric NOT BETWEEN -1 AND 1001 OR scale((k.value #>> '{}')::numeric) > 0 END
      OR (k.key = 'on_parent_failure' AND k.value NOT IN ('"cancel"', '"run"', '"hold"'))
      OR (k.key = 'options' AND (jsonb_typeof(k.value) <> 'object' OR k.value ?| '{id,unique,depends_on,on_parent_failure}'))
   ORDER BY f.n LIMIT 1;
  IF FOUND THEN
    PERFORM howdah.node_refused(b.path, format('%s is not what it can be. A node has name, kind, payload, queue, priority, run_at, delay_ms, max_attempts, '
      'options (but id and unique), depends_on, on_parent_failure (cancel, run or hold); a group has name, jobs, depends_on, on_parent_failure', quote_literal(b.key)));
  END IF;
  -- Most nodes are alike in all but their names and payloads.
  PERFORM CASE WHEN d.delay IS NOT NULL THEN howdah.check_number('delay_ms', d.delay, 0, 3155760000000) END,
          howdah.check_job(d.kind, coalesce(d.priority, 5), CASE WHEN d.run_at IS NOT NULL THEN howdah.as_time('run_at', d.run_at) END,
            make_interval(secs => (d.delay #>> '{}')::float8 / 1000), d.attempts, d.options)
     FROM (SELECT DISTINCT f.spec ->> 'kind' AS kind, (f.spec ->> 'priority')::integer AS priority, f.spec -> 'run_at' AS run_at, f.spec -> 'delay_ms' AS delay,
                  (f.spec ->> 'max_attempts')::integer AS attempts, f.spec -> 'options' AS options
             FROM unnest(v_specs, v_leaves) f(spec, leaf) WHERE f.leaf) d;
END $$;
