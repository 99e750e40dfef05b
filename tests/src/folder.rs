//! Folders for what a test writes: below `target/`, and there for reading after a failure.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// The root of the checkout.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests lie in a folder of the repository")
}

/// Where cargo puts the programs of the profile that runs, such as `target/debug`.
pub fn programs() -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its own program");
    let profile = test.ancestors().find(|folder| folder.ends_with("deps")).and_then(Path::parent);
    profile.or(test.parent()).expect("a program lies in a folder").into()
}

/// An empty folder of this run. The next run removes it.
pub fn fresh(name: &str) -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let folder = RUN.join(format!("{}-{name}", COUNT.fetch_add(1, Ordering::Relaxed)));
    std::fs::create_dir_all(&folder).expect("the target folder can be written");
    folder
}

/// One folder for each test process; those of processes that have ended are swept away here.
static RUN: LazyLock<PathBuf> = LazyLock::new(|| {
    let runs = programs().join("test-runs");
    for old in std::fs::read_dir(&runs).into_iter().flatten().flatten() {
        let alive = Path::new("/proc").join(old.file_name()).exists();
        if !alive {
            std::fs::remove_dir_all(old.path()).ok();
        }
    }
    runs.join(std::process::id().to_string())
});
