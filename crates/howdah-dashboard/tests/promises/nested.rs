//! Under whatever prefix it hangs, every page is whole.

use std::collections::BTreeSet;

use anyhow::Result;
use axum::Router;
use howdah_tests::Db;
use serde_json::json;

use crate::desk::Desk;
use crate::html;

/// Something of everything.
async fn filled(make: impl FnOnce(howdah_dashboard::Dashboard) -> Router) -> Result<Desk> {
    let desk = Desk::with(make).await?;
    fill(&desk.db).await?;
    Ok(desk)
}

/// Fills a queue with something of everything.
pub(crate) async fn fill(db: &Db) -> Result<()> {
    let nodes = json!([{ "name": "a", "kind": "a" }, { "name": "b", "kind": "b", "depends_on": ["a"] }]);
    sqlx::query("SELECT howdah.enqueue_workflow('import', $1)").bind(nodes).execute(db.pool()).await?;
    db.run(r#"SELECT howdah.set_schedule('nightly', '{"expression": "0 3 * * *", "kind": "report"}')"#).await?;
    db.run("SELECT howdah.start_operation('cancel', 'kind:z', '{}', made_by => 'bob')").await?;
    Ok(())
}

/// The pages to which this one leads, each of whose addresses begins with the prefix.
async fn whole(desk: &Desk, prefix: &str, path: &str) -> Vec<String> {
    let page = desk.get(path).await;
    assert_eq!(page.status, 200, "{path}: {}", page.body);
    let mut leads_to = Vec::new();
    if !page.header("content-type").starts_with("text/html") {
        return leads_to;
    }
    for tag in html::tags(&page.body) {
        for name in ["href", "src", "action", "formaction", "data-live", "data-search"] {
            let Some(address) = tag.get(name).filter(|address| !address.starts_with('#')) else { continue };
            let inner = address.strip_prefix(prefix);
            let inner = inner.unwrap_or_else(|| panic!("{path} leads out of {prefix} to {address}"));
            let is_page = (inner.starts_with('/') || inner.is_empty()) && !inner.starts_with("//");
            assert!(is_page, "{path} leads to {address}");
            // What a search finds is enough; not also what could be searched for from there.
            let repeats = path.contains("/jobs?") && address.contains("/jobs?");
            if !repeats && matches!((&*tag.name, name), ("a", "href") | ("link", "href") | ("script", "src")) {
                leads_to.push(address.to_owned());
            }
        }
    }
    leads_to
}

/// Every page that there is a way to from `start`.
pub(crate) async fn crawl(desk: &Desk, prefix: &str, start: &str) -> BTreeSet<String> {
    let (mut seen, mut next) = (BTreeSet::new(), vec![start.to_owned()]);
    while let Some(path) = next.pop() {
        if seen.insert(path.clone()) {
            next.extend(whole(desk, prefix, &path).await);
        }
        assert!(seen.len() < 400, "the pages do not end");
    }
    seen
}

/// The same pages without the prefix; the first one has a slash then.
fn without(prefix: &str, pages: &BTreeSet<String>) -> BTreeSet<String> {
    let page = |page: &String| Some(page.strip_prefix(prefix).unwrap().to_owned()).filter(|page| !page.is_empty());
    pages.iter().map(|path| page(path).unwrap_or_else(|| "/".to_owned())).collect()
}

#[tokio::test]
async fn every_page_is_whole_under_a_nested_prefix() -> Result<()> {
    let plain = crawl(&filled(|dashboard| dashboard.router()).await?, "", "/").await;
    assert!(plain.len() > 30, "{plain:?}");
    let nested = filled(|dashboard| Router::new().nest("/a/b", dashboard.router())).await?;
    assert_eq!(without("/a/b", &crawl(&nested, "/a/b", "/a/b").await), plain);
    // As a service, and where the prefix is not always the same.
    let other = filled(|dashboard| {
        let router: Router = dashboard.secret(b"both").router();
        Router::new().nest_service("/service", router.clone()).nest("/t/{tenant}", router)
    });
    let other = other.await?;
    for prefix in ["/service", "/t/a%2Fb"] {
        for page in ["", "/jobs", "/jobs?q=state:ready", "/queues/one?name=default", "/workflows/1", "/operations/new"]
        {
            whole(&other, prefix, &format!("{prefix}{page}")).await;
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_prefix_that_a_proxy_takes_away_is_in_every_link() -> Result<()> {
    let desk = filled(|dashboard| dashboard.prefix("/queue/").router()).await?;
    let page = desk.get("/jobs").await.ok();
    let links = html::links(&page);
    assert!(links.iter().filter(|link| !link.starts_with('#')).all(|link| link.starts_with("/queue/")), "{links:?}");
    Ok(())
}

#[tokio::test]
async fn a_form_works_under_a_nested_prefix() -> Result<()> {
    let desk = filled(|dashboard| Router::new().nest("/a/b", dashboard.router())).await?;
    let done = desk.post("/a/b/queues/one?name=default", "/a/b/queues/pause", &[("name", "default")]).await;
    assert_eq!(done.leads_to(), "/a/b/queues/one?name=default");
    Ok(())
}
