//! What pages show, and that it is exact.

use anyhow::Result;

use crate::desk::{Desk, fail_all};
use crate::html::{links, tags, words};

/// A number beyond 2^53, one with more digits than any float has, and one that is larger than any.
const NUMBERS: [&str; 3] =
    ["9007199254740993", "0.1000000000000000055511151231257827021181583404541015625", "123456789012345678901234567890"];

#[tokio::test]
async fn numbers_in_payloads_and_results_are_shown_digit_by_digit() -> Result<()> {
    let desk = Desk::new().await?;
    let worker = desk.db.worker().await?;
    let json = format!(r#"{{"a": {}, "b": [{}], "c": {{"d": {}}}}}"#, NUMBERS[0], NUMBERS[1], NUMBERS[2]);
    let id = desk
        .text(&format!(
            "SELECT howdah.enqueue('k', '{json}', options => '{{\"attributes\": {{\"n\": {}}}}}')",
            NUMBERS[0]
        ))
        .await;
    let pages = [desk.get("/jobs").await.ok(), desk.get(&format!("/jobs/{id}")).await.ok()];
    for number in NUMBERS {
        assert!(words(&pages[1]).contains(number), "{number}");
    }
    assert!(words(&pages[0]).contains(NUMBERS[0]));
    let whole = desk.get(&format!("/jobs/{id}/payload")).await;
    assert_eq!(whole.header("content-type"), "application/json");
    assert_eq!(whole.ok(), json);
    desk.db
        .run(&format!("SELECT howdah.complete(c.lease_id, ARRAY[c.id], result_jobs => ARRAY[c.id], results => ARRAY['{json}'::jsonb]) FROM howdah.claim({worker}) c"))
        .await?;
    let page = desk.get(&format!("/jobs/{id}")).await.ok();
    assert!(words(&page).contains("Result"), "{}", words(&page));
    assert_eq!(words(&page).matches(NUMBERS[1]).count(), 2);
    assert_eq!(desk.get(&format!("/jobs/{id}/result")).await.ok(), json);
    Ok(())
}

#[tokio::test]
async fn a_large_payload_is_cut_on_the_page_and_whole_beside_it() -> Result<()> {
    let desk = Desk::new().await?;
    let id = desk.text("SELECT howdah.enqueue('k', jsonb_build_object('text', repeat('x', 200000)))").await;
    let page = desk.get(&format!("/jobs/{id}")).await.ok();
    assert!(words(&page).contains("The first 65536 of 200012 characters."), "{}", words(&page).split_at(300).0);
    assert!(page.len() < 120_000, "{}", page.len());
    assert!(desk.get("/jobs").await.ok().len() < 40_000);
    assert_eq!(desk.get(&format!("/jobs/{id}/payload")).await.ok().len(), 200_012);
    Ok(())
}

#[tokio::test]
async fn what_is_to_be_hidden_is_on_no_page() -> Result<()> {
    let desk = Desk::with(|dashboard| {
        dashboard.redact(|kind, path| kind == "login" && path.last() == Some(&"password")).router()
    })
    .await?;
    let payload = r#"{"user": {"name": "ann", "password": "hunter2"}, "list": [{"password": {"deep": "hunter2"}}]}"#;
    let id = desk.text(&format!("SELECT howdah.enqueue('login', '{payload}')")).await;
    for path in ["/jobs", &format!("/jobs/{id}"), &format!("/jobs/{id}/payload")] {
        let page = desk.get(path).await.ok();
        assert!(!page.contains("hunter2") && page.contains("ann"), "{path}");
    }
    let other = desk.text(&format!("SELECT howdah.enqueue('other', '{payload}')")).await;
    assert!(desk.get(&format!("/jobs/{other}")).await.ok().contains("hunter2"));
    Ok(())
}

#[tokio::test]
async fn a_search_is_answered_a_page_at_a_time_and_a_mistake_is_shown_in_its_place() -> Result<()> {
    let desk = Desk::new().await?;
    desk.db.run("SELECT howdah.enqueue_many('a', ARRAY(SELECT '{}'::jsonb FROM generate_series(1, 120)))").await?;
    desk.db.run("SELECT howdah.enqueue_many('b', ARRAY(SELECT '{}'::jsonb FROM generate_series(1, 30)))").await?;
    let (mut path, mut found) = (Some("/jobs?q=kind%3Aa".to_owned()), Vec::new());
    let mut pages = 0;
    while let Some(at) = path {
        let page = desk.get(&at).await.ok();
        let jobs = links(&page).into_iter().filter(|link| link.starts_with("/jobs/"));
        found.extend(jobs);
        path = links(&page).into_iter().find(|link| link.contains("before="));
        pages += 1;
        assert!(pages < 10);
    }
    assert_eq!(found.len(), 120);
    let mut once = found.clone();
    once.sort();
    once.dedup();
    assert_eq!(once.len(), 120);
    let shown = words(&desk.get("/jobs?q=kind%3Aa%20stat%3Adead").await.ok());
    assert!(shown.contains("there is no field \"stat\": did you mean state?"), "{shown}");
    assert!(shown.contains("  kind:a stat:dead\n         ^^^^"), "{shown}");
    Ok(())
}

#[tokio::test]
async fn what_could_be_typed_next_is_suggested_as_the_whole_text() -> Result<()> {
    let desk = Desk::new().await?;
    desk.db.howdah.create_queue("mail \"<b>").await?;
    let options = async |typed: &str| {
        let page = desk.get(typed).await.ok();
        let values: Vec<String> = tags(&page).iter().filter_map(|tag| tag.get("value")).map(str::to_owned).collect();
        values
    };
    assert_eq!(options("/suggest?q=kind%3Aa+sta").await, ["kind:a state:"]);
    assert_eq!(options("/suggest?q=kind%3Aa+state%3Ade").await, ["kind:a state:dead"]);
    assert_eq!(options("/suggest?q=queue%3Ama").await, [r#"queue:"mail \"<b>""#]);
    assert!(options("/suggest?q=%00").await.is_empty());
    Ok(())
}

#[tokio::test]
async fn a_job_tells_its_story() -> Result<()> {
    let desk = Desk::new().await?;
    let worker = desk.db.worker().await?;
    let id = desk.text("SELECT howdah.enqueue('bill', '{}', max_attempts => 1)").await;
    let child = desk.text(&format!("SELECT howdah.enqueue('sum', '{{}}', options => '{{\"depends_on\": [{id}], \"on_parent_failure\": \"hold\"}}')")).await;
    let shown = words(&desk.get(&format!("/jobs/{child}")).await.ok());
    assert!(shown.contains("blocked") && shown.contains(&format!("it waits for job {id}")), "{shown}");
    let page = desk.get(&format!("/jobs/{id}")).await.ok();
    assert!(links(&page).contains(&format!("/jobs/{child}")), "its children are there");
    fail_all(&desk.db, worker, "NoPaper", "no paper").await?;
    let page = desk.get(&format!("/jobs/{id}")).await.ok();
    let shown = words(&page);
    for wanted in ["dead", "NoPaper", "no paper", "Attempt 1", "enqueued"] {
        assert!(shown.contains(wanted), "{wanted}: {shown}");
    }
    assert!(links(&page).iter().any(|link| link.starts_with("/errors/one?id=")));
    Ok(())
}

#[tokio::test]
async fn the_overview_has_the_queue_first_that_waits_longest() -> Result<()> {
    let desk = Desk::new().await?;
    for queue in ["a", "b", "c"] {
        desk.db.howdah.create_queue(queue).await?;
    }
    desk.db.run("SELECT howdah.enqueue('k', '{}', queue => 'b')").await?;
    desk.db.run("SELECT howdah.enqueue('k', '{}', queue => 'a')").await?;
    let page = desk.get("/").await.ok();
    let order: Vec<String> = links(&page).into_iter().filter(|link| link.starts_with("/queues/one?name=")).collect();
    assert_eq!(order, ["b", "a", "c", "default"].map(|queue| format!("/queues/one?name={queue}")));
    assert!(words(&page).contains("No worker is running"));
    Ok(())
}

#[tokio::test]
async fn the_doctor_has_a_page() -> Result<()> {
    let desk = Desk::new().await?;
    desk.db.run("SELECT howdah.enqueue('k', '{}')").await?;
    let shown = words(&desk.get("/health").await.ok());
    assert!(shown.contains("checks found nothing") && shown.contains("unserved"), "{shown}");
    Ok(())
}
