-- howdah.place_nodes(now, ids, specs, children, parents, outside) -> void
-- Puts the jobs of a workflow into the rooms where they wait: what waits for nothing into tickets, or among what is due later;
-- the rest is blocked. Internal to insert_nodes.
-- Writes: ticket, deferred, dependency, second_look. Errors: HD002 with COLUMN depends_on: a job outside is unknown.
CREATE OR REPLACE FUNCTION howdah.place_nodes(now timestamptz, ids bigint[], specs jsonb[], children bigint[], parents bigint[], outside bigint[])
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_free    bigint[];
  v_blocked bigint[];
BEGIN
  WITH node AS (
    SELECT u.id, q.id AS queue_id, coalesce((u.spec ->> 'priority')::smallint, 5::smallint) AS priority, u.spec ->> 'kind' AS kind,
           CASE WHEN u.spec ? 'options' THEN howdah.gates_of(u.spec -> 'options') END AS gates, howdah.node_due(u.spec, place_nodes.now) AS due_at, w.child IS NOT NULL AS waits
      FROM unnest(place_nodes.ids, place_nodes.specs) WITH ORDINALITY u(id, spec, n) JOIN howdah.queue q ON q.name = coalesce(u.spec ->> 'queue', 'default')
      LEFT JOIN (SELECT DISTINCT c AS child FROM unnest(place_nodes.children) c) w ON w.child = u.n),
  blocked AS (
    INSERT INTO howdah.deferred (due_at, first_id, queue_id, priority, jobs, attempt, kind, gates, gate)
    SELECT 'infinity', o.id, o.queue_id, o.priority, 1, 0, o.kind, o.gates, 'dependencies' FROM node o WHERE o.waits RETURNING first_id),
  later AS (
    SELECT count(howdah.defer(o.due_at, o.id, 1, o.queue_id, o.kind, o.priority, 0, o.gates)) AS jobs FROM node o WHERE NOT o.waits AND o.due_at > place_nodes.now)
  SELECT array_agg(o.id) FILTER (WHERE NOT o.waits AND (o.due_at IS NULL OR o.due_at <= place_nodes.now)) INTO v_free FROM node o, later;
  INSERT INTO howdah.dependency (parent_id, job_id, on_failure)
  SELECT coalesce(place_nodes.ids[e.parent], e.parent_id), place_nodes.ids[e.child], s.spec ->> 'on_parent_failure'
    FROM unnest(place_nodes.children, place_nodes.parents, place_nodes.outside) e(child, parent, parent_id)
    JOIN unnest(place_nodes.specs) WITH ORDINALITY s(spec, n) ON s.n = e.child ON CONFLICT DO NOTHING;
  -- As tickets of consecutive ids that are alike.
  PERFORM howdah.put_back(v_free, array_fill(0::smallint, ARRAY[coalesce(cardinality(v_free), 0)]));
  SELECT array_agg(DISTINCT place_nodes.ids[e.child]) INTO v_blocked
    FROM unnest(place_nodes.children, place_nodes.outside) e(child, parent_id) WHERE e.parent_id IS NOT NULL;
  IF v_blocked IS NOT NULL THEN
    PERFORM howdah.meet_parents(v_blocked, ARRAY(SELECT DISTINCT o FROM unnest(place_nodes.outside) o WHERE o IS NOT NULL));
  END IF;
END $$;
