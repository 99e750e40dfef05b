use openraft::StorageError;
use openraft::testing::log::{StoreBuilder, Suite};
use tempfile::TempDir;

use super::Types;
use super::log::Log;
use super::machine::Machine;

struct Stores;

impl StoreBuilder<Types, Log, Machine, TempDir> for Stores {
    async fn build(&self) -> Result<(TempDir, Log, Machine), StorageError<Types>> {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let log = Log::open(&folder.path().join("log.redb"), 0).expect("an empty folder opens");
        let (machine, _) = Machine::open(folder.path().join("snapshot.json")).expect("an empty folder opens");
        Ok((folder, log, machine))
    }
}

#[test]
fn the_storage_passes_openrafts_own_suite() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(Suite::test_all(Stores)).unwrap();
}
