//! The stylesheet and the script, compiled in.
//!
//! Invariant: their address has the hash of what is in them, so that a browser may keep them for ever. Limit: two files.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use sha2::{Digest as _, Sha256};

use crate::named::File;

/// A file.
#[derive(Debug)]
pub(crate) struct Asset {
    name: String,
    kind: &'static str,
    content: &'static str,
}

pub(crate) static STYLE: LazyLock<Asset> =
    LazyLock::new(|| Asset::of("css", "text/css; charset=utf-8", include_str!("assets/app.css")));
pub(crate) static SCRIPT: LazyLock<Asset> =
    LazyLock::new(|| Asset::of("js", "text/javascript; charset=utf-8", include_str!("assets/app.js")));

impl Asset {
    fn of(ending: &str, kind: &'static str, content: &'static str) -> Self {
        let hash = Sha256::digest(content.as_bytes());
        let name =
            format!("{:016x}.{ending}", hash.iter().take(8).fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte)));
        Self { name, kind, content }
    }

    /// Its address in the dashboard.
    pub(crate) fn path(&self) -> String {
        format!("/assets/{}", self.name)
    }
}

/// Gives a file.
pub(crate) async fn get(Path(File { name }): Path<File>) -> Response {
    match [&*STYLE, &*SCRIPT].into_iter().find(|asset| asset.name == name) {
        Some(asset) => {
            let headers = [(CONTENT_TYPE, asset.kind), (CACHE_CONTROL, "public, max-age=31536000, immutable")];
            (headers, asset.content).into_response()
        }
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How bright a colour is to the eye, 0 to 1.
    fn luminance(colour: &str) -> f64 {
        let part = |at: usize| f64::from(u8::from_str_radix(&colour[at..at + 2], 16).unwrap()) / 255.0;
        let linear = |part: f64| if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) };
        0.2126 * linear(part(1)) + 0.7152 * linear(part(3)) + 0.0722 * linear(part(5))
    }

    fn contrast(one: &str, other: &str) -> f64 {
        let (one, other) = (luminance(one), luminance(other));
        (one.max(other) + 0.05) / (one.min(other) + 0.05)
    }

    #[test]
    fn every_text_can_be_read_on_every_ground_in_light_and_in_dark() {
        let colours = STYLE.content.lines().filter_map(|line| line.trim().strip_prefix("--"));
        let colours: Vec<(&str, &str, &str)> = colours
            .map(|line| {
                let (name, pair) = line.split_once(": light-dark(").unwrap();
                let (light, dark) = pair.trim_end_matches(");").split_once(", ").unwrap();
                (name, light, dark)
            })
            .collect();
        let is_ground = |name: &str| name == "ground" || name == "raised";
        assert_eq!(colours.iter().filter(|(name, _, _)| is_ground(name)).count(), 2);
        for (name, light, dark) in colours.iter().filter(|(name, _, _)| !is_ground(name) && *name != "line") {
            for (ground, light_ground, dark_ground) in colours.iter().filter(|(name, _, _)| is_ground(name)) {
                assert!(contrast(light, light_ground) >= 4.5, "{name} on {ground} in light");
                assert!(contrast(dark, dark_ground) >= 4.5, "{name} on {ground} in dark");
            }
        }
    }

    #[test]
    fn files_are_small_and_load_nothing() {
        assert!(STYLE.content.len() + SCRIPT.content.len() < 16 << 10);
        for asset in [&*STYLE, &*SCRIPT] {
            assert!(
                !["http://", "https://", "@import", "url(", "import("]
                    .iter()
                    .any(|foreign| asset.content.contains(foreign))
            );
        }
        assert_ne!(STYLE.path(), SCRIPT.path());
    }
}
