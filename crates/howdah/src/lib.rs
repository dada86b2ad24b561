//! Howdah.
