-- howdah.retention: how long what has ended in each queue is kept, what happens then, and what went wrong with that.
CREATE OR REPLACE VIEW howdah.retention AS
SELECT q.name AS queue,
       max(r.retention) FILTER (WHERE r.outcome = 1) AS completed, max(r.retention) FILTER (WHERE r.outcome = 2) AS cancelled,
       max(r.retention) FILTER (WHERE r.outcome = 3) AS expired, max(r.retention) FILTER (WHERE r.outcome = 4) AS dead,
       bool_or(r.by_rows AND r.outcome < 4) AS by_rows, q.on_removal, q.before_removal,
       f.failed_at, f.message AS failure, f.failures, f.retry_at
  FROM howdah.retentions() r JOIN howdah.queue q ON q.id = r.queue_id
  LEFT JOIN howdah.removal_failure f ON f.queue_id = q.id
 GROUP BY q.id, f.queue_id;
