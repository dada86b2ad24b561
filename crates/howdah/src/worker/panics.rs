//! What panics beside a handler takes nothing else with it.
//!
//! Invariant: nothing here panics. Limit: what panics while it is dropped by another panic aborts the process, as anywhere.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::handler::JobError;

/// What is left of a panic.
pub(super) fn failure(panic: Box<dyn Any + Send>) -> JobError {
    let error = JobError::panic(&*panic);
    // A handler may panic with anything, such as what panics once more when it is dropped.
    if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(panic))) {
        std::mem::forget(again);
    }
    error
}

/// Calls what belongs to the application, such as its log, where a panic must not keep an end from being told.
pub(super) fn quietly(call: impl FnOnce()) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(call)) {
        failure(panic);
    }
}
