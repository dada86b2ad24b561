//! Finds the migrations in the crate's own source: it wants them copied into the application, and this is none.

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=Cargo.lock");
    let cargo = std::env::var("CARGO").expect("cargo says what it is");
    let told = Command::new(cargo).args(["metadata", "--format-version", "1", "--locked"]).output();
    let told: serde_json::Value = serde_json::from_slice(&told.expect("cargo metadata").stdout).expect("JSON");
    let packages = told["packages"].as_array().expect("packages");
    let sqlxmq = packages.iter().find(|p| p["name"] == "sqlxmq").expect("sqlxmq");
    let manifest = Path::new(sqlxmq["manifest_path"].as_str().expect("a path"));
    let migrations = manifest.with_file_name("migrations");
    println!("cargo::rustc-env=SQLXMQ_MIGRATIONS={}", migrations.display());
}
