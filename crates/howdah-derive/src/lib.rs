//! The derive macro of howdah.
