//! Whatever people name things, pages stay what they are.
//!
//! Invariant: every page that there is a link to is looked at, tag by tag. Limit: names as PostgreSQL takes them.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use serde_json::json;

use crate::desk::Desk;
use crate::html;

/// Markup, the end of an attribute, a path, a query, marks of direction.
const HOSTILE: &str =
    "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>/../a?b=c&d#e%2f\u{202e}\u{2066}\u{200b}.";

/// What gives things this name: `$1` is the name, and `$2` a payload with it.
const NAMED: [&str; 15] = [
    "SELECT howdah.create_queue($1), $2::jsonb",
    "SELECT howdah.pause_queue($1, $1, $1), $2::jsonb",
    "SELECT howdah.enqueue($1, $2, queue => $1, options => jsonb_build_object('attributes', jsonb_build_object('a', $1)))",
    "SELECT howdah.enqueue_unique($1, $2, key => $1, max_attempts => 1)",
    "SELECT howdah.start_worker($1, 60000, 2000), $2::jsonb",
    "SELECT howdah.fail(c.lease_id, ARRAY[c.id], error_kinds => ARRAY[$1], messages => ARRAY[$1], causes => ARRAY[jsonb_build_array($1, $2::text)])
       FROM howdah.worker w, howdah.claim(w.id) c",
    "UPDATE howdah.worker SET version = $1, queues = ARRAY[$1], kinds = ARRAY[$1, $2::text]",
    "SELECT howdah.set_schedule($1, jsonb_build_object('expression', '0 3 * * *', 'kind', $1, 'queue', $1, 'payload', $2, 'unique_key', $1))",
    "SELECT howdah.run_schedule($1), $2::jsonb",
    "UPDATE howdah.schedule SET error = $1 || $2::text, error_at = now()",
    "SELECT howdah.enqueue_workflow($1, jsonb_build_array(jsonb_build_object('name', replace($1, '/', '|'), 'kind', $1, 'payload', $2),
       jsonb_build_object('name', 'b', 'kind', 'b', 'depends_on', jsonb_build_array(replace($1, '/', '|')))))",
    "SELECT howdah.set_limit('kind', $1, '{\"max_running\": 3}'), $2::jsonb",
    "SELECT howdah.note_command('x', jsonb_build_object('a', $1, 'b', $2), $1, $1)",
    "SELECT howdah.start_operation('cancel', $1, '{}', made_by => $1, reason => $1), $2::jsonb",
    "WITH j AS (SELECT id FROM howdah.job),
       p AS (INSERT INTO howdah.progress (job_id, attempt, at, percent, message, checkpoint) SELECT id, 1, now(), 50, $1, $2 FROM j),
       l AS (INSERT INTO howdah.log (slot, job_id, attempt, line, at, level, target, message) SELECT 0, id, 1, 1, now(), 'INFO', $1, $1 || $2::text FROM j)
     INSERT INTO howdah.step (job_id, n, attempt, kind, state, at, bytes, name, result) SELECT id, 1, 1, 'step', 'done', now(), 10, left($1, 60), $2 FROM j",
];

/// Everything that can have a name has this one.
async fn with_hostile_names() -> Result<Desk> {
    let desk = Desk::new().await?;
    let payload = json!({ HOSTILE: [HOSTILE, { "n": 1 }] });
    for sql in NAMED {
        let query = sqlx::query(sql).bind(HOSTILE).bind(&payload);
        query.execute(desk.db.pool()).await.with_context(|| sql)?;
    }
    let failed = desk.db.number("SELECT count(*) FROM howdah.failures").await?;
    assert_eq!(failed, 1, "one has failed");
    Ok(desk)
}

