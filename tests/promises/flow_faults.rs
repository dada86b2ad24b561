//! Limits, orders and rates through kills of workers, keepers and the server.

use anyhow::Result;
use howdah_devdb::StopMode;
use howdah_tests::{Db, crash, server_to_crash};

#[tokio::test]
async fn what_a_gate_has_let_through_keeps_its_place_through_a_crash() -> Result<()> {
    // What does not wait for the disk is not on it for ten seconds.
    let server = server_to_crash().setting("wal_writer_delay", "10s").setting("autovacuum", "off").start().await?;
    let db = Db::on(&server).await?;
    let worker = db.worker().await?;
    let one = "'{\"max_running\": 1}'";
    let slow = "'{\"rate\": 1, \"rate_period_ms\": 3600000}'";
    for (gate, options, scope, rule) in [
        ("limit", "limit_key", "key", one),
        ("order", "order_key", "share", "'{\"weight\": 1}'"),
        ("kind", "weight", "kind", one),
        ("queue", "weight", "queue", one),
        ("rate", "limit_key", "key", slow),
        ("queue_rate", "weight", "queue", slow),
        ("share", "fair_key\": \"f\", \"limit_key", "key", one),
    ] {
        for function in ["claim", "claim_where"] {
            // Jobs with a fair_key are not claimed by a filter.
            if (gate, function) == ("share", "claim_where") {
                continue;
            }
            // The name of all: of the queue, the kind and the key.
            let name = format!("{gate}_{function}");
            let value = if options == "weight" { "1".to_owned() } else { format!("\"{name}\"") };
            let mut session = db.session().await?;
            session.run(&format!(
                "SELECT howdah.create_queue('{name}'); SELECT howdah.set_limit('{scope}', '{name}', {rule});
                 SELECT howdah.enqueue('{name}', queue => '{name}', options => '{{\"{options}\": {value}}}') FROM generate_series(1, 3)"
            ))
            .await?;
            let filter = if function == "claim" { "" } else { ", '!exists($.x)'" };
            let claim =
                format!("SELECT id FROM howdah.{function}({worker}, '{name}', 9{filter}) WHERE id IS NOT NULL");
            // As workers claim.
            session.run("SET synchronous_commit = off").await?;
            let claimed = session.list(&claim).await?;
            assert_eq!(claimed.len(), 1, "{name}");
            crash(&server, StopMode::Immediate).await?;
            let mut session = db.session().await?;
            // Its handler may be running.
            assert_eq!(session.list(&claim).await?.len(), 0, "{name}: another one came through");
            assert_eq!(session.text(&format!("SELECT howdah.state({})", claimed[0])).await?, "running", "{name}");
        }
    }
    server.stop().await?;
    Ok(())
}
