//! Answers of the API, and what is asked in its addresses.
//!
//! Invariant: every answer is JSON; a mistake is told with the parameter's name. Limit: one mistake at a time.

use std::ops::RangeInclusive;
use std::time::{Duration, SystemTime};

use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::json;

use crate::error::Failure;
use crate::html::time;
use crate::view::View;

/// What can be answered in time; or why not.
pub(super) async fn answer<T: Serialize>(body: impl Future<Output = Result<T, Failure>>) -> Response {
    match Failure::in_time(body).await {
        Ok(value) => send(StatusCode::OK, &value),
        Err(failure) => refuse(&failure),
    }
}

pub(super) fn refuse(failure: &Failure) -> Response {
    send(failure.status(), &json!({ "error": { "status": failure.status().as_u16(), "message": failure.text() } }))
}

fn send<T: Serialize>(status: StatusCode, value: &T) -> Response {
    match serde_json::to_vec(value) {
        Ok(bytes) => (status, [(CONTENT_TYPE, "application/json")], bytes).into_response(),
        Err(error) => {
            tracing::error!(%error, "an answer of the API could not be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// A number of the address; this one if it says none.
pub(super) fn number(view: &View, name: &str, default: u32, allowed: RangeInclusive<u32>) -> Result<u32, Failure> {
    match view.asked(name) {
        "" => Ok(default),
        given => given.parse().ok().filter(|number| allowed.contains(number)).ok_or_else(|| {
            Failure::Refused(format!("{name} must be a number from {} to {}.", allowed.start(), allowed.end()))
        }),
    }
}

/// A text of the address, if it says any.
pub(super) fn text<'v>(view: &'v View, name: &str) -> Result<Option<&'v str>, Failure> {
    match view.asked(name) {
        "" => Ok(None),
        given if given.contains('\0') => {
            Err(Failure::Refused(format!("{name} must be a text without the character 0.")))
        }
        given => Ok(Some(given)),
    }
}

/// A length of time of the address, such as `90s`, `15m`, `1h` or `7d`.
pub(super) fn span(view: &View, name: &str, default: Duration, most: Duration) -> Result<Duration, Failure> {
    let given = view.asked(name);
    if given.is_empty() {
        return Ok(default);
    }
    let seconds = given.char_indices().next_back().and_then(|(at, unit)| {
        let each: u64 = match unit {
            's' => 1,
            'm' => 60,
            'h' => 3600,
            'd' => 86_400,
            _ => return None,
        };
        given[..at].parse::<u64>().ok()?.checked_mul(each)
    });
    let most_days = most.as_secs() / 86_400;
    seconds.map(Duration::from_secs).filter(|span| *span <= most && !span.is_zero()).ok_or_else(|| {
        Failure::Refused(format!("{name} must be a length of time such as 90s, 15m, 1h or 7d, up to {most_days}d."))
    })
}

/// A time, as JSON has none.
pub(super) fn moment(at: Option<SystemTime>) -> Option<String> {
    at.map(time::exact)
}
