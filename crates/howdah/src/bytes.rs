//! Binary data in a payload.
//!
//! Invariant: what comes out is what went in. Limit: base64 inside JSON, so a third larger than it is; what is larger
//! than some hundred kilobytes is better kept elsewhere, and its key enqueued.

use std::fmt;
use std::ops::Deref;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Bytes, as a field of a job or as its output: written as base64, which is `encode(data, 'base64')` in SQL.
///
/// ```
/// use howdah::{Bytes, Job};
///
/// #[derive(Job, serde::Serialize, serde::Deserialize)]
/// struct Thumbnail { image: Bytes }
/// let job = Thumbnail { image: Bytes::from(vec![0xff, 0xd8]) };
/// assert_eq!(serde_json::to_string(&job).unwrap(), r#"{"image":"/9g="}"#);
/// assert_eq!(&job.image[..], [0xff, 0xd8]);
/// ```
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Bytes(pub Vec<u8>);

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl From<&[u8]> for Bytes {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }
}

impl Deref for Bytes {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.0
    }
}

/// How many, and not which: payloads do not belong into logs.
impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bytes({})", self.0.len())
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Base64;
        impl Visitor<'_> for Base64 {
            type Value = Bytes;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("base64")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Bytes, E> {
                // SQL's encode() breaks its lines.
                let text: String = text.chars().filter(|c| !c.is_ascii_whitespace()).collect();
                STANDARD.decode(text).map(Bytes).map_err(|_| E::custom("no base64, expected base64"))
            }
        }
        deserializer.deserialize_str(Base64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_comes_back_and_what_sql_writes_is_read() {
        let all: Vec<u8> = (0..=255).collect();
        let json = serde_json::to_string(&Bytes(all.clone())).unwrap();
        assert_eq!(serde_json::from_str::<Bytes>(&json).unwrap().0, all);
        assert_eq!(serde_json::from_str::<Bytes>("\"AAEC\\nAwQ=\"").unwrap().0, [0, 1, 2, 3, 4]);
        assert!(serde_json::from_str::<Bytes>("\"?\"").is_err());
        assert_eq!(format!("{:?}", Bytes(all)), "Bytes(256)");
    }
}
