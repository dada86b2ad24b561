//! Random words of the languages that are sent to the server: a search that is read is one that the server takes, and a
//! filter is refused at once or never fails, whatever the jobs hold.
//!
//! `HOWDAH_FUZZ_SEED` draws the same again, `HOWDAH_FUZZ_CALLS` says how many. Limit: what they find is tested elsewhere.

use anyhow::{Context, Result};
use howdah::Filter;
use howdah_admin::{Admin, Search};
use howdah_tests::Db;
use howdah_tests::seed::Seed;

fn calls(otherwise: usize) -> Result<usize> {
    Ok(std::env::var("HOWDAH_FUZZ_CALLS").map_or(Ok(otherwise), |calls| calls.parse())?)
}

/// So many words, most with a space between them.
fn text(seed: &mut Seed, words: &[&str], most: usize) -> String {
    let count = 1 + seed.below(most);
    (0..count).map(|_| words[seed.below(words.len())]).collect::<Vec<_>>().join(if seed.chance(80) { " " } else { "" })
}

/// Jobs whose attributes are as different as attributes can be; some run, some failed, some are dead.
async fn all_kinds_of_jobs(db: &Db) -> Result<i64> {
    let worker = db.worker().await?;
    db.run(&format!(
        r#"SELECT howdah.enqueue('k', jsonb_build_object('a', a), options => jsonb_build_object('attributes', jsonb_build_object('a', a, 'b', 1)))
             FROM unnest('{{1,-1.5,1e300,null,true,"x","","2030-01-01","2030-01-01T12:00:00+02:00","12:30","NaN","[1,5,\"x\",null]","[]"}}'::text[]) v,
                  LATERAL (SELECT CASE WHEN v ~ '^[-0-9.e]+$|^[[]|^true|^null' AND v !~ ':|-0' THEN v::jsonb ELSE to_jsonb(v) END) w(a);
           SELECT howdah.enqueue('none'), howdah.enqueue('later', delay => '1 hour'), howdah.enqueue('dead', max_attempts => 1);
           SELECT howdah.fail(c.lease_id, ARRAY[c.id], messages => '{{x}}') FROM howdah.claim({worker}, kinds => '{{dead}}') c;
           SELECT howdah.claim({worker}, kinds => '{{none}}')"#
    ))
    .await?;
    Ok(worker)
}

const SEARCH: [&str; 40] = [
    "state:dead",
    "state:ready,running",
    "-state:dead",
    "kind:k",
    "kind:*",
    "-kind:n*",
    "queue:default",
    "args.a:1",
    "args.a:1..2",
    "args.a:>x",
    "args.a:*",
    "args.a:null",
    "args.a:\"2030\"",
    "-args.a:x*",
    "attr.a:1",
    "attr.b:<5",
    "attr.\"a b\".c:1",
    "error:x",
    "error:*",
    "reason:*",
    "key:a",
    "key:*",
    "worker:w",
    "worker:*",
    "workflow:*",
    "id:128",
    "id:1..100000",
    "age:<1h",
    "age:>1w",
    "due:>now",
    "due:<+90m",
    "enqueued:>=2026-01-31",
    "ended:*",
    "run:>5ms",
    "attempt:>=1",
    "max_attempts:1",
    "priority:0..9",
    "x",
    "\"x y\"",
    "after:-1h",
];

#[tokio::test]
async fn every_search_that_is_read_is_taken_by_the_server() -> Result<()> {
    let db = Db::new().await?;
    all_kinds_of_jobs(&db).await?;
    let admin = Admin::new(db.howdah.clone());
    let mut seed = Seed::from_env("HOWDAH_FUZZ_SEED")?;
    let (calls, mut asked) = (calls(120)?, 0);
    for _ in 0..calls {
        let words = text(&mut seed, &SEARCH, 4);
        if let Ok(search) = words.parse::<Search>() {
            admin.search(&search).limit(5).await.with_context(|| words.clone())?;
            asked += 1;
        }
    }
    assert!(asked > calls / 2, "only {asked} of {calls} were searches");
    Ok(())
}

