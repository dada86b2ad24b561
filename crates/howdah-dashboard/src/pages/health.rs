//! What the doctor finds.
//!
//! Invariant: one look serves all who ask within some seconds. Limit: its usual limits; `howdah doctor --limit` takes others.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::response::Response;
use howdah::{Finding, FindingState};
use maud::{Markup, html};
use tokio::sync::Mutex;

use crate::app::App;
use crate::error::Failure;
use crate::html::{pieces, text};
use crate::view::View;

/// As long are findings good.
const FRESH: Duration = Duration::from_secs(5);

/// The last findings.
#[derive(Debug, Default)]
pub(crate) struct Doctor(Mutex<Option<(Instant, Arc<Vec<Finding>>)>>);

/// It goes on when nobody waits for it any more, and who asks next finds what it has found.
async fn findings(app: &App) -> Result<Arc<Vec<Finding>>, Failure> {
    let app = app.clone();
    let looking = tokio::spawn(async move { look(&app).await });
    looking.await.map_err(|_| Failure::Broken("The doctor has broken down.".into()))?
}

async fn look(app: &App) -> Result<Arc<Vec<Finding>>, Failure> {
    let mut last = app.doctor.0.lock().await;
    if let Some((at, found)) = &*last
        && at.elapsed() < FRESH
    {
        return Ok(found.clone());
    }
    let found = Arc::new(app.admin.howdah().doctor().await?);
    *last = Some((Instant::now(), found.clone()));
    Ok(found)
}

pub(crate) async fn get(view: View) -> Response {
    let body = async {
        let found = findings(&view.app).await?;
        let (well, ill): (Vec<_>, Vec<_>) = found.iter().partition(|finding| finding.state == FindingState::Ok);
        Ok(html! {
            h1 { "Health" }
            @if ill.is_empty() { p.done role="status" { "The doctor finds nothing wrong." } }
            @for state in [FindingState::Problem, FindingState::Warning, FindingState::Unknown, FindingState::Notice] {
                @for finding in ill.iter().filter(|finding| finding.state == state) { (one(finding)) }
            }
            details {
                summary { (well.len()) " checks found nothing" }
                ul { @for finding in &well { li { (pieces::state("ok")) " " (text::name(&finding.name)) ": " (text::name(&finding.found)) } } }
            }
        })
    };
    view.page("Health", body).await
}

fn one(finding: &Finding) -> Markup {
    html! {
        article.finding {
            h2 { (pieces::state(finding.state.as_str())) " " (text::name(&finding.name)) }
            p { (text::name(&finding.found)) }
            @if let Some(fix) = &finding.fix { h3 { "What to do" } pre dir="auto" tabindex="0" { (text::Visible(fix)) } }
            @if let Some(proof) = &finding.proof { details { summary { "What shows it" } pre dir="ltr" tabindex="0" { (text::Visible(proof)) } } }
        }
    }
}
