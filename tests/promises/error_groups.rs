//! Failures in groups of the same cause, and what a look at them costs.

use anyhow::Result;
use howdah_admin::Admin;
use howdah_tests::Db;

use crate::plans::cost;

#[tokio::test]
async fn errors_that_differ_in_numbers_and_names_only_are_one_group() -> Result<()> {
    let db = Db::new().await?;
    for (message, shape) in [
        ("no user \"ann\" at 10.0.0.1:5432 (req-7f3a)", "no user \"*\" at # (req-#)"),
        ("no user 'bob' at db2.example:5432", "no user \"*\" at #"),
        ("can't and won't 42", "can't and won't #"),
        ("id 6f1c0f0e-2b7c-4d0e-9a3b-000000000001 is gone\nat line 7", "id # is gone"),
        ("plain words", "plain words"),
        ("", ""),
    ] {
        let found: (String,) =
            sqlx::query_as("SELECT howdah.error_shape($1)").bind(message).fetch_one(db.pool()).await?;
        assert_eq!(found.0, shape, "{message}");
    }
    Ok(())
}

#[tokio::test]
async fn failures_are_grouped_with_the_newest_first() -> Result<()> {
    let db = Db::new().await?;
    let worker = db.worker().await?;
    for (kind, message) in [("a", "no user 1"), ("b", "no user 2"), ("a", "disk is full"), ("a", "no user 3")] {
        db.run(&format!(
            "SELECT howdah.enqueue('{kind}', max_attempts => 1);
             SELECT howdah.fail(c.lease_id, ARRAY[c.id], error_kinds => '{{E}}', messages => '{{{message}}}') FROM howdah.claim({worker}) c"
        ))
        .await?;
    }
    let admin = Admin::new(db.howdah.clone());
    let groups = admin.error_groups(10, None).await?;
    let told: Vec<String> = groups
        .iter()
        .map(|g| format!("{} {} {} {} {}", g.error_kind, g.shape, g.failures, g.message, g.kinds.join(",")))
        .collect();
    assert_eq!(told, ["E no user # 3 no user 3 a,b", "E disk is full 1 disk is full a"]);
    assert!(groups[0].first_at < groups[1].last_at && groups[1].last_at < groups[0].last_at);
    let job = db.number("SELECT max(id) FROM howdah.jobs").await?;
    assert_eq!(groups[0].job.0, job);
    assert_eq!(admin.error_groups(1, None).await?.len(), 1);
    assert_eq!(admin.error_groups(10, Some(groups[0].last_at)).await?.len(), 1);
    let mut session = db.session().await?;
    assert_eq!(session.refusal("SELECT howdah.error_groups(0)").await?, "HD002 most");
    assert_eq!(session.refusal("SELECT howdah.error_groups(cap => 0)").await?, "HD002 cap");
    Ok(())
}

#[tokio::test]
async fn a_look_at_the_groups_does_not_read_all_failures() -> Result<()> {
    let db = Db::new().await?;
    db.stop_autovacuum().await?;
    let failures = |from: i32, to: i32| {
        format!(
            "INSERT INTO howdah.failure (slot, job_id, attempt, at, error_kind, message)
             SELECT r.slot, g, 1, howdah.now(), 'E', (ARRAY['no user ', 'no file ', 'no way '])[1 + g % 3] || g
               FROM generate_series({from}, {to}) g, howdah.ring r WHERE r.name = 'history'"
        )
    };
    let (mut pages, mut session) = (Vec::new(), db.session().await?);
    for (from, to) in [(1, 500), (501, 20_000)] {
        db.run(&failures(from, to)).await?;
        let groups = "SELECT howdah.error_groups(cap => 50)";
        // Once before: a session that is new reads the catalog.
        cost(&mut session, groups).await?;
        pages.push(cost(&mut session, groups).await?.pages);
    }
    assert!(pages[1] <= 2 * pages[0] + 100, "{} pages with 20,000 failures, {} with 500", pages[1], pages[0]);
    Ok(())
}
