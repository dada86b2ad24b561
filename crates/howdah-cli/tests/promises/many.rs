//! Operations on many jobs, and the dead-letter room: what is asked before, what is done, what is said.

use crate::support::Desk;

/// Ready jobs of two tenants, and dead ones of two kinds.
async fn with_jobs() -> Desk {
    let desk = Desk::with_queue().await;
    let sql = "SELECT count(howdah.enqueue('mail', options => jsonb_build_object('attributes', jsonb_build_object('tenant', g % 2))))
                 FROM generate_series(1, 10) g";
    let howdah = desk.howdah().await;
    let worker: i64 = sqlx::query_scalar("SELECT howdah.start_worker('w')").fetch_one(howdah.pool()).await.unwrap();
    sqlx::query("SELECT count(howdah.enqueue(k, max_attempts => 1)) FROM unnest('{bill,bill,bill,report}'::text[]) k")
        .execute(howdah.pool())
        .await
        .unwrap();
    sqlx::query(
        "SELECT howdah.fail(c.lease_id, ARRAY[c.id], messages => '{no paper}') FROM howdah.claim($1, jobs => 10) c",
    )
    .bind(worker)
    .execute(howdah.pool())
    .await
    .unwrap();
    sqlx::query(sql).execute(howdah.pool()).await.unwrap();
    desk
}

async fn in_state(desk: &Desk, state: &str) -> usize {
    desk.ok(&["jobs", "ls", "--state", state]).await.lines().count()
}

#[tokio::test]
async fn jobs_are_cancelled_by_what_they_are_once_that_was_confirmed() {
    let desk = with_jobs().await;
    let filter = "$.tenant == 1";
    assert_eq!(desk.ok(&["jobs", "ls", "--filter", filter]).await.lines().count(), 5);
    let dry = desk.ok(&["jobs", "cancel", "--filter", filter, "--dry-run"]).await;
    assert_eq!(dry, "5 jobs would be cancelled\n");
    for unsure in [
        &["jobs", "cancel", "--filter", filter][..],
        &["jobs", "cancel"],
        &["jobs", "cancel", "--yes"],
        &["dead", "purge", "--all"],
    ] {
        let said = desk.run(unsure).await;
        assert!(said.code == 2 && said.err.contains("hint: "), "{unsure:?}: {said:?}");
    }
    assert_eq!(in_state(&desk, "ready").await, 10, "nothing was done");
    let said = desk.run(&["jobs", "cancel", "--kind", "mail", "--filter", filter, "--state", "ready", "--yes"]).await;
    assert!(said.code == 0 && said.out == "5 cancelled\n" && said.err.is_empty(), "{said:?}");
    assert_eq!((in_state(&desk, "ready").await, in_state(&desk, "cancelled").await), (5, 5));
    let said = desk.run(&["jobs", "cancel", "--all", "--yes", "--json"]).await.json();
    assert_eq!((said["cancelled"].as_i64(), said["asked"].as_i64()), (Some(5), Some(0)));
    for wrong in [
        &["jobs", "ls", "--filter", "$.tenant"][..],
        &["jobs", "cancel", "--filter", "$.a == (", "--yes"],
        &["jobs", "cancel", "--state", "dead", "--yes"],
    ] {
        let said = desk.run(wrong).await;
        assert!(
            said.code == 2 && (said.err.contains("--filter") || said.err.contains("--state")),
            "{wrong:?}: {said:?}"
        );
    }
}

#[tokio::test]
async fn the_dead_are_listed_shown_sent_again_and_purged() {
    let desk = with_jobs().await;
    let list = desk.ok(&["dead", "ls"]).await;
    assert!(list.lines().count() == 4 && list.lines().all(|line| line.ends_with("error: no paper")), "{list}");
    let one = list.lines().next().and_then(|line| line.split('\t').next()).unwrap().to_owned();
    assert!(desk.ok(&["dead", "show", &one]).await.contains("no paper"));
    assert_eq!(desk.ok(&["dead", "retry", &one]).await, "1 retried\n");
    for gone in
        [&["dead", "show", &one][..], &["dead", "retry", &one], &["dead", "purge", &one, "7"], &["dead", "show", "7"]]
    {
        let said = desk.run(gone).await;
        assert!(said.code == 1 && !said.err.is_empty(), "{gone:?}: {said:?}");
    }
    assert_eq!(desk.ok(&["dead", "retry", "--kind", "bill", "--dry-run"]).await, "3 jobs would be retried\n");
    assert_eq!(desk.ok(&["dead", "purge", "--kind", "bill", "--yes"]).await, "3 purged\n");
    assert_eq!(desk.ok(&["dead", "ls"]).await, "");
    assert_eq!((in_state(&desk, "ready").await, in_state(&desk, "dead").await), (11, 0));
    assert_eq!(desk.ok(&["dead", "retry", "--all", "--yes"]).await, "0 retried\n");
}

