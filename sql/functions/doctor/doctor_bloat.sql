-- howdah.doctor_bloat(asked) -> findings, see howdah.doctor_checks
-- Tables and indexes that are larger by bloat_bytes than twice what their rows should take, by the statistics: counted rows and
-- the average width of columns. Indexes other than B-trees and the tables that hold large values apart are left out. Internal to
-- doctor. Reads: the catalog, sizes of files, statistics. None of the tables themselves.
CREATE OR REPLACE FUNCTION howdah.doctor_bloat(asked jsonb)
RETURNS TABLE (state text, found text, proof text, advice text, sql text, detail jsonb)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  v_bytes bigint := howdah.doctor_limit(doctor_bloat.asked, 'bloat_bytes');
  v_schema oid := rtrim('howdah.', '.')::regnamespace;
BEGIN
  RETURN QUERY
    WITH large AS MATERIALIZED (
      SELECT c.oid, c.relname, c.relkind, s.bytes, coalesce(i.indrelid, c.oid) AS of, coalesce(i.indkey::smallint[], '{}') AS columns
        FROM pg_class c LEFT JOIN pg_index i ON i.indexrelid = c.oid LEFT JOIN pg_am a ON a.oid = c.relam
        CROSS JOIN LATERAL (SELECT pg_relation_size(c.oid) AS bytes) s
       WHERE c.relnamespace = v_schema AND (c.relkind = 'r' OR (c.relkind = 'i' AND a.amname = 'btree')) AND s.bytes > v_bytes),
    fair AS (
      SELECT l.*, t.relname AS table_name, w.rows, 2 * w.rows * (28 + coalesce(w.width, 100)) AS enough
        FROM large l JOIN pg_class t ON t.oid = l.of
        CROSS JOIN LATERAL (
          SELECT greatest(pg_stat_get_live_tuples(l.of), t.reltuples::bigint, 0) AS rows,
                 (SELECT sum(s.avg_width) FROM pg_stats s JOIN pg_attribute a ON a.attrelid = l.of AND a.attname = s.attname
                   WHERE s.schemaname = rtrim('howdah.', '.') AND s.tablename = t.relname AND (l.relkind = 'r' OR a.attnum = ANY (l.columns))) AS width) w)
    SELECT CASE WHEN f.bytes - f.enough > 10 * v_bytes THEN 'problem' ELSE 'warning' END,
      format('%s %s has %s for about %s rows, which need some %s', CASE f.relkind WHEN 'r' THEN 'table' ELSE 'index' END, f.relname,
             pg_size_pretty(f.bytes), f.rows, pg_size_pretty(f.enough)),
      format('SELECT pg_size_pretty(pg_relation_size(%L)), n_live_tup, n_dead_tup, last_autovacuum FROM pg_stat_all_tables WHERE relid = %L::regclass',
             f.oid::regclass, f.of::regclass),
      CASE WHEN f.relkind = 'r' AND f.table_name ~ '_[0-7]$' THEN 'end what the check horizon names; the keeper truncates it as soon as nothing lives in it, or do it by hand'
           WHEN f.relkind = 'r' THEN 'end what the check horizon names; then give the room back (nobody else can use the table meanwhile)'
           ELSE 'end what the check horizon names; then build it anew (the table can be used meanwhile)' END,
      CASE WHEN f.relkind = 'r' AND f.table_name ~ '_[0-7]$' THEN 'SELECT howdah.rotate()'
           ELSE format(CASE f.relkind WHEN 'r' THEN 'VACUUM (FULL, ANALYZE) %s' ELSE 'REINDEX INDEX CONCURRENTLY %s' END, f.oid::regclass) END,
      jsonb_build_object('relation', f.oid::regclass::text, 'bytes', f.bytes, 'rows', f.rows, 'enough', f.enough, 'dead_rows', pg_stat_get_dead_tuples(f.of))
      FROM fair f WHERE f.bytes - f.enough > v_bytes
       -- After a crash nothing was counted yet: what is full would look empty.
       AND (pg_stat_get_dead_tuples(f.of) > f.rows OR greatest(pg_stat_get_last_vacuum_time(f.of), pg_stat_get_last_autovacuum_time(f.of),
            pg_stat_get_last_analyze_time(f.of), pg_stat_get_last_autoanalyze_time(f.of)) IS NOT NULL)
     ORDER BY f.bytes - f.enough DESC;
END $$;
