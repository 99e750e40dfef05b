//! One etcd for all control planes of a test process: each keeps its keys below a prefix of its own.

use std::process::Command;
use std::sync::{LazyLock, Mutex};

use super::assets::Assets;
use crate::folder;
use crate::ports::free_port;
use crate::process::Process;

struct Etcd {
    url: String,
    _process: Process,
}

static ETCD: LazyLock<Mutex<Option<Etcd>>> = LazyLock::new(Mutex::default);

/// The address of this process's etcd, which is started at the first call.
pub(super) fn url(assets: &Assets) -> String {
    let mut etcd = ETCD.lock().expect("no start of etcd has panicked");
    etcd.get_or_insert_with(|| start(assets)).url.clone()
}

fn start(assets: &Assets) -> Etcd {
    let folder = folder::fresh("etcd");
    let url = format!("http://127.0.0.1:{}", free_port());
    let mut command = Command::new(&assets.etcd);
    command
        .arg(format!("--data-dir={}", folder.join("data").display()))
        .arg(format!("--listen-client-urls={url}"))
        .arg(format!("--advertise-client-urls={url}"))
        .arg("--listen-peer-urls=http://127.0.0.1:0")
        // Losing the data of a test in a power cut is fine; waiting for the disk is not.
        .arg("--unsafe-no-fsync")
        .arg("--log-level=warn");
    let process = Process::start("etcd", command, &folder.join("etcd.log")).expect("etcd starts");
    Etcd { url, _process: process }
}
