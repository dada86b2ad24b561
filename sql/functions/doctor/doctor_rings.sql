-- howdah.doctor_rings(asked) -> findings, see howdah.doctor_checks
-- Rings that cannot turn: the partition that is written has grown past ring_bytes, and those that it could turn to still hold
-- something. The usual causes are jobs that nobody takes (a paused queue, a kind without a worker) and transactions that hold
-- a lock. And partitions of jobs and of history that should be gone. Internal to doctor. Reads: ring, history_slot, sizes of files.
CREATE OR REPLACE FUNCTION howdah.doctor_rings(asked jsonb)
RETURNS TABLE (state text, found text, proof text, advice text, sql text, detail jsonb)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  v_bytes   bigint := howdah.doctor_limit(doctor_rings.asked, 'ring_bytes');
  v_longest interval := howdah.longest_retention();
BEGIN
  RETURN QUERY
    SELECT CASE WHEN pg_relation_size(t.written) > 10 * v_bytes THEN 'problem' ELSE 'warning' END,
      format('ring %s cannot turn: %s is written and has %s, and %s still holds about %s rows', t.name, t.written, pg_size_pretty(pg_relation_size(t.written)),
             t.left_over, (SELECT sum(pg_stat_get_live_tuples(o)) FROM unnest(t.others) o)),
      format('SELECT * FROM howdah.%s LIMIT 20', split_part(t.left_over, '.', 2)),
      'see to it that what is in it is run or cancelled, and end what the check horizon names; then the keeper turns it, or do it by hand', 'SELECT howdah.rotate()',
      jsonb_build_object('ring', t.name, 'written', t.written::text, 'bytes', pg_relation_size(t.written), 'left_over', t.left_over)
      FROM (
        SELECT r.name, to_regclass(format('howdah.%I', k.relation || '_' || r.slot)) AS written, o.others, o.left_over
          FROM howdah.ring r JOIN (VALUES ('ticket', 'ticket', '{0,1}'::integer[]), ('returned', 'ticket', '{2,3}'), ('lease', 'lease', '{0,1,2,3}')) k(ring, relation, slots)
            ON k.ring = r.name
          CROSS JOIN LATERAL (
            SELECT array_agg(c) FILTER (WHERE pg_relation_size(c) > 0) AS others, max(c::text) FILTER (WHERE pg_relation_size(c) > 0) AS left_over,
                   bool_and(pg_relation_size(c) > 0) AS full_up
              FROM (SELECT to_regclass(format('howdah.%I', k.relation || '_' || s)) AS c FROM unnest(k.slots) s WHERE s <> r.slot) p) o
         WHERE o.full_up) t
     WHERE pg_relation_size(t.written) > v_bytes;
  RETURN QUERY
    SELECT 'warning', format('slot %s of the history was left %s ago, is kept for %s, and is still there', h.slot, howdah.doctor_span(h.left_at), v_longest),
      format('SELECT * FROM howdah.history_slot WHERE slot = %s', h.slot),
      'see that there is a keeper, and what the checks removal and horizon say; then it goes, or do it by hand', 'SELECT howdah.rotate()',
      jsonb_build_object('ring', 'history', 'slot', h.slot, 'left_at', h.left_at)
      FROM howdah.history_slot h WHERE h.left_at + v_longest + interval '1 hour' < howdah.now() AND NOT howdah.is_empty_slot(h.slot) AND howdah.must_ask() = '{}';
  RETURN QUERY
    SELECT 'warning', format('ring job should have turned %s ago, and %s still holds jobs that have not ended', howdah.doctor_span(r.since + greatest(v_longest / 4, interval '15 minutes')), n.c),
      format('SELECT count(*) FROM howdah.live_jobs(%s, 1000000)', (r.slot + 1) & 7),
      'run, cancel or purge old jobs (dead ones too); then the keeper turns it, or do it by hand', 'SELECT howdah.rotate()', jsonb_build_object('ring', 'job', 'next', n.c::text)
      FROM howdah.ring r CROSS JOIN LATERAL (SELECT to_regclass(format('howdah.%I', 'job_' || ((r.slot + 1) & 7))) AS c, to_regclass(format('howdah.%I', 'job_' || r.slot)) AS w) n
     WHERE r.name = 'job' AND r.since + greatest(v_longest / 4, interval '15 minutes') + interval '1 hour' < howdah.now()
       AND pg_relation_size(n.c) > 0 AND pg_relation_size(n.w) > 0;
END $$;
