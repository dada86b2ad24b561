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
