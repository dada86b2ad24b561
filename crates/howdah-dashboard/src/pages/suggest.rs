//! What could be typed next into a search: options for the field, which the script puts there.
//!
//! Invariant: an option is the whole text as it would be then. Limit: at the end of the text.

use axum::response::{Html, IntoResponse, Response};
use maud::html;

use crate::view::View;

/// `/suggest?q=…`: options; none where nothing can be said.
pub(crate) async fn get(view: View) -> Response {
    let typed = view.asked("q");
    let found = view.app.admin.suggest(typed, typed.len()).await.unwrap_or_default();
    let whole = |span: &std::ops::Range<usize>, text: &str| {
        let (before, after) = (typed.get(..span.start).unwrap_or_default(), typed.get(span.end..).unwrap_or_default());
        format!("{before}{text}{after}")
    };
    let options = html! {
        @for suggestion in &found { option value=(whole(&suggestion.span, &suggestion.text)) { (suggestion.about) } }
    };
    Html(options.into_string()).into_response()
}
