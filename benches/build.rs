//! Tells the peers of Cargo.lock which version of what they are built from: `VERSION_SOCKETIOXIDE` and the like, at compile
//! time. Empty for what is not there.

use std::fs;

/// What `oxide` names.
const PACKAGES: [&str; 4] = ["socketioxide", "axum", "tokio", "mimalloc"];

fn main() {
    const LOCK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.lock");
    println!("cargo::rerun-if-changed={LOCK}");
    let lock = fs::read_to_string(LOCK).unwrap_or_default();
    for package in PACKAGES {
        let version = version(&lock, package).unwrap_or_default();
        println!("cargo::rustc-env=VERSION_{}={version}", package.to_uppercase());
    }
}

/// The version of a package that is in the lock file once.
fn version<'a>(lock: &'a str, package: &str) -> Option<&'a str> {
    let (_, entry) = lock.split_once(&format!("\nname = \"{package}\"\nversion = \""))?;
    entry.split('"').next()
}
