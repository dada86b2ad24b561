//! Signals, and the steps of jobs.

use crate::support::Desk;

#[tokio::test]
async fn a_signal_is_sent_once_listed_and_taken_back() {
    let desk = Desk::with_queue().await;
    assert_eq!(desk.ok(&["signal", "order 42 paid", r#"{"by": "card"}"#, "--keep-for", "2h"]).await, "sent\n");
    let again = desk.run(&["signal", "order 42 paid"]).await;
    assert!(again.code == 1 && again.out == "already sent\n" && again.err.contains("--withdraw"), "{again:?}");
    let listed = desk.run(&["signals", "--json"]).await.json();
    assert_eq!((&listed[0]["name"], &listed[0]["payload"]["by"]), (&"order 42 paid".into(), &"card".into()));
    assert_eq!(desk.ok(&["signal", "order 42 paid", "--withdraw"]).await, "withdrawn\n");
    assert_eq!(desk.run(&["signal", "order 42 paid", "--withdraw"]).await.code, 1);
    assert_eq!(desk.ok(&["signals"]).await, "");
    let nobody = desk.run(&["signal", "a", "--job", "1"]).await;
    assert!(nobody.code == 1 && nobody.err.contains("no job 1"), "{nobody:?}");
    for (command, why) in [
        (&["signal", "a", "card"][..], "not json"),
        (&["signal", ""], "1 to 128 bytes"),
        (&["signal", "a", "--keep-for", "5"], "5m"),
        (&["signal", "a", "1", "--withdraw"], "--withdraw"),
        (&["jobs", "retry", "--from-step", "a"], "ids"),
    ] {
        let said = desk.run(command).await;
        assert!(said.code == 2 && said.err.to_lowercase().contains(why), "{command:?}: {said:?}");
    }
}

#[tokio::test]
async fn the_steps_of_a_job_are_shown_and_it_is_retried_from_one() {
    let desk = Desk::with_queue().await;
    let id = desk.ok(&["enqueue", "letter"]).await.trim().to_owned();
    let howdah = desk.howdah().await;
    let run = async |sql: String| {
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(howdah.pool()).await.unwrap();
    };
    let claim = || run("SELECT howdah.claim(howdah.start_worker('w'))".to_owned());
    claim().await;
    let lease = "(SELECT max(id) FROM howdah.lease)";
    run(format!("SELECT howdah.keep_step({lease}, {id}, 'a', '1'), howdah.keep_step({lease}, {id}, 'b', '\"two\"')"))
        .await;
    run(format!("SELECT howdah.await_signal({lease}, {id}, 'paid')")).await;
    run(format!("SELECT howdah.fail({lease}, ARRAY[{id}], '{{wait}}')")).await;
    let shown = desk.ok(&["jobs", "show", &id]).await;
    assert!(shown.contains("reason\twaits for signal 'paid'\n") && shown.contains("b\tstep\tdone\t1\t"), "{shown}");
    desk.ok(&["signal", "paid"]).await;
    assert_eq!(desk.job(&id).await["state"], "ready");
    claim().await;
    run(format!("SELECT howdah.fail({lease}, ARRAY[{id}], '{{discard}}')")).await;
    let unknown = desk.run(&["jobs", "retry", &id, "--from-step", "z"]).await;
    assert!(unknown.code == 2 && unknown.err.contains("a, b, paid"), "{unknown:?}");
    desk.ok(&["jobs", "retry", &id, "--from-step", "b"]).await;
    let job = desk.job(&id).await;
    assert_eq!((&job["state"], job["steps"].as_array().unwrap().len()), (&"ready".into(), 1));
    desk.ok(&["jobs", "retry", &id, "--from-start"]).await;
    claim().await;
    run(format!("SELECT howdah.complete({lease})")).await;
    let late = desk.run(&["jobs", "retry", &id, "--from-start"]).await;
    assert!(late.code == 1 && late.err.contains("completed"), "{late:?}");
}
