//! The programs under test, as cargo built them for the profile that runs.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::folder;

/// `qonnect`. Panics with the way out if it is missing or older than its sources.
pub fn qonnect() -> PathBuf {
    built("qonnect", &["schema/src", "reconciler"])
}

/// `qonnect-agent`. Panics with the way out if it is missing or older than its sources.
pub fn agent() -> PathBuf {
    built("qonnect-agent", &["schema/src", "reconciler/git", "agent"])
}

/// What `make setup` has put on this machine.
pub fn cache() -> PathBuf {
    let variable = |name| std::env::var_os(name).map(PathBuf::from);
    variable("QONNECT_CACHE").unwrap_or_else(|| {
        let home = || variable("HOME").unwrap_or_default().join(".cache");
        variable("XDG_CACHE_HOME").unwrap_or_else(home).join("qonnect")
    })
}

/// A program of `tests/tidy/requirements.txt`. Panics with the way out if it is missing.
pub fn python(name: &str) -> PathBuf {
    let program = cache().join("python/bin").join(name);
    assert!(program.is_file(), "there is no {}; `make setup` installs it", program.display());
    program
}

/// A file of `tests/github/packages.txt`. Panics with the way out if it is missing.
pub fn github(name: &str) -> PathBuf {
    let file = cache().join("github").join(name);
    assert!(file.is_file(), "there is no {}; `make setup` fetches it", file.display());
    file
}

/// Cargo does not build the programs of other packages for a test: one would try yesterday's, or none.
fn built(name: &str, sources: &[&str]) -> PathBuf {
    let program = folder::programs().join(name);
    let Ok(written) = program.metadata().and_then(|metadata| metadata.modified()) else {
        panic!("there is no {}; `cargo build --workspace --bins` builds it", program.display());
    };
    let newest = sources.iter().filter_map(|folder| newest_source(&folder::repository().join(folder))).max();
    if let Some((changed, source)) = newest
        && changed > written
    {
        let (program, source) = (program.display(), source.display());
        panic!("{program} is older than {source}; `cargo build --workspace --bins` brings it up to date");
    }
    program
}

fn newest_source(folder: &Path) -> Option<(SystemTime, PathBuf)> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let newest = |path: PathBuf| match path.is_dir() {
        true => newest_source(&path),
        false if path.extension().is_some_and(|extension| extension == "rs") => {
            Some((path.metadata().and_then(|metadata| metadata.modified()).ok()?, path))
        }
        false => None,
    };
    entries.filter_map(newest).max()
}
