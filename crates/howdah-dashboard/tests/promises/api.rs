//! What programs ask: the API says what its description says, and metrics are what Prometheus reads.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::desk::Desk;

/// A queue with a job in many states, what workers have reported, and a name that is hard to write.
async fn busy() -> Result<Desk> {
    let desk = Desk::new().await?;
    let worker = desk.db.worker().await?;
    desk.db.run("SELECT howdah.create_queue('a \"b\"\\c')").await?;
    desk.db.run(r#"SELECT howdah.enqueue('big', '{"n": 12345678901234567890.10, "password": "geheim"}')"#).await?;
    desk.db.run("SELECT howdah.enqueue('bad', max_attempts => 1), howdah.enqueue('late', run_at => now() + interval '1 hour')").await?;
    desk.db
        .run(&format!(
            "SELECT howdah.fail(c.lease_id, ARRAY[c.id], '{{discard}}', '{{E}}', '{{no paper}}') FROM howdah.claim({worker}, kinds => '{{bad}}') c"
        ))
        .await?;
    desk.db
        .run(
            r#"SELECT howdah.report_stats(jsonb_agg(jsonb_build_object('queue_id', id, 'kind', 'k', 'completed', 7, 'dead', 1, 'run_ms', 1500,
                  'wait_ms', 80, 'runs', '[1,0,7]'::jsonb, 'waits', '[8]'::jsonb))) FROM howdah.queue"#,
        )
        .await?;
    desk.db.run("SELECT howdah.fold_stats(), howdah.note_depths()").await?;
    Ok(desk)
}

async fn json_of(desk: &Desk, path: &str) -> Value {
    let page = desk.get(path).await;
    assert_eq!(page.header("content-type"), "application/json", "{path}: {}", page.body);
    serde_json::from_str(&page.body).unwrap_or_else(|e| panic!("{path}: {e}: {}", page.body))
}

