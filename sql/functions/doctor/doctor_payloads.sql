-- howdah.doctor_payloads(asked) -> findings, see howdah.doctor_checks
-- Queues in which a payload of the newest 200 jobs is larger than payload_percent of max_payload_bytes: the next one may be
-- refused. Seen by what is stored, compressed, so that no payload is read: a large one that compresses well is not seen.
-- Internal to doctor. Reads: 200 rows of the partition of job that is written.
CREATE OR REPLACE FUNCTION howdah.doctor_payloads(asked jsonb)
RETURNS TABLE (state text, found text, proof text, advice text, sql text, detail jsonb)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  v_percent numeric := howdah.doctor_limit(doctor_payloads.asked, 'payload_percent');
  v_table   text := format('howdah.%I', 'job_' || (SELECT (s.last_value >> 26) & 7 FROM howdah.block_seq s));
BEGIN
  RETURN QUERY EXECUTE format($sql$
    SELECT 'warning', format('job %%s of queue %%s (kind %%s) has a payload of %%s as it is stored, and at most %%s are allowed', j.id, q.name, j.kind,
             pg_size_pretty(j.bytes::bigint), pg_size_pretty(q.max_payload_bytes::bigint)),
      format('SELECT kind, octet_length(payload::text) FROM howdah.jobs WHERE id = %%s', j.id),
      'keep large data elsewhere and let jobs say where; or raise the limit',
      format('SELECT howdah.set_queue(%%L, ''{"max_payload_bytes": %%s}'')', q.name, least(67108864, 2::bigint * q.max_payload_bytes)),
      jsonb_build_object('queue', q.name, 'job', j.id, 'kind', j.kind, 'bytes', j.bytes, 'max_payload_bytes', q.max_payload_bytes)
      FROM (SELECT DISTINCT ON (n.queue_id) n.* FROM (
              SELECT x.id, x.queue_id, x.kind, pg_column_size(x.payload) AS bytes FROM %s x ORDER BY x.id DESC LIMIT 200) n
             ORDER BY n.queue_id, n.bytes DESC) j
      JOIN howdah.queue q ON q.id = j.queue_id
     WHERE j.bytes > q.max_payload_bytes::numeric * $1 / 100 ORDER BY j.bytes DESC$sql$, v_table) USING v_percent;
END $$;
