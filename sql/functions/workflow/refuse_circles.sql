-- howdah.refuse_circles(names, children, parents) -> void
-- Refuses a graph in which a node would wait for itself, and names the circle. children, parents: places in names, one for each
-- pair, in order of the children. Internal to insert_nodes. Reads nothing.
-- Errors: HD002 (invalid argument) with COLUMN jobs. Cost: of nodes and pairs; nothing where each waits for earlier ones only.
CREATE OR REPLACE FUNCTION howdah.refuse_circles(names text[], children bigint[], parents bigint[]) RETURNS void
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp SET jit = off AS $$
DECLARE
  v_nodes integer := cardinality(refuse_circles.names);
  v_left  integer[] := array_fill(0, ARRAY[v_nodes]);
  -- The children of a node are v_below[v_from[node]] to v_below[v_from[node + 1] - 1].
  v_below bigint[];
  v_from  integer[];
  v_free  integer[];
  v_done  integer := 0;
  v_node  bigint;
  v_path  bigint[];
BEGIN
  IF NOT EXISTS (SELECT FROM unnest(refuse_circles.children, refuse_circles.parents) e(child, parent) WHERE e.parent >= e.child) THEN
    RETURN;
  END IF;
  SELECT array_agg(e.child ORDER BY e.parent) INTO v_below FROM unnest(refuse_circles.children, refuse_circles.parents) e(child, parent);
  SELECT array_agg((s.before + 1)::integer ORDER BY s.node) INTO v_from
    FROM (SELECT n.node, coalesce(sum(c.jobs) OVER (ORDER BY n.node ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS before
            FROM generate_series(1, v_nodes + 1) n(node) LEFT JOIN (SELECT e AS node, count(*) AS jobs FROM unnest(refuse_circles.parents) e GROUP BY e) c USING (node)) s;
  FOREACH v_node IN ARRAY refuse_circles.children LOOP
    v_left[v_node] := v_left[v_node] + 1;
  END LOOP;
  -- Take away what waits for nothing that is left, until there is no such node.
  v_free := ARRAY(SELECT l.node FROM unnest(v_left) WITH ORDINALITY l(waits, node) WHERE l.waits = 0);
  WHILE v_done < coalesce(cardinality(v_free), 0) LOOP
    v_done := v_done + 1;
    FOR i IN v_from[v_free[v_done]] .. v_from[v_free[v_done] + 1] - 1 LOOP
      v_left[v_below[i]] := v_left[v_below[i]] - 1;
      IF v_left[v_below[i]] = 0 THEN
        v_free := v_free || v_below[i]::integer;
      END IF;
    END LOOP;
  END LOOP;
  IF v_done = v_nodes THEN
    RETURN;
  END IF;
  -- Whatever is left waits for something that is left: going up from any of them ends in a circle.
  v_node := (SELECT min(l.node) FROM unnest(v_left) WITH ORDINALITY l(waits, node) WHERE l.waits > 0);
  WHILE array_position(v_path, v_node) IS NULL LOOP
    v_path := v_path || v_node;
    v_node := (SELECT min(e.parent) FROM unnest(refuse_circles.children, refuse_circles.parents) e(child, parent) WHERE e.child = v_node AND v_left[e.parent] > 0);
    EXIT WHEN cardinality(v_path) > 1000;
  END LOOP;
  PERFORM howdah.option_refused('jobs', 'make a circle: ' || (
    SELECT string_agg(refuse_circles.names[p.node], ' -> ' ORDER BY p.n)
      FROM unnest(v_path[coalesce(array_position(v_path, v_node), 1):] || v_node) WITH ORDINALITY p(node, n)));
END $$;
