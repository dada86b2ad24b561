//! What the database must look like at any time, and when the queue has come to rest.

use anyhow::Result;

use crate::Db;

/// Rooms that are empty when there is nothing to do.
const ROOMS: [&str; 11] = [
    "lease",
    "settled",
    "ticket",
    "deferred",
    "slot",
    "ordered",
    "dependency",
    "second_look",
    "expiry",
    "waiter",
    "step",
];

/// Every job is in one room, and the view of queues says what the rooms say: in one statement, at any time.
const DIFFERENCES: &str = "
  WITH r AS MATERIALIZED (
    SELECT t.first_id + g AS id, t.queue_id, 'ready' AS state FROM howdah.ticket t, generate_series(0, t.jobs - 1) g
    UNION ALL
    SELECT d.first_id + g, d.queue_id, CASE WHEN d.gate IS NULL THEN 'scheduled' WHEN d.gate LIKE 'fair:%' THEN 'ready' ELSE 'blocked' END
      FROM howdah.deferred d, generate_series(0, d.jobs - 1) g
    UNION ALL
    SELECT u.first_id + g, l.queue_id, 'running' FROM howdah.lease l, unnest(l.first_ids, l.counts) u(first_id, jobs), generate_series(0, u.jobs - 1) g
     WHERE NOT EXISTS (SELECT FROM howdah.settled s WHERE s.lease_id = l.id AND s.job_id = u.first_id + g)
    UNION ALL
    SELECT x.job_id, x.queue_id, 'dead' FROM howdah.dead x
    UNION ALL
    SELECT u.first_id + g, c.queue_id, 'ended' FROM howdah.receipt c, unnest(c.first_ids, c.counts) u(first_id, jobs), generate_series(0, u.jobs - 1) g),
  t AS (SELECT q.name AS queue, count(*) FILTER (WHERE state = 'ready') AS ready, count(*) FILTER (WHERE state = 'running') AS running,
               count(*) FILTER (WHERE state = 'scheduled') AS scheduled, count(*) FILTER (WHERE state = 'blocked') AS blocked,
               count(*) FILTER (WHERE state = 'dead') AS dead
          FROM r JOIN howdah.queue q ON q.id = r.queue_id GROUP BY q.name)
  SELECT format('job %s is in %s rooms: %s', b.id, count(r.id), array_agg(r.state)) FROM audit.born b LEFT JOIN r ON r.id = b.id
   GROUP BY b.id HAVING count(r.id) <> 1
  UNION ALL
  SELECT format('queue %s: the view says %s, and the rooms %s', q.queue, (q.ready, q.running, q.scheduled, q.blocked, q.dead),
                (coalesce(t.ready, 0), coalesce(t.running, 0), coalesce(t.scheduled, 0), coalesce(t.blocked, 0), coalesce(t.dead, 0)))
    FROM howdah.queues q LEFT JOIN t ON t.queue = q.queue
   WHERE (q.ready, q.running, q.scheduled, q.blocked, q.dead)
         <> (coalesce(t.ready, 0), coalesce(t.running, 0), coalesce(t.scheduled, 0), coalesce(t.blocked, 0), coalesce(t.dead, 0))
  LIMIT 5";

/// What the views say otherwise than the jobs themselves.
pub(super) async fn differences(db: &Db) -> Result<Vec<String>> {
    Ok(sqlx::query_scalar(DIFFERENCES).fetch_all(db.pool()).await?)
}

/// The rooms that are not empty, in words, and how many rows are in all of them; none: the queue is at rest.
pub(super) async fn left(db: &Db) -> Result<(i64, String)> {
    let counts: Vec<String> =
        ROOMS.iter().map(|room| format!("SELECT '{room}' AS room, count(*) AS rows FROM howdah.{room}")).collect();
    let sql = format!(
        "SELECT coalesce(sum(rows), 0)::bigint, coalesce(string_agg(format('%s %s', rows, room), ', ') FILTER (WHERE rows > 0), '') FROM ({}) r",
        counts.join(" UNION ALL ")
    );
    Ok(sqlx::query_as(sqlx::AssertSqlSafe(sql)).fetch_one(db.pool()).await?)
}

/// Why jobs have not ended, as the queue itself says.
pub(super) async fn reasons(db: &Db) -> Result<String> {
    db.text(
        "SELECT string_agg(format('%s (%s): %s', j.id, j.state, (SELECT string_agg(w::text, '; ') FROM howdah.why(j.id) w)), E'\\n')
           FROM (SELECT id, state FROM howdah.jobs WHERE state IN ('ready', 'running', 'scheduled', 'blocked') ORDER BY id LIMIT 5) j",
    )
    .await
}

/// What is left at rest, and after what the keeper does now and then, that should not be: keys of jobs that are over (whoever met somebody may leave one for each key),
/// and limits that count what does not run.
pub(super) async fn leftovers(db: &Db) -> Result<Vec<String>> {
    while !db.text("SELECT howdah.rotate()").await?.is_empty() {}
    let sql = "SELECT format('%s wishes to cancel what is over', count(*)) FROM howdah.cancel_request HAVING count(*) > 0
        UNION ALL SELECT format('%s unique keys of jobs that are over', count(*)) FROM howdah.unique_key WHERE scope = 'live' HAVING count(*) > 4
        UNION ALL SELECT format('limit %s of %s says that %s run and %s are blocked', name, scope, running, blocked)
                    FROM howdah.limits WHERE running > 0 OR blocked > 0
        UNION ALL SELECT format('worker %s says that it runs %s', name, running) FROM howdah.workers WHERE running > 0
        UNION ALL SELECT format('%s rows of the application, and %s of jobs', rows, jobs) FROM (SELECT
                    (SELECT count(*) FROM row_of_app) AS rows,
                    (SELECT count(*) FROM row_of_app r WHERE r.tag IN (SELECT j.payload ->> 'tag' FROM howdah.all_jobs j)) AS jobs) a
                   WHERE rows <> jobs";
    Ok(sqlx::query_scalar(sql).fetch_all(db.pool()).await?)
}

/// Turns all rings years later. Gives what then still takes room that should not.
pub(super) async fn shrink(db: &Db) -> Result<Option<String>> {
    for months in 1..=24 {
        db.travel(&format!("{} days", 31 * months)).await?;
        // The ring of jobs turns when there is something in it.
        db.run("SELECT howdah.cancel(howdah.enqueue('filler'))").await?;
        while !db.text("SELECT howdah.rotate()").await?.is_empty() {}
    }
    // Not a ring: its rows are deleted, and the room is given back by a vacuum.
    db.run("VACUUM howdah.job_kept").await?;
    let sizes = "SELECT string_agg(format('%s %s', relname, pg_relation_size(oid)), ', ')
                   FROM pg_class WHERE relnamespace = 'howdah'::regnamespace AND relkind = 'r'
                    -- A ring does not turn before it has grown to 8 MB.
                    AND pg_relation_size(oid) > CASE WHEN relname ~ '^(ticket|lease)' THEN 9000000 ELSE 65536 END
                    AND relname ~ '^(ticket|lease|receipt|failure|result|log|past_step|job)_'";
    let large = db.text(sizes).await?;
    Ok(if large.is_empty() { None } else { Some(format!("what is over takes room: {large}")) })
}
