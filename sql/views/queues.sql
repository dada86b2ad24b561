-- howdah.queues: every queue with what waits in it. Counts are sums over tickets, not over jobs.
CREATE OR REPLACE VIEW howdah.queues AS
SELECT q.name AS queue, coalesce(t.ready, 0) + coalesce(d.in_turn, 0) AS ready, coalesce(l.running, 0) AS running, coalesce(d.scheduled, 0) AS scheduled,
       coalesce(x.dead, 0) AS dead, o.oldest_ready_at, d.next_due_at,
       q.paused_at IS NOT NULL AS paused, q.paused_at, q.paused_by, q.pause_reason, q.max_attempts, q.max_payload_bytes, q.max_jobs, coalesce(d.blocked, 0) AS blocked,
       q.resume_at
  FROM howdah.queue q
  LEFT JOIN (SELECT queue_id, sum(jobs)::bigint AS ready, min(first_id) AS first_id FROM howdah.ticket GROUP BY 1) t ON t.queue_id = q.id
  LEFT JOIN (SELECT queue_id, sum(jobs) FILTER (WHERE gate IS NULL)::bigint AS scheduled, sum(jobs) FILTER (WHERE gate ^@ 'fair:')::bigint AS in_turn,
                    min(first_id) FILTER (WHERE gate ^@ 'fair:') AS first_in_turn,
                    sum(jobs) FILTER (WHERE gate IS NOT NULL AND NOT gate ^@ 'fair:')::bigint AS blocked,
                    min(due_at) FILTER (WHERE gate IS NULL) AS next_due_at FROM howdah.deferred GROUP BY 1) d ON d.queue_id = q.id
  LEFT JOIN LATERAL (SELECT j.enqueued_at AS oldest_ready_at FROM howdah.find_job(least(t.first_id, d.first_in_turn)) j) o ON true
  LEFT JOIN (SELECT e.queue_id, sum((SELECT sum(c) FROM unnest(e.counts) c) - (SELECT count(*) FROM howdah.settled s WHERE s.lease_id = e.id))::bigint AS running
               FROM howdah.lease e GROUP BY 1) l ON l.queue_id = q.id
  LEFT JOIN (SELECT queue_id, count(*) AS dead FROM howdah.dead GROUP BY 1) x ON x.queue_id = q.id;
