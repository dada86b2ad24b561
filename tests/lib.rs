//! Helpers of the promises.