const FILTER: [&str; 46] = [
    "$.a",
    "$.b",
    "$.\"a b\"",
    "$",
    "$.*",
    "$.**",
    "@",
    "1",
    "-1",
    "1e400",
    "\"x\"",
    "\"2030-01-01\"",
    "null",
    "true",
    "==",
    "!=",
    "<",
    ">=",
    "&&",
    "||",
    "!",
    "(",
    ")",
    "+",
    "/",
    "%",
    "exists(",
    "? (@ > 1)",
    "like_regex \"^x\"",
    "like_regex \"(a*)*\\\\1\"",
    "starts with \"x\"",
    "is unknown",
    "[*]",
    "[0]",
    "[last]",
    "[2147483648]",
    ".size()",
    ".double()",
    ".type()",
    ".keyvalue()",
    ".datetime()",
    ".datetime(\"HH24\")",
    ".abs()",
    "strict",
    "lax",
    "/* ( */",
];
/// Whole predicates, so that enough of them are taken.
const PREDICATES: [&str; 12] = [
    "$.a == 1",
    "$.a > \"x\"",
    "exists($.a)",
    "!($.a == $.b)",
    "$.a[*] >= 1",
    "$.a.double() > 1",
    "$.a.datetime() < \"2030-06-01\".datetime()",
    "$.a.datetime(\"bad\") == 1",
    "$.a like_regex \"x\"",
    "($.a > 1) is unknown",
    "$.a * 1e300 * 1e300 > 1",
    "$.a / $.missing == 1",
];

/// Asks with a filter in every way and undoes it: `refused`, `taken`, or what went wrong.
const PROBE: &str = "CREATE FUNCTION public.probe(filter text, worker bigint) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  BEGIN
    PERFORM howdah.check_filter(filter);
  EXCEPTION WHEN SQLSTATE 'HD002' THEN
    RETURN 'refused';
  END;
  PERFORM howdah.find(filter => filter);
  PERFORM howdah.claim_where(worker, 'default', 5, filter);
  PERFORM howdah.cancel_many(filter => filter);
  RAISE EXCEPTION 'undone' USING ERRCODE = 'ZZ000';
EXCEPTION WHEN OTHERS THEN
  RETURN CASE SQLSTATE WHEN 'ZZ000' THEN 'taken' ELSE SQLSTATE || ' ' || SQLERRM END;
END $$";

#[tokio::test]
async fn a_filter_is_refused_at_once_or_never_fails_whatever_jobs_hold() -> Result<()> {
    let db = Db::new().await?;
    let worker = all_kinds_of_jobs(&db).await?;
    db.run(PROBE).await?;
    let mut session = db.session().await?;
    session.run("SET statement_timeout = '10s'; SET jit = off").await?;
    let mut seed = Seed::from_env("HOWDAH_FUZZ_SEED")?;
    let mut taken = 0;
    for n in 0..calls(250)? {
        let filter = match PREDICATES.get(n) {
            Some(predicate) => (*predicate).to_owned(),
            None if seed.chance(50) => {
                let (one, other) = (seed.below(PREDICATES.len()), seed.below(PREDICATES.len()));
                format!("({}) {} ({})", PREDICATES[one], ["&&", "||"][seed.below(2)], PREDICATES[other])
            }
            None => text(&mut seed, &FILTER, 9),
        };
        // What the library refuses never comes to the server; what comes by another way may.
        let _ = Filter::raw(filter.clone());
        let probe = sqlx::query_scalar("SELECT public.probe($1, $2)").bind(&filter).bind(worker);
        let ended: String = probe.fetch_one(&mut session.0).await.with_context(|| filter.clone())?;
        assert!(ended == "taken" || ended == "refused", "{ended}\n  {filter}");
        taken += usize::from(ended == "taken");
    }
    assert!(taken > 40, "only {taken} filters were taken");
    Ok(())
}
