//! Waiting for jobs to end, and saying how they did.
//!
//! Invariant: the exit status says whether all of them completed. Limit: a job of which history knows no more is an error.

use howdah::{Ended, Howdah, Job, JobId};
use serde::{Deserialize, Serialize};
use serde_json::json;
use serde_json::value::RawValue;

use super::Answer;
use crate::failure::Result;
use crate::output::{Output, printable, say, with};

/// A job of any kind: what it returned is JSON.
#[derive(Serialize, Deserialize)]
struct AnyJob {}

impl Job for AnyJob {
    // As it was written: it may be anything.
    type Output = Box<RawValue>;
    const KIND: &'static str = "any";
}

/// Waits for one job and prints what it returned, if it returned anything.
pub(super) async fn one(howdah: &Howdah, out: Output, id: JobId) -> Result<Answer> {
    let ended = howdah.wait::<AnyJob>(id).await?;
    let state = ended.state();
    match ended {
        Ended::Completed(output) => {
            if out.is_json() {
                out.line(with(&json!({ "id": id, "state": state.as_str() }).to_string(), "output", output.get()))?;
            } else if output.get() != "null" {
                out.line(printable(output.get()))?;
            }
            Ok(Answer::Yes)
        }
        ended => {
            let reason = if let Ended::Dead { reason } = &ended { reason.as_str() } else { "" };
            if out.is_json() {
                out.answer(&json!({ "id": id, "state": state.as_str(), "reason": reason }), "")?;
            }
            say(&format!("job {id} is {state}{}{}", if reason.is_empty() { "" } else { ": " }, printable(reason)));
            Ok(Answer::No)
        }
    }
}

/// Waits for each of these jobs.
pub(super) async fn all(howdah: &Howdah, out: Output, ids: &[i64]) -> Result<Answer> {
    let mut yes = true;
    for id in ids {
        yes &= matches!(one(howdah, out, JobId(*id)).await?, Answer::Yes);
    }
    Ok(yes.into())
}