#[tokio::test]
async fn hostile_names_are_text_on_every_page() -> Result<()> {
    let desk = with_hostile_names().await?;
    let (mut seen, mut next) = (BTreeSet::new(), vec!["/".to_owned()]);
    while let Some(path) = next.pop() {
        let at = path.split('#').next().unwrap_or_default().to_owned();
        if at.is_empty() || !seen.insert(at.clone()) {
            continue;
        }
        let page = desk.get(&at).await;
        assert_eq!(page.status, 200, "{at}: {}", html::words(&page.body));
        if page.header("content-type").starts_with("application/json") {
            assert!(page.header("content-disposition").starts_with("attachment"), "{at}");
            continue;
        }
        // Panics at tags and attributes that are not ours.
        let tags = html::tags(&page.body);
        for hidden in ['\u{202e}', '\u{2066}', '\u{200b}'] {
            // Where it is typed again, and where a form carries it, it is as it was.
            let typed: usize =
                tags.iter().filter_map(|tag| tag.get("value")).map(|value| value.matches(hidden).count()).sum();
            assert_eq!(page.body.matches(hidden).count(), typed, "{at} shows what steers the text around it");
        }
        assert_eq!(tags.iter().filter(|tag| tag.name == "script").count(), 1, "{at}");
        // What a search finds is enough; not also what could be searched for from there.
        let follows = |link: &String| !(at.contains("/jobs?") && link.contains("/jobs?"));
        next.extend(html::links(&page.body).into_iter().filter(follows));
        assert!(seen.len() < 400, "the pages do not end");
    }
    for wanted in ["/queues/one?name=", "/cron/one?name=", "/errors/one?id=", "/workflows/", "/operations/", "/jobs/"] {
        assert!(seen.iter().any(|path| path.starts_with(wanted)), "{wanted} was not found among {seen:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_link_to_a_name_leads_to_what_has_it() -> Result<()> {
    let desk = with_hostile_names().await?;
    for (list, link) in [("/queues", "/queues/one?name="), ("/cron", "/cron/one?name=")] {
        let page = desk.get(list).await.ok();
        let links = html::links(&page);
        let mut found = false;
        for link in links.iter().filter(|l| l.starts_with(link)) {
            let shown = html::words(&desk.get(link).await.ok());
            found |= shown.contains(
                "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>/../a?b=c&d#e%2fU+202EU+2066U+200B.",
            );
        }
        assert!(found, "{links:?}");
    }
    Ok(())
}

#[tokio::test]
async fn addresses_that_are_nothing_are_answered_and_say_so() -> Result<()> {
    let desk = Desk::new().await?;
    for path in [
        "/jobs/0",
        "/jobs/-1",
        "/jobs/9223372036854775807",
        "/jobs/9223372036854775808",
        "/jobs/1%2F..%2F",
        "/jobs/%00",
        "/jobs/%ff",
        "/jobs/1/nothing",
        "/queues/one",
        "/queues/one?name=%00",
        "/queues/one?name=none",
        "/cron/one?name=%00",
        "/errors/one?id=x",
        "/errors/one?id=5",
        "/workflows/x",
        "/workflows/7",
        "/operations/9999999999999999999",
        "/operations/7",
        "/nowhere",
        "/queues/one?name=%E2%80%AE%3Cscript%3E",
    ] {
        let page = desk.get(path).await;
        assert!(page.status == 404 || page.status == 400, "{path}: {} {}", page.status, page.body);
        if page.status == 404 {
            html::tags(&page.body);
        }
    }
    for path in [
        "/jobs?q=%00",
        "/jobs?before=x",
        "/jobs?q=%ff",
        "/jobs?done=%3Cb%3E&n=1",
        "/jobs?done=retry&n=%3Cb%3E",
        "/workflows?before=-9",
    ] {
        html::tags(&desk.get(path).await.ok());
    }
    Ok(())
}

/// What begins with two slashes is the address of another machine to a browser.
#[tokio::test]
async fn the_page_of_an_error_leads_to_nobody_else() -> Result<()> {
    let desk = Desk::new().await?;
    for path in ["//evil.example/x", "//evil.example/%2e%2e?a=b"] {
        let page = desk.get(path).await;
        assert!(page.body.contains("Try again") && !page.body.contains("href=\"//"), "{path}: {}", page.body);
    }
    assert!(desk.get("/nothing?a=b").await.body.contains("href=\"/nothing?a=b\""));
    Ok(())
}