/// What does not fit a schema of the description.
fn misfit(description: &Value, schema: &Value, answer: &Value) -> Option<String> {
    let mut root = schema.clone();
    root["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    root["components"] = description["components"].clone();
    let validator = jsonschema::validator_for(&root).unwrap();
    validator.iter_errors(answer).next().map(|error| format!("{error} at {}", error.instance_path()))
}

#[tokio::test]
async fn every_answer_is_as_the_description_says() -> Result<()> {
    let desk = busy().await?;
    let description = json_of(&desk, "/api/v1/openapi.json").await;
    let job = desk.text("SELECT id FROM howdah.jobs WHERE kind = 'bad'").await;
    let paths = description["paths"].as_object().unwrap();
    assert!(paths.len() >= 8, "{}", paths.len());
    for (path, methods) in paths {
        assert_eq!(methods.as_object().unwrap().len(), 1, "{path}: nothing but GET");
        let schema_of =
            |status: &str| methods["get"]["responses"][status]["content"]["application/json"]["schema"].clone();
        let address = format!("/api/v1{}", path.replace("{id}", &job));
        let answer = json_of(&desk, &address).await;
        assert_eq!(misfit(&description, &schema_of("200"), &answer), None, "{address}: {answer}");
        // Something is in it that could have been wrong.
        let lists: Vec<&Value> = answer.as_object().unwrap().values().filter(|value| value.is_array()).collect();
        assert!(lists.iter().all(|list| !list.as_array().unwrap().is_empty()), "{address}: {answer}");
        for parameter in methods["get"]["parameters"].as_array().unwrap() {
            let name = parameter["name"].as_str().unwrap();
            let (status, given) = match (parameter["in"].as_str(), name) {
                (Some("path"), _) => (404, address.replace(&job, "0")),
                (_, "queue") => (404, format!("{address}?queue=nowhere")),
                // Any text is one.
                (_, "kind") => continue,
                (_, "q") => (422, format!("{address}?q=state:nowhere")),
                _ => (422, format!("{address}?{name}=-1")),
            };
            let page = desk.get(&given).await;
            let refusal: Value = serde_json::from_str(&page.body)?;
            // Statistics refuse a queue that there is not as what cannot be.
            assert!(
                page.status.as_u16() == status || (name == "queue" && page.status == 422),
                "{given}: {}",
                page.body
            );
            assert_eq!(misfit(&description, &schema_of(page.status.as_str()), &refusal), None, "{given}: {refusal}");
            let told = refusal["error"]["message"].as_str().unwrap();
            assert!(told.contains(name) || page.status == 404, "{given}: {told}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_payload_is_given_digit_by_digit_but_for_what_is_hidden() -> Result<()> {
    let desk = busy().await?;
    let id = desk.text("SELECT id FROM howdah.jobs WHERE kind = 'big'").await;
    let body = desk.get(&format!("/api/v1/jobs/{id}")).await.ok();
    assert!(body.contains("12345678901234567890.10") && body.contains("geheim"), "{body}");
    let howdah = howdah::Howdah::from_pool(desk.db.pool().clone());
    let desk = Desk::over(desk.db, howdah, |dashboard| {
        dashboard.redact(|_: &str, path: &[&str]| path.last() == Some(&"password")).router()
    });
    let body = desk.get(&format!("/api/v1/jobs/{id}")).await.ok();
    assert!(body.contains("12345678901234567890.10") && !body.contains("geheim"), "{body}");
    // A list has none.
    assert!(!desk.get("/api/v1/jobs").await.ok().contains("12345678901234567890"));
    Ok(())
}

#[tokio::test]
async fn programs_are_let_in_as_people_are_and_mistakes_are_told_in_json() -> Result<()> {
    let desk = busy().await?.is("eve nothing");
    for path in ["/metrics", "/api/v1/queues", "/api/v1/openapi.json", "/api/v1/scale"] {
        assert_eq!(desk.get(path).await.status, StatusCode::FORBIDDEN, "{path}");
    }
    let desk = desk.is("rob read");
    desk.get("/metrics").await.ok();
    desk.get("/api/v1/queues").await.ok();
    let page = desk.get("/api/v2/queues").await;
    assert_eq!((page.status, page.header("content-type")), (StatusCode::NOT_FOUND, "application/json"));
    let request = desk.request("POST", "/api/v1/queues").body(axum::body::Body::empty()).unwrap();
    assert_eq!(desk.send(request).await.status, StatusCode::METHOD_NOT_ALLOWED);
    Ok(())
}

#[tokio::test]
async fn what_is_to_be_done_leaves_out_what_is_paused_and_what_is_later() -> Result<()> {
    let desk = Desk::new().await?;
    let worker = desk.db.worker().await?;
    desk.db.run("SELECT howdah.create_queue('b'), howdah.create_queue('c')").await?;
    desk.db.run("SELECT howdah.enqueue_many('k', array_fill('1'::jsonb, '{5}'), queue => q) FROM unnest('{default,b,c}'::text[]) q").await?;
    desk.db.run("SELECT howdah.enqueue('k', run_at => now() + interval '1 hour')").await?;
    desk.db.run(&format!("SELECT howdah.claim({worker}, 'default', 2)")).await?;
    desk.db.run("SELECT howdah.pause_queue('b')").await?;
    let all = json_of(&desk, "/api/v1/scale").await;
    assert_eq!((&all["ready"], &all["running"], &all["backlog"]), (&json!(8), &json!(2), &json!(10)), "{all}");
    let one = json_of(&desk, "/api/v1/scale?queue=default").await;
    assert_eq!((&one["ready"], &one["backlog"]), (&json!(3), &json!(5)), "{one}");
    assert_eq!(json_of(&desk, "/api/v1/scale?queue=b").await["backlog"], 0);
    Ok(())
}

/// Each series and its value; the text must be as Prometheus reads it.
fn series(text: &str) -> BTreeMap<String, f64> {
    let mut families = BTreeMap::new();
    let mut all = BTreeMap::new();
    for line in text.lines() {
        if let Some(family) = line.strip_prefix("# TYPE ") {
            let (name, kind) = family.split_once(' ').unwrap();
            assert!(families.insert(name.to_owned(), kind.to_owned()).is_none(), "{name} is told twice");
        } else if !line.starts_with("# HELP ") {
            let (series, value) = line.rsplit_once(' ').unwrap();
            let name = series.split('{').next().unwrap();
            let of = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
            assert!(families.contains_key(of) || families.contains_key(name), "{line}: of no family");
            assert!(all.insert(series.to_owned(), value.parse().unwrap()).is_none(), "{series} is told twice");
        }
    }
    all
}

#[tokio::test]
async fn metrics_are_what_prometheus_reads() -> Result<()> {
    let desk = busy().await?;
    let page = desk.get("/metrics").await;
    assert_eq!(page.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    let all = series(&page.ok());
    for (series, wanted) in [
        (r#"howdah_queue_jobs{queue="default",state="ready"}"#, 1.0),
        (r#"howdah_queue_jobs{queue="default",state="scheduled"}"#, 1.0),
        (r#"howdah_queue_jobs{queue="default",state="dead"}"#, 1.0),
        (r#"howdah_queue_paused{queue="a \"b\"\\c"}"#, 0.0),
        (r#"howdah_queue_attempts_total{queue="default",kind="k",outcome="completed"}"#, 7.0),
        (r#"howdah_queue_run_seconds_bucket{queue="default",le="0.001"}"#, 1.0),
        (r#"howdah_queue_run_seconds_bucket{queue="default",le="+Inf"}"#, 8.0),
        (r#"howdah_queue_run_seconds_sum{queue="default"}"#, 1.5),
        (r#"howdah_queue_wait_seconds_count{queue="default"}"#, 8.0),
        ("howdah_workers", 1.0),
        ("howdah_keeper", 0.0),
    ] {
        assert_eq!(all.get(series), Some(&wanted), "{series} in {:#?}", all.keys());
    }
    // What the document and the dashboard of Grafana name is there.
    let names: BTreeSet<&str> = all.keys().map(|series| series.split('{').next().unwrap()).collect();
    let grafana = include_str!("../../../../docs/grafana.json");
    let document = include_str!("../../../../docs/stats.md");
    for text in [grafana, document] {
        let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        for word in words
            .filter(|word| word.starts_with("howdah_queue_") || *word == "howdah_workers" || *word == "howdah_keeper")
        {
            assert!(
                names.contains(word) || names.contains(&*format!("{word}_bucket")),
                "{word} is not among the metrics"
            );
        }
    }
    serde_json::from_str::<Value>(grafana)?;
    Ok(())
}

#[tokio::test]
async fn a_job_that_cannot_be_is_missing_in_json() -> Result<()> {
    let desk = Desk::new().await?;
    for id in ["%FF", "x", "-1", "9223372036854775807", "9223372036854775808"] {
        let page = desk.get(&format!("/api/v1/jobs/{id}")).await;
        assert_eq!((page.status, page.header("content-type")), (StatusCode::NOT_FOUND, "application/json"), "{id}");
        assert!(serde_json::from_str::<Value>(&page.body)?["error"]["message"].is_string(), "{id}: {}", page.body);
    }
    Ok(())
}