#[tokio::test]
async fn jobs_are_found_and_changed_by_a_search() {
    let desk = with_jobs().await;
    assert_eq!(desk.ok(&["jobs", "ls", "kind:bill error:\"NO paper\" state:dead"]).await.lines().count(), 3);
    assert_eq!(desk.ok(&["jobs", "ls", "attr.tenant:1 -state:dead", "--limit", "2"]).await.lines().count(), 2);
    let said = desk.run(&["jobs", "ls", "kind:bill stat:dead"]).await;
    assert!(
        said.code == 2 && said.err.contains("did you mean state?") && said.err.contains("          ^^^^"),
        "{said:?}"
    );
    let dry = desk.ok(&["jobs", "retry", "--search", "kind:bill", "--dry-run"]).await;
    assert_eq!(dry, "3 jobs are meant: retry\n");
    for unsure in [&["jobs", "retry", "--search", "kind:bill"][..], &["jobs", "cancel", "--search", "", "--yes"]] {
        let said = desk.run(unsure).await;
        assert!(said.code == 2 && said.err.contains("hint: "), "{unsure:?}: {said:?}");
    }
    let said = desk.run(&["jobs", "retry", "--search", "kind:bill", "--yes"]).await;
    assert!(said.code == 0 && said.out == "3 of 3 jobs: retry\n" && said.err.is_empty(), "{said:?}");
    let moved = [
        "operations",
        "start",
        "priority",
        "kind:mail attr.tenant:1",
        "--to",
        "1",
        "--reason",
        "hurry",
        "--yes",
        "--json",
    ];
    let moved = desk.run(&moved).await.json();
    assert_eq!((moved["changed"].as_i64(), moved["state"].as_str()), (Some(5), Some("done")));
    assert_eq!(desk.ok(&["jobs", "ls", "priority:1"]).await.lines().count(), 5);
    for wrong in [
        &["operations", "start", "priority", "kind:mail", "--yes"][..],
        &["operations", "start", "priority", "kind:mail", "--to", "10", "--yes"],
        &["operations", "start", "retry", "kind:mail", "--to", "1", "--yes"],
        &["operations", "start", "reschedule", "kind:mail", "--to", "soon", "--yes"],
        &["operations", "start", "retry", "state:ready", "--yes"],
    ] {
        let said = desk.run(wrong).await;
        assert!(said.code == 2 && said.out.is_empty(), "{wrong:?}: {said:?}");
    }
    assert_eq!(desk.run(&["operations", "start", "move", "kind:mail", "--to", "nope", "--yes"]).await.code, 1);
    assert_eq!(desk.ok(&["operations", "ls"]).await.lines().count(), 2);
    let audit = desk.run(&["operations", "audit", "--json"]).await.json();
    assert_eq!((audit[0]["reason"].as_str(), audit[0]["changed"].as_i64()), (Some("hurry"), Some(5)));
    assert_eq!(desk.run(&["operations", "resume", "99"]).await.code, 1);
    assert_eq!(desk.run(&["operations", "cancel", "1"]).await.code, 1, "it had ended");
}

#[tokio::test]
async fn errors_are_listed_in_groups() {
    let desk = with_jobs().await;
    let groups = desk.run(&["errors", "--json"]).await.json();
    assert_eq!(groups.as_array().map(Vec::len), Some(1));
    assert_eq!((groups[0]["failures"].as_i64(), groups[0]["shape"].as_str()), (Some(4), Some("no paper")));
    assert_eq!(groups[0]["kinds"].as_str(), Some("bill, report"));
    assert_eq!(desk.ok(&["errors", "--since", "1h"]).await.lines().count(), 1);
    let attempts = desk.run(&["errors", &groups[0]["fingerprint"].to_string(), "--json"]).await.json();
    assert_eq!(attempts.as_array().unwrap().len() as u64, groups[0]["failures"].as_u64().unwrap(), "{attempts}");
    assert_eq!(desk.run(&["errors", "-1"]).await.code, 1);
}

#[tokio::test]
async fn what_is_done_to_jobs_is_noted_with_how_many_they_were() {
    let desk = with_jobs().await;
    let howdah = desk.howdah().await;
    desk.ok(&["jobs", "cancel", "--kind", "mail", "--yes"]).await;
    desk.ok(&["dead", "retry", "--kind", "bill", "--yes"]).await;
    let id: i64 =
        sqlx::query_scalar("SELECT id FROM howdah.jobs WHERE state = 'dead'").fetch_one(howdah.pool()).await.unwrap();
    let id = id.to_string();
    desk.ok(&["jobs", "retry", &id]).await;
    desk.ok(&["jobs", "cancel", &id]).await;
    assert_eq!(desk.run(&["jobs", "cancel", &id]).await.code, 1, "it is over, and nothing is done");
    let told = "SELECT string_agg(concat_ws(' ', action, settings, changed), '; ' ORDER BY id) FROM howdah.command WHERE made_by = session_user";
    let noted: String = sqlx::query_scalar(told).fetch_one(howdah.pool()).await.unwrap();
    let wanted =
        r#"cancel {"kind": "mail"} 10; retry {"kind": "bill"} 3; retry {"jobs": [ID]} 1; cancel {"jobs": [ID]} 1"#;
    assert_eq!(noted, wanted.replace("ID", &id));
}

#[tokio::test]
async fn a_list_of_a_search_has_as_many_jobs_as_were_asked_for() {
    let desk = Desk::with_queue().await;
    desk.howdah().await.enqueue_many_raw("k", 0..10_100).await.unwrap();
    for (limit, lines) in [("10050", 10_050), ("100000", 10_100)] {
        let listed = desk.ok(&["jobs", "ls", "kind:k", "--limit", limit, "--json=id"]).await;
        let mut ids: Vec<&str> = listed.lines().collect();
        assert_eq!(ids.len(), lines, "of {limit}");
        ids.dedup();
        assert_eq!(ids.len(), lines, "each once");
    }
}
