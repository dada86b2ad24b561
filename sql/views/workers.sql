-- howdah.workers: every worker process with what it holds and when it was last heard of.
CREATE OR REPLACE VIEW howdah.workers AS
SELECT w.id, w.name, w.version, w.queues, w.kinds, coalesce(l.running, 0) AS running, w.started_at, w.heartbeat_at,
       w.heartbeat_at + make_interval(secs => w.lease_ms / 1000.0) AS expires_at, w.stopping,
       k.worker_id IS NOT NULL AS keeper,
       EXISTS (SELECT FROM howdah.sleeper s WHERE s.worker_id = w.id) AS asleep, w.told
  FROM howdah.worker w
  LEFT JOIN howdah.keeper k ON k.worker_id = w.id AND k.expires_at >= howdah.now()
  LEFT JOIN (SELECT e.worker_id, sum((SELECT sum(c) FROM unnest(e.counts) c) - (SELECT count(*) FROM howdah.settled s WHERE s.lease_id = e.id))::bigint AS running
               FROM howdah.lease e GROUP BY 1) l ON l.worker_id = w.id;
